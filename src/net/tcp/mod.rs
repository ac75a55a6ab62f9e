//! TCP: listeners and streams, and sockets before they become one.

mod connect;
mod connection;
mod futures;
mod halves;
mod leftover;
mod listener;
mod owned_buffers;
mod owned_halves;
mod socket;
mod stream;

pub use connect::Connect;
pub use futures::{Peek, Read, ReadExact, ReadVectored, Readiness, Write, WriteAll, WriteVectored};
pub use halves::{ReadHalf, WriteHalf};
pub use listener::{Accept, Bind, Incoming, TcpListener};
pub use owned_buffers::{ReadOwned, WriteOwned};
pub use owned_halves::{OwnedReadHalf, OwnedWriteHalf, ReuniteError};
pub use socket::TcpSocket;
pub use stream::TcpStream;

use crate::net::traits::{readers, writers};

readers!(TcpStream, &TcpStream, ReadHalf<'_>, OwnedReadHalf);
writers!(TcpStream, &TcpStream, WriteHalf<'_>, OwnedWriteHalf);
