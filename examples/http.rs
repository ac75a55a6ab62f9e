//! An HTTP/1.1 server that greets: hyper on Volt.
//!
//! ```sh
//! cargo run --release --features hyper --example http -- 127.0.0.1:8080
//! curl http://127.0.0.1:8080/
//! ```

use std::convert::Infallible;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use volt::Io;
use volt::compat::hyper::Timer;
use volt::net::{TcpListener, TcpStream};
use volt::time::{sleep, timeout};

const USAGE: &str = "usage: http ADDRESS [--seconds N]
  ADDRESS      where to listen, such as 127.0.0.1:8080
  --seconds N  end after N seconds, 1 to 86400";

/// What to do without a file descriptor for a connection: wait until others have ended.
const PAUSE: Duration = Duration::from_millis(50);

struct Options {
    address: String,
    limit: Option<Duration>,
}

impl Options {
    /// `Err` says what is wrong.
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
        let mut address = None;
        let mut limit = None;
        while let Some(argument) = arguments.next() {
            if argument == "--seconds" {
                let number = arguments.next().ok_or("`--seconds` lacks its number")?;
                let seconds = number.parse::<u64>().ok().filter(|n| (1..=86_400).contains(n));
                let seconds = seconds.ok_or(format!("`{number}` is not a number of seconds"))?;
                limit = Some(Duration::from_secs(seconds));
            } else if argument.starts_with('-') || address.is_some() {
                return Err(format!("`{argument}` is not expected"));
            } else {
                address = Some(argument);
            }
        }
        Ok(Options { address: address.ok_or("the address is missing")?, limit })
    }
}

async fn hello(_request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::new(Bytes::from_static(b"Hello, world!"))))
}

/// Serves one connection to its end. What goes wrong with it is the client's affair.
async fn serve(io: Io, stream: TcpStream) {
    let mut server = http1::Builder::new();
    server.timer(Timer::new(&io));
    let _ = server.serve_connection(stream, service_fn(hello)).await;
}

/// Accepts connections for ever.
async fn accept_all(io: &Io, listener: &TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // A server whose small answers wait in the system is still right, only slower.
                let _ = stream.set_nodelay(true);
                io.spawn(serve(io.clone(), stream));
            }
            Err(error) => {
                eprintln!("a connection is not accepted: {error}");
                sleep(io, PAUSE).await;
            }
        }
    }
}

async fn run(io: Io, options: Options) -> io::Result<()> {
    let listener = TcpListener::bind(&io, &options.address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let serving = accept_all(&io, &listener);
    match options.limit {
        None => serving.await,
        Some(limit) => {
            // That the time is over is what was asked for.
            let _ = timeout(&io, limit, serving).await;
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(problem) => {
            eprintln!("{problem}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let address = options.address.clone();
    match volt::run(|io| run(io, options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
            eprintln!("{error}\n{USAGE}");
            ExitCode::from(2)
        }
        Err(error) => {
            eprintln!("`{address}`: {error}");
            ExitCode::FAILURE
        }
    }
}
