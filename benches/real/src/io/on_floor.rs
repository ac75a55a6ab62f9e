//! The servers without a runtime: what the system's calls take, as a C program makes them.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;

use super::epoll::Epoll;
use super::socket::Socket;
use super::{DATAGRAM, STREAM_BUFFER, Service, open};

/// What is answered to every request, which is not looked at.
const GREETING: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\nHello, world!";

pub(super) fn serve(service: Service) -> io::Result<Infallible> {
    match open(service)? {
        Socket::Stream(listener) if service == Service::AcceptClose => loop {
            drop(listener.accept()?);
        },
        Socket::Stream(listener) => serve_streams(service, &listener),
        Socket::Datagram(socket) => echo_datagrams(&socket),
    }
}

/// One loop over epoll. The sockets block: what is read is there, and the load takes every answer.
fn serve_streams(service: Service, listener: &TcpListener) -> io::Result<Infallible> {
    let mut epoll = Epoll::new()?;
    let mut streams: HashMap<usize, TcpStream> = HashMap::new();
    let mut buffer = vec![0; STREAM_BUFFER];
    let token = |source: &dyn AsRawFd| source.as_raw_fd() as usize;
    let listening = token(listener);
    epoll.watch(listener, listening)?;
    loop {
        let mut connected = false;
        for ready in epoll.wait(None)? {
            if ready == listening {
                connected = true;
                continue;
            }
            let stream = streams.get_mut(&ready).expect("it is watched while it is open");
            // An error ends this connection only: a load that has done all it was asked to resets.
            let over = match stream.read(&mut buffer) {
                Ok(0) if service == Service::Throughput => stream.write_all(&[1]).map(|()| true),
                Ok(0) => Ok(true),
                Ok(count) => match service {
                    Service::Echo => stream.write_all(&buffer[..count]).map(|()| false),
                    Service::Http => stream.write_all(GREETING).map(|()| false),
                    _ => Ok(false),
                },
                Err(error) => Err(error),
            };
            if over.unwrap_or(true) {
                streams.remove(&ready);
            }
        }
        // One each time: the listener stays ready while there are more.
        if connected {
            let (stream, _) = listener.accept()?;
            stream.set_nodelay(true)?;
            epoll.watch(&stream, token(&stream))?;
            streams.insert(token(&stream), stream);
        }
    }
}

fn echo_datagrams(socket: &UdpSocket) -> io::Result<Infallible> {
    let mut buffer = vec![0; DATAGRAM];
    loop {
        let (count, from) = socket.recv_from(&mut buffer)?;
        socket.send_to(&buffer[..count], from)?;
    }
}
