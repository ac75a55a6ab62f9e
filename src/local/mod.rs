//! A runtime of one thread, for futures that are not `Send`: event loops, games, tests, and
//! programs that want one thread.
//!
//! ```
//! use std::cell::Cell;
//! use std::rc::Rc;
//!
//! let runtime = volt::local::Runtime::new();
//! let sum = Rc::new(Cell::new(0));
//! for n in 1..=4 {
//!     let sum = Rc::clone(&sum);
//!     runtime.spawn(async move { sum.set(sum.get() + n) });
//! }
//! runtime.run();
//! assert_eq!(sum.get(), 10);
//! ```
//!
//! Tasks are polled in the order in which they were woken. Spawning, waking, polling and
//! completing need no atomic read-modify-write, no lock and, for futures of up to some hundred
//! bytes, no allocation of their own. Locks and channels of [`crate::sync`] and
//! [`crate::channel`] work here as under any executor.
//!
//! A task's `Waker` may go to other threads, as its type says: a wake from there arrives.
//!
//! # On WebAssembly
//! In a JavaScript host (`wasm32-unknown-unknown`, built with `--no-default-features`) the event
//! loop runs what is spawned: nobody calls [`Runtime::run`], and whoever keeps the [`Runtime`]
//! returns to the host. It polls for five milliseconds at most before timers, events and frames
//! have their turn, and lets promises go on between two ticks. A [`Delay`] is a `setTimeout` there.
//! Handles can be awaited by other executors, such as that of `wasm-bindgen-futures`, whose
//! `JsFuture` is how a task waits for a promise.
//!
//! Where Rust aborts on a panic, as it does on that target unless told otherwise, a panic of a task
//! ends the program there.

mod arena;
mod delay;
mod error;
mod executor;
mod handle;
#[cfg_attr(all(target_family = "wasm", target_os = "unknown"), path = "event_loop.rs")]
mod host;
mod inbox;
mod join;
mod references;
mod task;
#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests;
mod timers;
mod waker;

use std::fmt;
use std::future::Future;
use std::ptr::NonNull;

pub use delay::Delay;
pub use error::JoinError;
use executor::Executor;
pub use handle::Handle;
use handle::Reference;
pub use join::{Cancel, JoinHandle};

/// A runtime of the thread that makes it. Dropping it drops its tasks; their handles give
/// cancelled errors then.
pub struct Runtime(NonNull<Executor>);

impl Runtime {
    /// A runtime without tasks.
    ///
    /// # Panics
    /// On a thread that is ending.
    #[must_use]
    pub fn new() -> Runtime {
        Runtime(Executor::new())
    }

    fn executor(&self) -> &Executor {
        // SAFETY: the memory is freed when the runtime has ended, in `drop`, or later.
        unsafe { self.0.as_ref() }
    }

    /// What its tasks spawn tasks with.
    #[must_use]
    pub fn handle(&self) -> Handle {
        // SAFETY: the runtime lives, and does not leave its thread.
        Handle(unsafe { Reference::new(self.0) })
    }

    /// Starts a task. It is polled when the runtime runs; a panic of it ends it alone and comes
    /// with its [`JoinHandle`].
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let slot = self.executor().spawn(future);
        // SAFETY: the runtime lives, and the task is new and gives that type.
        unsafe { JoinHandle::new(slot, Reference::new(self.0)) }
    }

    /// Polls tasks until every one has ended, and sleeps while none is ready: until a [`Delay`]
    /// is over, or another thread wakes a task.
    ///
    /// # Panics
    /// If it is called by a task of this runtime. In a JavaScript host, if it would have to sleep.
    #[track_caller]
    pub fn run(&self) {
        self.executor().run();
    }

    /// Polls `future` and the tasks until `future` is done; the tasks stay as they are then. The
    /// future has a place in the order of wakes like a task. Its panic is the caller's.
    ///
    /// ```
    /// let runtime = volt::local::Runtime::new();
    /// let text = String::from("borrowed");
    /// assert_eq!(runtime.run_until(async { text.len() }), 8);
    /// ```
    ///
    /// # Panics
    /// If it is called by a task of this runtime. In a JavaScript host, if it would have to sleep.
    #[track_caller]
    pub fn run_until<F: Future>(&self, future: F) -> F::Output {
        self.executor().run_until(future)
    }

    /// Polls each task that is ready now once, and does not sleep. True if tasks are ready again:
    /// false when they all wait.
    ///
    /// # Panics
    /// If it is called by a task of this runtime.
    #[track_caller]
    pub fn tick(&self) -> bool {
        self.executor().tick()
    }

    /// Polls tasks until none is ready, and does not sleep: for a loop that has other things to
    /// do, such as a game's.
    ///
    /// # Panics
    /// If it is called by a task of this runtime.
    #[track_caller]
    pub fn run_until_stalled(&self) {
        self.executor().run_until_stalled();
    }

    /// How many tasks have not ended.
    #[must_use]
    pub fn tasks(&self) -> usize {
        self.executor().tasks()
    }
}

impl Default for Runtime {
    fn default() -> Runtime {
        Runtime::new()
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        #[cfg(all(target_family = "wasm", target_os = "unknown"))]
        if self.executor().ends_after_turn() {
            return;
        }
        if self.executor().end() {
            // SAFETY: nobody has a reference any more.
            drop(unsafe { Box::from_raw(self.0.as_ptr()) });
        }
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("local::Runtime").field("tasks", &self.tasks()).finish()
    }
}
