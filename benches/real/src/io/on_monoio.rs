//! The servers on monoio, over io_uring. Its operations take buffers and give them back.

use std::convert::Infallible;
use std::io;

use hyper_util::rt::TokioIo;
use monoio::io::{AsyncReadRent, AsyncWriteRentExt};
use monoio::net::udp::UdpSocket;
use monoio::net::{TcpListener, TcpStream};
use monoio::{IoUringDriver, RuntimeBuilder};
use monoio_compat::TcpStreamCompat;

use super::socket::Socket;
use super::{DATAGRAM, ECHO_BUFFER, STREAM_BUFFER, Service, http, open};

pub(super) fn serve(service: Service) -> io::Result<Infallible> {
    let mut runtime = RuntimeBuilder::<IoUringDriver>::new().build()?;
    let socket = open(service)?;
    runtime.block_on(async move { monoio::spawn(answer(service, socket)).await })
}

async fn answer(service: Service, socket: Socket) -> io::Result<Infallible> {
    match socket {
        Socket::Stream(listener) => accept(service, listener).await,
        Socket::Datagram(socket) => echo_datagrams(socket).await,
    }
}

async fn accept(service: Service, listener: std::net::TcpListener) -> io::Result<Infallible> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        if service == Service::AcceptClose {
            continue;
        }
        stream.set_nodelay(true)?;
        monoio::spawn(async move {
            // An error ends this connection only: a load that has done all it was asked to resets.
            let _ = match service {
                Service::Echo => echo(stream).await,
                Service::Http => http::serve(TokioIo::new(TcpStreamCompat::new(stream))).await,
                _ => swallow(stream).await,
            };
        });
    }
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer: Vec<u8> = Vec::with_capacity(ECHO_BUFFER);
    loop {
        let (read, filled) = stream.read(buffer).await;
        if read? == 0 {
            return Ok(());
        }
        let (written, emptied) = stream.write_all(filled).await;
        written?;
        buffer = emptied;
    }
}

async fn swallow(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer: Vec<u8> = Vec::with_capacity(STREAM_BUFFER);
    loop {
        let (read, filled) = stream.read(buffer).await;
        if read? == 0 {
            break;
        }
        buffer = filled;
    }
    let (written, _) = stream.write_all(vec![1_u8]).await;
    written.map(drop)
}

async fn echo_datagrams(socket: std::net::UdpSocket) -> io::Result<Infallible> {
    let socket = UdpSocket::from_std(socket)?;
    let mut buffer: Vec<u8> = Vec::with_capacity(DATAGRAM);
    loop {
        let (received, filled) = socket.recv_from(buffer).await;
        let (_, from) = received?;
        let (sent, emptied) = socket.send_to(filled, from).await;
        sent?;
        buffer = emptied;
    }
}
