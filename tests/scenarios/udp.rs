//! Datagrams keep their bounds, reach whom they are for, and are not lost to operations that are
//! dropped.

use std::collections::BTreeSet;
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::harness::{runtime, scenario};
use volt::Io;
use volt::net::UdpSocket;
use volt::task::yield_now;
#[cfg(unix)]
use volt::time::sleep;
use volt::time::timeout;

const LOOPBACK: &str = "127.0.0.1:0";
/// No program receives there.
#[cfg(unix)]
const NOBODY: &str = "127.0.0.1:1";

async fn bind(io: &Io) -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind(io, LOOPBACK).await.unwrap();
    let address = socket.local_addr().unwrap();
    assert_ne!(address.port(), 0);
    (socket, address)
}

/// Two sockets that are connected to each other.
async fn pair(io: &Io) -> (UdpSocket, UdpSocket) {
    let ((first, first_address), (second, second_address)) = (bind(io).await, bind(io).await);
    first.connect(second_address).await.unwrap();
    second.connect(first_address).await.unwrap();
    assert_eq!(first.peer_addr().unwrap(), second_address);
    (first, second)
}

async fn receive(socket: &UdpSocket) -> Vec<u8> {
    let mut buffer = vec![0; 70_000];
    let count = socket.recv(&mut buffer).await.unwrap();
    buffer.truncate(count);
    buffer
}

/// Asserts that the buffer was filled by a datagram that is longer, which Windows calls an error.
fn assert_filled(count: io::Result<usize>, length: usize) {
    /// `WSAEMSGSIZE`.
    const TOO_LONG: i32 = 10_040;
    match count {
        Err(error) if cfg!(windows) => assert_eq!(error.raw_os_error(), Some(TOO_LONG)),
        count => assert_eq!(count.unwrap(), length),
    }
}

/// Polls `future` once and drops it.
async fn once<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

scenario!(an_echo_answers_each_client, || {
    runtime(2).run(|io| async move {
        let (server, address) = bind(&io).await;
        let serving = io.spawn(async move {
            let mut buffer = [0; 64];
            loop {
                let (count, source) = server.recv_from(&mut buffer).await.unwrap();
                assert_eq!(server.send_to(&buffer[..count], source).await.unwrap(), count);
            }
        });
        let clients: Vec<_> = (0..4_u8)
            .map(|number| {
                let io = io.clone();
                io.clone().spawn(async move {
                    let (client, _) = bind(&io).await;
                    let mut buffer = [0; 64];
                    for round in 0..3 {
                        let sent = [number, round];
                        client.send_to(&sent, address).await.unwrap();
                        let (count, source) = client.recv_from(&mut buffer).await.unwrap();
                        assert_eq!((&buffer[..count], source), (&sent[..], address));
                    }
                })
            })
            .collect();
        for client in clients {
            client.await.unwrap();
        }
        assert!(serving.cancel().await.unwrap_err().is_cancelled());
    });
});

scenario!(datagrams_keep_their_bounds_from_empty_to_the_longest, || {
    runtime(1).run(|io| async move {
        let (first, second) = pair(&io).await;
        let longest = vec![7; 65_507];
        for sent in [&b"one"[..], &b""[..], &longest[..]] {
            assert_eq!(first.send(sent).await.unwrap(), sent.len());
            assert!(receive(&second).await == sent);
        }
        let error = first.send(&[7; 65_508]).await.unwrap_err();
        assert!(error.raw_os_error().is_some(), "{error}");
        // What does not fit the buffer is gone.
        first.send(b"long").await.unwrap();
        first.send(b"next").await.unwrap();
        let mut two = [0; 2];
        assert_filled(second.recv(&mut two).await, 2);
        assert_eq!(&two, b"lo");
        assert_eq!(receive(&second).await, b"next");
    });
});

scenario!(a_connected_socket_hears_its_peer_alone, || {
    runtime(2).run(|io| async move {
        let (first, second) = pair(&io).await;
        let (stranger, _) = bind(&io).await;
        let target = first.local_addr().unwrap();
        stranger.send_to(b"let me in", target).await.unwrap();
        second.send(b"it is me").await.unwrap();
        assert_eq!(receive(&first).await, b"it is me");
        // It can be connected elsewhere, also by a name.
        let port = stranger.local_addr().unwrap().port();
        first.connect(("127.0.0.1", port)).await.unwrap();
        stranger.send_to(b"now?", target).await.unwrap();
        assert_eq!(receive(&first).await, b"now?");
        let error = first.connect("nobody").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(first.peer_addr().unwrap(), stranger.local_addr().unwrap());
    });
});

scenario!(what_is_peeked_at_stays, || {
    runtime(1).run(|io| async move {
        let (first, second) = pair(&io).await;
        first.send(b"stay").await.unwrap();
        let source = first.local_addr().unwrap();
        let mut bytes = [0; 8];
        assert_filled(second.peek(&mut bytes[..2]).await, 2);
        assert_eq!(second.peek_from(&mut bytes).await.unwrap(), (4, source));
        assert_eq!(second.try_peek(&mut bytes).unwrap(), 4);
        assert_eq!(second.try_peek_from(&mut bytes).unwrap(), (4, source));
        let peeked = poll_fn(|context| second.poll_peek_from(context, &mut bytes)).await;
        assert_eq!(peeked.unwrap(), (4, source));
        assert_eq!(second.try_recv_from(&mut bytes).unwrap(), (4, source));
        assert_eq!(second.try_recv(&mut bytes).unwrap_err().kind(), ErrorKind::WouldBlock);
    });
});

// Windows tells it as a reset, and also to a socket that is not connected.
#[cfg(unix)]
scenario!(a_connected_sender_hears_that_nobody_receives, || {
    runtime(2).run(|io| async move {
        let (socket, address) = bind(&io).await;
        let error = socket.peer_addr().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotConnected);
        assert!(socket.send(b"where to?").await.is_err());
        // Nobody tells a socket that is not connected.
        socket.send_to(b"lost", NOBODY.parse().unwrap()).await.unwrap();
        socket.send_to(b"to myself", address).await.unwrap();
        assert_eq!(receive(&socket).await, b"to myself");
        // What comes back goes by before the socket is connected.
        sleep(&io, Duration::from_millis(1)).await;

        socket.connect(NOBODY).await.unwrap();
        socket.send(b"anybody?").await.unwrap();
        let error = socket.recv(&mut [0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        assert!(socket.take_error().unwrap().is_none(), "it is told once");
        // It works on: neither direction has ended.
        assert!(once(socket.recv(&mut [0; 8])).await.is_none());
        socket.writable().await.unwrap();
        socket.connect(address).await.unwrap();
        socket.send(b"me again").await.unwrap();
        assert_eq!(receive(&socket).await, b"me again");
    });
});

scenario!(what_comes_faster_than_it_is_received_is_dropped, || {
    /// More than any system keeps unless it is told to: 3.2 MB.
    const COUNT: u8 = 200;
    const LENGTH: usize = 16_000;
    runtime(1).run(|io| async move {
        let (first, second) = pair(&io).await;
        for number in 0..COUNT {
            assert_eq!(first.send(&[number; LENGTH]).await.unwrap(), LENGTH);
        }
        let mut numbers = Vec::new();
        while let Ok(datagram) = timeout(&io, Duration::from_millis(50), receive(&second)).await {
            assert!(datagram.len() == LENGTH && datagram.iter().all(|b| *b == datagram[0]));
            numbers.push(datagram[0]);
        }
        assert!(!numbers.is_empty() && numbers.len() < usize::from(COUNT), "{numbers:?}");
        assert!(numbers.is_sorted());
        first.send(b"room again").await.unwrap();
        assert_eq!(receive(&second).await, b"room again");
    });
});

scenario!(a_dropped_receive_loses_no_datagram, || {
    runtime(2).run(|io| async move {
        let (first, second) = pair(&io).await;
        let sending = io.spawn(async move {
            for number in 0..60_u8 {
                first.send(&[number]).await.unwrap();
                yield_now().await;
            }
            first
        });
        let mut received = Vec::new();
        let mut buffer = [0; 4];
        while received.len() < 60 {
            match once(second.recv(&mut buffer)).await {
                Some(count) => {
                    assert_eq!(count.unwrap(), 1);
                    received.push(buffer[0]);
                }
                None => {
                    drop(once(second.readable()).await);
                    second.readable().await.unwrap();
                }
            }
        }
        assert_eq!(received, (0..60).collect::<Vec<u8>>());
        sending.await.unwrap();
    });
});

scenario!(several_tasks_share_one_socket, || {
    runtime(2).run(|io| async move {
        let (server, address) = bind(&io).await;
        let server = Arc::new(server);
        let receivers: Vec<_> = (0..3)
            .map(|_| {
                let server = Arc::clone(&server);
                io.spawn(async move {
                    let mut byte = [0; 1];
                    server.recv(&mut byte).await.unwrap();
                    byte[0]
                })
            })
            .collect();
        let (client, _) = bind(&io).await;
        for number in 0..3 {
            client.send_to(&[number], address).await.unwrap();
        }
        let mut received = BTreeSet::new();
        for receiver in receivers {
            received.insert(receiver.await.unwrap());
        }
        assert_eq!(received, BTreeSet::from([0, 1, 2]));
    });
});

scenario!(operations_can_be_tried_and_polled, || {
    runtime(1).run(|io| async move {
        let (first, second) = pair(&io).await;
        let (source, target) = (first.local_addr().unwrap(), second.local_addr().unwrap());
        let mut bytes = [0; 4];
        assert_eq!(second.try_recv(&mut bytes).unwrap_err().kind(), ErrorKind::WouldBlock);
        first.writable().await.unwrap();
        assert_eq!(first.try_send(b"a").unwrap(), 1);
        second.readable().await.unwrap();
        assert_eq!(second.recv_from(&mut bytes).await.unwrap(), (1, source));

        let sent = poll_fn(|context| first.poll_send(context, b"bc")).await;
        assert_eq!(sent.unwrap(), 2);
        let count = poll_fn(|context| second.poll_recv(context, &mut bytes)).await;
        assert_eq!(count.unwrap(), 2);

        let (third, third_address) = bind(&io).await;
        third.writable().await.unwrap();
        let sent = poll_fn(|context| third.poll_send_to(context, b"d", third_address)).await;
        assert_eq!(sent.unwrap(), 1);
        let received = poll_fn(|context| third.poll_recv_from(context, &mut bytes)).await;
        assert_eq!(received.unwrap(), (1, third_address));
        // A socket that is connected does not hear it.
        assert_eq!(third.try_send_to(b"e", target).unwrap(), 1);
    });
});

scenario!(options_are_kept_and_a_port_is_had_once, || {
    runtime(1).run(|io| async move {
        let (socket, address) = bind(&io).await;
        let error = UdpSocket::bind(&io, address).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        assert!(!socket.broadcast().unwrap());
        socket.set_broadcast(true).unwrap();
        assert!(socket.broadcast().unwrap());
        socket.set_ttl(42).unwrap();
        assert_eq!(socket.ttl().unwrap(), 42);
    });
});

scenario!(sockets_outlive_their_runtime, || {
    let runtime = runtime(2);
    let (io, socket, address) = runtime.run(|io| async move {
        let (socket, address) = bind(&io).await;
        let (held, _) = bind(&io).await;
        io.spawn(async move {
            // Waits until the runtime is dropped, which drops this socket.
            let _ = held.recv(&mut [0; 1]).await;
        });
        yield_now().await;
        (io, socket, address)
    });
    drop(runtime);

    let mut context = Context::from_waker(Waker::noop());
    let assert_refused = |what: &str, polled: Poll<Result<(), io::Error>>| match polled {
        Poll::Ready(Err(error)) => {
            assert!(error.to_string().contains("shut down"), "{what}: {error}");
        }
        other => panic!("{what} gives {other:?}"),
    };
    let mut byte = [0];
    let receive = pin!(socket.recv(&mut byte)).poll(&mut context);
    assert_refused("a receive", receive.map_ok(drop));
    let send = pin!(socket.send_to(b"x", address)).poll(&mut context);
    assert_refused("a send", send.map_ok(drop));
    let bind = pin!(UdpSocket::bind(&io, LOOPBACK)).poll(&mut context);
    assert_refused("a bind", bind.map_ok(drop));
    assert_eq!(socket.local_addr().unwrap(), address);
});
