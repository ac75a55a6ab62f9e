//! Hosts: their names, their addresses, and which of their ports comes next.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The first port that is given out when a program asks for any.
pub(crate) const FIRST_EPHEMERAL: u16 = 49_152;

/// The lowest address there is: where a search by port begins.
pub(super) const LOWEST: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// A host of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HostId(pub(crate) u32);

impl HostId {
    /// The host of the first thread of a run.
    pub(crate) const WORLD: HostId = HostId(0);
}

struct Host {
    name: String,
    address: IpAddr,
    /// A machine that is down answers nothing.
    up: bool,
    next_port: u16,
}

/// All hosts, in order of creation.
pub(super) struct Hosts {
    hosts: Vec<Host>,
    /// The default address that was given out last.
    last_default: Ipv4Addr,
}

impl Hosts {
    pub(super) fn new() -> Hosts {
        Hosts { hosts: Vec::new(), last_default: Ipv4Addr::new(10, 0, 0, 0) }
    }

    pub(super) fn add(&mut self, name: &str, address: Option<IpAddr>) -> io::Result<HostId> {
        if name.is_empty() || self.resolve(name).is_some() {
            let message = format!("the host name {name:?} is empty or taken");
            return Err(io::Error::new(ErrorKind::AlreadyExists, message));
        }
        let address = match address {
            None => self.next_default(),
            Some(ip) if ip.is_unspecified() || ip.is_loopback() || ip.is_multicast() => {
                let message = format!("{ip} cannot be the address of a host");
                return Err(io::Error::new(ErrorKind::InvalidInput, message));
            }
            Some(ip) if self.at(ip).is_some() => {
                let message = format!("two hosts with the address {ip}");
                return Err(io::Error::new(ErrorKind::AddrInUse, message));
            }
            Some(ip) => ip,
        };
        let id = HostId(self.hosts.len() as u32);
        self.hosts.push(Host {
            name: name.to_owned(),
            address,
            up: true,
            next_port: FIRST_EPHEMERAL,
        });
        Ok(id)
    }

    /// The next of 10.0.0.1, 10.0.0.2, ... that no host has.
    fn next_default(&mut self) -> IpAddr {
        loop {
            self.last_default = Ipv4Addr::from_bits(self.last_default.to_bits() + 1);
            let ip = IpAddr::V4(self.last_default);
            if self.at(ip).is_none() {
                return ip;
            }
        }
    }

    pub(super) fn resolve(&self, name: &str) -> Option<IpAddr> {
        if name.eq_ignore_ascii_case("localhost") {
            return Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        let host = self.hosts.iter().find(|host| host.name.eq_ignore_ascii_case(name))?;
        Some(host.address)
    }

    /// The host with this address; loopback addresses belong to no host in particular.
    pub(super) fn at(&self, ip: IpAddr) -> Option<HostId> {
        let index = self.hosts.iter().position(|host| host.address == ip)?;
        Some(HostId(index as u32))
    }

    fn get(&self, host: HostId) -> &Host {
        &self.hosts[host.0 as usize]
    }

    pub(super) fn name(&self, host: HostId) -> &str {
        &self.get(host).name
    }

    pub(super) fn address(&self, host: HostId) -> IpAddr {
        self.get(host).address
    }

    pub(super) fn is_up(&self, host: HostId) -> bool {
        self.get(host).up
    }

    #[cfg(test)]
    pub(super) fn set_up(&mut self, host: HostId, up: bool) {
        self.hosts[host.0 as usize].up = up;
    }

    /// Whether programs of `host` may bind `ip`.
    pub(super) fn may_bind(&self, host: HostId, ip: IpAddr) -> bool {
        ip.is_unspecified() || ip.is_loopback() || ip == self.address(host)
    }

    /// The address from which `host` reaches `remote`, which is not a wildcard, when its program
    /// has asked for `local`.
    pub(super) fn source(
        &self,
        host: HostId,
        local: Option<IpAddr>,
        remote: IpAddr,
    ) -> io::Result<IpAddr> {
        let route = if remote.is_loopback() {
            loopback_like(remote)
        } else if remote.is_ipv4() == self.address(host).is_ipv4() {
            self.address(host)
        } else {
            return Err(ErrorKind::NetworkUnreachable.into());
        };
        match local {
            None => Ok(route),
            Some(ip) if ip.is_unspecified() => Ok(route),
            Some(ip) if !self.may_bind(host, ip) => Err(ErrorKind::AddrNotAvailable.into()),
            Some(ip) if ip.is_loopback() && !remote.is_loopback() => {
                Err(ErrorKind::InvalidInput.into())
            }
            Some(ip) if ip.is_ipv4() != remote.is_ipv4() => Err(ErrorKind::InvalidInput.into()),
            Some(ip) => Ok(ip),
        }
    }

    /// The next ephemeral port in turn, taken or not.
    pub(super) fn next_port(&mut self, host: HostId) -> u16 {
        let host = &mut self.hosts[host.0 as usize];
        let port = host.next_port;
        host.next_port = port.checked_add(1).unwrap_or(FIRST_EPHEMERAL);
        port
    }
}

/// The loopback address of the family of `ip`.
pub(super) fn loopback_like(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
    }
}

/// Whether a listener on `bound` serves `ip`. As on Linux, `::` serves IPv4 too.
pub(super) fn serves(bound: IpAddr, ip: IpAddr) -> bool {
    bound == ip || (bound.is_unspecified() && (bound.is_ipv6() || ip.is_ipv4()))
}

/// Whether some address is served by sockets on either of two addresses.
pub(super) fn overlap(a: IpAddr, b: IpAddr) -> bool {
    serves(a, b) || serves(b, a)
}

/// How an IPv6 socket sees an IPv4 address.
pub(super) fn mapped(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) => SocketAddr::new(IpAddr::V6(ip.to_ipv6_mapped()), address.port()),
        IpAddr::V6(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn default_addresses_count_up_and_skip_taken_ones() {
        let mut hosts = Hosts::new();
        let first = hosts.add("first", None).unwrap();
        hosts.add("given", Some(ip("10.0.0.2"))).unwrap();
        let third = hosts.add("third", None).unwrap();
        assert_eq!(hosts.address(first), ip("10.0.0.1"));
        assert_eq!(hosts.address(third), ip("10.0.0.3"));
        assert_eq!(hosts.resolve("given"), Some(ip("10.0.0.2")));
        assert_eq!(hosts.resolve("localhost"), Some(ip("127.0.0.1")));
        assert_eq!(hosts.resolve("nobody"), None);
    }

    #[test]
    fn names_and_addresses_are_unique() {
        let mut hosts = Hosts::new();
        hosts.add("a", Some(ip("192.168.0.1"))).unwrap();
        let kind = |result: io::Result<HostId>| result.unwrap_err().kind();
        assert_eq!(kind(hosts.add("a", None)), ErrorKind::AlreadyExists);
        assert_eq!(kind(hosts.add("b", Some(ip("192.168.0.1")))), ErrorKind::AddrInUse);
        assert_eq!(kind(hosts.add("b", Some(ip("127.0.0.1")))), ErrorKind::InvalidInput);
    }

    #[test]
    fn ephemeral_ports_go_round() {
        let mut hosts = Hosts::new();
        let host = hosts.add("a", None).unwrap();
        let first = hosts.next_port(host);
        for _ in FIRST_EPHEMERAL..u16::MAX {
            assert_ne!(hosts.next_port(host), first);
        }
        assert_eq!(hosts.next_port(host), first);
    }

    #[test]
    fn wildcards_serve_their_family_and_the_ipv6_one_both() {
        assert!(serves(ip("0.0.0.0"), ip("10.0.0.1")));
        assert!(!serves(ip("0.0.0.0"), ip("::1")));
        assert!(serves(ip("::"), ip("10.0.0.1")));
        assert!(!serves(ip("127.0.0.1"), ip("10.0.0.1")));
    }
}
