//! Open files.
//!
//! | file | what it is |
//! |---|---|
//! | `options` | how files are opened |
//! | `futures` | operations on the file as a whole, and how they wait for the stream |
//! | `positioned` | reads and writes at an offset |
//! | `traits` | the field's traits: reading, writing and seeking at the position |
//! | `turn` | one operation at the position, from its beginning to its end |
//! | `stream` | who may begin one: the state between two operations |
//! | `slot` | a buffer that changes hands |

mod futures;
mod options;
mod positioned;
mod slot;
mod stream;
mod traits;
mod turn;

pub use futures::{FileMetadata, IntoStd, SetFilePermissions, SetLen, SyncAll, SyncData, TryClone};
pub use options::{Open, OpenOptions};
pub use positioned::{ReadAt, ReadAtOwned, WriteAt, WriteAtOwned};

use std::fmt;
use std::io;
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::Location;
use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Poll};

use self::futures::{FileJob, MetadataWork, SetLenWork, SetPermissionsWork, SyncAllWork};
use self::futures::{SyncDataWork, TryCloneWork};
use self::slot::Slot;
use self::stream::Stream;
use super::Permissions;
use crate::platform::fs as system;
use crate::platform::probe;
use crate::runtime::Io;

/// The most bytes that one operation with a borrowed buffer transfers, and that a file keeps room
/// for.
const LONGEST_TRANSFER: usize = 2 << 20;

/// An open file or directory.
///
/// There are two ways to read and write it:
///
/// - At an offset, with [`read_at`](File::read_at) and [`write_at`](File::write_at). They take
///   `&self`: any number of them may run at once.
/// - At the file's position, with the traits of `futures-io`. They take `&mut self`, and run one
///   after the other. A write is handed to a thread and answered at once, so *flush* before the
///   file is dropped, or nobody hears of its failure.
///
/// Every other operation waits until the one at the position has ended.
///
/// # Buffers
///
/// A borrowed buffer may be gone before a thread has done with it, so what is read into one, or
/// written from one, is copied: through a buffer that the file keeps, of at most 2 MiB, which is
/// also the most that one operation transfers. [`read_at_owned`](File::read_at_owned) and
/// [`write_at_owned`](File::write_at_owned) copy nothing.
///
/// # Closing
///
/// Dropping the last handle closes the file, once what runs on it has ended. Errors of that are
/// lost, as in std: [`sync_all`](File::sync_all) to hear of them.
///
/// ```
/// use volt::fs::{self, File};
///
/// # let path = std::env::temp_dir().join(format!("volt-file-{}", std::process::id()));
/// volt::run(|io| async move {
///     let file = File::create(&io, &path).await?;
///     assert_eq!(file.write_at(b"hello", 0).await?, 5);
///     file.sync_all().await?;
///
///     let file = File::open(&io, &path).await?;
///     let mut bytes = [0; 8];
///     assert_eq!(file.read_at(&mut bytes, 1).await?, 4);
///     assert_eq!(&bytes[..4], b"ello");
///     fs::remove_file(&io, &path).await
/// })
/// .unwrap();
/// ```
pub struct File {
    io: Io,
    /// Operations have it too: it is closed when the last of them has ended.
    system: Arc<system::File>,
    stream: Arc<Stream>,
    /// A buffer for the next operation with an offset.
    spare: Slot<Vec<u8>>,
}

impl File {
    fn new(io: &Io, system: system::File) -> File {
        let (system, stream) = (Arc::new(system), Arc::new(Stream::new()));
        File { io: io.clone(), system, stream, spare: Slot::new(None) }
    }

    /// Opens a file or directory to read it.
    ///
    /// Cancel safety: a file that is opened in vain is closed.
    ///
    /// # Errors
    /// What the system says, such as `NotFound`.
    ///
    /// ```
    /// use volt::fs::File;
    ///
    /// volt::run(|io| async move {
    ///     let file = File::open(&io, "Cargo.toml").await.unwrap();
    ///     assert!(file.metadata().await.unwrap().is_file());
    /// });
    /// ```
    #[track_caller]
    pub fn open(io: &Io, path: impl AsRef<Path>) -> Open {
        OpenOptions::new().read(true).open(io, path)
    }

    /// Opens a file to write it, empty; makes it if it is not there.
    ///
    /// Cancel safety: once polled, the file is made, or emptied, all the same.
    ///
    /// # Errors
    /// What the system says, such as `PermissionDenied`.
    ///
    /// ```
    /// use volt::fs::{self, File};
    ///
    /// # let path = std::env::temp_dir().join(format!("volt-create-{}", std::process::id()));
    /// volt::run(|io| async move {
    ///     File::create(&io, &path).await?;
    ///     assert_eq!(fs::read(&io, &path).await?, b"");
    ///     fs::remove_file(&io, &path).await
    /// })
    /// .unwrap();
    /// ```
    #[track_caller]
    pub fn create(io: &Io, path: impl AsRef<Path>) -> Open {
        OpenOptions::new().write(true).create(true).truncate(true).open(io, path)
    }

    /// Makes a file, which must not be there, and opens it to read and write it.
    ///
    /// Cancel safety: once polled, the file is made all the same.
    ///
    /// # Errors
    /// What the system says: `AlreadyExists` if anything has the path.
    ///
    /// ```
    /// use std::io::ErrorKind;
    /// use volt::fs::File;
    ///
    /// volt::run(|io| async move {
    ///     let error = File::create_new(&io, "Cargo.toml").await.unwrap_err();
    ///     assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    /// });
    /// ```
    #[track_caller]
    pub fn create_new(io: &Io, path: impl AsRef<Path>) -> Open {
        OpenOptions::new().read(true).write(true).create_new(true).open(io, path)
    }

    /// Takes over an open file of the standard library.
    ///
    /// # Errors
    /// `Unsupported` in a simulation, which has no files of the system.
    ///
    /// ```
    /// use volt::fs::File;
    ///
    /// volt::run(|io| async move {
    ///     let file = std::fs::File::open("Cargo.toml")?;
    ///     let file = File::from_std(&io, file)?;
    ///     assert!(file.metadata().await?.is_file());
    ///     Ok::<(), std::io::Error>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn from_std(io: &Io, file: system::StdFile) -> io::Result<File> {
        Ok(File::new(io, system::File::from_std(file)?))
    }

    /// Gives the file to the standard library, once what runs at its position has ended.
    ///
    /// Cancel safety: none. Dropped before it is ready, it closes the file.
    ///
    /// # Errors
    /// That of a write which nobody has heard of, or what the system says; `Unsupported` in a
    /// simulation.
    ///
    /// ```
    /// use volt::fs::File;
    ///
    /// volt::run(|io| async move {
    ///     let file = File::open(&io, "Cargo.toml").await?;
    ///     let file: std::fs::File = file.into_std().await?;
    ///     assert!(file.metadata()?.is_file());
    ///     Ok::<(), std::io::Error>(())
    /// })
    /// .unwrap();
    /// ```
    #[track_caller]
    pub fn into_std(self) -> IntoStd {
        IntoStd::new(self, Location::caller())
    }

    /// Has the system write down what was written, and all that is needed to find it: when this
    /// has returned, a crash of the machine loses nothing of it. Of a new or renamed file the
    /// directory has to be synced too: open it, and call this.
    ///
    /// Cancel safety: once polled, it is done all the same.
    ///
    /// # Errors
    /// That of a write which nobody has heard of, or what the system says. After an error of the
    /// system nobody knows what is written down, and calling this again does not tell: write
    /// everything anew.
    ///
    /// ```
    /// use volt::fs::{self, File};
    ///
    /// # let path = std::env::temp_dir().join(format!("volt-sync-{}", std::process::id()));
    /// volt::run(|io| async move {
    ///     let file = File::create(&io, &path).await?;
    ///     file.write_at(b"for ever", 0).await?;
    ///     file.sync_all().await?;
    ///     fs::remove_file(&io, &path).await
    /// })
    /// .unwrap();
    /// ```
    #[track_caller]
    pub fn sync_all(&self) -> SyncAll<'_> {
        let work = SyncAllWork { system: Arc::clone(&self.system) };
        SyncAll::new(FileJob::new(self, work, Location::caller()).telling_write_errors())
    }

    /// As [`sync_all`](File::sync_all), without metadata that is not needed to find the content,
    /// such as the time of the last change.
    ///
    /// Cancel safety: once polled, it is done all the same.
    ///
    /// # Errors
    /// As [`sync_all`](File::sync_all).
    #[track_caller]
    pub fn sync_data(&self) -> SyncData<'_> {
        let work = SyncDataWork { system: Arc::clone(&self.system) };
        SyncData::new(FileJob::new(self, work, Location::caller()).telling_write_errors())
    }

    /// Cuts the file off at `length` bytes, or lengthens it with zeros. The position stays.
    ///
    /// Cancel safety: once polled, it is done all the same, later.
    ///
    /// # Errors
    /// What the system says, such as `InvalidInput` for a file that was not opened to be written.
    ///
    /// ```
    /// use volt::fs::{self, File};
    ///
    /// # let path = std::env::temp_dir().join(format!("volt-set-len-{}", std::process::id()));
    /// volt::run(|io| async move {
    ///     let file = File::create(&io, &path).await?;
    ///     file.set_len(3).await?;
    ///     assert_eq!(fs::read(&io, &path).await?, [0, 0, 0]);
    ///     fs::remove_file(&io, &path).await
    /// })
    /// .unwrap();
    /// ```
    #[track_caller]
    pub fn set_len(&self, length: u64) -> SetLen<'_> {
        let work = SetLenWork { system: Arc::clone(&self.system), length };
        SetLen::new(FileJob::new(self, work, Location::caller()))
    }

    /// What is told of the file.
    ///
    /// Cancel safety: nothing is lost.
    ///
    /// # Errors
    /// What the system says.
    ///
    /// ```
    /// use volt::fs::File;
    ///
    /// volt::run(|io| async move {
    ///     let file = File::open(&io, "Cargo.toml").await.unwrap();
    ///     assert!(file.metadata().await.unwrap().len() > 0);
    /// });
    /// ```
    #[track_caller]
    pub fn metadata(&self) -> FileMetadata<'_> {
        let work = MetadataWork { system: Arc::clone(&self.system) };
        FileMetadata::new(FileJob::new(self, work, Location::caller()))
    }

    /// Changes who may do what with the file. What has it open keeps what it may do.
    ///
    /// Cancel safety: once polled, it is done all the same, later.
    ///
    /// # Errors
    /// What the system says, such as `PermissionDenied`.
    ///
    /// ```
    /// use volt::fs::{self, File};
    ///
    /// # let path = std::env::temp_dir().join(format!("volt-file-mode-{}", std::process::id()));
    /// volt::run(|io| async move {
    ///     let file = File::create(&io, &path).await?;
    ///     let permissions = file.metadata().await?.permissions();
    ///     file.set_permissions(permissions).await?;
    ///     fs::remove_file(&io, &path).await
    /// })
    /// .unwrap();
    /// ```
    #[track_caller]
    pub fn set_permissions(&self, permissions: Permissions) -> SetFilePermissions<'_> {
        let work = SetPermissionsWork { system: Arc::clone(&self.system), permissions };
        SetFilePermissions::new(FileJob::new(self, work, Location::caller()))
    }

    /// The same open file once more. Both share the position; what one has read ahead of it, after
    /// a read that was dropped, the other does not get.
    ///
    /// Cancel safety: a clone that is made in vain is closed.
    ///
    /// # Errors
    /// If the system has no descriptor for it.
    ///
    /// ```
    /// use volt::fs::File;
    ///
    /// volt::run(|io| async move {
    ///     let file = File::open(&io, "Cargo.toml").await.unwrap();
    ///     let clone = file.try_clone().await.unwrap();
    ///     drop(file);
    ///     assert!(clone.metadata().await.unwrap().is_file());
    /// });
    /// ```
    #[track_caller]
    pub fn try_clone(&self) -> TryClone<'_> {
        let work = TryCloneWork { system: Arc::clone(&self.system) };
        TryClone::new(FileJob::new(self, work, Location::caller()))
    }

    /// Waits until no operation runs at the position.
    fn poll_rest(&self, context: &mut Context<'_>, place: &'static Location<'static>) -> Poll<()> {
        let polled = self.stream.poll_rest(context);
        if polled.is_pending() {
            probe::task_waits("an operation at the position of a file", place);
        }
        polled
    }
}

/// In a simulation there is no descriptor.
#[cfg(unix)]
impl AsFd for File {
    /// # Panics
    /// In a simulation.
    #[track_caller]
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.system.as_fd()
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File").field("system", &self.system).finish_non_exhaustive()
    }
}
