//! Part 1: an HTTP server and its clients on the real machine. The next part simulates both.

use std::convert::Infallible;
use std::io::{self, ErrorKind};
use std::time::Duration;

use hdrhistogram::Histogram;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::HOST;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use volt::Io;
use volt::compat::hyper::Timer;
use volt::net::{TcpListener, TcpStream};
use volt::task::try_join_all;
use volt::time::{Instant, sleep, timeout};

use crate::{Error, fact, grouped};

const CONNECTIONS: usize = 64;
const PATH: &str = "/tour";
/// How long a server that cannot accept waits, and a client that nobody listens to.
const PAUSE: Duration = Duration::from_millis(10);
/// How much longer than the load itself everything may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Digits of a latency that are kept.
const PRECISION: u8 = 3;

/// What the server answers to a request for `path`.
pub fn greeting(path: &str) -> String {
    format!("You asked for {path}.")
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::new(Bytes::from(greeting(request.uri().path())))))
}

/// The server: accepts connections at `address` for ever, on whichever machine it runs.
///
/// # Errors
/// If it cannot listen there.
pub async fn serve(io: Io, address: String) -> io::Result<()> {
    let listener = TcpListener::bind(&io, &address).await?;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                io.spawn(serve_connection(io.clone(), stream));
            }
            // The peer has gone already, or the process is short of descriptors: that passes.
            Err(_) => sleep(&io, PAUSE).await,
        }
    }
}

/// Serves one connection to its end. What goes wrong with it is the client's affair.
async fn serve_connection(io: Io, stream: TcpStream) {
    // A server whose small answers wait in the system is still right, only slower.
    let _ = stream.set_nodelay(true);
    let mut server = http1::Builder::new();
    server.timer(Timer::new(&io));
    let _ = server.serve_connection(stream, service_fn(answer)).await;
}

/// A client's connection, kept alive from request to request.
pub struct Connection {
    requests: SendRequest<Empty<Bytes>>,
    host: String,
}

impl Connection {
    /// Connects to the server at `address`.
    ///
    /// # Errors
    /// If the connection cannot be made.
    pub async fn open(io: &Io, address: &str) -> Result<Connection, Error> {
        let stream = TcpStream::connect(io, address).await?;
        stream.set_nodelay(true)?;
        let (requests, connection) = handshake(stream).await?;
        // It ends with `requests`, which hear of what goes wrong with it.
        io.spawn(connection);
        Ok(Connection { requests, host: address.to_owned() })
    }

    /// Asks for `path`; the body of the answer.
    ///
    /// # Errors
    /// If the connection fails, or the server refuses. The connection is of no use then.
    pub async fn get(&mut self, path: &str) -> Result<Bytes, Error> {
        self.requests.ready().await?;
        let request = Request::builder().uri(path).header(HOST, self.host.as_str());
        let response = self.requests.send_request(request.body(Empty::new())?).await?;
        if response.status() != StatusCode::OK {
            return Err(format!("the server answered {}", response.status()).into());
        }
        Ok(response.into_body().collect().await?.to_bytes())
    }
}

/// What the clients saw.
struct Load {
    elapsed: Duration,
    /// In nanoseconds.
    latencies: Histogram<u64>,
}

/// Shows the server under load, for as long as `length`.
///
/// # Errors
/// If a request is not answered, or wrongly.
pub fn show(length: Duration) -> Result<(), Error> {
    println!("  A server and its clients, written with hyper, on Volt's real runtime: threads,");
    println!("  a readiness queue, TCP sockets. Nothing here is simulated.\n");
    let Load { elapsed, latencies } = volt::run(|io| load(io, length))?;
    if latencies.is_empty() {
        return Err("no request was answered".into());
    }
    let per_second = latencies.len() as f64 / elapsed.as_secs_f64();
    let milliseconds = |nanoseconds: u64| format!("{:.3} ms", nanoseconds as f64 / 1e6);
    fact("connections, kept alive", CONNECTIONS);
    fact("seconds", format!("{:.1}", elapsed.as_secs_f64()));
    fact("requests answered, each checked", grouped(latencies.len()));
    fact("requests per second", grouped(per_second as u64));
    for percentile in [50.0, 90.0, 99.0, 99.9] {
        let latency = latencies.value_at_percentile(percentile);
        fact(&format!("latency: {percentile} % take at most"), milliseconds(latency));
    }
    fact("latency: the slowest took", milliseconds(latencies.max()));
    println!("\n  Clients and server share the processors here, and this build carries the");
    println!("  simulator along: to compare figures, see `benches/` and `examples/http.rs`.");
    Ok(())
}

async fn load(io: Io, length: Duration) -> Result<Load, Error> {
    let address = free_address()?;
    let server = io.spawn(serve(io.clone(), address.clone()));
    let limit = length + PATIENCE;
    let outcome = timeout(&io, limit, ask_all(&io, &address, length)).await;
    if server.is_finished() {
        // It serves for ever, unless it cannot.
        server.await??;
    }
    outcome.map_err(|_| format!("the requests were not all answered after {limit:?}"))?
}

/// An address that nobody listens at.
fn free_address() -> io::Result<String> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

/// Asks on all connections at once.
async fn ask_all(io: &Io, address: &str, length: Duration) -> Result<Load, Error> {
    let mut connections = Vec::with_capacity(CONNECTIONS);
    while connections.len() < CONNECTIONS {
        match Connection::open(io, address).await {
            Ok(connection) => connections.push(connection),
            // The server is about to start.
            Err(error) if is_refusal(&*error) => sleep(io, PAUSE).await,
            Err(error) => return Err(error),
        }
    }
    let began = Instant::now();
    let ask = |connection| io.spawn(ask_until(connection, began + length));
    let tasks: Vec<_> = connections.into_iter().map(ask).collect();
    let seen = try_join_all(tasks).await?;
    let elapsed = began.elapsed();
    let mut latencies = Histogram::<u64>::new(PRECISION)?;
    for of_one in seen {
        latencies.add(of_one?)?;
    }
    Ok(Load { elapsed, latencies })
}

fn is_refusal(error: &(dyn std::error::Error + 'static)) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

/// Asks again as soon as an answer has come; how long each took, in nanoseconds.
async fn ask_until(mut connection: Connection, deadline: Instant) -> Result<Histogram<u64>, Error> {
    let expected = greeting(PATH);
    let mut latencies = Histogram::<u64>::new(PRECISION)?;
    let mut asked = Instant::now();
    while asked < deadline {
        let answer = connection.get(PATH).await?;
        if answer != expected {
            return Err(format!("the server answered {answer:?} to {PATH}").into());
        }
        let answered = Instant::now();
        latencies.record((answered - asked).as_nanos() as u64)?;
        asked = answered;
    }
    Ok(latencies)
}
