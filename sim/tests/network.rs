//! The simulated network as programs meet it: sockets that do not block, driven by pollers, on
//! simulated threads of several hosts.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use volt_sim::net::{self, Event, Host, Interest, Link, Poller};
use volt_sim::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};
use volt_sim::thread::{self, Builder, JoinHandle};
use volt_sim::{Failure, FailureKind, Report, Sim, Strategy, clock};

const BOTH: Interest = Interest { readable: true, writable: true };
const PORT: u16 = 80;
const SEEDS: u64 = 50;

/// What both buffers of a connection hold, and then some.
const MORE_THAN_FITS: usize = 400_000;

fn sweep(f: impl Fn() + Send + Sync + 'static) -> Report {
    let report = Sim::builder().sweep(0..SEEDS).check(f);
    report.into_result().unwrap_or_else(|failure| panic!("{failure}"))
}

/// Every seed fails, and in the same way; the failure of the last.
fn sweep_of_failures(kind: FailureKind, f: impl Fn() + Send + Sync + 'static) -> Failure {
    let f = Arc::new(f);
    let fail = |seed| {
        let f = Arc::clone(&f);
        let result = Sim::builder().seed(seed).build().check(move || f());
        let failure = result.expect_err("every seed fails");
        assert_eq!(failure.kind(), kind, "{failure}");
        failure
    };
    (1..SEEDS).fold(fail(0), |_, seed| fail(seed))
}

/// Virtual time that has passed since `began`.
fn since(began: Instant) -> Duration {
    clock::now() - began
}

fn milliseconds(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn everywhere(port: u16) -> SocketAddr {
    SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port)
}

/// Repeats `call` when its poller has something to tell, until it does not block.
fn until_ready<R>(poller: &Poller, mut call: impl FnMut() -> io::Result<R>) -> io::Result<R> {
    let mut events = Vec::new();
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                poller.wait(&mut events, None)?;
            }
            result => return result,
        }
    }
}

/// A connection with a poller of its own.
struct Connection {
    stream: TcpStream,
    poller: Poller,
}

impl Connection {
    fn new(stream: TcpStream) -> Connection {
        let poller = Poller::new().unwrap();
        poller.register(&stream, 0, BOTH).unwrap();
        Connection { stream, poller }
    }

    fn connect(ip: IpAddr) -> io::Result<Connection> {
        let connection = Connection::new(TcpStream::connect(SocketAddr::new(ip, PORT))?);
        until_ready(&connection.poller, || match connection.stream.take_error()? {
            Some(error) => Err(error),
            None => connection.stream.peer_addr().map_err(|_| ErrorKind::WouldBlock.into()),
        })?;
        Ok(connection)
    }

    fn read(&self, most: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; most];
        let count = until_ready(&self.poller, || self.stream.read(&mut bytes))?;
        bytes.truncate(count);
        Ok(bytes)
    }

    fn read_to_end(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        loop {
            match self.read(10_000)? {
                read if read.is_empty() => return Ok(bytes),
                read => bytes.extend(read),
            }
        }
    }

    fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let count = until_ready(&self.poller, || self.stream.write(bytes))?;
            bytes = &bytes[count..];
        }
        Ok(())
    }

    fn echo(&self) -> io::Result<()> {
        loop {
            match self.read(1_000)? {
                read if read.is_empty() => return Ok(()),
                read => self.write_all(&read)?,
            }
        }
    }
}

fn listen() -> TcpListener {
    TcpListener::bind(everywhere(PORT)).unwrap()
}

fn accept(listener: &TcpListener) -> Connection {
    let poller = Poller::new().unwrap();
    poller.register(listener, 1, Interest { readable: true, writable: false }).unwrap();
    let (stream, _) = until_ready(&poller, || listener.accept()).unwrap();
    poller.deregister(listener).unwrap();
    Connection::new(stream)
}

/// A host that runs `f` with its first connection.
fn serve<T: Send + 'static>(
    name: &str,
    f: impl FnOnce(Connection) -> T + Send + 'static,
) -> (Host, JoinHandle<T>) {
    let host = net::add_host(name, None).unwrap();
    let ready = Arc::new(volt_sim::sync::Barrier::new(2));
    let listens = Arc::clone(&ready);
    let server = host.spawn(Builder::new().name(name.to_owned()), move || {
        let listener = listen();
        listens.wait();
        f(accept(&listener))
    });
    ready.wait();
    (host, server.unwrap())
}

/// A host that runs `f`.
fn run_on<T: Send + 'static>(
    name: &str,
    f: impl FnOnce() -> T + Send + 'static,
) -> (Host, JoinHandle<T>) {
    let host = net::add_host(name, None).unwrap();
    let client = host.spawn(Builder::new().name(name.to_owned()), f).unwrap();
    (host, client)
}

fn echo_between_two_hosts() {
    let (server, served) = serve("server", |connection| connection.echo());
    let (_, client) = run_on("client", move || {
        let connection = Connection::connect(server.address()).unwrap();
        for round in 0..5_u8 {
            connection.write_all(&[round; 3_000]).unwrap();
            let mut left = 3_000;
            while left > 0 {
                let read = connection.read(left).unwrap();
                assert!(!read.is_empty() && read.iter().all(|byte| *byte == round));
                left -= read.len();
            }
        }
    });
    client.join().unwrap();
    served.join().unwrap().unwrap();
    assert_eq!((net::open_sockets(), net::open_pollers()), (0, 0));
}

#[test]
fn bytes_come_back_from_an_echo() {
    let report = sweep(echo_between_two_hosts);
    assert!(report.virtual_time() > milliseconds(1), "no packet took time: {report:?}");
}

#[test]
fn a_whole_machine_has_the_same_sockets() {
    let report = Sim::builder().sweep(0..SEEDS).machine(echo_between_two_hosts);
    report.into_result().unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn a_seed_is_one_run_and_seeds_differ() {
    let hash = |seed| {
        let result = Sim::builder().seed(seed).build().check(echo_between_two_hosts);
        result.unwrap_or_else(|failure| panic!("{failure}")).hash()
    };
    let hashes: Vec<u64> = (0..SEEDS).map(hash).collect();
    assert_eq!(hashes, (0..SEEDS).map(hash).collect::<Vec<u64>>());
    let mut distinct = hashes.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert!(distinct.len() > hashes.len() / 2, "{} of {} differ", distinct.len(), hashes.len());
    let twice = Sim::builder().check_determinism(true).sweep(0..SEEDS);
    twice.check(echo_between_two_hosts).into_result().unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn the_bytes_that_arrive_are_part_of_the_hash() {
    let hash = |byte: u8| {
        let sim = Sim::builder().strategy(Strategy::Random).seed(3).build();
        let result = sim.check(move || {
            let (server, served) = serve("server", |connection| connection.read_to_end());
            let client = Connection::connect(server.address()).unwrap();
            client.write_all(&[byte; 100]).unwrap();
            drop(client);
            assert_eq!(served.join().unwrap().unwrap(), [byte; 100]);
        });
        result.unwrap_or_else(|failure| panic!("{failure}")).hash()
    };
    assert_eq!(hash(1), hash(1));
    assert_ne!(hash(1), hash(2));
}

#[test]
fn a_round_trip_takes_the_latency_both_ways() {
    sweep(|| {
        let (server, served) = serve("server", |connection| connection.echo());
        let link = Link { latency: milliseconds(50), jitter: milliseconds(10), ..Link::default() };
        net::set_link(&server, &Host::current(), link);
        let began = clock::now();
        let client = Connection::connect(server.address()).unwrap();
        let connected = clock::now();
        client.write_all(b"ping").unwrap();
        assert_eq!(client.read(8).unwrap(), b"ping");
        let round_trip = milliseconds(100)..milliseconds(130);
        assert!(round_trip.contains(&(connected - began)), "{:?}", connected - began);
        assert!(round_trip.contains(&since(connected)));
        drop(client);
        served.join().unwrap().unwrap();
    });
}

#[test]
fn a_partition_delays_bytes_until_it_heals() {
    sweep(|| {
        let (server, served) = serve("server", |connection| connection.read_to_end());
        let (us, them) = ([Host::current()], [server.clone()]);
        let client = Connection::connect(server.address()).unwrap();
        client.write_all(b"before, ").unwrap();
        thread::sleep(milliseconds(10));
        net::partition(&us, &them);
        client.write_all(b"during").unwrap();
        client.stream.shutdown(Shutdown::Write).unwrap();
        let began = clock::now();
        let mut events = Vec::new();
        while since(began) < milliseconds(5_000) {
            client.poller.wait(&mut events, Some(milliseconds(1_000))).unwrap();
        }
        assert!(!served.is_finished());
        net::heal();
        assert_eq!(served.join().unwrap().unwrap(), b"before, during");
    });
}

#[test]
fn a_one_way_partition_lets_bytes_through_the_other_way() {
    sweep(|| {
        let (server, served) = serve("server", |connection| {
            connection.write_all(b"you cannot answer").unwrap();
            connection.read(8)
        });
        let client = Connection::connect(server.address()).unwrap();
        assert_eq!(client.read(3).unwrap(), b"you");
        net::partition_one_way(&[Host::current()], &[server]);
        let began = clock::now();
        client.write_all(b"oh").unwrap();
        assert_eq!(client.read(64).unwrap(), b" cannot answer");
        thread::sleep(milliseconds(2_000));
        assert!(!served.is_finished());
        net::heal();
        assert_eq!(served.join().unwrap().unwrap(), b"oh");
        assert!(since(began) > milliseconds(2_000));
    });
}

#[test]
fn silence_ends_in_a_time_out() {
    sweep(|| {
        let (server, served) = serve("server", |connection| {
            connection.write_all(b"hello").unwrap();
            thread::sleep(milliseconds(1_000));
            connection.write_all(b"still there?").unwrap();
            connection.read(1).map_err(|error| error.kind())
        });
        let client = Connection::connect(server.address()).unwrap();
        assert_eq!(client.read(8).unwrap(), b"hello");
        net::partition(&[Host::current()], &[server]);
        let began = clock::now();
        client.write_all(b"anybody?").unwrap();
        assert_eq!(client.read(1).unwrap_err().kind(), ErrorKind::TimedOut);
        assert!(since(began) >= Duration::from_secs(900));
        assert_eq!(served.join().unwrap(), Err(ErrorKind::TimedOut));
    });
}

#[test]
fn nobody_listens() {
    sweep(|| {
        let host = net::add_host("server", None).unwrap();
        let refused = |ip| Connection::connect(ip).err().map(|error| error.kind());
        assert_eq!(refused(host.address()), Some(ErrorKind::ConnectionRefused));
        let began = clock::now();
        assert_eq!(refused([10, 9, 9, 9].into()), Some(ErrorKind::HostUnreachable));
        assert!(since(began) >= milliseconds(3_000));
        let ipv6 = TcpStream::connect("[2001:db8::1]:80".parse().unwrap());
        assert_eq!(ipv6.unwrap_err().kind(), ErrorKind::NetworkUnreachable);
        assert_eq!((net::open_sockets(), net::open_pollers()), (0, 0));
    });
}

#[test]
fn one_direction_ends_and_the_other_goes_on() {
    sweep(|| {
        let (server, served) = serve("server", |connection| {
            let request = connection.read_to_end().unwrap();
            connection.write_all(&request).unwrap();
            connection.write_all(b" was the request").unwrap();
        });
        let client = Connection::connect(server.address()).unwrap();
        client.write_all(b"this").unwrap();
        client.stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(client.stream.write(b"more").unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert_eq!(client.read_to_end().unwrap(), b"this was the request");
        served.join().unwrap();
    });
}

#[test]
fn a_linger_of_zero_resets_the_peer() {
    sweep(|| {
        let (server, served) = serve("server", |connection| {
            connection.stream.set_linger(Some(Duration::ZERO)).unwrap();
            assert_eq!(connection.stream.linger().unwrap(), Some(Duration::ZERO));
        });
        let client = Connection::connect(server.address()).unwrap();
        let mut events = Vec::<Event>::new();
        while !events.iter().any(|event| event.error) {
            client.poller.wait(&mut events, None).unwrap();
        }
        assert!(events.iter().all(|event| event.read_closed && event.write_closed));
        assert_eq!(client.read(1).unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(client.stream.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
        served.join().unwrap();
    });
}

#[test]
fn a_writer_waits_for_a_slow_reader() {
    sweep(|| {
        let (server, served) = serve("server", |connection| {
            thread::sleep(milliseconds(1_000));
            let mut total = 0;
            loop {
                match connection.read(50_000).unwrap().len() {
                    0 => return total,
                    count => total += count,
                }
                thread::sleep(milliseconds(10));
            }
        });
        let client = Connection::connect(server.address()).unwrap();
        let began = clock::now();
        client.write_all(&vec![7; MORE_THAN_FITS]).unwrap();
        assert!(since(began) > milliseconds(900), "nothing held the writer back");
        drop(client);
        assert_eq!(served.join().unwrap(), MORE_THAN_FITS);
    });
}

#[test]
fn bad_links_lose_no_bytes() {
    sweep(|| {
        let (server, served) = serve("server", |connection| connection.read_to_end());
        let bad = Link { loss: 0.05, duplicate: 0.05, reorder: 0.2, ..Link::default() };
        net::set_link(&Host::current(), &server, bad);
        let bytes: Vec<u8> = (0..60_000_u32).map(|index| (index % 251) as u8).collect();
        let client = Connection::connect(server.address()).unwrap();
        client.write_all(&bytes).unwrap();
        drop(client);
        assert!(served.join().unwrap().unwrap() == bytes, "what arrived differs");
    });
}

#[test]
fn held_packets_wait_for_their_release() {
    sweep(|| {
        let (server, served) = serve("server", |connection| connection.read_to_end());
        let us = Host::current();
        let client = Connection::connect(server.address()).unwrap();
        net::hold(&us, &server);
        client.write_all(b"late").unwrap();
        drop(client);
        thread::sleep(milliseconds(1_000));
        assert!(!served.is_finished());
        net::release(&us, &server);
        assert_eq!(served.join().unwrap().unwrap(), b"late");
    });
}

#[test]
fn hosts_have_names_and_addresses_of_their_own() {
    sweep(|| {
        let fixed = net::add_host("fixed", Some([10, 0, 0, 1].into())).unwrap();
        let next = net::add_host("next", None).unwrap();
        assert_eq!(next.address(), IpAddr::from([10, 0, 0, 2]));
        assert_eq!(net::resolve("fixed").unwrap(), [fixed.address()]);
        assert_eq!(net::resolve("localhost").unwrap(), [IpAddr::from([127, 0, 0, 1])]);
        assert_eq!(net::resolve("::1").unwrap(), ["::1".parse::<IpAddr>().unwrap()]);
        assert_eq!(net::resolve("world").unwrap(), [Host::current().address()]);
        assert_eq!(net::resolve("nobody").unwrap_err().kind(), ErrorKind::NotFound);
        let taken = net::add_host("fixed", None).unwrap_err();
        assert_eq!(taken.kind(), ErrorKind::AlreadyExists);

        // Threads are on the host of their spawner, and two hosts may use the same port.
        let ours = listen();
        let inherited = next.spawn(Builder::new(), || {
            let theirs = thread::spawn(|| (Host::current().name().to_owned(), listen()));
            let (name, listener) = theirs.join().unwrap();
            assert_eq!(name, "next");
            assert_eq!(Host::current().leftovers(), ["listener 0.0.0.0:80"]);
            let foreign = TcpListener::bind(SocketAddr::new([10, 0, 0, 1].into(), PORT));
            assert_eq!(foreign.unwrap_err().kind(), ErrorKind::AddrNotAvailable);
            drop(listener);
        });
        inherited.unwrap().join().unwrap();
        let again = TcpListener::bind(everywhere(PORT));
        assert_eq!(again.unwrap_err().kind(), ErrorKind::AddrInUse);
        drop(ours);
        assert_eq!(net::open_sockets(), 0);
    });
}

#[test]
fn loopback_stays_on_its_host() {
    sweep(|| {
        let (_, other) = run_on("other", || Connection::connect(Ipv4Addr::LOCALHOST.into()).err());
        let listener = listen();
        assert_eq!(
            other.join().unwrap().map(|error| error.kind()),
            Some(ErrorKind::ConnectionRefused)
        );
        let client = thread::spawn(|| {
            Connection::connect(Ipv4Addr::LOCALHOST.into()).unwrap().write_all(b"hello").unwrap();
        });
        assert_eq!(accept(&listener).read_to_end().unwrap(), b"hello");
        client.join().unwrap();
    });
}

#[test]
fn options_are_kept() {
    sweep(|| {
        let listener = listen();
        let client = Connection::connect(Ipv4Addr::LOCALHOST.into()).unwrap().stream;
        assert!(!client.nodelay().unwrap());
        client.set_nodelay(true).unwrap();
        assert!(client.nodelay().unwrap());
        assert_eq!(client.ttl().unwrap(), 64);
        client.set_ttl(3).unwrap();
        assert_eq!(client.ttl().unwrap(), 3);
        assert_eq!(client.set_ttl(256).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(client.linger().unwrap(), None);
        assert_eq!(listener.local_addr().unwrap(), everywhere(PORT));
    });
}

#[test]
fn a_datagram_is_answered_by_another_host_once_somebody_receives_there() {
    sweep(|| {
        let (server, served) = run_on("server", || {
            let socket = UdpSocket::bind(everywhere(PORT)).unwrap();
            let poller = Poller::new().unwrap();
            poller.register(&socket, 0, BOTH).unwrap();
            let mut bytes = [0; 16];
            let (count, source) = until_ready(&poller, || socket.recv_from(&mut bytes)).unwrap();
            socket.send_to(&bytes[..count], source).unwrap();
            assert_eq!(Host::current().leftovers()[0], "UDP socket 0.0.0.0:80");
        });
        let socket = UdpSocket::bind(everywhere(0)).unwrap();
        socket.connect(SocketAddr::new(server.address(), PORT)).unwrap();
        let poller = Poller::new().unwrap();
        poller.register(&socket, 0, BOTH).unwrap();
        let mut bytes = [0; 16];
        let count = loop {
            socket.send(b"hello").unwrap();
            match until_ready(&poller, || socket.recv(&mut bytes)) {
                Ok(count) => break count,
                Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionRefused),
            }
        };
        assert_eq!(&bytes[..count], b"hello");
        served.join().unwrap();
    });
}

#[test]
fn another_thread_wakes_a_poller() {
    sweep(|| {
        let poller = Arc::new(Poller::new().unwrap());
        let waker = Arc::clone(&poller);
        let thread = thread::spawn(move || {
            thread::sleep(milliseconds(20));
            waker.wake(usize::MAX);
        });
        let mut events = Vec::new();
        while events.is_empty() {
            poller.wait(&mut events, None).unwrap();
        }
        let woken = Event { token: usize::MAX, readable: true, ..Event::default() };
        assert_eq!(events, [woken]);
        thread.join().unwrap();
        poller.wait(&mut events, Some(Duration::ZERO)).unwrap();
        assert!(events.is_empty(), "it is told once");
    });
}

#[test]
fn a_wait_ends_with_its_time() {
    let report = sweep(|| {
        let poller = Poller::new().unwrap();
        let mut events = vec![Event::default()];
        let began = clock::now();
        while since(began) < milliseconds(3_600_000) {
            poller.wait(&mut events, Some(milliseconds(3_600_000))).unwrap();
            assert!(events.is_empty());
        }
    });
    assert!(report.steps() < 1_000, "an idle hour is a few steps: {report:?}");
}

#[test]
fn two_sides_that_wait_for_each_other_are_a_deadlock() {
    let failure = sweep_of_failures(FailureKind::Deadlock, || {
        let (server, served) = serve("server", |connection| connection.read(1).is_ok());
        let (_, client) = run_on("client", move || {
            Connection::connect(server.address()).unwrap().read(1).is_ok()
        });
        client.join().unwrap();
        served.join().unwrap();
    });
    let report = failure.to_string();
    for line in [
        r#""server" of host "server" waits in poller"#,
        r#""client" of host "client" waits in poller"#,
        "(connection 10.0.0.2:49152 to 10.0.0.1:80, established)",
    ] {
        assert!(report.contains(line), "no {line:?} in {report}");
    }
}

#[test]
fn a_writer_whose_peer_never_reads_is_a_deadlock() {
    // Its window is asked for for ever: packets are on their way all the time.
    let failure = sweep_of_failures(FailureKind::Deadlock, || {
        let (server, served) = serve("server", |connection| {
            let other = Poller::new().unwrap();
            until_ready(&other, || -> io::Result<()> { Err(ErrorKind::WouldBlock.into()) })?;
            connection.read(1)
        });
        let client = Connection::connect(server.address()).unwrap();
        let _written = client.write_all(&vec![7; MORE_THAN_FITS]);
        let _read = served.join().unwrap();
    });
    assert!(failure.message().contains("the network still has"), "{failure}");
    assert!(failure.report().virtual_time() < Duration::from_secs(3_600), "{failure}");
}

#[test]
fn what_outlives_its_run_is_refused_by_name() {
    type Kept = (TcpListener, Poller, Host);
    let refused = |uses: fn(&Kept)| {
        let kept: Arc<Mutex<Option<Kept>>> = Arc::default();
        let report = Sim::builder().strategy(Strategy::Random).sweep(0..2).check(move || {
            let before = kept.lock().unwrap().take();
            match before {
                Some(before) => uses(&before),
                None => {
                    let made = (listen(), Poller::new().unwrap(), Host::current());
                    *kept.lock().unwrap() = Some(made);
                }
            }
        });
        assert_eq!(report.runs(), 2);
        let failure = report.failure().expect("the second run is refused").clone();
        assert_eq!(failure.kind(), FailureKind::Nondeterminism);
        assert!(failure.message().contains("tests/network.rs"), "{failure}");
        failure.message().to_owned()
    };
    let message = refused(|kept| drop(kept.0.accept()));
    assert!(message.starts_with("TcpListener 1 of another world"), "{message}");
    let message = refused(|kept| kept.1.wake(1));
    assert!(message.starts_with("Poller 1 of another world"), "{message}");
    let message = refused(|kept| net::hold(&kept.2, &Host::current()));
    assert!(message.starts_with("Host 0 of another world"), "{message}");
    // Dropping it does nothing.
    let kept: Arc<Mutex<Option<Kept>>> = Arc::default();
    let report = Sim::builder().strategy(Strategy::Random).sweep(0..2).check(move || {
        drop(kept.lock().unwrap().take());
        let made = (listen(), Poller::new().unwrap(), Host::current());
        assert_eq!((net::open_sockets(), net::open_pollers()), (1, 1));
        *kept.lock().unwrap() = Some(made);
    });
    report.into_result().unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn an_ordinary_thread_is_answered_an_error() {
    fn unsupported<T>(result: io::Result<T>) -> bool {
        result.is_err_and(|error| error.kind() == ErrorKind::Unsupported)
    }
    assert!(unsupported(TcpListener::bind(everywhere(PORT))));
    assert!(unsupported(TcpStream::connect(everywhere(PORT))));
    assert!(unsupported(UdpSocket::bind(everywhere(PORT))));
    assert!(unsupported(TcpSocket::new(false)));
    assert!(unsupported(Poller::new()));
    assert!(unsupported(net::resolve("localhost")));
    assert!(unsupported(net::add_host("host", None)));
    assert_eq!((net::open_sockets(), net::open_pollers()), (0, 0));

    let kept: Arc<Mutex<Option<(TcpStream, Poller)>>> = Arc::default();
    let keeps = Arc::clone(&kept);
    let report = Sim::builder().build().check(move || {
        let stream = TcpStream::connect(everywhere(PORT)).unwrap();
        *keeps.lock().unwrap() = Some((stream, Poller::new().unwrap()));
    });
    report.unwrap_or_else(|failure| panic!("{failure}"));
    let (stream, poller) = kept.lock().unwrap().take().expect("the run has left them");
    assert!(unsupported(stream.read(&mut [0])) && unsupported(stream.write(b"x")));
    assert!(unsupported(poller.wait(&mut Vec::new(), None)));
    drop((stream, poller));
}
