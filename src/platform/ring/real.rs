//! The real machine's completion queue: `io_uring`.

use std::fmt;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::OnceLock;

use io_uring::types::Fd;
use io_uring::{IoUring, Probe, cqueue, opcode, squeue, types};
use mio::unix::SourceFd;
use mio::{Interest, Token};
use rustix::event::{EventfdFlags, eventfd};

use super::{Completion, Operation};
use crate::platform::net::real::{Registrar, Source};

/// All that an [`Operation`] can ask for, and cancelling.
const NEEDED: [u8; 4] =
    [opcode::Read::CODE, opcode::Write::CODE, opcode::Fsync::CODE, opcode::AsyncCancel::CODE];

/// Whether the kernel has rings and lets this process have one. It is asked once.
///
/// # Errors
/// `Unsupported`, with the reason.
pub fn probe() -> io::Result<()> {
    /// The kernel does not change while the process runs.
    static FOUND: OnceLock<Result<(), String>> = OnceLock::new();
    let found = FOUND.get_or_init(|| check().map_err(|error| error.to_string()));
    found.clone().map_err(|why| {
        io::Error::new(ErrorKind::Unsupported, format!("this system has no io_uring for us: {why}"))
    })
}

/// Whether the kernel's rings do all that is needed.
fn check() -> io::Result<()> {
    let Ring { ring, .. } = Ring::open(1)?;
    if !ring.params().is_feature_nodrop() {
        return Err(io::Error::new(
            ErrorKind::Unsupported,
            "the kernel drops completions that its queue has no room for",
        ));
    }
    let mut probe = Probe::new();
    ring.submitter().register_probe(&mut probe)?;
    if let Some(code) = NEEDED.iter().find(|code| !probe.is_supported(**code)) {
        return Err(io::Error::new(
            ErrorKind::Unsupported,
            format!("the kernel's rings cannot do operation {code}"),
        ));
    }
    Ok(())
}

/// A completion queue. One thread uses it: the one that made it.
pub struct Ring {
    ring: IoUring,
    /// The kernel adds to it with each completion. Edges of the ring's own descriptor do not do: of
    /// completions that wait for the thread's next call, the kernel tells none.
    event: OwnedFd,
}

impl Ring {
    /// A queue with room for `entries` operations that are not submitted yet.
    ///
    /// # Errors
    /// If the kernel has none, cannot do what is needed, or forbids it: a sandbox may.
    pub fn new(entries: u32) -> io::Result<Ring> {
        probe()?;
        Ring::open(entries)
    }

    fn open(entries: u32) -> io::Result<Ring> {
        let ring = build(entries)?;
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        ring.submitter().register_eventfd(event.as_raw_fd())?;
        Ok(Ring { ring, event })
    }

    /// Takes an operation that completes as `token`; false if there is no room before the next
    /// turn, or if it is none that a ring does.
    ///
    /// # Safety
    /// Until the operation has completed, its file stays open, and the memory that it names is
    /// there; nobody else accesses that, or of a write changes it.
    pub unsafe fn submit(&mut self, token: u64, operation: &Operation<'_>) -> bool {
        let (Operation::Read { file, .. }
        | Operation::Write { file, .. }
        | Operation::Sync { file, .. }) = operation;
        // The kernel ignores the offset of what cannot seek, rather than refusing it; and a read
        // of an empty FIFO would stay in flight for as long as nobody writes.
        if !file.is_storage() {
            return false;
        }
        let entry = match *operation {
            // To the kernel, the largest offset stands for the position of the file.
            Operation::Read { offset: u64::MAX, .. }
            | Operation::Write { offset: u64::MAX, .. } => {
                return false;
            }
            Operation::Read { file, buffer, length, offset } => {
                let file = Fd(file.as_fd().as_raw_fd());
                opcode::Read::new(file, buffer, length).offset(offset).build()
            }
            Operation::Write { file, bytes, length, offset } => {
                let file = Fd(file.as_fd().as_raw_fd());
                opcode::Write::new(file, bytes, length).offset(offset).build()
            }
            Operation::Sync { file, data_only } => {
                let flags = match data_only {
                    true => types::FsyncFlags::DATASYNC,
                    false => types::FsyncFlags::empty(),
                };
                opcode::Fsync::new(Fd(file.as_fd().as_raw_fd())).flags(flags).build()
            }
        };
        // SAFETY: the caller's promise.
        unsafe { self.push(entry.user_data(token)) }
    }

    /// Has the operation that was submitted as `target` given up, if that can be, and tells so as
    /// `token`; false if there is no room before the next turn.
    pub fn cancel(&mut self, token: u64, target: u64) -> bool {
        let entry = opcode::AsyncCancel::new(target).build().user_data(token);
        // SAFETY: it names no memory.
        unsafe { self.push(entry) }
    }

    /// # Safety
    /// As [`Ring::submit`].
    unsafe fn push(&mut self, entry: squeue::Entry) -> bool {
        // SAFETY: the caller's promise.
        unsafe { self.ring.submission().push(&entry) }.is_ok()
    }

    /// Submits what there is and adds what has completed to `completions`; if `waits`, waits for a
    /// completion when there is none. A signal may end the wait. False if something could not be
    /// submitted yet, for want of memory.
    ///
    /// # Errors
    /// None that a program could cause.
    pub fn turn(&mut self, waits: bool, completions: &mut Vec<Completion>) -> io::Result<bool> {
        let before = completions.len();
        loop {
            self.take(completions);
            let waits = waits && completions.len() == before;
            let submission = self.ring.submission();
            // The flag tells of completions that the kernel leaves to this thread's next call.
            let has_more = submission.taskrun() || submission.cq_overflow();
            let all_submitted = submission.is_empty();
            drop(submission);
            if all_submitted && !has_more && !waits {
                return Ok(true);
            }
            let held = completions.len();
            match self.ring.submitter().submit_and_wait(usize::from(waits)) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {
                    self.take(completions);
                    return Ok(self.ring.submission().is_empty());
                }
                // Busy: the queue is so full that it has to be emptied first. Again: no memory for
                // an operation; or none for what the kernel has of a thread that submits.
                Err(error)
                    if matches!(
                        error.raw_os_error(),
                        Some(libc::EBUSY | libc::EAGAIN | libc::ENOMEM)
                    ) =>
                {
                    self.take(completions);
                    if completions.len() == held {
                        return Ok(false);
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Moves what the queue holds to `completions`.
    fn take(&mut self, completions: &mut Vec<Completion>) {
        completions.extend(self.ring.completion().map(|entry| {
            let result = match usize::try_from(entry.result()) {
                Ok(count) => Ok(count),
                Err(_) => Err(io::Error::from_raw_os_error(-entry.result())),
            };
            let more = cqueue::more(entry.flags());
            Completion { token: entry.user_data(), result, more }
        }));
    }

    /// What tells the readiness queue of completions.
    ///
    /// # Errors
    /// If the system has no descriptor for it.
    pub fn signal(&self) -> io::Result<RingSignal> {
        self.event.try_clone().map(RingSignal)
    }
}

#[cfg(test)]
impl Ring {
    /// Submits what there is, and takes nothing, so that completions pile up.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn submit_only(&mut self) -> io::Result<()> {
        self.ring.submit().map(drop)
    }
}

/// A ring with the best flags that the kernel takes: they are tried, since a version says little of
/// a kernel that was patched or is emulated.
fn build(entries: u32) -> io::Result<IoUring> {
    let mut own = IoUring::builder();
    // One thread submits and completes, and only when it asks to: nothing interrupts it.
    own.setup_single_issuer().setup_defer_taskrun().setup_taskrun_flag();
    let mut cooperative = IoUring::builder();
    // Completions wait for the thread's next call, whichever that is.
    cooperative.setup_coop_taskrun().setup_taskrun_flag();
    let builders = [own, cooperative, IoUring::builder()];
    let mut refused = None;
    for mut builder in builders {
        // A child of this process has no use for the queues' memory.
        builder.dontfork();
        match builder.build(entries) {
            // A kernel that does not know a flag says so.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => refused = Some(error),
            result => return result,
        }
    }
    Err(refused.expect("each builder was refused"))
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring").field("event", &self.event).finish_non_exhaustive()
    }
}

/// Tells the readiness queue of the completions of a [`Ring`].
#[derive(Debug)]
pub struct RingSignal(OwnedFd);

impl Source for RingSignal {
    fn register(&mut self, registrar: &Registrar, token: usize) -> io::Result<()> {
        let descriptor = self.0.as_raw_fd();
        registrar.0.register(&mut SourceFd(&descriptor), Token(token), Interest::READABLE)
    }

    fn deregister(&mut self, registrar: &Registrar) -> io::Result<()> {
        registrar.0.deregister(&mut SourceFd(&self.0.as_raw_fd()))
    }
}
