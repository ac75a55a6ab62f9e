//! Simulated worlds of several hosts: they reach each other by name, links delay and partitions
//! stall what they say, and what goes wrong on one is told.

#![cfg(all(feature = "sim", feature = "macros", not(any(volt_loom, volt_shuttle))))]

use std::future::{Future, pending};
use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::time::Duration;

use volt::Io;
use volt::net::{TcpListener, TcpStream};
use volt::sim::{FailureKind, Host, HostError, Link, Sim, Strategy, World};
use volt::task::{JoinHandle, yield_now};
use volt::time::sleep;

const SERVER: &str = "server:80";
const EVERYWHERE: &str = "0.0.0.0:80";

fn milliseconds(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// Sends back what it reads, to the end.
async fn echo(stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 1024];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            count => stream.write_all(&buffer[..count]).await?,
        }
    }
}

/// A program: sends back what each connection brings.
async fn serve(io: Io) -> io::Result<()> {
    let listener = TcpListener::bind(&io, EVERYWHERE).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        io.spawn(echo(stream));
    }
}

/// Connects to the server, which may not listen yet.
async fn connect(io: &Io) -> TcpStream {
    loop {
        match TcpStream::connect(io, SERVER).await {
            Ok(stream) => return stream,
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionRefused),
        }
        sleep(io, milliseconds(1)).await;
    }
}

/// Sends `question` and waits until it has come back.
async fn ask(stream: &TcpStream, question: &[u8]) {
    stream.write_all(question).await.unwrap();
    let mut answer = vec![0; question.len()];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, question);
}

/// Spawns a task that has the handle too.
fn spawn<F>(io: &Io, f: impl FnOnce(Io) -> F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    io.spawn(f(io.clone()))
}

/// A host without a program of its own, on which tests spawn tasks.
fn idle(world: &World, name: &str) -> Host<()> {
    world.host(name).start(|_| pending())
}

/// A connection between the hosts `client` and `server`: for each the handle and its end.
async fn pair(world: &World) -> [(Io, TcpStream); 2] {
    let [client, server] = ["client", "server"].map(|name| idle(world, name).io());
    let listener = spawn(&server, |io| async move { TcpListener::bind(&io, EVERYWHERE).await });
    let listener = listener.await.unwrap().unwrap();
    let connecting = spawn(&client, |io| async move { TcpStream::connect(&io, SERVER).await });
    let accepting = server.spawn(async move { listener.accept().await.map(|(stream, _)| stream) });
    let near = connecting.await.unwrap().unwrap();
    let far = accepting.await.unwrap().unwrap();
    [(client, near), (server, far)]
}

#[volt::sim_test(seeds = 50)]
async fn a_client_reaches_a_server_by_its_name(world: World) {
    let server = world.host("server").start(serve);
    let client = world.host("client").start(|io| async move {
        let stream = connect(&io).await;
        ask(&stream, b"hello").await;
        [stream.local_addr().unwrap().ip(), stream.peer_addr().unwrap().ip()]
    });
    assert_eq!((client.name(), server.name()), ("client", "server"));
    let addresses = [client.address(), server.address()];
    assert_ne!(addresses[0], addresses[1]);
    assert_eq!(client.await.unwrap(), addresses);
}

#[volt::sim_test(seeds = 50)]
async fn a_host_has_the_address_and_the_workers_it_is_given(world: World) {
    let address: IpAddr = "192.168.7.9".parse().unwrap();
    let server = world.host("server").address(address).workers(3).start(serve);
    assert_eq!(server.address(), address);
    assert_eq!(server.io().metrics().workers.len(), 3);
    let clients = ["first", "second", "third"].map(|name| {
        world.host(name).workers(1).start(|io| async move {
            let stream = connect(&io).await;
            ask(&stream, b"question").await;
            (io.metrics().workers.len(), stream.peer_addr().unwrap().ip())
        })
    });
    for client in clients {
        assert_eq!(client.await.unwrap(), (1, address));
    }
}

#[volt::sim_test(seeds = 50)]
async fn a_host_returns_what_its_program_returns_and_outlives_its_handle(world: World) {
    drop(world.host("server").start(serve));
    let mut client = world.host("client").start(|io| async move {
        ask(&connect(&io).await, b"still there?").await;
        "yes"
    });
    assert_eq!((&mut client).await, Ok("yes"));
    // Its runtime is gone.
    let task = client.io().spawn(async {});
    assert!(task.await.unwrap_err().is_cancelled());
}

#[volt::sim_test(seeds = 50)]
async fn a_partition_stalls_a_connection_until_it_heals(world: World) {
    let _server = world.host("server").start(serve);
    let client = idle(&world, "client");
    let other = idle(&world, "other");
    let connecting = spawn(&client.io(), |io| async move {
        let stream = connect(&io).await;
        ask(&stream, b"before").await;
        stream
    });
    let stream = connecting.await.unwrap();

    world.partition(["server"], ["client"]);
    let asking = client.io().spawn(async move { ask(&stream, b"during").await });
    let elsewhere = spawn(&other.io(), |io| async move { ask(&connect(&io).await, b"hi").await });
    elsewhere.await.unwrap();
    world.sleep(milliseconds(30_000)).await;
    assert!(!asking.is_finished(), "the answer came through the partition");
    world.heal();
    asking.await.unwrap();
}

#[volt::sim_test(seeds = 50)]
async fn a_one_way_partition_lets_the_other_way_through(world: World) {
    let [(client, near), (server, far)] = pair(&world).await;
    world.partition_one_way(["server"], [String::from("Client")]);
    let asking = client.spawn(async move { ask(&near, b"who hears me?").await });
    let hearing = server.spawn(async move {
        let mut question = [0; 13];
        far.read_exact(&mut question).await.unwrap();
        (far, question)
    });
    let (far, question) = hearing.await.unwrap();
    assert_eq!(&question, b"who hears me?");

    let answering = server.spawn(async move {
        far.write_all(&question).await.unwrap();
        echo(far).await
    });
    world.sleep(milliseconds(30_000)).await;
    assert!(!asking.is_finished(), "the answer came through the partition");
    world.heal();
    asking.await.unwrap();
    answering.await.unwrap().unwrap();
}

#[volt::sim_test(seeds = 50)]
async fn the_latency_of_a_link_is_seen_in_virtual_time(world: World) {
    let [(client, near), (server, far)] = pair(&world).await;
    server.spawn(echo(far));
    let slow = Link { latency: milliseconds(800), jitter: Duration::ZERO, ..Link::default() };
    world.link("server", "client").set(slow);
    let before = world.now();
    client.spawn(async move { ask(&near, b"how far?").await }).await.unwrap();
    let took = world.now() - before;
    assert!(took >= milliseconds(1_600), "there and back in {took:?}");
}

#[volt::sim_test(seeds = 50)]
async fn hosts_without_a_link_of_their_own_have_the_default_one(world: World) {
    world.set_default_link(Link { latency: milliseconds(2_000), ..Link::default() });
    let before = world.now();
    pair(&world).await;
    let took = world.now() - before;
    assert!(took >= milliseconds(4_000), "connected in {took:?}");
}

#[volt::sim_test(seeds = 50)]
async fn held_packets_wait_until_they_are_released(world: World) {
    let _server = world.host("server").start(serve);
    let client = idle(&world, "client");
    world.hold("server", "client");
    let asking = spawn(&client.io(), |io| async move { ask(&connect(&io).await, b"late?").await });
    world.sleep(milliseconds(5_000)).await;
    assert!(!asking.is_finished(), "a packet went past the hold");
    world.release("client", "server");
    asking.await.unwrap();
}

#[volt::sim_test(seeds = 50)]
async fn a_panic_of_a_host_is_told_and_ends_no_other(world: World) {
    let server = world.host("server").start(serve);
    let broken: Host<()> = world.host("broken").start(|io| async move {
        io.spawn(yield_now()).await.unwrap();
        panic!("out of {}", "order");
    });
    assert_eq!(broken.await, Err(HostError::Panicked("out of order".to_owned())));
    let client = world.host("client").start(|io| async move {
        ask(&connect(&io).await, b"and you?").await;
    });
    client.await.unwrap();
    drop(server);
}

#[test]
fn a_panic_that_nobody_is_told_of_fails_the_run() {
    let report = Sim::builder().sweep(0..50).run(|world| async move {
        let _broken: Host<()> =
            world.host("broken").start(|_| async { panic!("nobody looks at me") });
        world.sleep(milliseconds(60_000)).await;
    });
    let failure = report.failure().expect("the panic is told");
    assert_eq!(failure.kind(), FailureKind::Panic);
    let message = failure.message();
    assert!(message.contains("nobody looks at me"), "{message}");
    assert!(message.contains("of host \"broken\" panicked at tests/hosts.rs:"), "{message}");
}

/// Runs a world that is misused; the panic has to say `what`, and where.
#[track_caller]
fn expect_refusal(misuse: fn(&World), what: &'static str) {
    let result = Sim::builder().build().run(move |world| async move {
        drop(idle(&world, "server"));
        misuse(&world);
    });
    let failure = result.expect_err(what);
    assert_eq!(failure.kind(), FailureKind::Panic, "{failure}");
    let message = failure.message();
    assert!(message.contains(what), "{message}");
    assert!(message.contains("panicked at tests/hosts.rs:"), "{message}");
}

#[test]
fn an_unknown_name_is_refused_with_the_names_there_are() {
    let refusal = "no host has the name \"clint\"; the hosts are \"world\", \"server\"";
    expect_refusal(|world| world.partition(["server"], ["clint"]), refusal);
    expect_refusal(|world| world.partition_one_way(["clint"], ["server"]), refusal);
    expect_refusal(|world| world.hold("server", "clint"), refusal);
    expect_refusal(|world| world.release("clint", "server"), refusal);
    expect_refusal(|world| drop(world.link("server", "clint")), refusal);
}

#[test]
fn names_and_addresses_that_cannot_be_are_refused() {
    let nameless = "cannot be the name of a host";
    expect_refusal(|world| drop(world.host("")), nameless);
    expect_refusal(|world| drop(world.host("10.0.0.1")), nameless);
    expect_refusal(|world| drop(world.host("server:80")), nameless);
    expect_refusal(|world| drop(world.host("the server")), nameless);
    let taken = "cannot be added: the name is taken";
    expect_refusal(|world| drop(idle(world, "server")), "\"server\" cannot be added");
    expect_refusal(|world| drop(idle(world, "Server")), taken);
    expect_refusal(|world| drop(idle(world, "world")), taken);
    expect_refusal(
        |world| {
            let builder = world.host("client").address("10.0.0.1".parse().unwrap());
            drop(builder.start(|_| pending::<()>()));
        },
        "host \"client\" cannot be added: two hosts with the address 10.0.0.1",
    );
    expect_refusal(
        |world| {
            let builder = world.host("client").address("127.0.0.1".parse().unwrap());
            drop(builder.start(|_| pending::<()>()));
        },
        "127.0.0.1 cannot be the address of a host",
    );
}

#[test]
fn links_that_cannot_be_are_refused() {
    expect_refusal(
        |world| world.set_default_link(Link { loss: 2.0, ..Link::default() }),
        "the loss of a link is 2, not in 0 to 1",
    );
    expect_refusal(
        |world| {
            let endless = Link { latency: Duration::MAX, ..Link::default() };
            world.link("world", "server").set(endless);
        },
        "the latency of a link is",
    );
}

#[test]
fn a_world_knows_its_seed() {
    let sim = Sim::builder().seed(7).strategy(Strategy::Random).build();
    let report = sim.run(|world| async move {
        let clone = world.clone();
        let host = world.host("a").start(|_| async move { clone.seed() });
        assert_eq!((world.seed(), host.await), (7, Ok(7)));
    });
    assert_eq!(report.unwrap_or_else(|failure| panic!("{failure}")).seed(), 7);
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = |seed| {
        let sim = Sim::builder().seed(seed).check_determinism(true).build();
        let report = sim.run(|world| async move {
            let lossy = Link { loss: 0.1, reorder: 0.1, duplicate: 0.1, ..Link::default() };
            world.set_default_link(lossy);
            let _server = world.host("server").workers(3).start(serve);
            let clients = ["first", "second"].map(|name| {
                world.host(name).start(|io| async move {
                    ask(&connect(&io).await, &[7; 5_000]).await;
                })
            });
            for client in clients {
                client.await.unwrap();
            }
        });
        let report = report.unwrap_or_else(|failure| panic!("{failure}"));
        (report.hash(), report.steps(), report.virtual_time())
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}
