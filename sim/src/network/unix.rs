//! Unix sockets. They never leave their host, so nothing of them is on its way: what is written is
//! there to be read at once. As on Linux,
//! - a listener whose queue is full refuses with `WouldBlock`;
//! - closing with bytes unread, or unaccepted, makes the peer's next read fail with
//!   `ConnectionReset`, once, when it has read what had arrived;
//! - writing to who reads no more is a `BrokenPipe`;
//! - a datagram that finds no room blocks its sender, and none is lost or overtaken.
//!
//! Unlike there, a path is free again as soon as its socket is closed: the simulated disk has no
//! file for it.

use std::collections::{BTreeSet, VecDeque};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr};
use std::path::{Path, PathBuf};

use super::address::HostId;
use super::poller::{Edges, Readiness};
use super::socket::{Holder, Kind, Socket, SocketId};
use super::{Net, Surroundings};

/// Bytes that a socket keeps for its program, as on Linux.
pub(super) const BUFFER: usize = 212_992;

/// What each datagram takes of the buffer besides its bytes, so that empty ones take some too.
const BOOKKEEPING: usize = 256;

/// The longest datagram.
const LONGEST_DATAGRAM: usize = BUFFER - BOOKKEEPING;

/// The numbers of the system's errors that have no kind of their own.
#[cfg(windows)]
const MESSAGE_TOO_LONG: i32 = 10_040;
#[cfg(not(windows))]
const MESSAGE_TOO_LONG: i32 = libc::EMSGSIZE;
#[cfg(windows)]
const WRONG_TYPE: i32 = 10_041;
#[cfg(not(windows))]
const WRONG_TYPE: i32 = libc::EPROTOTYPE;

/// A Unix socket. A path is `None` where the socket has none.
pub(super) enum Unix {
    Listener(UnixListener),
    Stream(UnixStream),
    Datagram(UnixDatagram),
}

pub(super) struct UnixListener {
    path: PathBuf,
    backlog: usize,
    /// Connections to be accepted.
    queue: VecDeque<SocketId>,
}

pub(super) struct UnixStream {
    local: Option<PathBuf>,
    remote: Option<PathBuf>,
    /// The other end, which may be gone.
    peer: SocketId,
    /// What the peer has written.
    received: VecDeque<u8>,
    /// Nothing is received any more.
    read_ended: bool,
    /// Nothing can be sent any more.
    write_ended: bool,
    /// Reported to the program once.
    error: Option<ErrorKind>,
}

pub(super) struct UnixDatagram {
    local: Option<PathBuf>,
    /// Where it is connected to; the socket may be gone.
    peer: Option<(SocketId, Option<PathBuf>)>,
    /// Datagrams, each with the path of its sender.
    received: VecDeque<(Option<PathBuf>, Vec<u8>)>,
    /// What `received` takes of the buffer.
    held: usize,
    /// Senders that found no room.
    blocked: BTreeSet<SocketId>,
}

impl UnixStream {
    fn new(peer: SocketId, local: Option<PathBuf>, remote: Option<PathBuf>) -> UnixStream {
        UnixStream {
            local,
            remote,
            peer,
            received: VecDeque::new(),
            read_ended: false,
            write_ended: false,
            error: None,
        }
    }

    fn room(&self) -> usize {
        BUFFER - self.received.len()
    }
}

impl UnixDatagram {
    fn new(local: Option<PathBuf>) -> UnixDatagram {
        UnixDatagram {
            local,
            peer: None,
            received: VecDeque::new(),
            held: 0,
            blocked: BTreeSet::new(),
        }
    }

    fn has_room(&self, length: usize) -> bool {
        self.held + length + BOOKKEEPING <= BUFFER
    }
}

/// How a path is shown.
fn shown(path: Option<&Path>) -> String {
    path.map_or_else(|| "without a path".to_owned(), |path| path.display().to_string())
}

impl Unix {
    fn path(&self) -> Option<&Path> {
        match self {
            Unix::Listener(listener) => Some(&listener.path),
            Unix::Stream(stream) => stream.local.as_deref(),
            Unix::Datagram(datagram) => datagram.local.as_deref(),
        }
    }

    /// What a report says of it.
    pub(super) fn describe(&self) -> String {
        match self {
            Unix::Listener(_) => format!("Unix listener {}", shown(self.path())),
            Unix::Stream(stream) => format!(
                "Unix connection {} to {}",
                shown(self.path()),
                shown(stream.remote.as_deref())
            ),
            Unix::Datagram(_) => format!("Unix datagram socket {}", shown(self.path())),
        }
    }

    pub(super) fn take_error(&mut self) -> Option<ErrorKind> {
        match self {
            Unix::Stream(stream) => stream.error.take(),
            Unix::Listener(_) | Unix::Datagram(_) => None,
        }
    }
}

/// Calls of programs, which answer what Linux answers to a non-blocking socket. Each answers
/// `InvalidInput` for a socket of another kind, or one that is closed.
impl Net {
    /// A listener at `path`.
    ///
    /// # Errors
    /// `AddrInUse` if a socket of the host has the path.
    pub(crate) fn unix_listen(
        &mut self,
        host: HostId,
        path: &Path,
        backlog: u32,
    ) -> io::Result<SocketId> {
        let listener = UnixListener {
            path: path.to_owned(),
            backlog: backlog as usize,
            queue: VecDeque::new(),
        };
        self.unix_bind(host, path, Unix::Listener(listener))
    }

    /// A socket for datagrams at `path`, or without one.
    ///
    /// # Errors
    /// `AddrInUse` if a socket of the host has the path.
    pub(crate) fn unix_datagram(
        &mut self,
        host: HostId,
        path: Option<&Path>,
    ) -> io::Result<SocketId> {
        let socket = Unix::Datagram(UnixDatagram::new(path.map(Path::to_owned)));
        match path {
            Some(path) => self.unix_bind(host, path, socket),
            None => Ok(self.add_unix(host, socket)),
        }
    }

    /// Two sockets for datagrams that are connected to each other.
    pub(crate) fn unix_datagram_pair(&mut self, host: HostId) -> (SocketId, SocketId) {
        let first = self.add_unix(host, Unix::Datagram(UnixDatagram::new(None)));
        let mut second = UnixDatagram::new(None);
        second.peer = Some((first, None));
        let second = self.add_unix(host, Unix::Datagram(second));
        if let Ok(datagram) = self.unix_datagram_mut(first) {
            datagram.peer = Some((second, None));
        }
        (first, second)
    }

    /// Two connected streams.
    pub(crate) fn unix_pair(&mut self, host: HostId) -> (SocketId, SocketId) {
        self.connected(host, None)
    }

    /// Connects to the listener at `path`; it need not have accepted by then.
    ///
    /// # Errors
    /// `NotFound` if nothing has the path; `WouldBlock` if the listener's queue is full; the
    /// system's `EPROTOTYPE` for a socket for datagrams.
    pub(crate) fn unix_connect(
        &mut self,
        host: HostId,
        path: &Path,
        s: &mut impl Surroundings,
    ) -> io::Result<SocketId> {
        let listener = self.unix_at(host, path)?;
        match self.unix_listener_mut(listener) {
            Err(_) => return Err(io::Error::from_raw_os_error(WRONG_TYPE)),
            // As on Linux, the queue holds one more than was asked for.
            Ok(entry) if entry.queue.len() > entry.backlog => {
                return Err(ErrorKind::WouldBlock.into());
            }
            Ok(_) => {}
        }
        let (client, server) = self.connected(host, Some(path));
        if let Some(socket) = self.sockets.get_mut(&server) {
            socket.holder = Holder::Backlog;
        }
        self.unix_listener_mut(listener)?.queue.push_back(server);
        self.mark(listener, Edges::READ, s);
        Ok(client)
    }

    /// The next connection of a listener's queue.
    ///
    /// # Errors
    /// `WouldBlock` if there is none.
    pub(crate) fn unix_accept(&mut self, listener: SocketId) -> io::Result<SocketId> {
        let id = self.unix_listener_mut(listener)?.queue.pop_front();
        let id = id.ok_or(ErrorKind::WouldBlock)?;
        if let Some(socket) = self.sockets.get_mut(&id) {
            socket.holder = Holder::Program;
        }
        Ok(id)
    }

    /// Reads into `into`, and takes it away unless it `stays`; 0 is the end.
    ///
    /// # Errors
    /// `WouldBlock` if nothing is here; `ConnectionReset`, once, if the peer has closed with bytes
    /// unread.
    pub(crate) fn unix_read(
        &mut self,
        id: SocketId,
        into: &mut [u8],
        stays: bool,
        s: &mut impl Surroundings,
    ) -> io::Result<usize> {
        let stream = self.unix_stream_mut(id)?;
        if into.is_empty() {
            return Ok(0);
        }
        if stream.received.is_empty() {
            return match stream.error.take() {
                Some(error) => Err(error.into()),
                None if stream.read_ended => Ok(0),
                None => Err(ErrorKind::WouldBlock.into()),
            };
        }
        let count = into.len().min(stream.received.len());
        for (to, from) in into.iter_mut().zip(&stream.received) {
            *to = *from;
        }
        if stays {
            return Ok(count);
        }
        let was_full = stream.room() == 0;
        stream.received.drain(..count);
        let peer = stream.peer;
        if was_full {
            self.mark(peer, Edges { read: false, write: true }, s);
        }
        Ok(count)
    }

    /// Gives the peer as many of `bytes` as it has room for.
    ///
    /// # Errors
    /// `WouldBlock` if it has none; `BrokenPipe` if it reads no more, or writing was shut down.
    pub(crate) fn unix_write(
        &mut self,
        id: SocketId,
        bytes: &[u8],
        s: &mut impl Surroundings,
    ) -> io::Result<usize> {
        let stream = self.unix_stream_mut(id)?;
        let peer = stream.peer;
        if stream.write_ended {
            return Err(ErrorKind::BrokenPipe.into());
        }
        if bytes.is_empty() {
            return Ok(0);
        }
        let Some(other) = self.unix_other(peer) else {
            return Err(ErrorKind::BrokenPipe.into());
        };
        let count = bytes.len().min(other.room());
        if count == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        other.received.extend(&bytes[..count]);
        s.observe(&bytes[..count]);
        self.mark(peer, Edges::READ, s);
        Ok(count)
    }

    /// Ends one direction or both, at both ends.
    ///
    /// # Errors
    /// None but those of every call.
    pub(crate) fn unix_shutdown(
        &mut self,
        id: SocketId,
        how: Shutdown,
        s: &mut impl Surroundings,
    ) -> io::Result<()> {
        let reading = matches!(how, Shutdown::Read | Shutdown::Both);
        let writing = matches!(how, Shutdown::Write | Shutdown::Both);
        let stream = self.unix_stream_mut(id)?;
        let peer = stream.peer;
        stream.read_ended |= reading;
        stream.write_ended |= writing;
        if let Some(other) = self.unix_other(peer) {
            other.read_ended |= writing;
            other.write_ended |= reading;
        }
        self.mark(id, Edges::BOTH, s);
        self.mark(peer, Edges::BOTH, s);
        Ok(())
    }

    /// The path of the socket, if it has one.
    ///
    /// # Errors
    /// None but those of every call.
    pub(crate) fn unix_local(&self, id: SocketId) -> io::Result<Option<PathBuf>> {
        match &self.held(id)?.kind {
            Kind::Unix(unix) => Ok(unix.path().map(Path::to_owned)),
            _ => Err(ErrorKind::InvalidInput.into()),
        }
    }

    /// The path of the peer, if it has one.
    ///
    /// # Errors
    /// `NotConnected` of a socket that has no peer.
    pub(crate) fn unix_peer(&self, id: SocketId) -> io::Result<Option<PathBuf>> {
        let Kind::Unix(unix) = &self.held(id)?.kind else {
            return Err(ErrorKind::InvalidInput.into());
        };
        match &**unix {
            Unix::Stream(stream) => Ok(stream.remote.clone()),
            Unix::Datagram(UnixDatagram { peer: Some((_, path)), .. }) => Ok(path.clone()),
            Unix::Listener(_) | Unix::Datagram(_) => Err(ErrorKind::NotConnected.into()),
        }
    }

    /// Has the socket send to `path` and receive from there alone.
    ///
    /// # Errors
    /// As [`Net::unix_send`] for the path.
    pub(crate) fn unix_datagram_connect(&mut self, id: SocketId, path: &Path) -> io::Result<()> {
        let target = self.unix_target(id, path)?;
        self.unix_datagram_mut(id)?.peer = Some((target, Some(path.to_owned())));
        Ok(())
    }

    /// Sends a datagram to `path`, or to the peer without one.
    ///
    /// # Errors
    /// `WouldBlock` if there is no room; the system's `EMSGSIZE` for more than the buffer holds;
    /// `NotConnected` without path and peer; `ConnectionRefused`, once, if the peer is gone, and
    /// the socket is not connected after that. For the path: `NotFound` if nothing has it;
    /// `PermissionDenied` if who has it is connected elsewhere; the system's `EPROTOTYPE` for a
    /// listener.
    pub(crate) fn unix_send(
        &mut self,
        id: SocketId,
        bytes: &[u8],
        path: Option<&Path>,
        s: &mut impl Surroundings,
    ) -> io::Result<usize> {
        let datagram = self.unix_datagram_mut(id)?;
        let source = datagram.local.clone();
        let peer = datagram.peer.as_ref().map(|(peer, _)| *peer);
        let target = match (path, peer) {
            (Some(path), _) => self.unix_target(id, path)?,
            (None, Some(peer)) => peer,
            (None, None) => return Err(ErrorKind::NotConnected.into()),
        };
        if bytes.len() > LONGEST_DATAGRAM {
            return Err(io::Error::from_raw_os_error(MESSAGE_TOO_LONG));
        }
        if self.unix_datagram_mut(target).is_err() {
            self.unix_datagram_mut(id)?.peer = None;
            return Err(ErrorKind::ConnectionRefused.into());
        }
        let receiver = self.unix_datagram_mut(target)?;
        if receiver.peer.as_ref().is_some_and(|(peer, _)| *peer != id) {
            return Err(ErrorKind::PermissionDenied.into());
        }
        if !receiver.has_room(bytes.len()) {
            receiver.blocked.insert(id);
            return Err(ErrorKind::WouldBlock.into());
        }
        receiver.held += bytes.len() + BOOKKEEPING;
        receiver.received.push_back((source, bytes.to_vec()));
        if !bytes.is_empty() {
            s.observe(bytes);
        }
        self.mark(target, Edges::READ, s);
        Ok(bytes.len())
    }

    /// Copies the next datagram into `into`, and what does not fit is lost: how much, and the path
    /// of its sender. With `stays`, it can be received again.
    ///
    /// # Errors
    /// `WouldBlock` if nothing is here.
    pub(crate) fn unix_receive(
        &mut self,
        id: SocketId,
        into: &mut [u8],
        stays: bool,
        s: &mut impl Surroundings,
    ) -> io::Result<(usize, Option<PathBuf>)> {
        let datagram = self.unix_datagram_mut(id)?;
        let (source, payload) = datagram.received.front().ok_or(ErrorKind::WouldBlock)?;
        let count = payload.len().min(into.len());
        into[..count].copy_from_slice(&payload[..count]);
        let (source, cost) = (source.clone(), payload.len() + BOOKKEEPING);
        if !stays {
            datagram.received.pop_front();
            datagram.held -= cost;
            let blocked = std::mem::take(&mut datagram.blocked);
            self.unblock(blocked, s);
        }
        Ok((count, source))
    }

    fn unix_listener_mut(&mut self, id: SocketId) -> io::Result<&mut UnixListener> {
        match &mut self.held_mut(id)?.kind {
            Kind::Unix(unix) => match &mut **unix {
                Unix::Listener(listener) => Ok(listener),
                Unix::Stream(_) | Unix::Datagram(_) => Err(ErrorKind::InvalidInput.into()),
            },
            _ => Err(ErrorKind::InvalidInput.into()),
        }
    }

    fn unix_stream_mut(&mut self, id: SocketId) -> io::Result<&mut UnixStream> {
        self.held(id)?;
        self.unix_other(id).ok_or_else(|| ErrorKind::InvalidInput.into())
    }

    fn unix_datagram_mut(&mut self, id: SocketId) -> io::Result<&mut UnixDatagram> {
        match &mut self.held_mut(id)?.kind {
            Kind::Unix(unix) => match &mut **unix {
                Unix::Datagram(datagram) => Ok(datagram),
                Unix::Listener(_) | Unix::Stream(_) => Err(ErrorKind::InvalidInput.into()),
            },
            _ => Err(ErrorKind::InvalidInput.into()),
        }
    }
}

/// What the rest of the network asks.
impl Net {
    fn add_unix(&mut self, host: HostId, unix: Unix) -> SocketId {
        self.add_socket(Socket {
            host,
            // It has a path in place of an address.
            local: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
            holder: Holder::Program,
            registration: None,
            kind: Kind::Unix(Box::new(unix)),
        })
    }

    fn unix_bind(&mut self, host: HostId, path: &Path, unix: Unix) -> io::Result<SocketId> {
        let key = (host, path.to_owned());
        if self.unix.contains_key(&key) {
            return Err(ErrorKind::AddrInUse.into());
        }
        let id = self.add_unix(host, unix);
        self.unix.insert(key, id);
        Ok(id)
    }

    fn unix_at(&self, host: HostId, path: &Path) -> io::Result<SocketId> {
        let id = self.unix.get(&(host, path.to_owned())).copied();
        id.ok_or_else(|| ErrorKind::NotFound.into())
    }

    /// Two ends of a connection; the second is at `path`.
    fn connected(&mut self, host: HostId, path: Option<&Path>) -> (SocketId, SocketId) {
        let path = path.map(Path::to_owned);
        // Sockets are numbered one after the other.
        let second = SocketId(self.last_socket + 2);
        let end = UnixStream::new(second, None, path.clone());
        let first = self.add_unix(host, Unix::Stream(end));
        let end = UnixStream::new(first, path, None);
        let added = self.add_unix(host, Unix::Stream(end));
        debug_assert_eq!(added, second);
        (first, second)
    }

    /// A stream, whoever holds it.
    fn unix_other(&mut self, id: SocketId) -> Option<&mut UnixStream> {
        match &mut self.sockets.get_mut(&id)?.kind {
            Kind::Unix(unix) => match &mut **unix {
                Unix::Stream(stream) => Some(stream),
                Unix::Listener(_) | Unix::Datagram(_) => None,
            },
            _ => None,
        }
    }

    /// The socket at `path` that `id` may send to.
    fn unix_target(&mut self, id: SocketId, path: &Path) -> io::Result<SocketId> {
        let target = self.unix_at(self.held(id)?.host, path)?;
        let Ok(receiver) = self.unix_datagram_mut(target) else {
            return Err(io::Error::from_raw_os_error(WRONG_TYPE));
        };
        match &receiver.peer {
            Some((peer, _)) if *peer != id => Err(ErrorKind::PermissionDenied.into()),
            _ => Ok(target),
        }
    }

    pub(super) fn unix_readiness(&self, unix: &Unix) -> Readiness {
        let kind = |id: SocketId| match &self.sockets.get(&id)?.kind {
            Kind::Unix(unix) => Some(&**unix),
            _ => None,
        };
        match unix {
            Unix::Listener(listener) => {
                Readiness { readable: !listener.queue.is_empty(), ..Readiness::default() }
            }
            Unix::Stream(stream) => {
                let has_room = match kind(stream.peer) {
                    Some(Unix::Stream(peer)) => peer.room() > 0,
                    _ => true,
                };
                Readiness {
                    readable: stream.read_ended || !stream.received.is_empty(),
                    writable: stream.write_ended || has_room,
                    read_ended: stream.read_ended,
                    hang_up: stream.read_ended && stream.write_ended,
                    error: stream.error.is_some(),
                }
            }
            Unix::Datagram(datagram) => {
                let has_room = match datagram.peer.as_ref().and_then(|(peer, _)| kind(*peer)) {
                    Some(Unix::Datagram(peer)) => peer.has_room(0),
                    _ => true,
                };
                Readiness {
                    readable: !datagram.received.is_empty(),
                    writable: has_room,
                    ..Readiness::default()
                }
            }
        }
    }

    /// Closes a Unix socket, which is in the table.
    pub(super) fn close_unix(&mut self, id: SocketId, s: &mut impl Surroundings) {
        let Some(Socket { host, kind: Kind::Unix(unix), .. }) = self.sockets.remove(&id) else {
            return;
        };
        if let Some(path) = unix.path() {
            // A connection has the path of its listener, which stays.
            let key = (host, path.to_owned());
            if self.unix.get(&key) == Some(&id) {
                self.unix.remove(&key);
            }
        }
        match *unix {
            Unix::Listener(listener) => {
                for queued in listener.queue {
                    if let Some(peer) = self.unix_other(queued).map(|stream| stream.peer) {
                        self.sockets.remove(&queued);
                        self.unix_peer_gone(peer, true, s);
                    }
                }
            }
            Unix::Stream(stream) => {
                self.unix_peer_gone(stream.peer, !stream.received.is_empty(), s);
            }
            Unix::Datagram(datagram) => self.unblock(datagram.blocked, s),
        }
    }

    /// The other end of the stream `id` is closed; `reset` if that has lost something.
    fn unix_peer_gone(&mut self, id: SocketId, reset: bool, s: &mut impl Surroundings) {
        let Some(stream) = self.unix_other(id) else { return };
        stream.read_ended = true;
        stream.write_ended = true;
        if reset {
            stream.error = Some(ErrorKind::ConnectionReset);
        }
        self.mark(id, Edges::BOTH, s);
    }

    /// Tells senders that there may be room.
    fn unblock(&mut self, blocked: BTreeSet<SocketId>, s: &mut impl Surroundings) {
        for sender in blocked {
            self.mark(sender, Edges { read: false, write: true }, s);
        }
    }
}
