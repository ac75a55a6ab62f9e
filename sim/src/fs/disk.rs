//! The disk of a host, as a test directs it.

use std::panic::Location;
use std::time::Duration;

use crate::disk::{Delays, Disk as Machine, Fallible};
use crate::kernel::World;
use crate::kernel::disk::Lent;
use crate::kernel::event::{Operation, OperationKind};
use crate::net::Host;
use crate::net::handle::{Handle, running_world};
use crate::network::HostId;

/// The longest time that an operation may take.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// How long the operations of a disk take, in virtual time.
///
/// ```
/// use std::time::Duration;
/// use volt_sim::fs::DiskLatency;
///
/// let hard_disk = DiskLatency {
///     operation: Duration::from_millis(4),
///     sync: Duration::from_millis(12),
///     ..DiskLatency::default()
/// };
/// assert!(hard_disk.sync > hard_disk.operation);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskLatency {
    /// The least time of each operation but a sync; 2 us by default, as of a page cache.
    pub operation: Duration,
    /// The least time of a sync; 300 us by default.
    pub sync: Duration,
    /// How much longer each may take; 1 us by default.
    pub jitter: Duration,
}

impl Default for DiskLatency {
    fn default() -> DiskLatency {
        let Delays { operation, sync, jitter } = Delays::default();
        DiskLatency {
            operation: Duration::from_nanos(operation),
            sync: Duration::from_nanos(sync),
            jitter: Duration::from_nanos(jitter),
        }
    }
}

/// The disk of a simulated host, for tests: what goes wrong with it.
///
/// ```
/// use std::io::ErrorKind;
/// use volt_sim::fs::{self, Disk};
///
/// volt_sim::check(|| {
///     let disk = Disk::current();
///     disk.set_capacity(Some(4));
///     let error = fs::write("/file", b"content").unwrap_err();
///     assert_eq!(error.kind(), ErrorKind::StorageFull);
///     assert_eq!(disk.used(), 4);
/// });
/// ```
#[derive(Clone, Debug)]
pub struct Disk(Handle);

impl Disk {
    /// The disk of `host`.
    ///
    /// # Panics
    /// On an ordinary thread.
    ///
    /// ```
    /// use volt_sim::fs::Disk;
    /// use volt_sim::net;
    ///
    /// volt_sim::check(|| {
    ///     let server = net::add_host("server", None).unwrap();
    ///     assert_eq!(Disk::of(&server).used(), 0);
    /// });
    /// ```
    #[track_caller]
    pub fn of(host: &Host) -> Disk {
        let place = Location::caller();
        match host.enter(place) {
            Ok((world, host)) => Disk(Handle::new("Disk", world, host.0, place)),
            Err(error) => panic!("a simulated disk is used from outside: {error}"),
        }
    }

    /// The disk of the running thread's host.
    ///
    /// # Panics
    /// On an ordinary thread.
    ///
    /// ```
    /// use volt_sim::fs::{self, Disk};
    ///
    /// volt_sim::check(|| {
    ///     fs::write("/file", b"content").unwrap();
    ///     assert_eq!(Disk::current().used(), 7);
    /// });
    /// ```
    #[track_caller]
    pub fn current() -> Disk {
        Disk::of(&Host::current())
    }

    /// The machine loses its power, for an instant: every open file is closed, and what is not
    /// durable is lost.
    ///
    /// Durable is the content of a file as of its last sync, and an entry as of the last sync of
    /// its directory. What is not may have been written back in time: decisions say how many of
    /// the changes of entries, in their order; and of each file whether nothing, everything, or
    /// what length and which sectors of 512 bytes. Programs of the host run on: their operations on
    /// files that were open answer `ESTALE`.
    ///
    /// # Panics
    /// On an ordinary thread.
    ///
    /// ```
    /// use volt_sim::fs::{self, Disk, File};
    ///
    /// volt_sim::check(|| {
    ///     fs::write("/file", b"old").unwrap();
    ///     for path in ["/file", "/"] {
    ///         File::open(path).unwrap().sync_all().unwrap();
    ///     }
    ///     fs::write("/file", b"new").unwrap();
    ///     Disk::current().crash();
    ///     let left = fs::read("/file").unwrap();
    ///     // `write` truncates the file first, and its length may be durable before its bytes.
    ///     assert!([&b"old"[..], b"new", b"", b"\0\0\0"].contains(&&left[..]), "{left:?}");
    /// });
    /// ```
    #[track_caller]
    pub fn crash(&self) {
        self.change(|disk, lent| disk.crash(lent));
    }

    /// How many bytes files may hold together; `None` is no limit, and what a disk begins with. A
    /// write that has room for less writes less; one that has room for nothing fails with
    /// `StorageFull`.
    ///
    /// # Panics
    /// On an ordinary thread.
    #[track_caller]
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.change(|disk, _| disk.set_capacity(bytes));
    }

    /// How many bytes files hold together, those that are removed and still open among them.
    ///
    /// # Panics
    /// On an ordinary thread.
    #[track_caller]
    pub fn used(&self) -> u64 {
        let (world, host) = self.enter();
        world.disks(|disks, _| disks.of(host).used())
    }

    /// The next `count` reads of files fail with `EIO`.
    ///
    /// # Panics
    /// On an ordinary thread.
    ///
    /// ```
    /// use volt_sim::fs::{self, Disk};
    ///
    /// volt_sim::check(|| {
    ///     fs::write("/file", b"content").unwrap();
    ///     Disk::current().fail_next_reads(1);
    ///     assert!(fs::read("/file").is_err());
    ///     assert!(fs::read("/file").is_ok());
    /// });
    /// ```
    #[track_caller]
    pub fn fail_next_reads(&self, count: u32) {
        self.change(|disk, _| disk.fail_next(Fallible::Read, count));
    }

    /// The next `count` writes of files fail with `EIO`, having written nothing.
    ///
    /// # Panics
    /// On an ordinary thread.
    #[track_caller]
    pub fn fail_next_writes(&self, count: u32) {
        self.change(|disk, _| disk.fail_next(Fallible::Write, count));
    }

    /// The next `count` syncs fail with `EIO`. What such a sync of a file was to save is given up,
    /// as on Linux: another one succeeds and has not saved it. Of a directory nothing is given up.
    ///
    /// # Panics
    /// On an ordinary thread.
    #[track_caller]
    pub fn fail_next_syncs(&self, count: u32) {
        self.change(|disk, _| disk.fail_next(Fallible::Sync, count));
    }

    /// How long operations take from now on.
    ///
    /// # Panics
    /// On an ordinary thread, or if a time is longer than a day.
    ///
    /// ```
    /// use std::time::Duration;
    /// use volt_sim::fs::{Disk, DiskLatency, File};
    /// use volt_sim::clock;
    ///
    /// volt_sim::check(|| {
    ///     let sync = Duration::from_millis(8);
    ///     Disk::current().set_latency(DiskLatency { sync, ..DiskLatency::default() });
    ///     let file = File::create("/file").unwrap();
    ///     let began = clock::now();
    ///     file.sync_all().unwrap();
    ///     assert!(clock::now() - began >= sync);
    /// });
    /// ```
    #[track_caller]
    pub fn set_latency(&self, latency: DiskLatency) {
        let nanoseconds = |what: &str, time: Duration| {
            assert!(time <= LONGEST, "the {what} of a disk is {time:?}, more than a day");
            time.as_nanos() as u64
        };
        let delays = Delays {
            operation: nanoseconds("latency", latency.operation),
            sync: nanoseconds("latency of a sync", latency.sync),
            jitter: nanoseconds("jitter", latency.jitter),
        };
        self.change(|disk, _| disk.set_delays(delays));
    }

    /// What programs of the host have not closed, a line for each: for tests that expect nothing.
    ///
    /// # Panics
    /// On an ordinary thread.
    ///
    /// ```
    /// use volt_sim::fs::{Disk, File};
    ///
    /// volt_sim::check(|| {
    ///     let file = File::create("log").unwrap();
    ///     assert_eq!(Disk::current().leftovers(), ["file /log"]);
    ///     drop(file);
    ///     assert!(Disk::current().leftovers().is_empty());
    /// });
    /// ```
    #[track_caller]
    pub fn leftovers(&self) -> Vec<String> {
        let (world, host) = self.enter();
        world.disks(|disks, _| disks.of(host).leftovers())
    }

    #[track_caller]
    fn enter(&self) -> (&'static World, HostId) {
        match self.0.enter(Location::caller()) {
            Ok(world) => (world, HostId(self.0.number)),
            Err(error) => panic!("a simulated disk is used from outside: {error}"),
        }
    }

    #[track_caller]
    fn change(&self, f: impl FnOnce(&mut Machine, &mut Lent<'_>)) {
        let (world, host) = self.enter();
        let operation = Operation::new(OperationKind::DiskOther, 0, Location::caller());
        world.point(operation);
        world.disks(|disks, lent| f(disks.of(host), lent));
        world.complete(operation, 0);
    }
}

/// How many files the programs of all hosts have open; 0 on an ordinary thread.
///
/// ```
/// use volt_sim::fs::{self, File};
///
/// volt_sim::check(|| {
///     let file = File::create("/file").unwrap();
///     assert_eq!(fs::open_files(), 1);
///     drop(file);
///     assert_eq!(fs::open_files(), 0);
/// });
/// ```
pub fn open_files() -> usize {
    running_world().map_or(0, |world| world.disks(|disks, _| disks.open_files()))
}
