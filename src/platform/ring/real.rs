//! The real machine's completion queue: `io_uring`.

use std::fmt;
use std::io::{self, ErrorKind};
use std::mem;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::OnceLock;
use std::time::Duration;

use io_uring::types::{Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, Probe, cqueue, opcode, squeue, types};
use rustix::event::{EventfdFlags, eventfd};

use super::{Completion, FIRST_OWN_TOKEN, Operation};
use crate::platform::net::real::Poller;

/// The token of what a [`RingWaker`] does.
const WAKE: u64 = FIRST_OWN_TOKEN;
/// The token of what a [`Poller`] has to tell.
const POLLER: u64 = FIRST_OWN_TOKEN + 1;

/// All that an [`Operation`] can ask for, cancelling, and waiting for descriptors.
const NEEDED: [u8; 6] = [
    opcode::Read::CODE,
    opcode::Write::CODE,
    opcode::Fsync::CODE,
    opcode::Recv::CODE,
    opcode::AsyncCancel::CODE,
    opcode::PollAdd::CODE,
];

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
    let mut own = Ring::open(4, false)?;
    let parameters = own.ring.params();
    if !parameters.is_feature_nodrop() {
        return Err(io::Error::new(
            ErrorKind::Unsupported,
            "the kernel drops completions that its queue has no room for",
        ));
    }
    if !parameters.is_feature_ext_arg() {
        return Err(io::Error::new(
            ErrorKind::Unsupported,
            "a wait in the kernel's rings has no time-out",
        ));
    }
    let mut probe = Probe::new();
    own.ring.submitter().register_probe(&mut probe)?;
    if let Some(code) = NEEDED.iter().find(|code| !probe.is_supported(**code)) {
        return Err(io::Error::new(
            ErrorKind::Unsupported,
            format!("the kernel's rings cannot do operation {code}"),
        ));
    }
    // A poll that goes on after its first event is younger than the operation itself.
    own.waker()?.wake()?;
    own.wait(Some(PROBE_PATIENCE), None, &mut Vec::new())?;
    if !own.wake_polled {
        return Err(io::Error::new(
            ErrorKind::Unsupported,
            "the kernel's rings do not poll more than once",
        ));
    }
    Ok(())
}

/// How long a wake-up may take that is there already.
const PROBE_PATIENCE: Duration = Duration::from_secs(1);

/// A completion queue. One thread at a time uses it; unless it is shared, the one that made it.
pub struct Ring {
    ring: IoUring,
    /// What a [`RingWaker`] adds to. Nobody reads it: each addition makes an event.
    event: OwnedFd,
    /// A poll of `event` is in flight.
    wake_polled: bool,
    /// A wake-up has come since the last wait.
    woken: bool,
    /// A poll of the poller is in flight.
    poller_polled: bool,
    /// The poller has something to tell since the last wait that said so.
    poller_told: bool,
}

impl Ring {
    /// A queue with room for `entries` operations that are not submitted yet. A `shared` one may be
    /// used on other threads than this one, by one at a time, and costs more.
    ///
    /// # Errors
    /// If the kernel has none, cannot do what is needed, or forbids it: a sandbox may.
    pub fn new(entries: u32, shared: bool) -> io::Result<Ring> {
        probe()?;
        Ring::open(entries, shared)
    }

    fn open(entries: u32, shared: bool) -> io::Result<Ring> {
        let ring = build(entries, shared)?;
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Ring {
            ring,
            event,
            wake_polled: false,
            woken: false,
            poller_polled: false,
            poller_told: false,
        })
    }

    /// Takes an operation that completes as `token`; false if there is no room before the next
    /// turn, or if it is none that a ring does.
    ///
    /// # Safety
    /// Until the operation has completed, its file or socket stays open, and the memory that it
    /// names is there; nobody else accesses that, or of a write changes it.
    pub unsafe fn submit(&mut self, token: u64, operation: &Operation<'_>) -> bool {
        let is_storage = match operation {
            Operation::Read { file, .. }
            | Operation::Write { file, .. }
            | Operation::Sync { file, .. } => file.is_storage(),
            Operation::Receive { .. } => true,
        };
        // The kernel ignores the offset of what cannot seek, rather than refusing it; and a read
        // of an empty FIFO would stay in flight for as long as nobody writes.
        if !is_storage {
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
            Operation::Receive { socket, buffer, length } => {
                opcode::Recv::new(Fd(socket.as_fd().as_raw_fd()), buffer, length).build()
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

    /// Submits what there is and, if nothing has completed, waits for at most `timeout` for a
    /// completion, a [`RingWaker`], or something that `poller` has to tell: true if it has that,
    /// also since the last wait. Adds what has completed to `completions`. One system call, in
    /// which a signal may end the wait; it may return early, and without anything.
    ///
    /// `poller` is the same at each call that has one.
    ///
    /// # Errors
    /// None that a program could cause.
    pub fn wait(
        &mut self,
        timeout: Option<Duration>,
        poller: Option<&Poller>,
        completions: &mut Vec<Completion>,
    ) -> io::Result<bool> {
        // A poll that could not be submitted would be missed: then there is no waiting.
        let mut may_wait = timeout != Some(Duration::ZERO) && !self.woken;
        if !self.wake_polled {
            self.wake_polled = self.poll(self.event.as_raw_fd(), true, WAKE);
            may_wait &= self.wake_polled;
        }
        if let Some(poller) = poller {
            if !self.poller_polled {
                // What is there when the poll begins ends it, so nothing is missed between two.
                self.poller_polled = self.poll(poller.as_raw_fd(), false, POLLER);
            }
            may_wait &= self.poller_polled && !self.poller_told;
        }
        if may_wait {
            let timespec = Timespec::from(timeout.unwrap_or_default());
            let arguments = match timeout {
                Some(_) => SubmitArgs::new().timespec(&timespec),
                None => SubmitArgs::new(),
            };
            let entered = self.ring.submitter().submit_with_args(1, &arguments);
            self.take(completions);
            match entered.map_err(|error| (error.raw_os_error(), error)) {
                // The time is over; a signal has come; there is no memory, or too much to take.
                Ok(_)
                | Err((
                    Some(libc::ETIME | libc::EINTR | libc::EAGAIN | libc::EBUSY | libc::ENOMEM),
                    _,
                )) => {}
                Err((_, error)) => return Err(error),
            }
        } else {
            self.turn(false, completions)?;
        }
        self.woken = false;
        Ok(poller.is_some() && mem::take(&mut self.poller_told))
    }

    /// Has events of a descriptor complete as `token`: all of them, or one. False if there is no
    /// room.
    fn poll(&mut self, descriptor: RawFd, multi: bool, token: u64) -> bool {
        let entry = opcode::PollAdd::new(Fd(descriptor), libc::POLLIN as u32).multi(multi).build();
        let entry = entry.user_data(token);
        // SAFETY: it names no memory; the kernel holds the file once it is submitted, and what has
        // another file's descriptor meanwhile makes an event too many.
        unsafe { self.push(entry.clone()) || (self.ring.submit().is_ok() && self.push(entry)) }
    }

    /// Moves what the queue holds to `completions`.
    fn take(&mut self, completions: &mut Vec<Completion>) {
        let Ring { ring, wake_polled, woken, poller_polled, poller_told, .. } = self;
        for entry in ring.completion() {
            let more = cqueue::more(entry.flags());
            match entry.user_data() {
                WAKE => (*wake_polled, *woken) = (more, true),
                POLLER => (*poller_polled, *poller_told) = (false, true),
                token => {
                    let result = match usize::try_from(entry.result()) {
                        Ok(count) => Ok(count),
                        Err(_) => Err(io::Error::from_raw_os_error(-entry.result())),
                    };
                    completions.push(Completion { token, result, more });
                }
            }
        }
    }

    /// What ends a wait from another thread.
    ///
    /// # Errors
    /// If the system has no descriptor for it.
    pub fn waker(&self) -> io::Result<RingWaker> {
        self.event.try_clone().map(RingWaker)
    }
}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
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
fn build(entries: u32, shared: bool) -> io::Result<IoUring> {
    let mut own = IoUring::builder();
    // One thread submits and completes, and only when it asks to: nothing interrupts it.
    own.setup_single_issuer().setup_defer_taskrun().setup_taskrun_flag();
    let mut cooperative = IoUring::builder();
    // Completions wait for the thread's next call, whichever that is.
    cooperative.setup_coop_taskrun().setup_taskrun_flag();
    // The kernel interrupts the thread to complete: another one finds it done.
    let preemptive = IoUring::builder();
    let builders = match shared {
        true => vec![preemptive],
        false => vec![own, cooperative, preemptive],
    };
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

/// Ends a wait in its [`Ring`].
#[derive(Debug)]
pub struct RingWaker(OwnedFd);

impl RingWaker {
    /// Ends the wait that is going on, or else the next one.
    ///
    /// # Errors
    /// None that a program could cause.
    pub fn wake(&self) -> io::Result<()> {
        rustix::io::write(&self.0, &1_u64.to_ne_bytes())?;
        Ok(())
    }
}
