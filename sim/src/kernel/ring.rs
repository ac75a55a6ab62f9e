//! The kernel's side of completion queues: which operations are under way, and what has become of
//! those that are not.
//!
//! ```text
//!             submit                    alarm: does it, or a part, or refuses
//!   program ─────────► under way ──────────────────────────────────────────────► done ──► program
//!                          │                                                       ▲
//!                          └── cancel: gives it up, or lets it go on ──────────────┘
//! ```
//!
//! An operation is done when its alarm rings, not before: so what it reads or writes is what the
//! file holds then, and operations on one ring overtake each other. No completion is ever lost:
//! what the queue has no room for waits beside it, and the kernel would rather have the queue
//! emptied before it takes more.
//!
//! A receive whose socket has nothing when its alarm rings has none until the socket is readable,
//! and then another one.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind};

use super::clock::{Alarm, Clock};
use super::disk::Lent;
use super::thread_table::{Resumed, ThreadTable, WaitFor};
use super::{State, World};
use crate::decide::{Decider, Kind};
use crate::disk::{Errno, Handle};
use crate::network::{HostId, PollerId, SocketId};

/// One operation in this many is refused, for no fault of its own.
const REFUSED_ONE_IN: u64 = 16;
/// One in this many transfers less than it could.
const SHORT_ONE_IN: u64 = 8;
/// One in this many takes longer than its disk, up to `LATEST`.
const LATE_ONE_IN: u64 = 8;
const LATEST: u64 = 5_000_000;
/// Of one submission in this many, the kernel has no memory for all of it now.
const SCARCE_ONE_IN: u64 = 16;
/// The same while completions lie beside their queue.
const SCARCE_ONE_IN_WHEN_FULL: u64 = 2;

/// What is to be done.
pub(crate) enum Request {
    Read { file: Handle, length: usize, offset: u64 },
    Write { file: Handle, bytes: Vec<u8>, offset: u64 },
    Sync { file: Handle, data_only: bool },
    Receive { socket: SocketId, length: usize },
    Cancel { target: u64 },
}

/// What has become of an operation.
pub(crate) struct Done {
    pub(crate) token: u64,
    pub(crate) result: io::Result<usize>,
    /// What was read.
    pub(crate) bytes: Vec<u8>,
}

struct Ring {
    host: HostId,
    /// How many completions the queue has room for.
    room: usize,
    done: VecDeque<Done>,
    /// A waker has called since the last wait.
    woken: bool,
    /// Whose next event the ring waits for.
    poller: Option<PollerId>,
    /// It has had an event since the last wait that asked.
    told: bool,
}

struct UnderWay {
    ring: u32,
    token: u64,
    request: Request,
    /// When its alarm rings; `None` while it waits for its socket.
    at: Option<u64>,
}

/// The completion queues of all hosts. Numbers are not used twice.
#[derive(Default)]
pub(crate) struct Rings {
    table: BTreeMap<u32, Ring>,
    under_way: BTreeMap<u64, UnderWay>,
    last_ring: u32,
    last_operation: u64,
}

impl Rings {
    /// How many are open.
    pub(super) fn open(&self) -> usize {
        self.table.len()
    }

    /// The operation on `ring` that was submitted as `token`.
    fn find(&self, ring: u32, token: u64) -> Option<u64> {
        let mut own = self.under_way.iter().filter(|(_, entry)| entry.ring == ring);
        own.find(|(_, entry)| entry.token == token).map(|(number, _)| *number)
    }

    /// `poller` has an event: rings that wait for its next one have it told.
    pub(super) fn poller_ready(
        &mut self,
        poller: PollerId,
        threads: &mut ThreadTable,
        decider: &mut Decider,
    ) {
        for (number, ring) in &mut self.table {
            if ring.poller == Some(poller) {
                (ring.poller, ring.told) = (None, true);
                end_wait(*number, threads, decider);
            }
        }
    }

    /// Receives that wait for `socket` have another look at it, sooner or later.
    pub(super) fn socket_readable(
        &mut self,
        socket: SocketId,
        clock: &mut Clock,
        decider: &mut Decider,
    ) {
        for (number, entry) in &mut self.under_way {
            let Request::Receive { socket: own, .. } = entry.request else { continue };
            if own == socket && entry.at.is_none() {
                let at = clock.now().saturating_add(lateness(decider));
                clock.set(at, Alarm::Completion(*number));
                entry.at = Some(at);
            }
        }
    }
}

/// Something has come to `ring`: a thread that waits in it wakes.
fn end_wait(ring: u32, threads: &mut ThreadTable, decider: &mut Decider) {
    let waiting: Vec<u32> = threads.waiting_for(WaitFor::Ring(ring)).collect();
    for thread in waiting {
        threads.wake(thread, Resumed::Woken);
        decider.runnable_changed();
    }
}

/// How much longer than it had to an operation takes.
fn lateness(decider: &mut Decider) -> u64 {
    match decider.choose(Kind::Ring, LATE_ONE_IN) {
        0 => decider.choose(Kind::Ring, LATEST),
        _ => 0,
    }
}

/// How much an operation transfers that could transfer `length`.
fn shortened(length: usize, decider: &mut Decider) -> usize {
    match length {
        0 | 1 => length,
        _ if decider.choose(Kind::Ring, SHORT_ONE_IN) == 0 => {
            1 + decider.choose(Kind::Ring, length as u64 - 1) as usize
        }
        _ => length,
    }
}

impl State {
    fn submit(&mut self, ring: u32, token: u64, request: Request) {
        let Some(host) = self.rings.table.get(&ring).map(|ring| ring.host) else { return };
        if let Request::Cancel { target } = request {
            return self.cancel(ring, token, target);
        }
        let State { disks, clock, decider, hash, .. } = self;
        let delay = match request {
            Request::Receive { .. } => 0,
            _ => {
                let is_sync = matches!(request, Request::Sync { .. });
                disks.of(host).delay(is_sync, &mut Lent::new(clock, decider, hash))
            }
        };
        let at = clock.now().saturating_add(delay).saturating_add(lateness(decider));
        self.rings.last_operation += 1;
        let number = self.rings.last_operation;
        clock.set(at, Alarm::Completion(number));
        let at = Some(at);
        self.rings.under_way.insert(number, UnderWay { ring, token, request, at });
    }

    /// Gives `target` up, or does not: whoever cancels hears which, and `target` completes once
    /// all the same, before that or after it.
    fn cancel(&mut self, ring: u32, token: u64, target: u64) {
        let Some(number) = self.rings.find(ring, target) else {
            return self.done(ring, token, Err(Errno::NotFound), Vec::new());
        };
        // A receive never runs on a thread of the system, where a cancel comes too late.
        let request = self.rings.under_way.get(&number).map(|entry| &entry.request);
        let is_receive = matches!(request, Some(Request::Receive { .. }));
        let choice = match is_receive {
            true => 1 + self.decider.choose(Kind::Ring, 2),
            false => self.decider.choose(Kind::Ring, 3),
        };
        match choice {
            0 => self.done(ring, token, Err(Errno::Already), Vec::new()),
            order => {
                // Its alarm rings for nothing.
                self.rings.under_way.remove(&number);
                let mut both = [(target, Err(Errno::Canceled)), (token, Ok(0))];
                if order == 2 {
                    both.reverse();
                }
                for (token, result) in both {
                    self.done(ring, token, result, Vec::new());
                }
            }
        }
    }

    /// The alarm of an operation rings.
    pub(super) fn complete_on_ring(&mut self, number: u64) {
        let Some(UnderWay { ring, token, request, .. }) = self.rings.under_way.remove(&number)
        else {
            return;
        };
        let Some(host) = self.rings.table.get(&ring).map(|ring| ring.host) else { return };
        // As sockets do, an operation needs a buffer of the kernel's, which nobody else can give.
        let is_short = self.network(|net, lent| net.check_buffers(host, lent).is_err());
        let State { disks, clock, decider, hash, .. } = self;
        let refused = match decider.choose(Kind::Ring, REFUSED_ONE_IN) {
            _ if is_short => Some(Errno::NoMemory),
            0 if decider.choose(Kind::Ring, 2) == 0 => Some(Errno::Again),
            0 => Some(Errno::Interrupted),
            _ => None,
        };
        let mut bytes = Vec::new();
        let result = match (refused, request) {
            (Some(errno), _) => Err(errno),
            (None, Request::Read { file, length, offset }) => {
                bytes.resize(shortened(length, decider), 0);
                let mut lent = Lent::new(clock, decider, hash);
                disks.of(host).read(file, &mut bytes, Some(offset), &mut lent)
            }
            (None, Request::Write { file, bytes, offset }) => {
                let length = shortened(bytes.len(), decider);
                let mut lent = Lent::new(clock, decider, hash);
                disks.of(host).write(file, &bytes[..length], Some(offset), &mut lent)
            }
            (None, Request::Sync { file, data_only }) => {
                disks.of(host).sync(file, data_only).map(|()| 0)
            }
            (None, Request::Receive { socket, length }) => {
                bytes.resize(shortened(length, decider), 0);
                let received = self.network(|net, lent| net.read(socket, &mut bytes, lent));
                if received.as_ref().is_err_and(|error| error.kind() == ErrorKind::WouldBlock) {
                    let request = Request::Receive { socket, length };
                    let waits = UnderWay { ring, token, request, at: None };
                    self.rings.under_way.insert(number, waits);
                    return;
                }
                return self.done(ring, token, received, bytes);
            }
            (None, Request::Cancel { .. }) => unreachable!("a cancel is never under way"),
        };
        self.done(ring, token, result, bytes);
    }

    fn done(
        &mut self,
        ring: u32,
        token: u64,
        result: Result<usize, impl Into<io::Error>>,
        bytes: Vec<u8>,
    ) {
        let result = result.map_err(Into::into);
        let Some(entry) = self.rings.table.get_mut(&ring) else { return };
        entry.done.push_back(Done { token, result, bytes });
        end_wait(ring, &mut self.threads, &mut self.decider);
    }
}

/// Calls of programs.
impl World {
    /// A new queue of the running thread's host, with room for so many completions.
    pub(crate) fn ring_new(&self, room: usize) -> u32 {
        let host = self.host();
        self.with(|state| {
            state.rings.last_ring += 1;
            let done = VecDeque::new();
            let ring = Ring { host, room, done, woken: false, poller: None, told: false };
            state.rings.table.insert(state.rings.last_ring, ring);
            state.rings.last_ring
        })
    }

    /// Closes a queue; nothing more is done of what is under way.
    pub(crate) fn ring_close(&self, ring: u32) {
        self.with(|state| {
            state.rings.under_way.retain(|_, entry| entry.ring != ring);
            state.rings.table.remove(&ring);
        });
    }

    /// How many of `count` operations the kernel takes now: all, if it has memory for them.
    pub(crate) fn ring_takes(&self, ring: u32, count: usize) -> usize {
        self.with(|state| {
            let State { rings, decider, .. } = state;
            let is_full = rings.table.get(&ring).is_some_and(|ring| ring.done.len() > ring.room);
            let one_in = if is_full { SCARCE_ONE_IN_WHEN_FULL } else { SCARCE_ONE_IN };
            // Not the first answer: a run that always gives it would never submit anything.
            if count > 0 && decider.choose(Kind::Ring, one_in) == one_in - 1 {
                return decider.choose(Kind::Ring, count as u64) as usize;
            }
            count
        })
    }

    pub(crate) fn ring_submit(&self, ring: u32, requests: Vec<(u64, Request)>) {
        self.with(|state| {
            state.counters.submissions += requests.len() as u64;
            for (token, request) in requests {
                state.submit(ring, token, request);
            }
        });
    }

    /// What is done and was not taken.
    pub(crate) fn ring_take(&self, ring: u32) -> Vec<Done> {
        self.with(|state| {
            let entry = state.rings.table.get_mut(&ring);
            entry.map_or_else(Vec::new, |entry| entry.done.drain(..).collect())
        })
    }

    /// When the first of the operations that are under way is done.
    pub(crate) fn ring_next(&self, ring: u32) -> Option<u64> {
        self.with(|state| {
            let own = state.rings.under_way.values().filter(|entry| entry.ring == ring);
            own.filter_map(|entry| entry.at).min()
        })
    }

    /// A wait begins, which is for the next event of `poller` too. False if something is there: it
    /// need not wait.
    pub(crate) fn ring_watch(&self, ring: u32, poller: Option<PollerId>) -> bool {
        self.with(|state| {
            let State { rings, net, .. } = state;
            let Some(entry) = rings.table.get_mut(&ring) else { return false };
            if let Some(poller) = poller {
                match net.poller_has_events(poller) {
                    true => (entry.poller, entry.told) = (None, true),
                    false => entry.poller = Some(poller),
                }
            }
            let told = poller.is_some() && entry.told;
            !(entry.woken || told) && entry.done.is_empty()
        })
    }

    /// A wait ends: whether the poller that it `asked` for has had an event.
    pub(crate) fn ring_told(&self, ring: u32, asked: bool) -> bool {
        self.with(|state| {
            let Some(entry) = state.rings.table.get_mut(&ring) else { return false };
            entry.woken = false;
            asked && std::mem::take(&mut entry.told)
        })
    }

    /// Ends the wait in a queue, or the next one.
    pub(crate) fn ring_wake(&self, ring: u32) {
        self.with(|state| {
            let State { rings, threads, decider, .. } = state;
            let Some(entry) = rings.table.get_mut(&ring) else { return };
            entry.woken = true;
            end_wait(ring, threads, decider);
        });
    }
}
