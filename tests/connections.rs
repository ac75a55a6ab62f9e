//! Connections leave no descriptor, task or thread behind, whichever way they end.
//!
//! What is held is counted in `/proc`, for the whole process: the tests run one at a time.

#![cfg(all(target_os = "linux", not(any(volt_loom, volt_shuttle))))]

use std::collections::BTreeMap;
use std::fs;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use volt::net::{TcpListener, TcpStream, UdpSocket};
use volt::task::try_join_all;
use volt::time::{sleep, timeout};
use volt::{Io, Runtime};

/// How many clients the first test has, each with one connection at a time.
const CLIENTS: usize = 1_000;
/// How many connections each of them makes, one after the other.
const CONNECTIONS_EACH: usize = 10;
/// How many connections the other tests have.
const CONNECTIONS: usize = 200;
/// Descriptors that the process must be allowed: a connection has two here, and there are others.
const NEEDED_DESCRIPTORS: u64 = 4_096;

/// How long a program may take.
const LIMIT: Duration = Duration::from_secs(120);
/// How long a test waits for what must happen soon.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it waits between two looks.
const PAUSE: Duration = Duration::from_millis(1);

/// One test runs; the others wait.
static TURN: Mutex<()> = Mutex::new(());
/// The threads of the tests, which come and go whatever the runtime does.
static TEST_THREADS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Waits until no other test runs, until the guard is dropped. A test that failed left its
/// descriptors to be counted before the next one begins, so it does not spoil that.
fn take_turn() -> MutexGuard<'static, ()> {
    // It ends in the number of the thread.
    let own = fs::read_link("/proc/thread-self").unwrap();
    let number = own.file_name().unwrap().to_str().unwrap().to_owned();
    TEST_THREADS.lock().unwrap().push(number);
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the process holds, by number.
struct Held {
    /// With what each is open on.
    descriptors: BTreeMap<String, String>,
    /// With their names.
    threads: BTreeMap<String, String>,
}

impl Held {
    fn now() -> Held {
        let is_listing = |target: &str| target.starts_with("/proc/") && target.ends_with("/fd");
        Held {
            // The listing itself has a descriptor, which is not there any more afterwards.
            descriptors: list("/proc/self/fd", |entry| {
                let target = fs::read_link(entry).ok()?.to_string_lossy().into_owned();
                (!is_listing(&target)).then_some(target)
            }),
            threads: list("/proc/self/task", |entry| {
                Some(fs::read_to_string(entry.join("comm")).ok()?.trim_end().to_owned())
            }),
        }
    }

    /// What is held that was not held `before`.
    fn beyond(&self, before: &Held) -> Vec<String> {
        let test_threads = TEST_THREADS.lock().unwrap();
        let descriptors = self.descriptors.iter();
        let descriptors = descriptors
            .filter(|(number, target)| before.descriptors.get(*number) != Some(*target))
            .map(|(number, target)| format!("descriptor {number} of {target}"));
        let threads = self.threads.iter();
        let threads = threads
            .filter(|(number, _)| !before.threads.contains_key(*number))
            .filter(|(number, _)| !test_threads.contains(*number))
            .map(|(number, name)| format!("thread {number}, `{name}`"));
        descriptors.chain(threads).collect()
    }
}

/// The entries of a folder with what `describe` says of them; without those that it says nothing
/// of, because they have gone.
fn list(folder: &str, describe: impl Fn(&Path) -> Option<String>) -> BTreeMap<String, String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let described = entries.filter_map(|entry| {
        let number = entry.file_name()?.to_str()?.to_owned();
        Some((number, describe(&entry)?))
    });
    described.collect()
}

/// Fails if more is held than `before`. A thread that was joined may still be listed for a moment,
/// so this looks again for a while.
#[track_caller]
fn assert_nothing_beyond(before: &Held, when: &str) {
    let began = Instant::now();
    loop {
        let beyond = Held::now().beyond(before);
        if beyond.is_empty() {
            return;
        }
        let some = &beyond[..beyond.len().min(10)];
        assert!(began.elapsed() < PATIENCE, "{} are left {when}, such as {some:?}", beyond.len());
        thread::sleep(PAUSE);
    }
}

/// Waits until `holds`, which must be so soon.
async fn eventually(io: &Io, what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "never so: {what}\n{}", io.dump());
        sleep(io, PAUSE).await;
    }
}

/// Lets the process have as many descriptors as it may.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    assert!(
        limit.maximum.is_none_or(|most| most >= NEEDED_DESCRIPTORS),
        "the hard limit of open descriptors (`ulimit -Hn`) is {:?}; this test needs \
         {NEEDED_DESCRIPTORS}",
        limit.maximum,
    );
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
}

fn runtime() -> Runtime {
    Runtime::builder().workers(4).build().unwrap()
}

/// Runs a program to its end, which must come within the limit.
fn run<F: Future>(runtime: &Runtime, program: impl FnOnce(Io) -> F) -> F::Output {
    runtime.run(|io| async move {
        match timeout(&io, LIMIT, program(io.clone())).await {
            Ok(output) => output,
            Err(_) => panic!("no end within {LIMIT:?}\n{}", io.dump()),
        }
    })
}

async fn listen(io: &Io) -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(io, "127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Sends back what it reads, to the end.
async fn echo(stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 64];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            count => stream.write_all(&buffer[..count]).await?,
        }
    }
}

/// Accepts so many connections, and ends when all of them have ended well.
async fn serve(io: Io, listener: TcpListener, connections: usize) {
    let mut echoes = Vec::with_capacity(connections);
    for _ in 0..connections {
        let (stream, _) = listener.accept().await.unwrap();
        echoes.push(io.spawn(echo(stream)));
    }
    for echo in echoes {
        echo.await.unwrap().unwrap();
    }
}

/// Sends something to an echo, and reads it again.
async fn exchange(stream: &TcpStream) {
    const MESSAGE: &[u8] = b"is anybody there?";
    stream.write_all(MESSAGE).await.unwrap();
    let mut answer = [0; MESSAGE.len()];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, MESSAGE);
}

/// A connection that has carried something both ways.
async fn connect(io: &Io, address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(io, address).await.unwrap();
    exchange(&stream).await;
    stream
}

/// One connection from its beginning to its end: what a runtime makes when it first needs it is
/// there afterwards.
async fn warm_up(io: Io) {
    let (listener, address) = listen(&io).await;
    let server = io.spawn(serve(io.clone(), listener, 1));
    drop(connect(&io, address).await);
    server.await.unwrap();
}

/// All clients connect, and each waits until all have; then each makes its other connections, one
/// after the other.
async fn ten_thousand_connections(io: Io, warm: &Held) {
    let (listener, address) = listen(&io).await;
    let server = io.spawn(serve(io.clone(), listener, CLIENTS * CONNECTIONS_EACH));

    let clients = (0..CLIENTS).map(|_| {
        let own = io.clone();
        io.spawn(async move { connect(&own, address).await })
    });
    let streams = try_join_all(clients).await.unwrap();
    let open = Held::now().descriptors.len() - warm.descriptors.len();
    assert!(open >= 2 * CLIENTS, "{open} descriptors for {CLIENTS} connections");
    assert_eq!(io.metrics().tasks, 1 + CLIENTS, "the server, and an echo for each connection");

    let clients = streams.into_iter().map(|stream| {
        let own = io.clone();
        io.spawn(async move {
            drop(stream);
            for _ in 1..CONNECTIONS_EACH {
                drop(connect(&own, address).await);
            }
        })
    });
    try_join_all(clients).await.unwrap();
    server.await.unwrap();
}

#[test]
fn ten_thousand_connections_leave_nothing_behind() {
    let _turn = take_turn();
    raise_descriptor_limit();
    let before = Held::now();
    let runtime = runtime();
    run(&runtime, warm_up);
    let warm = Held::now();
    run(&runtime, |io| ten_thousand_connections(io, &warm));
    assert_eq!(runtime.io().metrics().tasks, 0);
    assert_nothing_beyond(&warm, "by the connections");
    drop(runtime);
    assert_nothing_beyond(&before, "by the runtime");
}

/// Connects, and waits until the tasks at both ends of every connection wait in a read. Each task
/// of a client holds one clone of `reading`.
async fn read_without_end(io: Io, reading: Arc<AtomicUsize>) {
    let (listener, address) = listen(&io).await;
    // One connection more than there will be: it waits for that one.
    io.spawn(serve(io.clone(), listener, CONNECTIONS + 1));
    for _ in 0..CONNECTIONS {
        let own = io.clone();
        let reading = Arc::clone(&reading);
        io.spawn(async move {
            let stream = connect(&own, address).await;
            reading.fetch_add(1, Ordering::Relaxed);
            stream.read(&mut [0]).await
        });
    }
    eventually(&io, "every client reads, and every task waits", || {
        reading.load(Ordering::Relaxed) == CONNECTIONS
            && io.dump().tasks().iter().all(|task| task.state == "waiting")
    })
    .await;
    assert_eq!(io.metrics().tasks, 1 + 2 * CONNECTIONS, "the server, and both ends");
}

#[test]
fn a_dropped_runtime_closes_the_connections_that_its_tasks_read_from() {
    let _turn = take_turn();
    let before = Held::now();
    let runtime = runtime();
    let reading = Arc::new(AtomicUsize::new(0));
    run(&runtime, |io| read_without_end(io, Arc::clone(&reading)));
    let open = Held::now().descriptors.len() - before.descriptors.len();
    assert!(open >= 2 * CONNECTIONS, "{open} descriptors for {CONNECTIONS} connections");
    assert_eq!(Arc::strong_count(&reading), 1 + CONNECTIONS);

    // A handle keeps what the runtime's threads share, but no task.
    let io = runtime.io();
    drop(runtime);
    assert_eq!(io.metrics().tasks, 0);
    assert_eq!(Arc::strong_count(&reading), 1, "tasks were not dropped");
    drop(io);
    assert_nothing_beyond(&before, "by the runtime");
}

/// Tasks receive from sockets for datagrams, and are aborted meanwhile.
async fn aborted_in_mid_receive(io: Io) {
    let mut receives = Vec::new();
    for _ in 0..CONNECTIONS {
        let socket = UdpSocket::bind(&io, "127.0.0.1:0").await.unwrap();
        socket.send_to(b"to itself", socket.local_addr().unwrap()).await.unwrap();
        receives.push(io.spawn(async move {
            let mut buffer = [0; 16];
            assert_eq!(socket.recv(&mut buffer).await.unwrap(), 9);
            socket.recv(&mut buffer).await
        }));
    }
    for receive in receives {
        assert!(receive.cancel().await.unwrap_err().is_cancelled());
    }
}

#[test]
fn sockets_for_datagrams_leave_nothing_behind() {
    let _turn = take_turn();
    let before = Held::now();
    let runtime = runtime();
    run(&runtime, warm_up);
    let warm = Held::now();
    run(&runtime, aborted_in_mid_receive);
    assert_eq!(runtime.io().metrics().tasks, 0);
    assert_nothing_beyond(&warm, "by the sockets");
    drop(runtime);
    assert_nothing_beyond(&before, "by the runtime");
}

/// Both ends of a connection.
async fn pair(io: &Io, listener: &TcpListener) -> (TcpStream, TcpStream) {
    let client = TcpStream::connect(io, listener.local_addr().unwrap()).await.unwrap();
    let (server, peer) = listener.accept().await.unwrap();
    assert_eq!(peer, client.local_addr().unwrap());
    (client, server)
}

/// Tasks read from connections, which the peers reset.
async fn reset_by_peers(io: Io) {
    let (listener, _) = listen(&io).await;
    let mut clients = Vec::new();
    let mut echoes = Vec::new();
    for _ in 0..CONNECTIONS {
        let (client, server) = pair(&io, &listener).await;
        echoes.push(io.spawn(echo(server)));
        exchange(&client).await;
        clients.push(client);
    }
    for client in clients {
        client.set_linger(Some(Duration::ZERO)).unwrap();
    }
    for echo in echoes {
        let error = echo.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
    }
}

/// Tasks read from connections, and are aborted meanwhile: their peers read to the end.
async fn aborted_in_mid_read(io: Io) {
    let (listener, _) = listen(&io).await;
    let mut clients = Vec::new();
    let mut echoes = Vec::new();
    for _ in 0..CONNECTIONS {
        let (client, server) = pair(&io, &listener).await;
        echoes.push(io.spawn(echo(server)));
        exchange(&client).await;
        clients.push(client);
    }
    eventually(&io, "every task waits", || {
        io.dump().tasks().iter().all(|task| task.state == "waiting")
    })
    .await;
    assert_eq!(io.metrics().tasks, CONNECTIONS);
    for echo in &echoes {
        echo.abort();
    }
    for echo in echoes {
        assert!(echo.await.unwrap_err().is_cancelled());
    }
    for client in clients {
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
    }
}

#[test]
fn reset_connections_and_aborted_reads_leave_nothing_behind() {
    let _turn = take_turn();
    let before = Held::now();
    let runtime = runtime();
    run(&runtime, warm_up);
    let warm = Held::now();
    run(&runtime, reset_by_peers);
    assert_eq!(runtime.io().metrics().tasks, 0);
    assert_nothing_beyond(&warm, "by the connections that were reset");
    run(&runtime, aborted_in_mid_read);
    assert_eq!(runtime.io().metrics().tasks, 0);
    assert_nothing_beyond(&warm, "by the tasks that were aborted");
    drop(runtime);
    assert_nothing_beyond(&before, "by the runtime");
}
