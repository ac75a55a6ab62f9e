//! Descriptors and memory for buffers run out: operations say so, accept loops go on, and do not
//! spin meanwhile; once something is given back, all is as before.
//!
//! Descriptors run out in simulation, and on the real machine in a process of its own, because the
//! limit is that of the process. Memory runs out in simulation alone: a real system has no way to
//! ask for it.

#![cfg(all(target_os = "linux", not(any(volt_loom, volt_shuttle))))]

use std::fs::File;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use volt::net::{TcpListener, TcpStream, UdpSocket};
use volt::time::{Instant, sleep, timeout};
use volt::{Io, Runtime};

const LOOPBACK: &str = "127.0.0.1:0";
/// How late an accept tells that descriptors or memory have run out.
const PAUSE: Duration = Duration::from_millis(10);
/// How long what must happen may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs a program to its end, which must come in time.
fn run<F: Future>(program: impl FnOnce(Io) -> F) -> F::Output {
    Runtime::builder().workers(2).build().unwrap().run(|io| async move {
        match timeout(&io, PATIENCE, program(io.clone())).await {
            Ok(output) => output,
            Err(_) => panic!("no end within {PATIENCE:?}\n{}", io.dump()),
        }
    })
}

fn is(error: &io::Error, errno: Errno) -> bool {
    error.raw_os_error() == Some(errno.raw_os_error())
}

/// Waits until `count` has come to `least`.
async fn reaches(io: &Io, count: &AtomicUsize, least: usize) {
    while count.load(Ordering::SeqCst) < least {
        sleep(io, Duration::from_millis(1)).await;
    }
}

async fn listen(io: &Io) -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(io, LOOPBACK).await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Writes one byte, again and again until there is memory for it.
async fn write(io: &Io, stream: &TcpStream, byte: u8) -> io::Result<()> {
    loop {
        match stream.write(&[byte]).await {
            Err(error) if is(&error, Errno::NOBUFS) => sleep(io, Duration::from_millis(1)).await,
            result => return result.map(|count| assert_eq!(count, 1)),
        }
    }
}

/// Sends back what it reads, to the end.
async fn echo(io: Io, stream: TcpStream) {
    let mut byte = [0];
    while stream.read(&mut byte).await.unwrap() > 0 {
        write(&io, &stream, byte[0]).await.unwrap();
    }
}

/// Sends something to an echo, and reads it again.
async fn exchange(io: &Io, stream: &TcpStream) {
    for sent in [1, 2, 3] {
        write(io, stream, sent).await.unwrap();
        let mut received = [0];
        stream.read_exact(&mut received).await.unwrap();
        assert_eq!(received[0], sent);
    }
}

/// Serves whoever comes. An error, which must be `expected`, is counted, and the loop goes on as
/// if nothing were.
async fn accept_loop(io: Io, listener: TcpListener, expected: Errno, errors: Arc<AtomicUsize>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(io.spawn(echo(io.clone(), stream))),
            Err(error) => {
                assert!(is(&error, expected), "{error}");
                errors.fetch_add(1, Ordering::SeqCst);
            }
        }
    }
}

/// `allow` lets the program have so many descriptors more than it has then; or as many as it
/// likes.
async fn descriptors_run_out(io: Io, allow: fn(Option<usize>)) {
    let (listener, address) = listen(&io).await;
    let errors = Arc::new(AtomicUsize::new(0));
    let accepting = accept_loop(io.clone(), listener, Errno::MFILE, Arc::clone(&errors));
    let server = io.spawn(accepting);
    let early = TcpStream::connect(&io, address).await.unwrap();
    exchange(&io, &early).await;

    allow(Some(2));
    let began = Instant::now();
    let spare = UdpSocket::bind(&io, LOOPBACK).await.unwrap();
    // It is in the listener's queue, and the server has no descriptor for it.
    let client = TcpStream::connect(&io, address).await.unwrap();
    reaches(&io, &errors, 3).await;
    let told = u32::try_from(errors.load(Ordering::SeqCst)).unwrap();
    let elapsed = began.elapsed();
    assert!(elapsed >= PAUSE * told, "{told} errors within {elapsed:?}: the loop spins");

    for refused in [
        TcpStream::connect(&io, address).await.map(drop),
        TcpListener::bind(&io, LOOPBACK).await.map(drop),
        UdpSocket::bind(&io, LOOPBACK).await.map(drop),
    ] {
        let error = refused.unwrap_err();
        assert!(is(&error, Errno::MFILE), "{error}");
    }
    exchange(&io, &early).await;

    // The connection that waited is served as soon as there is one descriptor.
    drop(spare);
    exchange(&io, &client).await;
    allow(None);
    let late = TcpStream::connect(&io, address).await.unwrap();
    exchange(&io, &late).await;
    exchange(&io, &early).await;
    assert!(server.cancel().await.unwrap_err().is_cancelled());
}

/// As the program above wants it, for this process. The system's limit is on the numbers of
/// descriptors, of which it gives the lowest that is free.
fn allow_process(more: Option<usize>) {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let set = |current| setrlimit(Resource::Nofile, Rlimit { current, maximum }).unwrap();
    set(maximum);
    let Some(more) = more else { return };
    let files: Vec<File> = (0..=more).map(|_| File::open("/dev/null").unwrap()).collect();
    let first_refused = files[more].as_raw_fd();
    set(Some(u64::try_from(first_refused).unwrap()));
}

#[test]
fn descriptors_of_a_process_run_out() {
    // By itself: other tests need descriptors, too.
    let own = "VOLT_TEST_RUNS_OUT_OF_DESCRIPTORS";
    if std::env::var_os(own).is_none() {
        let program = std::env::current_exe().unwrap();
        let arguments = ["--exact", "descriptors_of_a_process_run_out", "--test-threads=1"];
        let output = Command::new(program).args(arguments).env(own, "1").output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    run(|io| descriptors_run_out(io, allow_process));
}

#[cfg(feature = "sim")]
mod simulated {
    use volt::Backend;
    use volt::fs::{self, OpenOptions};
    use volt::net::{TcpSocket, UnixDatagram, UnixListener, UnixStream};
    use volt::sim::{Resources, Sim};

    use super::*;

    const SEEDS: u64 = 200;

    fn sweep<F>(program: impl Fn(Io) -> F + Send + Sync + 'static)
    where
        F: Future<Output = ()>,
    {
        let report = Sim::builder().sweep(0..SEEDS).machine(move || run(&program));
        report.into_result().unwrap_or_else(|failure| panic!("{failure}"));
    }

    fn allow_host(more: Option<usize>) {
        let resources = Resources::current();
        resources.set_descriptor_limit(more.map(|more| resources.descriptors() + more));
    }

    #[test]
    fn descriptors_of_a_host_run_out() {
        sweep(|io| descriptors_run_out(io, allow_host));
    }

    #[test]
    fn a_loop_that_spins_is_found() {
        let program = || run(|io| descriptors_run_out(io, allow_host));
        let report = Sim::builder().plant("accept-spins").sweep(0..500).machine(program);
        let failure = report.failure().expect("the errors come faster");
        assert!(failure.message().contains("the loop spins"), "{failure}");
    }

    #[test]
    fn a_runtime_without_descriptors_is_an_error() {
        let report = Sim::builder().sweep(0..10).machine(|| {
            Resources::current().set_descriptor_limit(Some(0));
            let error = Runtime::builder().workers(1).build().map(drop).unwrap_err();
            assert!(is(&error, Errno::MFILE), "{error}");
        });
        report.into_result().unwrap_or_else(|failure| panic!("{failure}"));
    }

    async fn buffers_run_out(io: Io) {
        let (listener, address) = listen(&io).await;
        let errors = Arc::new(AtomicUsize::new(0));
        let accepting = accept_loop(io.clone(), listener, Errno::NOBUFS, Arc::clone(&errors));
        let server = io.spawn(accepting);
        let early = TcpStream::connect(&io, address).await.unwrap();
        exchange(&io, &early).await;
        let datagrams = UdpSocket::bind(&io, LOOPBACK).await.unwrap();
        let socket = TcpSocket::new_v4(&io).unwrap();

        let resources = Resources::current();
        let began = Instant::now();
        resources.set_refused_buffers(1.0);
        let client = socket.connect(address).await.unwrap();
        reaches(&io, &errors, 3).await;
        let told = u32::try_from(errors.load(Ordering::SeqCst)).unwrap();
        let elapsed = began.elapsed();
        assert!(elapsed >= PAUSE * told, "{told} errors within {elapsed:?}: the loop spins");
        for refused in [
            TcpStream::connect(&io, address).await.map(drop),
            TcpListener::bind(&io, LOOPBACK).await.map(drop),
            UdpSocket::bind(&io, LOOPBACK).await.map(drop),
            early.write(b"x").await.map(|_| ()),
            early.write_all(b"x").await,
            datagrams.send_to(b"x", address).await.map(|_| ()),
        ] {
            let error = refused.unwrap_err();
            assert!(is(&error, Errno::NOBUFS), "{error}");
        }

        // Whoever tries again gets through, sooner or later, and nothing was sent twice.
        resources.set_refused_buffers(0.5);
        exchange(&io, &client).await;
        exchange(&io, &early).await;
        let late = loop {
            match TcpStream::connect(&io, address).await {
                Ok(stream) => break stream,
                Err(error) => assert!(is(&error, Errno::NOBUFS), "{error}"),
            }
        };
        exchange(&io, &late).await;
        resources.set_refused_buffers(0.0);
        assert!(server.cancel().await.unwrap_err().is_cancelled());
    }

    async fn unix_sockets_run_out(io: Io) {
        let listener = UnixListener::bind(&io, "/run/server").unwrap();
        let waits = UnixStream::connect(&io, "/run/server").await.unwrap();
        let resources = Resources::current();
        resources.set_descriptor_limit(Some(resources.descriptors()));
        for _ in 0..3 {
            let began = Instant::now();
            let error = listener.accept().await.unwrap_err();
            assert!(is(&error, Errno::MFILE), "{error}");
            assert!(began.elapsed() >= PAUSE, "an accept loop spins");
        }
        for refused in [
            UnixStream::connect(&io, "/run/server").await.map(drop),
            UnixStream::pair(&io).map(drop),
            UnixListener::bind(&io, "/run/other").map(drop),
            UnixDatagram::unbound(&io).map(drop),
        ] {
            let error = refused.unwrap_err();
            assert!(is(&error, Errno::MFILE), "{error}");
        }
        resources.set_descriptor_limit(None);
        let (served, _) = listener.accept().await.unwrap();
        waits.write_all(b"x").await.unwrap();
        let mut byte = [0];
        served.read_exact(&mut byte).await.unwrap();
        resources.set_refused_buffers(1.0);
        let error = waits.write_all(b"x").await.unwrap_err();
        assert!(is(&error, Errno::NOBUFS), "{error}");
    }

    /// What a ring has no memory for fails, and is not done on a thread behind the caller's back.
    async fn memory_of_rings_runs_out(io: Io) {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).open(&io, "/file").await.unwrap();
        Resources::current().set_refused_buffers(1.0);
        let (written, text) = file.write_at_owned(*b"hello", 0).await;
        // More than a worker reads itself.
        let (read, buffer) = file.read_at_owned(vec![1_u8; 100_000], 0).await;
        for refused in [
            written.map(|_| ()),
            read.map(|_| ()),
            file.write_at(b"hello", 0).await.map(|_| ()),
            file.sync_data().await,
            file.sync_all().await,
        ] {
            let error = refused.unwrap_err();
            assert!(is(&error, Errno::NOMEM), "{error}");
            assert_eq!(error.kind(), io::ErrorKind::OutOfMemory);
        }
        assert!(buffer.len() == 100_000 && buffer.iter().all(|byte| *byte == 1));
        assert_eq!(file.metadata().await.unwrap().len(), 0);

        // Whoever tries again gets through, sooner or later.
        Resources::current().set_refused_buffers(0.5);
        let mut at = 0;
        while at < text.len() {
            match file.write_at(&text[at..], at as u64).await {
                Ok(count) => at += count,
                Err(error) => assert!(is(&error, Errno::NOMEM), "{error}"),
            }
        }
        while let Err(error) = file.sync_all().await {
            assert!(is(&error, Errno::NOMEM), "{error}");
        }
        assert_eq!(fs::read(&io, "/file").await.unwrap(), text);
    }

    #[test]
    fn memory_for_operations_on_rings_runs_out() {
        let report = Sim::builder().sweep(0..SEEDS).machine(|| {
            let builder = Runtime::builder().workers(1).backend(Backend::IoUring);
            builder.build().unwrap().run(|io| async move {
                // On a worker: what the thread of `run` begins before it is one takes a thread.
                io.spawn(memory_of_rings_runs_out(io.clone())).await.unwrap();
            });
        });
        report.into_result().unwrap_or_else(|failure| panic!("{failure}"));
    }

    #[test]
    fn what_unix_sockets_take_of_a_host_runs_out() {
        sweep(unix_sockets_run_out);
    }

    #[test]
    fn buffers_of_a_host_run_out() {
        sweep(buffers_run_out);
    }
}
