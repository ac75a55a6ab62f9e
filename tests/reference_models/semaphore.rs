//! `Semaphore`: first come, first served, but for a number of overtakers.

use std::collections::{BTreeMap, VecDeque};
use std::task::Poll;

use proptest::prelude::*;
use volt::sync::{Acquire, Permit, Semaphore};

use crate::MOST_OVERTAKERS;
use crate::waiting::{Waiting, config, places};

const PLACES: usize = 5;

#[derive(Clone, Copy, Debug)]
enum Step {
    TryAcquire(usize),
    /// Polls the one in that place; a new one, which wants so many, if nobody is there.
    Poll(usize, usize),
    Drop(usize),
    /// Gives the permit of that number, counted around, back.
    Release(usize),
    Add(usize),
    Forget(usize),
    Close,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => (0..4_usize).prop_map(Step::TryAcquire),
        60 => (0..PLACES, 0..5_usize).prop_map(|(place, wanted)| Step::Poll(place, wanted)),
        20 => (0..PLACES).prop_map(Step::Drop),
        60 => (0..PLACES).prop_map(Step::Release),
        10 => (1..3_usize).prop_map(Step::Add),
        10 => (1..3_usize).prop_map(Step::Forget),
        1 => Just(Step::Close),
    ]
}

/// Steps of all kinds, and now and then somebody who takes permits and gives some back, again and
/// again, while those who wait are not polled.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let busy = (1..3_usize, 1..=MOST_OVERTAKERS + 2)
        .prop_map(|(wanted, times)| [Step::TryAcquire(wanted), Step::Release(0)].repeat(times));
    let some = prop_oneof![9 => step().prop_map(|step| vec![step]), 1 => busy];
    prop::collection::vec(some, 0..150).prop_map(|some| some.concat())
}

#[derive(Default)]
struct Model {
    /// Free, or gathered for the first one who waits.
    permits: usize,
    is_closed: bool,
    /// The places of those who wait, first come first, and how many they want.
    queue: VecDeque<(usize, usize)>,
    /// How often the first one who waits was overtaken.
    overtaken: usize,
    /// Whether there was enough for the first one since it was polled, or became the first.
    is_offered: bool,
    /// Who has so many, or was told of the close, and has not been polled since.
    served: BTreeMap<usize, Option<usize>>,
}

impl Model {
    /// Whether nobody overtakes the first one any more.
    fn is_barred(&self) -> bool {
        self.overtaken == MOST_OVERTAKERS
    }

    fn available(&self) -> usize {
        if self.is_barred() { 0 } else { self.permits }
    }

    /// Takes so many without waiting, past those who wait.
    fn try_acquire(&mut self, wanted: usize) -> bool {
        let is_had = !self.is_closed && wanted <= self.available();
        if is_had {
            self.permits -= wanted;
            // Whoever wants nothing overtakes nobody.
            self.overtaken += usize::from(wanted > 0 && !self.queue.is_empty());
        }
        is_had
    }

    /// Whether there is enough for the first one who waits.
    fn is_enough(&self) -> bool {
        self.queue.front().is_some_and(|(_, wanted)| *wanted <= self.permits)
    }

    /// The permits that it has then; `Some(None)` if there will be none.
    fn poll(&mut self, place: usize, wanted: usize) -> Option<Option<usize>> {
        if let Some(served) = self.served.remove(&place) {
            return Some(served);
        }
        match self.queue.iter().position(|(other, _)| *other == place) {
            None if self.is_closed => Some(None),
            None if self.try_acquire(wanted) => Some(Some(wanted)),
            None => {
                self.queue.push_back((place, wanted));
                None
            }
            Some(0) if self.is_enough() => {
                self.serve_first();
                self.served.remove(&place)
            }
            Some(0) => {
                self.is_offered = false;
                None
            }
            Some(_) => None,
        }
    }

    /// Gives the first one its permits.
    fn serve_first(&mut self) {
        if let Some((place, wanted)) = self.queue.pop_front() {
            self.permits -= wanted;
            self.served.insert(place, Some(wanted));
            self.next_comes();
        }
    }

    /// Another one is the first, or nobody.
    fn next_comes(&mut self) {
        self.overtaken = 0;
        self.is_offered = self.is_enough();
    }

    /// Adds permits, which are handed over if they were gathered.
    fn add(&mut self, permits: usize) {
        self.permits += permits;
        if permits > 0 && self.is_barred() && self.is_enough() {
            self.serve_first();
        }
        self.is_offered |= self.is_enough();
    }

    fn forget(&mut self, permits: usize) -> usize {
        let forgotten = permits.min(self.available());
        self.permits -= forgotten;
        forgotten
    }

    fn leave(&mut self, place: usize) {
        if let Some(had) = self.served.remove(&place) {
            self.add(had.unwrap_or(0));
        } else if let Some(position) = self.queue.iter().position(|(other, _)| *other == place) {
            self.queue.remove(position);
            if position == 0 {
                self.next_comes();
            }
        }
    }

    fn close(&mut self) {
        self.is_closed = true;
        self.served.extend(self.queue.drain(..).map(|(place, _)| (place, None)));
        self.next_comes();
    }

    /// Whether that one was woken since it was polled last.
    fn is_woken(&self, place: usize) -> bool {
        let is_first = self.queue.front().is_some_and(|(first, _)| *first == place);
        self.served.contains_key(&place) || is_first && self.is_offered
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn permits_go_to_the_first_who_wants_them(permits in 0..4_usize, steps in steps()) {
        let semaphore = Semaphore::new(permits);
        let mut model = Model { permits, ..Model::default() };
        let mut held: Vec<Permit<'_>> = Vec::new();
        let mut waiting: Vec<Option<Waiting<Acquire<'_>>>> = places(PLACES);
        for step in steps {
            match step {
                Step::TryAcquire(wanted) => {
                    let permit = semaphore.try_acquire(wanted);
                    assert_eq!(permit.is_some(), model.try_acquire(wanted));
                    held.extend(permit);
                }
                Step::Poll(place, wanted) => {
                    let acquire = waiting[place]
                        .get_or_insert_with(|| Waiting::new(semaphore.acquire(wanted)));
                    let polled = match acquire.poll() {
                        Poll::Ready(result) => Some(result.ok()),
                        Poll::Pending => None,
                    };
                    let had = polled.as_ref().map(|permit| permit.as_ref().map(Permit::permits));
                    assert_eq!(had, model.poll(place, wanted));
                    if let Some(permit) = polled {
                        held.extend(permit);
                        waiting[place] = None;
                    }
                }
                Step::Drop(place) => {
                    waiting[place] = None;
                    model.leave(place);
                }
                Step::Release(number) => {
                    if !held.is_empty() {
                        let permit = held.swap_remove(number % held.len());
                        let permits = permit.permits();
                        drop(permit);
                        model.add(permits);
                    }
                }
                Step::Add(permits) => {
                    semaphore.add_permits(permits);
                    model.add(permits);
                }
                Step::Forget(permits) => {
                    assert_eq!(semaphore.forget_permits(permits), model.forget(permits));
                }
                Step::Close => {
                    semaphore.close();
                    model.close();
                }
            }
            assert_eq!(semaphore.available_permits(), model.available());
            assert_eq!(semaphore.waiter_count(), model.queue.len());
            assert_eq!(semaphore.is_closed(), model.is_closed);
            for (place, acquire) in waiting.iter().enumerate() {
                let is_woken = acquire.as_ref().is_some_and(|acquire| acquire.is_woken());
                assert_eq!(is_woken, model.is_woken(place), "{place}");
            }
        }
        // Those who held or waited leave nothing behind: what there is is free.
        for (place, acquire) in waiting.into_iter().enumerate() {
            drop(acquire);
            model.leave(place);
        }
        let back: usize = held.iter().map(Permit::permits).sum();
        drop(held);
        assert_eq!(semaphore.available_permits(), model.permits + back);
    }
}
