//! The servers on compio, over io_uring. Its operations take buffers and give them back.

use std::convert::Infallible;
use std::io;

use compio::BufResult;
use compio::io::{AsyncRead, AsyncWriteExt};
use compio::net::{TcpListener, TcpStream, UdpSocket};
use compio::runtime::{Runtime, spawn};
use compio_io::compat::AsyncStream;
use smol_hyper::rt::FuturesIo;

use super::socket::Socket;
use super::{DATAGRAM, ECHO_BUFFER, STREAM_BUFFER, Service, http, open};

pub(super) fn serve(service: Service) -> io::Result<Infallible> {
    let runtime = Runtime::new()?;
    let socket = open(service)?;
    let serving = runtime.spawn(answer(service, socket));
    runtime.block_on(serving).expect("a server ends with an error only")
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
        let connection = spawn(async move {
            // An error ends this connection only: a load that has done all it was asked to resets.
            let _ = match service {
                Service::Echo => echo(stream).await,
                Service::Http => {
                    http::serve(FuturesIo::new(Box::pin(AsyncStream::new(stream)))).await
                }
                _ => swallow(stream).await,
            };
        });
        connection.detach();
    }
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer: Vec<u8> = Vec::with_capacity(ECHO_BUFFER);
    loop {
        // What is read never makes the buffer shorter.
        buffer.clear();
        let BufResult(read, filled) = stream.read(buffer).await;
        if read? == 0 {
            return Ok(());
        }
        let BufResult(written, emptied) = stream.write_all(filled).await;
        written?;
        buffer = emptied;
    }
}

async fn swallow(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer: Vec<u8> = Vec::with_capacity(STREAM_BUFFER);
    loop {
        buffer.clear();
        let BufResult(read, filled) = stream.read(buffer).await;
        if read? == 0 {
            break;
        }
        buffer = filled;
    }
    stream.write_all(vec![1_u8]).await.0
}

async fn echo_datagrams(socket: std::net::UdpSocket) -> io::Result<Infallible> {
    let socket = UdpSocket::from_std(socket)?;
    let mut buffer: Vec<u8> = Vec::with_capacity(DATAGRAM);
    loop {
        buffer.clear();
        let BufResult(received, filled) = socket.recv_from(buffer).await;
        let (_, from) = received?;
        let BufResult(sent, emptied) = socket.send_to(filled, from).await;
        sent?;
        buffer = emptied;
    }
}
