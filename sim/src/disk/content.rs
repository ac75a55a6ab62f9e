//! The content of one file: what programs see, and what a crash leaves of it.

use std::collections::BTreeSet;
use std::ops::Range;

use super::Surroundings;

/// What a disk writes as a whole, in bytes.
const SECTOR: usize = 512;

/// A file's bytes, twice.
///
/// ```text
///   write, set_len ──► cached ──── save: the dirty sectors, and the length ────► durable
///                        ▲                                                          │
///                        └───────── crash: the durable bytes, perhaps with ─────────┘
///                                   some of the dirty sectors
/// ```
#[derive(Debug, Default)]
pub(super) struct Content {
    /// What programs read.
    cached: Vec<u8>,
    /// What is on the disk for certain.
    durable: Vec<u8>,
    /// The sectors of `cached` that were changed since they were last saved.
    dirty: BTreeSet<usize>,
    /// The shortest that the file has been since it was last saved.
    shortest: usize,
}

/// The sectors that hold these bytes.
fn sectors(bytes: Range<usize>) -> Range<usize> {
    bytes.start / SECTOR..bytes.end.div_ceil(SECTOR)
}

impl Content {
    pub(super) fn len(&self) -> usize {
        self.cached.len()
    }

    /// Copies what is there from `offset` on.
    pub(super) fn read(&self, offset: u64, buffer: &mut [u8]) -> usize {
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = self.cached.get(offset..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        count
    }

    /// Puts `bytes` at `offset`; what lies between the end and it becomes zeros.
    pub(super) fn write(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset + bytes.len();
        if end > self.cached.len() {
            self.set_len(end);
        }
        self.cached[offset..end].copy_from_slice(bytes);
        self.dirty.extend(sectors(offset..end));
    }

    pub(super) fn set_len(&mut self, length: usize) {
        let before = self.cached.len();
        self.cached.resize(length, 0);
        self.shortest = self.shortest.min(length);
        if length > before {
            self.dirty.extend(sectors(before..length));
        } else {
            let end = length.div_ceil(SECTOR);
            self.dirty.retain(|sector| *sector < end);
        }
    }

    /// The bytes of a sector, as far as a content of `length` bytes has them.
    fn bytes_of(sector: usize, length: usize) -> Range<usize> {
        let start = (sector * SECTOR).min(length);
        start..(start + SECTOR).min(length)
    }

    /// Makes the content durable.
    pub(super) fn save(&mut self) {
        let length = self.cached.len();
        self.durable.resize(length, 0);
        self.shortest = length;
        for sector in std::mem::take(&mut self.dirty) {
            let bytes = Content::bytes_of(sector, length);
            self.durable[bytes.clone()].copy_from_slice(&self.cached[bytes]);
        }
    }

    /// A sync has failed: as on Linux, what was to be written counts as written from here on, and
    /// the next sync succeeds without having saved it.
    pub(super) fn fail_save(&mut self) {
        self.dirty.clear();
    }

    /// The machine loses its power: what is not durable is lost, or was written back in time, or
    /// parts of it were.
    pub(super) fn crash(&mut self, s: &mut impl Surroundings) {
        let pending = !self.dirty.is_empty() || self.cached.len() != self.durable.len();
        if pending {
            match s.choose(3) {
                0 => {}
                1 => self.save(),
                _ => self.tear(s),
            }
        }
        self.dirty.clear();
        self.cached.clone_from(&self.durable);
        self.shortest = self.durable.len();
    }

    /// Of the length and of each dirty sector a decision says whether it reached the disk. What
    /// was cut off and lies within the new length, or was never written, is zeros.
    fn tear(&mut self, s: &mut impl Surroundings) {
        let (before, now) = (self.durable.len(), self.cached.len());
        let has_changed = now != before || self.shortest < before;
        // Such as a file that is truncated and written anew: empty, for a while.
        let was_shorter = self.shortest < before.min(now);
        match s.choose(1 + u64::from(has_changed) + u64::from(was_shorter)) {
            0 => {}
            1 => {
                self.durable.truncate(self.shortest);
                self.durable.resize(now, 0);
            }
            _ => self.durable.truncate(self.shortest),
        }
        let length = self.durable.len().min(now);
        for sector in &self.dirty {
            let bytes = Content::bytes_of(*sector, length);
            if !bytes.is_empty() && s.choose(2) == 1 {
                self.durable[bytes.clone()].copy_from_slice(&self.cached[bytes]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Script;
    use super::*;

    fn read(content: &Content) -> Vec<u8> {
        let mut bytes = vec![0; content.len() + 1];
        let count = content.read(0, &mut bytes);
        bytes.truncate(count);
        bytes
    }

    fn saved(bytes: &[u8]) -> Content {
        let mut content = Content::default();
        content.write(0, bytes);
        content.save();
        content
    }

    #[test]
    fn writes_and_lengths_show_at_once() {
        let mut content = Content::default();
        content.write(2, b"abc");
        assert_eq!(read(&content), b"\0\0abc");
        content.set_len(3);
        content.set_len(5);
        assert_eq!(read(&content), b"\0\0a\0\0");
        assert_eq!(content.read(u64::MAX, &mut [0; 4]), 0);
    }

    #[test]
    fn a_crash_keeps_what_was_saved_and_may_lose_the_rest() {
        let mut content = saved(b"old");
        content.write(0, b"newer");
        content.crash(&mut Script::new(&[0]));
        assert_eq!(read(&content), b"old");

        content.write(0, b"newer");
        content.crash(&mut Script::new(&[1]));
        assert_eq!(read(&content), b"newer");
        // Nothing is pending, so nothing is to be decided.
        content.crash(&mut Script::new(&[]));
        assert_eq!(read(&content), b"newer");
    }

    #[test]
    fn a_torn_write_is_torn_between_sectors() {
        let mut content = saved(&[1; 3 * SECTOR]);
        content.write(0, &[2; 3 * SECTOR]);
        content.crash(&mut Script::new(&[2, 0, 1, 0]));
        let bytes = read(&content);
        let [first, second, third] = [0, 1, 2].map(|sector| &bytes[sector * SECTOR..][..SECTOR]);
        assert!(first.iter().chain(third).all(|byte| *byte == 1));
        assert!(second.iter().all(|byte| *byte == 2));
    }

    #[test]
    fn a_length_without_its_sectors_is_zeros() {
        let mut content = saved(b"");
        content.write(0, &[7; SECTOR + 1]);
        content.crash(&mut Script::new(&[2, 1, 0, 1]));
        let bytes = read(&content);
        assert_eq!(bytes.len(), SECTOR + 1);
        assert!(bytes[..SECTOR].iter().all(|byte| *byte == 0));
        assert_eq!(bytes[SECTOR], 7);

        let mut content = saved(b"");
        content.write(0, b"lost");
        content.crash(&mut Script::new(&[2, 0]));
        assert_eq!(content.len(), 0, "sectors beyond the length are not asked for");
    }

    #[test]
    fn a_file_that_was_truncated_to_be_written_anew_may_be_left_empty_or_zeros() {
        let cases: [(&[u64], &[u8]); 7] = [
            (&[0], b"old"),
            (&[1], b"newer"),
            (&[2, 0, 0], b"old"),
            (&[2, 0, 1], b"new"),
            (&[2, 1, 0], b"\0\0\0\0\0"),
            (&[2, 1, 1], b"newer"),
            (&[2, 2], b""),
        ];
        for (answers, left) in cases {
            let mut content = saved(b"old");
            content.set_len(0);
            content.write(0, b"newer");
            content.crash(&mut Script::new(answers));
            assert_eq!(read(&content), left, "{answers:?}");
        }
    }

    #[test]
    fn a_shorter_length_is_durable_once_it_is_saved() {
        let mut content = saved(&[1; 2 * SECTOR]);
        content.set_len(10);
        content.crash(&mut Script::new(&[0]));
        assert_eq!(content.len(), 2 * SECTOR);
        content.set_len(10);
        content.save();
        content.crash(&mut Script::new(&[]));
        assert_eq!(content.len(), 10);
    }

    #[test]
    fn what_a_failed_sync_was_to_save_is_not_saved_by_the_next() {
        let mut content = saved(b"old");
        content.write(0, b"new");
        content.fail_save();
        content.save();
        assert_eq!(read(&content), b"new");
        content.crash(&mut Script::new(&[]));
        assert_eq!(read(&content), b"old");
    }
}
