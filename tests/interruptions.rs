//! Volt's own futures, cancelled and made to panic at each point at which that can happen: nothing
//! is lost, nothing is left behind, and the others go on. The laws are on in every run.

#![cfg(all(feature = "sim", not(any(volt_loom, volt_shuttle))))]

use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex as Plain};
use std::time::Duration;

use volt::channel;
use volt::fs::{self, File};
use volt::io::AsyncWriteExt;
use volt::net::{TcpListener, TcpStream};
use volt::sim::future::interrupted;
use volt::sim::{FailureKind, Resources, Sim};
use volt::sync::{Barrier, Mutex, Notify, OnceCell, RwLock, Semaphore};
use volt::task::yield_now;
use volt::time::sleep;
use volt::{Io, Runtime};

/// Seeds that each program is enumerated under.
const SEEDS: std::ops::Range<u64> = 0..10;
const LOOPBACK: &str = "127.0.0.1:0";
const MILLISECOND: Duration = Duration::from_millis(1);

/// Runs the program with a cancellation at each of its points, and with a panic.
fn everywhere<F: Future<Output = ()> + 'static>(program: fn(Io) -> F) {
    let ways = [
        ("cancelled", Sim::builder().cancel_everywhere()),
        ("panicked", Sim::builder().panic_everywhere()),
    ];
    for (how, builder) in ways {
        let report = builder.sweep(SEEDS).machine(move || {
            Runtime::builder().workers(2).build().expect("there are threads").run(program);
        });
        println!("{how} at {} points under {} seeds", report.points(), report.runs());
        report.into_result().unwrap_or_else(|failure| panic!("{failure}"));
    }
}

/// Bytes in which every position within 251 differs, so that a loss or an exchange shows.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|position| (position % 251) as u8).collect()
}

async fn lock_a_mutex(io: Io) {
    let mutex = Arc::new(Mutex::new(0_u32));
    let held = mutex.lock().await;
    let own = Arc::clone(&mutex);
    let stopped = io.spawn(interrupted(async move {
        let mut sum = own.lock().await;
        yield_now().await;
        *sum += 1;
    }));
    let own = Arc::clone(&mutex);
    let other = io.spawn(async move {
        let mut sum = own.lock().await;
        *sum += 1;
    });
    yield_now().await;
    drop(held);
    let has_ended = stopped.await.unwrap().is_some();
    other.await.unwrap();
    assert_eq!(mutex.try_lock().as_deref(), Some(&(1 + u32::from(has_ended))));
}

#[test]
fn a_mutex() {
    everywhere(lock_a_mutex);
}

async fn write_before_readers(io: Io) {
    let lock = Arc::new(RwLock::new(0_u32));
    let held = lock.read().await;
    let own = Arc::clone(&lock);
    let stopped = io.spawn(interrupted(async move {
        let mut value = own.write().await;
        yield_now().await;
        *value += 1;
    }));
    let own = Arc::clone(&lock);
    let reader = io.spawn(interrupted(async move { *own.read().await }));
    let own = Arc::clone(&lock);
    let other = io.spawn(async move { *own.read().await });
    yield_now().await;
    drop(held);
    let last = u32::from(stopped.await.unwrap().is_some());
    assert!(reader.await.unwrap().is_none_or(|value| value <= last));
    assert!(other.await.unwrap() <= last);
    assert_eq!(lock.try_write().as_deref(), Some(&last));
}

#[test]
fn a_rwlock() {
    everywhere(write_before_readers);
}

async fn acquire_permits(io: Io) {
    let semaphore = Arc::new(Semaphore::new(2));
    let held = semaphore.acquire(1).await.unwrap();
    let own = Arc::clone(&semaphore);
    let stopped = io.spawn(interrupted(async move {
        let _permits = own.acquire(2).await.unwrap();
        yield_now().await;
    }));
    let own = Arc::clone(&semaphore);
    let other = io.spawn(async move { drop(own.acquire(1).await.unwrap()) });
    yield_now().await;
    drop(held);
    stopped.await.unwrap();
    other.await.unwrap();
    assert_eq!((semaphore.available_permits(), semaphore.waiter_count()), (2, 0));
}

#[test]
fn a_semaphore() {
    everywhere(acquire_permits);
}

async fn await_a_notification(io: Io) {
    let notify = Arc::new(Notify::new());
    let own = Arc::clone(&notify);
    let stopped = io.spawn(interrupted(async move { own.notified().await }));
    yield_now().await;
    notify.notify_one();
    let has_ended = stopped.await.unwrap().is_some();
    assert_eq!(notify.has_permit(), !has_ended, "the notification is lost, or there are two");
    assert_eq!(notify.waiter_count(), 0);
}

#[test]
fn a_notification() {
    everywhere(await_a_notification);
}

async fn meet_at_a_barrier(io: Io) {
    let barrier = Arc::new(Barrier::new(2));
    let own = Arc::clone(&barrier);
    let stopped = io.spawn(interrupted(async move { own.wait().await.is_leader() }));
    let own = Arc::clone(&barrier);
    let other = io.spawn(async move { own.wait().await.is_leader() });
    stopped.await.unwrap();
    // The other one has met it, or waits for somebody else, or will.
    while !other.is_finished() {
        if barrier.arrived_count() == 1 {
            barrier.wait().await;
        }
        yield_now().await;
    }
    other.await.unwrap();
    assert_eq!(barrier.arrived_count(), 0);
}

#[test]
fn a_barrier() {
    everywhere(meet_at_a_barrier);
}

async fn make_a_value_once(io: Io) {
    let shared: Arc<(OnceCell<u32>, AtomicU32)> = Arc::default();
    let make = |shared: Arc<(OnceCell<u32>, AtomicU32)>| async move {
        let (cell, made) = &*shared;
        let value = cell.get_or_init(|| async move {
            yield_now().await;
            made.fetch_add(1, Ordering::SeqCst);
            7
        });
        *value.await
    };
    let stopped = io.spawn(interrupted(make(Arc::clone(&shared))));
    let other = io.spawn(make(Arc::clone(&shared)));
    assert!(stopped.await.unwrap().is_none_or(|value| value == 7));
    assert_eq!(other.await.unwrap(), 7);
    assert_eq!(shared.1.load(Ordering::SeqCst), 1);
}

#[test]
fn a_cell_that_is_made_once() {
    everywhere(make_a_value_once);
}

async fn send_messages(io: Io) {
    let (sender, receiver) = channel::bounded(1);
    let sent = Arc::new(AtomicU32::new(0));
    let (own, counted) = (sender.clone(), Arc::clone(&sent));
    let stopped = io.spawn(interrupted(async move {
        for number in 1..=2 {
            own.send(number).await.unwrap();
            counted.store(number, Ordering::SeqCst);
        }
    }));
    let other = io.spawn(async move {
        for number in 3..=4 {
            sender.send(number).await.unwrap();
        }
    });
    let mut received = Vec::new();
    while let Ok(number) = receiver.recv().await {
        received.push(number);
    }
    stopped.await.unwrap();
    other.await.unwrap();
    received.sort_unstable();
    assert!(received.into_iter().eq((1..=sent.load(Ordering::SeqCst)).chain(3..=4)));
}

async fn receive_messages(io: Io) {
    let (sender, receiver) = channel::bounded(1);
    let received = Arc::new(Plain::new(Vec::new()));
    let receive = |receiver: channel::Receiver<u32>| {
        let received = Arc::clone(&received);
        async move {
            while let Ok(number) = receiver.recv().await {
                received.lock().unwrap().push(number);
            }
        }
    };
    let stopped = io.spawn(interrupted(receive(receiver.clone())));
    let other = io.spawn(receive(receiver));
    for number in 0..3 {
        sender.send(number).await.unwrap();
    }
    drop(sender);
    stopped.await.unwrap();
    other.await.unwrap();
    let mut received = received.lock().unwrap().clone();
    received.sort_unstable();
    assert_eq!(received, [0, 1, 2]);
}

#[test]
fn the_sender_of_a_channel() {
    everywhere(send_messages);
}

#[test]
fn a_receiver_of_a_channel() {
    everywhere(receive_messages);
}

/// How many descriptors there are besides those that a program has.
async fn descriptors_at_rest(io: &Io) -> usize {
    // What a runtime makes at its first socket is there from now on.
    drop(TcpListener::bind(io, LOOPBACK).await.unwrap());
    Resources::current().descriptors()
}

/// Two ends of one connection.
async fn pair(io: &Io) -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(io, LOOPBACK).await.unwrap();
    let client = TcpStream::connect(io, listener.local_addr().unwrap()).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    (client, server)
}

/// Adds what comes to `received`, to the end of the stream.
async fn read_all(stream: Arc<TcpStream>, received: Arc<Plain<Vec<u8>>>) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let count = stream.read(&mut buffer).await.unwrap();
        if count == 0 {
            return;
        }
        received.lock().unwrap().extend_from_slice(&buffer[..count]);
    }
}

async fn read_a_stream(io: Io) {
    let before = descriptors_at_rest(&io).await;
    let (client, server) = pair(&io).await;
    let writer = io.spawn(async move {
        for part in pattern(3_000).chunks(1_500) {
            client.write_all(part).await.unwrap();
            yield_now().await;
        }
    });
    let server = Arc::new(server);
    let received = Arc::default();
    let stopped = read_all(Arc::clone(&server), Arc::clone(&received));
    io.spawn(interrupted(stopped)).await.unwrap();
    read_all(server, Arc::clone(&received)).await;
    writer.await.unwrap();
    assert!(*received.lock().unwrap() == pattern(3_000), "bytes are lost, or come twice");
    assert_eq!(Resources::current().descriptors(), before);
}

async fn write_a_stream(io: Io) {
    let before = descriptors_at_rest(&io).await;
    let (client, server) = pair(&io).await;
    let written = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&written);
    let stopped = io.spawn(interrupted(async move {
        let bytes = pattern(600_000);
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let count = client.write(rest).await.unwrap();
            counted.fetch_add(count as u32, Ordering::SeqCst);
            rest = &rest[count..];
        }
    }));
    let received = Arc::default();
    let reader = io.spawn(read_all(Arc::new(server), Arc::clone(&received)));
    stopped.await.unwrap();
    reader.await.unwrap();
    let written = written.load(Ordering::SeqCst) as usize;
    assert!(*received.lock().unwrap() == pattern(written), "other bytes come than were written");
    assert_eq!(Resources::current().descriptors(), before);
}

async fn accept_a_connection(io: Io) {
    let before = descriptors_at_rest(&io).await;
    let listener = Arc::new(TcpListener::bind(&io, LOOPBACK).await.unwrap());
    let address = listener.local_addr().unwrap();
    let own = Arc::clone(&listener);
    let stopped = io.spawn(interrupted(async move { own.accept().await.unwrap().0 }));
    let client = TcpStream::connect(&io, address).await.unwrap();
    let server = match stopped.await.unwrap() {
        Some(server) => server,
        // The connection is still there.
        None => listener.accept().await.unwrap().0,
    };
    assert_eq!(server.peer_addr().unwrap(), client.local_addr().unwrap());
    drop((listener, client, server));
    assert_eq!(Resources::current().descriptors(), before);
}

async fn connect_a_stream(io: Io) {
    let before = descriptors_at_rest(&io).await;
    let listener = TcpListener::bind(&io, LOOPBACK).await.unwrap();
    let address = listener.local_addr().unwrap();
    let own = io.clone();
    let connects = async move { TcpStream::connect(&own, address).await.unwrap() };
    let stopped = io.spawn(interrupted(connects)).await.unwrap();
    drop(stopped);
    // The listener goes on.
    let client = TcpStream::connect(&io, address).await.unwrap();
    drop((client, listener));
    assert_eq!(Resources::current().descriptors(), before, "a connection that nobody has is open");
}

#[test]
fn the_reader_of_a_stream() {
    everywhere(read_a_stream);
}

#[test]
fn the_writer_of_a_stream() {
    everywhere(write_a_stream);
}

#[test]
fn an_accept() {
    everywhere(accept_a_connection);
}

#[test]
fn a_connect() {
    everywhere(connect_a_stream);
}

async fn write_a_file(io: Io) {
    let mut file = File::create(&io, "/file").await.unwrap();
    let bytes = pattern(10_000);
    interrupted(async {
        for part in bytes.chunks(4_000) {
            file.write_all(part).await.unwrap();
        }
        file.flush().await.unwrap();
    })
    .await;
    // What was begun ends.
    file.flush().await.unwrap();
    let written = fs::read(&io, "/file").await.unwrap();
    assert!(bytes.starts_with(&written), "{} bytes that were not written", written.len());
    file.write_all(b"more").await.unwrap();
    file.flush().await.unwrap();
    let more = fs::read(&io, "/file").await.unwrap();
    assert!(more == [&written[..], b"more"].concat(), "the position is lost");
}

async fn read_a_file(io: Io) {
    fs::write(&io, "/file", pattern(10_000)).await.unwrap();
    let first = interrupted(fs::read(&io, "/file")).await;
    assert!(first.is_none_or(|bytes| bytes.unwrap() == pattern(10_000)));
    assert!(fs::read(&io, "/file").await.unwrap() == pattern(10_000));
}

#[test]
fn the_writer_of_a_file() {
    everywhere(write_a_file);
}

#[test]
fn the_reader_of_a_file() {
    everywhere(read_a_file);
}

#[test]
fn programs_of_a_world_are_interrupted_too() {
    let report = Sim::builder().cancel_everywhere().sweep(SEEDS).run(|world| async move {
        let host = world.host("sleeper").start(|io| async move {
            let sleeping = io.clone();
            let waits = io.spawn(interrupted(async move { sleep(&sleeping, MILLISECOND).await }));
            waits.await.unwrap();
        });
        host.await.expect("the program ends");
    });
    let (points, runs) = (report.points(), report.runs());
    report.into_result().unwrap_or_else(|failure| panic!("{failure}"));
    // The poll that leaves it pending, and the call of its waker.
    assert!(points >= 2 * runs, "{points} points in {runs} runs");
}

#[test]
fn the_failure_names_the_future_and_what_it_waits_for() {
    let stock = |io: Io| async move {
        let stock = Arc::new(AtomicU32::new(1));
        let own = Arc::clone(&stock);
        let sleeping = io.clone();
        let restocks = async move {
            own.fetch_sub(1, Ordering::SeqCst);
            sleep(&sleeping, MILLISECOND).await;
            own.fetch_add(1, Ordering::SeqCst);
        };
        io.spawn(interrupted(restocks)).await.unwrap();
        assert_eq!(stock.load(Ordering::SeqCst), 1, "an item is lost");
    };
    let builders = [Sim::builder().cancel_everywhere(), Sim::builder().panic_everywhere()];
    for builder in builders {
        let report = builder.build().machine(move || volt::run(stock));
        let failure = report.expect_err("it can be left in the middle");
        assert_eq!(failure.kind(), FailureKind::Panic);
        assert!(failure.message().contains("an item is lost"), "{failure}");
        let text = failure.to_string();
        println!("{text}");
        assert!(text.contains("at point 1, a future "), "{text}");
        assert!(text.contains("it is that of tests/interruptions.rs:"), "{text}");
        assert!(text.contains("which waits for a timer at tests/interruptions.rs:"), "{text}");
        assert!(failure.replay_line().contains("VOLT_SEED=0x0"), "{text}");
    }
}

#[test]
#[should_panic(expected = "nothing was interrupted")]
fn a_program_without_interrupted_futures_is_refused() {
    let sweep = Sim::builder().cancel_everywhere().sweep(0..2);
    let _ = sweep.check(|| ());
}
