//! The servers on smol: its executor for one thread, which is its faster one, with async-io.

use std::convert::Infallible;
use std::io;
use std::rc::Rc;

use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::net::{TcpListener, TcpStream, UdpSocket};
use smol::{Async, LocalExecutor};
use smol_hyper::rt::FuturesIo;

use super::socket::Socket;
use super::{DATAGRAM, ECHO_BUFFER, STREAM_BUFFER, Service, http, open};

pub(super) fn serve(service: Service) -> io::Result<Infallible> {
    let executor = Rc::new(LocalExecutor::new());
    let socket = open(service)?;
    let serving = executor.spawn(answer(Rc::clone(&executor), service, socket));
    smol::block_on(executor.run(serving))
}

async fn answer(
    executor: Rc<LocalExecutor<'static>>,
    service: Service,
    socket: Socket,
) -> io::Result<Infallible> {
    match socket {
        Socket::Stream(listener) => accept(executor, service, listener).await,
        Socket::Datagram(socket) => echo_datagrams(socket).await,
    }
}

async fn accept(
    executor: Rc<LocalExecutor<'static>>,
    service: Service,
    listener: std::net::TcpListener,
) -> io::Result<Infallible> {
    let listener = TcpListener::from(Async::new(listener)?);
    loop {
        let (stream, _) = listener.accept().await?;
        if service == Service::AcceptClose {
            continue;
        }
        stream.set_nodelay(true)?;
        let connection = executor.spawn(async move {
            // An error ends this connection only: a load that has done all it was asked to resets.
            let _ = match service {
                Service::Echo => echo(stream).await,
                Service::Http => http::serve(FuturesIo::new(stream)).await,
                _ => swallow(stream).await,
            };
        });
        connection.detach();
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
    let socket = UdpSocket::from(Async::new(socket)?);
    let mut buffer = vec![0; DATAGRAM];
    loop {
        let (count, from) = socket.recv_from(&mut buffer).await?;
        socket.send_to(&buffer[..count], from).await?;
    }
}
