//! TCP sockets that are made before they listen or connect, so that a program can set them up and
//! bind them first.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::address::{HostId, LOWEST, overlap};
use super::options::TcpOptions;
use super::socket::{Holder, Kind, Socket, SocketId};
use super::{Net, Surroundings};

impl Net {
    /// A TCP socket that is not bound.
    pub(crate) fn tcp_socket(&mut self, host: HostId, is_ipv6: bool) -> SocketId {
        let ip = match is_ipv6 {
            true => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            false => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        };
        self.add_socket(Socket {
            host,
            local: SocketAddr::new(ip, 0),
            holder: Holder::Program,
            registration: None,
            kind: Kind::Idle(TcpOptions::default()),
        })
    }

    /// Gives the socket its address; port 0 stands for the next free ephemeral one.
    ///
    /// # Errors
    /// `AddrInUse` if the port has a listener or is bound, or, unless the address is to be reused,
    /// has connections; `AddrNotAvailable` for an address that the host does not have;
    /// `InvalidInput` for one of the other family, and for a socket that is bound.
    pub(crate) fn bind(
        &mut self,
        id: SocketId,
        address: SocketAddr,
        s: &mut impl Surroundings,
    ) -> io::Result<()> {
        self.forget_expired(s.now());
        let (host, local, options) = self.idle(id)?;
        let ip = address.ip();
        if local.port() != 0 || local.is_ipv4() != ip.is_ipv4() {
            return Err(ErrorKind::InvalidInput.into());
        }
        if !self.hosts.may_bind(host, ip) {
            return Err(ErrorKind::AddrNotAvailable.into());
        }
        let port = match address.port() {
            0 => self.free_port(host, |net, port| net.is_in_use(host, port))?,
            port => port,
        };
        let is_taken = match options.reuse_address {
            true => self.is_reserved(host, port, ip),
            false => {
                self.bound_on(host, port).any(|(other, _)| overlap(other, ip))
                    || self.connected_on(host, port).any(|other| overlap(other, ip))
            }
        };
        if is_taken || self.is_listened_on(host, port, ip) {
            return Err(ErrorKind::AddrInUse.into());
        }
        self.held_mut(id)?.local = SocketAddr::new(ip, port);
        self.bound.insert((host, port, ip, id));
        Ok(())
    }

    /// Makes a listener of the socket, which is gone then, whatever is answered. One that is not
    /// bound listens on the next free ephemeral port.
    ///
    /// # Errors
    /// As [`Net::listen`]; `InvalidInput` for a socket that is no longer idle.
    pub(crate) fn listen_from(&mut self, id: SocketId, backlog: u32) -> io::Result<SocketId> {
        let (host, local, options) = self.idle(id)?;
        self.forget_idle(id);
        self.listen_with(host, local, backlog, options)
    }

    /// Begins to connect the socket, which is gone then, whatever is answered.
    ///
    /// # Errors
    /// As [`Net::connect`]; `InvalidInput` for an address of the other family, and for a socket
    /// that is no longer idle.
    pub(crate) fn connect_from(
        &mut self,
        id: SocketId,
        remote: SocketAddr,
        s: &mut impl Surroundings,
    ) -> io::Result<SocketId> {
        let (host, local, options) = self.idle(id)?;
        self.forget_idle(id);
        if local.is_ipv4() != remote.is_ipv4() {
            return Err(ErrorKind::InvalidInput.into());
        }
        let bound = (local.port() != 0).then_some(local);
        self.connect_with(host, bound, remote, options, s)
    }

    fn idle(&self, id: SocketId) -> io::Result<(HostId, SocketAddr, TcpOptions)> {
        let socket = self.held(id)?;
        match socket.kind {
            Kind::Idle(options) => Ok((socket.host, socket.local, options)),
            _ => Err(ErrorKind::InvalidInput.into()),
        }
    }

    pub(super) fn forget_idle(&mut self, id: SocketId) {
        if let Some(Socket { host, local, .. }) = self.sockets.remove(&id) {
            self.bound.remove(&(host, local.port(), local.ip(), id));
        }
    }

    /// The idle sockets that are bound to a port.
    pub(super) fn bound_on(
        &self,
        host: HostId,
        port: u16,
    ) -> impl Iterator<Item = (IpAddr, SocketId)> {
        self.bound
            .range((host, port, LOWEST, SocketId(0))..)
            .take_while(move |key| (key.0, key.1) == (host, port))
            .map(|key| (key.2, key.3))
    }

    /// Whether an idle socket that does not reuse addresses is bound to the port, at `ip` or at
    /// something that `ip` serves.
    pub(super) fn is_reserved(&self, host: HostId, port: u16, ip: IpAddr) -> bool {
        self.bound_on(host, port).any(|(other, id)| {
            let reuses = self.reuse_address(id).unwrap_or(false);
            !reuses && overlap(other, ip)
        })
    }
}
