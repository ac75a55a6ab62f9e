//! The receiving half of a connection: a buffer, reassembly, the window.
//!
//! The right edge of the window is the bytes read so far plus the size of the buffer. It never
//! moves back, so what fits into the window fits into the buffer; where a program makes the buffer
//! smaller, what the peer was promised before still fits.

use std::collections::{BTreeMap, VecDeque};

/// Bytes that a connection keeps for its program to read, unless the program says otherwise.
pub(crate) const RECEIVE_BUFFER: usize = 64 * 1024;

pub(super) struct ReceiveHalf {
    /// Bytes that the buffer is to hold.
    capacity: usize,
    /// The number expected next.
    next: u64,
    /// Bytes in order, not yet read.
    buffer: VecDeque<u8>,
    /// Bytes that came before their turn, by their first number.
    early: BTreeMap<u64, Vec<u8>>,
    /// The number of the peer's FIN, once one has come.
    fin_at: Option<u64>,
    /// The peer's FIN has been reached.
    ended: bool,
    /// The right edge of the window that the peer was told of last.
    told: u64,
}

impl ReceiveHalf {
    /// `next` is the first number expected.
    pub(super) fn new(next: u64, capacity: usize) -> ReceiveHalf {
        ReceiveHalf {
            capacity,
            next,
            buffer: VecDeque::new(),
            early: BTreeMap::new(),
            fin_at: None,
            ended: false,
            told: next,
        }
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(super) fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity;
    }

    pub(super) fn next(&self) -> u64 {
        self.next
    }

    pub(super) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    fn window(&self) -> u64 {
        self.edge() - self.next
    }

    /// The first number past the window.
    pub(super) fn edge(&self) -> u64 {
        let free = self.capacity.saturating_sub(self.buffer.len()) as u64;
        self.told.max(self.next + free)
    }

    /// The window, which the peer is about to be told.
    pub(super) fn advertise(&mut self) -> u64 {
        self.told = self.edge();
        self.window()
    }

    /// Whether the window has opened so much that the peer should hear of it: by half the buffer,
    /// so that a slow reader does not invite tiny segments.
    pub(super) fn should_tell(&self) -> bool {
        !self.ended && self.edge() - self.told >= self.capacity as u64 / 2
    }

    /// Takes bytes whose first has the number `seq`, as far as they are new and fit the window;
    /// true when there is more to read than before.
    pub(super) fn accept(&mut self, seq: u64, payload: &[u8]) -> bool {
        let from = seq.max(self.next);
        let to = (seq + payload.len() as u64).min(self.edge());
        if from >= to {
            return false;
        }
        let fresh = &payload[(from - seq) as usize..(to - seq) as usize];
        if from > self.next {
            let early = self.early.entry(from).or_default();
            if early.len() < fresh.len() {
                *early = fresh.to_vec();
            }
            return false;
        }
        self.append(fresh);
        while let Some((&seq, _)) = self.early.first_key_value()
            && seq <= self.next
        {
            let bytes = self.early.remove(&seq).unwrap_or_default();
            let known = (self.next - seq) as usize;
            if known < bytes.len() {
                self.append(&bytes[known..]);
            }
        }
        true
    }

    fn append(&mut self, bytes: &[u8]) {
        self.buffer.extend(bytes);
        self.next += bytes.len() as u64;
    }

    /// The peer's FIN has this number.
    pub(super) fn fin(&mut self, seq: u64) {
        self.fin_at = Some(seq);
    }

    /// Takes the peer's FIN when all bytes before it are here; true once.
    pub(super) fn reach_fin(&mut self) -> bool {
        if self.ended || self.fin_at != Some(self.next) {
            return false;
        }
        self.next += 1;
        self.ended = true;
        true
    }

    /// Copies the first bytes, which stay.
    pub(super) fn peek(&self, into: &mut [u8]) -> usize {
        let count = into.len().min(self.buffer.len());
        for (to, from) in into.iter_mut().zip(&self.buffer) {
            *to = *from;
        }
        count
    }

    /// Moves out the first bytes.
    pub(super) fn take(&mut self, into: &mut [u8]) -> usize {
        let count = self.peek(into);
        self.buffer.drain(..count);
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(half: &mut ReceiveHalf) -> Vec<u8> {
        let mut bytes = vec![0; RECEIVE_BUFFER];
        let count = half.take(&mut bytes);
        bytes.truncate(count);
        bytes
    }

    #[test]
    fn pieces_in_any_order_and_overlapping_are_put_together() {
        let mut half = ReceiveHalf::new(100, RECEIVE_BUFFER);
        assert!(!half.accept(106, b"ghi"));
        assert!(!half.accept(103, b"defg"));
        half.fin(109);
        assert!(!half.reach_fin());
        assert!(half.accept(100, b"abcd"));
        assert!(half.reach_fin());
        assert!(!half.reach_fin());
        assert!(!half.accept(100, b"abcd"));
        assert_eq!(read_all(&mut half), b"abcdefghi");
        assert_eq!(half.next(), 110);
    }

    #[test]
    fn nothing_past_the_window_is_kept() {
        let mut half = ReceiveHalf::new(0, RECEIVE_BUFFER);
        assert!(half.accept(0, &vec![1; RECEIVE_BUFFER + 10]));
        assert_eq!(half.advertise(), 0);
        assert!(!half.accept(RECEIVE_BUFFER as u64, b"x"));
        assert!(!half.should_tell());
        assert_eq!(read_all(&mut half).len(), RECEIVE_BUFFER);
        assert!(half.should_tell());
        half.advertise();
        assert!(!half.should_tell());
    }

    #[test]
    fn a_smaller_buffer_keeps_what_was_promised_and_a_larger_one_promises_more() {
        let mut half = ReceiveHalf::new(0, 10_000);
        assert_eq!(half.advertise(), 10_000);
        half.set_capacity(4_000);
        assert_eq!(half.advertise(), 10_000);
        assert!(half.accept(0, &[1; 10_000]));
        assert_eq!(half.advertise(), 0);
        assert_eq!(half.take(&mut [0; 9_000]), 9_000);
        assert_eq!(half.advertise(), 3_000);
        half.set_capacity(6_000);
        assert_eq!(half.advertise(), 5_000);
    }

    #[test]
    fn peeking_takes_nothing() {
        let mut half = ReceiveHalf::new(0, RECEIVE_BUFFER);
        half.accept(0, b"abc");
        let mut two = [0; 2];
        assert_eq!(half.peek(&mut two), 2);
        assert_eq!(&two, b"ab");
        assert_eq!(read_all(&mut half), b"abc");
    }
}
