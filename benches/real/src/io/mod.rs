//! The I/O rows: echoes over TCP and UDP, a stream, connections that are accepted and closed, HTTP
//! by hyper, and reads of a cached file.
//!
//! A server runs in a process of its own on the first CPU, and its load in another on the second.
//! What is compared is the server's CPU time per request: on a shared machine what elapses depends
//! on the neighbours, and one connection at a time measures the kernel's wake-ups, but the CPU
//! time hardly moves. What elapsed is printed below it. For each contender the server is the
//! least that its documentation teaches: a thread, and a task for each connection with one buffer;
//! what accepts is a task too.
//!
//! `floor` is a loop over the system's own calls, without any runtime: what the kernel takes.

mod epoll;
mod files;
mod http;
mod load;
mod on_compio;
mod on_floor;
mod on_monoio;
mod on_smol;
mod on_tokio;
mod on_volt;
mod socket;

use std::convert::Infallible;
use std::io;
use std::process::{self, ExitCode};
use std::thread;
use std::time::Duration;

use volt::Backend;
use volt_bench_harness::{Effort, Process, Row, Run, Sample, Spread, Usage, absent, attend};

use load::Load;
use socket::Socket;

/// The first argument of a process that is a server. The service and the contender follow.
const SERVER: &str = "--io-server";
/// Of one that is a load. The service, the address, the connections and the bytes follow.
const LOAD: &str = "--io-load";
/// Of one that reads a file. The contender follows.
const FILES: &str = "--io-files";

/// The most that an echo takes at once.
const ECHO_BUFFER: usize = 16 << 10;
/// The most that a server takes at once from a stream that it does not answer.
const STREAM_BUFFER: usize = 64 << 10;
/// The largest datagram.
const DATAGRAM: usize = 2 << 10;
/// Operations of an iteration of HTTP, to which what wrk managed is scaled.
const HTTP_OPS: u64 = 10_000;

/// What a server does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Service {
    /// Sends back what comes.
    Echo,
    /// Takes what comes, and says one byte at the end.
    Throughput,
    /// Sends back each datagram.
    UdpEcho,
    /// Closes each connection as soon as it is there.
    AcceptClose,
    /// Greets.
    Http,
}

impl Service {
    const ALL: [Self; 5] =
        [Self::Echo, Self::Throughput, Self::UdpEcho, Self::AcceptClose, Self::Http];

    /// Its name, and its row's.
    fn name(self) -> &'static str {
        match self {
            Self::Echo => "tcp_echo",
            Self::Throughput => "tcp_throughput",
            Self::UdpEcho => "udp_echo",
            Self::AcceptClose => "accept_close",
            Self::Http => "http_hello",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|service| service.name() == name)
    }
}

/// Who serves, or reads files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Contender {
    Volt(Backend),
    Tokio,
    Smol,
    Compio,
    Monoio,
    Floor,
}

impl Contender {
    const SERVERS: [Self; 7] = [
        Self::Volt(Backend::IoUring),
        Self::Volt(Backend::Epoll),
        Self::Tokio,
        Self::Smol,
        Self::Compio,
        Self::Monoio,
        Self::Floor,
    ];
    const READERS: [Self; 5] = [
        Self::Volt(Backend::IoUring),
        Self::Volt(Backend::Epoll),
        Self::Tokio,
        Self::Compio,
        Self::Floor,
    ];

    fn name(self) -> String {
        match self {
            Self::Volt(backend) => format!("volt-{backend}"),
            Self::Tokio => "tokio".to_owned(),
            Self::Smol => "smol".to_owned(),
            Self::Compio => "compio".to_owned(),
            Self::Monoio => "monoio".to_owned(),
            Self::Floor => "floor".to_owned(),
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::SERVERS.into_iter().find(|contender| contender.name() == name)
    }
}

/// A row of a server and its load.
struct Served {
    service: Service,
    variant: &'static str,
    connections: usize,
    /// Bytes of a request.
    size: usize,
    /// Requests of an iteration, in full and with `--quick`.
    ops: (u64, u64),
}

/// The rows over sockets. One connection at a time takes ten times as long as many do.
const SERVED: [Served; 11] = [
    echo("1x64", 1, 64, (20_000, 1_000)),
    echo("64x64", 64, 64, (100_000, 5_000)),
    echo("1024x64", 1_024, 64, (100_000, 5_000)),
    echo("1x16384", 1, 16 << 10, (10_000, 700)),
    echo("64x16384", 64, 16 << 10, (30_000, 3_000)),
    echo("1024x16384", 1_024, 16 << 10, (30_000, 3_000)),
    Served {
        service: Service::Throughput,
        variant: "",
        connections: 1,
        size: 64 << 10,
        ops: (10_000, 1_000),
    },
    Served {
        service: Service::UdpEcho,
        variant: "64x64",
        connections: 64,
        size: 64,
        ops: (100_000, 5_000),
    },
    Served {
        service: Service::AcceptClose,
        variant: "",
        connections: 64,
        size: 0,
        ops: (20_000, 1_500),
    },
    http_hello("64", 64),
    http_hello("512", 512),
];

const fn echo(variant: &'static str, connections: usize, size: usize, ops: (u64, u64)) -> Served {
    Served { service: Service::Echo, variant, connections, size, ops }
}

const fn http_hello(variant: &'static str, connections: usize) -> Served {
    Served { service: Service::Http, variant, connections, size: 0, ops: (HTTP_OPS, HTTP_OPS) }
}

/// All I/O rows.
pub(crate) fn rows(effort: Effort) -> Vec<Row> {
    let no_wrk = http::wrk_is_missing();
    let mut rows = Vec::new();
    for served in SERVED {
        let mut row = Row::new(served.service.name(), effort.ops(served.ops.0, served.ops.1));
        if !served.variant.is_empty() {
            row = row.variant(served.variant);
        }
        let missing = no_wrk.as_ref().filter(|_| served.service == Service::Http);
        rows.push(match (Spread::CrossCore.cpus(), missing) {
            (Err(reason), _) => row.leave_out(reason),
            (_, Some(reason)) => row.leave_out(reason),
            (Ok(cpus), None) => with_servers(row, served, [cpus[0], cpus[1]], effort),
        });
    }
    rows.push(files::row(effort));
    rows
}

/// Adds a server for each contender, on the first CPU, with a load on the second.
fn with_servers(row: Row, served: Served, [server, load]: [usize; 2], effort: Effort) -> Row {
    let Served { service, connections, size, ops, .. } = served;
    let requests = effort.ops(ops.0, ops.1);
    Contender::SERVERS.into_iter().fold(row, |row, contender| {
        row.contender_if_able(&contender.name(), move || {
            let arguments = [SERVER.to_owned(), service.name().to_owned(), contender.name()];
            let mut server = Process::start(&arguments, server)?;
            let address = server.greeting().to_owned();
            if service == Service::Http {
                return Ok(Box::new(move || {
                    let before = server.usage();
                    let asked = http::ask(&address, connections, load, effort);
                    let used = server.usage().since(before);
                    let scale = requests as f64 / asked.requests as f64;
                    let scaled = |count: u64| (count as f64 * scale) as u64;
                    let used = Usage {
                        cpu: used.cpu.mul_f64(scale),
                        bytes: scaled(used.bytes),
                        allocations: scaled(used.allocations),
                    };
                    sample(asked.elapsed.mul_f64(scale), used)
                }) as Run);
            }
            let arguments = [
                LOAD.to_owned(),
                service.name().to_owned(),
                address,
                connections.to_string(),
                size.to_string(),
            ];
            let mut load = Process::start(&arguments, load)?;
            Ok(Box::new(move || {
                let before = server.usage();
                let elapsed = elapsed(&load.ask(&requests.to_string()));
                sample(elapsed, server.usage().since(before))
            }) as Run)
        })
    })
}

/// What an iteration took that another process performed.
fn sample(elapsed: Duration, used: Usage) -> Sample {
    Sample { elapsed, cpu: Some(used.cpu), bytes: used.bytes, allocations: used.allocations }
}

/// Reads what [`elapsed_line`] wrote.
fn elapsed(line: &str) -> Duration {
    Duration::from_nanos(line.parse().unwrap_or_else(|_| panic!("`{line}` is no time")))
}

fn elapsed_line(elapsed: Duration) -> String {
    elapsed.as_nanos().to_string()
}

/// Does what this process was started for by a row, if it was; the exit code. What follows the
/// first argument is what a row passes: it is not checked for typing errors.
pub(crate) fn part(arguments: &[String]) -> Option<ExitCode> {
    let (role, arguments) = arguments.split_first()?;
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match (role.as_str(), &arguments[..]) {
        (SERVER, &[service, contender]) => {
            serve(Contender::named(contender)?, Service::named(service)?)
        }
        (LOAD, &[service, address, connections, size]) => {
            let (service, address) = (Service::named(service)?, address.parse().ok()?);
            let (connections, size) = (connections.parse().ok()?, size.parse().ok()?);
            socket::raise_descriptor_limit()
                .and_then(|()| Load::new(service, address, connections, size))
                .map(attend_load)
        }
        (FILES, &[contender]) => files::read(Contender::named(contender)?),
        _ => return None,
    };
    if let Err(error) = done {
        absent(&error.to_string());
    }
    Some(ExitCode::SUCCESS)
}

/// Makes as many requests as each question says; answers how long they took.
fn attend_load(mut load: Load) {
    attend("load", |question| {
        let requests = question.parse().expect("a row asks for a number of requests");
        elapsed_line(load.run(requests).expect("the server answers"))
    });
}

/// Serves until the process is ended. Returns only if that is not possible.
fn serve(contender: Contender, service: Service) -> io::Result<()> {
    socket::raise_descriptor_limit()?;
    let serving: io::Result<Infallible> = match contender {
        Contender::Volt(backend) => on_volt::serve(backend, service),
        Contender::Tokio => on_tokio::serve(service),
        Contender::Smol => on_smol::serve(service),
        Contender::Compio => on_compio::serve(service),
        Contender::Monoio => on_monoio::serve(service),
        Contender::Floor => on_floor::serve(service),
    };
    serving.map(|never| match never {})
}

/// Opens the socket of a server whose runtime is there, and tells the row where it is. A thread
/// answers what the row asks, on the server's CPU, which takes a few microseconds an iteration.
fn open(service: Service) -> io::Result<Socket> {
    let socket = Socket::open(service)?;
    let address = socket.address()?.to_string();
    thread::Builder::new().name("usage".to_owned()).spawn(move || attend_server(&address))?;
    Ok(socket)
}

/// Answers for a server until its row has ended, and then ends it, which nothing else does.
fn attend_server(address: &str) {
    attend(address, |question| panic!("a server is asked `{question}`"));
    process::exit(0)
}
