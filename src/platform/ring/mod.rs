//! The completion queue: operations are submitted, and complete later, in any order.
//!
//! | built with | what it is |
//! |---|---|
//! | `real` alone, on Linux | `io_uring`, without a branch or a field more |
//! | `sim` too, on Linux | a simulated ring on simulated threads, `io_uring` on all others |
//! | other systems, `--cfg volt_loom` | there is none: an error |
//!
//! A ring belongs to the world and, unless it is shared, to the thread that it was created on.
//!
//! # What both worlds keep to
//!
//! - Each operation that was taken completes once; a cancel too. In which order is open.
//! - Nothing that completes is lost, however many there are.
//! - The memory of an operation is the queue's until it has completed, also if it was cancelled.
//! - A transfer may be shorter than asked for; a read of 0 bytes is the end of the file.
//! - An operation may be refused for no fault of its own: [`is_refusal`]. Nothing was done of it
//!   then.
//! - Operations begin with the next [`Ring::turn`], and complete in one.
//! - A [`Ring::wait`] submits and waits in one call of the system. It ends with a completion, with
//!   a [`RingWaker`], with what a [`Poller`](super::net::Poller) has to tell, or with its time: so
//!   a thread can wait in its ring for all that it waits for. It may end without any of them.
//! - A wake-up that comes while nobody waits ends the next wait. What a poller has to tell is told
//!   to a wait that asks for it, also if it came before, and until somebody has taken the events.
//!
//! ```
//! use volt::platform::fs::{self, OpenFlags};
//! use volt::platform::ring::{Operation, Ring};
//!
//! # fn main() -> std::io::Result<()> {
//! let Ok(mut ring) = Ring::new(8, false) else { return Ok(()) }; // this machine has none
//! let file = fs::open("Cargo.toml".as_ref(), &OpenFlags::READ)?;
//! let mut bytes = [0; 4];
//! let read = Operation::Read { file: &file, buffer: bytes.as_mut_ptr(), length: 4, offset: 1 };
//! // SAFETY: the buffer is there, and nobody touches it, until the read has completed.
//! assert!(unsafe { ring.submit(7, &read) });
//! let mut completions = Vec::new();
//! while completions.is_empty() {
//!     ring.turn(true, &mut completions)?;
//! }
//! assert_eq!((completions[0].token, *completions[0].result.as_ref().unwrap()), (7, 4));
//! # Ok(())
//! # }
//! ```

#[cfg(any(not(target_os = "linux"), volt_loom))]
mod absent;
#[cfg(all(target_os = "linux", not(volt_loom)))]
mod real;
#[cfg(all(target_os = "linux", feature = "sim", not(volt_loom)))]
mod simulated;

#[cfg(any(not(target_os = "linux"), volt_loom))]
use absent as face;
#[cfg(all(target_os = "linux", not(feature = "sim"), not(volt_loom)))]
use real as face;
#[cfg(all(target_os = "linux", feature = "sim", not(volt_loom)))]
use simulated as face;

use std::io;

pub use face::{Ring, RingWaker};

use super::fs::File;
use super::net::TcpStream;

/// This token and those above it are the rings' own.
#[cfg(all(target_os = "linux", not(volt_loom)))]
const FIRST_OWN_TOKEN: u64 = u64::MAX - 1;

/// What is to be done.
#[derive(Debug)]
pub enum Operation<'a> {
    /// Reads up to `length` bytes from `offset` on; the position of the file stays.
    Read {
        /// Which file.
        file: &'a File,
        /// Where the bytes go.
        buffer: *mut u8,
        /// How many there is room for.
        length: u32,
        /// Where they lie in the file.
        offset: u64,
    },
    /// Writes up to `length` bytes at `offset`, or at the end of a file that was opened to append;
    /// the position of the file stays.
    Write {
        /// Which file.
        file: &'a File,
        /// Where the bytes are.
        bytes: *const u8,
        /// How many there are.
        length: u32,
        /// Where they go to in the file.
        offset: u64,
    },
    /// Makes the content durable, and the metadata too unless `data_only`.
    Sync {
        /// Which file.
        file: &'a File,
        /// Only what is needed to find the content.
        data_only: bool,
    },
    /// Reads up to `length` bytes from a connection, when there are any; 0 at its end. It may wait
    /// for ever.
    Receive {
        /// Which connection.
        socket: &'a TcpStream,
        /// Where the bytes go.
        buffer: *mut u8,
        /// How many there is room for.
        length: u32,
    },
}

/// What has become of an operation.
#[derive(Debug)]
pub struct Completion {
    /// What it was submitted as.
    pub token: u64,
    /// How many bytes were transferred; 0 for what transfers none.
    pub result: io::Result<usize>,
    /// Another completion of the same operation follows.
    pub more: bool,
}

/// Whether an operation was refused rather than tried: another way of doing it may succeed.
pub fn is_refusal(error: &io::Error) -> bool {
    #[cfg(target_os = "linux")]
    let numbers = [libc::EAGAIN, libc::EINTR, libc::ECANCELED, libc::EOPNOTSUPP];
    #[cfg(not(target_os = "linux"))]
    let numbers: [i32; 0] = [];
    error.raw_os_error().is_some_and(|number| numbers.contains(&number))
}

/// Whether this machine has rings that do all that [`Operation`] can ask for.
///
/// # Errors
/// If it has not, with the reason.
pub fn probe() -> io::Result<()> {
    face::probe()
}

#[cfg(all(test, target_os = "linux", not(any(volt_loom, volt_shuttle))))]
mod tests {
    use std::path::Path;

    use std::time::Duration;

    use super::*;
    use crate::platform::clock;
    use crate::platform::fs::{OpenFlags, open, remove_file};
    use crate::platform::net::{Events, Poller};
    use crate::platform::thread;

    const BOTH: OpenFlags = OpenFlags { read: true, write: true, create: true, ..OpenFlags::NONE };

    /// Submits an operation until it is not refused, and gives what came of it.
    fn run(ring: &mut Ring, operation: &Operation<'_>) -> usize {
        let mut completions = Vec::new();
        for token in 1.. {
            // SAFETY: callers keep the memory until this returns, after the completion.
            assert!(unsafe { ring.submit(token, operation) });
            while completions.is_empty() {
                ring.turn(true, &mut completions).unwrap();
            }
            let Completion { token: of, result, more } = completions.pop().unwrap();
            assert!(of == token && !more && completions.is_empty());
            match result {
                Err(error) if is_refusal(&error) => {}
                result => return result.unwrap(),
            }
        }
        unreachable!("a machine that refuses every operation")
    }

    const MOMENT: Duration = Duration::from_millis(20);

    /// Waits in a ring where nothing is in flight; whether the poller has something to tell.
    fn wait(ring: &mut Ring, timeout: Option<Duration>, poller: Option<&Poller>) -> bool {
        let mut completions = Vec::new();
        let told = ring.wait(timeout, poller, &mut completions).unwrap();
        assert!(completions.is_empty(), "{completions:?}");
        told
    }

    /// A wait without a time-out would never end.
    fn times_out(ring: &mut Ring) {
        let began = clock::now();
        assert!(!wait(ring, Some(Duration::ZERO), None));
        // It may end early.
        while clock::now().saturating_duration_since(began) < MOMENT {
            assert!(!wait(ring, Some(MOMENT), None));
        }
    }

    /// A wake-up ends a wait, or the next one.
    fn is_woken(ring: &mut Ring) {
        let waker = ring.waker().unwrap();
        for _ in 0..3 {
            waker.wake().unwrap();
            wait(ring, None, None);
            // A turn before the wait, as of who takes completions for a stuck owner, keeps it.
            waker.wake().unwrap();
            ring.turn(false, &mut Vec::new()).unwrap();
            wait(ring, None, None);
        }
        for _ in 0..3 {
            let waker = ring.waker().unwrap();
            let thread = thread::spawn("waker", None, move || {
                thread::sleep(MOMENT);
                waker.wake().unwrap();
            });
            wait(ring, None, None);
            thread.unwrap().join().unwrap();
        }
    }

    /// What a poller has to tell ends a wait that asks for it, whether it comes before or after.
    fn tells_of_a_poller(ring: &mut Ring) {
        let mut poller = Poller::new().unwrap();
        let waker = poller.waker().unwrap();
        let mut events = Events::with_capacity(4);
        for asked_before in [true, false, true] {
            if asked_before {
                assert!(!wait(ring, Some(MOMENT), Some(&poller)), "nothing has come yet");
            }
            waker.wake().unwrap();
            while !wait(ring, None, Some(&poller)) {}
            // It may be told once more, until somebody has taken the events.
            poller.wait(&mut events, Some(Duration::ZERO)).unwrap();
        }
        // Events that somebody else has taken are not waited for in vain.
        waker.wake().unwrap();
        poller.wait(&mut events, Some(Duration::ZERO)).unwrap();
        wait(ring, Some(MOMENT), Some(&poller));
        wait(ring, Some(MOMENT), Some(&poller));
        waker.wake().unwrap();
        while !wait(ring, None, Some(&poller)) {}
    }

    /// What every ring does, real or simulated.
    fn contract(path: &Path) {
        probe().unwrap();
        let mut ring = Ring::new(2, false).unwrap();
        let file = open(path, &BOTH).unwrap();
        let text = b"hello, world";
        let mut at = 0;
        while at < text.len() {
            let (bytes, length) = (text[at..].as_ptr(), (text.len() - at) as u32);
            let offset = at as u64;
            at += run(&mut ring, &Operation::Write { file: &file, bytes, length, offset });
        }
        assert_eq!(run(&mut ring, &Operation::Sync { file: &file, data_only: true }), 0);
        assert_eq!(run(&mut ring, &Operation::Sync { file: &file, data_only: false }), 0);
        let mut read = [0; 16];
        let mut at = 0;
        loop {
            let (buffer, length) = (read[at..].as_mut_ptr(), (read.len() - at) as u32);
            let offset = at as u64;
            match run(&mut ring, &Operation::Read { file: &file, buffer, length, offset }) {
                0 => break,
                count => at += count,
            }
        }
        assert_eq!(&read[..at], text);

        // A wait submits, and ends with the completion.
        let mut completions = Vec::new();
        for round in 0..3 {
            let operation = Operation::Sync { file: &file, data_only: true };
            // SAFETY: it has no memory.
            assert!(unsafe { ring.submit(round, &operation) });
            while completions.is_empty() {
                assert!(!ring.wait(None, None, &mut completions).unwrap(), "no poller was asked");
            }
            assert_eq!(completions.pop().unwrap().token, round);
        }
        times_out(&mut ring);
        is_woken(&mut ring);
        tells_of_a_poller(&mut ring);

        // Both complete, whichever way it goes.
        let operation = Operation::Sync { file: &file, data_only: true };
        // SAFETY: it has no memory.
        assert!(unsafe { ring.submit(8, &operation) });
        assert!(ring.cancel(9, 8));
        assert!(!ring.cancel(10, 8), "there is no room");
        while completions.len() < 2 {
            ring.turn(true, &mut completions).unwrap();
        }
        let mut tokens: Vec<u64> = completions.iter().map(|completion| completion.token).collect();
        tokens.sort_unstable();
        assert_eq!(tokens, [8, 9]);
        drop((ring, file));
        remove_file(path).unwrap();
    }

    #[test]
    fn the_system_keeps_the_contract() {
        if let Err(error) = probe() {
            return println!("this machine has no rings: {error}");
        }
        contract(&std::env::temp_dir().join(format!("volt-ring-{}", std::process::id())));
    }

    #[cfg(feature = "sim")]
    #[test]
    fn the_simulation_keeps_the_contract() {
        volt_sim::check(|| contract(Path::new("/file")));
    }

    /// A pipe has no offsets, and a read of it may wait for ever.
    #[test]
    fn what_is_no_storage_is_not_taken() {
        let Ok(mut ring) = Ring::new(2, false) else { return };
        let (reader, writer) = std::io::pipe().unwrap();
        let ends = [std::os::fd::OwnedFd::from(reader), std::os::fd::OwnedFd::from(writer)];
        let [reader, writer] = ends.map(|end| File::from_std(end.into()).unwrap());
        let mut byte = [0];
        let (buffer, bytes) = (byte.as_mut_ptr(), b"x".as_ptr());
        let read = Operation::Read { file: &reader, buffer, length: 1, offset: 0 };
        let write = Operation::Write { file: &writer, bytes, length: 1, offset: 0 };
        for operation in [read, write] {
            // SAFETY: nothing is in flight when the memory goes, as the ring takes none of it.
            assert!(!unsafe { ring.submit(1, &operation) });
        }
    }

    /// More completions than the queue has room for: none is lost.
    fn overflow(path: &Path) {
        let mut ring = Ring::new(2, false).unwrap();
        let file = open(path, &OpenFlags::READ).unwrap();
        let mut buffers = vec![[0_u8; 8]; 100];
        let mut completions = Vec::new();
        for (token, buffer) in buffers.iter_mut().enumerate() {
            let buffer = buffer.as_mut_ptr();
            let operation = Operation::Read { file: &file, buffer, length: 8, offset: 0 };
            // SAFETY: the buffers outlive the loop below, which waits for all completions.
            while !unsafe { ring.submit(token as u64, &operation) } {
                ring.submit_only().unwrap();
            }
        }
        while completions.len() < 100 {
            ring.turn(true, &mut completions).unwrap();
        }
        let mut tokens: Vec<u64> = completions.iter().map(|completion| completion.token).collect();
        tokens.sort_unstable();
        assert!(tokens.into_iter().eq(0..100));
        let text = b"[workspa";
        for Completion { token, result, .. } in completions {
            match result {
                Ok(count) => assert_eq!(buffers[token as usize][..count], text[..count]),
                Err(error) => assert!(is_refusal(&error), "{error}"),
            }
        }
    }

    #[test]
    fn a_full_queue_loses_nothing() {
        if probe().is_ok() {
            overflow(Path::new("Cargo.toml"));
        }
    }

    #[cfg(feature = "sim")]
    #[test]
    fn a_full_simulated_queue_loses_nothing() {
        volt_sim::check(|| {
            volt_sim::fs::write("/file", b"[workspace]").unwrap();
            overflow(Path::new("/file"));
        });
    }
}
