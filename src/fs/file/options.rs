//! How files are opened.

use std::fmt;
use std::future::Future;
use std::io;
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};

use super::File;
use crate::fs::job::{Job, Work, poll_map};
use crate::platform::fs as system;
use crate::runtime::Io;

/// How a file is opened, with the names that std has for it.
///
/// ```
/// use volt::fs::{self, OpenOptions};
///
/// # let path = std::env::temp_dir().join(format!("volt-options-{}", std::process::id()));
/// volt::run(|io| async move {
///     let file = OpenOptions::new().read(true).write(true).create(true).open(&io, &path).await?;
///     file.write_at(b"content", 0).await?;
///     let mut bytes = [0; 7];
///     file.read_at(&mut bytes, 0).await?;
///     assert_eq!(&bytes, b"content");
///     fs::remove_file(&io, &path).await
/// })
/// .unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct OpenOptions(system::OpenFlags);

impl OpenOptions {
    /// Options that allow nothing: at least `read`, `write` or `append` has to be set.
    pub fn new() -> OpenOptions {
        OpenOptions(system::OpenFlags::NONE)
    }

    /// The file may be read.
    pub fn read(&mut self, read: bool) -> &mut OpenOptions {
        self.0.read = read;
        self
    }

    /// The file may be written.
    pub fn write(&mut self, write: bool) -> &mut OpenOptions {
        self.0.write = write;
        self
    }

    /// The file may be written, and each write goes to its end, whatever the position or offset.
    pub fn append(&mut self, append: bool) -> &mut OpenOptions {
        self.0.append = append;
        self
    }

    /// What is in the file is cut off. It has to be open for writing.
    pub fn truncate(&mut self, truncate: bool) -> &mut OpenOptions {
        self.0.truncate = truncate;
        self
    }

    /// The file is made if it is not there. It has to be open for writing or appending.
    pub fn create(&mut self, create: bool) -> &mut OpenOptions {
        self.0.create = create;
        self
    }

    /// The file must not be there, not even as a link that leads nowhere, and is made; `create`
    /// and `truncate` say nothing then.
    pub fn create_new(&mut self, create_new: bool) -> &mut OpenOptions {
        self.0.create_new = create_new;
        self
    }

    /// The mode of a file that is made, less what the system's mask takes away; 0o666 unless set.
    #[cfg(unix)]
    pub fn mode(&mut self, mode: u32) -> &mut OpenOptions {
        self.0.mode = mode;
        self
    }

    /// Opens a file with these options.
    ///
    /// Cancel safety: a file that is opened in vain is closed; but it is made, or emptied.
    ///
    /// # Errors
    /// What the system says: `NotFound`, `AlreadyExists`, `PermissionDenied`; `InvalidInput` for
    /// options that contradict each other.
    ///
    /// ```
    /// use std::io::ErrorKind;
    /// use volt::fs::OpenOptions;
    ///
    /// volt::run(|io| async move {
    ///     let nothing = OpenOptions::new().open(&io, "Cargo.toml").await;
    ///     assert_eq!(nothing.unwrap_err().kind(), ErrorKind::InvalidInput);
    /// });
    /// ```
    #[track_caller]
    pub fn open(&self, io: &Io, path: impl AsRef<Path>) -> Open {
        let work = OpenWork { path: path.as_ref().to_owned(), flags: self.0 };
        Open { io: io.clone(), job: Job::new(io, work, Location::caller()) }
    }
}

impl Default for OpenOptions {
    fn default() -> OpenOptions {
        OpenOptions::new()
    }
}

struct OpenWork {
    path: PathBuf,
    flags: system::OpenFlags,
}

impl Work for OpenWork {
    type Output = system::File;

    const WHAT: &'static str = "a file to be opened";

    fn run(self) -> io::Result<system::File> {
        system::open(&self.path, &self.flags)
    }
}

/// The future of [`OpenOptions::open`], [`File::open`], [`File::create`] and
/// [`File::create_new`].
///
/// Cancel safety: a file that is opened in vain is closed; but it is made, or emptied.
#[must_use = "a future does nothing unless it is awaited"]
pub struct Open {
    io: Io,
    job: Job<OpenWork>,
}

impl Future for Open {
    type Output = io::Result<File>;

    /// # Panics
    /// If it has returned `Ready` before.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<File>> {
        let Open { io, job } = &mut *self;
        poll_map(job, context, |system| File::new(io, system))
    }
}

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Open").finish_non_exhaustive()
    }
}
