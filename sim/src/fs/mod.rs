//! Files and directories of simulated hosts, each of which has a disk, and what goes wrong with
//! those.
//!
//! Everything here is for simulated threads and belongs to the run that made it. On an ordinary
//! thread calls answer `Unsupported`, and dropping does nothing; in another run, a file ends that
//! run as not deterministic. Each call is a scheduling point and takes virtual time; its answer is
//! part of the run's hash, and so are the bytes and paths.
//!
//! Errors are those of Linux, down to their numbers. What a program has not synced, a [crash of
//! the disk](Disk::crash) may lose.
//!
//! ```
//! use std::io::ErrorKind;
//! use volt_sim::fs::{self, Disk, File};
//!
//! volt_sim::check(|| {
//!     fs::create_dir("/data", 0o777).unwrap();
//!     let file = File::create("/data/log").unwrap();
//!     file.write(b"begun").unwrap();
//!     file.sync_all().unwrap();
//!     // The directories that lead to it have to be synced too.
//!     File::open("/data").unwrap().sync_all().unwrap();
//!     File::open("/").unwrap().sync_all().unwrap();
//!
//!     Disk::current().crash();
//!     assert_eq!(fs::read("/data/log").unwrap(), b"begun");
//!     assert_eq!(fs::read("/data/other").unwrap_err().kind(), ErrorKind::NotFound);
//! });
//! ```

mod call;
mod composed;
mod disk;
mod file;
mod metadata;
mod paths;

pub use composed::{copy, create_dir_all, read, remove_dir_all, write};
pub use disk::{Disk, DiskLatency, open_files};
pub use file::{File, OpenOptions};
pub use metadata::{DirEntry, FileType, Metadata};
pub use paths::{
    canonicalize, create_dir, hard_link, metadata, read_dir, read_link, remove_dir, remove_file,
    rename, set_mode, symlink, symlink_metadata,
};
