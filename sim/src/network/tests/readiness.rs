//! Pollers over connections: an event for each edge, none without.

use std::net::Shutdown;

use super::super::send::SEND_BUFFER;
use super::super::{Event, Interest, Link};
use super::*;

const READ: Interest = Interest { readable: true, writable: false };
const WRITE: Interest = Interest { readable: false, writable: true };
const BOTH: Interest = Interest { readable: true, writable: true };

impl Lab {
    fn register(&mut self, poller: PollerId, socket: SocketId, token: usize, interest: Interest) {
        self.net.register(poller, socket, token, interest, &mut self.s).unwrap();
    }

    fn events(&mut self, poller: PollerId) -> Vec<Event> {
        self.net.poller_take(poller, 64)
    }
}

fn readable(token: usize) -> Event {
    Event { token, readable: true, ..Event::default() }
}

fn writable(token: usize) -> Event {
    Event { token, writable: true, ..Event::default() }
}

#[test]
fn connecting_ends_in_a_writable_event() {
    let mut lab = Lab::new(1);
    let poller = lab.net.poller_new(lab.a);
    let server_poller = lab.net.poller_new(lab.b);
    let listener = lab.listen(lab.b, "0.0.0.0:80");
    lab.register(server_poller, listener, 1, READ);
    let client = lab.connect(lab.a, "10.0.0.2:80");
    lab.register(poller, client, 2, BOTH);
    assert!(lab.events(poller).is_empty());
    lab.run_for(10 * MILLISECOND);
    assert!(lab.s.woken.contains(&poller) && lab.s.woken.contains(&server_poller));
    assert_eq!(lab.events(poller), [writable(2)]);
    assert_eq!(lab.events(server_poller), [readable(1)]);
    assert!(lab.events(server_poller).is_empty(), "accepting nothing makes no new edge");
}

#[test]
fn a_refusal_shows_as_error() {
    let mut lab = Lab::new(2);
    let poller = lab.net.poller_new(lab.a);
    let client = lab.connect(lab.a, "10.0.0.2:80");
    lab.register(poller, client, 5, WRITE);
    lab.run_for(10 * MILLISECOND);
    let event = Event {
        token: 5,
        readable: false,
        writable: true,
        read_closed: true,
        write_closed: true,
        error: true,
    };
    assert_eq!(lab.events(poller), [event]);
    assert_eq!(lab.error(client), Some(ErrorKind::ConnectionRefused));
}

#[test]
fn each_edge_is_one_event() {
    let mut lab = Lab::new(3);
    let (client, server) = lab.connected();
    let poller = lab.net.poller_new(lab.b);
    lab.register(poller, server, 7, READ);
    assert!(lab.events(poller).is_empty(), "nothing to read yet");

    lab.write(client, b"abc").unwrap();
    lab.run_for(10 * MILLISECOND);
    assert_eq!(lab.events(poller), [readable(7)]);
    assert!(lab.events(poller).is_empty());
    lab.run_for(10 * MILLISECOND);
    assert!(lab.events(poller).is_empty(), "unread bytes are no edge");

    lab.net.reregister(poller, server, 8, READ, &mut lab.s).unwrap();
    assert_eq!(lab.events(poller), [readable(8)]);
    assert!(lab.events(poller).is_empty());

    lab.write(client, b"d").unwrap();
    lab.run_for(10 * MILLISECOND);
    assert_eq!(lab.events(poller), [readable(8)]);

    lab.write(client, b"e").unwrap();
    lab.run_for(10 * MILLISECOND);
    assert_eq!(lab.read(server, 8).unwrap(), b"abcde");
    assert!(lab.events(poller).is_empty(), "an event that is not true any more");
}

#[test]
fn room_in_a_full_buffer_is_an_edge() {
    let mut lab = Lab::new(4);
    let (client, server) = lab.connected();
    let poller = lab.net.poller_new(lab.a);
    lab.register(poller, client, 1, BOTH);
    assert_eq!(lab.events(poller), [writable(1)]);
    while lab.write(client, &[0; 10_000]).is_ok() {
        lab.run_for(SECOND);
    }
    // Filling it took turns of room, and a last one without.
    lab.events(poller);
    lab.run_for(SECOND);
    assert!(lab.events(poller).is_empty());
    assert_eq!(lab.read(server, SEND_BUFFER).unwrap().len(), SEND_BUFFER);
    lab.run_for(SECOND);
    assert_eq!(lab.events(poller), [writable(1)]);
    assert!(lab.events(poller).is_empty());
}

#[test]
fn the_end_of_one_direction_and_of_both() {
    let mut lab = Lab::new(5);
    let (client, server) = lab.connected();
    let poller = lab.net.poller_new(lab.b);
    lab.register(poller, server, 1, READ);
    lab.net.shutdown(client, Shutdown::Write, &mut lab.s).unwrap();
    lab.run_for(10 * MILLISECOND);
    assert_eq!(lab.events(poller), [Event { read_closed: true, ..readable(1) }]);
    lab.net.shutdown(server, Shutdown::Write, &mut lab.s).unwrap();
    let both = Event { read_closed: true, write_closed: true, ..readable(1) };
    assert_eq!(lab.events(poller), [both]);
    lab.run_for(10 * MILLISECOND);
}

#[test]
fn registrations_are_checked() {
    let mut lab = Lab::new(6);
    let (client, _server) = lab.connected();
    let poller = lab.net.poller_new(lab.a);
    let other = lab.net.poller_new(lab.b);
    let none = Interest { readable: false, writable: false };
    assert_eq!(
        refused(lab.net.register(poller, client, 1, none, &mut lab.s)),
        ErrorKind::InvalidInput
    );
    assert_eq!(
        refused(lab.net.register(other, client, 1, BOTH, &mut lab.s)),
        ErrorKind::InvalidInput
    );
    assert_eq!(refused(lab.net.deregister(poller, client)), ErrorKind::NotFound);
    lab.register(poller, client, 1, BOTH);
    assert_eq!(
        refused(lab.net.register(poller, client, 1, BOTH, &mut lab.s)),
        ErrorKind::AlreadyExists
    );
    lab.net.deregister(poller, client).unwrap();
    assert!(lab.events(poller).is_empty(), "its event went with the registration");
    lab.register(poller, client, 2, BOTH);
    lab.net.poller_close(poller);
    let next = lab.net.poller_new(lab.a);
    lab.register(next, client, 3, BOTH);
    assert!(lab.net.poller_take(next, 0).is_empty());
    lab.close(client);
    assert!(lab.events(next).is_empty());
}

/// Both ends act on events alone: whatever the link does, no edge is missing.
#[test]
fn events_alone_carry_a_transfer() {
    const TOTAL: usize = 400_000;
    for seed in 0..30 {
        let mut lab = Lab::new(seed);
        let link = Link { loss: 30_000, duplicate: 30_000, reorder: 100_000, ..Link::default() };
        lab.net.set_link(lab.a, lab.b, link);
        let (client, server) = lab.connected();
        let (sends, receives) = (lab.net.poller_new(lab.a), lab.net.poller_new(lab.b));
        lab.register(sends, client, 0, WRITE);
        lab.register(receives, server, 0, READ);
        let (mut sent, mut received) = (0, 0);
        let mut ended = false;
        while !ended {
            if lab.events(sends).iter().any(|event| event.writable) && sent < TOTAL {
                while sent < TOTAL {
                    let most = (TOTAL - sent).min(9_000);
                    match lab.write(client, &vec![1; most]) {
                        Ok(count) => sent += count,
                        Err(error) => {
                            assert_eq!(error.kind(), ErrorKind::WouldBlock);
                            break;
                        }
                    }
                }
                if sent == TOTAL {
                    lab.net.shutdown(client, Shutdown::Write, &mut lab.s).unwrap();
                }
            }
            if lab.events(receives).iter().any(|event| event.readable) {
                loop {
                    match lab.read(server, 5_000) {
                        Ok(bytes) if bytes.is_empty() => {
                            ended = true;
                            break;
                        }
                        Ok(bytes) => received += bytes.len(),
                        Err(error) => {
                            assert_eq!(error.kind(), ErrorKind::WouldBlock);
                            break;
                        }
                    }
                }
            }
            assert!(lab.step() || ended, "seed {seed}: an edge is missing");
        }
        assert_eq!(received, TOTAL);
    }
}
