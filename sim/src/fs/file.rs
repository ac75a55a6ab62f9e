//! Open files.

use std::io::{self, SeekFrom};
use std::panic::Location;
use std::path::Path;
use std::sync::Arc;

use super::Metadata;
use super::call::call;
use crate::disk::{Disk, Errno, Handle as Number, How, Surroundings};
use crate::kernel::World;
use crate::kernel::disk::Lent;
use crate::kernel::event::{Operation, OperationKind};
use crate::net::handle::{Answer, Handle, running_world};
use crate::network::HostId;

/// How a file is to be opened, as `std::fs::OpenOptions` has it.
///
/// ```
/// use volt_sim::fs::{File, OpenOptions};
///
/// volt_sim::check(|| {
///     let mut options = OpenOptions::new();
///     options.append = true;
///     options.create = true;
///     let file = File::open_with("/log", &options).unwrap();
///     file.write(b"a line\n").unwrap();
/// });
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OpenOptions {
    /// Reading is allowed.
    pub read: bool,
    /// Writing is allowed.
    pub write: bool,
    /// Writing is allowed, and goes to the end.
    pub append: bool,
    /// What is there is cut off to nothing.
    pub truncate: bool,
    /// It is made if it is not there.
    pub create: bool,
    /// It must not be there, and is made.
    pub create_new: bool,
    /// The mode of a file that is made, less what the mask 022 takes away.
    pub mode: u32,
}

impl OpenOptions {
    /// Options that allow nothing; the mode is 0o666.
    pub fn new() -> OpenOptions {
        OpenOptions {
            read: false,
            write: false,
            append: false,
            truncate: false,
            create: false,
            create_new: false,
            mode: 0o666,
        }
    }

    fn how(&self) -> How {
        let &OpenOptions { read, write, append, truncate, create, create_new, mode } = self;
        How { read, write, append, truncate, create, create_new, mode }
    }
}

impl Default for OpenOptions {
    fn default() -> OpenOptions {
        OpenOptions::new()
    }
}

/// An open file or directory of a host's disk. Closed when its last clone is dropped.
///
/// Every call answers `Unsupported` on an ordinary thread, and `ESTALE` once the disk has crashed.
///
/// ```
/// use std::io::SeekFrom;
/// use volt_sim::fs::{File, OpenOptions};
///
/// volt_sim::check(|| {
///     let mut options = OpenOptions::new();
///     (options.read, options.write, options.create) = (true, true, true);
///     let file = File::open_with("/file", &options).unwrap();
///     assert_eq!(file.write(b"hello").unwrap(), 5);
///     file.write_at(b"J", 0).unwrap();
///     file.seek(SeekFrom::Start(0)).unwrap();
///     let mut bytes = [0; 8];
///     assert_eq!(file.read(&mut bytes).unwrap(), 5);
///     assert_eq!(&bytes[..5], b"Jello");
/// });
/// ```
#[derive(Debug)]
pub struct File(Arc<Opened>);

#[derive(Debug)]
struct Opened {
    handle: Handle,
    host: HostId,
}

impl File {
    /// Opens a file or directory to read it.
    ///
    /// # Errors
    /// `NotFound`, `PermissionDenied`, and what else Linux would answer.
    #[track_caller]
    pub fn open(path: impl AsRef<Path>) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read = true;
        File::open_with(path, &options)
    }

    /// Opens a file to write it, empty; makes it if it is not there.
    ///
    /// # Errors
    /// `IsADirectory`, `PermissionDenied`, and what else Linux would answer.
    #[track_caller]
    pub fn create(path: impl AsRef<Path>) -> io::Result<File> {
        let mut options = OpenOptions::new();
        (options.write, options.create, options.truncate) = (true, true, true);
        File::open_with(path, &options)
    }

    /// Opens a file as `options` say.
    ///
    /// # Errors
    /// `InvalidInput` for options that contradict each other; else what Linux would answer.
    #[track_caller]
    pub fn open_with(path: impl AsRef<Path>, options: &OpenOptions) -> io::Result<File> {
        let (path, how) = (path.as_ref(), options.how());
        let place = Location::caller();
        let world = running_world()?;
        let host = world.host();
        let operation = Operation::new(OperationKind::DiskOther, 0, place);
        let number = call(world, host, operation, |disk, lent| {
            lent.observe(path.as_os_str().as_encoded_bytes());
            disk.open(path, how, lent)
        })?;
        let handle = Handle::new("File", world, number.0, place);
        Ok(File(Arc::new(Opened { handle, host })))
    }

    /// Its number on the disk of its host.
    pub(crate) fn number(&self) -> u32 {
        self.0.handle.number
    }

    #[track_caller]
    fn call<R: Answer>(
        &self,
        kind: OperationKind,
        f: impl FnOnce(&mut Disk, &mut Lent<'_>, Number) -> Result<R, Errno>,
    ) -> io::Result<R> {
        let Opened { handle, host } = &*self.0;
        let place = Location::caller();
        let world: &World = handle.enter(place)?;
        let operation = Operation::new(kind, handle.number, place);
        call(world, *host, operation, |disk, lent| f(disk, lent, Number(handle.number)))
    }

    /// Reads at the position, and moves it; 0 is the end.
    ///
    /// # Errors
    /// `EBADF` if it was not opened to be read, `IsADirectory`, or what a test planted.
    #[track_caller]
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.call(OperationKind::DiskRead, |disk, lent, file| disk.read(file, buffer, None, lent))
    }

    /// Reads at `offset`, and leaves the position where it is; 0 is the end.
    ///
    /// # Errors
    /// As [`File::read`].
    #[track_caller]
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.call(OperationKind::DiskRead, |disk, lent, file| {
            disk.read(file, buffer, Some(offset), lent)
        })
    }

    /// Writes at the position, and moves it; how many bytes there was room for.
    ///
    /// # Errors
    /// `StorageFull` if there is room for none, `EBADF` if it was not opened to be written, or what
    /// a test planted.
    #[track_caller]
    pub fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.call(OperationKind::DiskWrite, |disk, lent, file| disk.write(file, bytes, None, lent))
    }

    /// Writes at `offset`, and leaves the position where it is; at the end, if the file was opened
    /// to append.
    ///
    /// # Errors
    /// As [`File::write`].
    #[track_caller]
    pub fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.call(OperationKind::DiskWrite, |disk, lent, file| {
            disk.write(file, bytes, Some(offset), lent)
        })
    }

    /// Moves the position and tells where it is.
    ///
    /// # Errors
    /// `InvalidInput` for one before the beginning.
    #[track_caller]
    pub fn seek(&self, to: SeekFrom) -> io::Result<u64> {
        self.call(OperationKind::DiskOther, |disk, _, file| disk.seek(file, to))
    }

    /// Makes the content and the mode of a file durable, or the entries of a directory.
    ///
    /// # Errors
    /// What a test planted. As on Linux, what was to be written is then given up: another sync
    /// succeeds and has not saved it.
    #[track_caller]
    pub fn sync_all(&self) -> io::Result<()> {
        self.call(OperationKind::DiskSync, |disk, _, file| disk.sync(file, false))
    }

    /// As [`File::sync_all`], without the mode.
    ///
    /// # Errors
    /// As [`File::sync_all`].
    #[track_caller]
    pub fn sync_data(&self) -> io::Result<()> {
        self.call(OperationKind::DiskSync, |disk, _, file| disk.sync(file, true))
    }

    /// Cuts the file off, or lengthens it with zeros.
    ///
    /// # Errors
    /// `StorageFull`; `InvalidInput` if it was not opened to be written.
    #[track_caller]
    pub fn set_len(&self, length: u64) -> io::Result<()> {
        self.call(OperationKind::DiskOther, |disk, lent, file| disk.set_len(file, length, lent))
    }

    /// What is told of the file.
    ///
    /// # Errors
    /// None but those of every call.
    #[track_caller]
    pub fn metadata(&self) -> io::Result<Metadata> {
        let stat = self.call(OperationKind::DiskOther, |disk, _, file| disk.stat_open(file))?;
        Ok(Metadata::of(&stat))
    }

    /// Changes the mode.
    ///
    /// # Errors
    /// None but those of every call.
    #[track_caller]
    pub fn set_mode(&self, mode: u32) -> io::Result<()> {
        self.call(OperationKind::DiskOther, |disk, _, file| disk.set_mode_open(file, mode))
    }
}

/// The clone is the same open file, with the same position.
impl Clone for File {
    fn clone(&self) -> File {
        File(Arc::clone(&self.0))
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        let Some((world, place)) = self.handle.leave() else { return };
        let number = self.handle.number;
        let operation = Operation::new(OperationKind::DiskOther, number, place);
        world.point(operation);
        world.disks(|disks, _| disks.of(self.host).close(Number(number)));
        world.complete(operation, 0);
    }
}
