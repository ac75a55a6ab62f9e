//! The simulated network: hosts, TCP, UDP and Unix sockets that do not block, pollers, what goes
//! wrong between hosts, and the signals that a host is sent.
//!
//! Everything here is for simulated threads and belongs to the run that made it. On an ordinary
//! thread calls answer `Unsupported`, and dropping does nothing; in another run, a socket, poller
//! or host ends that run as not deterministic. Each call is a scheduling point, and its answer is
//! part of the run's hash; so are the bytes that reach a host.
//!
//! ```
//! use std::time::Duration;
//! use volt_sim::net::{self, TcpListener, TcpStream};
//! use volt_sim::thread;
//!
//! volt_sim::check(|| {
//!     let server = net::add_host("server", None).unwrap();
//!     let served = server.spawn(thread::Builder::new(), || {
//!         let listener = TcpListener::bind("0.0.0.0:80".parse().unwrap()).unwrap();
//!         thread::sleep(Duration::from_millis(10)); // a program would use a `Poller`
//!         listener.accept().unwrap().0.write(b"welcome").unwrap()
//!     });
//!     thread::sleep(Duration::from_millis(1));
//!     let address = net::resolve("server").unwrap()[0];
//!     let client = TcpStream::connect((address, 80).into()).unwrap();
//!     assert_eq!(served.unwrap().join().unwrap(), 7);
//!     thread::sleep(Duration::from_millis(10));
//!     let mut bytes = [0; 16];
//!     assert_eq!(client.read(&mut bytes).unwrap(), 7);
//! });
//! ```

mod fault;
pub(crate) mod handle;
mod host;
mod poller;
mod resources;
mod signal;
mod tcp;
mod tcp_socket;
mod udp;
mod unix;

pub use crate::network::{Event, Interest};
pub use fault::{
    Link, heal, hold, partition, partition_one_way, release, set_default_link, set_link,
};
pub use host::{Host, add_host, open_pollers, open_sockets, resolve};
pub use poller::{Poller, Source};
pub use resources::Resources;
pub use signal::SignalReceiver;
pub use tcp::{TcpListener, TcpStream};
pub use tcp_socket::TcpSocket;
pub use udp::UdpSocket;
pub use unix::{UnixDatagram, UnixListener, UnixStream};
