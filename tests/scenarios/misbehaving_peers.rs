//! Peers that reset, stall, trickle, end one direction, do not accept or do not read: each gives a
//! clear error or a wait, and harms nobody else.

use std::io::ErrorKind;
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::harness::{runtime, scenario};
use volt::Io;
use volt::channel;
use volt::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};
use volt::task::yield_now;
use volt::time::{sleep, timeout};

const LOOPBACK: &str = "127.0.0.1:0";
/// What a connection that was reset answers, depending on when it is asked.
const RESET: [ErrorKind; 3] =
    [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe, ErrorKind::ConnectionAborted];
/// What small buffers are asked for; systems give more.
const SMALL: usize = 16_384;

async fn listen(io: &Io) -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(io, LOOPBACK).await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Two ends of one connection.
async fn pair(io: &Io) -> (TcpStream, TcpStream) {
    let (listener, address) = listen(io).await;
    let client = TcpStream::connect(io, address).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    (client, server)
}

/// Two ends of one connection with small buffers. The first one is for writing.
async fn narrow_pair(io: &Io) -> (TcpStream, TcpStream) {
    let socket = TcpSocket::new_v4(io).unwrap();
    socket.set_recv_buffer_size(SMALL).unwrap();
    socket.bind(LOOPBACK.parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    let listener = socket.listen(1).unwrap();
    let socket = TcpSocket::new_v4(io).unwrap();
    socket.set_send_buffer_size(SMALL).unwrap();
    let writer = socket.connect(address).await.unwrap();
    let (reader, _) = listener.accept().await.unwrap();
    (writer, reader)
}

/// Ends a connection by a reset.
fn reset(stream: TcpStream) {
    stream.set_linger(Some(Duration::ZERO)).unwrap();
}

scenario!(a_reset_ends_a_read_and_every_write_after_it, || {
    runtime(2).run(|io| async move {
        let (client, server) = pair(&io).await;
        let reading = io.spawn(async move {
            let error = server.read(&mut [0; 8]).await.unwrap_err();
            (server, error.kind())
        });
        reset(client);
        let (server, kind) = reading.await.unwrap();
        assert_eq!(kind, ErrorKind::ConnectionReset);
        // What follows neither waits nor succeeds. Most systems tell a reader once.
        match server.read(&mut [0; 8]).await {
            Ok(count) => assert_eq!(count, 0),
            Err(error) => assert!(RESET.contains(&error.kind()), "{error}"),
        }
        for _ in 0..2 {
            let error = server.write_all(b"is anybody there?").await.unwrap_err();
            assert!(RESET.contains(&error.kind()), "{error}");
        }
    });
});

scenario!(a_reset_ends_a_write_that_waits_for_room, || {
    runtime(2).run(|io| async move {
        let (writer, reader) = narrow_pair(&io).await;
        let writing = io.spawn(async move {
            let error = loop {
                if let Err(error) = writer.write_all(&[1; SMALL]).await {
                    break error;
                }
            };
            error.kind()
        });
        // Something has come, so the writer is at work.
        reader.read_exact(&mut [0; SMALL]).await.unwrap();
        reset(reader);
        let kind = writing.await.unwrap();
        assert!(RESET.contains(&kind), "{kind}");
    });
});

scenario!(a_peer_that_resets_before_it_is_accepted_ends_no_accept_loop, || {
    runtime(2).run(|io| async move {
        let (listener, address) = listen(&io).await;
        for _ in 0..3 {
            reset(TcpStream::connect(&io, address).await.unwrap());
        }
        let inside = io.clone();
        let server = io.spawn(async move {
            loop {
                // Some systems tell of those that have gone, others give them.
                let Ok((stream, _)) = listener.accept().await else { continue };
                inside.spawn(async move {
                    let mut byte = [0];
                    if stream.read_exact(&mut byte).await.is_ok() {
                        stream.write_all(&byte).await.unwrap();
                    }
                });
            }
        });
        let client = TcpStream::connect(&io, address).await.unwrap();
        client.write_all(&[7]).await.unwrap();
        let mut byte = [0];
        client.read_exact(&mut byte).await.unwrap();
        assert_eq!(byte, [7]);
        assert!(server.cancel().await.unwrap_err().is_cancelled());
    });
});

scenario!(a_peer_that_ends_its_writing_is_still_written_to, || {
    runtime(2).run(|io| async move {
        let (client, server) = pair(&io).await;
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 0);
        // The end stays, and does not keep the other direction from going on.
        let writing = io.spawn(async move {
            for number in 0..100 {
                server.write_all(&[number; 1_000]).await.unwrap();
                assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 0);
            }
        });
        let mut bytes = [0; 1_000];
        for number in 0..100 {
            client.read_exact(&mut bytes).await.unwrap();
            assert_eq!(bytes, [number; 1_000]);
        }
        writing.await.unwrap();
        assert_eq!(client.read(&mut bytes).await.unwrap(), 0);
        assert!(client.write_all(b"too late").await.is_err());
    });
});

scenario!(a_peer_that_stalls_is_given_up_on_and_come_back_to, || {
    runtime(2).run(|io| async move {
        let (client, server) = pair(&io).await;
        let mut bytes = [0; 8];
        for _ in 0..3 {
            let waited = timeout(&io, Duration::from_millis(2), server.read(&mut bytes)).await;
            assert!(waited.is_err(), "there is nothing to read");
        }
        client.write_all(b"awake").await.unwrap();
        drop(client);
        // The reads that were given up have taken nothing.
        server.read_exact(&mut bytes[..5]).await.unwrap();
        assert_eq!(&bytes[..5], b"awake");
        assert_eq!(server.read(&mut bytes).await.unwrap(), 0);

        let (writer, reader) = narrow_pair(&io).await;
        let mut sent = 0;
        loop {
            let write = writer.write(&[1; SMALL]);
            match timeout(&io, Duration::from_millis(50), write).await {
                Ok(count) => sent += count.unwrap(),
                Err(_) => break,
            }
            assert!(sent < 4 << 20, "nothing holds the writer back");
        }
        drop(writer);
        // The write that was given up has sent nothing.
        let mut received = 0;
        let mut buffer = [0; 4_096];
        loop {
            match reader.read(&mut buffer).await.unwrap() {
                0 => break,
                count => received += count,
            }
        }
        assert_eq!(received, sent);
    });
});

scenario!(a_peer_that_trickles_harms_nobody_else, || {
    const MESSAGE: usize = 64;
    runtime(2).run(|io| async move {
        let (listener, address) = listen(&io).await;
        let inside = io.clone();
        let server = io.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                inside.spawn(async move {
                    let mut message = [0; MESSAGE];
                    while stream.read_exact(&mut message).await.is_ok() {
                        // The answer trickles, too.
                        for byte in message {
                            stream.write_all(&[byte]).await.unwrap();
                            yield_now().await;
                        }
                    }
                });
            }
        });
        let (half_sent, is_half_sent) = channel::oneshot();
        let (go_on, may_go_on) = channel::oneshot();
        let slow = TcpStream::connect(&io, address).await.unwrap();
        slow.set_nodelay(true).unwrap();
        let inside = io.clone();
        let trickling = io.spawn(async move {
            for byte in 0..MESSAGE / 2 {
                slow.write_all(&[byte as u8]).await.unwrap();
                sleep(&inside, Duration::from_millis(1)).await;
            }
            half_sent.send(()).unwrap();
            may_go_on.await.unwrap();
            for byte in MESSAGE / 2..MESSAGE {
                slow.write_all(&[byte as u8]).await.unwrap();
                yield_now().await;
            }
            let mut answer = [0; MESSAGE];
            slow.read_exact(&mut answer).await.unwrap();
            assert!(answer.iter().enumerate().all(|(place, byte)| place == usize::from(*byte)));
        });
        // Others are served while the server waits for the other half.
        is_half_sent.await.unwrap();
        let quick = TcpStream::connect(&io, address).await.unwrap();
        for round in 0..5 {
            let mut message = [round; MESSAGE];
            quick.write_all(&message).await.unwrap();
            quick.read_exact(&mut message).await.unwrap();
            assert_eq!(message, [round; MESSAGE]);
        }
        go_on.send(()).unwrap();
        trickling.await.unwrap();
        assert!(server.cancel().await.unwrap_err().is_cancelled());
    });
});

scenario!(clients_beyond_the_backlog_wait_until_they_are_accepted, || {
    const CLIENTS: usize = 6;
    runtime(2).run(|io| async move {
        let socket = TcpSocket::new_v4(&io).unwrap();
        socket.bind(LOOPBACK.parse().unwrap()).unwrap();
        let address = socket.local_addr().unwrap();
        let listener = socket.listen(1).unwrap();
        let connected = Arc::new(AtomicUsize::new(0));
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let (io_of_client, connected) = (io.clone(), Arc::clone(&connected));
                io.spawn(async move {
                    let stream = TcpStream::connect(&io_of_client, address).await.unwrap();
                    connected.fetch_add(1, Ordering::SeqCst);
                    stream.write_all(&[number as u8]).await.unwrap();
                    let mut answer = [0];
                    stream.read_exact(&mut answer).await.unwrap();
                    assert_eq!(usize::from(answer[0]), number);
                })
            })
            .collect();
        while connected.load(Ordering::SeqCst) == 0 {
            sleep(&io, Duration::from_millis(1)).await;
        }
        sleep(&io, Duration::from_millis(50)).await;
        // Those that found the queue full ask again after a second or more.
        for _ in 0..CLIENTS {
            let (stream, _) = listener.accept().await.unwrap();
            let mut byte = [0];
            stream.read_exact(&mut byte).await.unwrap();
            stream.write_all(&byte).await.unwrap();
        }
        for client in clients {
            client.await.unwrap();
        }
    });
});

scenario!(datagrams_that_nobody_receives_are_lost_and_hold_nobody_back, || {
    /// More than systems keep for one socket.
    const COUNT: usize = 512;
    const LENGTH: usize = 8 << 10;
    runtime(2).run(|io| async move {
        let receiver = UdpSocket::bind(&io, LOOPBACK).await.unwrap();
        let sender = UdpSocket::bind(&io, LOOPBACK).await.unwrap();
        let target = receiver.local_addr().unwrap();
        for number in 0..COUNT {
            let sent = sender.send_to(&vec![(number / 2) as u8; LENGTH], target).await.unwrap();
            assert_eq!(sent, LENGTH);
        }
        let mut kept = Vec::new();
        let mut buffer = vec![0; LENGTH];
        while let Ok(count) =
            timeout(&io, Duration::from_millis(50), receiver.recv(&mut buffer)).await
        {
            assert_eq!(count.unwrap(), LENGTH);
            assert!(buffer.iter().all(|byte| *byte == buffer[0]), "two datagrams in one");
            kept.push(buffer[0]);
        }
        assert!(!kept.is_empty() && kept.len() < COUNT, "{} of {COUNT} were kept", kept.len());
        assert!(kept.is_sorted());
        sender.send_to(b"after that", target).await.unwrap();
        assert_eq!(receiver.recv(&mut buffer).await.unwrap(), 10);
        assert_eq!(&buffer[..10], b"after that");
    });
});

scenario!(a_slow_reader_bounds_what_its_writer_can_send, || {
    const TOTAL: usize = 1 << 20;
    /// Systems hold a little more than the sizes that they tell: a segment of up to 64 KiB at each
    /// end, and what is on its way.
    const MORE: usize = 256 << 10;
    runtime(2).run(|io| async move {
        let (writer, reader) = narrow_pair(&io).await;
        let most = writer.send_buffer_size().unwrap() + reader.recv_buffer_size().unwrap() + MORE;
        assert!(most < TOTAL / 2, "with {most} bytes in between the scenario shows nothing");
        let sent = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&sent);
        let writing = io.spawn(async move {
            let block = [1; SMALL];
            while counter.load(Ordering::SeqCst) < TOTAL {
                let count = writer.write(&block).await.unwrap();
                counter.fetch_add(count, Ordering::SeqCst);
            }
        });
        // Nothing is read before the writer has to wait.
        let mut before = usize::MAX;
        while before != sent.load(Ordering::SeqCst) {
            before = sent.load(Ordering::SeqCst);
            sleep(&io, Duration::from_millis(20)).await;
        }
        let mut received = 0;
        let mut buffer = vec![0; 64 << 10];
        loop {
            // `sent` may lack what one write has just done, never have too much.
            let ahead = sent.load(Ordering::SeqCst).saturating_sub(received);
            assert!(ahead <= most, "the writer is {ahead} bytes ahead, more than {most}");
            match reader.read(&mut buffer).await.unwrap() {
                0 => break,
                count => received += count,
            }
            yield_now().await;
        }
        writing.await.unwrap();
        assert!(received >= TOTAL);
        assert_eq!(received, sent.load(Ordering::SeqCst));
    });
});
