//! Part 2: the server of part 1 in a simulated world, on a host of its own, and a client on
//! another one. The network between them is slow, and for a while it is cut.

use std::time::{Duration, Instant as WallInstant};

use hyper::body::Bytes;
use volt::Io;
use volt::sim::{Link, Report, Sim, Strategy, World};
use volt::time::{Instant, sleep, timeout};

use crate::serve::{Connection, greeting, serve};
use crate::{COMMAND, Error, fact, grouped};

/// How many seeds are run, from the first one on.
const SEEDS: u64 = 300;
/// How many answers the client wants.
const REQUESTS: u64 = 24;
/// What a packet takes from host to host, at least, and how much longer it may take.
const LATENCY: Duration = Duration::from_millis(20);
const JITTER: Duration = Duration::from_millis(10);
/// When the network is cut: the client has some answers by then, but not all.
const CUT_AFTER: Duration = Duration::from_secs(1);
const CUT_FOR: Duration = Duration::from_secs(30);
/// How long the client waits for an answer before it connects anew.
const PATIENCE: Duration = Duration::from_secs(5);
/// What the client waits between two requests.
const PAUSE: Duration = Duration::from_millis(50);
/// When a run has gone wrong, in virtual time.
const LIMIT: Duration = Duration::from_secs(600);

/// The world of one run.
async fn broken_network(world: World) {
    world.set_default_link(Link { latency: LATENCY, jitter: JITTER, ..Link::default() });
    let _server = world.host("server").start(|io| serve(io, "0.0.0.0:80".to_owned()));
    let client = world.host("client").start(|io| ask(io, "server:80".to_owned()));

    world.sleep(CUT_AFTER).await;
    world.partition(["server"], ["client"]);
    world.sleep(CUT_FOR).await;
    world.heal();

    // The client ends when it has every answer.
    let longest = client.await.expect("the client does not panic");
    assert!(longest > CUT_FOR / 2, "no question met the cut: the longest took {longest:?}");
}

/// The client: asks one question after another, each as often as it takes. The longest time from
/// a question to its answer.
async fn ask(io: Io, address: String) -> Duration {
    let mut longest = Duration::ZERO;
    let mut connection = None;
    for number in 0..REQUESTS {
        let path = format!("/question/{number}");
        let asked = Instant::now();
        loop {
            let attempt = try_once(&io, &address, &mut connection, &path);
            let outcome = timeout(&io, PATIENCE, attempt).await;
            if let Ok(Ok(answer)) = outcome {
                assert_eq!(answer, greeting(&path), "the answer to another question");
                break;
            }
            // The connection has failed, or is silent: the next attempt makes another one.
            connection = None;
            sleep(&io, PAUSE).await;
        }
        longest = longest.max(asked.elapsed());
        sleep(&io, PAUSE).await;
    }
    longest
}

/// One attempt to get an answer, on `connection` or on a new one that takes its place.
async fn try_once(
    io: &Io,
    address: &str,
    connection: &mut Option<Connection>,
    path: &str,
) -> Result<Bytes, Error> {
    let open = match connection {
        Some(open) => open,
        None => connection.insert(Connection::open(io, address).await?),
    };
    open.get(path).await
}

/// Runs the world of one seed.
fn simulate(seed: u64) -> Result<Report, Error> {
    // A random walk: the default strategy runs one world more to see how long runs are, and for a
    // single seed that doubles the work.
    let builder = Sim::builder().seed(seed).strategy(Strategy::Random).virtual_time_limit(LIMIT);
    builder.build().run(broken_network).map_err(|failure| {
        let replay = format!("{COMMAND} -- --only partition --seed {seed:#x}");
        format!("a run failed, which `{replay}` shows again\n{failure}").into()
    })
}

/// Shows the simulated server, under many seeds from `first` on.
///
/// # Errors
/// If a run fails, or a seed does not replay.
pub fn show(first: u64) -> Result<(), Error> {
    println!("  The same `serve` function, not a line changed, on a simulated host, and a client");
    println!("  on another one. In each run the client asks {REQUESTS} questions; after");
    println!("  {CUT_AFTER:?} the network is cut, {CUT_FOR:?} later it is whole again. The client");
    println!("  gives up silent connections, makes new ones, and must get every answer.\n");
    let began = WallInstant::now();
    let mut virtual_time = Duration::ZERO;
    let mut steps = 0;
    for seed in first..first + SEEDS {
        let report = simulate(seed)?;
        virtual_time += report.virtual_time();
        steps += report.steps();
    }
    let wall_time = began.elapsed();
    let minutes = virtual_time.as_secs() / 60;
    let ratio = virtual_time.as_secs_f64() / wall_time.as_secs_f64();
    fact("runs, each with a seed of its own", SEEDS);
    fact("questions answered, each checked", grouped(SEEDS * REQUESTS));
    fact("points where another thread could run", grouped(steps));
    fact("virtual time that passed", format!("{} h {} min", minutes / 60, minutes % 60));
    fact("time that you waited", format!("{:.1} s", wall_time.as_secs_f64()));
    fact("virtual seconds in one of yours", grouped(ratio as u64));
    println!("\n  Nothing waited for real: where every thread waits, the clock jumps. Each seed");
    println!("  gave other delays and another order of threads, and whatever one gives it gives");
    println!("  again. The hash covers every step of a run and every byte that was received:\n");
    show_replay(first)
}

/// Shows that a seed gives the same run twice, and another one another run.
fn show_replay(seed: u64) -> Result<(), Error> {
    let (first, second, other) = (simulate(seed)?, simulate(seed)?, simulate(seed + 1)?);
    for (name, report) in [("first run", &first), ("second run", &second), ("first run", &other)] {
        fact(&format!("seed {:#x}, {name}", report.seed()), format!("{:#018x}", report.hash()));
    }
    if (first.hash(), first.steps()) != (second.hash(), second.steps()) {
        return Err(format!("seed {seed:#x} gave two different runs").into());
    }
    if first.hash() == other.hash() {
        return Err(format!("seeds {seed:#x} and {:#x} gave the same run", other.seed()).into());
    }
    Ok(())
}
