//! The sending half of a connection: its buffer, what of it is in flight, what goes out next.
//!
//! ```text
//!     base = first byte not acknowledged      next          end
//!       │                                       │            │
//!       ▼                                       ▼            ▼
//!   ────┬───────────────────────────────────────┬────────────┬─────
//!       │ in flight                             │ to be sent │ FIN
//!   ────┴───────────────────────────────────────┴────────────┴─────
//! ```
//!
//! Up to `limit`, which the peer's window sets, bytes may be in flight. There is no congestion
//! window. Losses are repaired as in NewReno: three duplicate acknowledgements or the timer send
//! the first segment in flight again, and each acknowledgement of a part of what was then in
//! flight sends the next hole. An acknowledgement that echoes a time before the retransmission
//! answers the first transmission: that was late, not lost, and the repair ends (Eifel).

use std::collections::VecDeque;

use super::packet::{MAX_SEGMENT, Segment};
use super::retransmit::Retransmit;

/// Bytes that a connection keeps until its peer has acknowledged them, unless its program says
/// otherwise.
pub(crate) const SEND_BUFFER: usize = 64 * 1024;

/// Duplicate acknowledgements that stand for a loss.
const DUPLICATES: u32 = 3;

/// What one segment is to carry.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) seq: u64,
    pub(super) payload: Vec<u8>,
    pub(super) fin: bool,
}

pub(super) struct SendHalf {
    buffer: VecDeque<u8>,
    /// Bytes that the buffer takes.
    capacity: usize,
    /// The number of the first byte in the buffer.
    base: u64,
    /// The lowest number that the peer has not acknowledged.
    unacknowledged: u64,
    /// The lowest number that was never sent.
    next: u64,
    /// The first number past the peer's window. It never falls, so that an acknowledgement that
    /// was overtaken takes nothing back.
    limit: u64,
    /// The program writes no more: FIN follows the last byte.
    finished: bool,
    /// Small segments go out although others are in flight.
    nodelay: bool,
    duplicates: u32,
    /// Until this number is acknowledged, losses are being repaired.
    recover: Option<u64>,
    /// When that repair began.
    recover_since: u64,
    /// The first segment in flight goes out again.
    resend: bool,
    timer: Retransmit,
}

impl SendHalf {
    /// A half whose SYN, with the number `initial`, goes out now.
    pub(super) fn new(initial: u64, now: u64) -> SendHalf {
        let mut timer = Retransmit::new();
        timer.start(now);
        SendHalf {
            buffer: VecDeque::new(),
            capacity: SEND_BUFFER,
            base: initial + 1,
            unacknowledged: initial,
            next: initial + 1,
            limit: initial + 1,
            finished: false,
            nodelay: false,
            duplicates: 0,
            recover: None,
            recover_since: 0,
            resend: false,
            timer,
        }
    }

    pub(super) fn next(&self) -> u64 {
        self.next
    }

    pub(super) fn unacknowledged(&self) -> u64 {
        self.unacknowledged
    }

    pub(super) fn timer(&self) -> &Retransmit {
        &self.timer
    }

    /// A buffer that holds more than its new capacity takes no more until it has room.
    pub(super) fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity;
    }

    pub(super) fn set_nodelay(&mut self, nodelay: bool) {
        self.nodelay = nodelay;
    }

    pub(super) fn is_finished(&self) -> bool {
        self.finished
    }

    /// No bytes come after those written so far.
    pub(super) fn finish(&mut self) {
        self.finished = true;
    }

    /// The number after the last byte written: that of the FIN.
    fn end(&self) -> u64 {
        self.base + self.buffer.len() as u64
    }

    fn in_flight(&self) -> bool {
        self.unacknowledged < self.next
    }

    /// Whether the peer has acknowledged the FIN.
    pub(super) fn fin_acknowledged(&self) -> bool {
        self.finished && self.unacknowledged > self.end()
    }

    /// Whether so much is free that writing is worth while: a third of the buffer, as on Linux.
    pub(super) fn has_room(&self) -> bool {
        self.capacity.saturating_sub(self.buffer.len()) >= self.capacity / 3
    }

    /// Takes what fits of `bytes`.
    pub(super) fn write(&mut self, bytes: &[u8]) -> usize {
        let count = bytes.len().min(self.capacity.saturating_sub(self.buffer.len()));
        self.buffer.extend(&bytes[..count]);
        count
    }

    /// Takes an acknowledgement of `ack`, which is at most `next`, from `segment`.
    pub(super) fn on_ack(&mut self, ack: u64, segment: &Segment, now: u64) {
        let opens = ack + segment.window > self.limit;
        self.limit = self.limit.max(ack + segment.window);
        if ack > self.unacknowledged {
            let bytes = ack.min(self.end()).saturating_sub(self.base);
            self.buffer.drain(..bytes as usize);
            self.base += bytes;
            self.unacknowledged = ack;
            self.duplicates = 0;
            self.timer.progress(segment.echo, now, self.in_flight());
            match self.recover {
                Some(until) if ack < until && segment.echo >= self.recover_since => {
                    self.resend = true;
                }
                _ => self.recover = None,
            }
        } else if ack == self.unacknowledged {
            if !self.in_flight() {
                self.timer.heard(now);
                if opens {
                    // What waited for the window goes out now, with a timer of its own.
                    self.timer.stop();
                }
            } else if segment.length() == 0 && !opens {
                self.duplicates += 1;
                if self.duplicates == DUPLICATES && self.recover.is_none() {
                    self.send_again(now);
                }
            }
        }
    }

    fn send_again(&mut self, now: u64) {
        self.recover = Some(self.next);
        self.recover_since = now;
        self.resend = true;
    }

    /// The timer rang. True when the first segment in flight goes out again; false when nothing
    /// is in flight, and the peer's window is to be asked for.
    pub(super) fn on_timeout(&mut self, now: u64) -> bool {
        self.timer.back_off(now);
        if self.in_flight() {
            self.send_again(now);
        }
        self.resend
    }

    /// The SYN goes out again.
    pub(super) fn on_handshake_timeout(&mut self, now: u64) {
        self.timer.back_off(now);
    }

    /// What goes out now: called until it answers `None`.
    pub(super) fn next_piece(&mut self, now: u64) -> Option<Piece> {
        if std::mem::take(&mut self.resend) && self.in_flight() {
            return Some(self.first_in_flight());
        }
        let end = self.end();
        if self.next > end {
            return None;
        }
        let length = self.limit.saturating_sub(self.next).min(end - self.next).min(MAX_SEGMENT);
        let last = self.next + length == end;
        let fin = self.finished && last;
        if length == 0 && !fin {
            if !last {
                // The window is closed: the timer asks for it.
                self.timer.start(now);
            }
            return None;
        }
        // Nagle: a small segment waits while others are in flight, unless it is the last of all.
        if last && !fin && length < MAX_SEGMENT && self.in_flight() && !self.nodelay {
            return None;
        }
        let piece = self.piece(self.next, length, fin);
        self.next += length + u64::from(fin);
        self.timer.start(now);
        Some(piece)
    }

    fn first_in_flight(&self) -> Piece {
        let end = self.end();
        let sent = self.next.min(end);
        let length = sent.saturating_sub(self.unacknowledged).min(MAX_SEGMENT);
        let fin = self.next > end && self.unacknowledged + length == end;
        self.piece(self.unacknowledged, length, fin)
    }

    fn piece(&self, seq: u64, length: u64, fin: bool) -> Piece {
        let from = (seq - self.base) as usize;
        let payload = self.buffer.range(from..from + length as usize).copied().collect();
        Piece { seq, payload, fin }
    }

    /// The connection is over: nothing goes out any more.
    pub(super) fn clear(&mut self) {
        self.buffer.clear();
        self.finished = true;
        self.resend = false;
        self.timer.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A half whose SYN, number 0, is acknowledged, with a window of `window` bytes.
    fn open(window: u64) -> SendHalf {
        let mut half = SendHalf::new(0, 0);
        half.on_ack(1, &ack(window), 0);
        half
    }

    fn ack(window: u64) -> Segment {
        Segment { window, ..Segment::default() }
    }

    fn pieces(half: &mut SendHalf) -> Vec<(u64, usize, bool)> {
        let next = || half.next_piece(0).map(|piece| (piece.seq, piece.payload.len(), piece.fin));
        std::iter::from_fn(next).collect()
    }

    #[test]
    fn the_window_limits_what_is_in_flight() {
        let mut half = open(2_000);
        assert_eq!(half.write(&[7; 5_000]), 5_000);
        assert_eq!(pieces(&mut half), [(1, 1_460, false), (1_461, 540, false)]);
        half.on_ack(2_001, &ack(10_000), 0);
        half.finish();
        assert_eq!(
            pieces(&mut half),
            [(2_001, 1_460, false), (3_461, 1_460, false), (4_921, 80, true)]
        );
        half.on_ack(5_002, &ack(10_000), 0);
        assert!(half.fin_acknowledged());
        assert_eq!(half.timer().deadline(), None);
    }

    #[test]
    fn a_small_segment_waits_for_those_in_flight_unless_told_not_to() {
        let mut half = open(10_000);
        half.write(b"a");
        assert_eq!(pieces(&mut half), [(1, 1, false)]);
        half.write(b"b");
        assert!(pieces(&mut half).is_empty());
        half.set_nodelay(true);
        assert_eq!(pieces(&mut half), [(2, 1, false)]);
    }

    #[test]
    fn three_duplicates_send_the_first_hole_again_and_then_each_next_one() {
        let mut half = open(10_000);
        half.write(&[0; 4 * 1_460]);
        assert_eq!(pieces(&mut half).len(), 4);
        for _ in 0..3 {
            assert!(pieces(&mut half).is_empty());
            half.on_ack(1, &ack(10_000), 0);
        }
        assert_eq!(pieces(&mut half), [(1, 1_460, false)]);
        half.on_ack(2_921, &ack(7_080), 0);
        assert_eq!(pieces(&mut half), [(2_921, 1_460, false)]);
        half.on_ack(5_841, &ack(10_000), 0);
        assert!(pieces(&mut half).is_empty());
    }

    #[test]
    fn what_was_late_and_not_lost_is_not_repaired() {
        let mut half = open(10_000);
        half.write(&[0; 3 * 1_460]);
        assert_eq!(pieces(&mut half).len(), 3);
        assert!(half.on_timeout(500));
        assert_eq!(pieces(&mut half), [(1, 1_460, false)]);
        half.on_ack(1_461, &ack(8_540), 600);
        assert!(pieces(&mut half).is_empty());
    }

    #[test]
    fn the_timer_asks_for_a_closed_window() {
        let mut half = open(0);
        half.write(b"data");
        assert!(pieces(&mut half).is_empty());
        let at = half.timer().deadline().expect("the window will be asked for");
        assert!(!half.on_timeout(at));
        half.on_ack(1, &ack(100), at);
        assert_eq!(half.next_piece(at).map(|piece| piece.payload), Some(b"data".to_vec()));
        assert!(half.on_timeout(2 * at));
        assert_eq!(pieces(&mut half), [(1, 4, false)]);
    }

    #[test]
    fn a_full_buffer_takes_no_more_and_has_room_again_at_a_third() {
        let mut half = open(SEND_BUFFER as u64);
        assert_eq!(half.write(&vec![0; SEND_BUFFER + 1]), SEND_BUFFER);
        assert!(!half.has_room());
        assert_eq!(half.write(b"x"), 0);
        pieces(&mut half);
        half.on_ack(1 + 20_000, &ack(0), 0);
        assert!(!half.has_room());
        half.on_ack(1 + 22_000, &ack(0), 0);
        assert!(half.has_room());
    }
}
