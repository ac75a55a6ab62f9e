//! The network: TCP, UDP and Unix sockets.
//!
//! | file | what it is |
//! |---|---|
//! | `address` | what programs write for an address |
//! | `exhaustion` | what keeps a loop of accepts from spinning |
//! | `lookup` | from names to addresses |
//! | `operation` | one operation on a socket: wait, spend budget, try |
//! | `tcp` | listeners and streams |
//! | [`udp`] | sockets for datagrams |
//! | `unix` | Unix sockets, on Unix |
//!
//! Sockets are the runtime's: they are made with an [`Io`](crate::Io), and any of its tasks, or
//! another thread, may use them. When the runtime has shut down, their operations fail with an
//! error that says so, and dropping them closes them as ever.
//!
//! ```
//! use volt::net::{TcpListener, TcpStream};
//!
//! volt::run(|io| async move {
//!     let listener = TcpListener::bind(&io, "127.0.0.1:0").await?;
//!     let client = TcpStream::connect(&io, listener.local_addr()?).await?;
//!     let (server, peer) = listener.accept().await?;
//!     assert_eq!(peer, client.local_addr()?);
//!
//!     client.write_all(b"hello").await?;
//!     let mut greeting = [0; 5];
//!     server.read_exact(&mut greeting).await?;
//!     assert_eq!(&greeting, b"hello");
//!     Ok::<(), std::io::Error>(())
//! })
//! .unwrap();
//! ```

mod address;
mod exhaustion;
mod lookup;
pub(crate) mod operation;
mod tcp;
mod traits;
pub mod udp;
#[cfg(unix)]
pub mod unix;

pub use address::ToSocketAddrs;
pub use lookup::{LookupHost, lookup_host};
pub use tcp::{
    Accept, Bind, Connect, Incoming, OwnedReadHalf, OwnedWriteHalf, Peek, Read, ReadExact,
    ReadHalf, ReadOwned, ReadVectored, Readiness, ReuniteError, TcpListener, TcpSocket, TcpStream,
    Write, WriteAll, WriteHalf, WriteOwned, WriteVectored,
};
pub use udp::UdpSocket;
#[cfg(unix)]
pub use unix::{UnixDatagram, UnixListener, UnixStream};
