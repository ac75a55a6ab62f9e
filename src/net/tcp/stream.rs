//! A connection.

use std::fmt;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::net::{Shutdown, SocketAddr};
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::Location;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::connection::Connection;
use super::halves::{ReadHalf, WriteHalf};
use super::owned_halves::{OwnedReadHalf, OwnedWriteHalf};
use super::{Connect, Peek, Read, ReadExact, ReadOwned, ReadVectored, Readiness};
use super::{Write, WriteAll, WriteOwned, WriteVectored};
use crate::driver::{Direction, Driver, Registration};
use crate::net::ToSocketAddrs;
use crate::net::operation::{Operation, Request};
use crate::platform::net as system;
use crate::runtime::{Backend, Io};

/// A TCP connection.
///
/// Its operations take `&self`: one task may read it while another one writes, and several may do
/// either, without halves or locks. Dropping it closes the connection.
///
/// Reading gives 0 bytes at the end, when the peer has closed its writing direction. When the
/// runtime has shut down, whatever waits fails with an error that says so.
///
/// ```
/// use volt::net::{TcpListener, TcpStream};
///
/// volt::run(|io| async move {
///     let listener = TcpListener::bind(&io, "127.0.0.1:0").await?;
///     let address = listener.local_addr()?;
///     io.spawn(async move {
///         let (stream, _) = listener.accept().await?;
///         stream.write_all(b"welcome").await
///     });
///
///     let stream = TcpStream::connect(&io, address).await?;
///     let mut bytes = [0; 16];
///     let mut count = 0;
///     loop {
///         match stream.read(&mut bytes[count..]).await? {
///             0 => break,
///             more => count += more,
///         }
///     }
///     assert_eq!(&bytes[..count], b"welcome");
///     Ok::<(), std::io::Error>(())
/// })
/// .unwrap();
/// ```
pub struct TcpStream {
    registration: Registration<Connection>,
}

impl TcpStream {
    /// Connects to `address`. A name is resolved on a thread of the blocking pool; each address
    /// that it has is tried in turn.
    ///
    /// Cancel safety: dropping the future gives the attempt up.
    ///
    /// # Errors
    /// `InvalidInput` for what is no address, naming it; the resolver's error; if no address can
    /// be connected to, the error of the last one.
    ///
    /// ```
    /// use volt::net::TcpStream;
    ///
    /// volt::run(|io| async move {
    ///     let error = TcpStream::connect(&io, "localhost").await.unwrap_err();
    ///     assert!(error.to_string().contains("`localhost` has no port"));
    /// });
    /// ```
    #[track_caller]
    pub fn connect(io: &Io, address: impl ToSocketAddrs) -> Connect {
        Connect::new(io, &address, Location::caller())
    }

    /// Takes over a connected stream of the standard library, which becomes non-blocking.
    ///
    /// # Errors
    /// If the system refuses to watch it; `Unsupported` in a simulation, which has no sockets of
    /// the system.
    pub fn from_std(io: &Io, stream: system::StdTcpStream) -> io::Result<TcpStream> {
        let socket = system::TcpStream::from_std(stream)?;
        TcpStream::register(io.scheduler().driver(), socket)
    }

    /// Gives the stream to the standard library. It stays non-blocking: call `set_nonblocking` to
    /// read and write it in the ordinary way.
    ///
    /// # Errors
    /// `Unsupported` in a simulation; `ResourceBusy` if a [`read_owned`](TcpStream::read_owned) was
    /// dropped on a ring and its bytes were not read since, or may still come. The stream is closed
    /// then.
    pub fn into_std(self) -> io::Result<system::StdTcpStream> {
        self.registration.into_source()?.into_std()
    }

    pub(super) fn register(
        driver: &Arc<Driver>,
        socket: system::TcpStream,
    ) -> io::Result<TcpStream> {
        Ok(TcpStream { registration: driver.register(Connection::new(socket))? })
    }

    /// As [`TcpStream::register`], for a stream that is connected. Where reads may go by rings, the
    /// system is asked to watch it only if somebody waits otherwise.
    pub(super) fn adopt(io: &Io, socket: system::TcpStream) -> io::Result<TcpStream> {
        let (driver, connection) = (io.scheduler().driver(), Connection::new(socket));
        let registration = match io.backend() {
            Backend::IoUring => driver.register_late(connection)?,
            _ => driver.register(connection)?,
        };
        Ok(TcpStream { registration })
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

    /// As [`read`](TcpStream::read), into several buffers, one after the other.
    ///
    /// Cancel safety: a dropped read has read nothing.
    ///
    /// # Errors
    /// As [`read`](TcpStream::read).
    #[track_caller]
    pub fn read_vectored<'a, 'b>(
        &'a self,
        buffers: &'a mut [IoSliceMut<'b>],
    ) -> ReadVectored<'a, 'b> {
        ReadVectored { operation: self.operation(Direction::Read), buffers }
    }

    /// As [`read`](TcpStream::read), but the bytes stay to be read.
    ///
    /// Cancel safety: nothing is lost.
    ///
    /// # Errors
    /// As [`read`](TcpStream::read).
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
    /// `UnexpectedEof` if the stream ends first; otherwise as [`read`](TcpStream::read).
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

    /// As [`write`](TcpStream::write), from several slices, one after the other.
    ///
    /// Cancel safety: a dropped write has written nothing.
    ///
    /// # Errors
    /// As [`write`](TcpStream::write).
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
    /// `WriteZero` if the system takes nothing; otherwise as [`write`](TcpStream::write).
    #[track_caller]
    pub fn write_all<'a>(&'a self, bytes: &'a [u8]) -> WriteAll<'a> {
        WriteAll { operation: self.operation(Direction::Write), bytes }
    }

    /// As [`read`](TcpStream::read), into a buffer that the operation owns meanwhile: what it
    /// answers, and the buffer. It fills the bytes that the buffer has, so a `Vec` needs a length.
    ///
    /// On a runtime with rings ([`Backend::IoUring`](crate::Backend::IoUring)), a read that has to
    /// wait is done by the kernel, straight into the buffer.
    ///
    /// Cancel safety: a dropped read has read nothing; its buffer is dropped with it, on a ring
    /// when the kernel has let go of it. Reads that follow wait for that, and get what came
    /// meanwhile.
    ///
    /// # Errors
    /// As [`read`](TcpStream::read).
    ///
    /// ```
    /// use volt::net::{TcpListener, TcpStream};
    ///
    /// volt::run(|io| async move {
    ///     let listener = TcpListener::bind(&io, "127.0.0.1:0").await?;
    ///     let client = TcpStream::connect(&io, listener.local_addr()?).await?;
    ///     let (server, _) = listener.accept().await?;
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
    pub fn read_owned<B>(&self, buffer: B) -> ReadOwned<'_, B>
    where
        B: AsMut<[u8]> + Send + 'static,
    {
        ReadOwned::new(self.operation(Direction::Read), buffer)
    }

    /// As [`write`](TcpStream::write), from a buffer that the operation owns meanwhile: what it
    /// answers, and the buffer.
    ///
    /// Cancel safety: a dropped write has written nothing; its buffer is dropped with it.
    ///
    /// # Errors
    /// As [`write`](TcpStream::write).
    #[track_caller]
    pub fn write_owned<B: AsRef<[u8]>>(&self, buffer: B) -> WriteOwned<'_, B> {
        WriteOwned { operation: self.operation(Direction::Write), buffer: Some(buffer) }
    }

    /// Reads what is there without waiting; 0 is the end.
    ///
    /// # Errors
    /// `WouldBlock` if nothing is there; otherwise as [`read`](TcpStream::read).
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.registration.try_io(Direction::Read, |socket| socket.read(buffer))
    }

    /// As [`try_read`](TcpStream::try_read), into several buffers.
    ///
    /// # Errors
    /// As [`try_read`](TcpStream::try_read).
    pub fn try_read_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.registration.try_io(Direction::Read, |socket| socket.read_vectored(buffers))
    }

    /// Writes what there is room for without waiting.
    ///
    /// # Errors
    /// `WouldBlock` if there is no room; otherwise as [`write`](TcpStream::write).
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.registration.try_io(Direction::Write, |socket| socket.write(bytes))
    }

    /// As [`try_write`](TcpStream::try_write), from several slices.
    ///
    /// # Errors
    /// As [`try_write`](TcpStream::try_write).
    pub fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.registration.try_io(Direction::Write, |socket| socket.write_vectored(slices))
    }

    /// Waits until a read may succeed: there is something to read, the end, or an error. It may
    /// be wrong, so a [`try_read`](TcpStream::try_read) after it may still answer `WouldBlock`.
    ///
    /// Cancel safety: nothing is lost.
    ///
    /// # Errors
    /// If the runtime has shut down.
    ///
    /// ```
    /// use std::io::ErrorKind;
    /// use volt::net::{TcpListener, TcpStream};
    ///
    /// volt::run(|io| async move {
    ///     let listener = TcpListener::bind(&io, "127.0.0.1:0").await?;
    ///     let client = TcpStream::connect(&io, listener.local_addr()?).await?;
    ///     let (server, _) = listener.accept().await?;
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

    /// Waits until a write may succeed, as [`readable`](TcpStream::readable) does for reads.
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
    /// use volt::net::{TcpListener, TcpStream};
    ///
    /// volt::run(|io| async move {
    ///     let listener = TcpListener::bind(&io, "127.0.0.1:0").await?;
    ///     let client = TcpStream::connect(&io, listener.local_addr()?).await?;
    ///     let (server, _) = listener.accept().await?;
    ///
    ///     let (reader, writer) = client.into_split();
    ///     let writing = io.spawn(async move {
    ///         writer.write_all(b"question").await?;
    ///         Ok::<_, std::io::Error>(writer)
    ///     });
    ///     server.read_exact(&mut [0; 8]).await?;
    ///     let client = reader.reunite(writing.await.unwrap()?).unwrap();
    ///     assert_eq!(client.peer_addr()?, server.local_addr()?);
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

    /// Whether small writes are sent at once (`TCP_NODELAY`).
    ///
    /// # Errors
    /// What the system says.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.socket().nodelay()
    }

    /// Whether small writes are to be sent at once, instead of being gathered (`TCP_NODELAY`).
    ///
    /// # Errors
    /// What the system says.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.socket().set_nodelay(nodelay)
    }

    /// How many hops a packet may make (`IP_TTL`).
    ///
    /// # Errors
    /// What the system says.
    pub fn ttl(&self) -> io::Result<u32> {
        self.socket().ttl()
    }

    /// Sets how many hops a packet may make (`IP_TTL`).
    ///
    /// # Errors
    /// What the system says.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.socket().set_ttl(ttl)
    }

    /// How long closing goes on sending what was written (`SO_LINGER`); `None` is the system's
    /// own way, in the background.
    ///
    /// # Errors
    /// What the system says.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        self.socket().linger()
    }

    /// Sets how long closing goes on sending what was written (`SO_LINGER`). Zero resets the
    /// connection when the stream is dropped; a longer time may block the thread that drops it.
    ///
    /// # Errors
    /// What the system says.
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        self.socket().set_linger(linger)
    }

    /// After how much silence the system asks the peer whether it is there (`SO_KEEPALIVE`);
    /// `None` is never.
    ///
    /// # Errors
    /// What the system says; `Unsupported` where it does not tell the time, as on Windows.
    pub fn keepalive(&self) -> io::Result<Option<Duration>> {
        self.socket().keepalive()
    }

    /// Sets after how much silence the system asks the peer whether it is there, in whole seconds
    /// (`SO_KEEPALIVE`, `TCP_KEEPIDLE`). A peer that answers none of several questions is gone: the
    /// connection ends with an error. In a simulation nothing is asked.
    ///
    /// # Errors
    /// What the system says, such as `InvalidInput` for less than a second.
    pub fn set_keepalive(&self, keepalive: Option<Duration>) -> io::Result<()> {
        self.socket().set_keepalive(keepalive)
    }

    /// How many bytes the system keeps until the peer has them (`SO_SNDBUF`). Linux counts what
    /// it needs for itself too.
    ///
    /// # Errors
    /// What the system says.
    pub fn send_buffer_size(&self) -> io::Result<usize> {
        self.socket().send_buffer_size()
    }

    /// Asks the system to keep `size` bytes until the peer has them (`SO_SNDBUF`); it may settle
    /// for less or more.
    ///
    /// # Errors
    /// What the system says.
    pub fn set_send_buffer_size(&self, size: usize) -> io::Result<()> {
        self.socket().set_send_buffer_size(size)
    }

    /// How many bytes the system keeps until they are read (`SO_RCVBUF`). Linux counts what it
    /// needs for itself too.
    ///
    /// # Errors
    /// What the system says.
    pub fn recv_buffer_size(&self) -> io::Result<usize> {
        self.socket().recv_buffer_size()
    }

    /// Asks the system to keep `size` bytes until they are read (`SO_RCVBUF`); it may settle for
    /// less or more.
    ///
    /// # Errors
    /// What the system says.
    pub fn set_recv_buffer_size(&self, size: usize) -> io::Result<()> {
        self.socket().set_recv_buffer_size(size)
    }

    /// Takes the error that waits on the socket, if any (`SO_ERROR`).
    ///
    /// # Errors
    /// If it cannot be asked for.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.socket().take_error()
    }

    fn socket(&self) -> &system::TcpStream {
        self.registration.source().socket()
    }

    /// The stream of something that is or has one.
    pub(super) fn as_stream(&self) -> &TcpStream {
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
    fn operation(&self, direction: Direction) -> Operation<'_, Connection> {
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

    /// As [`read`](TcpStream::read), for a task that waits by itself.
    #[track_caller]
    pub(crate) fn poll_read_into(
        &self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let request = Request::new(Direction::Read, Location::caller());
        let requested = buffer.len();
        let read = |socket: &Connection| socket.read(buffer);
        request.poll_transfer(&self.registration, context, requested, read)
    }

    /// As [`read_vectored`](TcpStream::read_vectored), for a task that waits by itself.
    #[track_caller]
    pub(crate) fn poll_read_vectored_into(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        let request = Request::new(Direction::Read, Location::caller());
        let requested = buffers.iter().map(|buffer| buffer.len()).sum();
        let read = |socket: &Connection| socket.read_vectored(buffers);
        request.poll_transfer(&self.registration, context, requested, read)
    }

    /// As [`write`](TcpStream::write), for a task that waits by itself.
    #[track_caller]
    pub(crate) fn poll_write_from(
        &self,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let request = Request::new(Direction::Write, Location::caller());
        let write = |socket: &Connection| socket.write(bytes);
        request.poll_transfer(&self.registration, context, bytes.len(), write)
    }

    /// As [`write_vectored`](TcpStream::write_vectored), for a task that waits by itself.
    #[track_caller]
    pub(crate) fn poll_write_vectored_from(
        &self,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let request = Request::new(Direction::Write, Location::caller());
        let requested = slices.iter().map(|slice| slice.len()).sum();
        let write = |socket: &Connection| socket.write_vectored(slices);
        request.poll_transfer(&self.registration, context, requested, write)
    }
}

impl fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpStream")
            .field("local", &self.local_addr().ok())
            .field("peer", &self.peer_addr().ok())
            .finish_non_exhaustive()
    }
}

#[cfg(unix)]
impl AsFd for TcpStream {
    /// # Panics
    /// In a simulation, whose sockets have no descriptor.
    #[track_caller]
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket().as_fd()
    }
}
