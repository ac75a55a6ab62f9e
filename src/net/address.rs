//! What programs write for an address.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// What can be bound or connected to: addresses, or a host's name with a port.
///
/// | type | example |
/// |---|---|
/// | `str`, `String` | `"127.0.0.1:80"`, `"[::1]:80"`, `"localhost:80"` |
/// | `(&str, u16)`, `(String, u16)` | `("localhost", 80)` |
/// | [`SocketAddr`], [`SocketAddrV4`], [`SocketAddrV6`] | |
/// | `(IpAddr, u16)`, `(Ipv4Addr, u16)`, `(Ipv6Addr, u16)` | |
/// | `[SocketAddr]`, `[SocketAddr; N]`, `Vec<SocketAddr>` | tried in their order |
/// | a reference to any of these | |
///
/// It is not `std`'s trait of this name: that one resolves a name where it is called, which blocks
/// a worker, and which no simulation can see. This one is sealed.
pub trait ToSocketAddrs: sealed::Sealed {}

pub(super) mod sealed {
    use super::Target;

    pub trait Sealed {
        /// # Errors
        /// `InvalidInput`, naming what is no address.
        fn target(&self) -> std::io::Result<Target>;
    }
}

use sealed::Sealed;

/// What an address comes to before names are resolved.
#[derive(Debug, PartialEq, Eq)]
pub enum Target {
    /// One address at least.
    Addresses(Vec<SocketAddr>),
    /// A name that is to be resolved.
    Name { host: String, port: u16 },
}

fn invalid(text: String) -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, text)
}

/// A host that stands alone, or before the last colon of `whole`.
fn host_and_port(host: &str, port: u16, whole: &str) -> io::Result<Target> {
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let plain = bracketed.unwrap_or(host);
    if let Ok(address) = plain.parse::<IpAddr>()
        && (bracketed.is_none() || address.is_ipv6())
    {
        return Ok(Target::Addresses(vec![SocketAddr::new(address, port)]));
    }
    // `fe80::1%eth0` is an IPv6 address with a scope, which the resolver knows.
    let is_scoped = plain.contains(':') && plain.contains('%');
    let is_name = bracketed.is_none()
        && !plain.contains(|character: char| {
            character == ':' || character.is_whitespace() || character.is_control()
        });
    if plain.is_empty() || !(is_scoped || is_name) {
        return Err(invalid(format!(
            "`{host}` in `{whole}` is neither a host's name nor an address"
        )));
    }
    Ok(Target::Name { host: plain.to_owned(), port })
}

impl ToSocketAddrs for str {}

impl Sealed for str {
    fn target(&self) -> io::Result<Target> {
        if let Ok(address) = self.parse::<SocketAddr>() {
            return Ok(Target::Addresses(vec![address]));
        }
        let (host, port) = self.rsplit_once(':').ok_or_else(|| {
            invalid(format!("`{self}` has no port: expected `host:port`, as in `localhost:80`"))
        })?;
        let number = port.parse::<u16>().map_err(|_| {
            invalid(format!("`{port}` in `{self}` is not a port, a number from 0 to 65535"))
        })?;
        if host.parse::<Ipv6Addr>().is_ok() {
            return Err(invalid(format!(
                "`{self}` is ambiguous: an IPv6 address before a port takes brackets, as in \
                 `[::1]:80`"
            )));
        }
        host_and_port(host, number, self)
    }
}

impl ToSocketAddrs for String {}

impl Sealed for String {
    fn target(&self) -> io::Result<Target> {
        self.as_str().target()
    }
}

impl ToSocketAddrs for (&str, u16) {}

impl Sealed for (&str, u16) {
    fn target(&self) -> io::Result<Target> {
        host_and_port(self.0, self.1, self.0)
    }
}

impl ToSocketAddrs for (String, u16) {}

impl Sealed for (String, u16) {
    fn target(&self) -> io::Result<Target> {
        (self.0.as_str(), self.1).target()
    }
}

macro_rules! single_addresses {
    ($($type:ty),+) => {$(
        impl ToSocketAddrs for $type {}

        impl Sealed for $type {
            fn target(&self) -> io::Result<Target> {
                Ok(Target::Addresses(vec![SocketAddr::from(*self)]))
            }
        }
    )+};
}

single_addresses!(
    SocketAddr,
    SocketAddrV4,
    SocketAddrV6,
    (IpAddr, u16),
    (Ipv4Addr, u16),
    (Ipv6Addr, u16)
);

impl ToSocketAddrs for [SocketAddr] {}

impl Sealed for [SocketAddr] {
    fn target(&self) -> io::Result<Target> {
        match self {
            [] => Err(invalid("the list of addresses is empty".to_owned())),
            addresses => Ok(Target::Addresses(addresses.to_vec())),
        }
    }
}

impl<const N: usize> ToSocketAddrs for [SocketAddr; N] {}

impl<const N: usize> Sealed for [SocketAddr; N] {
    fn target(&self) -> io::Result<Target> {
        self.as_slice().target()
    }
}

impl ToSocketAddrs for Vec<SocketAddr> {}

impl Sealed for Vec<SocketAddr> {
    fn target(&self) -> io::Result<Target> {
        self.as_slice().target()
    }
}

impl<T: ToSocketAddrs + ?Sized> ToSocketAddrs for &T {}

impl<T: Sealed + ?Sized> Sealed for &T {
    fn target(&self) -> io::Result<Target> {
        (**self).target()
    }
}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Target {
        let parse = |text: &&str| text.parse().expect("the test writes an address");
        Target::Addresses(texts.iter().map(parse).collect())
    }

    fn name(host: &str, port: u16) -> Target {
        Target::Name { host: host.to_owned(), port }
    }

    fn target(address: impl ToSocketAddrs) -> Target {
        address.target().expect("the address is valid")
    }

    #[test]
    fn addresses_are_taken_as_they_are() {
        let four: SocketAddr = "10.0.0.1:80".parse().unwrap();
        let six: SocketAddr = "[::1]:80".parse().unwrap();
        assert_eq!(target("10.0.0.1:80"), addresses(&["10.0.0.1:80"]));
        assert_eq!(target(String::from("[::1]:80")), addresses(&["[::1]:80"]));
        assert_eq!(target(("10.0.0.1", 80)), addresses(&["10.0.0.1:80"]));
        assert_eq!(target(("::1", 80)), addresses(&["[::1]:80"]));
        assert_eq!(target(("[::1]", 80)), addresses(&["[::1]:80"]));
        assert_eq!(target(four), addresses(&["10.0.0.1:80"]));
        assert_eq!(target((six.ip(), 80)), addresses(&["[::1]:80"]));
        assert_eq!(target((Ipv4Addr::LOCALHOST, 0)), addresses(&["127.0.0.1:0"]));
        assert_eq!(target([four, six]), addresses(&["10.0.0.1:80", "[::1]:80"]));
        assert_eq!(target(&[six, four][..]), addresses(&["[::1]:80", "10.0.0.1:80"]));
    }

    #[test]
    fn names_are_left_to_be_resolved() {
        assert_eq!(target("localhost:80"), name("localhost", 80));
        assert_eq!(target(("example.org", 443)), name("example.org", 443));
        assert_eq!(target((String::from("server"), 1)), name("server", 1));
        assert_eq!(target("[fe80::1%eth0]:80"), name("fe80::1%eth0", 80));
    }

    #[test]
    fn what_is_no_address_is_named() {
        let refused = |address: &dyn Fn() -> io::Result<Target>| {
            let error = address().expect_err("this is no address");
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            error.to_string()
        };
        for text in [
            "",
            "localhost",
            "localhost:",
            "localhost:http",
            "localhost:65536",
            ":80",
            "::1:80",
            "[::1:80",
            "[127.0.0.1]:80",
            "two words:80",
            "http://server:80",
            "nul\0:80",
        ] {
            let error = refused(&|| text.target());
            assert!(error.contains(&format!("`{text}`")), "{error}");
        }
        for host in ["", "localhost:80", "[server]", "a b"] {
            let error = refused(&|| (host, 80).target());
            assert!(error.contains(&format!("`{host}`")), "{error}");
        }
        let none: &[SocketAddr] = &[];
        assert!(refused(&|| none.target()).contains("empty"));
    }
}
