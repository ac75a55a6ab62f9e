//! `Mutex`: one has it; the first who waits is the next, but for a number of overtakers.

use std::collections::VecDeque;
use std::task::Poll;

use proptest::prelude::*;
use volt::sync::{Lock, Mutex, MutexGuard};

use crate::waiting::{Waiting, config, places};

const PLACES: usize = 5;

#[derive(Clone, Copy, Debug)]
enum Step {
    TryLock,
    /// Polls the one in that place, a new one if nobody is there.
    Poll(usize),
    Drop(usize),
    Unlock,
    UnlockFair,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::TryLock),
        6 => (0..PLACES).prop_map(Step::Poll),
        1 => (0..PLACES).prop_map(Step::Drop),
        8 => Just(Step::Unlock),
        1 => Just(Step::UnlockFair),
    ]
}

#[derive(Default)]
struct Model {
    is_locked: bool,
    /// The places of those who wait, first come first.
    queue: VecDeque<usize>,
    /// How often the lock became free while the first one was the first.
    freed: usize,
    /// Who has the lock, and has not been polled since.
    served: Option<usize>,
}

impl Model {
    fn try_lock(&mut self) -> bool {
        !std::mem::replace(&mut self.is_locked, true)
    }

    fn poll(&mut self, place: usize) -> bool {
        if self.served == Some(place) {
            self.served = None;
            return true;
        }
        match self.queue.iter().position(|other| *other == place) {
            None if self.try_lock() => true,
            None => {
                self.queue.push_back(place);
                false
            }
            Some(0) if self.try_lock() => {
                self.queue.pop_front();
                self.freed = 0;
                true
            }
            Some(_) => false,
        }
    }

    /// Frees the lock, or hands it over if it became free `most` times.
    fn unlock(&mut self, most: usize) {
        self.is_locked = false;
        if self.queue.is_empty() {
            return;
        }
        if self.freed < most {
            self.freed += 1;
        } else {
            self.served = self.queue.pop_front();
            self.is_locked = true;
            self.freed = 0;
        }
    }

    fn leave(&mut self, place: usize, most: usize) {
        if self.served == Some(place) {
            self.served = None;
            self.unlock(most);
        } else if let Some(position) = self.queue.iter().position(|other| *other == place) {
            self.queue.remove(position);
            if position == 0 {
                self.freed = usize::from(!self.is_locked && !self.queue.is_empty());
            }
        }
    }

    /// Who can go on.
    fn next(&self) -> Option<usize> {
        let first = self.queue.front().filter(|_| !self.is_locked);
        self.served.or(first.copied())
    }
}

/// How many overtake the first one who waits. The number is the mutex's own affair, if there is
/// one.
fn overtakers() -> usize {
    let mutex = Mutex::new(());
    let held = mutex.try_lock();
    let mut first = Waiting::new(mutex.lock());
    assert!(first.poll().is_pending());
    drop(held);
    let overtakers = (0..100).take_while(|_| mutex.try_lock().is_some()).count();
    assert!(overtakers < 100, "the first one is overtaken for ever");
    assert!(first.is_woken() && first.poll().is_ready());
    overtakers
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_mutex_is_had_by_one_and_in_order(steps in prop::collection::vec(step(), 0..150)) {
        let most = overtakers();
        let mutex = Mutex::new(0);
        let mut model = Model::default();
        let mut held: Option<MutexGuard<'_, u32>> = None;
        let mut waiting: Vec<Option<Waiting<Lock<'_, u32>>>> = places(PLACES);
        for step in steps {
            match step {
                Step::TryLock => {
                    let locked = mutex.try_lock();
                    assert_eq!(locked.is_some(), model.try_lock());
                    held = held.or(locked);
                }
                Step::Poll(place) => {
                    let lock = waiting[place].get_or_insert_with(|| Waiting::new(mutex.lock()));
                    let polled = lock.poll();
                    assert_eq!(polled.is_ready(), model.poll(place));
                    if let Poll::Ready(guard) = polled {
                        held = Some(guard);
                        waiting[place] = None;
                    }
                }
                Step::Drop(place) => {
                    waiting[place] = None;
                    model.leave(place, most);
                }
                Step::Unlock => {
                    if let Some(guard) = held.take() {
                        drop(guard);
                        model.unlock(most);
                    }
                }
                Step::UnlockFair => {
                    if let Some(guard) = held.take() {
                        MutexGuard::unlock_fair(guard);
                        model.unlock(0);
                    }
                }
            }
            assert_eq!(mutex.is_locked(), model.is_locked);
            assert_eq!(held.is_some(), model.is_locked && model.served.is_none());
            if let Some(next) = model.next() {
                let is_woken = waiting[next].as_ref().is_some_and(|lock| lock.is_woken());
                assert!(is_woken, "{next} could have the lock, and sleeps");
            }
        }
        drop(waiting);
        drop(held);
        assert!(!mutex.is_locked());
    }
}
