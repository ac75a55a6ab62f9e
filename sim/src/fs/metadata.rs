//! What is told of files, directories and links.

use std::ffi::OsString;
use std::time::{Duration, SystemTime};

use crate::clock::WALL_ORIGIN_SECONDS;
use crate::disk::{Kind, Stat};

/// What an entry of a directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileType {
    /// A file.
    File,
    /// A directory.
    Directory,
    /// A link that leads to a path.
    Symlink,
}

impl FileType {
    pub(super) fn of(kind: Kind) -> FileType {
        match kind {
            Kind::File => FileType::File,
            Kind::Directory => FileType::Directory,
            Kind::Symlink => FileType::Symlink,
        }
    }
}

/// What is told of a file, directory or link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metadata {
    /// What it is.
    pub file_type: FileType,
    /// The length of a file, in bytes; of a link, that of the path that it leads to.
    pub len: u64,
    /// The permissions, without the bits of the type.
    pub mode: u32,
    /// The number of the inode.
    pub inode: u64,
    /// How many entries lead here.
    pub links: u32,
    /// When it was made.
    pub created: SystemTime,
    /// When its content was last changed.
    pub modified: SystemTime,
    /// When its content was last read.
    pub accessed: SystemTime,
}

impl Metadata {
    pub(super) fn of(stat: &Stat) -> Metadata {
        let time = |since: u64| {
            let began = SystemTime::UNIX_EPOCH + Duration::from_secs(WALL_ORIGIN_SECONDS);
            began + Duration::from_nanos(since)
        };
        Metadata {
            file_type: FileType::of(stat.kind),
            len: stat.len,
            mode: stat.mode,
            inode: stat.ino.0,
            links: stat.links,
            created: time(stat.created),
            modified: time(stat.modified),
            accessed: time(stat.accessed),
        }
    }
}

/// An entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// Its name.
    pub name: OsString,
    /// What it is.
    pub file_type: FileType,
}
