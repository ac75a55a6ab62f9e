//! The servers on Volt. Where the back-end is io_uring, they read streams into owned buffers, which
//! goes by the ring; what else they do waits for readiness on either.

use std::convert::Infallible;
use std::io;

use volt::net::{TcpListener, TcpStream, UdpSocket};
use volt::{Backend, Io, Runtime};

use super::socket::Socket;
use super::{DATAGRAM, ECHO_BUFFER, STREAM_BUFFER, Service, http, open};

pub(super) fn serve(backend: Backend, service: Service) -> io::Result<Infallible> {
    let runtime = Runtime::builder().workers(1).backend(backend).build()?;
    let socket = open(service)?;
    runtime.run(|io| async move {
        let serving = io.spawn(answer(io.clone(), backend, service, socket));
        serving.await.expect("a server ends with an error only")
    })
}

async fn answer(
    io: Io,
    backend: Backend,
    service: Service,
    socket: Socket,
) -> io::Result<Infallible> {
    match socket {
        Socket::Stream(listener) => accept(io, backend, service, listener).await,
        Socket::Datagram(socket) => echo_datagrams(io, socket).await,
    }
}

async fn accept(
    io: Io,
    backend: Backend,
    service: Service,
    listener: std::net::TcpListener,
) -> io::Result<Infallible> {
    let listener = TcpListener::from_std(&io, listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        if service == Service::AcceptClose {
            continue;
        }
        stream.set_nodelay(true)?;
        io.spawn(async move {
            // An error ends this connection only: a load that has done all it was asked to resets.
            let _ = match (service, backend) {
                (Service::Http, _) => http::serve(stream).await,
                (Service::Echo, Backend::IoUring) => echo_owned(stream).await,
                (Service::Echo, _) => echo(stream).await,
                (_, Backend::IoUring) => swallow_owned(stream).await,
                _ => swallow(stream).await,
            };
        });
    }
}

async fn echo(stream: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; ECHO_BUFFER];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count]).await?;
    }
}

async fn echo_owned(stream: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; ECHO_BUFFER];
    loop {
        let (count, read) = stream.read_owned(buffer).await;
        buffer = read;
        let count = count?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count]).await?;
    }
}

async fn swallow(stream: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; STREAM_BUFFER];
    while stream.read(&mut buffer).await? > 0 {}
    stream.write_all(&[1]).await
}

async fn swallow_owned(stream: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; STREAM_BUFFER];
    loop {
        let (count, read) = stream.read_owned(buffer).await;
        buffer = read;
        if count? == 0 {
            return stream.write_all(&[1]).await;
        }
    }
}

async fn echo_datagrams(io: Io, socket: std::net::UdpSocket) -> io::Result<Infallible> {
    let socket = UdpSocket::from_std(&io, socket)?;
    let mut buffer = vec![0; DATAGRAM];
    loop {
        let (count, from) = socket.recv_from(&mut buffer).await?;
        socket.send_to(&buffer[..count], from).await?;
    }
}
