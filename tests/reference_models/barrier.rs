//! `Barrier`: nobody goes on before all have come, and the last who comes is the leader.

use std::task::Poll;

use proptest::prelude::*;
use volt::sync::{Barrier, BarrierWait};

use crate::waiting::{Waiting, config, places};

const PLACES: usize = 5;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Polls the one in that place, a new one if nobody is there.
    Poll(usize),
    Drop(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..PLACES).prop_map(Step::Poll),
        1 => (0..PLACES).prop_map(Step::Drop),
    ]
}

struct Model {
    parties: usize,
    /// The places of those who have come and wait.
    waiting: Vec<usize>,
    /// The places of those who may go on, and have not been polled since.
    released: Vec<usize>,
}

impl Model {
    /// Whether it leads, if it may go on.
    fn poll(&mut self, place: usize) -> Poll<bool> {
        if self.released.contains(&place) {
            self.leave(place);
            return Poll::Ready(false);
        }
        if self.waiting.contains(&place) {
            return Poll::Pending;
        }
        if self.waiting.len() + 1 == self.parties {
            self.released.append(&mut self.waiting);
            return Poll::Ready(true);
        }
        self.waiting.push(place);
        Poll::Pending
    }

    fn leave(&mut self, place: usize) {
        self.waiting.retain(|other| *other != place);
        self.released.retain(|other| *other != place);
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_round_ends_when_all_have_come(
        parties in 1..=4_usize,
        steps in prop::collection::vec(step(), 0..150),
    ) {
        let barrier = Barrier::new(parties);
        let mut model = Model { parties, waiting: Vec::new(), released: Vec::new() };
        let mut waiting: Vec<Option<Waiting<BarrierWait<'_>>>> = places(PLACES);
        for step in steps {
            match step {
                Step::Poll(place) => {
                    let wait = waiting[place].get_or_insert_with(|| Waiting::new(barrier.wait()));
                    let leads = wait.poll().map(|result| result.is_leader());
                    assert_eq!(leads, model.poll(place));
                    if leads.is_ready() {
                        waiting[place] = None;
                    }
                }
                Step::Drop(place) => {
                    waiting[place] = None;
                    model.leave(place);
                }
            }
            assert_eq!(barrier.arrived_count(), model.waiting.len());
            for (place, wait) in waiting.iter().enumerate() {
                let is_woken = wait.as_ref().is_some_and(|wait| wait.is_woken());
                assert_eq!(is_woken, model.released.contains(&place), "{place}");
            }
        }
    }
}
