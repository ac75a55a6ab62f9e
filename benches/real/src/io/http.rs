//! HTTP: the answer that hyper gives for every runtime, and wrk, which asks.

use std::convert::Infallible;
use std::io;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::rt::{Read, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use volt_bench_harness::{Effort, Pinned};

/// How long wrk asks without being told to stop: longer than any iteration.
const LIMIT: &str = "60s";

async fn hello(_request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::new(Bytes::from_static(b"Hello, world!"))))
}

/// Serves one connection to its end. No timers, for anyone: not every runtime has hyper's.
pub(super) async fn serve<S: Read + Write + Unpin + 'static>(stream: S) -> io::Result<()> {
    let connection = http1::Builder::new().serve_connection(stream, service_fn(hello));
    connection.await.map_err(io::Error::other)
}

/// Why wrk cannot be used, if it cannot.
pub(super) fn wrk_is_missing() -> Option<String> {
    // Its code is 1 even if all it is asked for is its version.
    let started = Command::new("wrk").arg("-v").output();
    started.err().map(|error| format!("wrk cannot be run ({error}); `ci/wrk-install` installs it"))
}

/// How many requests wrk made, and how long that took.
#[derive(Debug, PartialEq)]
pub(super) struct Asked {
    pub(super) requests: u64,
    pub(super) elapsed: Duration,
}

/// How long wrk is let ask. It counts seconds, and looks every 100 ms whether it was interrupted,
/// which serves for less: these are just short of a multiple.
fn window(effort: Effort) -> Duration {
    Duration::from_millis(effort.ops(960, 60))
}

/// Has wrk ask for a while, on one CPU, over so many connections that it keeps alive.
///
/// # Panics
///
/// If not every request is answered well: the figure would be one of errors.
pub(super) fn ask(address: &str, connections: usize, cpu: usize, effort: Effort) -> Asked {
    let url = format!("http://{address}/");
    let wrk = {
        let _pinned = Pinned::to(cpu);
        Command::new("wrk")
            .args(["-t1", &format!("-c{connections}"), &format!("-d{LIMIT}"), &url])
            .stdout(Stdio::piped())
            .spawn()
            .expect("wrk could be run before")
    };
    thread::sleep(window(effort));
    // SAFETY: it takes no memory of ours. The process is a child that nobody has waited for, so
    // that its number is not somebody else's.
    unsafe { libc::kill(wrk.id() as libc::pid_t, libc::SIGINT) };
    let output = wrk.wait_with_output().expect("a child can be waited for");
    let text = String::from_utf8_lossy(&output.stdout);
    match parse(&text) {
        Some(asked) if output.status.success() => asked,
        _ => panic!("wrk was not answered well ({}):\n{text}", output.status),
    }
}

/// Reads what wrk prints. `None` if connections failed, or requests were refused, or none made.
fn parse(text: &str) -> Option<Asked> {
    if text.contains("Socket errors") || text.contains("Non-2xx") {
        return None;
    }
    // Such as `  13977 requests in 100.12ms, 1.80MB read`.
    let line = text.lines().find(|line| line.contains(" requests in "))?;
    let (requests, rest) = line.trim().split_once(" requests in ")?;
    let (elapsed, _) = rest.split_once(',')?;
    let requests = requests.parse().ok().filter(|&requests| requests > 0)?;
    let digits = elapsed.find(|character: char| character.is_ascii_alphabetic())?;
    let (number, unit) = elapsed.split_at(digits);
    let unit = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        _ => return None,
    };
    let elapsed = Duration::try_from_secs_f64(number.parse::<f64>().ok()? * unit).ok()?;
    Some(Asked { requests, elapsed })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "Running 1m test @ http://127.0.0.1:1/\n  1 threads and 4 connections\n  \
                        144 requests in 199.68ms, 135.71KB read\nRequests/sec:    721.17\n";

    #[test]
    fn the_summary_of_wrk_is_understood() {
        let elapsed = Duration::from_micros(199_680);
        assert_eq!(parse(GOOD), Some(Asked { requests: 144, elapsed }));
        let seconds = GOOD.replace("199.68ms", "1.00s");
        assert_eq!(parse(&seconds).map(|asked| asked.elapsed), Some(Duration::from_secs(1)));
    }

    #[test]
    fn failed_requests_are_no_figure() {
        let refused = format!("{GOOD}  Non-2xx or 3xx responses: 3\n");
        assert_eq!(parse(&refused), None);
        let failed = format!("{GOOD}  Socket errors: connect 0, read 1, write 0, timeout 0\n");
        assert_eq!(parse(&failed), None);
        assert_eq!(parse(&GOOD.replace("144", "0")), None);
    }
}
