//! What one run writes down of itself, to be compared with another run of its seed.

use super::event::Event;

/// What two runs of a seed are compared by.
pub(crate) enum EventLog {
    Off,
    /// The end of a run that comes near its limit of steps.
    Last(Vec<Event>),
    /// The first run writes its events down.
    Record(Vec<Event>),
    /// The second compares as it goes.
    Compare {
        first: Vec<Event>,
        next: usize,
    },
}

impl EventLog {
    /// Writes the event down, or compares it; the message says how it differs.
    #[cold]
    pub(super) fn note(&mut self, event: Event) -> Option<String> {
        match self {
            EventLog::Off => None,
            EventLog::Last(events) | EventLog::Record(events) => {
                events.push(event);
                None
            }
            EventLog::Compare { first, next } => {
                let index = *next;
                *next += 1;
                match first.get(index) {
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
        let EventLog::Compare { first, next } = self else { return None };
        let event: &Event = first.get(*next)?;
        Some(format!(
            "two runs of one seed differ: the second ended after {next} events, the first went on \
             with\n    {event}"
        ))
    }
}
