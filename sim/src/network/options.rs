//! What programs set on TCP sockets. A socket that connects keeps its options; the connections of
//! a listener begin with those that it has.

use std::io::{self, ErrorKind};
use std::time::Duration;

use super::receive::RECEIVE_BUFFER;
use super::send::SEND_BUFFER;
use super::socket::{Kind, SocketId};
use super::{Net, Surroundings};

/// The hops that packets may take unless a program says otherwise, as on Linux.
pub(super) const DEFAULT_TTL: u8 = 64;

/// The smallest buffers that a program gets, as on Linux.
const LEAST_SEND_BUFFER: usize = 4_608;
const LEAST_RECEIVE_BUFFER: usize = 2_304;

/// The largest buffer that a program gets: what an ordinary Linux grants at most.
const MOST_BUFFER: usize = 425_984;

/// The longest that a connection may be silent before it is asked, in seconds, as on Linux.
const LONGEST_KEEPALIVE: u64 = 32_767;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TcpOptions {
    /// Binding does not mind connections of the port.
    pub(super) reuse_address: bool,
    /// Small segments go out although others are in flight.
    pub(super) nodelay: bool,
    /// After how much silence the peer is to be asked. Merely remembered.
    pub(super) keepalive: Option<Duration>,
    /// With zero, closing resets the connection.
    pub(super) linger: Option<Duration>,
    /// Bytes that wait for acknowledgement.
    pub(super) send_buffer: usize,
    /// Bytes that wait to be read.
    pub(super) receive_buffer: usize,
    /// Hops that packets may take. Links have no hops, so it is merely remembered.
    pub(super) ttl: u8,
}

impl Default for TcpOptions {
    fn default() -> TcpOptions {
        TcpOptions {
            reuse_address: false,
            nodelay: false,
            keepalive: None,
            linger: None,
            send_buffer: SEND_BUFFER,
            receive_buffer: RECEIVE_BUFFER,
            ttl: DEFAULT_TTL,
        }
    }
}

/// A number of hops that a packet can take.
fn hops(ttl: u32) -> io::Result<u8> {
    let ttl = u8::try_from(ttl).ok().filter(|ttl| *ttl > 0);
    ttl.ok_or_else(|| ErrorKind::InvalidInput.into())
}

/// Options of TCP sockets, whatever they do. Each call answers `InvalidInput` for other
/// sockets.
impl Net {
    fn tcp_options(&self, socket: SocketId) -> io::Result<&TcpOptions> {
        match &self.held(socket)?.kind {
            Kind::Idle(options) => Ok(options),
            Kind::Listener(listener) => Ok(&listener.options),
            Kind::Stream(stream) => Ok(&stream.options),
            Kind::Udp(_) | Kind::Unix(_) => Err(ErrorKind::InvalidInput.into()),
        }
    }

    /// Changes the options, and has a connection go by them at once.
    fn change_tcp_options(
        &mut self,
        socket: SocketId,
        s: &mut impl Surroundings,
        change: impl FnOnce(&mut TcpOptions),
    ) -> io::Result<()> {
        let entry = self.held_mut(socket)?;
        match &mut entry.kind {
            Kind::Idle(options) => change(options),
            Kind::Listener(listener) => change(&mut listener.options),
            Kind::Stream(stream) => {
                change(&mut stream.options);
                let options = stream.options;
                stream.connection.apply(&options, s.now());
                self.drive(socket, s);
            }
            Kind::Udp(_) | Kind::Unix(_) => return Err(ErrorKind::InvalidInput.into()),
        }
        Ok(())
    }

    /// Whether binding minds no connections of the port.
    ///
    /// # Errors
    /// None but those of every call.
    pub(crate) fn reuse_address(&self, socket: SocketId) -> io::Result<bool> {
        Ok(self.tcp_options(socket)?.reuse_address)
    }

    /// Sets what [`Net::reuse_address`] answers.
    ///
    /// # Errors
    /// None but those of every call.
    pub(crate) fn set_reuse_address(
        &mut self,
        socket: SocketId,
        reuse: bool,
        s: &mut impl Surroundings,
    ) -> io::Result<()> {
        self.change_tcp_options(socket, s, |options| options.reuse_address = reuse)
    }

    /// Whether small segments are sent at once.
    ///
    /// # Errors
    /// None but those of every call.
    pub(crate) fn nodelay(&self, socket: SocketId) -> io::Result<bool> {
        Ok(self.tcp_options(socket)?.nodelay)
    }

    /// Whether small segments are to be sent at once, or wait while others are in flight.
    ///
    /// # Errors
    /// None but those of every call.
    pub(crate) fn set_nodelay(
        &mut self,
        socket: SocketId,
        nodelay: bool,
        s: &mut impl Surroundings,
    ) -> io::Result<()> {
        self.change_tcp_options(socket, s, |options| options.nodelay = nodelay)
    }

    /// How many hops its packets may take.
    ///
    /// # Errors
    /// None but those of every call.
    pub(crate) fn ttl(&self, socket: SocketId) -> io::Result<u32> {
        match &self.held(socket)?.kind {
            Kind::Udp(udp) => Ok(udp.ttl.into()),
            _ => Ok(self.tcp_options(socket)?.ttl.into()),
        }
    }

    /// Sets what [`Net::ttl`] answers, of a UDP socket too.
    ///
    /// # Errors
    /// `InvalidInput` unless it is in `1..=255`.
    pub(crate) fn set_ttl(
        &mut self,
        socket: SocketId,
        ttl: u32,
        s: &mut impl Surroundings,
    ) -> io::Result<()> {
        let ttl = hops(ttl)?;
        if let Kind::Udp(udp) = &mut self.held_mut(socket)?.kind {
            udp.ttl = ttl;
            return Ok(());
        }
        self.change_tcp_options(socket, s, |options| options.ttl = ttl)
    }

    /// What [`Net::set_linger`] has set.
    ///
    /// # Errors
    /// None but those of every call.
    pub(crate) fn linger(&self, socket: SocketId) -> io::Result<Option<Duration>> {
        Ok(self.tcp_options(socket)?.linger)
    }

    /// With zero, closing resets the connection. Other values change nothing: a non-blocking
    /// socket does not wait in close.
    ///
    /// # Errors
    /// None but those of every call.
    pub(crate) fn set_linger(
        &mut self,
        socket: SocketId,
        linger: Option<Duration>,
        s: &mut impl Surroundings,
    ) -> io::Result<()> {
        self.change_tcp_options(socket, s, |options| options.linger = linger)
    }

    /// What [`Net::set_keepalive`] has set.
    ///
    /// # Errors
    /// None but those of every call.
    pub(crate) fn keepalive(&self, socket: SocketId) -> io::Result<Option<Duration>> {
        Ok(self.tcp_options(socket)?.keepalive)
    }

    /// Sets after how much silence the peer would be asked, to the second.
    ///
    /// # Errors
    /// `InvalidInput` for less than a second or more than 32,767.
    pub(crate) fn set_keepalive(
        &mut self,
        socket: SocketId,
        keepalive: Option<Duration>,
        s: &mut impl Surroundings,
    ) -> io::Result<()> {
        if keepalive.is_some_and(|time| !(1..=LONGEST_KEEPALIVE).contains(&time.as_secs())) {
            return Err(ErrorKind::InvalidInput.into());
        }
        let keepalive = keepalive.map(|time| Duration::from_secs(time.as_secs()));
        self.change_tcp_options(socket, s, |options| options.keepalive = keepalive)
    }

    /// How many bytes wait for acknowledgement before a write blocks.
    ///
    /// # Errors
    /// None but those of every call.
    pub(crate) fn send_buffer(&self, socket: SocketId) -> io::Result<usize> {
        Ok(self.tcp_options(socket)?.send_buffer)
    }

    /// Sets what [`Net::send_buffer`] answers, within what can be had.
    ///
    /// # Errors
    /// None but those of every call.
    pub(crate) fn set_send_buffer(
        &mut self,
        socket: SocketId,
        size: usize,
        s: &mut impl Surroundings,
    ) -> io::Result<()> {
        let size = size.clamp(LEAST_SEND_BUFFER, MOST_BUFFER);
        self.change_tcp_options(socket, s, |options| options.send_buffer = size)
    }

    /// How many bytes wait to be read before the peer is held back.
    ///
    /// # Errors
    /// None but those of every call.
    pub(crate) fn receive_buffer(&self, socket: SocketId) -> io::Result<usize> {
        Ok(self.tcp_options(socket)?.receive_buffer)
    }

    /// Sets what [`Net::receive_buffer`] answers, within what can be had. A window that the peer
    /// was told is not taken back.
    ///
    /// # Errors
    /// None but those of every call.
    pub(crate) fn set_receive_buffer(
        &mut self,
        socket: SocketId,
        size: usize,
        s: &mut impl Surroundings,
    ) -> io::Result<()> {
        let size = size.clamp(LEAST_RECEIVE_BUFFER, MOST_BUFFER);
        self.change_tcp_options(socket, s, |options| options.receive_buffer = size)
    }
}
