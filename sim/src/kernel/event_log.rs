//! What one run writes down of itself, to be compared with another run of its seed: which event is
//! the first that differs, once it is known that one does.

use super::event::Event;
use super::recording::{Position, Recording};

/// What two runs of a seed are compared by.
pub(crate) enum EventLog {
    Off,
    /// The end of a run that comes near its limit of steps.
    Last(Vec<Event>),
    /// The first run writes its events down.
    Record(Recording),
    /// The second compares as it goes.
    Compare {
        first: Recording,
        reached: Position,
    },
}

impl EventLog {
    /// Writes the event down, or compares it; the message says how it differs.
    #[cold]
    pub(super) fn note(&mut self, event: Event) -> Option<String> {
        match self {
            EventLog::Off => None,
            EventLog::Last(events) => {
                events.push(event);
                None
            }
            EventLog::Record(recording) => {
                recording.push(event);
                None
            }
            EventLog::Compare { first, reached } => {
                let index = reached.events();
                match first.read(reached) {
                    Some(recorded) if recorded.same(&event) => None,
                    Some(recorded) => Some(format!(
                        "two runs of one seed differ, first at event {index}:\n    first run:  \
                         {recorded}\n    second run: {event}"
                    )),
                    None => Some(format!(
                        "two runs of one seed differ: the first ended after {index} events, the \
                         second went on with\n    {event}"
                    )),
                }
            }
        }
    }

    /// The second run ended before it did all that the first one had done.
    pub(super) fn ended_early(&self) -> Option<String> {
        let EventLog::Compare { first, reached } = self else { return None };
        let event = first.read(&mut reached.clone())?;
        let events = reached.events();
        Some(format!(
            "two runs of one seed differ: the second ended after {events} events, the first went \
             on with\n    {event}"
        ))
    }
}
