//! The simulated disks, one for each host: directories, files, links, and what a crash leaves of
//! them. Programs see them as [`fs`](crate::fs).
//!
//! A deterministic state machine, as the network is: it has no thread, no clock and no source of
//! chance of its own; whoever owns the [`Disks`] lends [`Surroundings`] with each call. The same
//! calls with the same answers lead to the same state.
//!
//! ```text
//!   program ──► open files ──► contents:    cached ── sync of the file ───────► durable
//!      │                                                                           │
//!      └──────► paths ───────► directories: cached ── sync of the directory ──► durable
//!                                              ▲                                   │
//!                                              └───────────── crash ◄──────────────┘
//! ```
//!
//! | file | what it is |
//! |---|---|
//! | `errno` | errors, by Linux's numbers |
//! | `content` | the bytes of a file: page cache, durable state, torn writes |
//! | `tree` | inodes, directories, paths, the journal of entries |
//! | `open` | open files: reading, writing, seeking, syncing |
//! | `entries` | what programs do by path |
//!
//! What a crash leaves is what POSIX promises and no more: a file that was synced is lost with
//! its directory entry unless the directory was synced too. Beyond that the decisions of the
//! crash may keep the first few changes of entries, and any of the sectors that were written.
//!
//! What is simplified: nothing is written back before a sync or a crash, every program owns all
//! files and is no superuser, a slash at the end of a path says nothing, each byte of a file's
//! length takes room, and there are no special files.

mod content;
mod entries;
mod errno;
mod open;
#[cfg(test)]
mod tests;
mod tree;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub(crate) use errno::Errno;
pub(crate) use open::Handle;
pub(crate) use tree::Ino;

use crate::network::HostId;
use open::Open;
use tree::{Body, Tree};

/// What the owner of a disk lends to its calls. None of it may call the disk.
pub(crate) trait Surroundings {
    /// Virtual time in nanoseconds. It never goes back.
    fn now(&self) -> u64;

    /// A decision among `0..n`; 0 is the answer that loses most.
    fn choose(&mut self, n: u64) -> u64;

    /// Bytes have been read or written: they belong to the run's hash.
    fn observe(&mut self, bytes: &[u8]);
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Directory,
    Symlink,
}

/// What is told of a file, directory or link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) kind: Kind,
    pub(crate) ino: Ino,
    pub(crate) len: u64,
    pub(crate) mode: u32,
    pub(crate) links: u32,
    /// Nanoseconds since the run began.
    pub(crate) created: u64,
    pub(crate) modified: u64,
    pub(crate) accessed: u64,
}

/// How a file is to be opened.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct How {
    pub(crate) read: bool,
    pub(crate) write: bool,
    pub(crate) append: bool,
    pub(crate) truncate: bool,
    pub(crate) create: bool,
    pub(crate) create_new: bool,
    pub(crate) mode: u32,
}

/// How long operations take, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delays {
    pub(crate) operation: u64,
    pub(crate) sync: u64,
    /// How much longer each may take.
    pub(crate) jitter: u64,
}

impl Default for Delays {
    /// A fast SSD behind a page cache.
    fn default() -> Delays {
        Delays { operation: 2_000, sync: 300_000, jitter: 1_000 }
    }
}

/// How many operations are still to fail.
#[derive(Clone, Copy, Debug, Default)]
struct Failing {
    reads: u32,
    writes: u32,
    syncs: u32,
}

/// The operations that can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fallible {
    Read,
    Write,
    Sync,
}

/// The disk of one host.
#[derive(Debug)]
pub(crate) struct Disk {
    tree: Tree,
    open: BTreeMap<Handle, Open>,
    last_handle: u32,
    /// The most bytes that files hold together.
    capacity: Option<u64>,
    failing: Failing,
    delays: Delays,
}

impl Disk {
    /// A disk with an empty root.
    pub(crate) fn new() -> Disk {
        Disk {
            tree: Tree::new(),
            open: BTreeMap::new(),
            last_handle: 0,
            capacity: None,
            failing: Failing::default(),
            delays: Delays::default(),
        }
    }

    /// How long the next operation takes.
    pub(crate) fn delay(&self, is_sync: bool, s: &mut impl Surroundings) -> u64 {
        let Delays { operation, sync, jitter } = self.delays;
        let least = if is_sync { sync } else { operation };
        least.saturating_add(s.choose(jitter.saturating_add(1)))
    }

    pub(crate) fn set_delays(&mut self, delays: Delays) {
        self.delays = delays;
    }

    pub(crate) fn set_capacity(&mut self, capacity: Option<u64>) {
        self.capacity = capacity;
    }

    /// How many bytes files hold together.
    pub(crate) fn used(&self) -> u64 {
        self.tree.used()
    }

    /// The next `count` operations of this kind fail.
    pub(crate) fn fail_next(&mut self, what: Fallible, count: u32) {
        *self.failing(what) = count;
    }

    fn failing(&mut self, what: Fallible) -> &mut u32 {
        match what {
            Fallible::Read => &mut self.failing.reads,
            Fallible::Write => &mut self.failing.writes,
            Fallible::Sync => &mut self.failing.syncs,
        }
    }

    /// Whether this operation is one that fails.
    fn fails(&mut self, what: Fallible) -> bool {
        let left = self.failing(what);
        let fails = *left > 0;
        *left = left.saturating_sub(1);
        fails
    }

    /// How many more bytes there is room for.
    fn room(&self) -> u64 {
        self.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(self.used()))
    }

    /// The machine loses its power and has it again: what is open is closed, what is not durable
    /// is lost, but for what the decisions let through.
    pub(crate) fn crash(&mut self, s: &mut impl Surroundings) {
        self.open.clear();
        self.tree.crash(s);
    }

    /// What programs have not closed, one description each.
    pub(crate) fn leftovers(&self) -> Vec<String> {
        self.open.values().map(|open| format!("file {}", open.path().display())).collect()
    }

    fn stat(&self, ino: Ino) -> Stat {
        let inode = self.tree.get(ino);
        let (kind, len) = match &inode.body {
            Body::File(content) => (Kind::File, content.len() as u64),
            Body::Directory(_) => (Kind::Directory, 0),
            Body::Symlink(target) => (Kind::Symlink, target.as_os_str().len() as u64),
        };
        Stat {
            kind,
            ino,
            len,
            mode: inode.mode,
            links: inode.links,
            created: inode.created,
            modified: inode.modified,
            accessed: inode.accessed,
        }
    }
}

/// The disks of all hosts.
#[derive(Debug, Default)]
pub(crate) struct Disks(BTreeMap<HostId, Disk>);

impl Disks {
    /// The disk of `host`, which has one from the first time that it is asked for.
    pub(crate) fn of(&mut self, host: HostId) -> &mut Disk {
        self.0.entry(host).or_insert_with(Disk::new)
    }

    /// How many files the programs of all hosts have open.
    pub(crate) fn open_files(&self) -> usize {
        self.0.values().map(|disk| disk.open.len()).sum()
    }
}

/// A path as it is shown: from the root.
fn shown(path: &Path) -> PathBuf {
    PathBuf::from("/").join(path)
}
