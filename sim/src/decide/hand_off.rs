//! The hand-offs of a run: from what one thread was about to do to what another one was. Which of
//! them a run has is how a corpus tells that it came to something new.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;

use crate::kernel::event::Operation;

/// Fixed, so that a hand-off is the same number in every run and process.
const SEED: u64 = 0x636f_7270;

/// The hand-offs that one run had, or several, each a number.
#[derive(Default)]
pub(crate) struct HandOffs(BTreeSet<u64>);

impl HandOffs {
    /// The processor goes from a thread that was about to do `left` to one that does `entered`.
    pub(super) fn note(&mut self, left: Operation, entered: Operation) {
        self.0.insert(number(left, entered));
    }

    /// Whether one of these is not among `known`.
    pub(crate) fn go_beyond(&self, known: &HandOffs) -> bool {
        !self.0.is_subset(&known.0)
    }

    /// These are known from now on as well.
    pub(crate) fn add(&mut self, others: &HandOffs) {
        self.0.extend(&others.0);
    }
}

/// Of both operations the place and the kind, which tells what kind of object it is done to; and
/// whether they are done to the same object. Not the objects' numbers: those of a program that
/// makes many would be new for ever.
fn number(left: Operation, entered: Operation) -> u64 {
    let mut hasher = FixedState::with_seed(SEED).build_hasher();
    for operation in [&left, &entered] {
        hasher.write_u8(operation.kind as u8);
        hasher.write(operation.place.file().as_bytes());
        hasher.write_u32(operation.place.line());
        hasher.write_u32(operation.place.column());
    }
    let object =
        |operation: &Operation| operation.access().map(|(family, object, _)| (family, object));
    let both = object(&left).zip(object(&entered));
    hasher.write_u8(u8::from(both.is_some_and(|(left, entered)| left == entered)));
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::panic::Location;

    use super::*;
    use crate::kernel::event::{ObjectId, OperationKind};

    #[track_caller]
    fn posted(kind: OperationKind, object: ObjectId) -> Operation {
        Operation::new(kind, object, Location::caller())
    }

    #[test]
    fn places_kinds_order_and_sameness_count_and_numbers_do_not() {
        let load = |object| posted(OperationKind::Load, object);
        let store = |object| posted(OperationKind::Store, object);
        let base = number(load(1), store(1));
        assert_eq!(base, number(load(2), store(2)), "the number of the object");
        assert_ne!(base, number(load(1), store(2)), "another object");
        assert_ne!(base, number(store(1), load(1)), "the other way round");
        assert_ne!(base, number(load(1), posted(OperationKind::Store, 1)), "another place");
        let place = load(1).place;
        let exchange = Operation::new(OperationKind::ReadModifyWrite, 1, place);
        assert_ne!(base, number(exchange, store(1)), "another kind");
    }

    #[test]
    fn what_is_new_goes_beyond_what_is_known() {
        let operations = [1, 2].map(|object| posted(OperationKind::Store, object));
        let exit = posted(OperationKind::Exit, 0);
        let mut run = HandOffs::default();
        run.note(operations[0], operations[1]);
        let mut known = HandOffs::default();
        assert!(run.go_beyond(&known));
        known.add(&run);
        assert!(!run.go_beyond(&known) && !HandOffs::default().go_beyond(&known));
        run.note(operations[0], exit);
        assert!(run.go_beyond(&known) && !known.go_beyond(&run));
    }
}
