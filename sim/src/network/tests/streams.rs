//! Connections that go as they should, over good links and bad ones.

use std::net::Shutdown;
use std::time::Duration;

use super::super::Link;
use super::super::address::FIRST_EPHEMERAL;
use super::super::receive::RECEIVE_BUFFER;
use super::super::send::SEND_BUFFER;
use super::*;

/// Byte number `index` of a transfer.
fn pattern(index: usize) -> u8 {
    (index.wrapping_mul(31) ^ (index >> 8)) as u8
}

fn bad_link() -> Link {
    Link { loss: 50_000, duplicate: 50_000, reorder: 200_000, ..Link::default() }
}

#[test]
fn a_handshake_connects_both_ends() {
    let mut lab = Lab::new(1);
    let listener = lab.listen(lab.b, "0.0.0.0:80");
    assert_eq!(refused(lab.net.accept(listener)), ErrorKind::WouldBlock);
    let client = lab.connect(lab.a, "10.0.0.2:80");
    assert_eq!(refused(lab.net.peer_addr(client)), ErrorKind::NotConnected);
    assert_eq!(refused(lab.write(client, b"early")), ErrorKind::WouldBlock);
    assert_eq!(refused(lab.read(client, 1)), ErrorKind::WouldBlock);
    lab.run_for(10 * MILLISECOND);
    let (server, peer) = lab.net.accept(listener).unwrap();
    let local = lab.net.local_addr(client).unwrap();
    assert_eq!(local, SocketAddr::new("10.0.0.1".parse().unwrap(), FIRST_EPHEMERAL));
    assert_eq!(peer, local);
    assert_eq!(lab.net.peer_addr(server).unwrap(), local);
    assert_eq!(lab.net.peer_addr(client).unwrap(), socket_address("10.0.0.2:80"));
    assert_eq!(lab.net.local_addr(server).unwrap(), socket_address("10.0.0.2:80"));
}

#[test]
fn an_echo_comes_back() {
    let mut lab = Lab::new(2);
    let (client, server) = lab.connected();
    assert_eq!(lab.write(client, b"hello").unwrap(), 5);
    lab.run_for(10 * MILLISECOND);
    let mut peeked = [0; 3];
    assert_eq!(lab.net.peek(server, &mut peeked).unwrap(), 3);
    assert_eq!(&peeked, b"hel");
    let heard = lab.read(server, 64).unwrap();
    assert_eq!(heard, b"hello");
    lab.write(server, &heard).unwrap();
    lab.run_for(10 * MILLISECOND);
    assert_eq!(lab.read(client, 64).unwrap(), b"hello");
    assert_eq!(refused(lab.read(client, 64)), ErrorKind::WouldBlock);
}

#[test]
fn each_direction_ends_by_itself() {
    let mut lab = Lab::new(3);
    let (client, server) = lab.connected();
    lab.write(client, b"request").unwrap();
    lab.net.shutdown(client, Shutdown::Write, &mut lab.s).unwrap();
    assert_eq!(refused(lab.write(client, b"more")), ErrorKind::BrokenPipe);
    lab.run_for(10 * MILLISECOND);
    assert_eq!(lab.read(server, 64).unwrap(), b"request");
    assert_eq!(lab.read(server, 64).unwrap(), b"");
    lab.write(server, b"reply").unwrap();
    lab.close(server);
    lab.run_for(10 * MILLISECOND);
    assert_eq!(lab.read(client, 64).unwrap(), b"reply");
    assert_eq!(lab.read(client, 64).unwrap(), b"");
    lab.close(client);
    lab.run();
    assert!(lab.net.leftovers(lab.a).is_empty() && lab.net.leftovers(lab.b).is_empty());
}

/// Sends `total` bytes from one end of a connection to the other, which reads at a pace of its
/// own, until the end has arrived.
fn transfer(lab: &mut Lab, client: SocketId, server: SocketId, total: usize) {
    let bytes: Vec<u8> = (0..total).map(pattern).collect();
    let mut sent = 0;
    let mut received = Vec::new();
    loop {
        if sent < total {
            match lab.write(client, &bytes[sent..]) {
                Ok(count) => sent += count,
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
            if sent == total {
                lab.net.shutdown(client, Shutdown::Write, &mut lab.s).unwrap();
            }
        }
        let most = 1 + lab.s.choose(3_000) as usize;
        let read = match lab.read(server, most) {
            Ok(read) if read.is_empty() => break,
            Ok(read) => read,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                Vec::new()
            }
        };
        received.extend_from_slice(&read);
        assert!(lab.step() || !read.is_empty(), "nothing is on its way");
    }
    assert!(received == bytes, "what arrived differs from what was sent");
}

#[test]
fn every_byte_arrives_once_and_in_order_over_bad_links() {
    for seed in 0..40 {
        let mut lab = Lab::new(seed);
        lab.net.set_link(lab.a, lab.b, bad_link());
        let (client, server) = lab.connected();
        transfer(&mut lab, client, server, 300_000);
    }
}

#[test]
fn every_byte_arrives_over_a_slow_link() {
    for seed in 0..5 {
        let mut lab = Lab::new(seed);
        let slow = Link { bandwidth: Some(20_000), ..Link::default() };
        lab.net.set_link(lab.a, lab.b, slow);
        let (client, server) = lab.connected();
        let began = lab.s.now;
        transfer(&mut lab, client, server, 200_000);
        assert!(lab.s.now - began >= 10 * SECOND, "faster than the link");
    }
}

#[test]
fn a_writer_stops_when_both_buffers_are_full() {
    let mut lab = Lab::new(5);
    let (client, server) = lab.connected();
    let mut written = 0;
    loop {
        match lab.write(client, &[7; 10_000]) {
            Ok(count) => written += count,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                break;
            }
        }
        lab.run_for(SECOND);
    }
    assert_eq!(written, SEND_BUFFER + RECEIVE_BUFFER);
    assert_eq!(lab.read(server, RECEIVE_BUFFER).unwrap().len(), RECEIVE_BUFFER);
    lab.run_for(SECOND);
    assert_eq!(lab.read(server, RECEIVE_BUFFER).unwrap().len(), SEND_BUFFER);
    assert_eq!(lab.write(client, &[7; 10_000]).unwrap(), 10_000);
}

#[test]
fn small_writes_are_gathered_unless_nodelay_is_set() {
    let packets = |nodelay| {
        let mut lab = Lab::new(6);
        let (client, _server) = lab.connected();
        lab.net.set_nodelay(client, nodelay, &mut lab.s).unwrap();
        assert_eq!(lab.net.nodelay(client).unwrap(), nodelay);
        let before = lab.s.deliveries;
        for _ in 0..20 {
            lab.write(client, b"x").unwrap();
        }
        lab.run_for(10 * MILLISECOND);
        lab.s.deliveries - before
    };
    assert!(packets(true) >= 40, "a segment and an acknowledgement each");
    assert!(packets(false) <= 10);
}

#[test]
fn a_host_reaches_itself_without_decisions() {
    for address in ["127.0.0.1:80", "0.0.0.0:80", "10.0.0.1:80"] {
        let mut lab = Lab::new(7);
        let listener = lab.listen(lab.a, "0.0.0.0:80");
        let client = lab.connect(lab.a, address);
        lab.run_for(MILLISECOND);
        let (server, _) = lab.net.accept(listener).unwrap();
        lab.write(client, b"near").unwrap();
        lab.run_for(MILLISECOND);
        assert_eq!(lab.read(server, 8).unwrap(), b"near");
        assert_eq!(lab.s.decisions, 0);
    }
}

#[test]
fn a_listener_on_loopback_is_out_of_reach_of_others() {
    let mut lab = Lab::new(8);
    lab.listen(lab.b, "127.0.0.1:80");
    let client = lab.connect(lab.a, "10.0.0.2:80");
    lab.run_for(10 * MILLISECOND);
    assert_eq!(lab.error(client), Some(ErrorKind::ConnectionRefused));
}

#[test]
fn an_ipv6_wildcard_serves_ipv4() {
    let mut lab = Lab::new(9);
    let listener = lab.listen(lab.b, "[::]:80");
    let client = lab.connect(lab.a, "[::ffff:10.0.0.2]:80");
    lab.run_for(10 * MILLISECOND);
    let (server, peer) = lab.net.accept(listener).unwrap();
    assert_eq!(peer.ip(), "::ffff:10.0.0.1".parse::<std::net::IpAddr>().unwrap());
    assert_eq!(lab.net.local_addr(server).unwrap(), socket_address("[::ffff:10.0.0.2]:80"));
    assert_eq!(lab.net.peer_addr(client).unwrap(), socket_address("[::ffff:10.0.0.2]:80"));
}

#[test]
fn ports_have_one_listener_and_are_free_again_at_once() {
    let mut lab = Lab::new(10);
    let first = lab.listen(lab.b, "0.0.0.0:80");
    let again = |lab: &mut Lab, address| lab.net.listen(lab.b, socket_address(address), 1);
    assert_eq!(refused(again(&mut lab, "0.0.0.0:80")), ErrorKind::AddrInUse);
    assert_eq!(refused(again(&mut lab, "10.0.0.2:80")), ErrorKind::AddrInUse);
    assert_eq!(refused(again(&mut lab, "[::]:80")), ErrorKind::AddrInUse);
    assert_eq!(refused(again(&mut lab, "10.0.0.1:81")), ErrorKind::AddrNotAvailable);
    let client = lab.connect(lab.a, "10.0.0.2:80");
    lab.run_for(10 * MILLISECOND);
    let (server, _) = lab.net.accept(first).unwrap();
    lab.close(first);
    lab.listen(lab.b, "0.0.0.0:80");
    assert!(lab.is_connected(server) && lab.is_connected(client));
    let any = lab.listen(lab.b, "0.0.0.0:0");
    assert!(lab.net.local_addr(any).unwrap().port() >= FIRST_EPHEMERAL);
}

#[test]
fn the_same_ends_connect_again_although_the_first_connection_lingers() {
    let mut lab = Lab::new(11);
    let listener = lab.listen(lab.b, "0.0.0.0:80");
    let ends = (Some(socket_address("0.0.0.0:5000")), socket_address("10.0.0.2:80"));
    for round in 0..3_u8 {
        let client = lab.net.connect(lab.a, ends.0, ends.1, &mut lab.s).unwrap();
        let second = lab.net.connect(lab.a, ends.0, ends.1, &mut lab.s);
        assert_eq!(refused(second), ErrorKind::AddrInUse);
        lab.run_for(10 * MILLISECOND);
        let (server, peer) = lab.net.accept(listener).unwrap();
        assert_eq!(peer, socket_address("10.0.0.1:5000"));
        lab.write(client, &[round]).unwrap();
        lab.run_for(10 * MILLISECOND);
        assert_eq!(lab.read(server, 8).unwrap(), [round]);
        // The server closes first, and waits its minute out.
        lab.close(server);
        lab.run_for(10 * MILLISECOND);
        lab.close(client);
        lab.run_for(10 * MILLISECOND);
    }
}

#[test]
fn a_connection_that_has_ended_is_forgotten_in_time() {
    let mut lab = Lab::new(12);
    let (client, server) = lab.connected();
    lab.close(client);
    lab.run_for(10 * MILLISECOND);
    lab.close(server);
    lab.run_for(10 * MILLISECOND);
    assert_eq!(lab.net.sockets.len(), 1, "the end that closed first");
    lab.run_for(120 * SECOND);
    lab.listen(lab.b, "0.0.0.0:80");
    lab.connect(lab.a, "10.0.0.2:80");
    assert_eq!(lab.net.sockets.len(), 2);
    assert_eq!(lab.net.connections.len(), 1);
}

#[test]
fn linger_zero_resets() {
    let mut lab = Lab::new(13);
    let (client, server) = lab.connected();
    lab.net.set_linger(client, Some(Duration::ZERO), &mut lab.s).unwrap();
    assert_eq!(lab.net.linger(client).unwrap(), Some(Duration::ZERO));
    lab.close(client);
    lab.run_for(10 * MILLISECOND);
    assert_eq!(refused(lab.read(server, 8)), ErrorKind::ConnectionReset);
    assert_eq!(lab.read(server, 8).unwrap(), b"");
    assert_eq!(refused(lab.write(server, b"x")), ErrorKind::BrokenPipe);
    assert_eq!(
        refused(lab.net.shutdown(server, Shutdown::Both, &mut lab.s)),
        ErrorKind::NotConnected
    );
}

#[test]
fn a_seed_gives_one_run() {
    let run = |seed| {
        let mut lab = Lab::new(seed);
        lab.net.set_default_link(bad_link());
        let (client, server) = lab.connected();
        transfer(&mut lab, client, server, 50_000);
        (lab.s.now, lab.s.decisions, lab.s.deliveries, lab.s.observed)
    };
    assert_eq!(run(14), run(14));
    assert_ne!(run(14), run(15));
}
