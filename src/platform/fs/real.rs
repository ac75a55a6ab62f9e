//! The real machine's files: std's.

use std::fs;
use std::io::{self, Read, Seek, SeekFrom, Write};
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
#[cfg(all(target_os = "linux", not(volt_loom)))]
use std::sync::OnceLock;

use super::{Entry, Metadata, OpenFlags, Permissions, StdFile, retry};

/// Opens a file.
///
/// # Errors
/// What the system says.
pub fn open(path: &Path, flags: &OpenFlags) -> io::Result<File> {
    let &OpenFlags { read, write, append, truncate, create, create_new, mode } = flags;
    let mut options = fs::OpenOptions::new();
    options.read(read).write(write).append(append);
    options.truncate(truncate).create(create).create_new(create_new);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(mode);
    }
    #[cfg(not(unix))]
    let _ = mode;
    options.open(path).map(File::new)
}

/// The whole content of a file.
///
/// # Errors
/// What the system says.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    fs::read(path)
}

/// Makes `bytes` the content of a file.
///
/// # Errors
/// What the system says.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    fs::write(path, bytes)
}

/// Copies a file with its permissions; how many bytes that were.
///
/// # Errors
/// What the system says.
pub fn copy(from: &Path, to: &Path) -> io::Result<u64> {
    fs::copy(from, to)
}

/// Moves an entry.
///
/// # Errors
/// What the system says.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)
}

/// Removes a file.
///
/// # Errors
/// What the system says.
pub fn remove_file(path: &Path) -> io::Result<()> {
    fs::remove_file(path)
}

/// Makes a directory.
///
/// # Errors
/// What the system says.
pub fn create_dir(path: &Path) -> io::Result<()> {
    fs::create_dir(path)
}

/// Makes a directory, and those above it.
///
/// # Errors
/// What the system says.
pub fn create_dir_all(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

/// Removes an empty directory.
///
/// # Errors
/// What the system says.
pub fn remove_dir(path: &Path) -> io::Result<()> {
    fs::remove_dir(path)
}

/// Removes a directory and what is in it.
///
/// # Errors
/// What the system says.
pub fn remove_dir_all(path: &Path) -> io::Result<()> {
    fs::remove_dir_all(path)
}

/// What is told of what `path` leads to.
///
/// # Errors
/// What the system says.
pub fn metadata(path: &Path) -> io::Result<Metadata> {
    fs::metadata(path).map(Metadata::from)
}

/// As [`metadata`], without following a link at the end.
///
/// # Errors
/// What the system says.
pub fn symlink_metadata(path: &Path) -> io::Result<Metadata> {
    fs::symlink_metadata(path).map(Metadata::from)
}

/// The path from the root, without links.
///
/// # Errors
/// What the system says.
pub fn canonicalize(path: &Path) -> io::Result<PathBuf> {
    fs::canonicalize(path)
}

/// Where a link leads.
///
/// # Errors
/// What the system says.
pub fn read_link(path: &Path) -> io::Result<PathBuf> {
    fs::read_link(path)
}

/// Gives a file one more path.
///
/// # Errors
/// What the system says.
pub fn hard_link(original: &Path, link: &Path) -> io::Result<()> {
    fs::hard_link(original, link)
}

/// Makes a link that leads to `original`.
///
/// # Errors
/// What the system says; `Unsupported` where there are none.
#[cfg(unix)]
pub fn symlink(original: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(original, link)
}

/// Makes a link that leads to `original`: one for directories if that is one at this moment.
///
/// # Errors
/// What the system says; `Unsupported` where there are none.
#[cfg(windows)]
pub fn symlink(original: &Path, link: &Path) -> io::Result<()> {
    use std::os::windows::fs::{symlink_dir, symlink_file};
    let from_link = link.parent().map_or_else(|| original.to_owned(), |near| near.join(original));
    match fs::metadata(from_link) {
        Ok(metadata) if metadata.is_dir() => symlink_dir(original, link),
        _ => symlink_file(original, link),
    }
}

/// There are none.
///
/// # Errors
/// `Unsupported`, always.
#[cfg(not(any(unix, windows)))]
pub fn symlink(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "this system has no symbolic links: copy the file instead",
    ))
}

/// The permissions as std has them; what it does not set is as `before`.
fn to_std(
    permissions: &Permissions,
    before: impl FnOnce() -> io::Result<fs::Metadata>,
) -> io::Result<fs::Permissions> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let _ = before;
        Ok(fs::Permissions::from_mode(permissions.mode()))
    }
    #[cfg(not(unix))]
    {
        let mut changed = before()?.permissions();
        changed.set_readonly(permissions.readonly());
        Ok(changed)
    }
}

/// Changes who may do what.
///
/// # Errors
/// What the system says.
pub fn set_permissions(path: &Path, permissions: &Permissions) -> io::Result<()> {
    fs::set_permissions(path, to_std(permissions, || fs::metadata(path))?)
}

/// The entries of a directory.
///
/// # Errors
/// What the system says.
pub fn read_dir(path: &Path) -> io::Result<Entries> {
    fs::read_dir(path).map(Entries)
}

/// What is left of the entries of a directory. Each step may block.
#[derive(Debug)]
pub struct Entries(fs::ReadDir);

impl Iterator for Entries {
    type Item = io::Result<Entry>;

    fn next(&mut self) -> Option<io::Result<Entry>> {
        let entry = |entry: fs::DirEntry| Entry {
            path: entry.path(),
            name: entry.file_name(),
            file_type: entry.file_type().map(Into::into).map_err(|error| error.kind()),
        };
        Some(self.0.next()?.map(entry))
    }
}

/// An open file.
#[derive(Debug)]
pub struct File(
    fs::File,
    /// Whether it is storage, once that was asked.
    #[cfg(all(target_os = "linux", not(volt_loom)))]
    OnceLock<bool>,
);

impl File {
    fn new(file: fs::File) -> File {
        File(
            file,
            #[cfg(all(target_os = "linux", not(volt_loom)))]
            OnceLock::new(),
        )
    }

    /// Whether it is a regular file or a block device: what has offsets, and never waits for
    /// somebody else. The system is asked once; a file does not change its kind.
    #[cfg(all(target_os = "linux", not(volt_loom)))]
    pub(in crate::platform) fn is_storage(&self) -> bool {
        use std::os::unix::fs::FileTypeExt;
        *self.1.get_or_init(|| {
            let metadata = self.0.metadata();
            metadata
                .map(|metadata| metadata.file_type())
                .is_ok_and(|kind| kind.is_file() || kind.is_block_device())
        })
    }

    /// A file that std opened.
    ///
    /// # Errors
    /// None here; in a simulation, `Unsupported`.
    pub fn from_std(file: StdFile) -> io::Result<File> {
        Ok(File::new(file))
    }

    /// The file as std has it.
    ///
    /// # Errors
    /// None here; in a simulation, `Unsupported`.
    pub fn into_std(self) -> io::Result<StdFile> {
        Ok(self.0)
    }

    /// Reads at the position, and moves it.
    ///
    /// # Errors
    /// What the system says.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        retry(|| (&self.0).read(buffer))
    }

    /// Writes at the position, and moves it.
    ///
    /// # Errors
    /// What the system says.
    pub fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        retry(|| (&self.0).write(bytes))
    }

    /// Moves the position and tells where it is.
    ///
    /// # Errors
    /// What the system says; `InvalidInput` for a position before the beginning.
    pub fn seek(&self, to: SeekFrom) -> io::Result<u64> {
        /// `ERROR_NEGATIVE_SEEK`, of which std makes no kind.
        const NEGATIVE: i32 = 131;
        (&self.0).seek(to).map_err(|error| match error.raw_os_error() {
            Some(NEGATIVE) if cfg!(windows) => io::Error::new(io::ErrorKind::InvalidInput, error),
            _ => error,
        })
    }

    /// Reads at `offset`.
    ///
    /// # Errors
    /// What the system says; `Unsupported` where it cannot be done.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        retry(|| positioned::read(&self.0, buffer, offset))
    }

    /// As [`File::read_at`], if what is to be read is in memory; `None` if it would have to be
    /// waited for, and where that cannot be told.
    ///
    /// # Errors
    /// None: what fails is `None`, and [`File::read_at`] tells why.
    pub fn read_at_now(&self, buffer: &mut [u8], offset: u64) -> Option<io::Result<usize>> {
        #[cfg(target_os = "linux")]
        {
            use rustix::io::{ReadWriteFlags, preadv2};
            // The largest offset stands for the position of the file.
            if offset == u64::MAX {
                return None;
            }
            let is_empty = buffer.is_empty();
            let mut buffers = [io::IoSliceMut::new(buffer)];
            let read = preadv2(&self.0, &mut buffers, offset, ReadWriteFlags::NOWAIT).ok()?;
            // Linux 5.9 and 5.10 may answer 0 for what is not in memory: that is no end yet.
            (read > 0 || is_empty).then_some(Ok(read))
        }
        #[cfg(not(target_os = "linux"))]
        {
            let _ = (buffer, offset);
            None
        }
    }

    /// Writes at `offset`.
    ///
    /// # Errors
    /// What the system says; `Unsupported` where it cannot be done.
    pub fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        retry(|| positioned::write(&self.0, bytes, offset))
    }

    /// Makes content and metadata durable.
    ///
    /// # Errors
    /// What the system says.
    pub fn sync_all(&self) -> io::Result<()> {
        self.0.sync_all()
    }

    /// Makes the content durable.
    ///
    /// # Errors
    /// What the system says.
    pub fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    /// Cuts the file off, or lengthens it with zeros.
    ///
    /// # Errors
    /// What the system says.
    pub fn set_len(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    /// What is told of the file.
    ///
    /// # Errors
    /// What the system says.
    pub fn metadata(&self) -> io::Result<Metadata> {
        self.0.metadata().map(Metadata::from)
    }

    /// Changes who may do what.
    ///
    /// # Errors
    /// What the system says.
    pub fn set_permissions(&self, permissions: &Permissions) -> io::Result<()> {
        self.0.set_permissions(to_std(permissions, || self.0.metadata())?)
    }

    /// The same open file once more, with the same position.
    ///
    /// # Errors
    /// If the system has no descriptor for it.
    pub fn try_clone(&self) -> io::Result<File> {
        self.0.try_clone().map(File::new)
    }
}

#[cfg(unix)]
impl AsFd for File {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(unix)]
mod positioned {
    use std::fs::File;
    use std::io;
    use std::os::unix::fs::FileExt;

    pub(super) fn read(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        file.read_at(buffer, offset)
    }

    pub(super) fn write(file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
        file.write_at(bytes, offset)
    }
}

#[cfg(windows)]
mod positioned {
    use std::fs::File;
    use std::io;
    use std::os::windows::fs::FileExt;

    pub(super) fn read(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        file.seek_read(buffer, offset)
    }

    pub(super) fn write(file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
        file.seek_write(bytes, offset)
    }
}

#[cfg(not(any(unix, windows)))]
mod positioned {
    use std::fs::File;
    use std::io;

    fn unsupported() -> io::Error {
        io::Error::new(
            io::ErrorKind::Unsupported,
            "this system has no reads and writes with an offset: seek, then read or write",
        )
    }

    pub(super) fn read(_: &File, _: &mut [u8], _: u64) -> io::Result<usize> {
        Err(unsupported())
    }

    pub(super) fn write(_: &File, _: &[u8], _: u64) -> io::Result<usize> {
        Err(unsupported())
    }
}
