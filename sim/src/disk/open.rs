//! Open files: reading, writing, seeking, syncing.

use std::io::SeekFrom;
use std::path::{Path, PathBuf};

use super::tree::{Body, Fresh, Ino, READ, WRITE};
use super::{Disk, Errno, Fallible, How, Kind, Stat, Surroundings, shown};

/// What the system leaves of the mode of new files and directories.
pub(super) const MODE_MASK: u32 = !0o022 & 0o7777;

/// The longest that a file may be, in bytes: it lies in memory.
const LARGEST: u64 = 1 << 30;

/// The number of an open file within its disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Handle(pub(crate) u32);

/// An open file or directory. Copies of its handle share it, the position too.
#[derive(Debug)]
pub(super) struct Open {
    ino: Ino,
    /// As it was opened.
    path: PathBuf,
    read: bool,
    write: bool,
    append: bool,
    position: u64,
}

impl Open {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl How {
    /// Combinations that no file can be opened with are refused.
    fn check(self) -> Result<(), Errno> {
        let How { read, write, append, truncate, create, create_new, .. } = self;
        let makes = truncate || create || create_new;
        let contradicts = match (write, append) {
            (true, false) => false,
            (false, false) => makes || !read,
            (_, true) => truncate && !create_new,
        };
        if contradicts { Err(Errno::Invalid) } else { Ok(()) }
    }
}

impl Disk {
    /// Opens a file, or makes it first.
    pub(crate) fn open(
        &mut self,
        path: &Path,
        how: How,
        s: &mut impl Surroundings,
    ) -> Result<Handle, Errno> {
        how.check()?;
        let writes = how.write || how.append;
        let place = self.tree.walk(path, !how.create_new)?;
        let ino = match place.inode {
            Some(_) if how.create_new => return Err(Errno::AlreadyExists),
            Some(ino) => {
                let kind = self.stat(ino).kind;
                if kind == Kind::Directory && writes {
                    return Err(Errno::IsADirectory);
                }
                if how.read {
                    self.tree.allow(ino, READ)?;
                }
                if writes {
                    self.tree.allow(ino, WRITE)?;
                }
                if how.truncate {
                    self.resize(ino, 0, s)?;
                }
                ino
            }
            None if how.create || how.create_new => {
                let mode = how.mode & MODE_MASK;
                self.tree.add(place.free_name()?, Fresh::File, mode, s.now())?
            }
            None => return Err(Errno::NotFound),
        };
        self.tree.get_mut(ino).handles += 1;
        self.last_handle += 1;
        let handle = Handle(self.last_handle);
        let open = Open {
            ino,
            path: shown(path),
            read: how.read,
            write: writes,
            append: how.append,
            position: 0,
        };
        self.open.insert(handle, open);
        Ok(handle)
    }

    /// Closes a file. One that was open when the disk crashed is closed already.
    pub(crate) fn close(&mut self, handle: Handle) {
        if let Some(open) = self.open.remove(&handle) {
            self.tree.get_mut(open.ino).handles -= 1;
        }
    }

    fn opened(&mut self, handle: Handle) -> Result<&mut Open, Errno> {
        self.open.get_mut(&handle).ok_or(Errno::Stale)
    }

    /// Reads at `offset`, or at the position, which moves then; 0 is the end.
    pub(crate) fn read(
        &mut self,
        handle: Handle,
        buffer: &mut [u8],
        offset: Option<u64>,
        s: &mut impl Surroundings,
    ) -> Result<usize, Errno> {
        let &mut Open { ino, read, position, .. } = self.opened(handle)?;
        if !read {
            return Err(Errno::BadDescriptor);
        }
        if self.fails(Fallible::Read) {
            return Err(Errno::Io);
        }
        let inode = self.tree.get_mut(ino);
        let Body::File(content) = &inode.body else { return Err(Errno::IsADirectory) };
        let count = content.read(offset.unwrap_or(position), buffer);
        inode.accessed = s.now();
        s.observe(&buffer[..count]);
        if offset.is_none() {
            self.opened(handle)?.position = position + count as u64;
        }
        Ok(count)
    }

    /// Writes at `offset`, or at the position, which moves then; at the end, if the file was
    /// opened to append. Writes fewer bytes where there is room for fewer.
    pub(crate) fn write(
        &mut self,
        handle: Handle,
        bytes: &[u8],
        offset: Option<u64>,
        s: &mut impl Surroundings,
    ) -> Result<usize, Errno> {
        let &mut Open { ino, write, append, position, .. } = self.opened(handle)?;
        if !write {
            return Err(Errno::BadDescriptor);
        }
        if self.fails(Fallible::Write) {
            return Err(Errno::Io);
        }
        if bytes.is_empty() {
            return Ok(0);
        }
        let length = self.stat(ino).len;
        let start = if append { length } else { offset.unwrap_or(position) };
        let wanted = start.checked_add(bytes.len() as u64).ok_or(Errno::Invalid)?;
        if wanted > LARGEST {
            return Err(Errno::TooLarge);
        }
        let limit = length.saturating_add(self.room());
        if limit <= start && wanted > length {
            return Err(Errno::NoSpace);
        }
        let count = (wanted.min(limit) - start) as usize;
        let place = start as usize;
        let inode = self.tree.get_mut(ino);
        inode.modified = s.now();
        let Body::File(content) = &mut inode.body else { return Err(Errno::IsADirectory) };
        content.write(place, &bytes[..count]);
        s.observe(&bytes[..count]);
        if offset.is_none() {
            self.opened(handle)?.position = start + count as u64;
        }
        Ok(count)
    }

    /// Moves the position and tells where it is.
    pub(crate) fn seek(&mut self, handle: Handle, to: SeekFrom) -> Result<u64, Errno> {
        let ino = self.opened(handle)?.ino;
        let end = self.stat(ino).len;
        let open = self.opened(handle)?;
        let position = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(offset) => end.checked_add_signed(offset),
            SeekFrom::Current(offset) => open.position.checked_add_signed(offset),
        };
        let position = position.filter(|position| i64::try_from(*position).is_ok());
        open.position = position.ok_or(Errno::Invalid)?;
        Ok(open.position)
    }

    /// Makes what is open durable: of a file the content, and the mode too unless `data_only`; of
    /// a directory the entries.
    pub(crate) fn sync(&mut self, handle: Handle, data_only: bool) -> Result<(), Errno> {
        let ino = self.opened(handle)?.ino;
        let fails = self.fails(Fallible::Sync);
        match &mut self.tree.get_mut(ino).body {
            Body::File(content) if fails => content.fail_save(),
            Body::File(content) => content.save(),
            Body::Directory(_) | Body::Symlink(_) => {}
        }
        if fails {
            return Err(Errno::Io);
        }
        if self.stat(ino).kind == Kind::Directory {
            self.tree.commit(ino);
        }
        if !data_only {
            let inode = self.tree.get_mut(ino);
            inode.saved_mode = inode.mode;
        }
        Ok(())
    }

    /// Cuts a file off, or lengthens it with zeros.
    pub(crate) fn set_len(
        &mut self,
        handle: Handle,
        length: u64,
        s: &mut impl Surroundings,
    ) -> Result<(), Errno> {
        let &mut Open { ino, write, .. } = self.opened(handle)?;
        if !write {
            return Err(Errno::Invalid);
        }
        self.resize(ino, length, s)
    }

    fn resize(&mut self, ino: Ino, length: u64, s: &mut impl Surroundings) -> Result<(), Errno> {
        if length > LARGEST {
            return Err(Errno::TooLarge);
        }
        if length.saturating_sub(self.stat(ino).len) > self.room() {
            return Err(Errno::NoSpace);
        }
        let inode = self.tree.get_mut(ino);
        inode.modified = s.now();
        match &mut inode.body {
            Body::File(content) => {
                content.set_len(length as usize);
                Ok(())
            }
            _ => Err(Errno::Invalid),
        }
    }

    /// What is told of an open file.
    pub(crate) fn stat_open(&mut self, handle: Handle) -> Result<Stat, Errno> {
        let ino = self.opened(handle)?.ino;
        Ok(self.stat(ino))
    }

    /// Changes the mode of an open file.
    pub(crate) fn set_mode_open(&mut self, handle: Handle, mode: u32) -> Result<(), Errno> {
        let ino = self.opened(handle)?.ino;
        self.tree.get_mut(ino).mode = mode & 0o7777;
        Ok(())
    }
}
