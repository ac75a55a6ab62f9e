//! TCP sockets that are set up before they listen or connect, and buffers that operations own.

use std::future::{Future, poll_fn};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use crate::harness::{runtime, scenario};
use volt::Io;
use volt::net::{TcpListener, TcpSocket, TcpStream};

/// No program listens there.
const NOBODY: &str = "127.0.0.1:1";

fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

/// A listener of a socket that was bound first.
fn listen(io: &Io) -> (TcpListener, SocketAddr) {
    let socket = TcpSocket::new_v4(io).unwrap();
    socket.bind(loopback()).unwrap();
    let address = socket.local_addr().unwrap();
    let listener = socket.listen(16).unwrap();
    assert_eq!(listener.local_addr().unwrap(), address);
    (listener, address)
}

scenario!(both_ends_are_bound_before_they_meet, || {
    runtime(2).run(|io| async move {
        let (listener, address) = listen(&io);
        let socket = TcpSocket::new_v4(&io).unwrap();
        socket.bind(loopback()).unwrap();
        let own = socket.local_addr().unwrap();
        let client = socket.connect(address).await.unwrap();
        assert_eq!(client.local_addr().unwrap(), own);
        let (server, peer) = listener.accept().await.unwrap();
        assert_eq!(peer, own);
        client.write_all(b"hello").await.unwrap();
        let mut greeting = [0; 5];
        server.read_exact(&mut greeting).await.unwrap();
        assert_eq!(&greeting, b"hello");
    });
});

scenario!(options_last_from_the_socket_to_the_stream, || {
    runtime(1).run(|io| async move {
        let (listener, address) = listen(&io);
        let socket = TcpSocket::new_v4(&io).unwrap();
        assert!(!socket.reuseaddr().unwrap() && !socket.nodelay().unwrap());
        socket.set_reuseaddr(true).unwrap();
        assert!(socket.reuseaddr().unwrap());
        socket.set_nodelay(true).unwrap();
        let minute = Some(Duration::from_secs(60));
        socket.set_keepalive(minute).unwrap();
        socket.set_linger(Some(Duration::ZERO)).unwrap();
        socket.set_send_buffer_size(20_000).unwrap();
        socket.set_recv_buffer_size(30_000).unwrap();
        let sizes = (socket.send_buffer_size().unwrap(), socket.recv_buffer_size().unwrap());
        assert!(sizes.0 >= 20_000 && sizes.1 >= 30_000, "{sizes:?}");

        let client = socket.connect(address).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        assert!(client.nodelay().unwrap());
        match client.keepalive() {
            // It is set, and the system does not tell to what.
            Err(error) if cfg!(windows) => assert_eq!(error.kind(), ErrorKind::Unsupported),
            kept => assert_eq!(kept.unwrap(), minute),
        }
        assert_eq!(client.linger().unwrap(), Some(Duration::ZERO));
        assert!(client.send_buffer_size().unwrap() >= 20_000);
        assert!(client.recv_buffer_size().unwrap() >= 30_000);
        client.set_keepalive(None).unwrap();
        assert_eq!(client.keepalive().unwrap(), None);
        for short in [Duration::ZERO, Duration::from_millis(999)] {
            let error = client.set_keepalive(Some(short)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }

        drop(client);
        let error = server.read(&mut [0]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    });
});

scenario!(a_socket_that_cannot_be_had_says_why, || {
    runtime(1).run(|io| async move {
        let (listener, address) = listen(&io);
        let socket = TcpSocket::new_v4(&io).unwrap();
        assert_eq!(socket.bind(address).unwrap_err().kind(), ErrorKind::AddrInUse);
        let nobody = NOBODY.parse().unwrap();
        let refused = TcpSocket::new_v4(&io).unwrap().connect(nobody).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        // Where the system has IPv6, its sockets take no address of the other family.
        if let Ok(socket) = TcpSocket::new_v6(&io) {
            assert!(socket.connect(address).await.is_err());
        }
        drop(listener);
    });
});

scenario!(small_buffers_hold_the_writer_back, || {
    /// Many times what was asked for: systems give more.
    const MOST: usize = 1 << 20;
    runtime(2).run(|io| async move {
        let socket = TcpSocket::new_v4(&io).unwrap();
        socket.set_recv_buffer_size(16_384).unwrap();
        socket.bind(loopback()).unwrap();
        let address = socket.local_addr().unwrap();
        let listener = socket.listen(1).unwrap();
        let socket = TcpSocket::new_v4(&io).unwrap();
        socket.set_send_buffer_size(16_384).unwrap();
        let client = socket.connect(address).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        client.writable().await.unwrap();
        let mut sent = 0;
        while let Ok(count) = client.try_write(&[7; 16 * 1024]) {
            sent += count;
            assert!(sent < MOST, "nothing holds the writer back");
        }
        let writing = io.spawn(async move { client.write_all(&[8; 16 * 1024]).await.unwrap() });
        let mut received = 0;
        let mut buffer = [0; 1_000];
        loop {
            match server.read(&mut buffer).await.unwrap() {
                0 => break,
                count => received += count,
            }
        }
        writing.await.unwrap();
        assert_eq!(received, sent + 16 * 1024);
    });
});

scenario!(owned_buffers_come_back_with_what_was_done, || {
    runtime(2).run(|io| async move {
        let (listener, address) = listen(&io);
        let client = TcpStream::connect(&io, address).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        // A dropped read takes nothing.
        {
            let mut reading = pin!(server.read_owned(vec![0; 8]));
            let polled = poll_fn(|context| Poll::Ready(reading.as_mut().poll(context))).await;
            assert!(polled.is_pending());
        }
        let mut rest = b"question".to_vec();
        while !rest.is_empty() {
            let (count, bytes) = client.write_owned(rest).await;
            rest = bytes[count.unwrap()..].to_vec();
        }
        let mut received = Vec::new();
        let mut buffer = vec![0; 3];
        while received.len() < 8 {
            let (count, bytes) = server.read_owned(buffer).await;
            received.extend_from_slice(&bytes[..count.unwrap()]);
            buffer = bytes;
        }
        assert_eq!(received, b"question");
        drop(client);
        let (end, _) = server.read_owned([0_u8; 4]).await;
        assert_eq!(end.unwrap(), 0);
    });
});
