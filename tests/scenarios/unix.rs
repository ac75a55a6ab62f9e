//! Unix sockets connect programs of one machine, hold writers back, end when their peers end, and
//! lose no datagram.

use std::future::{Future, poll_fn};
use std::io::ErrorKind;
use std::net::Shutdown;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::harness::{runtime, scenario};
use volt::net::{UnixDatagram, UnixListener, UnixStream};
use volt::platform::thread::is_simulated;
use volt::time::{Instant, sleep};

/// A path of a scenario's own, whose file goes with it.
struct SocketPath(PathBuf);

impl SocketPath {
    fn new() -> SocketPath {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        if is_simulated() {
            // Paths are the run's own, and their length is part of its hash.
            return SocketPath(PathBuf::from("/run/socket"));
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("volt-unix-{}-{number}", std::process::id());
        SocketPath(std::env::temp_dir().join(name))
    }
}

impl Drop for SocketPath {
    fn drop(&mut self) {
        if !is_simulated() {
            // Some scenarios bind nothing.
            let _ = std::fs::remove_file(&self.0);
        }
    }
}

scenario!(an_echo_of_512_kib_comes_back, || {
    runtime(2).run(|io| async move {
        let path = SocketPath::new();
        let listener = UnixListener::bind(&io, &path.0).unwrap();
        assert_eq!(listener.local_addr().unwrap().as_pathname(), Some(&*path.0));
        let server = io.spawn(async move {
            let (stream, peer) = listener.accept().await.unwrap();
            assert!(peer.is_unnamed());
            let mut buffer = vec![0; 16 * 1024];
            loop {
                match stream.read(&mut buffer).await.unwrap() {
                    0 => return,
                    count => stream.write_all(&buffer[..count]).await.unwrap(),
                }
            }
        });
        let client = UnixStream::connect(&io, &path.0).await.unwrap();
        assert_eq!(client.peer_addr().unwrap().as_pathname(), Some(&*path.0));
        let sent: Vec<u8> = (0..512 * 1024).map(|position| (position % 251) as u8).collect();
        let (reader, writer) = client.into_split();
        let bytes = sent.clone();
        // It fills every buffer on the way, so it ends only because the other task reads.
        let writing = io.spawn(async move { writer.write_all(&bytes).await.unwrap() });
        let mut echoed = vec![0; sent.len()];
        reader.read_exact(&mut echoed).await.unwrap();
        assert!(echoed == sent, "bytes are lost or exchanged");
        writing.await.unwrap();
        // The write half is gone, so the server has read to the end.
        server.await.unwrap();
        assert_eq!(reader.read(&mut [0]).await.unwrap(), 0);
    });
});

scenario!(a_writer_that_nobody_reads_waits, || {
    runtime(1).run(|io| async move {
        let (first, second) = UnixStream::pair(&io).unwrap();
        let mut written = 0;
        first.writable().await.unwrap();
        let error = loop {
            match first.try_write(&[7; 4096]) {
                Ok(count) => written += count,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        assert!(written > 0);
        let writing = io.spawn(async move {
            first.write_all(&[8; 4096]).await.unwrap();
            first
        });
        second.read_exact(&mut vec![0; written]).await.unwrap();
        let mut rest = [0; 4096];
        second.read_exact(&mut rest).await.unwrap();
        assert!(rest == [8; 4096]);
        drop(writing.await.unwrap());
        assert_eq!(second.read(&mut rest).await.unwrap(), 0);
    });
});

scenario!(each_direction_ends_by_itself, || {
    runtime(2).run(|io| async move {
        let (first, second) = UnixStream::pair(&io).unwrap();
        first.write_all(b"last words").await.unwrap();
        first.shutdown(Shutdown::Write).unwrap();
        assert_eq!(first.write(b"more").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
        let mut bytes = [0; 16];
        second.readable().await.unwrap();
        assert_eq!(second.peek(&mut bytes).await.unwrap(), 10);
        second.read_exact(&mut bytes[..10]).await.unwrap();
        assert_eq!(second.read(&mut bytes).await.unwrap(), 0);
        second.write_all(b"answer").await.unwrap();
        first.read_exact(&mut bytes[..6]).await.unwrap();
        assert_eq!(&bytes[..6], b"answer");
        drop(first);
        assert_eq!(second.write(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
    });
});

#[cfg(target_os = "linux")]
scenario!(closing_with_bytes_unread_resets, || {
    runtime(2).run(|io| async move {
        let (first, second) = UnixStream::pair(&io).unwrap();
        first.write_all(b"unread").await.unwrap();
        drop(second);
        let error = first.read(&mut [0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert_eq!(first.read(&mut [0; 8]).await.unwrap(), 0);
    });
});

scenario!(a_path_has_one_socket, || {
    runtime(1).run(|io| async move {
        let path = SocketPath::new();
        let error = UnixStream::connect(&io, &path.0).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let listener = UnixListener::bind(&io, &path.0).unwrap();
        let error = UnixListener::bind(&io, &path.0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        let error = UnixDatagram::bind(&io, &path.0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        drop(listener);
        let error = UnixStream::connect(&io, &path.0).await.unwrap_err();
        if is_simulated() {
            assert_eq!(error.kind(), ErrorKind::NotFound);
        } else {
            // Its file has stayed.
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
            std::fs::remove_file(&path.0).unwrap();
        }
        UnixListener::bind(&io, &path.0).unwrap();
        let error = UnixListener::bind(&io, "x".repeat(200)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    });
});

scenario!(datagrams_keep_their_bounds_and_their_order, || {
    runtime(2).run(|io| async move {
        let path = SocketPath::new();
        let server = UnixDatagram::bind(&io, &path.0).unwrap();
        let client = UnixDatagram::unbound(&io).unwrap();
        assert_eq!(client.send(b"where to?").await.unwrap_err().kind(), ErrorKind::NotConnected);
        for sent in [&b"one"[..], &b""[..], &b"three"[..]] {
            assert_eq!(client.send_to(sent, &path.0).await.unwrap(), sent.len());
        }
        let mut bytes = [0; 4];
        assert_eq!(server.peek(&mut bytes).await.unwrap(), 3);
        let (count, source) = server.recv_from(&mut bytes).await.unwrap();
        assert_eq!(&bytes[..count], b"one");
        assert!(source.is_unnamed());
        assert_eq!(server.recv(&mut bytes).await.unwrap(), 0);
        // What does not fit the buffer is gone.
        assert_eq!(server.recv(&mut bytes).await.unwrap(), 4);
        assert_eq!(&bytes, b"thre");
        assert_eq!(server.try_recv(&mut bytes).unwrap_err().kind(), ErrorKind::WouldBlock);

        client.connect(&path.0).unwrap();
        assert_eq!(client.peer_addr().unwrap().as_pathname(), Some(&*path.0));
        drop(server);
        let error = client.send(b"anyone?").await.unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset),
            "{error}"
        );
    });
});

scenario!(a_sender_of_datagrams_waits_for_room, || {
    runtime(2).run(|io| async move {
        let (first, second) = UnixDatagram::pair(&io).unwrap();
        let mut sent = 0_u32;
        first.writable().await.unwrap();
        while first.try_send(&sent.to_le_bytes()).is_ok() {
            sent += 1;
        }
        assert!(sent > 0);
        let last = sent;
        let sending = io.spawn(async move { first.send(&last.to_le_bytes()).await.unwrap() });
        for expected in 0..=last {
            let mut bytes = [0; 4];
            assert_eq!(second.recv(&mut bytes).await.unwrap(), 4);
            assert_eq!(u32::from_le_bytes(bytes), expected);
        }
        assert_eq!(sending.await.unwrap(), 4);
    });
});

scenario!(a_send_to_a_full_target_waits_and_does_not_spin, || {
    runtime(2).run(|io| async move {
        let path = SocketPath::new();
        let receiver = UnixDatagram::bind(&io, &path.0).unwrap();
        let sender = UnixDatagram::unbound(&io).unwrap();
        let mut sent = 0_u32;
        sender.writable().await.unwrap();
        while sender.try_send_to(&sent.to_le_bytes(), &path.0).is_ok() {
            sent += 1;
        }
        assert!(sent > 0);
        let last = sent;
        let polls = Arc::new(AtomicU32::new(0));
        let (count, target) = (Arc::clone(&polls), path.0.clone());
        let sending = io.spawn(async move {
            let bytes = last.to_le_bytes();
            let mut send = pin!(sender.send_to(&bytes, target));
            poll_fn(move |context| {
                count.fetch_add(1, Ordering::Relaxed);
                send.as_mut().poll(context)
            })
            .await
            .unwrap()
        });
        let waited = Instant::now();
        sleep(&io, Duration::from_millis(100)).await;
        // Two for each attempt: the failed one makes an event of its own.
        let most = 4 + waited.elapsed().as_millis() / 5;
        let polls = u128::from(polls.load(Ordering::Relaxed));
        assert!(polls <= most, "{polls} polls, more than {most}: the send spins");
        for expected in 0..=last {
            let mut bytes = [0; 4];
            assert_eq!(receiver.recv(&mut bytes).await.unwrap(), 4);
            assert_eq!(u32::from_le_bytes(bytes), expected);
        }
        assert_eq!(sending.await.unwrap(), 4);
    });
});
