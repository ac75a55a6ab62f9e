//! The load: one process for each contender, on another CPU than its server, and the same code for
//! all of them. It blocks, or waits with epoll.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use super::Service;
use super::epoll::Epoll;
use super::socket::leave_nothing_behind;

/// How long nothing may be answered: a datagram that is lost would be waited for without end.
const PATIENCE: Duration = Duration::from_secs(10);

/// What asks one server, again and again.
pub(super) enum Load {
    Echo(Echo<TcpStream>),
    UdpEcho(Echo<UdpSocket>),
    Throughput { server: SocketAddr, block: Vec<u8> },
    AcceptClose { server: SocketAddr, at_once: usize },
}

impl Load {
    /// Connects `connections` times; each request is `size` bytes.
    pub(super) fn new(
        service: Service,
        server: SocketAddr,
        connections: usize,
        size: usize,
    ) -> io::Result<Self> {
        Ok(match service {
            Service::Echo => Self::Echo(Echo::new(connections, size, || {
                let stream = TcpStream::connect(server)?;
                stream.set_nodelay(true)?;
                leave_nothing_behind(&stream)?;
                Ok(stream)
            })?),
            Service::UdpEcho => Self::UdpEcho(Echo::new(connections, size, || {
                let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
                socket.connect(server)?;
                Ok(socket)
            })?),
            Service::Throughput => Self::Throughput { server, block: vec![1; size] },
            Service::AcceptClose => Self::AcceptClose { server, at_once: connections },
            Service::Http => return Err(io::Error::other("wrk is the load of HTTP")),
        })
    }

    /// Makes `requests` requests; how long it took until the last was answered.
    pub(super) fn run(&mut self, requests: usize) -> io::Result<Duration> {
        match self {
            Self::Echo(echo) => echo.run(requests),
            Self::UdpEcho(echo) => echo.run(requests),
            Self::Throughput { server, block } => send_blocks(*server, block, requests),
            Self::AcceptClose { server, at_once } => connect_often(*server, *at_once, requests),
        }
    }
}

/// A connection over which something can be asked.
pub(super) trait Connection: std::os::fd::AsRawFd {
    /// Sends the whole request.
    fn ask(&mut self, request: &[u8]) -> io::Result<()>;

    /// Takes some of the answer; how many bytes, at least one.
    fn hear(&mut self, buffer: &mut [u8]) -> io::Result<usize>;
}

impl Connection for TcpStream {
    fn ask(&mut self, request: &[u8]) -> io::Result<()> {
        self.write_all(request)
    }

    fn hear(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.read(buffer)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            count => Ok(count),
        }
    }
}

impl Connection for UdpSocket {
    fn ask(&mut self, request: &[u8]) -> io::Result<()> {
        self.send(request).map(drop)
    }

    fn hear(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.recv(buffer)
    }
}

/// Connections that each have one request under way, until all requests are made.
pub(super) struct Echo<C> {
    epoll: Epoll,
    /// Each with the bytes that are still missing of its answer.
    connections: Vec<(C, usize)>,
    request: Vec<u8>,
    buffer: Vec<u8>,
}

impl<C: Connection> Echo<C> {
    fn new(
        connections: usize,
        size: usize,
        mut connect: impl FnMut() -> io::Result<C>,
    ) -> io::Result<Self> {
        let epoll = Epoll::new()?;
        let connections = (0..connections)
            .map(|token| {
                let connection = connect()?;
                epoll.watch(&connection, token)?;
                Ok((connection, 0))
            })
            .collect::<io::Result<_>>()?;
        Ok(Self { epoll, connections, request: vec![1; size], buffer: vec![0; size] })
    }

    fn run(&mut self, requests: usize) -> io::Result<Duration> {
        let Self { epoll, connections, request, buffer } = self;
        let started = Instant::now();
        let mut asked = 0;
        for (connection, missing) in connections.iter_mut().take(requests) {
            connection.ask(request)?;
            *missing = request.len();
            asked += 1;
        }
        let mut answered = 0;
        while answered < requests {
            for token in epoll.wait(Some(PATIENCE))? {
                let (connection, missing) = &mut connections[token];
                let heard = connection.hear(buffer)?;
                // More than was asked for would be somebody else's answer.
                *missing = missing
                    .checked_sub(heard)
                    .ok_or_else(|| io::Error::other("the server says more than it heard"))?;
                if *missing > 0 {
                    continue;
                }
                answered += 1;
                if asked < requests {
                    connection.ask(request)?;
                    *missing = request.len();
                    asked += 1;
                }
            }
        }
        Ok(started.elapsed())
    }
}

/// Sends so many blocks over one connection, until the server says that it has them all.
fn send_blocks(server: SocketAddr, block: &[u8], blocks: usize) -> io::Result<Duration> {
    let mut stream = TcpStream::connect(server)?;
    let started = Instant::now();
    for _ in 0..blocks {
        stream.write_all(block)?;
    }
    stream.shutdown(Shutdown::Write)?;
    stream.read_exact(&mut [0])?;
    Ok(started.elapsed())
}

/// Connects so often, `at_once` at a time, and waits until the server has closed each.
fn connect_often(server: SocketAddr, at_once: usize, times: usize) -> io::Result<Duration> {
    let mut streams = Vec::with_capacity(at_once);
    let started = Instant::now();
    let mut connected = 0;
    while connected < times {
        for _ in 0..at_once.min(times - connected) {
            streams.push(TcpStream::connect(server)?);
            connected += 1;
        }
        for mut stream in streams.drain(..) {
            leave_nothing_behind(&stream)?;
            stream.read_to_end(&mut Vec::new())?;
        }
    }
    Ok(started.elapsed())
}
