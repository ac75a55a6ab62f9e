//! The TCP state machine of one connection. It knows numbers, bytes and times; addresses, links
//! and pollers are others' business: what it wants sent and told is collected until asked for.
//!
//! ```text
//!        connect                                       SYN at a listener
//!           │ SYN ►                                          │ SYN+ACK ►
//!           ▼                                                ▼
//!       SynSent ───── ◄ SYN: SYN+ACK ► ──────────────► SynReceived
//!           │ ◄ SYN+ACK: ACK ►                               │ ◄ ACK
//!           └──────────────────► Established ◄───────────────┘
//!                                  │      │
//!               shutdown or close  │      │  ◄ FIN: ACK ►
//!                           FIN ►  │      │
//!                                  ▼      ▼
//!                           FinWait1      CloseWait
//!              ◄ ACK of FIN  │    │             │ shutdown or close
//!                 ┌──────────┘    │ ◄ FIN       │ FIN ►
//!                 ▼               ▼             ▼
//!             FinWait2         Closing       LastAck
//!                 │ ◄ FIN         │ ◄ ACK       │ ◄ ACK of FIN
//!                 └──► TimeWait ◄─┘ of FIN      ▼
//!                          └── 60 s ────────► Closed
//! ```
//!
//! From every state a reset, a time-out or an abort leads to `Closed`. As on Linux,
//! - a reset is believed when it has exactly the number expected next, else answered with an
//!   acknowledgement, which makes a peer that knows nothing of the connection reset it properly;
//! - bytes that arrived before a reset can still be read, then the error is reported once;
//! - closing with bytes unread, or with linger zero, resets the connection;
//! - bytes that arrive after close reset it too;
//! - a closed connection that waits for its peer's FIN does so for 60 seconds, and one whose peer
//!   takes no more bytes is given up after eight retransmissions.

use std::io::{self, ErrorKind};
use std::net::Shutdown;

use super::options::TcpOptions;
use super::packet::Segment;
use super::poller::{Edges, Readiness};
use super::receive::ReceiveHalf;
use super::send::SendHalf;

/// Retransmissions of a SYN: after 1, 3, 7, 15, 31 and 63 seconds; then, 127 seconds after
/// `connect`, it has timed out.
const SYN_RETRIES: u32 = 6;
/// Retransmissions of a SYN+ACK.
const SYN_ACK_RETRIES: u32 = 5;
/// Retransmissions of a connection that its program has closed.
const DETACHED_RETRIES: u32 = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    SynSent,
    SynReceived,
    Established,
    FinWait1,
    FinWait2,
    CloseWait,
    Closing,
    LastAck,
    TimeWait,
    Closed,
}

impl State {
    /// As a report shows it.
    pub(super) fn label(self) -> &'static str {
        match self {
            State::SynSent => "connecting",
            State::SynReceived => "half open",
            State::Established => "established",
            State::FinWait1 | State::FinWait2 | State::Closing => "shut down for writing",
            State::CloseWait => "shut down by the peer",
            State::LastAck | State::TimeWait => "shut down",
            State::Closed => "closed",
        }
    }

    fn is_handshake(self) -> bool {
        matches!(self, State::SynSent | State::SynReceived)
    }
}

pub(super) struct Connection {
    state: State,
    send: SendHalf,
    receive: ReceiveHalf,
    /// Reported to the program once.
    error: Option<ErrorKind>,
    /// The program reads no more.
    read_shut: bool,
    /// The program has closed the socket.
    detached: bool,
    ack_due: bool,
    /// When the last segment that came in order was sent.
    echo: u64,
    outgoing: Vec<Segment>,
    edges: Edges,
}

impl Connection {
    /// A connection that sends its SYN, numbered `initial`.
    pub(super) fn connect(initial: u64, options: &TcpOptions, now: u64) -> Connection {
        let mut connection = Connection {
            state: State::SynSent,
            send: SendHalf::new(initial, now),
            receive: ReceiveHalf::new(0, options.receive_buffer),
            error: None,
            read_shut: false,
            detached: false,
            ack_due: false,
            echo: 0,
            outgoing: Vec::new(),
            edges: Edges::default(),
        };
        connection.send.set_nodelay(options.nodelay);
        connection.send.set_capacity(options.send_buffer);
        connection.send_syn();
        connection
    }

    /// A connection that answers `syn` with its own, numbered `initial`.
    pub(super) fn answer(
        initial: u64,
        syn: &Segment,
        options: &TcpOptions,
        now: u64,
    ) -> Connection {
        let mut connection = Connection::connect(initial, options, now);
        connection.outgoing.clear();
        connection.state = State::SynReceived;
        connection.receive = ReceiveHalf::new(syn.seq + 1, options.receive_buffer);
        connection.echo = syn.sent;
        connection.send_syn();
        connection
    }

    pub(super) fn state(&self) -> State {
        self.state
    }

    /// Whether both ends know each other.
    pub(super) fn is_connected(&self) -> bool {
        !self.state.is_handshake() && !matches!(self.state, State::TimeWait | State::Closed)
    }

    /// Whether only time will end it.
    pub(super) fn waits_out(&self) -> bool {
        match self.state {
            State::TimeWait => true,
            State::FinWait2 => self.detached,
            _ => false,
        }
    }

    /// Whether `syn` opens a new connection between the ends of this one, which has ended.
    pub(super) fn yields_to(&self, syn: &Segment) -> bool {
        self.state == State::TimeWait
            && syn.syn
            && syn.ack.is_none()
            && syn.seq > self.receive.next()
    }

    /// When [`Connection::on_timer`] is to be called.
    pub(super) fn deadline(&self) -> Option<u64> {
        self.send.timer().deadline()
    }

    /// What is to be sent, and what pollers are to hear, since the last call.
    pub(super) fn take_output(&mut self, now: u64) -> (Vec<Segment>, Edges) {
        let mut segments = std::mem::take(&mut self.outgoing);
        segments.iter_mut().for_each(|segment| segment.sent = now);
        (segments, std::mem::take(&mut self.edges))
    }

    pub(super) fn readiness(&self) -> Readiness {
        if self.state.is_handshake() {
            return Readiness::default();
        }
        let closed = self.state == State::Closed;
        let read_ended = closed || self.read_shut || self.receive.has_ended();
        let write_ended = closed || self.send.is_finished();
        Readiness {
            readable: read_ended || !self.receive.is_empty(),
            writable: write_ended || self.send.has_room(),
            read_ended,
            hang_up: read_ended && write_ended,
            error: self.error.is_some(),
        }
    }

    // What the program does.

    pub(super) fn read(&mut self, into: &mut [u8], now: u64) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        if self.receive.is_empty() {
            return self.read_nothing();
        }
        let count = self.receive.take(into);
        if self.is_connected() && self.receive.should_tell() {
            self.ack_due = true;
            self.flush(now);
        }
        Ok(count)
    }

    pub(super) fn peek(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        if self.receive.is_empty() {
            return self.read_nothing();
        }
        Ok(self.receive.peek(into))
    }

    /// What reading answers when there are no bytes.
    fn read_nothing(&mut self) -> io::Result<usize> {
        if self.receive.has_ended() {
            return Ok(0);
        }
        if let Some(error) = self.error.take() {
            return Err(error.into());
        }
        if self.read_shut || self.state == State::Closed {
            return Ok(0);
        }
        Err(ErrorKind::WouldBlock.into())
    }

    pub(super) fn write(&mut self, bytes: &[u8], now: u64) -> io::Result<usize> {
        if let Some(error) = self.error.take() {
            return Err(error.into());
        }
        if self.send.is_finished() {
            return Err(ErrorKind::BrokenPipe.into());
        }
        if self.state.is_handshake() {
            return Err(ErrorKind::WouldBlock.into());
        }
        if bytes.is_empty() {
            return Ok(0);
        }
        let count = self.send.write(bytes);
        if count == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.flush(now);
        Ok(count)
    }

    pub(super) fn shutdown(&mut self, how: Shutdown, now: u64) -> io::Result<()> {
        if !self.is_connected() {
            return Err(ErrorKind::NotConnected.into());
        }
        if matches!(how, Shutdown::Read | Shutdown::Both) {
            self.read_shut = true;
        }
        if matches!(how, Shutdown::Write | Shutdown::Both) {
            self.finish();
        }
        self.edges = Edges::BOTH;
        self.flush(now);
        Ok(())
    }

    pub(super) fn take_error(&mut self) -> Option<ErrorKind> {
        self.error.take()
    }

    /// The program has changed an option.
    pub(super) fn apply(&mut self, options: &TcpOptions, now: u64) {
        let had_room = self.send.has_room();
        self.send.set_nodelay(options.nodelay);
        self.send.set_capacity(options.send_buffer);
        self.edges.write |= !had_room && self.send.has_room();
        self.receive.set_capacity(options.receive_buffer);
        if self.is_connected() && self.receive.should_tell() {
            self.ack_due = true;
        }
        self.flush(now);
    }

    /// The program closes the socket; `reset` when it has asked for linger zero.
    pub(super) fn close(&mut self, reset: bool, now: u64) {
        self.detached = true;
        match self.state {
            State::Closed => {}
            State::SynSent | State::SynReceived => self.abort(),
            _ if reset || !self.receive.is_empty() => self.abort(),
            _ => {
                self.finish();
                self.flush(now);
            }
        }
    }

    fn finish(&mut self) {
        if self.send.is_finished() {
            return;
        }
        self.send.finish();
        self.state = match self.state {
            State::Established => State::FinWait1,
            State::CloseWait => State::LastAck,
            state => state,
        };
    }

    // What ends it.

    /// Ends it here and, by a reset, at the peer.
    pub(super) fn abort(&mut self) {
        if self.is_connected() || self.state == State::SynReceived {
            let segment = Segment { rst: true, ..self.segment(self.send.next()) };
            self.outgoing.push(segment);
        }
        self.end();
    }

    /// Ends it here, with an error for the program.
    pub(super) fn fail(&mut self, error: ErrorKind) {
        self.error = Some(error);
        self.end();
    }

    /// Ends it here.
    pub(super) fn end(&mut self) {
        self.state = State::Closed;
        self.send.clear();
        self.edges = Edges::BOTH;
        self.ack_due = false;
    }

    // What arrives.

    pub(super) fn on_segment(&mut self, segment: &Segment, now: u64) {
        match self.state {
            State::Closed => {}
            State::SynSent => self.on_answer(segment, now),
            State::SynReceived => {
                if self.completes_handshake(segment, now) {
                    self.on_synchronized(segment, now);
                }
            }
            _ => self.on_synchronized(segment, now),
        }
        self.flush(now);
    }

    /// The answer to a SYN.
    fn on_answer(&mut self, segment: &Segment, now: u64) {
        if let Some(ack) = segment.ack
            && ack != self.send.next()
        {
            // A remnant of an earlier connection at the peer.
            self.outgoing.extend(segment.refusal());
            return;
        }
        if segment.rst {
            if segment.ack.is_some() {
                self.fail(ErrorKind::ConnectionRefused);
            }
            return;
        }
        if !segment.syn {
            return;
        }
        self.receive = ReceiveHalf::new(segment.seq + 1, self.receive.capacity());
        self.echo = segment.sent;
        match segment.ack {
            Some(ack) => {
                self.establish(ack, segment, now);
                self.ack_due = true;
            }
            None => {
                // Both ends connect to each other at the same time.
                self.state = State::SynReceived;
                self.send_syn();
            }
        }
    }

    /// What comes for a half-open connection; true when that establishes it.
    fn completes_handshake(&mut self, segment: &Segment, now: u64) -> bool {
        if segment.rst {
            if segment.seq == self.receive.next() {
                self.fail(ErrorKind::ConnectionReset);
            }
            return false;
        }
        match segment.ack {
            Some(ack) if ack == self.send.next() => {
                self.establish(ack, segment, now);
                true
            }
            Some(_) => {
                self.outgoing.extend(segment.refusal());
                false
            }
            None => {
                if segment.syn {
                    self.send_syn();
                }
                false
            }
        }
    }

    fn establish(&mut self, ack: u64, segment: &Segment, now: u64) {
        self.state = State::Established;
        self.send.on_ack(ack, segment, now);
        self.edges = Edges::BOTH;
    }

    /// A segment for a connection that both ends know.
    fn on_synchronized(&mut self, segment: &Segment, now: u64) {
        let next = self.receive.next();
        // A FIN may stand right after a window that is full.
        let acceptable =
            segment.seq + segment.length() >= next && segment.seq <= self.receive.edge() + 1;
        if segment.rst {
            if segment.seq == next {
                self.on_reset();
            } else if acceptable {
                self.ack_due = true;
            }
            return;
        }
        let Some(ack) = segment.ack else {
            self.ack_due = segment.syn;
            return;
        };
        if segment.syn || !acceptable || ack > self.send.next() {
            self.ack_due = true;
            return;
        }
        if segment.seq <= next {
            self.echo = self.echo.max(segment.sent);
        }
        self.on_ack(ack, segment, now);
        if self.state == State::Closed {
            return;
        }
        let bytes_end = segment.seq + segment.payload.len() as u64;
        if self.detached && !self.receive.has_ended() && bytes_end > next {
            self.abort();
            return;
        }
        if segment.length() > 0 {
            self.ack_due = true;
        }
        if self.receive.has_ended() {
            return;
        }
        self.edges.read |= self.receive.accept(segment.seq, &segment.payload);
        if segment.fin {
            self.receive.fin(bytes_end);
        }
        if self.receive.reach_fin() {
            self.on_fin();
        }
    }

    fn on_ack(&mut self, ack: u64, segment: &Segment, now: u64) {
        let had_room = self.send.has_room();
        self.send.on_ack(ack, segment, now);
        self.edges.write |= !had_room && self.send.has_room();
        if self.send.fin_acknowledged() {
            match self.state {
                State::FinWait1 => self.state = State::FinWait2,
                State::Closing => self.state = State::TimeWait,
                State::LastAck => self.end(),
                _ => {}
            }
        }
    }

    /// The peer writes no more.
    fn on_fin(&mut self) {
        self.edges.read = true;
        // When both directions have ended, writers hear of it too.
        self.edges.write |= self.send.is_finished();
        self.state = match self.state {
            State::Established => State::CloseWait,
            State::FinWait1 => State::Closing,
            State::FinWait2 => State::TimeWait,
            state => state,
        };
    }

    fn on_reset(&mut self) {
        match self.state {
            State::Closing | State::LastAck | State::TimeWait => self.end(),
            State::CloseWait => self.fail(ErrorKind::BrokenPipe),
            _ => self.fail(ErrorKind::ConnectionReset),
        }
    }

    /// The deadline has come.
    pub(super) fn on_timer(&mut self, now: u64) {
        let retries = self.send.timer().retries();
        match self.state {
            State::Closed | State::TimeWait => {}
            State::SynSent | State::SynReceived => {
                let most = if self.state == State::SynSent { SYN_RETRIES } else { SYN_ACK_RETRIES };
                if retries >= most {
                    self.fail(ErrorKind::TimedOut);
                } else {
                    self.send.on_handshake_timeout(now);
                    self.send_syn();
                }
            }
            _ if self.detached && retries >= DETACHED_RETRIES => self.abort(),
            _ if self.send.timer().gives_up(now) => self.fail(ErrorKind::TimedOut),
            _ => {
                if !self.send.on_timeout(now) {
                    // A number that the peer has had makes it tell its window.
                    let probe = self.segment(self.send.unacknowledged() - 1);
                    self.outgoing.push(probe);
                }
                self.flush(now);
            }
        }
    }

    // What goes out.

    /// Sends SYN, or SYN and acknowledgement.
    fn send_syn(&mut self) {
        let seq = self.send.unacknowledged();
        let mut segment = Segment { syn: true, ..self.segment(seq) };
        if self.state == State::SynSent {
            segment.ack = None;
        }
        self.outgoing.push(segment);
    }

    /// Sends what may go out, and an acknowledgement if one is due that nothing carried.
    fn flush(&mut self, now: u64) {
        if self.state == State::Closed || self.state.is_handshake() {
            return;
        }
        while let Some(piece) = self.send.next_piece(now) {
            let segment =
                Segment { fin: piece.fin, payload: piece.payload, ..self.segment(piece.seq) };
            self.outgoing.push(segment);
        }
        if self.ack_due {
            let segment = self.segment(self.send.next());
            self.outgoing.push(segment);
        }
    }

    /// An empty segment that acknowledges what has arrived.
    fn segment(&mut self, seq: u64) -> Segment {
        self.ack_due = false;
        Segment {
            seq,
            ack: Some(self.receive.next()),
            window: self.receive.advertise(),
            echo: self.echo,
            ..Segment::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two connected ends, with an ideal wire between them.
    fn pair() -> (Connection, Connection) {
        let options = TcpOptions::default();
        let mut client = Connection::connect(1_000, &options, 0);
        let (sent, _) = client.take_output(0);
        let mut server = Connection::answer(2_000, &sent[0], &options, 0);
        exchange(&mut client, &mut server);
        assert_eq!((client.state, server.state), (State::Established, State::Established));
        (client, server)
    }

    /// Carries segments to and fro until neither end sends any.
    fn exchange(client: &mut Connection, server: &mut Connection) {
        loop {
            let (from_client, _) = client.take_output(0);
            let (from_server, _) = server.take_output(0);
            if from_client.is_empty() && from_server.is_empty() {
                return;
            }
            from_client.iter().for_each(|segment| server.on_segment(segment, 0));
            from_server.iter().for_each(|segment| client.on_segment(segment, 0));
        }
    }

    #[test]
    fn one_end_closes_after_the_other() {
        let (mut client, mut server) = pair();
        client.close(false, 0);
        exchange(&mut client, &mut server);
        assert_eq!((client.state, server.state), (State::FinWait2, State::CloseWait));
        server.close(false, 0);
        exchange(&mut client, &mut server);
        assert_eq!((client.state, server.state), (State::TimeWait, State::Closed));
    }

    #[test]
    fn both_ends_close_at_once() {
        let (mut client, mut server) = pair();
        client.close(false, 0);
        server.close(false, 0);
        exchange(&mut client, &mut server);
        assert_eq!((client.state, server.state), (State::TimeWait, State::TimeWait));
    }

    #[test]
    fn both_ends_connect_at_once() {
        let mut one = Connection::connect(1_000, &TcpOptions::default(), 0);
        let mut other = Connection::connect(2_000, &TcpOptions::default(), 0);
        exchange(&mut one, &mut other);
        assert_eq!((one.state, other.state), (State::Established, State::Established));
        assert_eq!(one.write(b"hello", 0).unwrap(), 5);
        exchange(&mut one, &mut other);
        let mut bytes = [0; 8];
        assert_eq!(other.read(&mut bytes, 0).unwrap(), 5);
    }

    #[test]
    fn a_reset_is_believed_only_with_the_number_expected() {
        let (mut client, mut server) = pair();
        let reset = |seq| Segment { seq, rst: true, ..Segment::default() };
        client.on_segment(&reset(2_500), 0);
        assert_eq!(client.state, State::Established);
        assert_eq!(client.take_output(0).0.len(), 1, "it is answered");
        client.on_segment(&reset(200_000), 0);
        assert!(client.take_output(0).0.is_empty());
        server.write(b"last words", 0).unwrap();
        server.take_output(0).0.iter().for_each(|segment| client.on_segment(segment, 0));
        client.on_segment(&reset(2_011), 0);
        assert_eq!(client.state, State::Closed);
        // What came before it is read, then the error comes once, then the end.
        let mut bytes = [0; 16];
        assert_eq!(client.read(&mut bytes, 0).unwrap(), 10);
        let error = client.read(&mut bytes, 0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert_eq!(client.read(&mut bytes, 0).unwrap(), 0);
        let error = client.write(b"x", 0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    }

    #[test]
    fn closing_with_bytes_unread_resets() {
        let (mut client, mut server) = pair();
        client.write(b"unread", 0).unwrap();
        exchange(&mut client, &mut server);
        server.close(false, 0);
        exchange(&mut client, &mut server);
        assert_eq!(client.take_error(), Some(ErrorKind::ConnectionReset));
        assert_eq!((client.state, server.state), (State::Closed, State::Closed));
    }

    #[test]
    fn bytes_for_a_closed_socket_reset() {
        let (mut client, mut server) = pair();
        server.close(false, 0);
        exchange(&mut client, &mut server);
        client.write(b"too late", 0).unwrap();
        exchange(&mut client, &mut server);
        assert_eq!(server.state, State::Closed);
        assert_eq!(client.take_error(), Some(ErrorKind::BrokenPipe));
    }

    #[test]
    fn a_stale_answer_to_a_syn_is_refused() {
        let mut client = Connection::connect(1_000, &TcpOptions::default(), 0);
        client.take_output(0);
        let stale = Segment { seq: 7, ack: Some(900), syn: true, ..Segment::default() };
        client.on_segment(&stale, 0);
        let (sent, _) = client.take_output(0);
        assert_eq!(sent, [Segment { seq: 900, rst: true, ..Segment::default() }]);
        assert_eq!(client.state, State::SynSent);
    }
}
