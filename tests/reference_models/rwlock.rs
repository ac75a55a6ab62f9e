//! `RwLock`: many read or one writes; nobody who comes later reads before a writer that waits.

use std::collections::{BTreeSet, VecDeque};
use std::task::Poll;

use proptest::prelude::*;
use volt::sync::{Read, RwLock, RwLockReadGuard, RwLockWriteGuard, Write};

use crate::waiting::{Waiting, config, places};

const PLACES: usize = 6;

/// Whether who waits in that place wants to write.
fn writes(place: usize) -> bool {
    place % 2 == 1
}

#[derive(Clone, Copy, Debug)]
enum Step {
    TryRead,
    TryWrite,
    /// Polls the one in that place, a new one if nobody is there.
    Poll(usize),
    Drop(usize),
    /// Takes the guard of that number, counted around, and drops it.
    Unlock(usize),
    UnlockFair,
    Downgrade,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => Just(Step::TryRead),
        3 => Just(Step::TryWrite),
        6 => (0..PLACES).prop_map(Step::Poll),
        2 => (0..PLACES).prop_map(Step::Drop),
        7 => (0..PLACES).prop_map(Step::Unlock),
        1 => Just(Step::UnlockFair),
        1 => Just(Step::Downgrade),
    ]
}

struct Model {
    /// How many writers overtake the first one who waits.
    most: usize,
    readers: usize,
    is_written: bool,
    /// The places of those who wait, first come first.
    queue: VecDeque<usize>,
    /// How many have overtaken the first.
    overtaken: usize,
    /// Who is in, and has not been polled since.
    served: BTreeSet<usize>,
}

impl Model {
    fn new(most: usize) -> Model {
        let (queue, served) = (VecDeque::new(), BTreeSet::new());
        Model { most, readers: 0, is_written: false, queue, overtaken: 0, served }
    }

    fn is_free(&self) -> bool {
        self.readers == 0 && !self.is_written
    }

    fn has_queued_writer(&self) -> bool {
        self.queue.iter().any(|place| writes(*place))
    }

    fn try_read(&mut self) -> bool {
        let may_read = !self.is_written && !self.has_queued_writer();
        self.readers += usize::from(may_read);
        may_read
    }

    fn try_write(&mut self) -> bool {
        let may_write = self.is_free() && (self.queue.is_empty() || self.overtaken < self.most);
        self.is_written |= may_write;
        self.overtaken += usize::from(may_write && !self.queue.is_empty());
        may_write
    }

    fn poll(&mut self, place: usize) -> bool {
        if self.served.remove(&place) {
            return true;
        }
        match self.queue.iter().position(|other| *other == place) {
            None => {
                let is_in = if writes(place) { self.try_write() } else { self.try_read() };
                if !is_in {
                    self.queue.push_back(place);
                }
                is_in
            }
            Some(0) if writes(place) && self.is_free() => {
                self.queue.pop_front();
                self.overtaken = 0;
                self.is_written = true;
                true
            }
            Some(_) => false,
        }
    }

    fn serve_first(&mut self) {
        self.served.extend(self.queue.pop_front());
        self.overtaken = 0;
    }

    /// Lets in those who are first, a writer only if it was overtaken `most` times: else it is
    /// woken, and comes.
    fn pass_on(&mut self, most: usize) {
        while let Some(&first) = self.queue.front() {
            if writes(first) {
                if self.is_free() && self.overtaken >= most {
                    self.is_written = true;
                    self.serve_first();
                }
                return;
            }
            if self.is_written {
                return;
            }
            self.readers += 1;
            self.serve_first();
        }
    }

    fn unlock_read(&mut self) {
        self.readers -= 1;
        self.pass_on(self.most);
    }

    fn unlock_write(&mut self, most: usize) {
        self.is_written = false;
        self.pass_on(most);
    }

    fn downgrade(&mut self) {
        self.is_written = false;
        self.readers = 1;
        self.pass_on(self.most);
    }

    fn leave(&mut self, place: usize) {
        if self.served.remove(&place) {
            if writes(place) { self.unlock_write(self.most) } else { self.unlock_read() }
        } else if let Some(position) = self.queue.iter().position(|other| *other == place) {
            self.queue.remove(position);
            if position == 0 {
                self.overtaken = 0;
            }
            self.pass_on(self.most);
        }
    }

    /// Who can go on.
    fn next(&self) -> Vec<usize> {
        let first = self.queue.front().filter(|first| writes(**first) && self.is_free());
        self.served.iter().chain(first).copied().collect()
    }
}

enum Asking<'a> {
    Read(Waiting<Read<'a, u32>>),
    Write(Waiting<Write<'a, u32>>),
}

impl<'a> Asking<'a> {
    fn new(lock: &'a RwLock<u32>, place: usize) -> Asking<'a> {
        if writes(place) {
            Asking::Write(Waiting::new(lock.write()))
        } else {
            Asking::Read(Waiting::new(lock.read()))
        }
    }

    fn poll(&mut self) -> Poll<Held<'a>> {
        match self {
            Asking::Read(read) => read.poll().map(Held::Read),
            Asking::Write(write) => write.poll().map(Held::Write),
        }
    }

    fn is_woken(&self) -> bool {
        match self {
            Asking::Read(read) => read.is_woken(),
            Asking::Write(write) => write.is_woken(),
        }
    }
}

enum Held<'a> {
    Read(RwLockReadGuard<'a, u32>),
    Write(RwLockWriteGuard<'a, u32>),
}

/// How many writers overtake the first one who waits. The number is the lock's own affair, if
/// there is one.
fn overtakers() -> usize {
    let lock = RwLock::new(());
    let held = lock.try_write();
    let mut first = Waiting::new(lock.write());
    assert!(first.poll().is_pending());
    drop(held);
    let overtakers = (0..100).take_while(|_| lock.try_write().is_some()).count();
    assert!(overtakers < 100, "the first one is overtaken for ever");
    assert!(first.is_woken() && first.poll().is_ready());
    overtakers
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_lock_is_read_by_many_or_written_by_one(steps in prop::collection::vec(step(), 0..150)) {
        let lock = RwLock::new(0);
        let mut model = Model::new(overtakers());
        let mut held: Vec<Held<'_>> = Vec::new();
        let mut waiting: Vec<Option<Asking<'_>>> = places(PLACES);
        for step in steps {
            match step {
                Step::TryRead => {
                    let guard = lock.try_read();
                    assert_eq!(guard.is_some(), model.try_read());
                    held.extend(guard.map(Held::Read));
                }
                Step::TryWrite => {
                    let guard = lock.try_write();
                    assert_eq!(guard.is_some(), model.try_write());
                    held.extend(guard.map(Held::Write));
                }
                Step::Poll(place) => {
                    let asking = waiting[place].get_or_insert_with(|| Asking::new(&lock, place));
                    let polled = asking.poll();
                    assert_eq!(polled.is_ready(), model.poll(place));
                    if let Poll::Ready(guard) = polled {
                        held.push(guard);
                        waiting[place] = None;
                    }
                }
                Step::Drop(place) => {
                    waiting[place] = None;
                    model.leave(place);
                }
                Step::Unlock(number) if !held.is_empty() => {
                    match held.swap_remove(number % held.len()) {
                        Held::Read(guard) => {
                            drop(guard);
                            model.unlock_read();
                        }
                        Held::Write(guard) => {
                            drop(guard);
                            model.unlock_write(model.most);
                        }
                    }
                }
                Step::UnlockFair | Step::Downgrade => match held.pop() {
                    Some(Held::Write(guard)) if matches!(step, Step::Downgrade) => {
                        held.push(Held::Read(RwLockWriteGuard::downgrade(guard)));
                        model.downgrade();
                    }
                    Some(Held::Write(guard)) => {
                        RwLockWriteGuard::unlock_fair(guard);
                        model.unlock_write(0);
                    }
                    other => held.extend(other),
                },
                Step::Unlock(_) => {}
            }
            let is_written = held.iter().any(|held| matches!(held, Held::Write(_)));
            assert!(!is_written || held.len() == 1, "one writes, and is not alone");
            for next in model.next() {
                let is_woken = waiting[next].as_ref().is_some_and(|asking| asking.is_woken());
                assert!(is_woken, "{next} could be in, and sleeps");
            }
        }
        drop(waiting);
        drop(held);
        assert!(lock.try_write().is_some());
    }
}
