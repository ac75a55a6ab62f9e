//! TCP streams lose and reorder nothing, end when their peers end, and outlive their runtime
//! soundly.

use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::net::{Shutdown, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};

use futures_core::Stream;
use futures_io::{AsyncRead, AsyncWrite};

use crate::harness::{runtime, scenario};
use volt::Io;
use volt::net::{TcpListener, TcpStream, lookup_host};
use volt::task::{Group, yield_now};

const LOOPBACK: &str = "127.0.0.1:0";
/// No program listens there.
const NOBODY: &str = "127.0.0.1:1";

/// Bytes in which every position within 251 differs, so that a loss or an exchange shows.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|position| (position % 251) as u8).collect()
}

async fn listen(io: &Io) -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(io, LOOPBACK).await.unwrap();
    let address = listener.local_addr().unwrap();
    assert_ne!(address.port(), 0);
    (listener, address)
}

/// Two ends of one connection.
async fn pair(io: &Io) -> (TcpStream, TcpStream) {
    let (listener, address) = listen(io).await;
    let client = TcpStream::connect(io, address).await.unwrap();
    let (server, peer) = listener.accept().await.unwrap();
    assert_eq!(peer, client.local_addr().unwrap());
    assert_eq!(client.peer_addr().unwrap(), server.local_addr().unwrap());
    (client, server)
}

async fn read_to_end(stream: &TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 32 * 1024];
    loop {
        match stream.read(&mut buffer).await.unwrap() {
            0 => return bytes,
            count => bytes.extend_from_slice(&buffer[..count]),
        }
    }
}

/// Sends back what it reads, to the end.
async fn echo(stream: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            count => stream.write_all(&buffer[..count]).await?,
        }
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

scenario!(an_echo_of_64_kib_comes_back, || {
    runtime(2).run(|io| async move {
        let (listener, address) = listen(&io).await;
        let server = io.spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            echo(stream).await.unwrap();
        });
        let client = Arc::new(TcpStream::connect(&io, address).await.unwrap());
        let sent = pattern(64 * 1024);
        let (writer, bytes) = (Arc::clone(&client), sent.clone());
        let writing = io.spawn(async move {
            writer.write_all(&bytes).await.unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        assert!(read_to_end(&client).await == sent);
        writing.await.unwrap();
        server.await.unwrap();
    });
});

scenario!(many_small_connections_come_and_go, || {
    runtime(2).run(|io| async move {
        let (listener, address) = listen(&io).await;
        let server = io.spawn(async move {
            for number in 0..12 {
                let (stream, _) = listener.accept().await.unwrap();
                let mut byte = [0];
                stream.read_exact(&mut byte).await.unwrap();
                assert_eq!(byte[0], number);
                stream.write_all(&[byte[0] + 100]).await.unwrap();
            }
        });
        for number in 0..12 {
            let stream = TcpStream::connect(&io, address).await.unwrap();
            stream.set_nodelay(true).unwrap();
            stream.write_all(&[number]).await.unwrap();
            assert_eq!(read_to_end(&stream).await, [number + 100]);
        }
        server.await.unwrap();
    });
});

scenario!(a_client_that_ends_its_writing_still_reads, || {
    runtime(2).run(|io| async move {
        let (client, server) = pair(&io).await;
        let answering = io.spawn(async move {
            let question = read_to_end(&server).await;
            server.write_all(&question.repeat(2)).await.unwrap();
        });
        client.write_all(b"twice ").await.unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        assert!(client.write_all(b"too late").await.is_err());
        assert_eq!(read_to_end(&client).await, b"twice twice ");
        answering.await.unwrap();
    });
});

scenario!(a_peer_that_is_dropped_gives_the_end, || {
    runtime(2).run(|io| async move {
        let (client, server) = pair(&io).await;
        let reading = io.spawn(async move {
            let end = client.read(&mut [0; 8]).await.unwrap();
            let error = client.read_exact(&mut [0; 1]).await.unwrap_err();
            (end, error.kind())
        });
        drop(server);
        assert_eq!(reading.await.unwrap(), (0, ErrorKind::UnexpectedEof));
    });
});

scenario!(a_refused_connection_is_an_error_and_the_next_address_is_tried, || {
    runtime(2).run(|io| async move {
        let refused = TcpStream::connect(&io, NOBODY).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);

        let (listener, address) = listen(&io).await;
        let nobody: SocketAddr = NOBODY.parse().unwrap();
        let client = TcpStream::connect(&io, [nobody, address]).await.unwrap();
        assert_eq!(client.peer_addr().unwrap(), address);
        listener.accept().await.unwrap();

        let error = TcpStream::connect(&io, "127.0.0.1").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("`127.0.0.1`"), "{error}");
    });
});

scenario!(names_resolve_off_the_workers, || {
    runtime(1).run(|io| async move {
        let (listener, address) = listen(&io).await;
        let found = lookup_host(&io, ("localhost", address.port())).await.unwrap();
        assert!(found.iter().all(|found| found.ip().is_loopback()), "{found:?}");
        let client = TcpStream::connect(&io, format!("localhost:{}", address.port())).await;
        assert_eq!(client.unwrap().peer_addr().unwrap(), address);
        listener.accept().await.unwrap();
    });
});

scenario!(an_address_in_use_is_an_error, || {
    runtime(1).run(|io| async move {
        let (listener, address) = listen(&io).await;
        let error = TcpListener::bind(&io, address).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        assert_eq!(listener.local_addr().unwrap(), address);
    });
});

scenario!(a_slow_reader_holds_the_writer_back, || {
    /// More than any system keeps for a reader that does not read.
    const MOST: usize = 256 << 20;
    runtime(2).run(|io| async move {
        let (client, server) = pair(&io).await;
        let block = vec![1; 64 * 1024];
        client.writable().await.unwrap();
        let mut sent = 0;
        loop {
            match client.try_write(&block) {
                Ok(count) => sent += count,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock);
                    break;
                }
            }
            assert!(sent < MOST, "nothing holds the writer back");
        }
        let writing = io.spawn(async move { client.write_all(&[2; 64 * 1024]).await.unwrap() });
        let received = read_to_end(&server).await;
        writing.await.unwrap();
        assert_eq!(received.len(), sent + 64 * 1024);
        assert!(received[..sent].iter().all(|byte| *byte == 1));
        assert!(received[sent..].iter().all(|byte| *byte == 2));
    });
});

scenario!(an_accept_loop_serves_clients_at_once, || {
    runtime(2).run(|io| async move {
        let (listener, address) = listen(&io).await;
        let spawner = io.clone();
        let server = io.spawn(async move {
            let mut incoming = listener.incoming();
            loop {
                let next = poll_fn(|context| Pin::new(&mut incoming).poll_next(context)).await;
                let stream = next.expect("it never ends").unwrap();
                spawner.spawn(async move { echo(stream).await.unwrap() });
            }
        });
        let mut clients = Group::new(&io);
        for number in 0..5 {
            let io = io.clone();
            clients.spawn(async move {
                let stream = TcpStream::connect(&io, address).await.unwrap();
                let mut echoed = [0; 100];
                for round in 0..3 {
                    let sent = [number * 10 + round; 100];
                    stream.write_all(&sent).await.unwrap();
                    stream.read_exact(&mut echoed).await.unwrap();
                    assert_eq!(echoed, sent);
                }
            });
        }
        clients.wait().await.unwrap();
        assert!(server.cancel().await.unwrap_err().is_cancelled());
    });
});

scenario!(halves_work_apart_and_reunite, || {
    runtime(2).run(|io| async move {
        let (client, mut server) = pair(&io).await;
        let (reader, writer) = client.into_split();
        let writing = io.spawn(async move {
            writer.write_all(b"question").await.unwrap();
            writer
        });
        let (from_client, to_client) = server.split();
        let mut bytes = [0; 8];
        from_client.read_exact(&mut bytes).await.unwrap();
        assert_eq!(&bytes, b"question");
        to_client.write_all(b"answer").await.unwrap();
        reader.read_exact(&mut bytes[..6]).await.unwrap();
        assert_eq!(&bytes[..6], b"answer");

        let (other_reader, other_writer) = pair(&io).await.0.into_split();
        let error = reader.reunite(other_writer).unwrap_err();
        let (reader, other_writer) = (error.0, error.1);
        let other = other_writer.reunite(other_reader).unwrap();
        drop(other);

        let client = reader.reunite(writing.await.unwrap()).unwrap();
        client.write_all(b"!").await.unwrap();
        server.read_exact(&mut bytes[..1]).await.unwrap();
        assert_eq!(bytes[0], b'!');

        let (reader, writer) = client.into_split();
        drop(writer);
        assert_eq!(server.read(&mut bytes).await.unwrap(), 0);
        server.write_all(b"last").await.unwrap();
        reader.read_exact(&mut bytes[..4]).await.unwrap();
        assert_eq!(&bytes[..4], b"last");
    });
});

scenario!(a_dropped_read_loses_no_byte, || {
    runtime(2).run(|io| async move {
        let (client, server) = pair(&io).await;
        let sent = pattern(1_000);
        let bytes = sent.clone();
        let writing = io.spawn(async move {
            for part in bytes.chunks(37) {
                client.write_all(part).await.unwrap();
                yield_now().await;
            }
        });
        let mut received = Vec::new();
        let mut buffer = [0; 16];
        loop {
            match once(server.read(&mut buffer)).await {
                Some(Ok(0)) => break,
                Some(count) => received.extend_from_slice(&buffer[..count.unwrap()]),
                None => {
                    drop(once(server.readable()).await);
                    server.readable().await.unwrap();
                }
            }
        }
        assert!(received == sent);
        writing.await.unwrap();
    });
});

scenario!(a_dropped_accept_loses_no_connection, || {
    runtime(2).run(|io| async move {
        let (listener, address) = listen(&io).await;
        let connecting = io.clone();
        let clients = io.spawn(async move {
            let mut streams = Vec::new();
            for _ in 0..4 {
                streams.push(TcpStream::connect(&connecting, address).await.unwrap());
            }
            streams
        });
        let mut peers = Vec::new();
        while peers.len() < 4 {
            match once(listener.accept()).await {
                Some(accepted) => peers.push(accepted.unwrap().1),
                None => peers.push(listener.accept().await.unwrap().1),
            }
        }
        let streams = clients.await.unwrap();
        let mut locals: Vec<_> = streams.iter().map(|s| s.local_addr().unwrap()).collect();
        locals.sort();
        peers.sort();
        assert_eq!(peers, locals);
    });
});

scenario!(several_tasks_read_one_stream, || {
    runtime(2).run(|io| async move {
        let (client, server) = pair(&io).await;
        let server = Arc::new(server);
        let waiting = Arc::new(AtomicU32::new(0));
        let readers: Vec<_> = (0..3)
            .map(|_| {
                let (server, waiting) = (Arc::clone(&server), Arc::clone(&waiting));
                io.spawn(async move {
                    waiting.fetch_add(1, Ordering::SeqCst);
                    let mut byte = [0];
                    server.read_exact(&mut byte).await.unwrap();
                    byte[0]
                })
            })
            .collect();
        while waiting.load(Ordering::SeqCst) < 3 {
            yield_now().await;
        }
        let mut sum = 0;
        for byte in [1, 2, 4] {
            client.write_all(&[byte]).await.unwrap();
        }
        for reader in readers {
            sum += reader.await.unwrap();
        }
        assert_eq!(sum, 7);
    });
});

scenario!(peeking_and_several_buffers, || {
    runtime(2).run(|io| async move {
        let (client, server) = pair(&io).await;
        let slices = [IoSlice::new(b"ab"), IoSlice::new(b"cdef")];
        let count = client.write_vectored(&slices).await.unwrap();
        client.write_all(&b"abcdef"[count..]).await.unwrap();

        let mut bytes = [0; 6];
        while server.peek(&mut bytes).await.unwrap() < 6 {
            yield_now().await;
        }
        assert_eq!(&bytes, b"abcdef");
        let (mut first, mut second) = ([0; 3], [0; 3]);
        let mut buffers = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
        assert_eq!(server.read_vectored(&mut buffers).await.unwrap(), 6);
        assert_eq!((&first, &second), (b"abc", b"def"));
        assert_eq!(server.try_read(&mut bytes).unwrap_err().kind(), ErrorKind::WouldBlock);
    });
});

scenario!(the_traits_read_write_and_close, || {
    runtime(2).run(|io| async move {
        let (mut client, server) = pair(&io).await;
        let written =
            poll_fn(|context| Pin::new(&mut client).poll_write(context, b"traits")).await.unwrap();
        poll_fn(|context| Pin::new(&mut client).poll_flush(context)).await.unwrap();
        poll_fn(|context| Pin::new(&mut client).poll_close(context)).await.unwrap();
        let mut received = Vec::new();
        let mut buffer = [0; 4];
        loop {
            let read =
                |context: &mut Context<'_>| Pin::new(&mut &server).poll_read(context, &mut buffer);
            match poll_fn(read).await.unwrap() {
                0 => break,
                count => received.extend_from_slice(&buffer[..count]),
            }
        }
        assert_eq!(received, b"traits"[..written]);
    });
});

scenario!(a_busy_stream_leaves_its_worker_to_others, || {
    runtime(1).run(|io| async move {
        let (client, server) = pair(&io).await;
        let stop = Arc::new(AtomicU32::new(0));
        let stops = Arc::clone(&stop);
        // Whatever is written can be read at once, so neither of the two ever waits.
        let busy = io.spawn(async move {
            let mut byte = [0];
            while stops.load(Ordering::SeqCst) == 0 {
                client.write_all(&[1]).await.unwrap();
                server.read_exact(&mut byte).await.unwrap();
            }
        });
        yield_now().await;
        io.spawn(async move { stop.store(1, Ordering::SeqCst) }).await.unwrap();
        busy.await.unwrap();
    });
});

scenario!(a_stuck_worker_freezes_nobodys_sockets, || {
    runtime(2).run(|io| async move {
        let (client, server) = pair(&io).await;
        let (done, is_done) = mpsc::channel();
        // It keeps its worker until the others are through, so they must not need that worker:
        // neither for its queue nor for the events that it might have waited for.
        let stuck = io.spawn(async move { is_done.recv().unwrap() });
        let serving = io.spawn(echo(server));
        let asking = io.spawn(async move {
            for byte in 0..5 {
                client.write_all(&[byte]).await.unwrap();
                let mut answer = [0];
                client.read_exact(&mut answer).await.unwrap();
                assert_eq!(answer, [byte]);
            }
            done.send(()).unwrap();
        });
        for task in [stuck, asking] {
            task.await.unwrap();
        }
        serving.await.unwrap().unwrap();
    });
});

scenario!(two_stuck_workers_of_three_freeze_nobodys_sockets, || {
    runtime(3).run(|io| async move {
        let (trigger, triggered) = pair(&io).await;
        let (client, server) = pair(&io).await;
        let (first_done, is_first_done) = mpsc::channel();
        let (second_done, is_second_done) = mpsc::channel();
        let stuck = io.spawn(async move { is_first_done.recv().unwrap() });
        // An event brings a worker out of the driver, and then that one is stuck.
        let stuck_by_event = io.spawn(async move {
            triggered.read_exact(&mut [0]).await.unwrap();
            is_second_done.recv().unwrap();
        });
        let serving = io.spawn(echo(server));
        let asking = io.spawn(async move {
            trigger.write_all(&[0]).await.unwrap();
            for byte in 0..3 {
                client.write_all(&[byte]).await.unwrap();
                let mut answer = [0];
                client.read_exact(&mut answer).await.unwrap();
                assert_eq!(answer, [byte]);
            }
            first_done.send(()).unwrap();
            second_done.send(()).unwrap();
        });
        for task in [stuck, stuck_by_event, asking] {
            task.await.unwrap();
        }
        serving.await.unwrap().unwrap();
    });
});

scenario!(sockets_outlive_their_runtime, || {
    let runtime = runtime(2);
    let (io, listener, client, server) = runtime.run(|io| async move {
        let (listener, address) = listen(&io).await;
        let client = TcpStream::connect(&io, address).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        let (held, peer) = pair(&io).await;
        io.spawn(async move {
            // Waits until the runtime is dropped, which drops these sockets.
            let _ = held.read(&mut [0; 1]).await;
            drop(peer);
        });
        yield_now().await;
        (io, listener, client, server)
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
    let read = pin!(client.read(&mut byte)).poll(&mut context);
    assert_refused("a read", read.map_ok(drop));
    let write = pin!(server.write(b"x")).poll(&mut context);
    assert_refused("a write", write.map_ok(drop));
    let accept = pin!(listener.accept()).poll(&mut context);
    assert_refused("an accept", accept.map_ok(drop));
    let bind = pin!(TcpListener::bind(&io, LOOPBACK)).poll(&mut context);
    assert_refused("a bind", bind.map_ok(drop));
    let address = listener.local_addr().unwrap();
    let connect = pin!(TcpStream::connect(&io, address)).poll(&mut context);
    assert_refused("a connect", connect.map_ok(drop));
    let lookup = pin!(lookup_host(&io, "localhost:1")).poll(&mut context);
    assert_refused("a lookup", lookup.map_ok(drop));
});
