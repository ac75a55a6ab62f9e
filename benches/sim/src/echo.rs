//! A TCP echo between two hosts: requests of 64 bytes go to and fro over a link that takes a
//! millisecond each way. An operation is one of them, with its answer.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use turmoil::Builder as TurmoilBuilder;
use volt::Io;
use volt::net::{TcpListener, TcpStream};
use volt::sim::{Link, Sim, Strategy};
use volt_bench_harness::Row;

const SEED: u64 = 1;
const REQUESTS: u64 = 1_000;
const BYTES: usize = 64;
const LATENCY: Duration = Duration::from_millis(1);
const PORT: u16 = 80;

/// The row of this file.
pub(crate) fn row() -> Row {
    Row::new("sim_tcp_echo", REQUESTS)
        .timed("volt", on_volt)
        .timed("turmoil", on_turmoil)
        .contender_if_able("madsim", || Err(super::virtual_time::NO_MADSIM.to_owned()))
}

async fn serve_on_volt(io: Io) {
    let listener = TcpListener::bind(&io, ("0.0.0.0", PORT)).await.expect("the port is free");
    let (stream, _) = listener.accept().await.expect("the client connects");
    let mut request = [0; BYTES];
    for _ in 0..REQUESTS {
        stream.read_exact(&mut request).await.expect("a request comes");
        stream.write_all(&request).await.expect("the client waits");
    }
}

async fn ask_on_volt(io: Io) {
    let stream = loop {
        // The server may not listen yet.
        match TcpStream::connect(&io, ("server", PORT)).await {
            Ok(stream) => break stream,
            Err(_) => volt::time::sleep(&io, LATENCY).await,
        }
    };
    let mut answer = [0; BYTES];
    for _ in 0..REQUESTS {
        stream.write_all(&[7; BYTES]).await.expect("the server listens");
        stream.read_exact(&mut answer).await.expect("the server answers");
    }
    assert_eq!(answer, [7; BYTES]);
}

fn on_volt() {
    let sim = Sim::builder().seed(SEED).strategy(Strategy::Random).build();
    let report = sim.run(|world| async move {
        let server = world.host("server").start(serve_on_volt);
        let client = world.host("client").start(ask_on_volt);
        let link = Link { latency: LATENCY, jitter: Duration::ZERO, ..Link::default() };
        world.link("server", "client").set(link);
        client.await.expect("the client ends");
        server.await.expect("the server ends");
    });
    let report = report.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(report.virtual_time() >= LATENCY * 2 * REQUESTS as u32, "an answer came early");
}

fn on_turmoil() {
    let mut simulation = TurmoilBuilder::new()
        .rng_seed(SEED)
        .simulation_duration(Duration::from_secs(60))
        .tick_duration(LATENCY)
        .min_message_latency(LATENCY)
        .max_message_latency(LATENCY)
        .build();
    simulation.host("server", || async {
        let listener = turmoil::net::TcpListener::bind(("0.0.0.0", PORT)).await?;
        let (mut stream, _) = listener.accept().await?;
        let mut request = [0; BYTES];
        for _ in 0..REQUESTS {
            stream.read_exact(&mut request).await?;
            stream.write_all(&request).await?;
        }
        Ok(())
    });
    simulation.client("client", async {
        let mut stream = turmoil::net::TcpStream::connect(("server", PORT)).await?;
        let mut answer = [0; BYTES];
        for _ in 0..REQUESTS {
            stream.write_all(&[7; BYTES]).await?;
            stream.read_exact(&mut answer).await?;
        }
        assert_eq!(answer, [7; BYTES]);
        Ok(())
    });
    simulation.run().expect("the client ends in time");
}
