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

use std::collections::{BTreeMap, VecDeque};

use super::clock::Alarm;
use super::disk::Lent;
use super::{State, World};
use crate::decide::Kind;
use crate::disk::{Errno, Handle};
use crate::network::{HostId, PollerId};

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
    Cancel { target: u64 },
}

/// What has become of an operation.
pub(crate) struct Done {
    pub(crate) token: u64,
    pub(crate) result: Result<usize, Errno>,
    /// What was read.
    pub(crate) bytes: Vec<u8>,
}

struct Ring {
    host: HostId,
    /// How many completions the queue has room for.
    room: usize,
    watch: Option<(PollerId, usize)>,
    done: VecDeque<Done>,
}

struct UnderWay {
    ring: u32,
    token: u64,
    request: Request,
    at: u64,
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
}

impl State {
    fn submit(&mut self, ring: u32, token: u64, request: Request) {
        let Some(host) = self.rings.table.get(&ring).map(|ring| ring.host) else { return };
        if let Request::Cancel { target } = request {
            return self.cancel(ring, token, target);
        }
        let State { disks, clock, decider, hash, .. } = self;
        let is_sync = matches!(request, Request::Sync { .. });
        let delay = disks.of(host).delay(is_sync, &mut Lent::new(clock, decider, hash));
        let late = match decider.choose(Kind::Ring, LATE_ONE_IN) {
            0 => decider.choose(Kind::Ring, LATEST),
            _ => 0,
        };
        let at = clock.now().saturating_add(delay).saturating_add(late);
        self.rings.last_operation += 1;
        let number = self.rings.last_operation;
        clock.set(at, Alarm::Completion(number));
        self.rings.under_way.insert(number, UnderWay { ring, token, request, at });
    }

    /// Gives `target` up, or does not: whoever cancels hears which, and `target` completes once
    /// all the same, before that or after it.
    fn cancel(&mut self, ring: u32, token: u64, target: u64) {
        let Some(number) = self.rings.find(ring, target) else {
            return self.done(ring, token, Err(Errno::NotFound), Vec::new());
        };
        match self.decider.choose(Kind::Ring, 3) {
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
        let mut limit = |length: usize| match length {
            0 | 1 => length,
            _ if decider.choose(Kind::Ring, SHORT_ONE_IN) == 0 => {
                1 + decider.choose(Kind::Ring, length as u64 - 1) as usize
            }
            _ => length,
        };
        let result = match (refused, request) {
            (Some(errno), _) => Err(errno),
            (None, Request::Read { file, length, offset }) => {
                bytes.resize(limit(length), 0);
                let mut lent = Lent::new(clock, decider, hash);
                disks.of(host).read(file, &mut bytes, Some(offset), &mut lent)
            }
            (None, Request::Write { file, bytes, offset }) => {
                let length = limit(bytes.len());
                let mut lent = Lent::new(clock, decider, hash);
                disks.of(host).write(file, &bytes[..length], Some(offset), &mut lent)
            }
            (None, Request::Sync { file, data_only }) => {
                disks.of(host).sync(file, data_only).map(|()| 0)
            }
            (None, Request::Cancel { .. }) => unreachable!("a cancel is never under way"),
        };
        self.done(ring, token, result, bytes);
    }

    fn done(&mut self, ring: u32, token: u64, result: Result<usize, Errno>, bytes: Vec<u8>) {
        let Some(entry) = self.rings.table.get_mut(&ring) else { return };
        entry.done.push_back(Done { token, result, bytes });
        if let Some((poller, token)) = entry.watch {
            self.network(|net, lent| net.poller_wake(poller, token, lent));
        }
    }
}

/// Calls of programs.
impl World {
    /// A new queue of the running thread's host, with room for so many completions.
    pub(crate) fn ring_new(&self, room: usize) -> u32 {
        let host = self.host();
        self.with(|state| {
            state.rings.last_ring += 1;
            let ring = Ring { host, room, watch: None, done: VecDeque::new() };
            state.rings.table.insert(state.rings.last_ring, ring);
            state.rings.last_ring
        })
    }

    /// Closes a queue; nothing more is done of what is under way.
    pub(crate) fn ring_close(&self, ring: u32) {
        self.with(|state| {
            state.rings.under_way.retain(|_, entry| entry.ring != ring);
            let watch = state.rings.table.remove(&ring).and_then(|ring| ring.watch);
            if let Some((poller, token)) = watch {
                state.network(|net, _| net.poller_forget(poller, token));
            }
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
            own.map(|entry| entry.at).min()
        })
    }

    /// Has `poller` told under `token` of each completion, and at once of those that are there.
    pub(crate) fn ring_watch(&self, ring: u32, watch: (PollerId, usize)) {
        self.with(|state| {
            let Some(entry) = state.rings.table.get_mut(&ring) else { return };
            entry.watch = Some(watch);
            if !entry.done.is_empty() {
                state.network(|net, lent| net.poller_wake(watch.0, watch.1, lent));
            }
        });
    }

    /// Ends the watch; an event that was not taken is gone.
    pub(crate) fn ring_unwatch(&self, ring: u32) {
        self.with(|state| {
            let watch = state.rings.table.get_mut(&ring).and_then(|entry| entry.watch.take());
            if let Some((poller, token)) = watch {
                state.network(|net, _| net.poller_forget(poller, token));
            }
        });
    }
}
