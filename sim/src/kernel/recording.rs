//! The events of a run, in order, in little memory: a run has millions, and what each of them
//! writes is most of what it costs to write them down.
//!
//! An event that came one step after the one before, and whose numbers are small, takes sixteen
//! bytes, and its time follows from the others'. Any other is kept whole beside them.

use std::panic::Location;

use super::clock::STEP;
use super::event::{Event, ObjectId, Operation, OperationKind};

/// An event without its time. Of one that is kept whole only the place is here.
struct Brief {
    place: &'static Location<'static>,
    answer: u32,
    object: u16,
    thread: u8,
    /// `None` if the event is kept whole.
    kind: Option<OperationKind>,
}

/// See the module documentation.
#[derive(Default)]
pub(crate) struct Recording {
    briefs: Vec<Brief>,
    /// The events that are kept whole, in order.
    whole: Vec<Event>,
    /// The time of the last event.
    now: u64,
}

/// How far a recording has been read.
#[derive(Clone, Default)]
pub(crate) struct Position {
    /// Events that have been read.
    events: usize,
    /// How many of them were kept whole.
    whole: usize,
    /// The time of the last one.
    now: u64,
}

impl Position {
    /// How many events have been read.
    pub(super) fn events(&self) -> usize {
        self.events
    }
}

impl Recording {
    /// No events, in the memory of those that were there.
    pub(crate) fn emptied(mut self) -> Recording {
        self.briefs.clear();
        self.whole.clear();
        self.now = 0;
        self
    }

    #[inline]
    pub(super) fn push(&mut self, event: Event) {
        let Event { operation, thread, answer, now } = event;
        let is_next_step = now.wrapping_sub(self.now) == STEP;
        self.now = now;
        let place = operation.place;
        let small = (u32::try_from(answer), u16::try_from(operation.object), u8::try_from(thread));
        let brief = match small {
            (Ok(answer), Ok(object), Ok(thread)) if is_next_step => {
                Brief { place, answer, object, thread, kind: Some(operation.kind) }
            }
            _ => {
                self.whole.push(event);
                Brief { place, answer: 0, object: 0, thread: 0, kind: None }
            }
        };
        self.briefs.push(brief);
    }

    /// The event at this position, which moves behind it.
    #[inline]
    pub(super) fn read(&self, position: &mut Position) -> Option<Event> {
        let &Brief { place, answer, object, thread, kind } = self.briefs.get(position.events)?;
        position.events += 1;
        let event = match kind {
            Some(kind) => Event {
                operation: Operation::new(kind, ObjectId::from(object), place),
                thread: u32::from(thread),
                answer: u64::from(answer),
                now: position.now + STEP,
            },
            None => {
                position.whole += 1;
                self.whole[position.whole - 1]
            }
        };
        position.now = event.now;
        Some(event)
    }

    /// The last events, up to so many.
    pub(super) fn last(&self, count: usize) -> Vec<Event> {
        let mut position = Position::default();
        let events = std::iter::from_fn(|| self.read(&mut position));
        events.skip(self.briefs.len().saturating_sub(count)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(object: ObjectId, thread: u32, answer: u64, now: u64) -> Event {
        let operation = Operation::new(OperationKind::Load, object, Location::caller());
        Event { operation, thread, answer, now }
    }

    /// Events that fit and events of which one number does not.
    fn events() -> Vec<Event> {
        let next = |steps: u64| 7 + steps * STEP;
        vec![
            event(0, 0, 0, 7),
            event(u32::from(u16::MAX), u32::from(u8::MAX), u64::from(u32::MAX), next(1)),
            event(1, 0, 2, next(2)),
            event(u32::MAX, 3, 4, next(3)),
            event(1, u32::MAX, 4, next(4)),
            event(1, 3, u64::MAX, next(5)),
            event(1, 3, 4, next(6)),
            event(1, 3, 4, next(6)),
            event(1, 3, 4, u64::MAX - STEP),
            event(5, 6, 7, u64::MAX),
        ]
    }

    fn recorded(mut recording: Recording) -> Recording {
        events().into_iter().for_each(|event| recording.push(event));
        recording
    }

    fn assert_same(read: &[Event], pushed: &[Event]) {
        assert_eq!(read.len(), pushed.len());
        for (read, pushed) in read.iter().zip(pushed) {
            assert!(read.same(pushed), "{read} was {pushed}");
            assert_eq!(read.operation.place, pushed.operation.place);
        }
    }

    #[test]
    fn what_is_read_is_what_was_pushed() {
        let recording = recorded(Recording::default());
        assert_same(&recording.last(usize::MAX), &events());
        assert_eq!(recording.whole.len(), 6, "those that do not fit");
        assert_same(&recorded(recording.emptied()).last(usize::MAX), &events());
    }

    #[test]
    fn the_last_events_are_those_at_the_end() {
        let recording = recorded(Recording::default());
        assert_same(&recording.last(3), &events()[7..]);
        assert_same(&Recording::default().last(3), &[]);
    }

    #[test]
    fn an_event_takes_sixteen_bytes_where_a_pointer_takes_eight() {
        assert!(size_of::<Brief>() <= size_of::<usize>() + 8);
    }
}
