//! The lock of [`RwLock`](super::RwLock) without what it protects.
//!
//! ```text
//!                 read                   write
//!   READERS(n) ◄──────── FREE ◄───────────────────► WRITER
//!    ▲ │ ▲ │              ▲          unlock           │
//!    │ │ │ └── unlock ────┘ of the last, n = 0        │
//!    └─┘ └───────────── downgrade: n = 1 ─────────────┘
//!   read, unlock
//!
//!   FREE | QUEUED, after an unlock, is passed on under the list's lock. The first is
//!
//!     a reader       all readers up to the next writer are let in ──────────► READERS(n)
//!     a writer       it is woken, and comes; or another overtakes it ───────► WRITER
//!       overtaken often enough, or `unlock_write_fair`: it is handed over ──► WRITER
//! ```
//!
//! One word: WRITER, QUEUED, WRITER_QUEUED and how many readers are in. QUEUED says that the list
//! is not empty, WRITER_QUEUED that a writer is in it. They change under the list's lock alone.
//!
//! A writer that is woken keeps its place until it has the lock. Until it comes, a task that runs
//! may overtake it to write, never to read. The tag of a waiter says what it wants and how often
//! it was overtaken while it was first: after [`MOST_OVERTAKERS`] times it is not any more.
//!
//! Rules:
//! 1. A waiter is queued only by a compare-and-swap that finds somebody in its way and announces
//!    it; or, with a spent budget, by one that announces it and has the task come again. So
//!    whoever unlocks sees it.
//! 2. While somebody is queued, writers come in under the list's lock alone; while a writer is
//!    queued, readers too. So what is seen to be free under that lock stays free.
//! 3. Whoever frees the lock, downgrades it or leaves the list passes the lock on. The last reader
//!    need not if no writer is queued: see 4.
//! 4. While no writer is in, a queued reader before all queued writers has spent its budget, and
//!    its task comes again; or somebody is about to let it in.
//! 5. A waker is called, cloned and dropped outside the list's lock; once the lock is had, a panic
//!    of it is swallowed, or nobody would unlock.

use std::pin::Pin;
use std::task::{Poll, Waker};

use crate::platform::mutation::mutation;
use crate::platform::sync::atomic::{AtomicUsize, Ordering};
use crate::platform::sync::{Mutex, MutexGuard, const_fn};
use crate::waiter::{Outcome, Place, Turn, Waiter, WakeBatch, discard, wake};
use queue::{Access, Queue};

#[cfg(all(test, volt_loom))]
mod models;
mod queue;
#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests;

const WRITER: usize = 1;
const QUEUED: usize = 1 << 1;
const WRITER_QUEUED: usize = 1 << 2;
/// One reader.
const READER: usize = 1 << 3;
/// Somebody is in.
const HELD: usize = !(QUEUED | WRITER_QUEUED);

/// How many readers may come in. It is half of what fits: those who are let in from the list, each
/// of which has its waiter in memory, are not counted against it.
const MOST_READERS: usize = usize::MAX >> 4;

/// How many writers may overtake the first waiter.
const MOST_OVERTAKERS: usize = 4;

impl Access {
    /// What the state has more of when it is had.
    fn hold(self) -> usize {
        match self {
            Access::Read => READER,
            Access::Write => WRITER,
        }
    }

    /// What the state says when somebody waits for it.
    fn announcement(self) -> usize {
        match self {
            Access::Read => QUEUED,
            Access::Write => QUEUED | WRITER_QUEUED,
        }
    }
}

/// See the module documentation.
pub(crate) struct RawRwLock {
    state: AtomicUsize,
    queue: Mutex<Queue>,
}

impl RawRwLock {
    const_fn! {
        pub(crate) fn new() -> RawRwLock {
            RawRwLock { state: AtomicUsize::new(0), queue: Mutex::new(Queue::new()) }
        }
    }

    /// Comes in to read, if no writer is in or queued.
    ///
    /// # Panics
    /// If [`MOST_READERS`] are in.
    #[inline]
    pub(crate) fn try_read(&self) -> bool {
        // Relaxed: the compare-and-swap tells whether it is still so.
        let mut state = self.state.load(Ordering::Relaxed);
        while state & (WRITER | WRITER_QUEUED) == 0 {
            check_room(state);
            // Acquire: pairs with the release of the writer who was in before.
            let (next, order) = (state + READER, Ordering::Acquire);
            match self.state.compare_exchange_weak(state, next, order, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(found) => state = found,
            }
        }
        false
    }

    /// Comes in to write, if nobody is in.
    #[inline]
    pub(crate) fn try_write(&self) -> bool {
        // Acquire: pairs with the release of all who were in before.
        match self.state.compare_exchange(0, WRITER, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => true,
            Err(state) => state & HELD == 0 && self.try_overtake(),
        }
    }

    #[cold]
    fn try_overtake(&self) -> bool {
        let mut queue = self.queue.lock();
        let overtakes = queue.may_be_overtaken() && self.enter_or_announce(Access::Write, HELD, 0);
        if overtakes {
            queue.count_overtaker();
        }
        overtakes
    }

    /// Comes in to read, or takes a place in the queue.
    ///
    /// # Panics
    /// If [`MOST_READERS`] are in.
    #[inline]
    pub(crate) fn poll_read<'a>(
        &'a self,
        waiter: Pin<&mut Waiter<'a>>,
        waker: &Waker,
        turn: Turn,
    ) -> Poll<()> {
        if turn == Turn::Take && !waiter.is_in(self) && self.try_read() {
            return Poll::Ready(());
        }
        self.poll_contended(waiter, waker, turn, Access::Read)
    }

    /// Comes in to write, or takes a place in the queue.
    #[inline]
    pub(crate) fn poll_write<'a>(
        &'a self,
        waiter: Pin<&mut Waiter<'a>>,
        waker: &Waker,
        turn: Turn,
    ) -> Poll<()> {
        if turn == Turn::Take && !waiter.is_in(self) && self.try_write() {
            return Poll::Ready(());
        }
        self.poll_contended(waiter, waker, turn, Access::Write)
    }

    #[cold]
    fn poll_contended<'a>(
        &'a self,
        mut waiter: Pin<&mut Waiter<'a>>,
        waker: &Waker,
        turn: Turn,
        access: Access,
    ) -> Poll<()> {
        let is_queued = waiter.is_in(self);
        if is_queued && access.take_from(waiter.as_mut()) {
            return Poll::Ready(());
        }
        let waker = waker.clone();
        let mut queue = self.queue.lock();
        if is_queued {
            // It may have been served since; this look is under the lock.
            if access.take_from(waiter.as_mut()) {
                drop(queue);
                discard(Some(waker));
                return Poll::Ready(());
            }
            queue.check(&waiter, access);
        }
        let may_enter = turn == Turn::Take
            && match access {
                _ if is_queued => queue.is_first(&waiter),
                Access::Read => true,
                Access::Write => queue.may_be_overtaken(),
            };
        let hindrance = match access {
            Access::Read if is_queued => WRITER,
            Access::Read => WRITER | WRITER_QUEUED,
            Access::Write => HELD,
        };
        if may_enter && self.enter_or_announce(access, hindrance, access.announcement()) {
            if is_queued {
                let own = queue.remove(&waiter).expect("it was not served");
                waiter.finish();
                self.note_who_waits(&queue);
                // The readers behind a reader come in with it.
                self.pass_on(queue, MOST_OVERTAKERS);
                discard(own);
            } else {
                if access == Access::Write {
                    queue.count_overtaker();
                }
                drop(queue);
            }
            discard(Some(waker));
            return Poll::Ready(());
        }
        let unneeded = if is_queued {
            queue.renew(&waiter, waker)
        } else {
            // Relaxed: rule 1: whoever unlocks comes to the list, under its lock.
            self.state.fetch_or(access.announcement(), Ordering::Relaxed);
            queue.push(waiter, self, waker, access);
            None
        };
        drop(queue);
        discard(unneeded);
        Poll::Pending
    }

    /// Comes in if the state has nothing of `hindrance`; else whoever unlocks will see
    /// `announcement`. Under the list's lock.
    fn enter_or_announce(&self, access: Access, hindrance: usize, announcement: usize) -> bool {
        // Relaxed: the compare-and-swap tells whether it is still so.
        let mut state = self.state.load(Ordering::Relaxed);
        loop {
            let enters = state & hindrance == 0;
            let next = if enters {
                check_room(state);
                state + access.hold()
            } else {
                state | mutation!("rw-lock-announces-late", announcement, 0)
            };
            // Acquire: as in `try_read` and `try_write`.
            let order = Ordering::Acquire;
            match self.state.compare_exchange_weak(state, next, order, Ordering::Relaxed) {
                Ok(_) => return enters,
                Err(found) => state = found,
            }
        }
    }

    /// Under the list's lock.
    fn note_who_waits(&self, queue: &Queue) {
        let gone = if queue.is_empty() {
            QUEUED | WRITER_QUEUED
        } else if queue.has_writer() {
            return;
        } else {
            WRITER_QUEUED
        };
        // Relaxed: it says something of the list, which has a lock.
        self.state.fetch_and(!gone, Ordering::Relaxed);
    }

    /// A reader leaves.
    #[inline]
    pub(crate) fn unlock_read(&self) {
        // Release: pairs with the acquire of the writer who is in next.
        let order =
            mutation!("rw-lock-reader-leaves-unordered", Ordering::Release, Ordering::Relaxed);
        let before = self.state.fetch_sub(READER, order);
        if before & !QUEUED == (READER | WRITER_QUEUED) {
            self.unlock_read_contended();
        }
    }

    #[cold]
    fn unlock_read_contended(&self) {
        self.pass_on(self.queue.lock(), MOST_OVERTAKERS);
    }

    /// The writer leaves.
    #[inline]
    pub(crate) fn unlock_write(&self) {
        if !self.unlock_write_uncontended() {
            self.unlock_write_contended(MOST_OVERTAKERS);
        }
    }

    /// The writer leaves, and whoever is first comes in.
    pub(crate) fn unlock_write_fair(&self) {
        if !self.unlock_write_uncontended() {
            self.unlock_write_contended(0);
        }
    }

    #[inline]
    fn unlock_write_uncontended(&self) -> bool {
        // Release: pairs with the acquire of whoever is in next.
        self.state.compare_exchange(WRITER, 0, Ordering::Release, Ordering::Relaxed).is_ok()
    }

    #[cold]
    fn unlock_write_contended(&self, most: usize) {
        let queue = self.queue.lock();
        // Release: as in `unlock_write_uncontended`.
        self.state.fetch_and(!WRITER, Ordering::Release);
        self.pass_on(queue, most);
    }

    /// The writer becomes a reader, and the readers who are first come in, too.
    pub(crate) fn downgrade(&self) {
        // Release: pairs with the acquire of the readers who come in.
        let order = mutation!("rw-lock-downgrades-unordered", Ordering::Release, Ordering::Relaxed);
        let before = self.state.fetch_add(READER - WRITER, order);
        if mutation!("rw-lock-downgrades-silently", before & QUEUED != 0, false) {
            self.downgrade_contended();
        }
    }

    #[cold]
    fn downgrade_contended(&self) {
        self.pass_on(self.queue.lock(), MOST_OVERTAKERS);
    }

    /// Who was let in with `outcome` does not want that, and leaves.
    fn unlock_unwanted(&self, outcome: Outcome) {
        if outcome == Access::Read.outcome() {
            self.unlock_read();
        } else {
            self.unlock_write();
        }
    }

    /// Looks who is first. Readers come in unless a writer is in. A writer is woken if nobody is
    /// in; if it was overtaken `most` times, it comes in.
    fn pass_on<'a>(&'a self, mut queue: MutexGuard<'a, Queue>, most: usize) {
        let Some(first) = queue.first() else { return };
        // Acquire: pairs with the releases of all who were in. Not each of them came here, and
        // who is served goes on after this.
        let order = mutation!("rw-lock-passes-on-unseen", Ordering::Acquire, Ordering::Relaxed);
        let state = self.state.load(order);
        let waker = match first.access {
            Access::Read if state & WRITER == 0 => return self.let_readers_in(queue),
            Access::Write if state & HELD == 0 && first.overtaken >= most => {
                // Relaxed: it is free by rule 2, and the outcome tells who has it.
                self.state.fetch_or(WRITER, Ordering::Relaxed);
                let waker = queue.serve_first();
                self.note_who_waits(&queue);
                waker
            }
            Access::Write if state & HELD == 0 => {
                mutation!("rw-lock-frees-silently", queue.take_first_waker(), None)
            }
            // Whoever is in passes it on, or the last of them.
            Access::Read | Access::Write => None,
        };
        drop(queue);
        wake(waker);
    }

    /// Lets in all readers up to the next writer, for as long as no writer is in.
    fn let_readers_in<'a>(&'a self, mut queue: MutexGuard<'a, Queue>) {
        loop {
            let mut batch = WakeBatch::new();
            // Relaxed: by rule 2 a writer can leave here, but not come in.
            while batch.has_room()
                && queue.is_reader_first()
                && self.state.load(Ordering::Relaxed) & WRITER == 0
            {
                // It is counted first: when it knows, it may leave at once. Acquire: as in
                // `try_read`, on its behalf.
                self.state.fetch_add(READER, Ordering::Acquire);
                if let Some(waker) = queue.serve_first() {
                    batch.push(waker);
                }
            }
            self.note_who_waits(&queue);
            let is_done = batch.has_room();
            drop(queue);
            drop(batch);
            if is_done {
                return;
            }
            queue = self.queue.lock();
        }
    }
}

// SAFETY: `withdraw` removes the waiter, which was either in the list or served.
unsafe impl Place for RawRwLock {
    fn withdraw(&self, waiter: &Waiter<'_>) {
        let mut queue = self.queue.lock();
        match queue.remove(waiter) {
            Ok(own) => {
                self.note_who_waits(&queue);
                // Rule 3: readers may have waited for this writer alone, and the wake-up of the
                // first one may have been for this one.
                mutation!(
                    "rw-lock-withdraws-silently",
                    {
                        self.pass_on(queue, MOST_OVERTAKERS);
                    },
                    {
                        drop(queue);
                    }
                );
                discard(own);
            }
            Err(outcome) => {
                drop(queue);
                mutation!("rw-lock-keeps-the-unwanted", self.unlock_unwanted(outcome), ());
            }
        }
    }
}

#[inline]
fn check_room(state: usize) {
    if state >= MOST_READERS * READER {
        too_many_readers();
    }
}

#[cold]
#[inline(never)]
fn too_many_readers() -> ! {
    panic!("{MOST_READERS} readers have one lock: are their guards forgotten?");
}
