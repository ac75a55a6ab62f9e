//! Messages that are counted while they are there.

use std::cell::Cell;
use std::rc::Rc;

/// How many messages there are.
#[derive(Clone, Default)]
pub(crate) struct Ledger(Rc<Cell<usize>>);

impl Ledger {
    /// A new message.
    pub(crate) fn issue(&self, number: u64) -> Message {
        self.0.set(self.0.get() + 1);
        Message { number, ledger: self.clone() }
    }

    /// How many messages there are, clones included.
    pub(crate) fn count(&self) -> usize {
        self.0.get()
    }
}

/// A message that is counted while it is there.
pub(crate) struct Message {
    number: u64,
    ledger: Ledger,
}

impl Message {
    pub(crate) fn number(&self) -> u64 {
        self.number
    }
}

impl Clone for Message {
    fn clone(&self) -> Message {
        self.ledger.issue(self.number)
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        let count = self.ledger.0.get().checked_sub(1);
        self.ledger.0.set(count.expect("a message is dropped twice"));
    }
}
