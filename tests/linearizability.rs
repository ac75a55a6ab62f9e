//! Linearizability (Herlihy and Wing, 1990) of what does not wait: for each concurrent run there is
//! an order of its operations, one after the other, that explains every answer, and in which none
//! comes before one that had returned when it was called.
//!
//! The search is that of Wing and Gong (1993): take any operation that may be the next, and go on
//! from the state after it. What was tried in vain is remembered, as Lowe does (2017).

#![cfg(all(feature = "sim", not(any(volt_loom, volt_shuttle))))]

use std::collections::{BTreeSet, VecDeque};
use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use volt::channel::{self, Receiver, Sender, TryRecvError, TrySendError};
use volt::sim::{Sim, choose, thread};
use volt::sync::Semaphore;

const SEEDS: Range<u64> = 0..300;
const THREADS: u32 = 3;
/// Of each thread.
const OPERATIONS: u32 = 4;

/// The state of a program of one thread.
trait Specification: Clone + Ord {
    /// An operation with its answer.
    type Answered: Debug;

    /// The state after the operation, if that is its answer.
    fn after(&self, answered: &Self::Answered) -> Option<Self>;
}

/// An operation, and when it was called and returned.
#[derive(Debug)]
struct Operation<A> {
    called: u64,
    returned: u64,
    answered: A,
}

fn is_linearizable<S: Specification>(initial: &S, history: &[Operation<S::Answered>]) -> bool {
    assert!(history.len() < 64, "a bit for each operation");
    is_explained(initial, history, 0, &mut BTreeSet::new())
}

/// Whether the operations that have no bit in `done` can follow in some order.
fn is_explained<S: Specification>(
    state: &S,
    history: &[Operation<S::Answered>],
    done: u64,
    tried: &mut BTreeSet<(u64, S)>,
) -> bool {
    let left = || history.iter().enumerate().filter(move |(nth, _)| done & (1 << *nth) == 0);
    // What was called after another one had returned is not the next.
    let Some(first_return) = left().map(|(_, operation)| operation.returned).min() else {
        return true;
    };
    if !tried.insert((done, state.clone())) {
        return false;
    }
    left().filter(|(_, operation)| operation.called < first_return).any(|(nth, operation)| {
        let next = state.after(&operation.answered);
        next.is_some_and(|next| is_explained(&next, history, done | (1 << nth), tried))
    })
}

/// What threads do that call `operate` time after time, with a number below `choices` that the
/// simulation draws, and with another one that is different each time.
fn record<A: Send + 'static>(
    choices: usize,
    operate: impl Fn(usize, u32) -> A + Send + Sync + 'static,
) -> Vec<Operation<A>> {
    let operate = Arc::new(operate);
    // No atomic of the simulation: a look at the clock lets no other thread run.
    let clock = Arc::new(AtomicU64::new(0));
    let threads: Vec<_> = (0..THREADS)
        .map(|number| {
            let (operate, clock) = (Arc::clone(&operate), Arc::clone(&clock));
            thread::spawn(move || {
                let operations = (0..OPERATIONS).map(|nth| {
                    let choice = choose(choices);
                    let called = clock.fetch_add(1, Ordering::SeqCst);
                    let answered = operate(choice, number * OPERATIONS + nth);
                    let returned = clock.fetch_add(1, Ordering::SeqCst);
                    Operation { called, returned, answered }
                });
                operations.collect::<Vec<_>>()
            })
        })
        .collect();
    threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
}

#[track_caller]
fn assert_explained<S: Specification>(initial: &S, history: &[Operation<S::Answered>]) {
    assert!(is_linearizable(initial, history), "no order explains {history:#?}");
}

#[track_caller]
fn simulate(program: impl Fn() + Send + Sync + 'static) {
    let report = Sim::builder().from_environment(SEEDS).check(program);
    report.into_result().unwrap_or_else(|failure| panic!("{failure}"));
}

/// A channel.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Fifo {
    capacity: usize,
    messages: VecDeque<u32>,
    is_closed: bool,
}

impl Fifo {
    fn new(capacity: usize) -> Fifo {
        Fifo { capacity, messages: VecDeque::new(), is_closed: false }
    }
}

#[derive(Debug)]
enum OfChannel {
    Sent(Result<u32, TrySendError<u32>>),
    Received(Result<u32, TryRecvError>),
    Closed,
}

impl Specification for Fifo {
    type Answered = OfChannel;

    fn after(&self, answered: &OfChannel) -> Option<Fifo> {
        let is_full = self.messages.len() == self.capacity;
        let mut next = self.clone();
        let is_right = match answered {
            OfChannel::Sent(Ok(message)) => {
                next.messages.push_back(*message);
                !self.is_closed && !is_full
            }
            OfChannel::Sent(Err(TrySendError::Closed(_))) => self.is_closed,
            OfChannel::Sent(Err(_)) => !self.is_closed && is_full,
            OfChannel::Received(Ok(message)) => next.messages.pop_front() == Some(*message),
            OfChannel::Received(Err(TryRecvError::Closed)) => {
                self.is_closed && self.messages.is_empty()
            }
            OfChannel::Received(Err(_)) => !self.is_closed && self.messages.is_empty(),
            OfChannel::Closed => {
                next.is_closed = true;
                true
            }
        };
        is_right.then_some(next)
    }
}

fn use_channel((sender, receiver): (Sender<u32>, Receiver<u32>), capacity: usize) {
    let history = record(16, move |choice, message| match choice {
        0..8 => OfChannel::Sent(sender.try_send(message).map(|()| message)),
        8..15 => OfChannel::Received(receiver.try_recv()),
        _ => {
            sender.close();
            OfChannel::Closed
        }
    });
    assert_explained(&Fifo::new(capacity), &history);
}

#[test]
fn a_channel_with_room_for_one() {
    simulate(|| use_channel(channel::bounded(1), 1));
}

#[test]
fn a_channel_with_room_for_three() {
    simulate(|| use_channel(channel::bounded(3), 3));
}

#[test]
fn a_channel_without_bounds() {
    simulate(|| use_channel(channel::unbounded(), usize::MAX));
}

/// A semaphore: its permits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Permits(usize);

#[derive(Debug)]
enum OfSemaphore {
    Acquired { permits: usize, is_had: bool },
    Added(usize),
    Forgotten { most: usize, permits: usize },
    Available(usize),
}

impl Specification for Permits {
    type Answered = OfSemaphore;

    fn after(&self, answered: &OfSemaphore) -> Option<Permits> {
        let Permits(free) = *self;
        match *answered {
            OfSemaphore::Acquired { permits, is_had: true } => {
                free.checked_sub(permits).map(Permits)
            }
            OfSemaphore::Acquired { permits, is_had: false } => {
                (free < permits).then_some(Permits(free))
            }
            OfSemaphore::Added(permits) => Some(Permits(free + permits)),
            OfSemaphore::Forgotten { most, permits } => {
                (permits == most.min(free)).then(|| Permits(free - permits))
            }
            OfSemaphore::Available(permits) => (permits == free).then_some(Permits(free)),
        }
    }
}

#[test]
fn a_semaphore() {
    simulate(|| {
        let semaphore = Semaphore::new(2);
        let history = record(10, move |choice, _| match choice {
            0..6 => {
                let permits = 1 + choice % 3;
                let permit = semaphore.try_acquire(permits);
                let is_had = permit.is_some();
                // They come back as those that are added.
                if let Some(permit) = permit {
                    permit.forget();
                }
                OfSemaphore::Acquired { permits, is_had }
            }
            6..8 => {
                let permits = choice - 5;
                semaphore.add_permits(permits);
                OfSemaphore::Added(permits)
            }
            8 => OfSemaphore::Forgotten { most: 2, permits: semaphore.forget_permits(2) },
            _ => OfSemaphore::Available(semaphore.available_permits()),
        });
        assert_explained(&Permits(2), &history);
    });
}

/// A watched value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Watched(u32);

#[derive(Debug)]
enum OfWatch {
    Looked(u32),
    Replaced {
        value: u32,
        before: u32,
    },
    Doubled,
    /// If it was odd.
    Rounded(bool),
}

impl Specification for Watched {
    type Answered = OfWatch;

    fn after(&self, answered: &OfWatch) -> Option<Watched> {
        let Watched(now) = *self;
        match *answered {
            OfWatch::Looked(seen) => (seen == now).then_some(Watched(now)),
            OfWatch::Replaced { value, before } => (before == now).then_some(Watched(value)),
            OfWatch::Doubled => Some(Watched(2 * now)),
            OfWatch::Rounded(is_changed) => {
                (is_changed == (now % 2 == 1)).then_some(Watched(now + now % 2))
            }
        }
    }
}

#[test]
fn a_watched_value() {
    simulate(|| {
        let (sender, receiver) = channel::watch(1);
        let history = record(8, move |choice, value| match choice {
            0 | 1 => OfWatch::Looked(*sender.borrow()),
            2 | 3 => OfWatch::Looked(*receiver.borrow()),
            4 | 5 => OfWatch::Replaced { value, before: sender.send_replace(value) },
            6 => {
                sender.send_modify(|value| *value *= 2);
                OfWatch::Doubled
            }
            _ => OfWatch::Rounded(sender.send_if_modified(|value| {
                let is_odd = *value % 2 == 1;
                *value += *value % 2;
                is_odd
            })),
        });
        assert_explained(&Watched(1), &history);
    });
}

#[test]
fn a_channel_that_holds_more_than_it_should_is_found() {
    let sweep = Sim::builder().plant("ring-rounds-its-capacity").sweep(SEEDS);
    let report = sweep.check(|| use_channel(channel::bounded(3), 3));
    let failure = report.failure().expect("its answers are no channel's with room for three");
    assert!(failure.to_string().contains("no order explains"), "{failure}");
}

/// A history of two threads: when each operation was called and returned, and its answer.
fn history<const N: usize>(operations: [(u64, u64, OfChannel); N]) -> Vec<Operation<OfChannel>> {
    let operation = |(called, returned, answered)| Operation { called, returned, answered };
    operations.into_iter().map(operation).collect()
}

#[test]
fn what_returned_before_a_call_comes_before_it() {
    let sent = || OfChannel::Sent(Ok(1));
    let empty = || OfChannel::Received(Err(TryRecvError::Empty));
    let fifo = Fifo::new(1);
    assert!(!is_linearizable(&fifo, &history([(0, 1, sent()), (2, 3, empty())])));
    assert!(is_linearizable(&fifo, &history([(0, 2, sent()), (1, 3, empty())])));
    assert!(is_linearizable(&fifo, &history([(2, 3, sent()), (0, 1, empty())])));
}

#[test]
fn messages_come_out_in_the_order_of_their_sends() {
    let sent = |message| OfChannel::Sent(Ok(message));
    let received = |message| OfChannel::Received(Ok(message));
    let fifo = Fifo::new(2);
    let swapped = [(0, 1, sent(1)), (2, 3, sent(2)), (4, 5, received(2)), (6, 7, received(1))];
    assert!(!is_linearizable(&fifo, &history(swapped)));
    let overlapping = [(0, 3, sent(1)), (1, 2, sent(2)), (4, 5, received(2)), (6, 7, received(1))];
    assert!(is_linearizable(&fifo, &history(overlapping)));
    let twice = [(0, 3, sent(1)), (1, 5, received(1)), (2, 4, received(1))];
    assert!(!is_linearizable(&fifo, &history(twice)));
}

#[test]
fn a_full_channel_takes_no_more() {
    let sent = |message| OfChannel::Sent(Ok(message));
    let full = || OfChannel::Sent(Err(TrySendError::Full(9)));
    let closed = || OfChannel::Sent(Err(TrySendError::Closed(9)));
    let fifo = Fifo::new(1);
    assert!(!is_linearizable(&fifo, &history([(0, 2, sent(1)), (1, 3, sent(2))])));
    assert!(is_linearizable(&fifo, &history([(0, 2, sent(1)), (1, 3, full())])));
    assert!(!is_linearizable(&fifo, &history([(0, 1, full())])));
    assert!(!is_linearizable(&fifo, &history([(0, 1, closed())])));
    assert!(is_linearizable(&fifo, &history([(0, 2, OfChannel::Closed), (1, 3, closed())])));
}
