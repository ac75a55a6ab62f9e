//! What a simulated thread does at a scheduling point, as the scheduler, the hash and the reports
//! see it.

use std::panic::Location;

/// The number of an object within its run; 0 = the operation concerns no object.
pub(crate) type ObjectId = u32;

/// The kind of a posted operation. The number goes into the run's hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum OperationKind {
    Start = 1,
    Load = 2,
    Store = 3,
    ReadModifyWrite = 4,
    Fence = 5,
    FutexWait = 6,
    FutexWake = 7,
    Spawn = 8,
    Join = 9,
    Exit = 10,
    Yield = 11,
    Sleep = 12,
    Park = 13,
    Unpark = 14,
    CellRead = 15,
    CellWrite = 16,
    Entropy = 17,
    Clock = 18,
    Choice = 19,
    Payload = 20,
    SocketRead = 21,
    SocketWrite = 22,
    /// Whatever else is done to a socket, a poller or the network.
    SocketOther = 23,
    PollerWait = 24,
    PollerWake = 25,
    DiskRead = 26,
    DiskWrite = 27,
    DiskSync = 28,
    /// Whatever else is done to a file, a directory or a disk.
    DiskOther = 29,
    /// Whatever is done to a completion queue.
    Ring = 30,
}

impl OperationKind {
    /// Whether it is an operation of an atomic, or a fence.
    #[inline(always)]
    pub(crate) fn is_atomic(self) -> bool {
        matches!(
            self,
            OperationKind::Load
                | OperationKind::Store
                | OperationKind::ReadModifyWrite
                | OperationKind::Fence
        )
    }

    /// Whether it is a request to the simulated system; a call of a completion queue brings any
    /// number of them.
    #[inline(always)]
    pub(crate) fn is_submission(self) -> bool {
        matches!(
            self,
            OperationKind::SocketRead
                | OperationKind::SocketWrite
                | OperationKind::SocketOther
                | OperationKind::DiskRead
                | OperationKind::DiskWrite
                | OperationKind::DiskSync
                | OperationKind::DiskOther
        )
    }

    pub(crate) fn label(self) -> &'static str {
        match self {
            OperationKind::Start => "start",
            OperationKind::Load => "atomic load",
            OperationKind::Store => "atomic store",
            OperationKind::ReadModifyWrite => "atomic read-modify-write",
            OperationKind::Fence => "fence",
            OperationKind::FutexWait => "futex wait",
            OperationKind::FutexWake => "futex wake",
            OperationKind::Spawn => "thread spawn",
            OperationKind::Join => "thread join",
            OperationKind::Exit => "thread exit",
            OperationKind::Yield => "yield",
            OperationKind::Sleep => "sleep",
            OperationKind::Park => "park",
            OperationKind::Unpark => "unpark",
            OperationKind::CellRead => "cell read",
            OperationKind::CellWrite => "cell write",
            OperationKind::Entropy => "entropy",
            OperationKind::Clock => "clock",
            OperationKind::Choice => "choice",
            OperationKind::Payload => "payload",
            OperationKind::SocketRead => "socket read",
            OperationKind::SocketWrite => "socket write",
            OperationKind::SocketOther => "socket call",
            OperationKind::PollerWait => "poller wait",
            OperationKind::PollerWake => "poller wake",
            OperationKind::DiskRead => "file read",
            OperationKind::DiskWrite => "file write",
            OperationKind::DiskSync => "file sync",
            OperationKind::DiskOther => "file call",
            OperationKind::Ring => "ring call",
        }
    }
}

/// What a thread is about to do: posted before the scheduler chooses.
#[derive(Clone, Copy)]
pub(crate) struct Operation {
    pub(crate) kind: OperationKind,
    pub(crate) object: ObjectId,
    pub(crate) place: &'static Location<'static>,
}

/// What the number of an operation's object counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Family {
    /// Atomics, futexes and cells.
    Memory,
    Socket,
    Poller,
    File,
    Ring,
    /// Park tokens, which have no numbers.
    Token,
}

impl OperationKind {
    /// What the operation is done to, and whether it changes that: `None` where another thread
    /// cannot tell whether it came first.
    fn access(self) -> Option<(Family, bool)> {
        Some(match self {
            OperationKind::Load | OperationKind::CellRead | OperationKind::FutexWait => {
                (Family::Memory, false)
            }
            OperationKind::Store
            | OperationKind::ReadModifyWrite
            | OperationKind::CellWrite
            | OperationKind::FutexWake => (Family::Memory, true),
            OperationKind::SocketRead | OperationKind::SocketWrite | OperationKind::SocketOther => {
                (Family::Socket, true)
            }
            OperationKind::PollerWait => (Family::Poller, false),
            OperationKind::PollerWake => (Family::Poller, true),
            OperationKind::DiskRead => (Family::File, false),
            OperationKind::DiskWrite | OperationKind::DiskSync | OperationKind::DiskOther => {
                (Family::File, true)
            }
            OperationKind::Ring => (Family::Ring, true),
            OperationKind::Park => (Family::Token, false),
            OperationKind::Unpark => (Family::Token, true),
            OperationKind::Start
            | OperationKind::Fence
            | OperationKind::Spawn
            | OperationKind::Join
            | OperationKind::Exit
            | OperationKind::Yield
            | OperationKind::Sleep
            | OperationKind::Entropy
            | OperationKind::Clock
            | OperationKind::Choice
            | OperationKind::Payload => return None,
        })
    }
}

impl Operation {
    #[inline]
    pub(crate) fn new(
        kind: OperationKind,
        object: ObjectId,
        place: &'static Location<'static>,
    ) -> Operation {
        Operation { kind, object, place }
    }

    /// What the operation is done to, by family and number, and whether it changes that. Futexes
    /// of the system call and park tokens have no numbers: all of them count as one.
    pub(crate) fn access(&self) -> Option<(Family, ObjectId, bool)> {
        self.kind.access().map(|(family, writes)| (family, self.object, writes))
    }

    /// Whether the order of the two can matter: they are done to one object, and one of them
    /// changes it.
    pub(crate) fn races_with(&self, other: &Operation) -> bool {
        match (self.access(), other.access()) {
            (Some((family, object, writes)), Some((other_family, other_object, other_writes))) => {
                family == other_family && object == other_object && (writes || other_writes)
            }
            _ => false,
        }
    }
}

/// One executed operation, with its answer: what two runs of a seed are compared by.
#[derive(Clone, Copy)]
pub(crate) struct Event {
    pub(crate) operation: Operation,
    pub(crate) thread: u32,
    pub(crate) answer: u64,
    pub(crate) now: u64,
}

impl Event {
    /// Equal in all that the hash covers: not the place, which another build of the same program
    /// may move.
    pub(crate) fn same(&self, other: &Event) -> bool {
        self.operation.kind == other.operation.kind
            && self.operation.object == other.operation.object
            && self.thread == other.thread
            && self.answer == other.answer
            && self.now == other.now
    }
}

impl std::fmt::Display for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Event { operation, thread, answer, now } = self;
        let kind = operation.kind.label();
        write!(f, "thread {thread}: {kind}")?;
        if operation.object != 0 {
            write!(f, " of object {}", operation.object)?;
        }
        write!(f, ", answer {answer:#x}, at {now} ns, {}", operation.place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn posted(kind: OperationKind, object: ObjectId) -> Operation {
        Operation::new(kind, object, Location::caller())
    }

    #[test]
    fn two_operations_race_on_one_object_that_one_of_them_changes() {
        let load = posted(OperationKind::Load, 1);
        let store = posted(OperationKind::Store, 1);
        assert!(load.races_with(&store) && store.races_with(&load) && store.races_with(&store));
        assert!(!load.races_with(&load), "nothing changes");
        assert!(!load.races_with(&posted(OperationKind::Store, 2)), "another object");
        let socket = posted(OperationKind::SocketWrite, 1);
        assert!(!socket.races_with(&store), "an object of another family");
        let start = posted(OperationKind::Start, 0);
        assert!(!start.races_with(&posted(OperationKind::Store, 0)), "no object");
        assert!(posted(OperationKind::Park, 0).races_with(&posted(OperationKind::Unpark, 0)));
    }
}
