//! Datagrams between simulated hosts: links lose, double and reorder them, partitions swallow
//! them, and a protocol that copes with all of that gets through.

#![cfg(all(feature = "sim", feature = "macros", not(any(volt_loom, volt_shuttle))))]

use std::future::{Future, pending};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use volt::Io;
use volt::net::{UdpSocket, lookup_host};
use volt::sim::{Host, Link, World};
use volt::task::JoinHandle;
use volt::time::{sleep, timeout};

const COUNT: u8 = 100;
/// Longer than any datagram of these tests is on its way.
const SILENCE: Duration = Duration::from_millis(500);

fn milliseconds(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// A host without a program of its own, on which tests spawn tasks.
fn idle(world: &World, name: &str) -> Host<()> {
    world.host(name).start(|_| pending())
}

/// Spawns a task that has the handle too.
fn spawn<F>(io: &Io, f: impl FnOnce(Io) -> F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    io.spawn(f(io.clone()))
}

/// A host with a socket on port 53.
async fn end(world: &World, name: &str) -> (Io, UdpSocket, SocketAddr) {
    let host = idle(world, name);
    let io = host.io();
    let binding = spawn(&io, |io| async move { UdpSocket::bind(&io, "0.0.0.0:53").await });
    (io, binding.await.unwrap().unwrap(), SocketAddr::new(host.address(), 53))
}

/// The hosts `client` and `server`.
async fn pair(world: &World) -> [(Io, UdpSocket, SocketAddr); 2] {
    [end(world, "client").await, end(world, "server").await]
}

/// Sends the datagrams 0 to 99 from client to server, one each millisecond, and gives those that
/// arrive, in order of arrival.
async fn a_hundred_over(world: &World, link: Link) -> Vec<u8> {
    let [(client, sender, _), (server, receiver, target)] = pair(world).await;
    world.link("client", "server").set(link);
    let sending = spawn(&client, |io| async move {
        for number in 0..COUNT {
            sender.send_to(&[number], target).await.unwrap();
            sleep(&io, milliseconds(1)).await;
        }
    });
    let all_sent = Arc::new(AtomicBool::new(false));
    let is_all_sent = Arc::clone(&all_sent);
    let receiving = spawn(&server, |io| async move {
        let mut numbers = Vec::new();
        let mut byte = [0];
        loop {
            // Silence is the end only if the sender has not just been kept from its turn.
            let was_all_sent = is_all_sent.load(Ordering::SeqCst);
            match timeout(&io, SILENCE, receiver.recv(&mut byte)).await {
                Ok(count) => {
                    assert_eq!(count.unwrap(), 1);
                    numbers.push(byte[0]);
                }
                Err(_) if was_all_sent => return numbers,
                Err(_) => {}
            }
        }
    });
    sending.await.unwrap();
    all_sent.store(true, Ordering::SeqCst);
    receiving.await.unwrap()
}

/// Without what came twice, in order of number.
fn distinct(mut numbers: Vec<u8>) -> Vec<u8> {
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

#[volt::sim_test(seeds = 50)]
async fn a_good_link_delivers_each_datagram_once_and_in_order(world: World) {
    let arrived = a_hundred_over(&world, Link::default()).await;
    assert_eq!(arrived, (0..COUNT).collect::<Vec<u8>>());
}

#[volt::sim_test(seeds = 50)]
async fn a_lossy_link_loses_some(world: World) {
    let arrived = a_hundred_over(&world, Link { loss: 0.5, ..Link::default() }).await;
    assert!((10..90).contains(&arrived.len()), "{} of {COUNT} arrived", arrived.len());
    assert!(arrived.is_sorted());
    assert_eq!(distinct(arrived.clone()), arrived);
}

#[volt::sim_test(seeds = 50)]
async fn a_link_may_deliver_twice(world: World) {
    let arrived = a_hundred_over(&world, Link { duplicate: 1.0, ..Link::default() }).await;
    assert_eq!(arrived.len(), 2 * usize::from(COUNT));
    assert_eq!(distinct(arrived), (0..COUNT).collect::<Vec<u8>>());
}

#[volt::sim_test(seeds = 50)]
async fn a_link_may_reorder(world: World) {
    let link = Link { latency: milliseconds(20), reorder: 0.5, ..Link::default() };
    let arrived = a_hundred_over(&world, link).await;
    assert!(!arrived.is_sorted());
    assert_eq!(arrived.len(), usize::from(COUNT));
    assert_eq!(distinct(arrived), (0..COUNT).collect::<Vec<u8>>());
}

#[volt::sim_test(seeds = 50)]
async fn a_partition_swallows_what_is_sent(world: World) {
    let [(client, sender, _), (server, receiver, target)] = pair(&world).await;
    world.partition(["client"], ["server"]);
    let sending = client.spawn(async move {
        sender.send_to(b"during", target).await.unwrap();
        sender
    });
    let sender = sending.await.unwrap();
    world.sleep(milliseconds(1_000)).await;
    world.heal();
    client.spawn(async move { sender.send_to(b"after", target).await.unwrap() }).await.unwrap();
    let receiving = server.spawn(async move {
        let mut buffer = [0; 16];
        let (count, source) = receiver.recv_from(&mut buffer).await.unwrap();
        (buffer[..count].to_vec(), source.port())
    });
    assert_eq!(receiving.await.unwrap(), (b"after".to_vec(), 53));
}

#[volt::sim_test(seeds = 50)]
async fn a_refusal_crosses_the_network_unless_it_is_cut(world: World) {
    let [(client, socket, _), (_, _receiver, target)] = pair(&world).await;
    let closed = SocketAddr::new(target.ip(), 54);
    let asking = client.spawn(async move {
        socket.connect(closed).await.unwrap();
        socket.send(b"anybody?").await.unwrap();
        let error = socket.recv(&mut [0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        socket
    });
    let socket = asking.await.unwrap();
    world.partition_one_way(["server"], ["client"]);
    let asking = spawn(&client, |io| async move {
        socket.send(b"anybody?").await.unwrap();
        timeout(&io, SILENCE, socket.recv(&mut [0; 8])).await.is_err()
    });
    assert!(asking.await.unwrap(), "the refusal came through the partition");
}

#[volt::sim_test(seeds = 50)]
async fn a_question_is_asked_until_it_is_answered(world: World) {
    let bad = Link { loss: 0.3, duplicate: 0.3, reorder: 0.3, ..Link::default() };
    world.set_default_link(bad);
    let _server = world.host("server").start(|io| async move {
        let socket = UdpSocket::bind(&io, "0.0.0.0:53").await.unwrap();
        let mut buffer = [0; 16];
        loop {
            let (count, source) = socket.recv_from(&mut buffer).await.unwrap();
            socket.send_to(&buffer[..count], source).await.unwrap();
        }
    });
    let client = world.host("client").start(|io| async move {
        let socket = UdpSocket::bind(&io, "0.0.0.0:0").await.unwrap();
        // By its name; the server may not have begun.
        let address = lookup_host(&io, "server:53").await.unwrap()[0];
        socket.connect(address).await.unwrap();
        for number in 0..10_u8 {
            let mut answer = [0];
            loop {
                // An earlier question may have been refused.
                let _ = socket.send(&[number]).await;
                let received = timeout(&io, milliseconds(20), socket.recv(&mut answer)).await;
                if matches!(received, Ok(Ok(1))) && answer[0] == number {
                    break;
                }
            }
        }
    });
    client.await.unwrap();
}

#[volt::sim_test(seeds = 50)]
async fn ports_are_free_again_and_many_sockets_leave_nothing(world: World) {
    let host = idle(&world, "host");
    let binding = spawn(&host.io(), |io| async move {
        for _ in 0..3 {
            let mut sockets = Vec::new();
            for port in 1_000..1_030_u16 {
                let socket = UdpSocket::bind(&io, (Ipv4Addr::UNSPECIFIED, port)).await.unwrap();
                sockets.push(socket);
            }
            let taken = UdpSocket::bind(&io, (Ipv4Addr::LOCALHOST, 1_000)).await.unwrap_err();
            assert_eq!(taken.kind(), ErrorKind::AddrInUse);
        }
    });
    binding.await.unwrap();
}

#[volt::sim_test(seeds = 20)]
async fn what_the_simulated_network_lacks_is_said(world: World) {
    let [(client, socket, _), _server] = pair(&world).await;
    let trying = client.spawn(async move {
        let group = Ipv4Addr::new(239, 1, 2, 3);
        let everybody = SocketAddr::from((Ipv4Addr::BROADCAST, 53));
        let denied = socket.send_to(b"x", everybody).await.unwrap_err();
        assert_eq!(denied.kind(), ErrorKind::PermissionDenied);
        socket.set_broadcast(true).unwrap();
        for error in [
            socket.join_multicast_v4(group, Ipv4Addr::UNSPECIFIED).unwrap_err(),
            socket.send_to(b"x", everybody).await.unwrap_err(),
            socket.send_to(b"x", (group, 53).into()).await.unwrap_err(),
            socket.into_std().unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        }
    });
    trying.await.unwrap();
}
