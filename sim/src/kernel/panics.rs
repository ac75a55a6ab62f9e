//! Panics of simulated threads: who began one, and who has seen it.

use std::panic::{self, PanicHookInfo};
use std::sync::Once;

use super::thread_table::Status;
use super::{State, World, current};

/// A panic that ended a thread, or began to.
#[derive(Clone, Debug)]
pub(crate) struct PanicRecord {
    pub(crate) message: String,
    pub(crate) place: String,
}

impl PanicRecord {
    /// A panic that was resumed, of which nothing was told.
    pub(crate) fn resumed() -> PanicRecord {
        let message = "a panic that was caught elsewhere and resumed here".to_owned();
        PanicRecord { message, place: "an unknown place".to_owned() }
    }
}

impl World {
    /// Notes a panic of the running thread.
    pub(crate) fn note_panic(&self, record: PanicRecord) {
        self.with(|state| {
            let me = state.current;
            state.threads.get(me).panic = Some(record);
        });
    }

    /// Somebody has seen how this thread ended.
    pub(crate) fn panic_observed(&self, thread: u32) {
        self.with(|state| {
            if let Some(panic) = state.threads.get(thread).panic.take()
                && state.observed_panic.is_none()
            {
                state.observed_panic = Some(state.tell_panic(thread, &panic));
            }
        });
    }
}

impl State {
    fn tell_panic(&self, thread: u32, panic: &PanicRecord) -> String {
        let who = self.threads.all()[thread as usize].who(thread, &self.net);
        format!("{who} panicked at {}: {}", panic.place, panic.message)
    }

    /// The first thread that ended in a panic which nobody has looked at.
    pub(super) fn first_panic(&self) -> Option<String> {
        (0..).zip(self.threads.all()).find_map(|(number, thread)| {
            if thread.status != Status::Finished {
                return None;
            }
            let panic = self.tell_panic(number, thread.panic.as_ref()?);
            Some(match &self.observed_panic {
                Some(first) => format!("{panic}; before that, {first}"),
                None => panic,
            })
        })
    }
}

/// Panics of simulated threads are noted in their world instead of being printed.
pub(super) fn install_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| match current() {
            Some(world) => world.note_panic(record(info)),
            None => before(info),
        }));
    });
}

fn record(info: &PanicHookInfo<'_>) -> PanicRecord {
    let message = info.payload_as_str().unwrap_or("a value that is no text").to_owned();
    let place = info.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    PanicRecord { message, place }
}
