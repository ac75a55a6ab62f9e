//! A connection.

use std::fmt;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::SocketAddr;
use std::panic::Location;
use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::halves::{ReadHalf, WriteHalf};
use super::owned_halves::{OwnedReadHalf, OwnedWriteHalf};
use super::{Connect, Peek, Read, ReadExact, ReadOwned, ReadVectored, Readiness};
use super::{Write, WriteAll, WriteOwned, WriteVectored};
use crate::driver::{Direction, Driver, Registration};
use crate::net::operation::{Operation, Request};
use crate::platform::net as system;
use crate::runtime::Io;

/// A connection between two programs of one machine.
///
/// Its operations take `&self`: one task may read it while another one writes, and several may do
/// either, without halves or locks. Dropping it closes the connection; if it leaves bytes unread,
/// the peer's next read fails with `ConnectionReset` on Linux and in a simulation.
///
/// Reading gives 0 bytes at the end, when the peer has closed its writing direction. When the
/// runtime has shut down, whatever waits fails with an error that says so.
///
/// ```
/// use volt::net::UnixStream;
///
/// volt::run(|io| async move {
///     let (first, second) = UnixStream::pair(&io)?;
///     first.write_all(b"hello").await?;
///     let mut greeting = [0; 5];
///     second.read_exact(&mut greeting).await?;
///     assert_eq!(&greeting, b"hello");
///     Ok::<(), std::io::Error>(())
/// })
/// .unwrap();
/// ```
pub struct UnixStream {
    registration: Registration<system::UnixStream>,
}

impl UnixStream {
    /// Connects to the listener at `path`. It need not have accepted by then.
    ///
    /// Cancel safety: dropping the future gives the attempt up.
    ///
    /// # Errors
    /// `NotFound` if nothing is at `path`; `ConnectionRefused` if only a listener's file is left;
    /// `InvalidInput` for a path that is too long for a socket; on Linux and in a simulation
    /// `WouldBlock` if too many connections wait to be accepted.
    ///
    /// ```
    /// use volt::net::UnixStream;
    ///
    /// volt::run(|io| async move {
    ///     let error = UnixStream::connect(&io, "/nothing/is/here").await.unwrap_err();
    ///     assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    /// });
    /// ```
    #[track_caller]
    pub fn connect(io: &Io, path: impl AsRef<Path>) -> Connect {
        Connect::new(io, path.as_ref(), Location::caller())
    }

    /// Both ends of a connection that has no path.
    ///
    /// # Errors
    /// If the system has none to give; if the runtime has shut down.
    #[track_caller]
    pub fn pair(io: &Io) -> io::Result<(UnixStream, UnixStream)> {
        let (first, second) = system::UnixStream::pair()?;
        let driver = io.scheduler().driver();
        Ok((UnixStream::register(driver, first)?, UnixStream::register(driver, second)?))
    }

    /// Takes over a connected stream of the standard library, which becomes non-blocking.
    ///
    /// # Errors
    /// If the system refuses to watch it; `Unsupported` in a simulation, which has no sockets of
    /// the system.
    pub fn from_std(io: &Io, stream: system::StdUnixStream) -> io::Result<UnixStream> {
        let socket = system::UnixStream::from_std(stream)?;
        UnixStream::register(io.scheduler().driver(), socket)
    }

    /// Gives the stream to the standard library. It stays non-blocking: call `set_nonblocking` to
    /// read and write it in the ordinary way.
    ///
    /// # Errors
    /// `Unsupported` in a simulation.
    pub fn into_std(self) -> io::Result<system::StdUnixStream> {
        self.registration.into_source()?.into_std()
    }

    pub(super) fn register(
        driver: &Arc<Driver>,
        socket: system::UnixStream,
    ) -> io::Result<UnixStream> {
        Ok(UnixStream { registration: driver.register(socket)? })
    }

    /// Reads what is there, at most as much as `buffer` holds, and waits if there is nothing; 0 is
    /// the end.
    ///
    /// Cancel safety: a dropped read has read nothing.
    ///
    /// # Errors
    /// What ended the connection, such as `ConnectionReset`.
    #[track_caller]
    pub fn read<'a>(&'a self, buffer: &'a mut [u8]) -> Read<'a> {
        Read { operation: self.operation(Direction::Read), buffer }
    }

    /// As [`read`](UnixStream::read), into several buffers, one after the other.
    ///
    /// Cancel safety: a dropped read has read nothing.
    ///
    /// # Errors
    /// As [`read`](UnixStream::read).
    #[track_caller]
    pub fn read_vectored<'a, 'b>(
        &'a self,
        buffers: &'a mut [IoSliceMut<'b>],
    ) -> ReadVectored<'a, 'b> {
        ReadVectored { operation: self.operation(Direction::Read), buffers }
    }

    /// As [`read`](UnixStream::read), but the bytes stay to be read.
    ///
    /// Cancel safety: nothing is lost.
    ///
    /// # Errors
    /// As [`read`](UnixStream::read).
    #[track_caller]
    pub fn peek<'a>(&'a self, buffer: &'a mut [u8]) -> Peek<'a> {
        Peek { operation: self.operation(Direction::Read), buffer }
    }

    /// Reads until `buffer` is full.
    ///
    /// Cancel safety: none. A dropped `read_exact` may have read some bytes, and does not say how
    /// many.
    ///
    /// # Errors
    /// `UnexpectedEof` if the stream ends first; otherwise as [`read`](UnixStream::read).
    #[track_caller]
    pub fn read_exact<'a>(&'a self, buffer: &'a mut [u8]) -> ReadExact<'a> {
        ReadExact { operation: self.operation(Direction::Read), buffer, filled: 0 }
    }

    /// Writes as much of `bytes` as there is room for, and waits if there is none. How much it
    /// was.
    ///
    /// Cancel safety: a dropped write has written nothing.
    ///
    /// # Errors
    /// What ended the connection, such as `BrokenPipe` or `ConnectionReset`.
    #[track_caller]
    pub fn write<'a>(&'a self, bytes: &'a [u8]) -> Write<'a> {
        Write { operation: self.operation(Direction::Write), bytes }
    }

    /// As [`write`](UnixStream::write), from several slices, one after the other.
    ///
    /// Cancel safety: a dropped write has written nothing.
    ///
    /// # Errors
    /// As [`write`](UnixStream::write).
    #[track_caller]
    pub fn write_vectored<'a>(&'a self, slices: &'a [IoSlice<'a>]) -> WriteVectored<'a> {
        WriteVectored { operation: self.operation(Direction::Write), slices }
    }

    /// Writes all of `bytes`.
    ///
    /// Cancel safety: none. A dropped `write_all` may have written some bytes, and does not say
    /// how many.
    ///
    /// # Errors
    /// `WriteZero` if the system takes nothing; otherwise as [`write`](UnixStream::write).
    #[track_caller]
    pub fn write_all<'a>(&'a self, bytes: &'a [u8]) -> WriteAll<'a> {
        WriteAll { operation: self.operation(Direction::Write), bytes }
    }

    /// As [`read`](UnixStream::read), into a buffer that the operation owns meanwhile: what it
    /// answers, and the buffer. It fills the bytes that the buffer has, so a `Vec` needs a length.
    ///
    /// Cancel safety: a dropped read has read nothing; its buffer is dropped with it.
    ///
    /// # Errors
    /// As [`read`](UnixStream::read).
    ///
    /// ```
    /// use volt::net::UnixStream;
    ///
    /// volt::run(|io| async move {
    ///     let (client, server) = UnixStream::pair(&io)?;
    ///
    ///     let (written, _) = client.write_owned(b"hello".to_vec()).await;
    ///     assert_eq!(written?, 5);
    ///     let (read, buffer) = server.read_owned(vec![0; 16]).await;
    ///     assert!(b"hello".starts_with(&buffer[..read?]));
    ///     Ok::<(), std::io::Error>(())
    /// })
    /// .unwrap();
    /// ```
    #[track_caller]
    pub fn read_owned<B: AsMut<[u8]>>(&self, buffer: B) -> ReadOwned<'_, B> {
        ReadOwned { operation: self.operation(Direction::Read), buffer: Some(buffer) }
    }

    /// As [`write`](UnixStream::write), from a buffer that the operation owns meanwhile: what it
    /// answers, and the buffer.
    ///
    /// Cancel safety: a dropped write has written nothing; its buffer is dropped with it.
    ///
    /// # Errors
    /// As [`write`](UnixStream::write).
    #[track_caller]
    pub fn write_owned<B: AsRef<[u8]>>(&self, buffer: B) -> WriteOwned<'_, B> {
        WriteOwned { operation: self.operation(Direction::Write), buffer: Some(buffer) }
    }

    /// Reads what is there without waiting; 0 is the end.
    ///
    /// # Errors
    /// `WouldBlock` if nothing is there; otherwise as [`read`](UnixStream::read).
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.registration.try_io(Direction::Read, |socket| socket.read(buffer))
    }

    /// As [`try_read`](UnixStream::try_read), into several buffers.
    ///
    /// # Errors
    /// As [`try_read`](UnixStream::try_read).
    pub fn try_read_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.registration.try_io(Direction::Read, |socket| socket.read_vectored(buffers))
    }

    /// Writes what there is room for without waiting.
    ///
    /// # Errors
    /// `WouldBlock` if there is no room; otherwise as [`write`](UnixStream::write).
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.registration.try_io(Direction::Write, |socket| socket.write(bytes))
    }

    /// As [`try_write`](UnixStream::try_write), from several slices.
    ///
    /// # Errors
    /// As [`try_write`](UnixStream::try_write).
    pub fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.registration.try_io(Direction::Write, |socket| socket.write_vectored(slices))
    }

    /// Waits until a read may succeed: there is something to read, the end, or an error. It may
    /// be wrong, so a [`try_read`](UnixStream::try_read) after it may still answer `WouldBlock`.
    ///
    /// Cancel safety: nothing is lost.
    ///
    /// # Errors
    /// If the runtime has shut down.
    ///
    /// ```
    /// use std::io::ErrorKind;
    /// use volt::net::UnixStream;
    ///
    /// volt::run(|io| async move {
    ///     let (client, server) = UnixStream::pair(&io)?;
    ///     client.write_all(b"x").await?;
    ///
    ///     let mut byte = [0];
    ///     let count = loop {
    ///         server.readable().await?;
    ///         match server.try_read(&mut byte) {
    ///             Err(error) if error.kind() == ErrorKind::WouldBlock => {}
    ///             other => break other?,
    ///         }
    ///     };
    ///     assert_eq!((count, byte), (1, *b"x"));
    ///     Ok::<(), std::io::Error>(())
    /// })
    /// .unwrap();
    /// ```
    #[track_caller]
    pub fn readable(&self) -> Readiness<'_> {
        Readiness { operation: self.operation(Direction::Read) }
    }

    /// Waits until a write may succeed, as [`readable`](UnixStream::readable) does for reads.
    ///
    /// Cancel safety: nothing is lost.
    ///
    /// # Errors
    /// If the runtime has shut down.
    #[track_caller]
    pub fn writable(&self) -> Readiness<'_> {
        Readiness { operation: self.operation(Direction::Write) }
    }

    /// Two halves that borrow the stream, for code that wants a reader and a writer.
    pub fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        (ReadHalf::new(self), WriteHalf::new(self))
    }

    /// Two halves that own the stream together, for different tasks. Dropping the write half ends
    /// the writing direction; [`reunite`](OwnedReadHalf::reunite) undoes the split.
    ///
    /// ```
    /// use volt::net::UnixStream;
    ///
    /// volt::run(|io| async move {
    ///     let (client, server) = UnixStream::pair(&io)?;
    ///
    ///     let (reader, writer) = client.into_split();
    ///     let writing = io.spawn(async move {
    ///         writer.write_all(b"question").await?;
    ///         Ok::<_, std::io::Error>(writer)
    ///     });
    ///     server.read_exact(&mut [0; 8]).await?;
    ///     let client = reader.reunite(writing.await.unwrap()?).unwrap();
    ///     assert!(client.peer_addr()?.is_unnamed());
    ///     Ok::<(), std::io::Error>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        super::owned_halves::split(self)
    }

    /// Ends one direction or both at once, for every holder of the stream.
    ///
    /// Ending the writing direction lets the peer read to the end. Ending the reading direction
    /// lets reads here give 0 once what had arrived is read.
    ///
    /// # Errors
    /// Such as `NotConnected`.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.socket().shutdown(how)
    }

    /// The address of the peer.
    ///
    /// # Errors
    /// Such as `NotConnected`.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket().peer_addr()
    }

    /// The stream's own address.
    ///
    /// # Errors
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket().local_addr()
    }

    /// Takes the error that waits on the socket, if any (`SO_ERROR`).
    ///
    /// # Errors
    /// If it cannot be asked for.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.socket().take_error()
    }

    fn socket(&self) -> &system::UnixStream {
        self.registration.source()
    }

    /// The stream of something that is or has one.
    pub(super) fn as_stream(&self) -> &UnixStream {
        self
    }

    /// Ends the writing direction. A connection that is gone has no such direction: it is no
    /// error.
    pub(crate) fn finish_writing(&self) -> io::Result<()> {
        match self.shutdown(Shutdown::Write) {
            Err(error) if error.kind() == ErrorKind::NotConnected => Ok(()),
            outcome => outcome,
        }
    }

    /// An operation of a future that the caller's caller asks for.
    #[track_caller]
    fn operation(&self, direction: Direction) -> Operation<'_, system::UnixStream> {
        let request = Request::new(direction, Location::caller());
        Operation::new(&self.registration, request)
    }

    /// What the attempt to connect has come to: nothing else may be asked of the stream before.
    pub(super) fn poll_connected(
        &self,
        context: &mut Context<'_>,
        place: &'static Location<'static>,
    ) -> Poll<io::Result<()>> {
        Request::new(Direction::Write, place).poll_io(&self.registration, context, |socket| {
            if let Some(error) = socket.take_error()? {
                return Err(error);
            }
            match socket.peer_addr() {
                Err(error) if error.kind() == ErrorKind::NotConnected => {
                    Err(ErrorKind::WouldBlock.into())
                }
                peer => peer.map(|_| ()),
            }
        })
    }

    /// As [`read`](UnixStream::read), for a task that waits by itself.
    #[track_caller]
    pub(crate) fn poll_read_into(
        &self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let request = Request::new(Direction::Read, Location::caller());
        request.poll_io(&self.registration, context, |socket| socket.read(buffer))
    }

    /// As [`read_vectored`](UnixStream::read_vectored), for a task that waits by itself.
    #[track_caller]
    pub(crate) fn poll_read_vectored_into(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        let request = Request::new(Direction::Read, Location::caller());
        request.poll_io(&self.registration, context, |socket| socket.read_vectored(buffers))
    }

    /// As [`write`](UnixStream::write), for a task that waits by itself.
    #[track_caller]
    pub(crate) fn poll_write_from(
        &self,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let request = Request::new(Direction::Write, Location::caller());
        let write = |socket: &system::UnixStream| socket.write(bytes);
        request.poll_transfer(&self.registration, context, bytes.len(), write)
    }

    /// As [`write_vectored`](UnixStream::write_vectored), for a task that waits by itself.
    #[track_caller]
    pub(crate) fn poll_write_vectored_from(
        &self,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let request = Request::new(Direction::Write, Location::caller());
        let requested = slices.iter().map(|slice| slice.len()).sum();
        let write = |socket: &system::UnixStream| socket.write_vectored(slices);
        request.poll_transfer(&self.registration, context, requested, write)
    }
}

impl fmt::Debug for UnixStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnixStream")
            .field("local", &self.local_addr().ok())
            .field("peer", &self.peer_addr().ok())
            .finish_non_exhaustive()
    }
}

impl AsFd for UnixStream {
    /// # Panics
    /// In a simulation, whose sockets have no descriptor.
    #[track_caller]
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.registration.source().as_fd()
    }
}
