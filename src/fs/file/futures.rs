//! Operations on a file as a whole. Each waits until none runs at the file's position.

use std::fmt;
use std::future::Future;
use std::io::{self, SeekFrom};
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::File;
use crate::fs::job::{Job, OnRing, Work};
use crate::fs::{Metadata, Permissions};
use crate::platform::fs as system;
use crate::platform::ring::Operation;

const AGAIN: &str = "an operation on a file is polled after it gave its output";

/// An operation on a file, which it borrows until it has ended.
pub(super) struct FileJob<'a, W: Work> {
    file: &'a File,
    /// The work, while it waits for the operation at the position.
    waiting: Option<W>,
    job: Option<Job<W>>,
    /// Whether the error of a write at the position, if nobody has heard of it, is the answer.
    tells_write_errors: bool,
    place: &'static Location<'static>,
}

// The work is never pinned.
impl<W: Work> Unpin for FileJob<'_, W> {}

impl<'a, W: Work> FileJob<'a, W> {
    pub(super) fn new(file: &'a File, work: W, place: &'static Location<'static>) -> Self {
        FileJob { file, waiting: Some(work), job: None, tells_write_errors: false, place }
    }

    pub(super) fn telling_write_errors(self) -> Self {
        FileJob { tells_write_errors: true, ..self }
    }

    pub(super) fn file(&self) -> &'a File {
        self.file
    }

    /// # Panics
    /// If it has returned `Ready` before.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<io::Result<W::Output>> {
        if self.waiting.is_some() {
            ready!(self.file.poll_rest(context, self.place));
            let work = self.waiting.take().expect("it was just seen");
            if self.tells_write_errors
                && let Some(error) = self.file.stream.take_write_error()
            {
                return Poll::Ready(Err(error));
            }
            self.job = Some(Job::new(&self.file.io, work, self.place));
        }
        self.job.as_mut().expect(AGAIN).poll(context)
    }
}

/// Declares the futures of operations on a file: the work and its fields beside the file, its
/// output, what reports say, and what it does.
macro_rules! file_operations {
    ($(
        $(#[$attribute:meta])*
        $name:ident = $work:ident { $($field:ident: $type:ty),* } -> $output:ty,
            $what:literal, |$this:ident| $run:expr $(, ring $on_ring:expr)?;
    )+) => {$(
        pub(super) struct $work {
            pub(super) system: Arc<system::File>,
            $(pub(super) $field: $type,)*
        }

        impl Work for $work {
            type Output = $output;

            const WHAT: &'static str = $what;

            $(const ON_RING: Option<OnRing<Self>> = Some($on_ring);)?

            fn run(self) -> io::Result<$output> {
                let $this = self;
                $run
            }
        }

        $(#[$attribute])*
        #[must_use = "a future does nothing unless it is awaited"]
        pub struct $name<'a> {
            job: FileJob<'a, $work>,
        }

        impl<'a> $name<'a> {
            pub(super) fn new(job: FileJob<'a, $work>) -> $name<'a> {
                $name { job }
            }
        }

        impl fmt::Debug for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    )+};
}

file_operations! {
    /// The future of [`File::sync_all`].
    ///
    /// Cancel safety: once polled, it is done all the same.
    SyncAll = SyncAllWork {} -> (), "a file to be synced", |work| work.system.sync_all(),
        ring OnRing {
            describe: |work| Operation::Sync { file: &work.system, data_only: false },
            finish: |_, synced| synced.map(|_| ()),
            ends_with_future: false,
        };

    /// The future of [`File::sync_data`].
    ///
    /// Cancel safety: once polled, it is done all the same.
    SyncData = SyncDataWork {} -> (), "a file to be synced", |work| work.system.sync_data(),
        ring OnRing {
            describe: |work| Operation::Sync { file: &work.system, data_only: true },
            finish: |_, synced| synced.map(|_| ()),
            ends_with_future: false,
        };

    /// The future of [`File::set_len`].
    ///
    /// Cancel safety: once polled, it is done all the same, later.
    SetLen = SetLenWork { length: u64 } -> (), "the length of a file to be set", |work| {
        work.system.set_len(work.length)
    };

    /// The future of [`File::metadata`].
    ///
    /// Cancel safety: nothing is lost.
    FileMetadata = MetadataWork {} -> Metadata, "the metadata of a file", |work| {
        work.system.metadata()
    };

    /// The future of [`File::set_permissions`].
    ///
    /// Cancel safety: once polled, it is done all the same, later.
    SetFilePermissions = SetPermissionsWork { permissions: Permissions } -> (),
        "the permissions of a file to be set", |work| {
            work.system.set_permissions(&work.permissions)
        };

    /// The future of [`File::try_clone`].
    ///
    /// Cancel safety: a clone that is made in vain is closed.
    TryClone = TryCloneWork {} -> system::File, "a file to be cloned", |work| {
        work.system.try_clone()
    };
}

/// Futures that give what their work gives.
macro_rules! plain_futures {
    ($($name:ident -> $output:ty;)+) => {$(
        impl Future for $name<'_> {
            type Output = io::Result<$output>;

            /// # Panics
            /// If it has returned `Ready` before.
            fn poll(
                mut self: Pin<&mut Self>,
                context: &mut Context<'_>,
            ) -> Poll<io::Result<$output>> {
                self.job.poll(context)
            }
        }
    )+};
}

plain_futures! {
    SyncAll -> ();
    SyncData -> ();
    SetLen -> ();
    FileMetadata -> Metadata;
    SetFilePermissions -> ();
}

impl Future for TryClone<'_> {
    type Output = io::Result<File>;

    /// # Panics
    /// If it has returned `Ready` before.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<File>> {
        let cloned = ready!(self.job.poll(context));
        Poll::Ready(cloned.map(|system| File::new(&self.job.file().io, system)))
    }
}

/// The future of [`File::into_std`].
///
/// Cancel safety: none. Dropped before it is ready, it closes the file.
#[derive(Debug)]
#[must_use = "a future does nothing unless it is awaited"]
pub struct IntoStd {
    file: Option<File>,
    place: &'static Location<'static>,
}

impl IntoStd {
    pub(super) fn new(file: File, place: &'static Location<'static>) -> IntoStd {
        IntoStd { file: Some(file), place }
    }
}

impl Future for IntoStd {
    type Output = io::Result<system::StdFile>;

    /// # Panics
    /// If it has returned `Ready` before.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let place = self.place;
        ready!(self.file.as_ref().expect(AGAIN).poll_rest(context, place));
        Poll::Ready(into_std(self.file.take().expect("it was just seen")))
    }
}

fn into_std(file: File) -> io::Result<system::StdFile> {
    let File { system, stream, .. } = file;
    if let Some(error) = stream.take_write_error() {
        return Err(error);
    }
    // What a dropped read has taken is given back.
    let unread = stream.discard_unread();
    if unread > 0 {
        system.seek(SeekFrom::Current(-unread))?;
    }
    match Arc::try_unwrap(system) {
        Ok(system) => system.into_std(),
        // An operation of a future that was dropped still runs.
        Err(system) => system.try_clone()?.into_std(),
    }
}
