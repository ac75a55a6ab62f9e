//! `Notify`: one is told and knows it, or the next who comes; all are told whose wait has begun.

use std::collections::VecDeque;

use proptest::prelude::*;
use volt::sync::{Notified, Notify};

use crate::waiting::{Waiting, config, places};

const PLACES: usize = 5;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Begins a wait in that place, if nobody is there.
    Begin(usize),
    Poll(usize),
    Enable(usize),
    Drop(usize),
    NotifyOne,
    NotifyAll,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..PLACES).prop_map(Step::Begin),
        6 => (0..PLACES).prop_map(Step::Poll),
        2 => (0..PLACES).prop_map(Step::Enable),
        2 => (0..PLACES).prop_map(Step::Drop),
        4 => Just(Step::NotifyOne),
        1 => Just(Step::NotifyAll),
    ]
}

/// How far one who waits has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// In no queue, when all had been told so often.
    Begun(u32),
    Queued,
    ToldAlone,
    ToldWithAll,
    /// It has said so.
    Enabled,
}

#[derive(Default)]
struct Model {
    has_permit: bool,
    /// How often all were told.
    calls: u32,
    /// The places of those who are queued, first come first.
    queue: VecDeque<usize>,
    stages: [Option<Stage>; PLACES],
}

impl Model {
    /// Whether the one in that place is told, which it then has said.
    fn ask(&mut self, place: usize) -> bool {
        let is_told = match self.stages[place] {
            Some(Stage::Begun(calls)) => {
                calls != self.calls || std::mem::take(&mut self.has_permit)
            }
            Some(Stage::Queued) => return false,
            Some(Stage::ToldAlone | Stage::ToldWithAll | Stage::Enabled) => true,
            None => unreachable!("nobody is there"),
        };
        if is_told {
            self.stages[place] = Some(Stage::Enabled);
        } else {
            self.stages[place] = Some(Stage::Queued);
            self.queue.push_back(place);
        }
        is_told
    }

    fn notify_one(&mut self) {
        match self.queue.pop_front() {
            Some(first) => self.stages[first] = Some(Stage::ToldAlone),
            None => self.has_permit = true,
        }
    }

    fn notify_all(&mut self) {
        self.calls += 1;
        for place in self.queue.drain(..) {
            self.stages[place] = Some(Stage::ToldWithAll);
        }
    }

    fn leave(&mut self, place: usize) {
        match self.stages[place].take() {
            Some(Stage::Queued) => self.queue.retain(|other| *other != place),
            Some(Stage::ToldAlone) => self.notify_one(),
            Some(Stage::Begun(_) | Stage::ToldWithAll | Stage::Enabled) | None => {}
        }
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_notification_is_known_once(steps in prop::collection::vec(step(), 0..150)) {
        let notify = Notify::new();
        let mut model = Model::default();
        // With each whether it has left a waker: one that was enabled alone has none.
        let mut waiting: Vec<Option<(Waiting<Notified<'_>>, bool)>> = places(PLACES);
        for step in steps {
            match step {
                Step::Begin(place) => {
                    if waiting[place].is_none() {
                        waiting[place] = Some((Waiting::new(notify.notified()), false));
                        model.stages[place] = Some(Stage::Begun(model.calls));
                    }
                }
                Step::Poll(place) => {
                    if let Some((notified, has_waker)) = &mut waiting[place] {
                        let is_ready = notified.poll().is_ready();
                        assert_eq!(is_ready, model.ask(place));
                        *has_waker = true;
                        if is_ready {
                            waiting[place] = None;
                            model.leave(place);
                        }
                    }
                }
                Step::Enable(place) => {
                    if let Some((notified, _)) = &mut waiting[place] {
                        let is_told = notified.future().enable();
                        assert_eq!(is_told, model.ask(place));
                    }
                }
                Step::Drop(place) => {
                    waiting[place] = None;
                    model.leave(place);
                }
                Step::NotifyOne => {
                    notify.notify_one();
                    model.notify_one();
                }
                Step::NotifyAll => {
                    notify.notify_all();
                    model.notify_all();
                }
            }
            assert_eq!(notify.has_permit(), model.has_permit);
            assert_eq!(notify.waiter_count(), model.queue.len());
            for (notified, stage) in waiting.iter().zip(&model.stages) {
                let told = matches!(stage, Some(Stage::ToldAlone | Stage::ToldWithAll));
                if let Some((notified, true)) = notified
                    && *stage != Some(Stage::Enabled)
                {
                    assert_eq!(notified.is_woken(), told, "{stage:?}");
                }
            }
        }
    }
}
