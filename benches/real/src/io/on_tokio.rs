//! The servers on tokio: its multi-thread runtime with one worker, on which everything runs.

use std::convert::Infallible;
use std::io;

use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::runtime::Builder;

use super::socket::Socket;
use super::{DATAGRAM, ECHO_BUFFER, STREAM_BUFFER, Service, http, open};

pub(super) fn serve(service: Service) -> io::Result<Infallible> {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let socket = open(service)?;
    // The thread that calls `block_on` is no worker.
    runtime.block_on(runtime.spawn(answer(service, socket)))?
}

async fn answer(service: Service, socket: Socket) -> io::Result<Infallible> {
    match socket {
        Socket::Stream(listener) => accept(service, listener).await,
        Socket::Datagram(socket) => echo_datagrams(socket).await,
    }
}

async fn accept(service: Service, listener: std::net::TcpListener) -> io::Result<Infallible> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        if service == Service::AcceptClose {
            continue;
        }
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            // An error ends this connection only: a load that has done all it was asked to resets.
            let _ = match service {
                Service::Echo => echo(stream).await,
                Service::Http => http::serve(TokioIo::new(stream)).await,
                _ => swallow(stream).await,
            };
        });
    }
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; ECHO_BUFFER];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count]).await?;
    }
}

async fn swallow(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; STREAM_BUFFER];
    while stream.read(&mut buffer).await? > 0 {}
    stream.write_all(&[1]).await
}

async fn echo_datagrams(socket: std::net::UdpSocket) -> io::Result<Infallible> {
    socket.set_nonblocking(true)?;
    let socket = UdpSocket::from_std(socket)?;
    let mut buffer = vec![0; DATAGRAM];
    loop {
        let (count, from) = socket.recv_from(&mut buffer).await?;
        socket.send_to(&buffer[..count], from).await?;
    }
}
