//! How long a timer, or a socket, of one task waits while another task keeps a worker for 200 ms.
//!
//! Two workers, on different CPUs. A timer wakes the task that sticks, and nobody else: the worker
//! that waited for events comes out with it and goes straight into the long poll, while the other
//! one sleeps. Where waiting for events is left to the stuck worker, nobody hears of the timer or
//! the socket that is due meanwhile. A row is how late the waiting task runs.

use std::hint;
use std::io::{ErrorKind, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use smol::io::AsyncReadExt;
use volt_bench_harness::{Row, Sample, Spread};

use crate::runtimes::{SmolExecutor, on_smol, on_tokio_with_io, on_volt};

const WORKERS: usize = 2;
/// When the task sticks, from the beginning of an iteration.
const BEGIN: Duration = Duration::from_millis(20);
/// For how long.
const STUCK: Duration = Duration::from_millis(200);
/// When the timer is due, or the byte sent: in the midst of it.
const DUE: Duration = Duration::from_millis(60);

/// All rows of this file.
pub(crate) fn rows() -> Vec<Row> {
    let groups: [fn(Row, &[usize]) -> Row; 2] = [timer, socket];
    ["timer", "socket"]
        .into_iter()
        .zip(groups)
        .map(|(variant, contenders)| {
            let row = Row::new("stuck_worker", 1).variant(variant);
            match Spread::CrossCore.cpus() {
                Ok(cpus) => contenders(row, &cpus),
                Err(reason) => row.leave_out(reason),
            }
        })
        .collect()
}

/// A poll that takes long.
fn stick() {
    let began = Instant::now();
    while began.elapsed() < STUCK {
        hint::spin_loop();
    }
}

/// What an iteration took that waited for `due` and has just been told.
fn late(due: Instant) -> Sample {
    Sample { elapsed: due.elapsed(), bytes: 0, allocations: 0, cpu: None }
}

/// A socket for the runtime, and a thread at its other end, which sends a byte when that is due
/// and tells when it did.
fn peer() -> (TcpStream, JoinHandle<Instant>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("the loopback has a free port");
    let address = listener.local_addr().expect("a listener has an address");
    let mut peer = TcpStream::connect(address).expect("the listener listens");
    let (socket, _) = listener.accept().expect("the peer has connected");
    socket.set_nonblocking(true).expect("a socket can be told not to block");
    let sending = thread::spawn(move || {
        thread::sleep(DUE);
        let sent = Instant::now();
        peer.write_all(b"x").expect("the socket is open");
        sent
    });
    (socket, sending)
}

/// As [`late`], for a byte that the thread has sent.
fn late_byte(sending: JoinHandle<Instant>) -> Sample {
    let now = Instant::now();
    let sent = sending.join().expect("the thread does not panic");
    Sample { elapsed: now.duration_since(sent), bytes: 0, allocations: 0, cpu: None }
}

/// How late a timer is.
fn timer(row: Row, on: &[usize]) -> Row {
    row.contender("volt", on_volt(WORKERS, on, timer_on_volt))
        .contender("tokio", on_tokio_with_io(WORKERS, on, timer_on_tokio))
        .contender("smol", on_smol(WORKERS, on, timer_on_smol))
}

async fn timer_on_volt(io: volt::Io) -> Sample {
    let stuck = stick_on_volt(&io);
    let due = Instant::now() + DUE;
    volt::time::sleep(&io, DUE).await;
    let sample = late(due);
    stuck.await.expect("the task ends");
    sample
}

fn stick_on_volt(io: &volt::Io) -> volt::task::JoinHandle<()> {
    let inside = io.clone();
    io.spawn(async move {
        volt::time::sleep(&inside, BEGIN).await;
        stick();
    })
}

async fn timer_on_tokio() -> Sample {
    let stuck = stick_on_tokio_with_io();
    let due = Instant::now() + DUE;
    tokio::time::sleep(DUE).await;
    let sample = late(due);
    stuck.await.expect("the task ends");
    sample
}

fn stick_on_tokio_with_io() -> tokio::task::JoinHandle<()> {
    tokio::spawn(async {
        tokio::time::sleep(BEGIN).await;
        stick();
    })
}

async fn timer_on_smol(executor: SmolExecutor) -> Sample {
    let stuck = stick_on_smol(&executor);
    let due = Instant::now() + DUE;
    smol::Timer::after(DUE).await;
    let sample = late(due);
    stuck.await;
    sample
}

fn stick_on_smol(executor: &SmolExecutor) -> smol::Task<()> {
    executor.spawn(async {
        smol::Timer::after(BEGIN).await;
        stick();
    })
}

/// How late a byte is read.
fn socket(row: Row, on: &[usize]) -> Row {
    row.contender("volt", on_volt(WORKERS, on, socket_on_volt))
        .contender("tokio", on_tokio_with_io(WORKERS, on, socket_on_tokio))
        .contender("smol", on_smol(WORKERS, on, socket_on_smol))
}

async fn socket_on_volt(io: volt::Io) -> Sample {
    let (socket, sending) = peer();
    let stream = volt::net::TcpStream::from_std(&io, socket).expect("Volt watches the socket");
    let stuck = stick_on_volt(&io);
    stream.read(&mut [0]).await.expect("the byte is read");
    let sample = late_byte(sending);
    stuck.await.expect("the task ends");
    sample
}

async fn socket_on_tokio() -> Sample {
    let (socket, sending) = peer();
    let stream = tokio::net::TcpStream::from_std(socket).expect("tokio watches the socket");
    let stuck = stick_on_tokio_with_io();
    loop {
        stream.readable().await.expect("the socket is open");
        match stream.try_read(&mut [0]) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            read => {
                read.expect("the byte is read");
                break;
            }
        }
    }
    let sample = late_byte(sending);
    stuck.await.expect("the task ends");
    sample
}

async fn socket_on_smol(executor: SmolExecutor) -> Sample {
    let (socket, sending) = peer();
    let mut stream = smol::Async::new(socket).expect("smol watches the socket");
    let stuck = stick_on_smol(&executor);
    stream.read(&mut [0]).await.expect("the byte is read");
    let sample = late_byte(sending);
    stuck.await;
    sample
}
