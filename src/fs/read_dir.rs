//! The entries of a directory.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fmt;
use std::future::Future;
use std::io;
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use super::job::{Job, Work, poll_map};
use super::paths::GetMetadataWork;
use super::{FileType, GetMetadata};
use crate::coop;
use crate::platform::fs as system;
use crate::runtime::Io;

/// How many entries are asked of the system before they are handed out.
const BATCH: usize = 64;

/// Opens a directory, to list its entries. They come in no particular order, without `.` and `..`;
/// what is made or removed meanwhile may be among them or not.
///
/// Cancel safety: nothing is lost.
///
/// # Errors
/// What the system says, such as `NotFound` or `NotADirectory`.
///
/// ```
/// volt::run(|io| async move {
///     let mut entries = volt::fs::read_dir(&io, ".").await?;
///     let mut names = Vec::new();
///     while let Some(entry) = entries.next_entry().await? {
///         names.push(entry.file_name());
///     }
///     assert!(names.iter().any(|name| name == "Cargo.toml"));
///     Ok::<(), std::io::Error>(())
/// })
/// .unwrap();
/// ```
#[track_caller]
pub fn read_dir(io: &Io, path: impl AsRef<Path>) -> OpenDir {
    let place = Location::caller();
    let path = path.as_ref().to_owned();
    OpenDir { io: io.clone(), job: Job::new(io, OpenDirWork { path }, place), place }
}

/// Some entries, and what gives the rest, unless there are no more.
struct Batch {
    entries: VecDeque<io::Result<system::Entry>>,
    rest: Option<system::Entries>,
}

impl Batch {
    fn of(mut all: system::Entries) -> Batch {
        let entries: VecDeque<_> = all.by_ref().take(BATCH).collect();
        let rest = (entries.len() == BATCH).then_some(all);
        Batch { entries, rest }
    }
}

/// The first batch comes with the opening.
struct OpenDirWork {
    path: PathBuf,
}

impl Work for OpenDirWork {
    type Output = Batch;

    const WHAT: &'static str = "a directory to be opened";

    fn run(self) -> io::Result<Batch> {
        system::read_dir(&self.path).map(Batch::of)
    }
}

struct NextBatchWork {
    rest: system::Entries,
}

impl Work for NextBatchWork {
    type Output = Batch;

    const WHAT: &'static str = "entries of a directory";

    fn run(self) -> io::Result<Batch> {
        Ok(Batch::of(self.rest))
    }
}

/// The future of [`read_dir`].
///
/// Cancel safety: nothing is lost.
#[must_use = "a future does nothing unless it is awaited"]
pub struct OpenDir {
    io: Io,
    job: Job<OpenDirWork>,
    place: &'static Location<'static>,
}

impl Future for OpenDir {
    type Output = io::Result<ReadDir>;

    /// # Panics
    /// If it has returned `Ready` before.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<ReadDir>> {
        let OpenDir { io, job, place } = &mut *self;
        poll_map(job, context, |Batch { entries, rest }| ReadDir {
            io: io.clone(),
            entries,
            rest,
            job: None,
            place,
        })
    }
}

impl fmt::Debug for OpenDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenDir").finish_non_exhaustive()
    }
}

/// The entries of a directory that are still to come; a [`Stream`] of them, too.
///
/// They are asked of the system 64 at a time, on a thread of the blocking pool.
#[must_use = "entries come as they are asked for"]
pub struct ReadDir {
    io: Io,
    /// Those that the system has given.
    entries: VecDeque<io::Result<system::Entry>>,
    /// What gives more of them, unless a job has it.
    rest: Option<system::Entries>,
    job: Option<Job<NextBatchWork>>,
    /// Where the directory was opened.
    place: &'static Location<'static>,
}

impl ReadDir {
    /// The next entry; `None` after the last.
    ///
    /// Cancel safety: nothing is lost; the entry is given to whoever asks next.
    ///
    /// # Errors
    /// What the system says of one entry; the others may be asked for all the same.
    ///
    /// ```
    /// volt::run(|io| async move {
    ///     let mut entries = volt::fs::read_dir(&io, "src").await.unwrap();
    ///     let first = entries.next_entry().await.unwrap().expect("there is one");
    ///     assert!(first.path().starts_with("src"));
    /// });
    /// ```
    pub fn next_entry(&mut self) -> NextEntry<'_> {
        NextEntry { entries: self }
    }

    fn poll_entry(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<DirEntry>>> {
        loop {
            if !self.entries.is_empty() {
                ready!(coop::poll_proceed(context));
                let entry = self.entries.pop_front();
                let own = |entry| DirEntry { io: self.io.clone(), entry };
                return Poll::Ready(entry.map(|entry| entry.map(own)));
            }
            if let Some(job) = &mut self.job {
                let read = ready!(job.poll(context));
                self.job = None;
                match read {
                    Ok(Batch { entries, rest }) => (self.entries, self.rest) = (entries, rest),
                    Err(error) => return Poll::Ready(Some(Err(error))),
                }
            } else if let Some(rest) = self.rest.take() {
                self.job = Some(Job::new(&self.io, NextBatchWork { rest }, self.place));
            } else {
                return Poll::Ready(None);
            }
        }
    }
}

impl Stream for ReadDir {
    type Item = io::Result<DirEntry>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<DirEntry>>> {
        self.poll_entry(context)
    }
}

impl fmt::Debug for ReadDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadDir").finish_non_exhaustive()
    }
}

/// The future of [`ReadDir::next_entry`].
///
/// Cancel safety: nothing is lost; the entry is given to whoever asks next.
#[derive(Debug)]
#[must_use = "a future does nothing unless it is awaited"]
pub struct NextEntry<'a> {
    entries: &'a mut ReadDir,
}

impl Future for NextEntry<'_> {
    type Output = io::Result<Option<DirEntry>>;

    fn poll(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<Option<DirEntry>>> {
        Poll::Ready(ready!(self.entries.poll_entry(context)).transpose())
    }
}

/// An entry of a directory.
///
/// ```
/// volt::run(|io| async move {
///     let mut entries = volt::fs::read_dir(&io, "src").await.unwrap();
///     while let Some(entry) = entries.next_entry().await.unwrap() {
///         if entry.file_name() == "lib.rs" {
///             assert!(entry.file_type().unwrap().is_file());
///             assert!(entry.metadata().await.unwrap().len() > 0);
///         }
///     }
/// });
/// ```
pub struct DirEntry {
    io: Io,
    entry: system::Entry,
}

impl DirEntry {
    /// Its path: that of the directory, as it was given to [`read_dir`], and its name.
    pub fn path(&self) -> PathBuf {
        self.entry.path.clone()
    }

    /// Its name.
    pub fn file_name(&self) -> OsString {
        self.entry.name.clone()
    }

    /// What it is. A link is not followed.
    ///
    /// # Errors
    /// What the system said when it was asked, which was when it gave the name.
    pub fn file_type(&self) -> io::Result<FileType> {
        self.entry.file_type.map_err(io::Error::from)
    }

    /// What is told of it. A link is not followed.
    ///
    /// Cancel safety: nothing is lost.
    ///
    /// # Errors
    /// What the system says, such as `NotFound` if it is gone by now.
    #[track_caller]
    pub fn metadata(&self) -> GetMetadata {
        let work = GetMetadataWork { path: self.path(), follow: false };
        GetMetadata::new(&self.io, work, Location::caller())
    }
}

impl fmt::Debug for DirEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DirEntry").field(&self.entry.path).finish()
    }
}
