//! What programs do by path.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::open::MODE_MASK;
use super::tree::{Body, Fresh, READ};
use super::{Disk, Errno, Kind, Stat, Surroundings};

impl Disk {
    /// What is told of what `path` leads to.
    pub(crate) fn stat_path(&self, path: &Path, follow: bool) -> Result<Stat, Errno> {
        Ok(self.stat(self.tree.walk(path, follow)?.existing()?))
    }

    /// Changes the mode of what `path` leads to.
    pub(crate) fn set_mode(&mut self, path: &Path, mode: u32) -> Result<(), Errno> {
        let ino = self.tree.walk(path, true)?.existing()?;
        self.tree.get_mut(ino).mode = mode & 0o7777;
        Ok(())
    }

    /// Makes an empty directory.
    pub(crate) fn create_dir(
        &mut self,
        path: &Path,
        mode: u32,
        s: &mut impl Surroundings,
    ) -> Result<(), Errno> {
        let place = self.tree.walk(path, false)?.free_name()?;
        self.tree.add(place, Fresh::Directory, mode & MODE_MASK, s.now())?;
        Ok(())
    }

    /// Removes an entry that is no directory.
    pub(crate) fn remove_file(
        &mut self,
        path: &Path,
        s: &mut impl Surroundings,
    ) -> Result<(), Errno> {
        let place = self.tree.walk(path, false)?;
        let ino = place.existing()?;
        match (self.stat(ino).kind, place.name) {
            (Kind::Directory, _) | (_, None) => Err(Errno::IsADirectory),
            (_, Some(name)) => self.tree.unlink(place.directory, name, s.now()),
        }
    }

    /// Removes an empty directory.
    pub(crate) fn remove_dir(
        &mut self,
        path: &Path,
        s: &mut impl Surroundings,
    ) -> Result<(), Errno> {
        let place = self.tree.walk(path, false)?;
        let ino = place.existing()?;
        if !self.tree.directory(ino)?.entries.is_empty() {
            return Err(Errno::NotEmpty);
        }
        let name = place.name.ok_or(Errno::Busy)?;
        self.tree.unlink(place.directory, name, s.now())
    }

    /// Moves an entry, in place of what has the name already if that may be.
    pub(crate) fn rename(
        &mut self,
        from: &Path,
        to: &Path,
        s: &mut impl Surroundings,
    ) -> Result<(), Errno> {
        let from = self.tree.walk(from, false)?;
        let to = self.tree.walk(to, false)?;
        let ino = from.existing()?;
        let old_name = from.name.ok_or(Errno::Busy)?;
        let new_name = to.name.ok_or(Errno::Busy)?;
        if to.inode == Some(ino) {
            return Ok(());
        }
        let is_directory = self.stat(ino).kind == Kind::Directory;
        if is_directory && self.tree.is_within(to.directory, ino) {
            return Err(Errno::Invalid);
        }
        if let Some(replaced) = to.inode {
            match (is_directory, self.stat(replaced).kind == Kind::Directory) {
                (true, false) => return Err(Errno::NotADirectory),
                (false, true) => return Err(Errno::IsADirectory),
                (true, true) if !self.tree.directory(replaced)?.entries.is_empty() => {
                    return Err(Errno::NotEmpty);
                }
                _ => {}
            }
        }
        let (from, to) = ((from.directory, old_name), (to.directory, new_name));
        self.tree.rename(from, to, ino, s.now())
    }

    /// Gives a file one more entry. A link at the end of `original` is not followed.
    pub(crate) fn hard_link(
        &mut self,
        original: &Path,
        link: &Path,
        s: &mut impl Surroundings,
    ) -> Result<(), Errno> {
        let ino = self.tree.walk(original, false)?.existing()?;
        let (directory, name) = self.tree.walk(link, false)?.free_name()?;
        if self.stat(ino).kind == Kind::Directory {
            return Err(Errno::NotPermitted);
        }
        self.tree.link(directory, name, ino, s.now())
    }

    /// Makes a link that leads to `original`, whatever is there.
    pub(crate) fn symlink(
        &mut self,
        original: &Path,
        link: &Path,
        s: &mut impl Surroundings,
    ) -> Result<(), Errno> {
        if original.as_os_str().is_empty() {
            return Err(Errno::NotFound);
        }
        let place = self.tree.walk(link, false)?.free_name()?;
        self.tree.add(place, Fresh::Symlink(original.to_owned()), 0o777, s.now())?;
        Ok(())
    }

    /// Where a link leads.
    pub(crate) fn read_link(&self, path: &Path) -> Result<PathBuf, Errno> {
        let ino = self.tree.walk(path, false)?.existing()?;
        match &self.tree.get(ino).body {
            Body::Symlink(target) => Ok(target.clone()),
            _ => Err(Errno::Invalid),
        }
    }

    /// The path of what `path` leads to, from the root and without links.
    pub(crate) fn canonicalize(&self, path: &Path) -> Result<PathBuf, Errno> {
        let place = self.tree.walk(path, true)?;
        place.existing()?;
        Ok(self.tree.path_of(&place))
    }

    /// The entries of a directory, in no particular order: a decision says with which of them the
    /// list begins.
    pub(crate) fn list(
        &self,
        path: &Path,
        s: &mut impl Surroundings,
    ) -> Result<Vec<(OsString, Kind)>, Errno> {
        let ino = self.tree.walk(path, true)?.existing()?;
        let directory = self.tree.directory(ino)?;
        self.tree.allow(ino, READ)?;
        let entries = directory.entries.iter();
        let mut list: Vec<_> =
            entries.map(|(name, ino)| (name.clone(), self.stat(*ino).kind)).collect();
        if !list.is_empty() {
            let first = s.choose(list.len() as u64) as usize;
            list.rotate_left(first);
        }
        Ok(list)
    }
}
