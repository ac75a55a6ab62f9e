//! Unix sockets: what is told to whom, and what closing leaves.

use std::net::Shutdown;
use std::path::Path;

use super::super::unix::BUFFER;
use super::super::{Event, Interest};
use super::*;

const BOTH: Interest = Interest { readable: true, writable: true };

fn path() -> &'static Path {
    Path::new("/run/socket")
}

#[test]
fn a_writer_is_told_of_room_and_a_reader_of_bytes() {
    let mut lab = Lab::new(1);
    let (first, second) = lab.net.unix_pair(lab.a);
    let poller = lab.net.poller_new(lab.a);
    lab.net.register(poller, first, 1, BOTH, &mut lab.s).unwrap();
    lab.net.register(poller, second, 2, BOTH, &mut lab.s).unwrap();
    lab.net.poller_take(poller, 8);
    let all = vec![7; BUFFER + 1];
    assert_eq!(lab.net.unix_write(first, &all, &mut lab.s).unwrap(), BUFFER);
    let blocked = lab.net.unix_write(first, &all, &mut lab.s);
    assert_eq!(refused(blocked), ErrorKind::WouldBlock);
    let readable = Event { token: 2, readable: true, ..Event::default() };
    assert_eq!(lab.net.poller_take(poller, 8), [readable]);
    lab.net.unix_read(second, &mut [0; 8], false, &mut lab.s).unwrap();
    let writable = Event { token: 1, writable: true, ..Event::default() };
    assert_eq!(lab.net.poller_take(poller, 8), [writable]);
}

#[test]
fn paths_are_those_of_a_host_and_free_when_closed() {
    let mut lab = Lab::new(1);
    let listener = lab.net.unix_listen(lab.a, path(), 0).unwrap();
    lab.net.unix_listen(lab.b, path(), 0).unwrap();
    assert_eq!(refused(lab.net.unix_datagram(lab.a, Some(path()))), ErrorKind::AddrInUse);
    let client = lab.net.unix_connect(lab.a, path(), &mut lab.s).unwrap();
    let full = lab.net.unix_connect(lab.a, path(), &mut lab.s);
    assert_eq!(refused(full), ErrorKind::WouldBlock);
    // Nobody has accepted it: closing the listener resets it.
    lab.close(listener);
    let reset = lab.net.unix_read(client, &mut [0; 8], false, &mut lab.s);
    assert_eq!(refused(reset), ErrorKind::ConnectionReset);
    let nobody = lab.net.unix_connect(lab.a, path(), &mut lab.s);
    assert_eq!(refused(nobody), ErrorKind::NotFound);
    lab.net.unix_listen(lab.a, path(), 0).unwrap();
}

#[test]
fn directions_end_at_both_ends() {
    let mut lab = Lab::new(1);
    let (first, second) = lab.net.unix_pair(lab.a);
    lab.net.unix_shutdown(first, Shutdown::Read, &mut lab.s).unwrap();
    let broken = lab.net.unix_write(second, b"x", &mut lab.s);
    assert_eq!(refused(broken), ErrorKind::BrokenPipe);
    assert_eq!(lab.net.unix_read(first, &mut [0; 8], false, &mut lab.s).unwrap(), 0);
    assert_eq!(lab.net.unix_write(first, b"x", &mut lab.s).unwrap(), 1);
}

#[test]
fn a_blocked_sender_of_datagrams_is_told_of_room_and_of_the_end() {
    let mut lab = Lab::new(1);
    let server = lab.net.unix_datagram(lab.a, Some(path())).unwrap();
    let client = lab.net.unix_datagram(lab.a, None).unwrap();
    let poller = lab.net.poller_new(lab.a);
    lab.net.register(poller, client, 1, BOTH, &mut lab.s).unwrap();
    lab.net.poller_take(poller, 8);
    let half = vec![7; BUFFER / 2];
    lab.net.unix_datagram_connect(client, path()).unwrap();
    lab.net.unix_send(client, &half, None, &mut lab.s).unwrap();
    let blocked = lab.net.unix_send(client, &half, None, &mut lab.s);
    assert_eq!(refused(blocked), ErrorKind::WouldBlock);
    lab.net.unix_receive(server, &mut [0; 8], false, &mut lab.s).unwrap();
    let writable = Event { token: 1, writable: true, ..Event::default() };
    assert_eq!(lab.net.poller_take(poller, 8), [writable]);
    lab.close(server);
    let gone = lab.net.unix_send(client, b"x", None, &mut lab.s);
    assert_eq!(refused(gone), ErrorKind::ConnectionRefused);
    let alone = lab.net.unix_send(client, b"x", None, &mut lab.s);
    assert_eq!(refused(alone), ErrorKind::NotConnected);
}
