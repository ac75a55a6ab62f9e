//! TCP sockets that are set up before they listen or connect.

use std::time::Duration;

use super::super::receive::RECEIVE_BUFFER;
use super::super::send::SEND_BUFFER;
use super::*;

impl Lab {
    fn idle(&mut self, host: HostId, address: &str) -> SocketId {
        let socket = self.net.tcp_socket(host, false);
        self.net.bind(socket, socket_address(address), &mut self.s).unwrap();
        socket
    }

    fn bind_another(&mut self, address: &str, reuse: bool) -> io::Result<()> {
        let socket = self.net.tcp_socket(self.b, false);
        self.net.set_reuse_address(socket, reuse, &mut self.s).unwrap();
        let bound = self.net.bind(socket, socket_address(address), &mut self.s);
        self.close(socket);
        bound
    }
}

#[test]
fn both_ends_are_bound_first() {
    let mut lab = Lab::new(1);
    let listener = lab.idle(lab.b, "0.0.0.0:80");
    assert_eq!(lab.net.leftovers(lab.b), ["TCP socket 0.0.0.0:80, not connected"]);
    let listener = lab.net.listen_from(listener, 16).unwrap();
    let client = lab.idle(lab.a, "10.0.0.1:5000");
    let client = lab.net.connect_from(client, socket_address("10.0.0.2:80"), &mut lab.s).unwrap();
    lab.run_for(10 * MILLISECOND);
    let (server, peer) = lab.net.accept(listener).unwrap();
    assert_eq!(peer, socket_address("10.0.0.1:5000"));
    lab.write(client, b"hello").unwrap();
    lab.run_for(10 * MILLISECOND);
    assert_eq!(lab.read(server, 8).unwrap(), b"hello");
    assert_eq!(lab.net.open_sockets(), 3);
}

#[test]
fn a_bound_port_is_taken_until_it_is_closed() {
    let mut lab = Lab::new(2);
    let first = lab.idle(lab.b, "0.0.0.0:80");
    for reuse in [false, true] {
        assert_eq!(refused(lab.bind_another("10.0.0.2:80", reuse)), ErrorKind::AddrInUse);
    }
    let listening = lab.net.listen(lab.b, socket_address("0.0.0.0:80"), 1);
    assert_eq!(refused(listening), ErrorKind::AddrInUse);
    let again = lab.net.bind(first, socket_address("0.0.0.0:81"), &mut lab.s);
    assert_eq!(refused(again), ErrorKind::InvalidInput);
    assert_eq!(refused(lab.bind_another("[::]:82", false)), ErrorKind::InvalidInput);
    assert_eq!(refused(lab.bind_another("10.0.0.1:82", false)), ErrorKind::AddrNotAvailable);
    lab.close(first);
    lab.bind_another("10.0.0.2:80", false).unwrap();
    assert!(lab.net.leftovers(lab.b).is_empty());
}

#[test]
fn a_port_with_connections_is_bound_again_only_by_reuse() {
    let mut lab = Lab::new(3);
    let (_client, server) = lab.connected();
    assert_eq!(refused(lab.bind_another("0.0.0.0:80", false)), ErrorKind::AddrInUse);
    lab.bind_another("0.0.0.0:80", true).unwrap();
    lab.close(server);
    let any = lab.idle(lab.b, "0.0.0.0:0");
    assert_ne!(lab.net.local_addr(any).unwrap().port(), 0);
}

#[test]
fn the_addresses_of_a_socket_are_of_one_family() {
    let mut lab = Lab::new(4);
    let socket = lab.net.tcp_socket(lab.a, true);
    assert_eq!(lab.net.local_addr(socket).unwrap(), socket_address("[::]:0"));
    let connected = lab.net.connect_from(socket, socket_address("10.0.0.2:80"), &mut lab.s);
    assert_eq!(refused(connected), ErrorKind::InvalidInput);
    assert_eq!(lab.net.open_sockets(), 0);
}

#[test]
fn connections_begin_with_the_options_of_their_listener() {
    let mut lab = Lab::new(5);
    let listener = lab.idle(lab.b, "0.0.0.0:80");
    lab.net.set_nodelay(listener, true, &mut lab.s).unwrap();
    lab.net.set_receive_buffer(listener, 10_000, &mut lab.s).unwrap();
    let minute = Some(Duration::from_millis(60_700));
    lab.net.set_keepalive(listener, minute, &mut lab.s).unwrap();
    let none = lab.net.set_keepalive(listener, Some(Duration::ZERO), &mut lab.s);
    assert_eq!(refused(none), ErrorKind::InvalidInput);
    let listener = lab.net.listen_from(listener, 16).unwrap();
    let client = lab.net.tcp_socket(lab.a, false);
    lab.net.set_send_buffer(client, 1, &mut lab.s).unwrap();
    let least = lab.net.send_buffer(client).unwrap();
    let client = lab.net.connect_from(client, socket_address("10.0.0.2:80"), &mut lab.s).unwrap();
    lab.run_for(10 * MILLISECOND);
    let (server, _) = lab.net.accept(listener).unwrap();
    assert!(lab.net.nodelay(server).unwrap() && !lab.net.nodelay(client).unwrap());
    assert_eq!(lab.net.keepalive(server).unwrap(), Some(Duration::from_secs(60)));
    assert_eq!(lab.net.keepalive(client).unwrap(), None);
    assert_eq!(lab.net.receive_buffer(server).unwrap(), 10_000);
    assert_eq!(lab.net.receive_buffer(client).unwrap(), RECEIVE_BUFFER);
    assert!(least < SEND_BUFFER);

    let mut written = 0;
    while let Ok(count) = lab.write(client, &[7; 3_000]) {
        written += count;
        lab.run_for(SECOND);
    }
    assert_eq!(written, 10_000 + least);
    // A larger buffer invites what waits.
    lab.net.set_receive_buffer(server, 100_000, &mut lab.s).unwrap();
    lab.run_for(SECOND);
    assert_eq!(lab.read(server, 100_000).unwrap().len(), written);
}
