//! What makes two failures the same.

use crate::failure::FailureKind;
use crate::sweep::cause::without_numbers;

/// The kind of a failure, what was said and where, without what differs from schedule to schedule:
/// the numbers of threads and objects, the values that an assertion shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cause {
    kind: FailureKind,
    message: String,
    /// Where threads wait; of deadlocks alone, whose messages are all the same.
    places: Vec<String>,
}

impl Cause {
    /// `places` are where threads wait for something else than the end of another one.
    pub(super) fn new(kind: FailureKind, message: &str, places: &[String]) -> Cause {
        // What follows the first line are values.
        let first = message.lines().next().unwrap_or_default();
        let message = without_numbers(first);
        let places = if kind == FailureKind::Deadlock { places.to_vec() } else { Vec::new() };
        Cause { kind, message, places }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panic(message: &str) -> Cause {
        Cause::new(FailureKind::Panic, message, &[])
    }

    #[test]
    fn numbers_do_not_count_and_places_do() {
        let one = panic("thread 1 panicked at src/a.rs:3:9: 0x2a is lost after 5ms\n left: 1");
        assert_eq!(one, panic("thread 20 panicked at src/a.rs:3:9: 7 is lost after 61s"));
        assert_ne!(one, panic("thread 1 panicked at src/a.rs:4:9: 7 is lost after 61s"));
        assert_ne!(one, panic("thread 1 panicked at src/a.rs:3:9: 7 is found after 61s"));
    }

    #[test]
    fn deadlocks_are_told_apart_by_where_threads_wait() {
        let deadlock =
            |place: &str| Cause::new(FailureKind::Deadlock, "stuck", &[place.to_owned()]);
        assert_eq!(deadlock("a"), deadlock("a"));
        assert_ne!(deadlock("a"), deadlock("b"));
        let law = |place: &str| Cause::new(FailureKind::Law, "broken", &[place.to_owned()]);
        assert_eq!(law("a"), law("b"));
    }
}
