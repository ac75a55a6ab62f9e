//! The futures of a socket's operations.

use std::fmt;
use std::future::Future;
use std::io;
use std::os::unix::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::net::exhaustion::Pause;
use crate::net::operation::{Operation, operations};
use crate::platform::net as system;
use crate::runtime::Io;

operations! {
    of system::UnixDatagram;

    /// The future of [`UnixDatagram::send`](super::UnixDatagram::send).
    ///
    /// Cancel safety: dropped before it is ready, it has sent nothing.
    Send<'a> { bytes: &'a [u8] } -> usize;

    /// The future of [`UnixDatagram::send_to`](super::UnixDatagram::send_to).
    ///
    /// Cancel safety: dropped before it is ready, it has sent nothing.
    SendTo<'a> {
        bytes: &'a [u8],
        target: PathBuf,
        io: &'a Io,
        pause: Option<Pause>
    } -> usize;

    /// The future of [`UnixDatagram::recv`](super::UnixDatagram::recv).
    ///
    /// Cancel safety: dropped before it is ready, it has received nothing.
    Recv<'a> { buffer: &'a mut [u8] } -> usize;

    /// The future of [`UnixDatagram::recv_from`](super::UnixDatagram::recv_from).
    ///
    /// Cancel safety: dropped before it is ready, it has received nothing.
    RecvFrom<'a> { buffer: &'a mut [u8] } -> (usize, SocketAddr);

    /// The future of [`UnixDatagram::peek`](super::UnixDatagram::peek).
    ///
    /// Cancel safety: nothing is lost; what is peeked at stays.
    Peek<'a> { buffer: &'a mut [u8] } -> usize;

    /// The future of [`UnixDatagram::readable`](super::UnixDatagram::readable) and
    /// [`UnixDatagram::writable`](super::UnixDatagram::writable).
    ///
    /// Cancel safety: it takes nothing, so nothing is lost.
    Readiness<'a> {} -> ();
}

// A datagram that is shorter than its buffer does not show that none follows it: unlike those of
// a stream, these operations try until they would block.

impl Send<'_> {
    fn advance(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.operation.poll_io(context, |socket| socket.send(self.bytes))
    }
}

impl SendTo<'_> {
    fn advance(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.poll(context));
            self.pause = None;
        }
        let mut is_full = false;
        let sent = self.operation.poll_io(context, |socket| {
            let sent = socket.send_to(self.bytes, &self.target);
            is_full = matches!(&sent, Err(error) if error.kind() == io::ErrorKind::WouldBlock);
            sent
        });
        if is_full && sent.is_pending() {
            // A socket hears nothing of the room of one that it is not connected to; but Linux
            // tells it that it may send whenever it has failed to: it would try for ever.
            let pause = self.pause.insert(Pause::new(self.io, self.operation.place()));
            // It has only begun, unless the runtime has shut down.
            let _ = pause.poll(context);
        }
        sent
    }
}

impl Recv<'_> {
    fn advance(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.operation.poll_io(context, |socket| socket.recv(self.buffer))
    }
}

impl RecvFrom<'_> {
    fn advance(&mut self, context: &mut Context<'_>) -> Poll<io::Result<(usize, SocketAddr)>> {
        self.operation.poll_io(context, |socket| socket.recv_from(self.buffer))
    }
}

impl Peek<'_> {
    fn advance(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.operation.poll_io(context, |socket| socket.peek(self.buffer))
    }
}

impl Readiness<'_> {
    fn advance(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.operation.poll_ready(context)
    }
}
