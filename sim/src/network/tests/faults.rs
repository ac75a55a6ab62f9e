//! What goes wrong: refusals, resets, full queues, partitions, crashes.

use super::super::receive::RECEIVE_BUFFER;
use super::super::{Crash, QUIET, USER_TIMEOUT};
use super::*;

#[test]
fn a_port_without_listener_refuses() {
    let mut lab = Lab::new(1);
    let client = lab.connect(lab.a, "10.0.0.2:80");
    lab.run();
    assert_eq!(lab.error(client), Some(ErrorKind::ConnectionRefused));
    assert_eq!(lab.error(client), None, "it is reported once");
    assert_eq!(refused(lab.net.peer_addr(client)), ErrorKind::NotConnected);
}

#[test]
fn an_address_that_no_host_has_is_unreachable() {
    let mut lab = Lab::new(2);
    let client = lab.connect(lab.a, "10.9.9.9:80");
    lab.run();
    assert_eq!(lab.error(client), Some(ErrorKind::HostUnreachable));
    assert_eq!(lab.s.now, 3 * SECOND);
    let ipv6 = lab.net.connect(lab.a, None, socket_address("[2001:db8::1]:80"), &mut lab.s);
    assert_eq!(refused(ipv6), ErrorKind::NetworkUnreachable);
}

#[test]
fn connecting_into_silence_times_out() {
    let mut lab = Lab::new(3);
    lab.listen(lab.b, "0.0.0.0:80");
    lab.net.partition(lab.a, lab.b);
    let client = lab.connect(lab.a, "10.0.0.2:80");
    lab.run();
    assert_eq!(lab.error(client), Some(ErrorKind::TimedOut));
    assert_eq!(lab.s.now, 127 * SECOND);
}

#[test]
fn connecting_survives_lost_handshakes() {
    for (from_a, from_b) in [(true, false), (false, true)] {
        let mut lab = Lab::new(4);
        let listener = lab.listen(lab.b, "0.0.0.0:80");
        if from_a {
            lab.net.partition_one_way(lab.a, lab.b);
        }
        if from_b {
            lab.net.partition_one_way(lab.b, lab.a);
        }
        let client = lab.connect(lab.a, "10.0.0.2:80");
        lab.run_for(5 * SECOND);
        assert!(!lab.is_connected(client));
        lab.net.heal_all();
        lab.run_for(30 * SECOND);
        assert!(lab.is_connected(client));
        lab.net.accept(listener).unwrap();
    }
}

#[test]
fn a_full_backlog_leaves_connections_waiting() {
    let mut lab = Lab::new(5);
    let listener = lab.net.listen(lab.b, socket_address("0.0.0.0:80"), 1).unwrap();
    let clients: Vec<SocketId> = (0..3)
        .map(|_| {
            let client = lab.connect(lab.a, "10.0.0.2:80");
            lab.run_for(10 * MILLISECOND);
            client
        })
        .collect();
    let connected: Vec<bool> = clients.iter().map(|client| lab.is_connected(*client)).collect();
    assert_eq!(connected, [true, true, false]);
    lab.net.accept(listener).unwrap();
    lab.run_for(2 * SECOND);
    assert!(lab.is_connected(clients[2]));
    lab.net.accept(listener).unwrap();
    lab.net.accept(listener).unwrap();
    assert_eq!(refused(lab.net.accept(listener)), ErrorKind::WouldBlock);
}

#[test]
fn a_full_backlog_keeps_handshakes_from_completing() {
    let mut lab = Lab::new(6);
    let listener = lab.net.listen(lab.b, socket_address("0.0.0.0:80"), 0).unwrap();
    // All handshakes are under way before the first is complete.
    let clients: Vec<SocketId> = (0..3).map(|_| lab.connect(lab.a, "10.0.0.2:80")).collect();
    lab.run_for(20 * MILLISECOND);
    let mut accepted = 0;
    for _ in 0..3 {
        accepted += usize::from(lab.net.accept(listener).is_ok());
        assert_eq!(refused(lab.net.accept(listener)), ErrorKind::WouldBlock);
        lab.run_for(30 * SECOND);
    }
    assert_eq!(accepted, 3);
    assert!(clients.iter().all(|client| lab.is_connected(*client)));
}

#[test]
fn closing_a_listener_resets_what_was_not_accepted() {
    let mut lab = Lab::new(7);
    let listener = lab.listen(lab.b, "0.0.0.0:80");
    let queued = lab.connect(lab.a, "10.0.0.2:80");
    lab.run_for(10 * MILLISECOND);
    lab.close(listener);
    lab.run();
    assert_eq!(refused(lab.read(queued, 1)), ErrorKind::ConnectionReset);
    assert_eq!(lab.net.leftovers(lab.b), Vec::<String>::new());
    assert_eq!(refused(lab.net.accept(listener)), ErrorKind::InvalidInput);
}

#[test]
fn bytes_survive_a_partition_that_heals() {
    for seed in 0..20 {
        let mut lab = Lab::new(seed);
        let (client, server) = lab.connected();
        lab.write(client, b"before ").unwrap();
        lab.net.partition(lab.a, lab.b);
        lab.write(client, &[b'x'; 20_000]).unwrap();
        lab.run_for(60 * SECOND);
        assert_eq!(refused(lab.read(server, 8)), ErrorKind::WouldBlock);
        lab.net.heal_all();
        lab.run();
        let bytes = lab.read(server, 30_000).unwrap();
        assert_eq!(bytes.len(), 20_007);
        assert!(bytes.starts_with(b"before xxx"));
    }
}

#[test]
fn an_endless_partition_times_out() {
    let mut lab = Lab::new(8);
    let (client, server) = lab.connected();
    lab.net.partition(lab.a, lab.b);
    let began = lab.s.now;
    lab.write(client, b"anybody?").unwrap();
    lab.run();
    let waited = lab.s.now - began;
    assert!((USER_TIMEOUT..QUIET).contains(&waited), "after {waited} ns");
    assert_eq!(refused(lab.read(client, 8)), ErrorKind::TimedOut);
    // The other end had nothing to send, and does not know.
    assert_eq!(refused(lab.read(server, 8)), ErrorKind::WouldBlock);
}

#[test]
fn a_lost_window_update_is_asked_for() {
    let mut lab = Lab::new(9);
    let (client, server) = lab.connected();
    lab.write(client, &vec![1; RECEIVE_BUFFER]).unwrap();
    lab.run_for(SECOND);
    lab.write(client, b"the rest").unwrap();
    lab.net.partition_one_way(lab.b, lab.a);
    assert_eq!(lab.read(server, RECEIVE_BUFFER).unwrap().len(), RECEIVE_BUFFER);
    lab.run_for(SECOND);
    assert_eq!(refused(lab.read(server, 8)), ErrorKind::WouldBlock);
    lab.net.heal_all();
    lab.run_for(10 * SECOND);
    assert_eq!(lab.read(server, 8).unwrap(), b"the rest");
}

#[test]
fn a_closed_connection_whose_peer_never_reads_is_given_up() {
    let mut lab = Lab::new(10);
    let (client, server) = lab.connected();
    for _ in 0..3 {
        lab.write(client, &vec![1; RECEIVE_BUFFER / 2]).unwrap();
        lab.run_for(SECOND);
    }
    lab.close(client);
    lab.run();
    assert!(lab.net.leftovers(lab.a).is_empty());
    assert_eq!(lab.net.sockets.len(), 1, "the end that was not closed");
    assert_eq!(lab.read(server, RECEIVE_BUFFER).unwrap().len(), RECEIVE_BUFFER);
    assert_eq!(refused(lab.read(server, 8)), ErrorKind::ConnectionReset);
}

#[test]
fn held_packets_arrive_in_order_once_released() {
    let mut lab = Lab::new(11);
    let (client, server) = lab.connected();
    lab.net.set_nodelay(client, true, &mut lab.s).unwrap();
    lab.write(client, b"one ").unwrap();
    lab.net.hold(lab.a, lab.b);
    lab.write(client, b"two ").unwrap();
    lab.run_for(100 * MILLISECOND);
    assert_eq!(refused(lab.read(server, 8)), ErrorKind::WouldBlock);
    lab.net.release(lab.a, lab.b, &mut lab.s);
    lab.run_for(10 * MILLISECOND);
    assert_eq!(lab.read(server, 16).unwrap(), b"one two ");
    lab.run();
    assert_eq!(refused(lab.read(server, 16)), ErrorKind::WouldBlock);
}

#[test]
fn a_partition_takes_what_is_on_its_way() {
    let mut lab = Lab::new(12);
    let (client, server) = lab.connected();
    lab.write(client, b"lost").unwrap();
    lab.net.partition_one_way(lab.a, lab.b);
    lab.run_for(50 * MILLISECOND);
    lab.net.heal_all();
    lab.run_for(50 * MILLISECOND);
    assert_eq!(refused(lab.read(server, 8)), ErrorKind::WouldBlock);
    // The retransmission brings it.
    lab.run_for(SECOND);
    assert_eq!(lab.read(server, 8).unwrap(), b"lost");
}

#[test]
fn a_silent_crash_is_noticed_once_the_host_is_up_again() {
    let mut lab = Lab::new(13);
    let (client, server) = lab.connected();
    lab.net.crash_host(lab.b, Crash::Silent, &mut lab.s);
    assert!(lab.net.leftovers(lab.b).is_empty());
    assert_eq!(refused(lab.read(server, 8)), ErrorKind::InvalidInput);
    lab.close(server);
    lab.write(client, b"hello?").unwrap();
    lab.run_for(SECOND);
    assert_eq!(refused(lab.read(client, 8)), ErrorKind::WouldBlock);
    lab.net.restart_host(lab.b);
    lab.run_for(5 * SECOND);
    assert_eq!(refused(lab.read(client, 8)), ErrorKind::ConnectionReset);
    // The host that is up again serves as before.
    lab.connected();
}

#[test]
fn a_crash_with_reset_ends_connections_and_refuses_new_ones() {
    let mut lab = Lab::new(14);
    let (client, _server) = lab.connected();
    let pending = lab.listen(lab.b, "0.0.0.0:80");
    let queued = lab.connect(lab.a, "10.0.0.2:80");
    lab.run_for(10 * MILLISECOND);
    lab.net.crash_host(lab.b, Crash::Reset, &mut lab.s);
    lab.run_for(10 * MILLISECOND);
    assert_eq!(refused(lab.read(client, 8)), ErrorKind::ConnectionReset);
    assert_eq!(refused(lab.read(queued, 8)), ErrorKind::ConnectionReset);
    assert_eq!(refused(lab.net.accept(pending)), ErrorKind::InvalidInput);
    let late = lab.connect(lab.a, "10.0.0.2:80");
    lab.run_for(10 * MILLISECOND);
    assert_eq!(lab.error(late), Some(ErrorKind::ConnectionRefused));
}

#[test]
fn leftovers_name_what_is_open() {
    let mut lab = Lab::new(15);
    let listener = lab.listen(lab.b, "0.0.0.0:80");
    let poller = lab.net.poller_new(lab.b);
    assert_eq!(lab.net.leftovers(lab.b), ["listener 0.0.0.0:80", "poller 1"]);
    let client = lab.connect(lab.a, "10.0.0.2:80");
    lab.run_for(10 * MILLISECOND);
    assert_eq!(lab.net.leftovers(lab.a), ["connection 10.0.0.1:49152 to 10.0.0.2:80, established"]);
    lab.close(listener);
    lab.net.poller_close(poller);
    lab.close(client);
    assert!(lab.net.leftovers(lab.a).is_empty() && lab.net.leftovers(lab.b).is_empty());
}
