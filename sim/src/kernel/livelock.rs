//! Threads that run on without progress, told from a run that is merely long: at the end of one
//! that reached its limit of steps, nothing is done that had not been done shortly before.

use std::collections::BTreeSet;

use super::event::Event;

/// How many of the last events are looked at. A limit of fewer steps tells too little.
pub(super) const WINDOW: u64 = 16_384;
/// The most operations that the message names.
const MOST_NAMED: usize = 6;

/// What the threads do over and over, if the second half of the last `WINDOW` events only repeats
/// the first: the same operations of the same threads, with the same answers. A thread that counts
/// anything which others can see does not.
pub(super) fn describe(events: &[Event]) -> Option<String> {
    let last = &events[events.len().checked_sub(WINDOW as usize / 2)?..];
    let key = |event: &Event| {
        let operation = event.operation;
        let what = (operation.kind as u8, operation.object, operation.place);
        (event.thread, what, event.answer)
    };
    let (before, after) = last.split_at(last.len() / 2);
    let before: BTreeSet<_> = before.iter().map(key).collect();
    if !after.iter().all(|event| before.contains(&key(event))) {
        return None;
    }
    let mut named: Vec<String> = Vec::new();
    for event in after {
        let kind = event.operation.kind.label();
        let name = format!("thread {}: {kind}, at {}", event.thread, event.operation.place);
        if !named.contains(&name) {
            if named.len() == MOST_NAMED {
                named.push("and more".to_owned());
                break;
            }
            named.push(name);
        }
    }
    Some(format!(
        "the threads run on without progress: of the last {} operations the second half only \
         repeats the first\n    {}",
        last.len(),
        named.join("\n    ")
    ))
}

#[cfg(test)]
mod tests {
    use std::panic::Location;

    use super::*;
    use crate::kernel::event::{Operation, OperationKind};

    fn loads(answer: impl Fn(u64) -> u64) -> Vec<Event> {
        let operation = Operation::new(OperationKind::Load, 1, Location::caller());
        let event = |step: u64| Event {
            operation,
            thread: (step % 2) as u32,
            answer: answer(step),
            now: step,
        };
        (0..WINDOW).map(event).collect()
    }

    #[test]
    fn what_repeats_is_a_livelock_and_what_counts_is_none() {
        let described = describe(&loads(|step| step % 3)).expect("three answers, over and over");
        assert!(described.contains("thread 1: atomic load, at "), "{described}");
        assert_eq!(describe(&loads(|step| step)), None);
        assert_eq!(describe(&loads(|_| 0)[..100]), None, "too few");
    }
}
