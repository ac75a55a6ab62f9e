//! Reads with owned buffers wait on rings; what is dropped there loses no byte.

use std::future::{Future, poll_fn};
use std::io::{ErrorKind, Read};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use crate::harness::scenario;
use volt::net::{TcpListener, TcpStream};
use volt::platform::thread::is_simulated;
use volt::time::{sleep, timeout};
use volt::{Backend, Io, Runtime};

/// A runtime with rings; `None` on a machine that has none.
fn runtime(workers: usize) -> Option<Runtime> {
    match Runtime::builder().workers(workers).backend(Backend::IoUring).build() {
        Ok(runtime) => Some(runtime),
        Err(error) if error.kind() == ErrorKind::Unsupported && !is_simulated() => None,
        Err(error) => panic!("{error}"),
    }
}

async fn pair(io: &Io) -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(io, "127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(io, listener.local_addr().unwrap()).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    (client, server)
}

/// Polls a future once, and says whether it is ready.
async fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    poll_fn(|context| {
        Poll::Ready(match pin!(&mut *future).poll(context) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    })
    .await
}

/// The byte at a place of the stream.
fn byte(place: usize) -> u8 {
    (place % 251) as u8
}

/// Sends `length` bytes in parts, with pauses; then ends the stream.
async fn send(io: Io, stream: TcpStream, length: usize) {
    let bytes: Vec<u8> = (0..length).map(byte).collect();
    for part in bytes.chunks(7) {
        stream.write_all(part).await.unwrap();
        sleep(&io, Duration::from_micros(200)).await;
    }
}

fn check(bytes: &[u8], at: &mut usize) {
    for found in bytes {
        assert_eq!(*found, byte(*at), "at byte {at}");
        *at += 1;
    }
}

scenario!(a_read_on_a_ring_gets_what_comes, || {
    let Some(runtime) = runtime(2) else { return };
    runtime.run(|io| async move {
        let (client, server) = pair(&io).await;
        let echo = io.spawn(async move {
            let mut buffer = vec![0; 16];
            loop {
                let (count, bytes) = server.read_owned(buffer).await;
                let count = count.unwrap();
                if count == 0 {
                    break;
                }
                server.write_all(&bytes[..count]).await.unwrap();
                buffer = bytes;
            }
        });
        for round in 0..5_u8 {
            client.write_all(&[round; 4]).await.unwrap();
            let mut received = 0;
            while received < 4 {
                let (count, bytes) = client.read_owned([0; 4]).await;
                let count = count.unwrap();
                assert!(count > 0 && bytes[..count] == [round; 4][..count]);
                received += count;
            }
        }
        drop(client);
        echo.await.unwrap();
    });
});

scenario!(dropped_reads_lose_no_byte, || {
    const LENGTH: usize = 120;
    let Some(runtime) = runtime(2) else { return };
    runtime.run(|io| async move {
        let (client, server) = pair(&io).await;
        let sending = io.spawn(send(io.clone(), client, LENGTH));
        let mut at = 0;
        for round in 0.. {
            // On the ring for a while, perhaps long enough for some bytes, then dropped.
            let reading = server.read_owned(vec![0; 16]);
            let pause = Duration::from_micros(100 * (round % 4));
            if let Ok((count, bytes)) = timeout(&io, pause, reading).await {
                let count = count.unwrap();
                check(&bytes[..count], &mut at);
                if count == 0 {
                    break;
                }
                continue;
            }
            // Somebody else's turn, in each of the ways that there are.
            let mut buffer = [0; 5];
            let count = match round % 4 {
                0 => server.read(&mut buffer).await.unwrap(),
                1 => {
                    let peeked = server.peek(&mut buffer).await.unwrap();
                    check(&buffer[..peeked], &mut { at });
                    server.read(&mut buffer).await.unwrap()
                }
                2 => match server.try_read(&mut buffer) {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                    outcome => outcome.unwrap(),
                },
                _ => {
                    let (count, bytes) = server.read_owned([0; 5]).await;
                    buffer = bytes;
                    count.unwrap()
                }
            };
            check(&buffer[..count], &mut at);
            if count == 0 {
                break;
            }
        }
        assert_eq!(at, LENGTH);
        sending.await.unwrap();
    });
});

scenario!(a_read_is_dropped_on_another_worker, || {
    const LENGTH: usize = 60;
    let Some(runtime) = runtime(2) else { return };
    runtime.run(|io| async move {
        let (client, server) = pair(&io).await;
        let mut server = Arc::new(server);
        let sending = io.spawn(send(io.clone(), client, LENGTH));
        let mut at = 0;
        loop {
            let reader = Arc::clone(&server);
            let mut reading = Box::pin(async move { reader.read_owned(vec![0; 16]).await });
            if let Some((count, bytes)) = poll_once(&mut reading).await {
                check(&bytes[..count.unwrap()], &mut at);
            }
            io.spawn(async move { drop(reading) }).await.unwrap();
            let mut buffer = [0; 8];
            let count = server.read(&mut buffer).await.unwrap();
            check(&buffer[..count], &mut at);
            if count == 0 {
                break;
            }
        }
        assert_eq!(at, LENGTH);
        sending.await.unwrap();
        assert!(Arc::get_mut(&mut server).is_some(), "a future is left behind");
    });
});

scenario!(a_read_outlives_the_run_that_began_it, || {
    let Some(runtime) = runtime(1) else { return };
    let (client, reading) = runtime.run(|io| async move {
        let (client, server) = pair(&io).await;
        let reading = io.spawn(async move {
            let (count, bytes) = server.read_owned([0; 1]).await;
            (count.unwrap(), bytes)
        });
        volt::task::yield_now().await;
        // The thread leaves with the read on its ring, which nothing ends.
        (client, reading)
    });
    let (count, bytes) = runtime.run(|_| async move {
        client.write_all(b"x").await.unwrap();
        reading.await.unwrap()
    });
    assert_eq!((count, bytes), (1, *b"x"));
});

scenario!(a_runtime_is_dropped_while_a_read_is_on_a_ring, || {
    let Some(runtime) = runtime(2) else { return };
    let kept = runtime.run(|io| async move {
        let (client, server) = pair(&io).await;
        drop(io.spawn(async move {
            let _ = server.read_owned(vec![0; 8]).await;
        }));
        let mut reading = Box::pin(async move { client.read_owned(vec![0; 8]).await });
        assert!(poll_once(&mut reading).await.is_none());
        sleep(&io, Duration::from_millis(1)).await;
        Some(reading)
    });
    drop(runtime);
    drop(kept);
});

/// Gives a stream to the standard library after a dropped read; true if that was refused since the
/// read had taken bytes. Those are nowhere lost.
async fn give_to_std(io: Io) -> bool {
    let (client, server) = pair(&io).await;
    let mut reading = Box::pin(server.read_owned(vec![0; 8]));
    assert!(poll_once(&mut reading).await.is_none());
    // The ring has the read when the worker has slept, and has told of it when it has slept again;
    // unless another thread has become the worker meanwhile, which cancels it.
    sleep(&io, Duration::from_millis(1)).await;
    client.write_all(b"hello").await.unwrap();
    for _ in 0..5 {
        sleep(&io, Duration::from_millis(1)).await;
    }
    drop(reading);
    let mut buffer = [0; 2];
    let count = server.read(&mut buffer).await.unwrap();
    assert!(count > 0 && buffer[..count] == b"he"[..count]);
    match server.into_std() {
        Ok(mut stream) => {
            let mut rest = vec![0; 5 - count];
            stream.read_exact(&mut rest).unwrap();
            assert_eq!(rest, b"hello"[count..]);
            false
        }
        // There are no simulated streams in the standard library.
        Err(error) if is_simulated() && error.kind() == ErrorKind::Unsupported => false,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::ResourceBusy);
            assert!(error.to_string().contains("dropped"), "{error}");
            true
        }
    }
}

scenario!(bytes_that_a_dropped_read_took_are_not_lost_to_std, || {
    let Some(runtime) = runtime(1) else { return };
    runtime.run(|io| async move {
        let tries = if is_simulated() { 1 } else { 100 };
        for _ in 0..tries {
            // A worker polls a task, and has a ring; it may not poll this future yet.
            if io.spawn(give_to_std(io.clone())).await.unwrap() {
                return;
            }
        }
        assert!(is_simulated(), "no read was on a ring");
    });
});

/// What goes on beside a stuck worker: by readiness, and on the ring of a worker that runs.
async fn others(io: Io, client: TcpStream, began: Arc<AtomicBool>, done: Arc<AtomicBool>) {
    while !began.load(Ordering::SeqCst) {
        sleep(&io, Duration::from_micros(100)).await;
    }
    client.write_all(b"l").await.unwrap();
    let (client, server) = pair(&io).await;
    for _ in 0..3 {
        client.write_all(b"x").await.unwrap();
        let mut byte = [0];
        assert_eq!(server.read(&mut byte).await.unwrap(), 1);
        let mut reading = Box::pin(server.read_owned([0]));
        assert!(poll_once(&mut reading).await.is_none());
        sleep(&io, Duration::from_micros(100)).await;
        client.write_all(b"y").await.unwrap();
        let (count, byte) = reading.await;
        assert_eq!((count.unwrap(), byte), (1, *b"y"));
    }
    done.store(true, Ordering::SeqCst);
}

scenario!(a_stuck_worker_holds_up_only_what_is_on_its_ring, || {
    let Some(runtime) = runtime(2) else { return };
    runtime.run(|io| async move {
        let (client, server) = pair(&io).await;
        let began = Arc::new(AtomicBool::new(false));
        let done = Arc::new(AtomicBool::new(false));
        // Tasks of their own: the stuck worker may be the one of this future.
        let others = io.spawn(others(io.clone(), client, Arc::clone(&began), Arc::clone(&done)));
        let stuck = io.spawn(async move {
            let mut reading = Box::pin(server.read_owned(vec![0; 4]));
            // On this worker's ring, and the worker stuck.
            assert!(poll_once(&mut reading).await.is_none());
            began.store(true, Ordering::SeqCst);
            let mut polls = 0_u64;
            let most = if is_simulated() { 200 } else { 400_000_000 };
            while !done.load(Ordering::SeqCst) && polls < most {
                std::hint::spin_loop();
                polls += 1;
                if is_simulated() {
                    volt::platform::thread::yield_now();
                }
            }
            let stopped = done.load(Ordering::SeqCst);
            let (count, bytes) = reading.await;
            assert_eq!(bytes[..count.unwrap()], b"late"[..1]);
            stopped
        });
        let stopped = stuck.await.unwrap();
        others.await.unwrap();
        // In simulation it may have been stuck for too short a time.
        assert!(stopped || is_simulated(), "the others waited for the stuck worker");
    });
});

// Several workers wait, one in the driver through its ring and the others in their rings alone;
// what wakes them comes from threads that are no workers.
scenario!(workers_that_wait_in_their_rings_are_woken, || {
    let Some(runtime) = runtime(3) else { return };
    runtime.run(|io| async move {
        let mut readers = Vec::new();
        let mut clients = Vec::new();
        for _ in 0..6 {
            let (client, server) = pair(&io).await;
            clients.push(client);
            readers.push(io.spawn(async move {
                let (count, _) = server.read_owned(vec![0; 4]).await;
                count.unwrap()
            }));
        }
        for round in 0..8 {
            let jobs: Vec<_> = (0..3)
                .map(|number| {
                    let outside = io.clone();
                    let job = move || outside.spawn(async move { round * number });
                    let job = io.spawn_blocking(job);
                    io.spawn(async move { job.await.unwrap().await.unwrap() })
                })
                .collect();
            for (number, job) in jobs.into_iter().enumerate() {
                assert_eq!(job.await.unwrap(), round * number);
            }
        }
        drop(clients);
        for reader in readers {
            assert_eq!(reader.await.unwrap(), 0, "the end");
        }
    });
});

// What completes on a stuck worker's ring is taken from it by another one.
scenario!(a_stuck_workers_ring_is_rescued, || {
    let builder = Runtime::builder().workers(2).backend(Backend::IoUring).rescue_rings(true);
    let runtime = match builder.build() {
        Err(error) if error.kind() == ErrorKind::Unsupported && !is_simulated() => return,
        built => built.unwrap(),
    };
    runtime.run(|io| async move {
        let (client, server) = pair(&io).await;
        let done = Arc::new(AtomicBool::new(false));
        let outside = io.clone();
        let stuck = io.spawn(async move {
            let mut reading = Box::pin(async move { server.read_owned(vec![0; 4]).await });
            // On this worker's ring, and somebody else's to wait for.
            assert!(poll_once(&mut reading).await.is_none());
            client.write_all(b"x").await.unwrap();
            let told = Arc::clone(&done);
            let reader = outside.spawn(async move {
                let (count, bytes) = reading.await;
                told.store(true, Ordering::SeqCst);
                bytes[..count.unwrap()].to_vec()
            });
            while !done.load(Ordering::SeqCst) {
                volt::platform::thread::sleep(Duration::from_micros(100));
            }
            Some(reader)
        });
        let reader = stuck.await.unwrap().unwrap();
        assert_eq!(reader.await.unwrap(), b"x");
    });
});

// An accepted connection is watched late where there are rings: each way of waiting for it is told
// of what came before and after that.
scenario!(an_accepted_connection_is_waited_for_in_every_way, || {
    let Some(runtime) = runtime(2) else { return };
    runtime.run(|io| async move {
        let moment = Duration::from_millis(1);
        for way in 0..4_u8 {
            let (client, server) = pair(&io).await;
            if way == 0 {
                let told = timeout(&io, moment, server.readable()).await;
                assert!(told.is_err(), "nothing has come");
            }
            // Writing does not wait, nor does it say anything of reading.
            server.write_all(b"welcome").await.unwrap();
            let mut welcome = [0; 7];
            client.read_exact(&mut welcome).await.unwrap();
            let timer = io.clone();
            let sender = io.spawn(async move {
                for round in 0..4 {
                    if round % 2 == 1 {
                        sleep(&timer, moment).await;
                    }
                    client.write_all(&[round]).await.unwrap();
                }
                client
            });
            for round in 0..4 {
                let mut byte = [u8::MAX];
                let count = match (way + round) % 4 {
                    0 => server.read(&mut byte).await,
                    1 => {
                        let (count, bytes) = server.read_owned(byte).await;
                        byte = bytes;
                        count
                    }
                    2 => loop {
                        server.readable().await.unwrap();
                        match server.try_read(&mut byte) {
                            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                            count => break count,
                        }
                    },
                    _ => loop {
                        match server.try_read(&mut byte) {
                            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                                sleep(&io, moment).await;
                            }
                            count => break count,
                        }
                    },
                };
                assert_eq!((count.unwrap(), byte), (1, [round]));
            }
            drop(sender.await.unwrap());
            assert_eq!(server.read(&mut [0]).await.unwrap(), 0, "the end");
        }
    });
});

// What a dropped receive has taken lies with the stream, and the system knows nothing of it: who
// first asks to be told then hears of it.
scenario!(what_a_dropped_receive_has_taken_is_told_of, || {
    let Some(runtime) = runtime(2) else { return };
    runtime.run(|io| async move {
        for asks_for_writing in [false, true] {
            let (client, server) = pair(&io).await;
            let mut reading = Box::pin(server.read_owned(vec![0; 4]));
            assert!(poll_once(&mut reading).await.is_none());
            client.write_all(b"x").await.unwrap();
            sleep(&io, Duration::from_millis(2)).await;
            drop(reading);
            if asks_for_writing {
                server.writable().await.unwrap();
            }
            let told = async {
                loop {
                    server.readable().await.unwrap();
                    let mut byte = [0];
                    match server.try_read(&mut byte) {
                        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                        count => break (count.unwrap(), byte),
                    }
                }
            };
            let told = timeout(&io, Duration::from_secs(10), told).await;
            assert_eq!(told.expect("the byte is there, and nobody tells"), (1, *b"x"));
        }
    });
});

scenario!(a_receive_hears_that_its_runtime_has_shut_down, || {
    let Some(runtime) = runtime(2) else { return };
    let (client, server) = runtime.run(|io| async move { pair(&io).await });
    let io = runtime.io();
    let guest = volt::platform::thread::spawn("guest", None, move || {
        io.block_on(async move {
            let (result, bytes) = server.read_owned(vec![7; 4]).await;
            let error = result.unwrap_err();
            assert!(error.to_string().contains("shut down"), "{error}");
            assert_eq!(bytes, [7; 4]);
        });
    });
    volt::platform::thread::sleep(Duration::from_millis(2));
    drop(runtime);
    guest.unwrap().join().unwrap();
    drop(client);
});
