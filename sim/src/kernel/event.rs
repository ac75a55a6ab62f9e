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
}

impl OperationKind {
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

impl Operation {
    #[inline]
    pub(crate) fn new(
        kind: OperationKind,
        object: ObjectId,
        place: &'static Location<'static>,
    ) -> Operation {
        Operation { kind, object, place }
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
