//! Unix sockets of either world.

use std::fmt;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::SocketAddr;
use std::path::{Path, PathBuf};

use volt_sim::net;

use super::{Registrar, Source, World, check_thread, deregister, not_in_std, register};
use super::{call, pass_on};
use crate::platform::net::{StdUnixDatagram, StdUnixListener, StdUnixStream, real};
use crate::platform::thread::is_simulated;

/// The address that a simulated socket's path makes; without one, that of a socket without a name.
fn address(path: Option<PathBuf>) -> io::Result<SocketAddr> {
    SocketAddr::from_pathname(path.unwrap_or_default())
}

/// Refuses what is no path for a socket as the real machine does: one that is too long, or has a
/// zero byte.
fn checked(path: &Path) -> io::Result<&Path> {
    if path.as_os_str().is_empty() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "the path of a socket is empty"));
    }
    SocketAddr::from_pathname(path)?;
    Ok(path)
}

/// Calls that tell an address, which simulated sockets know as a path.
macro_rules! addresses {
    ($($(#[$attribute:meta])* fn $name:ident;)+) => {$(
        $(#[$attribute])*
        #[track_caller]
        pub fn $name(&self) -> io::Result<SocketAddr> {
            match &self.0 {
                World::Real(socket) => {
                    check_thread()?;
                    socket.$name()
                }
                World::Simulated(socket) => address(socket.$name()?),
            }
        }
    )+};
}

/// A Unix socket that connections come to. None of its calls blocks.
pub struct UnixListener(World<real::UnixListener, net::UnixListener>);

impl UnixListener {
    /// A listener at `path`, where it makes a file on the real machine.
    ///
    /// # Errors
    /// What the system says, such as `AddrInUse` for a path that is there.
    #[track_caller]
    pub fn bind(path: &Path) -> io::Result<UnixListener> {
        Ok(UnixListener(match is_simulated() {
            true => World::Simulated(net::UnixListener::bind(checked(path)?)?),
            false => World::Real(real::UnixListener::bind(path)?),
        }))
    }

    /// A listener that std made.
    ///
    /// # Errors
    /// If it cannot be told not to block; on a simulated thread, `Unsupported`.
    pub fn from_std(listener: StdUnixListener) -> io::Result<UnixListener> {
        check_thread()?;
        real::UnixListener::from_std(listener).map(World::Real).map(UnixListener)
    }

    /// The listener as std has it; it still does not block.
    ///
    /// # Errors
    /// `Unsupported` for a simulated one.
    pub fn into_std(self) -> io::Result<StdUnixListener> {
        match self.0 {
            World::Real(listener) => listener.into_std(),
            World::Simulated(_) => Err(not_in_std()),
        }
    }

    /// The next connection, and its peer.
    ///
    /// # Errors
    /// `WouldBlock` if there is none; else what the system says.
    #[track_caller]
    pub fn accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        match &self.0 {
            World::Real(listener) => {
                check_thread()?;
                listener.accept().map(|(stream, peer)| (UnixStream(World::Real(stream)), peer))
            }
            World::Simulated(listener) => {
                let stream = listener.accept()?;
                Ok((UnixStream(World::Simulated(stream)), address(None)?))
            }
        }
    }

    addresses! {
        /// The address that it listens on.
        ///
        /// # Errors
        /// What the system says.
        fn local_addr;
    }

    pass_on! {
        /// The error that waits on the socket, once.
        ///
        /// # Errors
        /// If it cannot be asked for.
        fn take_error(&self) -> Option<io::Error>;
    }
}

/// A connection within a machine. None of its calls blocks.
pub struct UnixStream(World<real::UnixStream, net::UnixStream>);

impl UnixStream {
    /// Begins to connect, as [`TcpStream::connect`](super::TcpStream::connect).
    ///
    /// # Errors
    /// What the system says at once, such as `WouldBlock` if the listener's queue is full.
    #[track_caller]
    pub fn connect(path: &Path) -> io::Result<UnixStream> {
        Ok(UnixStream(match is_simulated() {
            true => World::Simulated(net::UnixStream::connect(checked(path)?)?),
            false => World::Real(real::UnixStream::connect(path)?),
        }))
    }

    /// Both ends of a connection.
    ///
    /// # Errors
    /// If the system has none to give.
    #[track_caller]
    pub fn pair() -> io::Result<(UnixStream, UnixStream)> {
        if is_simulated() {
            let (first, second) = net::UnixStream::pair()?;
            return Ok((UnixStream(World::Simulated(first)), UnixStream(World::Simulated(second))));
        }
        let (first, second) = real::UnixStream::pair()?;
        Ok((UnixStream(World::Real(first)), UnixStream(World::Real(second))))
    }

    /// A stream that std made.
    ///
    /// # Errors
    /// If it cannot be told not to block; on a simulated thread, `Unsupported`.
    pub fn from_std(stream: StdUnixStream) -> io::Result<UnixStream> {
        check_thread()?;
        real::UnixStream::from_std(stream).map(World::Real).map(UnixStream)
    }

    /// The stream as std has it; it still does not block.
    ///
    /// # Errors
    /// `Unsupported` for a simulated one.
    pub fn into_std(self) -> io::Result<StdUnixStream> {
        match self.0 {
            World::Real(stream) => stream.into_std(),
            World::Simulated(_) => Err(not_in_std()),
        }
    }

    /// Reads what has arrived into one buffer after the other.
    ///
    /// # Errors
    /// As [`UnixStream::read`].
    #[track_caller]
    pub fn read_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        match &self.0 {
            World::Real(stream) => {
                check_thread()?;
                stream.read_vectored(buffers)
            }
            World::Simulated(stream) => {
                // One call, so that one answer holds for all buffers.
                let length: usize = buffers.iter().map(|buffer| buffer.len()).sum();
                let mut bytes = vec![0; length];
                let count = stream.read(&mut bytes)?;
                let mut rest = &bytes[..count];
                for buffer in buffers {
                    let (part, behind) = rest.split_at(rest.len().min(buffer.len()));
                    buffer[..part.len()].copy_from_slice(part);
                    rest = behind;
                }
                Ok(count)
            }
        }
    }

    /// Sends as many bytes of one slice after the other as there is room for.
    ///
    /// # Errors
    /// As [`UnixStream::write`].
    #[track_caller]
    pub fn write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match &self.0 {
            World::Real(stream) => {
                check_thread()?;
                stream.write_vectored(slices)
            }
            World::Simulated(stream) => {
                let bytes: Vec<u8> =
                    slices.iter().flat_map(|slice| slice.iter().copied()).collect();
                stream.write(&bytes)
            }
        }
    }

    pass_on! {
        /// Reads what has arrived; 0 is the end.
        ///
        /// # Errors
        /// `WouldBlock` if nothing has; else what the system says.
        fn read(&self, buffer: &mut [u8]) -> usize;

        /// Copies what [`UnixStream::read`] would read, and leaves it there.
        ///
        /// # Errors
        /// As [`UnixStream::read`].
        fn peek(&self, buffer: &mut [u8]) -> usize;

        /// Sends as many of `bytes` as there is room for.
        ///
        /// # Errors
        /// `WouldBlock` if there is none; else what the system says.
        fn write(&self, bytes: &[u8]) -> usize;

        /// Ends one direction or both.
        ///
        /// # Errors
        /// What the system says.
        fn shutdown(&self, how: Shutdown) -> ();

        /// The error that waits on the socket, once.
        ///
        /// # Errors
        /// If it cannot be asked for.
        fn take_error(&self) -> Option<io::Error>;
    }

    addresses! {
        /// The address of this end.
        ///
        /// # Errors
        /// What the system says.
        fn local_addr;

        /// The address of the other end.
        ///
        /// # Errors
        /// `NotConnected` while there is none; else what the system says.
        fn peer_addr;
    }
}

/// A Unix socket for datagrams. None of its calls blocks.
pub struct UnixDatagram(World<real::UnixDatagram, net::UnixDatagram>);

impl UnixDatagram {
    /// A socket at `path`, where it makes a file on the real machine.
    ///
    /// # Errors
    /// What the system says, such as `AddrInUse` for a path that is there.
    #[track_caller]
    pub fn bind(path: &Path) -> io::Result<UnixDatagram> {
        Ok(UnixDatagram(match is_simulated() {
            true => World::Simulated(net::UnixDatagram::bind(checked(path)?)?),
            false => World::Real(real::UnixDatagram::bind(path)?),
        }))
    }

    /// A socket without a path.
    ///
    /// # Errors
    /// If the system has none to give.
    #[track_caller]
    pub fn unbound() -> io::Result<UnixDatagram> {
        Ok(UnixDatagram(match is_simulated() {
            true => World::Simulated(net::UnixDatagram::unbound()?),
            false => World::Real(real::UnixDatagram::unbound()?),
        }))
    }

    /// Two sockets that are connected to each other.
    ///
    /// # Errors
    /// If the system has none to give.
    #[track_caller]
    pub fn pair() -> io::Result<(UnixDatagram, UnixDatagram)> {
        if is_simulated() {
            let (first, second) = net::UnixDatagram::pair()?;
            return Ok((
                UnixDatagram(World::Simulated(first)),
                UnixDatagram(World::Simulated(second)),
            ));
        }
        let (first, second) = real::UnixDatagram::pair()?;
        Ok((UnixDatagram(World::Real(first)), UnixDatagram(World::Real(second))))
    }

    /// A socket that std made.
    ///
    /// # Errors
    /// If it cannot be told not to block; on a simulated thread, `Unsupported`.
    pub fn from_std(socket: StdUnixDatagram) -> io::Result<UnixDatagram> {
        check_thread()?;
        real::UnixDatagram::from_std(socket).map(World::Real).map(UnixDatagram)
    }

    /// The socket as std has it; it still does not block.
    ///
    /// # Errors
    /// `Unsupported` for a simulated one.
    pub fn into_std(self) -> io::Result<StdUnixDatagram> {
        match self.0 {
            World::Real(socket) => socket.into_std(),
            World::Simulated(_) => Err(not_in_std()),
        }
    }

    /// Receives the next datagram, and tells where it came from.
    ///
    /// # Errors
    /// As [`UnixDatagram::recv`].
    #[track_caller]
    pub fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        match &self.0 {
            World::Real(socket) => {
                check_thread()?;
                socket.recv_from(buffer)
            }
            World::Simulated(socket) => {
                let (count, source) = socket.recv_from(buffer)?;
                Ok((count, address(source)?))
            }
        }
    }

    pass_on! {
        /// Sends to `path` and receives from there alone, from now on.
        ///
        /// # Errors
        /// What the system says.
        fn connect(&self, path: &Path) -> ();

        /// Sends a datagram to the peer.
        ///
        /// # Errors
        /// `WouldBlock` if there is no room; else what the system says.
        fn send(&self, bytes: &[u8]) -> usize;

        /// Sends a datagram to `path`.
        ///
        /// # Errors
        /// As [`UnixDatagram::send`].
        fn send_to(&self, bytes: &[u8], path: &Path) -> usize;

        /// Receives the next datagram: how much of it `buffer` holds.
        ///
        /// # Errors
        /// `WouldBlock` if none is here; else what the system says.
        fn recv(&self, buffer: &mut [u8]) -> usize;

        /// As [`UnixDatagram::recv`], but the datagram stays to be received.
        ///
        /// # Errors
        /// As there.
        fn peek(&self, buffer: &mut [u8]) -> usize;

        /// The error that waits on the socket, once.
        ///
        /// # Errors
        /// If it cannot be asked for.
        fn take_error(&self) -> Option<io::Error>;
    }

    addresses! {
        /// The address of the socket.
        ///
        /// # Errors
        /// What the system says.
        fn local_addr;

        /// The address that it is connected to.
        ///
        /// # Errors
        /// `NotConnected` if it is not.
        fn peer_addr;
    }
}

macro_rules! sources {
    ($($name:ident),+) => {$(
        impl Source for $name {
            const ENDS: bool = <real::$name as real::Source>::ENDS;

            #[track_caller]
            fn register(&mut self, registrar: &Registrar, token: usize) -> io::Result<()> {
                register(&mut self.0, registrar, token)
            }

            #[track_caller]
            fn deregister(&mut self, registrar: &Registrar) -> io::Result<()> {
                deregister(&mut self.0, registrar)
            }
        }

        impl AsFd for $name {
            /// # Panics
            /// For a simulated socket, which has no descriptor.
            #[track_caller]
            fn as_fd(&self) -> BorrowedFd<'_> {
                match &self.0 {
                    World::Real(socket) => socket.as_fd(),
                    World::Simulated(_) => panic!("a simulated socket has no descriptor"),
                }
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name))
                    .field("world", &self.0.name())
                    .finish_non_exhaustive()
            }
        }
    )+};
}

sources!(UnixListener, UnixStream, UnixDatagram);
