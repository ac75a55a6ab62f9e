//! Unix sockets: listeners, streams and sockets for datagrams, and the futures of their operations.
//!
//! They connect programs of one machine, and have paths in place of addresses. Addresses are those
//! of the standard library, [`std::os::unix::net::SocketAddr`].
//!
//! ```
//! use volt::net::UnixStream;
//!
//! volt::run(|io| async move {
//!     let (first, second) = UnixStream::pair(&io)?;
//!     first.write_all(b"question").await?;
//!     second.read_exact(&mut [0; 8]).await?;
//!     Ok::<(), std::io::Error>(())
//! })
//! .unwrap();
//! ```

mod connect;
mod datagram;
mod datagram_futures;
mod futures;
mod halves;
mod listener;
mod owned_buffers;
mod owned_halves;
mod stream;

pub use connect::Connect;
pub use datagram::UnixDatagram;
pub use datagram_futures::{Peek as DatagramPeek, Readiness as DatagramReadiness};
pub use datagram_futures::{Recv, RecvFrom, Send, SendTo};
pub use futures::{Peek, Read, ReadExact, ReadVectored, Readiness, Write, WriteAll, WriteVectored};
pub use halves::{ReadHalf, WriteHalf};
pub use listener::{Accept, Incoming, UnixListener};
pub use owned_buffers::{ReadOwned, WriteOwned};
pub use owned_halves::{OwnedReadHalf, OwnedWriteHalf, ReuniteError};
pub use stream::UnixStream;

use crate::net::traits::{readers, writers};

readers!(UnixStream, &UnixStream, ReadHalf<'_>, OwnedReadHalf);
writers!(UnixStream, &UnixStream, WriteHalf<'_>, OwnedWriteHalf);
