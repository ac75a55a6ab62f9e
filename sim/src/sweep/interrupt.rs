//! A sweep stops on `SIGINT` and `SIGTERM` with what it has.
//!
//! ```text
//!   default ── a sweep begins ──► ours ── signal ──► noted: sweeps stop ── signal ──► the
//!      ▲                            │                                     process ends by it
//!      └──── the last one ends ─────┘
//! ```
//!
//! Who handles these signals himself goes before: his handler stays, and no sweep stops by it.
//! Who saves ours while a sweep runs may put it back when none does: it then ends the process, as
//! the default would. Once a signal has come, later sweeps of the process run nothing: it was asked
//! to end.
//!
//! Where signals are not Unix's, they end the process at once, as ever.

#[cfg(not(unix))]
pub(crate) use elsewhere::{Listening, end_process};
#[cfg(unix)]
pub(crate) use unix::{Listening, end_process};

#[cfg(not(unix))]
mod elsewhere {
    /// Exists while a sweep runs.
    pub(crate) struct Listening(());

    impl Listening {
        pub(crate) fn begin() -> Listening {
            Listening(())
        }

        /// No signal is noted here.
        pub(crate) fn signal(&self) -> Option<&'static str> {
            None
        }
    }

    /// No sweep is stopped by a signal here.
    pub(crate) fn end_process() {}
}

#[cfg(unix)]
mod unix {
    use std::ffi::{c_int, c_void};
    use std::mem::MaybeUninit;
    use std::ptr;
    use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
    use std::sync::{Mutex, PoisonError};

    const SIGNALS: [(c_int, &str); 2] = [(libc::SIGINT, "SIGINT"), (libc::SIGTERM, "SIGTERM")];

    // Relaxed throughout: each value is all there is to know.

    /// The signal that has come; 0 = none.
    static RECEIVED: AtomicI32 = AtomicI32::new(0);
    /// Whether any sweep runs, for the handler, which must not lock.
    static LISTENS: AtomicBool = AtomicBool::new(false);
    /// How many sweeps run.
    static LISTENING: Mutex<usize> = Mutex::new(0);

    /// Exists while a sweep runs.
    pub(crate) struct Listening(());

    impl Listening {
        pub(crate) fn begin() -> Listening {
            let mut listening = LISTENING.lock().unwrap_or_else(PoisonError::into_inner);
            *listening += 1;
            LISTENS.store(true, Ordering::Relaxed);
            // After the first signal the next one is to end the process.
            if *listening == 1 && RECEIVED.load(Ordering::Relaxed) == 0 {
                SIGNALS.into_iter().for_each(|(signal, _)| take_over(signal));
            }
            Listening(())
        }

        /// The signal that asks the sweeps to stop, once it has come.
        pub(crate) fn signal(&self) -> Option<&'static str> {
            let received = RECEIVED.load(Ordering::Relaxed);
            SIGNALS.into_iter().find(|(signal, _)| *signal == received).map(|(_, name)| name)
        }
    }

    impl Drop for Listening {
        fn drop(&mut self) {
            let mut listening = LISTENING.lock().unwrap_or_else(PoisonError::into_inner);
            *listening -= 1;
            if *listening == 0 {
                SIGNALS.into_iter().for_each(|(signal, _)| give_back(signal));
                LISTENS.store(false, Ordering::Relaxed);
            }
        }
    }

    /// Ends the process by the signal that has come, unless other sweeps have yet to report.
    /// Returns then, or when none has come.
    pub(crate) fn end_process() {
        let listening = LISTENING.lock().unwrap_or_else(PoisonError::into_inner);
        let received = RECEIVED.load(Ordering::Relaxed);
        if *listening == 0 && received != 0 {
            die_of(received);
        }
    }

    /// The disposition `SIG_DFL`, and the signal once more.
    fn die_of(signal: c_int) {
        // SAFETY: both calls take numbers alone, and may be made in a signal handler. `raise`
        // would look into the thread's own block, which on a simulated thread is not the
        // system's.
        unsafe {
            libc::signal(signal, libc::SIG_DFL);
            libc::kill(libc::getpid(), signal);
        }
    }

    /// Runs on whichever thread the signal reaches, simulated ones included: it touches nothing
    /// of the thread.
    extern "C" fn note(signal: c_int, info: *mut libc::siginfo_t, _context: *mut c_void) {
        // SAFETY: with `SA_SIGINFO` the system passes a valid one, whose sender is 0 where it is
        // not a process; `getpid` has no conditions.
        let own = unsafe { (*info).si_pid() == libc::getpid() };
        let listens = LISTENS.load(Ordering::Relaxed);
        // A program that tests its own handlers asks no sweep to stop.
        if !listens || (!own && RECEIVED.swap(signal, Ordering::Relaxed) != 0) {
            die_of(signal);
        }
    }

    fn handler() -> libc::sighandler_t {
        note as *const () as libc::sighandler_t
    }

    fn take_over(signal: c_int) {
        let mut ours = MaybeUninit::<libc::sigaction>::zeroed();
        let mut before = MaybeUninit::<libc::sigaction>::zeroed();
        // SAFETY: all bits zero are a valid `sigaction`, the default; the handler has the
        // signature that `SA_SIGINFO` asks for, and does only what a handler may.
        unsafe {
            // Asked first: a handler of the program must not miss a signal.
            let failed = libc::sigaction(signal, ptr::null(), before.as_mut_ptr()) != 0;
            if failed || before.assume_init_ref().sa_sigaction != libc::SIG_DFL {
                return;
            }
            let action = ours.assume_init_mut();
            action.sa_sigaction = handler();
            // The alternative stack: a simulated thread's own may be nearly full.
            action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART | libc::SA_ONSTACK;
            libc::sigemptyset(&mut action.sa_mask);
            libc::sigaction(signal, ours.as_ptr(), ptr::null_mut());
        }
    }

    fn give_back(signal: c_int) {
        let mut current = MaybeUninit::<libc::sigaction>::zeroed();
        // SAFETY: a question, answered into a value that is valid before as well.
        let current = unsafe {
            libc::sigaction(signal, ptr::null(), current.as_mut_ptr());
            current.assume_init_ref()
        };
        // Somebody who has put a handler of his own in place meanwhile keeps it.
        if current.sa_sigaction == handler() {
            // SAFETY: the default disposition.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
    }
}
