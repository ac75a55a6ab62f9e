//! Datagrams: whom they reach, what becomes of them on bad links, and what their senders hear.

use super::super::link::MILLION;
use super::super::udp::RECEIVE_BUFFER;
use super::super::{Event, Interest, Link};
use super::*;

const BOTH: Interest = Interest { readable: true, writable: true };

impl Lab {
    fn udp(&mut self, host: HostId, address: &str) -> SocketId {
        self.net.udp_bind(host, socket_address(address)).unwrap()
    }

    fn send_to(&mut self, socket: SocketId, bytes: &[u8], target: &str) -> io::Result<usize> {
        self.net.udp_send(socket, bytes, Some(socket_address(target)), &mut self.s)
    }

    fn send(&mut self, socket: SocketId, bytes: &[u8]) -> io::Result<usize> {
        self.net.udp_send(socket, bytes, None, &mut self.s)
    }

    fn connect_udp(&mut self, socket: SocketId, target: &str) {
        self.net.udp_connect(socket, socket_address(target)).unwrap();
    }

    fn receive(&mut self, socket: SocketId) -> io::Result<(Vec<u8>, SocketAddr)> {
        let mut bytes = vec![0; 70_000];
        let (count, source) = self.net.udp_receive(socket, &mut bytes, false)?;
        bytes.truncate(count);
        Ok((bytes, source))
    }

    /// The first bytes of all datagrams that are here.
    fn receive_all(&mut self, socket: SocketId) -> Vec<u8> {
        let mut firsts = Vec::new();
        loop {
            match self.receive(socket) {
                Ok((bytes, _)) => firsts.push(bytes[0]),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock);
                    return firsts;
                }
            }
        }
    }

    /// Sends datagrams 0 to 199 from `a` to `b` over a link, a millisecond apart.
    fn two_hundred_over(&mut self, link: Link) -> Vec<u8> {
        self.net.set_link(self.a, self.b, link);
        let sender = self.udp(self.a, "0.0.0.0:0");
        let receiver = self.udp(self.b, "0.0.0.0:53");
        for number in 0..200 {
            self.send_to(sender, &[number], "10.0.0.2:53").unwrap();
            self.run_for(MILLISECOND);
        }
        self.run();
        self.receive_all(receiver)
    }
}

#[test]
fn a_datagram_and_its_answer_keep_their_bounds() {
    let mut lab = Lab::new(1);
    let server = lab.udp(lab.b, "0.0.0.0:53");
    let client = lab.udp(lab.a, "0.0.0.0:0");
    assert_eq!(refused(lab.receive(server)), ErrorKind::WouldBlock);
    lab.send_to(client, b"one", "10.0.0.2:53").unwrap();
    lab.send_to(client, b"", "10.0.0.2:53").unwrap();
    lab.run_for(10 * MILLISECOND);
    let port = lab.net.local_addr(client).unwrap().port();
    let source = SocketAddr::new("10.0.0.1".parse().unwrap(), port);
    let mut two = [0; 2];
    assert_eq!(lab.net.udp_receive(server, &mut two, true).unwrap(), (2, source));
    assert_eq!(lab.receive(server).unwrap(), (b"one".to_vec(), source));
    assert_eq!(lab.receive(server).unwrap(), (Vec::new(), source));
    assert_eq!(refused(lab.receive(server)), ErrorKind::WouldBlock);
    lab.net.udp_send(server, b"answer", Some(source), &mut lab.s).unwrap();
    lab.run_for(10 * MILLISECOND);
    // What does not fit is lost.
    assert_eq!(
        lab.net.udp_receive(client, &mut two, false).unwrap(),
        (2, socket_address("10.0.0.2:53"))
    );
    assert_eq!(&two, b"an");
    assert_eq!(refused(lab.receive(client)), ErrorKind::WouldBlock);
}

#[test]
fn a_connected_socket_hears_its_peer_alone() {
    let mut lab = Lab::new(2);
    let server = lab.udp(lab.b, "0.0.0.0:53");
    let other = lab.udp(lab.b, "0.0.0.0:54");
    let client = lab.udp(lab.a, "0.0.0.0:5000");
    assert_eq!(refused(lab.net.peer_addr(client)), ErrorKind::NotConnected);
    let error = lab.send(client, b"where to?").unwrap_err();
    assert!(error.raw_os_error().is_some());
    lab.send_to(other, b"before", "10.0.0.1:5000").unwrap();
    lab.run_for(10 * MILLISECOND);
    lab.connect_udp(client, "10.0.0.2:53");
    assert_eq!(lab.net.peer_addr(client).unwrap(), socket_address("10.0.0.2:53"));
    assert_eq!(lab.net.local_addr(client).unwrap(), socket_address("10.0.0.1:5000"));
    lab.send_to(other, b"after", "10.0.0.1:5000").unwrap();
    lab.send_to(server, b"peer", "10.0.0.1:5000").unwrap();
    lab.run_for(10 * MILLISECOND);
    assert_eq!(lab.receive(client).unwrap().0, b"before");
    assert_eq!(lab.receive(client).unwrap().0, b"peer");
    assert_eq!(refused(lab.receive(client)), ErrorKind::WouldBlock);
    // It may still send elsewhere.
    lab.send_to(client, b"aside", "10.0.0.2:54").unwrap();
    lab.send(client, b"ahead").unwrap();
    lab.run_for(10 * MILLISECOND);
    assert_eq!(lab.receive(other).unwrap().0, b"aside");
    assert_eq!(lab.receive(server).unwrap().0, b"ahead");
}

#[test]
fn ports_are_taken_once_and_free_again_after_closing() {
    let mut lab = Lab::new(3);
    let first = lab.udp(lab.b, "0.0.0.0:53");
    let again = |lab: &mut Lab, address| lab.net.udp_bind(lab.b, socket_address(address));
    assert_eq!(refused(again(&mut lab, "0.0.0.0:53")), ErrorKind::AddrInUse);
    assert_eq!(refused(again(&mut lab, "127.0.0.1:53")), ErrorKind::AddrInUse);
    assert_eq!(refused(again(&mut lab, "[::]:53")), ErrorKind::AddrInUse);
    assert_eq!(refused(again(&mut lab, "10.0.0.1:53")), ErrorKind::AddrNotAvailable);
    lab.listen(lab.b, "0.0.0.0:53"); // TCP has ports of its own.
    lab.connect_udp(first, "10.0.0.1:9");
    assert_eq!(
        lab.net.leftovers(lab.b),
        ["UDP socket 10.0.0.2:53 to 10.0.0.1:9", "listener 0.0.0.0:53"]
    );
    lab.close(first);
    let near = lab.udp(lab.b, "127.0.0.1:53");
    let far = lab.udp(lab.b, "10.0.0.2:53");
    let sender = lab.udp(lab.b, "0.0.0.0:0");
    lab.send_to(sender, b"near", "127.0.0.1:53").unwrap();
    lab.send_to(sender, b"far", "10.0.0.2:53").unwrap();
    lab.run_for(MILLISECOND);
    assert_eq!(lab.receive(near).unwrap().0, b"near");
    assert_eq!(lab.receive(far).unwrap().0, b"far");
    assert_eq!(lab.s.decisions, 0, "a host reaches itself without decisions");
}

#[test]
fn what_cannot_be_sent_is_refused_at_once() {
    let mut lab = Lab::new(4);
    let socket = lab.udp(lab.a, "0.0.0.0:0");
    let near = lab.udp(lab.a, "127.0.0.1:0");
    assert_eq!(lab.send_to(socket, &[7; 65_507], "10.0.0.2:53").unwrap(), 65_507);
    let error = lab.send_to(socket, &[7; 65_508], "10.0.0.2:53").unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EMSGSIZE));
    assert_eq!(refused(lab.send_to(socket, b"x", "10.0.0.2:0")), ErrorKind::InvalidInput);
    assert_eq!(refused(lab.send_to(socket, b"x", "[::1]:53")), ErrorKind::InvalidInput);
    assert_eq!(refused(lab.send_to(near, b"x", "10.0.0.2:53")), ErrorKind::InvalidInput);
    let everybody = "255.255.255.255:53";
    assert_eq!(refused(lab.send_to(socket, b"x", everybody)), ErrorKind::PermissionDenied);
    lab.net.udp_set_broadcast(socket, true).unwrap();
    assert!(lab.net.udp_broadcast(socket).unwrap());
    assert_eq!(refused(lab.send_to(socket, b"x", everybody)), ErrorKind::Unsupported);
    assert_eq!(refused(lab.send_to(socket, b"x", "224.0.0.1:53")), ErrorKind::Unsupported);
    // Nobody has this address, and nobody says so.
    assert_eq!(lab.send_to(socket, b"x", "10.9.9.9:53").unwrap(), 1);
    assert_eq!(refused(lab.net.listen_from(socket, 1)), ErrorKind::InvalidInput);
    assert_eq!(refused(lab.net.nodelay(socket)), ErrorKind::InvalidInput);
}

#[test]
fn an_ipv6_wildcard_serves_ipv4() {
    let mut lab = Lab::new(5);
    let server = lab.udp(lab.b, "[::]:53");
    let client = lab.udp(lab.a, "[::]:5000");
    lab.send_to(client, b"mapped", "[::ffff:10.0.0.2]:53").unwrap();
    lab.run_for(10 * MILLISECOND);
    let source = socket_address("[::ffff:10.0.0.1]:5000");
    assert_eq!(lab.receive(server).unwrap(), (b"mapped".to_vec(), source));
    lab.connect_udp(client, "[::ffff:10.0.0.2]:53");
    assert_eq!(lab.net.local_addr(client).unwrap(), source);
    assert_eq!(lab.net.peer_addr(client).unwrap(), socket_address("[::ffff:10.0.0.2]:53"));
}

#[test]
fn a_connected_sender_hears_once_that_nobody_receives() {
    for target in ["10.0.0.2:53", "127.0.0.1:53"] {
        let mut lab = Lab::new(6);
        let poller = lab.net.poller_new(lab.a);
        let socket = lab.udp(lab.a, "0.0.0.0:0");
        lab.send_to(socket, b"not connected", target).unwrap();
        lab.run_for(10 * MILLISECOND);
        assert_eq!(refused(lab.receive(socket)), ErrorKind::WouldBlock);

        lab.connect_udp(socket, target);
        lab.net.register(poller, socket, 1, BOTH, &mut lab.s).unwrap();
        lab.net.poller_take(poller, 8);
        lab.send(socket, b"anybody?").unwrap();
        lab.run_for(10 * MILLISECOND);
        let events = lab.net.poller_take(poller, 8);
        assert!(events.len() == 1 && events[0].error && events[0].readable, "{events:?}");
        assert_eq!(refused(lab.receive(socket)), ErrorKind::ConnectionRefused);
        assert_eq!(refused(lab.receive(socket)), ErrorKind::WouldBlock);

        lab.send(socket, b"anybody now?").unwrap();
        lab.run_for(10 * MILLISECOND);
        assert_eq!(refused(lab.send(socket, b"not sent")), ErrorKind::ConnectionRefused);
        lab.send(socket, b"sent").unwrap();
        lab.run_for(10 * MILLISECOND);
        assert_eq!(lab.error(socket), Some(ErrorKind::ConnectionRefused));
        assert_eq!(lab.error(socket), None);
    }
}

#[test]
fn a_socket_that_is_connected_elsewhere_counts_as_nobody() {
    let mut lab = Lab::new(7);
    let server = lab.udp(lab.b, "0.0.0.0:53");
    lab.connect_udp(server, "10.0.0.1:1");
    let client = lab.udp(lab.a, "0.0.0.0:2");
    lab.connect_udp(client, "10.0.0.2:53");
    lab.send(client, b"hello").unwrap();
    lab.run_for(10 * MILLISECOND);
    assert_eq!(lab.error(client), Some(ErrorKind::ConnectionRefused));
    assert_eq!(refused(lab.receive(server)), ErrorKind::WouldBlock);
}

#[test]
fn what_finds_no_room_is_dropped() {
    let mut lab = Lab::new(8);
    let server = lab.udp(lab.b, "0.0.0.0:53");
    let client = lab.udp(lab.a, "0.0.0.0:0");
    for number in 0..250_u8 {
        lab.send_to(client, &[number; 1_000], "10.0.0.2:53").unwrap();
    }
    lab.run_for(10 * MILLISECOND);
    let fit = (RECEIVE_BUFFER / 1_256) as u8;
    assert_eq!(lab.receive_all(server), (0..fit).collect::<Vec<u8>>());
    // There is room again, though not without end for empty ones.
    for _ in 0..2_000 {
        lab.send_to(client, b"", "10.0.0.2:53").unwrap();
    }
    lab.run_for(10 * MILLISECOND);
    let kept = std::iter::from_fn(|| lab.receive(server).ok()).count();
    assert_eq!(kept, RECEIVE_BUFFER / 256);
}

#[test]
fn a_good_link_keeps_every_datagram_in_order() {
    let arrived = Lab::new(9).two_hundred_over(Link::default());
    assert_eq!(arrived, (0..200).collect::<Vec<u8>>());
}

#[test]
fn a_link_loses_doubles_and_reorders() {
    let mut lab = Lab::new(10);
    let lost = lab.two_hundred_over(Link { loss: MILLION / 4, ..Link::default() });
    assert!((100..190).contains(&lost.len()), "{} arrived", lost.len());
    assert!(lost.is_sorted());
    assert!(lab.s.decisions >= 200, "each is a decision");

    let duplicate = Link { duplicate: MILLION, ..Link::default() };
    let mut doubled = Lab::new(11).two_hundred_over(duplicate);
    assert_eq!(doubled.len(), 400);
    doubled.sort_unstable();
    doubled.dedup();
    assert_eq!(doubled.len(), 200);

    let reorder = Link { latency: 5 * MILLISECOND, reorder: MILLION / 2, ..Link::default() };
    let mut reordered = Lab::new(12).two_hundred_over(reorder);
    assert!(!reordered.is_sorted());
    reordered.sort_unstable();
    assert_eq!(reordered, (0..200).collect::<Vec<u8>>());
}

#[test]
fn a_partition_and_a_dead_host_swallow_what_is_sent() {
    let mut lab = Lab::new(13);
    let server = lab.udp(lab.b, "0.0.0.0:53");
    let client = lab.udp(lab.a, "0.0.0.0:0");
    lab.connect_udp(client, "10.0.0.2:53");
    lab.net.partition(lab.a, lab.b);
    lab.send(client, b"lost").unwrap();
    lab.run_for(10 * MILLISECOND);
    lab.net.heal_all();
    lab.send(client, b"found").unwrap();
    lab.run_for(10 * MILLISECOND);
    assert_eq!(lab.receive(server).unwrap().0, b"found");
    assert_eq!(refused(lab.receive(server)), ErrorKind::WouldBlock);

    lab.net.crash_host(lab.b, super::super::Crash::Silent, &mut lab.s);
    lab.send(client, b"nobody").unwrap();
    lab.run_for(10 * MILLISECOND);
    assert_eq!(lab.error(client), None);
    lab.net.restart_host(lab.b);
    lab.send(client, b"nobody").unwrap();
    lab.run_for(10 * MILLISECOND);
    assert_eq!(lab.error(client), Some(ErrorKind::ConnectionRefused));
}

#[test]
fn each_arrival_is_one_event() {
    let mut lab = Lab::new(14);
    let poller = lab.net.poller_new(lab.b);
    let server = lab.udp(lab.b, "0.0.0.0:53");
    let client = lab.udp(lab.a, "0.0.0.0:0");
    lab.net.register(poller, server, 3, BOTH, &mut lab.s).unwrap();
    let writable = Event { token: 3, writable: true, ..Event::default() };
    assert_eq!(lab.net.poller_take(poller, 8), [writable]);
    let readable = Event { token: 3, readable: true, ..Event::default() };
    for _ in 0..2 {
        lab.send_to(client, b"x", "10.0.0.2:53").unwrap();
        lab.run_for(10 * MILLISECOND);
        assert_eq!(lab.net.poller_take(poller, 8), [readable]);
        assert!(lab.net.poller_take(poller, 8).is_empty(), "what is not received is no edge");
    }
    assert!(lab.net.describe_poller(poller).contains("(UDP socket 0.0.0.0:53)"));
}
