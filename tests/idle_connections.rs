//! Ten thousand connections that nothing happens on cost no processor time and little memory, and
//! are there when something happens.
//!
//! The clients are threads' sockets in a process of their own, so that what this one uses is the
//! server's share. What is counted is for the whole process, so this test is alone in its file.

#![cfg(all(target_os = "linux", not(any(volt_loom, volt_shuttle))))]

use std::alloc::{GlobalAlloc, Layout, System};
use std::fs;
use std::future::Future;
use std::io::{self, BufRead, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use volt::net::{TcpListener, TcpStream};
use volt::time::{sleep, timeout};
use volt::{Io, Runtime};

const CONNECTIONS: usize = 10_000;
/// How many fit into the listener's queue: one that did not would try again after a second.
const AT_ONCE: usize = 500;
/// Descriptors that each of the two processes must be allowed.
const NEEDED_DESCRIPTORS: u64 = 10_200;
/// What a connection may take of the heap: its socket, what waits for it, and a task that reads.
const MOST_HEAP: usize = 2_048;
/// How much larger it may make the process: what the allocator and its pages add.
const MOST_RESIDENT: usize = 4_096;
/// How long what has just begun may go on.
const SETTLING: Duration = Duration::from_millis(200);
/// For how long nothing happens.
const IDLE: Duration = Duration::from_secs(1);
/// What the process may compute meanwhile. Clocks of some systems count in steps of 10 ms.
const MOST_COMPUTED: Duration = Duration::from_millis(30);
/// How long the test may take.
const LIMIT: Duration = Duration::from_secs(120);

/// Where the clients connect to, in the environment of their process.
const ADDRESS: &str = "VOLT_TEST_CLIENTS_CONNECT_TO";

/// Bytes of the heap that are in use.
static IN_USE: AtomicIsize = AtomicIsize::new(0);

struct Counting;

// SAFETY: everything is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // Relaxed, here and below: nothing but the sum is of interest, when all is quiet.
        IN_USE.fetch_add(layout.size().cast_signed(), Ordering::Relaxed);
        // SAFETY: the caller keeps to the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size().cast_signed(), Ordering::Relaxed);
        // SAFETY: the caller keeps to the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What the process uses.
struct Used {
    heap: usize,
    resident: usize,
    computed: Duration,
}

impl Used {
    fn now() -> Used {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = resident.and_then(|size| size.trim().strip_suffix(" kB")).unwrap();
        // Behind the name, which may have blanks in it, come the fields from the third on. The
        // 14th and 15th are time in user code and in the kernel, in hundredths of a second.
        let stat = fs::read_to_string("/proc/self/stat").unwrap();
        let (_, fields) = stat.rsplit_once(')').unwrap();
        let times = fields.split_whitespace().skip(11).take(2);
        let hundredths: u64 = times.map(|time| time.parse::<u64>().unwrap()).sum();
        let heap = IN_USE.load(Ordering::Relaxed);
        Used {
            heap: usize::try_from(heap).unwrap(),
            resident: 1_024 * kibibytes.trim().parse::<usize>().unwrap(),
            computed: Duration::from_millis(10 * hundredths),
        }
    }
}

/// Lets the process have as many descriptors as it may.
fn raise_descriptor_limit() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    assert!(
        maximum.is_none_or(|most| most >= NEEDED_DESCRIPTORS),
        "the hard limit of open descriptors (`ulimit -Hn`) is {maximum:?}; this test needs \
         {NEEDED_DESCRIPTORS}",
    );
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
}

/// Connects, with a pause until the next line whenever the listener's queue may be full; says
/// something on every connection when it is given another line, and ends with its input.
fn be_the_clients(address: &str) {
    let mut streams = Vec::with_capacity(CONNECTIONS);
    let mut input = io::stdin().lock();
    for _ in 0..CONNECTIONS / AT_ONCE {
        for _ in 0..AT_ONCE {
            streams.push(std::net::TcpStream::connect(address).unwrap());
        }
        input.read_line(&mut String::new()).unwrap();
    }
    input.read_line(&mut String::new()).unwrap();
    for stream in &mut streams {
        stream.write_all(b"x").unwrap();
    }
    input.read_to_end(&mut Vec::new()).unwrap();
}

/// Starts the process of the clients: this test again, with the address in its environment.
fn start_clients(address: &str) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let name = "ten_thousand_idle_connections_cost_next_to_nothing";
    command.args(["--exact", name, "--test-threads=1"]).env(ADDRESS, address);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap()
}

/// Waits until `count` has come to `all`.
async fn reaches(io: &Io, count: &AtomicUsize, all: usize) {
    while count.load(Ordering::Relaxed) < all {
        sleep(io, Duration::from_millis(1)).await;
    }
}

/// Reads to the end, and counts what it reads.
async fn read_all(stream: TcpStream, begun: Arc<AtomicUsize>, received: Arc<AtomicUsize>) {
    begun.fetch_add(1, Ordering::Relaxed);
    let mut bytes = [0; 16];
    loop {
        match stream.read(&mut bytes).await.unwrap() {
            0 => return,
            count => received.fetch_add(count, Ordering::Relaxed),
        };
    }
}

async fn idle(io: Io) {
    let listener = TcpListener::bind(&io, "127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (begun, received) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut clients = start_clients(&address.to_string());
    let mut input = clients.stdin.take().unwrap();
    let before = Used::now();
    for _ in 0..CONNECTIONS / AT_ONCE {
        for _ in 0..AT_ONCE {
            let (stream, _) = listener.accept().await.unwrap();
            io.spawn(read_all(stream, Arc::clone(&begun), Arc::clone(&received)));
        }
        input.write_all(b"\n").unwrap();
    }
    reaches(&io, &begun, CONNECTIONS).await;
    // The last polls end, and idle threads find nothing and sleep.
    sleep(&io, SETTLING).await;
    let connected = Used::now();
    let heap = connected.heap.saturating_sub(before.heap) / CONNECTIONS;
    let resident = connected.resident.saturating_sub(before.resident) / CONNECTIONS;
    sleep(&io, IDLE).await;
    let computed = Used::now().computed.saturating_sub(connected.computed);
    println!(
        "{CONNECTIONS} idle connections: {heap} bytes of the heap each, {resident} resident; \
         {computed:?} computed in {IDLE:?}"
    );
    assert!(heap <= MOST_HEAP, "{heap} bytes of the heap for each connection");
    assert!(resident <= MOST_RESIDENT, "{resident} bytes resident for each connection");
    assert!(computed <= MOST_COMPUTED, "{computed:?} computed in {IDLE:?} of nothing");

    // They have not been forgotten.
    assert_eq!(received.load(Ordering::Relaxed), 0);
    input.write_all(b"\n").unwrap();
    reaches(&io, &received, CONNECTIONS).await;
    drop(input);
    let began = Instant::now();
    while io.metrics().tasks > 0 {
        assert!(began.elapsed() < LIMIT, "connections do not end\n{}", io.dump());
        sleep(&io, Duration::from_millis(1)).await;
    }
    assert_eq!(received.load(Ordering::Relaxed), CONNECTIONS);
    assert!(clients.wait().unwrap().success());
}

/// Runs a program to its end, which must come within the limit.
fn run<F: Future>(program: impl FnOnce(Io) -> F) -> F::Output {
    Runtime::builder().workers(2).build().unwrap().run(|io| async move {
        match timeout(&io, LIMIT, program(io.clone())).await {
            Ok(output) => output,
            Err(_) => panic!("no end within {LIMIT:?}"),
        }
    })
}

#[test]
fn ten_thousand_idle_connections_cost_next_to_nothing() {
    raise_descriptor_limit();
    match std::env::var(ADDRESS) {
        Ok(address) => be_the_clients(&address),
        Err(_) => run(idle),
    }
}
