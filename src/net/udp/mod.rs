//! UDP: sockets for datagrams, and the futures of their operations.
//!
//! ```
//! use volt::net::UdpSocket;
//!
//! volt::run(|io| async move {
//!     let server = UdpSocket::bind(&io, "127.0.0.1:0").await?;
//!     let client = UdpSocket::bind(&io, "127.0.0.1:0").await?;
//!     client.connect(server.local_addr()?).await?;
//!     client.send(b"question").await?;
//!
//!     let mut buffer = [0; 64];
//!     let (count, source) = server.recv_from(&mut buffer).await?;
//!     assert_eq!(&buffer[..count], b"question");
//!     server.send_to(b"answer", source).await?;
//!     let count = client.recv(&mut buffer).await?;
//!     assert_eq!(&buffer[..count], b"answer");
//!     Ok::<(), std::io::Error>(())
//! })
//! .unwrap();
//! ```

mod futures;
mod socket;

pub use futures::{Bind, Connect, Peek, PeekFrom, Readiness, Recv, RecvFrom, Send, SendTo};
pub use socket::UdpSocket;
