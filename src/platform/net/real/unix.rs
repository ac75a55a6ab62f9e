//! Unix sockets on the real machine.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::SocketAddr;
use std::path::Path;

use socket2::SockRef;

use super::{Registrar, Source, register};
use crate::platform::net::{StdUnixDatagram, StdUnixListener, StdUnixStream};

/// Copies what receiving would give, which neither std nor mio does for Unix sockets.
fn peek(socket: &impl AsFd, buffer: &mut [u8]) -> io::Result<usize> {
    let bytes: *mut [u8] = buffer;
    // SAFETY: both slices are of bytes, of the same length, and the first is not used as long as
    // the second lives. The second makes no byte of the first uninitialised: `peek` promises to
    // write none that are.
    let bytes = unsafe { &mut *(bytes as *mut [MaybeUninit<u8>]) };
    SockRef::from(socket).peek(bytes)
}

/// A Unix socket that connections come to. None of its calls blocks.
pub struct UnixListener(mio::net::UnixListener);

impl UnixListener {
    /// A listener at `path`, where it makes a file.
    ///
    /// # Errors
    /// What the system says, such as `AddrInUse` for a path that is there.
    pub fn bind(path: &Path) -> io::Result<UnixListener> {
        mio::net::UnixListener::bind(path).map(UnixListener)
    }

    /// A listener that std made.
    ///
    /// # Errors
    /// If it cannot be told not to block.
    pub fn from_std(listener: StdUnixListener) -> io::Result<UnixListener> {
        listener.set_nonblocking(true)?;
        Ok(UnixListener(mio::net::UnixListener::from_std(listener)))
    }

    /// The listener as std has it; it still does not block.
    ///
    /// # Errors
    /// None on the real machine.
    pub fn into_std(self) -> io::Result<StdUnixListener> {
        Ok(self.0.into())
    }

    /// The next connection, and its peer.
    ///
    /// # Errors
    /// `WouldBlock` if there is none; else what the system says.
    pub fn accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        self.0.accept().map(|(stream, peer)| (UnixStream(stream), peer))
    }

    /// The address that it listens on.
    ///
    /// # Errors
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// The error that waits on the socket, once.
    ///
    /// # Errors
    /// If it cannot be asked for.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.0.take_error()
    }
}

/// A connection within the machine. None of its calls blocks.
pub struct UnixStream(mio::net::UnixStream);

impl UnixStream {
    /// Begins to connect, as [`TcpStream::connect`](super::TcpStream::connect).
    ///
    /// # Errors
    /// What the system says at once: on Linux, `WouldBlock` if the listener's queue is full.
    pub fn connect(path: &Path) -> io::Result<UnixStream> {
        mio::net::UnixStream::connect(path).map(UnixStream)
    }

    /// Both ends of a connection.
    ///
    /// # Errors
    /// If the system has none to give.
    pub fn pair() -> io::Result<(UnixStream, UnixStream)> {
        let (first, second) = mio::net::UnixStream::pair()?;
        Ok((UnixStream(first), UnixStream(second)))
    }

    /// A stream that std made.
    ///
    /// # Errors
    /// If it cannot be told not to block.
    pub fn from_std(stream: StdUnixStream) -> io::Result<UnixStream> {
        stream.set_nonblocking(true)?;
        Ok(UnixStream(mio::net::UnixStream::from_std(stream)))
    }

    /// The stream as std has it; it still does not block.
    ///
    /// # Errors
    /// None on the real machine.
    pub fn into_std(self) -> io::Result<StdUnixStream> {
        Ok(self.0.into())
    }

    /// Reads what has arrived; 0 is the end.
    ///
    /// # Errors
    /// `WouldBlock` if nothing has; else what the system says.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        (&self.0).read(buffer)
    }

    /// Reads what has arrived into one buffer after the other.
    ///
    /// # Errors
    /// As [`UnixStream::read`].
    pub fn read_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&self.0).read_vectored(buffers)
    }

    /// Copies what [`UnixStream::read`] would read, and leaves it there.
    ///
    /// # Errors
    /// As [`UnixStream::read`].
    pub fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        peek(&self.0, buffer)
    }

    /// Sends as many of `bytes` as there is room for.
    ///
    /// # Errors
    /// `WouldBlock` if there is none; else what the system says.
    pub fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        (&self.0).write(bytes)
    }

    /// Sends as many bytes of one slice after the other as there is room for.
    ///
    /// # Errors
    /// As [`UnixStream::write`].
    pub fn write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        (&self.0).write_vectored(slices)
    }

    /// Ends one direction or both.
    ///
    /// # Errors
    /// What the system says.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.0.shutdown(how)
    }

    /// The error that waits on the socket, once.
    ///
    /// # Errors
    /// If it cannot be asked for.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.0.take_error()
    }

    /// The address of this end.
    ///
    /// # Errors
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// The address of the other end.
    ///
    /// # Errors
    /// `NotConnected` while there is none; else what the system says.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.peer_addr()
    }
}

/// A Unix socket for datagrams. None of its calls blocks.
pub struct UnixDatagram(mio::net::UnixDatagram);

impl UnixDatagram {
    /// A socket at `path`, where it makes a file.
    ///
    /// # Errors
    /// What the system says, such as `AddrInUse` for a path that is there.
    pub fn bind(path: &Path) -> io::Result<UnixDatagram> {
        mio::net::UnixDatagram::bind(path).map(UnixDatagram)
    }

    /// A socket without a path.
    ///
    /// # Errors
    /// If the system has none to give.
    pub fn unbound() -> io::Result<UnixDatagram> {
        mio::net::UnixDatagram::unbound().map(UnixDatagram)
    }

    /// Two sockets that are connected to each other.
    ///
    /// # Errors
    /// If the system has none to give.
    pub fn pair() -> io::Result<(UnixDatagram, UnixDatagram)> {
        let (first, second) = mio::net::UnixDatagram::pair()?;
        Ok((UnixDatagram(first), UnixDatagram(second)))
    }

    /// A socket that std made.
    ///
    /// # Errors
    /// If it cannot be told not to block.
    pub fn from_std(socket: StdUnixDatagram) -> io::Result<UnixDatagram> {
        socket.set_nonblocking(true)?;
        Ok(UnixDatagram(mio::net::UnixDatagram::from_std(socket)))
    }

    /// The socket as std has it; it still does not block.
    ///
    /// # Errors
    /// None on the real machine.
    pub fn into_std(self) -> io::Result<StdUnixDatagram> {
        Ok(self.0.into())
    }

    /// Sends to `path` and receives from there alone, from now on.
    ///
    /// # Errors
    /// What the system says.
    pub fn connect(&self, path: &Path) -> io::Result<()> {
        self.0.connect(path)
    }

    /// Sends a datagram to the peer.
    ///
    /// # Errors
    /// `WouldBlock` if there is no room; else what the system says.
    pub fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send(bytes)
    }

    /// Sends a datagram to `path`.
    ///
    /// # Errors
    /// As [`UnixDatagram::send`].
    pub fn send_to(&self, bytes: &[u8], path: &Path) -> io::Result<usize> {
        self.0.send_to(bytes, path)
    }

    /// Receives the next datagram: how much of it `buffer` holds.
    ///
    /// # Errors
    /// `WouldBlock` if none is here; else what the system says.
    pub fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.recv(buffer)
    }

    /// Receives the next datagram, and tells where it came from.
    ///
    /// # Errors
    /// As [`UnixDatagram::recv`].
    pub fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.0.recv_from(buffer)
    }

    /// As [`UnixDatagram::recv`], but the datagram stays to be received.
    ///
    /// # Errors
    /// As there.
    pub fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        peek(&self.0, buffer)
    }

    /// The error that waits on the socket, once.
    ///
    /// # Errors
    /// If it cannot be asked for.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.0.take_error()
    }

    /// The address of the socket.
    ///
    /// # Errors
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// The address that it is connected to.
    ///
    /// # Errors
    /// `NotConnected` if it is not.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.peer_addr()
    }
}

macro_rules! sources {
    ($($type:ty, $ends:literal;)+) => {$(
        impl Source for $type {
            const ENDS: bool = $ends;

            fn register(&mut self, registrar: &Registrar, token: usize) -> io::Result<()> {
                register(&mut self.0, registrar, token)
            }

            fn deregister(&mut self, registrar: &Registrar) -> io::Result<()> {
                registrar.0.deregister(&mut self.0)
            }
        }

        impl AsFd for $type {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.0.as_fd()
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )+};
}

sources! {
    UnixListener, true;
    UnixStream, true;
    UnixDatagram, false;
}
