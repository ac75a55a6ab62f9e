//! Whether a source may be ready, and who waits for it.
//!
//! # The word
//!
//! ```text
//!   ┌──────┬───────────┬──────────────┬─────────────┬──────────┬──────────┐
//!   │ tick │ shut down │ write closed │ read closed │ writable │ readable │
//!   └──────┴───────────┴──────────────┴─────────────┴──────────┴──────────┘
//!
//!                      set: tick + 1
//!   NOT READY ───────────────────────────────────► READY ──┐ set: tick + 1
//!       ▲                                          │   ▲ ▲ │
//!       └── clear, by the tick of the last set ────┘   │ └─┘
//!                                                      │ clear, by an older tick:
//!                                                      └ nothing
//!   any ─── shut_down ───► SHUT DOWN, for good
//! ```
//!
//! Each direction has a bit that is set and cleared, and one that says that the direction has
//! ended: that stays. Bits are hints, which the next operation on the source proves or refutes. An
//! operation that would block clears the bit, but only if no event has come since it looked: what
//! an event tells may be younger than the operation's answer. A tick has all bits that are left,
//! which is more than a machine of 64 bits counts up; with 32 bits, a task would have to be
//! interrupted between look and clear for exactly so many events.
//!
//! # The waiters
//!
//! Behind a lock: for each direction a slot for the first waiter and a list for further ones. A
//! waiter is a future, known by its ticket, which takes itself out when it is dropped; or just a
//! task, known by its waker, which stays until the next event of the direction. An event takes out
//! all waiters of its directions: each of them may find something, and who does not waits again.
//!
//! Rules:
//! 1. A waiter is left only if the word, looked at under the lock, says neither ready nor shut
//!    down. An event changes the word first and takes the lock second. So the waiter sees the
//!    event, or the event the waiter.
//! 2. No waker is cloned, dropped or called under the lock.
//! 3. An entry belongs to the waiter whose ticket or waker it has; nobody but an event takes it
//!    out for others.

use std::io;
use std::mem;
use std::task::{Context, Poll, Waker};

use crate::platform::mutation::mutation;
use crate::platform::net::Event;
use crate::platform::sync::Mutex;
use crate::platform::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::waiter::WakeBatch;

const READABLE: usize = 1;
const WRITABLE: usize = 1 << 1;
const READ_CLOSED: usize = 1 << 2;
const WRITE_CLOSED: usize = 1 << 3;
const SHUT_DOWN: usize = 1 << 4;
const TICK: usize = 1 << 5;

/// What a source is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// Reading and accepting.
    Read,
    /// Writing and connecting.
    Write,
}

impl Direction {
    const BOTH: [Direction; 2] = [Direction::Read, Direction::Write];

    /// The bit that is set and cleared.
    fn ready(self) -> usize {
        match self {
            Direction::Read => READABLE,
            Direction::Write => WRITABLE,
        }
    }

    /// The bit that stays: operations do not block any more.
    fn closed(self) -> usize {
        match self {
            Direction::Read => READ_CLOSED,
            Direction::Write => WRITE_CLOSED,
        }
    }
}

/// What an event tells of a source.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ready(usize);

impl Ready {
    const ALL: Ready = Ready(READABLE | WRITABLE | READ_CLOSED | WRITE_CLOSED);

    /// An error concerns both directions: the next operation of either may tell it.
    pub(super) fn of(event: Event) -> Ready {
        let bit = |told, bit| if told { bit } else { 0 };
        Ready(
            bit(event.readable || event.error, READABLE)
                | bit(event.writable || event.error, WRITABLE)
                | bit(event.read_closed, READ_CLOSED)
                | bit(event.write_closed, WRITE_CLOSED),
        )
    }

    /// The same of a source whose directions do not end: where they are said to, they may have
    /// something to tell.
    fn without_ends(self) -> Ready {
        let bit = |closed, bit| if self.0 & closed == 0 { 0 } else { bit };
        let ready = self.0 & (READABLE | WRITABLE);
        Ready(ready | bit(READ_CLOSED, READABLE) | bit(WRITE_CLOSED, WRITABLE))
    }

    fn concerns(self, direction: Direction) -> bool {
        self.0 & (direction.ready() | direction.closed()) != 0
    }
}

/// The word as a task saw it: its direction was ready then.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen(usize);

impl Seen {
    /// Whether the direction had ended.
    pub(super) fn is_closed(self, direction: Direction) -> bool {
        self.0 & direction.closed() != 0
    }
}

/// What a future is known by among the waiters: nothing before it first waits.
#[derive(Debug, Default)]
pub(super) struct Ticket(u64);

/// The ticket of whoever has none.
const NO_TICKET: u64 = 0;

/// Who waits.
pub(super) enum Waiter<'a> {
    /// The task that polls, for as long as no event comes.
    Task,
    /// The future with this ticket, which is withdrawn when the future is dropped.
    Future(&'a mut Ticket),
}

impl Waiter<'_> {
    /// The same waiter, for a shorter time.
    pub(super) fn reborrow(&mut self) -> Waiter<'_> {
        match self {
            Waiter::Task => Waiter::Task,
            Waiter::Future(ticket) => Waiter::Future(ticket),
        }
    }
}

struct Entry {
    ticket: u64,
    waker: Waker,
}

impl Entry {
    fn is_of(&self, ticket: u64, waker: &Waker) -> bool {
        self.ticket == ticket && (ticket != NO_TICKET || self.waker.will_wake(waker))
    }
}

/// The waiters of one direction.
#[derive(Default)]
struct Waiters {
    first: Option<Entry>,
    further: Vec<Entry>,
}

impl Waiters {
    /// Leaves `waker` for whoever has the ticket, and gives the one that it has no use for.
    fn leave(&mut self, ticket: u64, waker: Waker) -> Option<Waker> {
        let mut entries = self.first.iter_mut().chain(&mut self.further);
        if let Some(entry) = entries.find(|entry| entry.is_of(ticket, &waker)) {
            return Some(mem::replace(&mut entry.waker, waker));
        }
        let entry = Entry { ticket, waker };
        if mutation!("readiness-displaces-waiter", self.first.is_some(), false) {
            self.further.push(entry);
            None
        } else {
            self.first.replace(entry).map(|entry| entry.waker)
        }
    }

    fn withdraw(&mut self, ticket: u64) -> Option<Entry> {
        let is_own =
            |entry: &Entry| mutation!("readiness-withdraws-another", entry.ticket == ticket, true);
        if self.first.as_ref().is_some_and(is_own) {
            return self.first.take();
        }
        let place = self.further.iter().position(is_own)?;
        Some(self.further.remove(place))
    }
}

/// The waiters of both directions.
#[derive(Default)]
struct Queues {
    read: Waiters,
    write: Waiters,
    last_ticket: u64,
}

impl Queues {
    fn of(&mut self, direction: Direction) -> &mut Waiters {
        match direction {
            Direction::Read => &mut self.read,
            Direction::Write => &mut self.write,
        }
    }

    /// The number of the waiter's ticket; a future without one gets one.
    fn ticket_of(&mut self, waiter: Waiter<'_>) -> u64 {
        let Waiter::Future(ticket) = waiter else { return NO_TICKET };
        if ticket.0 == NO_TICKET {
            self.last_ticket += 1;
            ticket.0 = self.last_ticket;
        }
        ticket.0
    }
}

/// See the module documentation.
pub(super) struct Readiness {
    word: AtomicUsize,
    queues: Mutex<Queues>,
    /// Whether a direction of the source can end.
    ends: bool,
    /// Whether there was ever something that the system does not tell of.
    announced: AtomicBool,
}

impl Readiness {
    /// Of a source that no event has told of.
    pub(super) fn new() -> Readiness {
        Readiness {
            word: AtomicUsize::new(0),
            queues: Mutex::new(Queues::default()),
            ends: true,
            announced: AtomicBool::new(false),
        }
    }

    /// As [`Readiness::new`], but both directions are taken to be ready.
    pub(super) fn presumed() -> Readiness {
        Readiness { word: AtomicUsize::new(READABLE | WRITABLE), ..Readiness::new() }
    }

    /// As [`Readiness::new`], of a source whose directions do not end.
    pub(super) fn without_ends() -> Readiness {
        Readiness { ends: false, ..Readiness::new() }
    }

    /// An event has come: its waiters go into `wakes`. The caller holds no lock.
    pub(super) fn set(&self, ready: Ready, wakes: &mut WakeBatch) {
        let ready = if self.ends { ready } else { ready.without_ends() };
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            let next = word.wrapping_add(TICK) | ready.0;
            // Release: pairs with `look`: an operation that relies on the event comes after it.
            match self.word.compare_exchange_weak(word, next, Ordering::Release, Ordering::Relaxed)
            {
                Ok(_) => break,
                Err(found) => word = found,
            }
        }
        self.take_waiters(ready, wakes);
    }

    /// Nothing is presumed any more. What was told of, or announced, stays.
    pub(super) fn presume_nothing(&self) {
        let untold = |word: usize| (word / TICK == 0).then_some(word & !(READABLE | WRITABLE));
        // Relaxed: as in `clear`. If it fails, something is known.
        let _ = self.word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, untold);
    }

    /// Something that the system does not tell of may let operations in `direction` succeed: its
    /// waiters go into `wakes`. The caller holds no lock.
    pub(super) fn announce(&self, direction: Direction, wakes: &mut WakeBatch) {
        // Relaxed: who does not see it yet sees the event that follows.
        self.announced.store(true, Ordering::Relaxed);
        self.set(Ready(direction.ready()), wakes);
    }

    /// Whether there was ever something that the system does not tell of.
    pub(super) fn was_announced(&self) -> bool {
        // Relaxed: see `announce`.
        self.announced.load(Ordering::Relaxed)
    }

    /// The runtime has ended: all waiters go into `wakes` and find an error. The caller holds no
    /// lock.
    pub(super) fn shut_down(&self, wakes: &mut WakeBatch) {
        mutation!(
            "readiness-shut-down-late",
            {
                // Release: as in `set`.
                self.word.fetch_or(SHUT_DOWN, Ordering::Release);
                self.take_waiters(Ready::ALL, wakes);
            },
            {
                self.take_waiters(Ready::ALL, wakes);
                self.word.fetch_or(SHUT_DOWN, Ordering::Release);
            }
        );
    }

    fn take_waiters(&self, ready: Ready, wakes: &mut WakeBatch) {
        let taken = {
            let mut queues = self.queues.lock();
            Direction::BOTH.map(|direction| match ready.concerns(direction) {
                true => mem::take(queues.of(direction)),
                false => Waiters::default(),
            })
        };
        for waiters in taken {
            for entry in waiters.first.into_iter().chain(waiters.further) {
                wakes.push(entry.waker);
            }
        }
    }

    /// An operation would block, or did all that it can without: `seen` is the word before it.
    /// Nothing happens if an event has come since.
    pub(super) fn clear(&self, direction: Direction, seen: Seen) {
        let mut word = seen.0;
        loop {
            if mutation!("readiness-clears-newer", word / TICK != seen.0 / TICK, false) {
                return;
            }
            let next = word & !direction.ready();
            // Relaxed: it says of the source what everybody can find out for himself.
            match self.word.compare_exchange_weak(word, next, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return,
                Err(found) => word = found,
            }
        }
    }

    /// What the word says, if there is nothing to wait for.
    pub(super) fn look(&self, direction: Direction) -> Option<io::Result<Seen>> {
        // Acquire: pairs with `set`. The operation that follows must also come after the look, or
        // it could miss what the event with this tick was about, and clear it.
        let word = self.word.load(Ordering::Acquire);
        if word & SHUT_DOWN != 0 {
            return Some(Err(super::shut_down_error()));
        }
        let is_ready = word & (direction.ready() | direction.closed()) != 0;
        is_ready.then_some(Ok(Seen(word)))
    }

    /// Waits until the direction may be ready.
    ///
    /// # Errors
    /// If the runtime has shut down.
    pub(super) fn poll(
        &self,
        context: &mut Context<'_>,
        direction: Direction,
        waiter: Waiter<'_>,
    ) -> Poll<io::Result<Seen>> {
        if let Some(seen) = self.look(direction) {
            return Poll::Ready(seen);
        }
        // Before the lock, and so dropped after it if nobody takes it (rule 2).
        let waker = context.waker().clone();
        let mut queues = self.queues.lock();
        // An event may have come since the first look (rule 1).
        if let Some(seen) = mutation!("readiness-no-second-look", self.look(direction), None) {
            return Poll::Ready(seen);
        }
        let ticket = queues.ticket_of(waiter);
        let unneeded = queues.of(direction).leave(ticket, waker);
        drop(queues);
        drop(unneeded);
        Poll::Pending
    }

    /// A future does not wait any more.
    pub(super) fn withdraw(&self, direction: Direction, ticket: &Ticket) {
        if ticket.0 != NO_TICKET {
            let withdrawn = self.queues.lock().of(direction).withdraw(ticket.0);
            drop(withdrawn);
        }
    }

    /// The source goes, and with it whoever waited for it. An event that still comes finds nobody.
    pub(super) fn abandon(&self) {
        let abandoned = mem::take(&mut *self.queues.lock());
        drop(abandoned);
    }
}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    use super::*;

    /// Counts its wake-ups, which must come without the lock.
    struct Task {
        readiness: Arc<Readiness>,
        woken: AtomicUsize,
    }

    impl Task {
        fn new(readiness: &Arc<Readiness>) -> Arc<Task> {
            let woken = AtomicUsize::new(0);
            Arc::new(Task { readiness: Arc::clone(readiness), woken })
        }

        fn woken(&self) -> usize {
            self.woken.load(Ordering::Relaxed)
        }

        fn poll(self: &Arc<Task>, direction: Direction, waiter: Waiter<'_>) -> Poll<Seen> {
            let waker = Waker::from(Arc::clone(self));
            let polled = self.readiness.poll(&mut Context::from_waker(&waker), direction, waiter);
            polled.map(|seen| seen.expect("the runtime runs"))
        }
    }

    impl Wake for Task {
        fn wake(self: Arc<Task>) {
            assert!(self.readiness.queues.try_lock().is_some(), "woken under the lock");
            self.woken.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn set(readiness: &Readiness, ready: usize) {
        readiness.set(Ready(ready), &mut WakeBatch::new());
    }

    #[test]
    fn an_event_wakes_its_direction_alone() {
        let readiness = Arc::new(Readiness::new());
        let (reader, writer) = (Task::new(&readiness), Task::new(&readiness));
        assert!(reader.poll(Direction::Read, Waiter::Task).is_pending());
        assert!(writer.poll(Direction::Write, Waiter::Task).is_pending());
        set(&readiness, READABLE);
        assert_eq!((reader.woken(), writer.woken()), (1, 0));
        assert!(reader.poll(Direction::Read, Waiter::Task).is_ready());
        assert!(writer.poll(Direction::Write, Waiter::Task).is_pending());
        set(&readiness, WRITABLE);
        assert_eq!((reader.woken(), writer.woken()), (1, 1));
    }

    #[test]
    fn an_error_wakes_both_directions_and_can_be_cleared() {
        let readiness = Arc::new(Readiness::new());
        let task = Task::new(&readiness);
        let error = Event { error: true, ..Event::default() };
        readiness.set(Ready::of(error), &mut WakeBatch::new());
        for direction in Direction::BOTH {
            let Poll::Ready(seen) = task.poll(direction, Waiter::Task) else {
                panic!("{direction:?} is not ready");
            };
            readiness.clear(direction, seen);
            assert!(task.poll(direction, Waiter::Task).is_pending());
        }
    }

    #[test]
    fn what_has_ended_stays_ready() {
        let readiness = Arc::new(Readiness::new());
        let task = Task::new(&readiness);
        let end = Event { readable: true, read_closed: true, ..Event::default() };
        readiness.set(Ready::of(end), &mut WakeBatch::new());
        for _ in 0..2 {
            let Poll::Ready(seen) = task.poll(Direction::Read, Waiter::Task) else {
                panic!("the end is forgotten");
            };
            assert!(seen.is_closed(Direction::Read) && !seen.is_closed(Direction::Write));
            readiness.clear(Direction::Read, seen);
        }
        assert!(task.poll(Direction::Write, Waiter::Task).is_pending());
    }

    #[test]
    fn what_does_not_end_is_ready_until_it_is_cleared() {
        let readiness = Arc::new(Readiness::without_ends());
        let task = Task::new(&readiness);
        let refusal = Event { error: true, write_closed: true, ..Event::default() };
        readiness.set(Ready::of(refusal), &mut WakeBatch::new());
        for direction in Direction::BOTH {
            let Poll::Ready(seen) = task.poll(direction, Waiter::Task) else {
                panic!("{direction:?} is not ready");
            };
            assert!(!seen.is_closed(direction));
            readiness.clear(direction, seen);
            assert!(task.poll(direction, Waiter::Task).is_pending());
        }
    }

    #[test]
    fn a_clear_by_an_older_tick_does_nothing_and_leaves_the_other_direction() {
        let readiness = Arc::new(Readiness::new());
        let task = Task::new(&readiness);
        set(&readiness, READABLE | WRITABLE);
        let Poll::Ready(older) = task.poll(Direction::Read, Waiter::Task) else {
            panic!("it is not readable");
        };
        set(&readiness, READABLE);
        readiness.clear(Direction::Read, older);
        let Poll::Ready(seen) = task.poll(Direction::Read, Waiter::Task) else {
            panic!("a newer event is cleared");
        };
        readiness.clear(Direction::Read, seen);
        assert!(task.poll(Direction::Read, Waiter::Task).is_pending());
        assert!(task.poll(Direction::Write, Waiter::Task).is_ready());
    }

    #[test]
    fn a_tick_wraps_without_touching_the_bits() {
        let readiness = Arc::new(Readiness::new());
        let task = Task::new(&readiness);
        readiness.word.store(!(TICK - 1) | WRITABLE, Ordering::Relaxed);
        set(&readiness, READABLE);
        assert_eq!(readiness.word.load(Ordering::Relaxed), READABLE | WRITABLE);
        assert!(task.poll(Direction::Read, Waiter::Task).is_ready());
    }

    #[test]
    fn many_waiters_of_one_direction_are_all_woken_once() {
        let readiness = Arc::new(Readiness::new());
        let tasks: Vec<Arc<Task>> = (0..100).map(|_| Task::new(&readiness)).collect();
        for task in &tasks {
            // Twice: it waits once.
            assert!(task.poll(Direction::Read, Waiter::Task).is_pending());
            assert!(task.poll(Direction::Read, Waiter::Task).is_pending());
        }
        set(&readiness, READABLE);
        assert!(tasks.iter().all(|task| task.woken() == 1));
        assert!(tasks.iter().all(|task| Arc::strong_count(task) == 1));
    }

    #[test]
    fn futures_of_one_task_are_told_apart_and_withdrawn() {
        let readiness = Arc::new(Readiness::new());
        let task = Task::new(&readiness);
        let mut tickets = [(); 3].map(|()| Ticket::default());
        for ticket in &mut tickets {
            for _ in 0..2 {
                assert!(task.poll(Direction::Read, Waiter::Future(ticket)).is_pending());
            }
        }
        assert_eq!(Arc::strong_count(&task), 4);
        readiness.withdraw(Direction::Read, &tickets[1]);
        readiness.withdraw(Direction::Read, &tickets[1]);
        readiness.withdraw(Direction::Read, &Ticket::default());
        assert_eq!(Arc::strong_count(&task), 3);
        readiness.withdraw(Direction::Read, &tickets[0]);
        set(&readiness, READABLE);
        assert_eq!(task.woken(), 1);
        assert_eq!(Arc::strong_count(&task), 1);
    }

    #[test]
    fn a_future_that_moves_to_another_task_wakes_that_one() {
        let readiness = Arc::new(Readiness::new());
        let (before, after) = (Task::new(&readiness), Task::new(&readiness));
        let mut ticket = Ticket::default();
        for task in [&before, &after] {
            assert!(task.poll(Direction::Write, Waiter::Future(&mut ticket)).is_pending());
        }
        set(&readiness, WRITABLE);
        assert_eq!((before.woken(), after.woken()), (0, 1));
    }

    #[test]
    fn a_shut_down_is_told_to_waiters_and_to_those_who_come_later() {
        let readiness = Arc::new(Readiness::new());
        let task = Task::new(&readiness);
        assert!(task.poll(Direction::Read, Waiter::Task).is_pending());
        readiness.shut_down(&mut WakeBatch::new());
        assert_eq!(task.woken(), 1);
        set(&readiness, READABLE);
        for direction in Direction::BOTH {
            let error = readiness.look(direction).expect("there is an answer").unwrap_err();
            assert!(error.to_string().contains("shut down"), "{error}");
        }
    }

    #[test]
    fn an_abandoned_source_keeps_no_waker() {
        let readiness = Arc::new(Readiness::new());
        let task = Task::new(&readiness);
        assert!(task.poll(Direction::Read, Waiter::Task).is_pending());
        readiness.abandon();
        assert_eq!(Arc::strong_count(&task), 1);
        set(&readiness, READABLE);
        assert_eq!(task.woken(), 0);
    }
}

#[cfg(all(test, volt_loom))]
mod models {
    use std::sync::Arc;
    use std::task::Wake;

    use super::*;
    use crate::platform::model::model;
    use crate::platform::mutation::is_noticed;
    use crate::platform::sync::atomic::AtomicBool;

    struct Task(AtomicBool);

    impl Wake for Task {
        fn wake(self: Arc<Task>) {
            self.0.store(true, Ordering::Release);
        }
    }

    fn task() -> (Arc<Task>, Waker) {
        let task = Arc::new(Task(AtomicBool::new(false)));
        (Arc::clone(&task), Waker::from(task))
    }

    fn is_woken(task: &Task) -> bool {
        task.0.load(Ordering::Acquire)
    }

    /// A source that has a byte or not.
    struct Source {
        readiness: Readiness,
        byte: AtomicBool,
    }

    impl Source {
        fn new() -> Arc<Source> {
            let byte = AtomicBool::new(false);
            Arc::new(Source { readiness: Readiness::new(), byte })
        }

        fn tell(&self) {
            self.readiness.set(Ready(READABLE), &mut WakeBatch::new());
        }

        /// A byte arrives, and an event tells it.
        fn arrive(&self) {
            // A read-modify-write, though a store would do: loom lets a `swap` that follows it and
            // another `swap` read either's value, as if the first `swap` were not atomic.
            self.byte.swap(true, Ordering::Release);
            self.tell();
        }

        fn poll(&self, waker: &Waker, waiter: Waiter<'_>) -> Poll<io::Result<Seen>> {
            self.readiness.poll(&mut Context::from_waker(waker), Direction::Read, waiter)
        }

        /// Tries to read until that would block, then waits; true if the byte is had.
        fn read(&self, waker: &Waker) -> bool {
            while let Poll::Ready(seen) = self.poll(waker, Waiter::Task) {
                if self.byte.swap(false, Ordering::AcqRel) {
                    return true;
                }
                self.readiness.clear(Direction::Read, seen.expect("the runtime runs"));
            }
            false
        }
    }

    /// A byte arrives while a task reads; with an older event that has become untrue, or not.
    fn arrive_and_read(is_told_before: bool) {
        let source = Source::new();
        if is_told_before {
            source.tell();
        }
        let other = Arc::clone(&source);
        let thread = loom::thread::spawn(move || other.arrive());
        let (task, waker) = task();
        let is_read = source.read(&waker);
        thread.join().unwrap();
        assert!(is_read || is_woken(&task), "the byte is here and nobody wakes the task");
    }

    #[test]
    fn an_event_meets_a_clear_by_an_older_tick() {
        model(|| arrive_and_read(true));
    }

    #[test]
    fn clears_newer_mutant_is_noticed() {
        assert!(is_noticed("readiness-clears-newer", || model(|| arrive_and_read(true))));
    }

    #[test]
    fn an_event_meets_a_task_that_begins_to_wait() {
        model(|| arrive_and_read(false));
    }

    #[test]
    fn no_second_look_mutant_is_noticed() {
        assert!(is_noticed("readiness-no-second-look", || model(|| arrive_and_read(false))));
    }

    /// Two tasks begin to wait for one direction while an event comes.
    fn two_waiters() {
        let source = Source::new();
        let waiters = [(); 2].map(|()| task());
        let polls = waiters.each_ref().map(|(_, waker)| {
            let (source, waker) = (Arc::clone(&source), waker.clone());
            loom::thread::spawn(move || source.poll(&waker, Waiter::Task).is_ready())
        });
        source.tell();
        let ready = polls.map(|thread| thread.join().unwrap());
        for (ready, (task, _)) in ready.into_iter().zip(&waiters) {
            assert!(ready || is_woken(task), "a waiter misses the event");
        }
    }

    #[test]
    fn an_event_wakes_two_waiters_of_one_direction() {
        model(two_waiters);
    }

    #[test]
    fn displaced_waiter_mutant_is_noticed() {
        assert!(is_noticed("readiness-displaces-waiter", || model(two_waiters)));
    }

    /// A future that waits is dropped while an event takes it out and another one begins to wait.
    fn drop_and_wait() {
        let source = Source::new();
        let ((first, first_waker), (second, second_waker)) = (task(), task());
        let mut ticket = Ticket::default();
        assert!(source.poll(&first_waker, Waiter::Future(&mut ticket)).is_pending());
        let other = Arc::clone(&source);
        let thread = loom::thread::spawn(move || {
            let mut ticket = Ticket::default();
            other.tell();
            let polled = other.poll(&second_waker, Waiter::Future(&mut ticket));
            let Poll::Ready(Ok(seen)) = polled else { panic!("the event is lost") };
            other.readiness.clear(Direction::Read, seen);
            assert!(other.poll(&second_waker, Waiter::Future(&mut ticket)).is_pending());
        });
        source.readiness.withdraw(Direction::Read, &ticket);
        thread.join().unwrap();
        let was_woken = is_woken(&first);
        source.tell();
        assert!(is_woken(&second), "the future that is dropped takes another one with it");
        assert_eq!(is_woken(&first), was_woken, "the future that is dropped has left something");
    }

    #[test]
    fn a_dropped_future_meets_an_event() {
        model(drop_and_wait);
    }

    #[test]
    fn withdrawn_neighbour_mutant_is_noticed() {
        assert!(is_noticed("readiness-withdraws-another", || model(drop_and_wait)));
    }

    /// The runtime ends while a task begins to wait.
    fn shut_down_and_wait() {
        let source = Source::new();
        let other = Arc::clone(&source);
        let thread = loom::thread::spawn(move || {
            other.readiness.shut_down(&mut WakeBatch::new());
        });
        let (task, waker) = task();
        let polled = source.poll(&waker, Waiter::Task);
        thread.join().unwrap();
        match polled {
            Poll::Ready(seen) => assert!(seen.is_err(), "nothing was ready"),
            Poll::Pending => assert!(is_woken(&task), "the task waits for good"),
        }
        assert!(source.poll(&waker, Waiter::Task).is_ready());
    }

    #[test]
    fn a_shut_down_meets_a_waiter() {
        model(shut_down_and_wait);
    }

    #[test]
    fn late_shut_down_mutant_is_noticed() {
        assert!(is_noticed("readiness-shut-down-late", || model(shut_down_and_wait)));
    }
}
