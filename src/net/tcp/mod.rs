//! TCP: listeners and streams.

mod connect;
mod futures;
mod halves;
mod listener;
mod owned_halves;
mod stream;
mod traits;

pub use connect::Connect;
pub use futures::{Peek, Read, ReadExact, ReadVectored, Readiness, Write, WriteAll, WriteVectored};
pub use halves::{ReadHalf, WriteHalf};
pub use listener::{Accept, Bind, Incoming, TcpListener};
pub use owned_halves::{OwnedReadHalf, OwnedWriteHalf, ReuniteError};
pub use stream::TcpStream;
