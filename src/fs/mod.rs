//! Files and directories.
//!
//! Systems offer no way to wait for a file, so each operation runs on a thread of the runtime's
//! blocking pool, of which there are up to
//! [`max_blocking_threads`](crate::Builder::max_blocking_threads); workers never block on a disk.
//! Every operation takes the [`Io`](crate::Io) of a runtime, or a [`File`] that was opened with
//! one.
//!
//! # Cancel safety
//!
//! An operation begins when its future is first polled. From then on it runs to its end, whether
//! the future is dropped or not: a file is written, renamed or removed all the same, a little
//! later. Only a runtime that shuts down first keeps what is still queued from beginning; it waits
//! for what has begun. So dropping a future is no way to stop an operation, and what it has come
//! to is not known then.
//!
//! # In a simulation
//!
//! Each host has a disk of its own, empty at first, whose working directory is its root. It keeps
//! what a program has synced and may lose the rest when a test has it crash:
//! [`volt::sim::Disk`](crate::sim).
//!
//! ```
//! use volt::fs;
//!
//! # let folder = std::env::temp_dir().join(format!("volt-fs-{}", std::process::id()));
//! volt::run(|io| async move {
//!     fs::create_dir_all(&io, &folder).await?;
//!     let path = folder.join("greeting");
//!     fs::write(&io, &path, "hello").await?;
//!     fs::append(&io, &path, ", world").await?;
//!     assert_eq!(fs::read_to_string(&io, &path).await?, "hello, world");
//!     fs::remove_dir_all(&io, &folder).await
//! })
//! .unwrap();
//! ```

mod file;
mod job;
mod links;
mod paths;
mod read_dir;
mod whole;

pub use crate::platform::fs::{FileType, Metadata, Permissions};
pub use file::{
    File, FileMetadata, IntoStd, Open, OpenOptions, ReadAt, ReadAtOwned, SetFilePermissions,
    SetLen, SyncAll, SyncData, TryClone, WriteAt, WriteAtOwned,
};
pub use links::{
    Canonicalize, HardLink, ReadLink, Symlink, canonicalize, hard_link, read_link, symlink,
};
pub use paths::{
    CreateDir, CreateDirAll, GetMetadata, RemoveDir, RemoveDirAll, RemoveFile, Rename,
    SetPermissions, TryExists, create_dir, create_dir_all, metadata, remove_dir, remove_dir_all,
    remove_file, rename, set_permissions, symlink_metadata, try_exists,
};
pub use read_dir::{DirEntry, NextEntry, OpenDir, ReadDir, read_dir};
pub use whole::{
    AppendFile, CopyFile, ReadFile, ReadFileToString, WriteFile, append, copy, read,
    read_to_string, write,
};
