//! Inodes, directories and paths. Directories change in the cache at once; each change waits in a
//! journal until a sync of a directory that it touches, or a crash, decides about it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};

use super::content::Content;
use super::{Errno, Surroundings};

/// The number of a file, directory or link within its disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ino(pub(crate) u64);

pub(super) const ROOT: Ino = Ino(1);

/// The longest name of an entry, in bytes.
const NAME_LIMIT: usize = 255;
/// How many links a path may lead through.
const LINK_LIMIT: u32 = 40;

/// What the owner may do, in the bits of a mode.
pub(super) const READ: u32 = 0o400;
pub(super) const WRITE: u32 = 0o200;
const SEARCH: u32 = 0o100;

#[derive(Debug)]
pub(super) struct Inode {
    pub(super) body: Body,
    pub(super) mode: u32,
    /// The mode that a crash leaves.
    pub(super) saved_mode: u32,
    /// How many entries lead here.
    pub(super) links: u32,
    /// How often it is open.
    pub(super) handles: u32,
    /// Nanoseconds since the run began.
    pub(super) created: u64,
    pub(super) modified: u64,
    pub(super) accessed: u64,
}

#[derive(Debug)]
pub(super) enum Body {
    File(Content),
    Directory(Directory),
    Symlink(PathBuf),
}

#[derive(Debug)]
pub(super) struct Directory {
    parent: Ino,
    pub(super) entries: BTreeMap<OsString, Ino>,
    /// The entries that a crash leaves.
    durable: BTreeMap<OsString, Ino>,
}

impl Directory {
    fn new(parent: Ino) -> Directory {
        Directory { parent, entries: BTreeMap::new(), durable: BTreeMap::new() }
    }
}

/// A new body of each kind.
pub(super) enum Fresh {
    File,
    Directory,
    Symlink(PathBuf),
}

/// One entry appears, leads elsewhere, or goes.
#[derive(Debug)]
struct Edit {
    directory: Ino,
    name: OsString,
    target: Option<Ino>,
}

/// What happens to entries as a whole: a rename is two edits.
#[derive(Debug)]
struct Change(Vec<Edit>);

impl Change {
    fn touches(&self, directories: &BTreeSet<Ino>) -> bool {
        self.0.iter().any(|edit| directories.contains(&edit.directory))
    }
}

/// Where a path leads.
#[derive(Debug)]
pub(super) struct Place {
    /// The directory that has the entry, or would.
    pub(super) directory: Ino,
    /// The entry's name; `None` for what is reached without one, such as the root and `..`.
    pub(super) name: Option<OsString>,
    pub(super) inode: Option<Ino>,
}

impl Place {
    fn of_directory(directory: Ino) -> Place {
        Place { directory, name: None, inode: Some(directory) }
    }

    /// The inode, which has to be there.
    pub(super) fn existing(&self) -> Result<Ino, Errno> {
        self.inode.ok_or(Errno::NotFound)
    }

    /// The name under which something is to be made, where nothing is yet.
    pub(super) fn free_name(self) -> Result<(Ino, OsString), Errno> {
        match (self.inode, self.name) {
            (None, Some(name)) => Ok((self.directory, name)),
            _ => Err(Errno::AlreadyExists),
        }
    }
}

enum Step {
    Root,
    Up,
    Down(OsString),
}

/// The steps of a path, the last one first.
fn steps_backwards(path: &Path) -> Result<Vec<Step>, Errno> {
    if path.as_os_str().is_empty() {
        return Err(Errno::NotFound);
    }
    let mut steps = Vec::new();
    for component in path.components() {
        steps.push(match component {
            Component::Prefix(_) => return Err(Errno::Invalid),
            Component::RootDir => Step::Root,
            Component::CurDir => continue,
            Component::ParentDir => Step::Up,
            Component::Normal(name) => Step::Down(checked(name)?.to_owned()),
        });
    }
    steps.reverse();
    Ok(steps)
}

fn checked(name: &OsStr) -> Result<&OsStr, Errno> {
    let bytes = name.as_encoded_bytes();
    if bytes.contains(&0) {
        return Err(Errno::Invalid);
    }
    if bytes.len() > NAME_LIMIT {
        return Err(Errno::NameTooLong);
    }
    Ok(name)
}

/// All that a disk holds.
#[derive(Debug)]
pub(super) struct Tree {
    inodes: BTreeMap<Ino, Inode>,
    last: u64,
    /// The changes that are not durable, in order.
    journal: Vec<Change>,
}

impl Tree {
    /// A tree with an empty root.
    pub(super) fn new() -> Tree {
        let root = Inode {
            body: Body::Directory(Directory::new(ROOT)),
            mode: 0o755,
            saved_mode: 0o755,
            links: 1,
            handles: 0,
            created: 0,
            modified: 0,
            accessed: 0,
        };
        Tree { inodes: BTreeMap::from([(ROOT, root)]), last: ROOT.0, journal: Vec::new() }
    }

    /// An inode that a path, an entry or an open file has led to.
    pub(super) fn get(&self, ino: Ino) -> &Inode {
        self.inodes.get(&ino).expect("what leads to an inode keeps it")
    }

    /// As [`Tree::get`].
    pub(super) fn get_mut(&mut self, ino: Ino) -> &mut Inode {
        self.inodes.get_mut(&ino).expect("what leads to an inode keeps it")
    }

    pub(super) fn directory(&self, ino: Ino) -> Result<&Directory, Errno> {
        match &self.get(ino).body {
            Body::Directory(directory) => Ok(directory),
            _ => Err(Errno::NotADirectory),
        }
    }

    fn directory_mut(&mut self, ino: Ino) -> &mut Directory {
        match &mut self.get_mut(ino).body {
            Body::Directory(directory) => directory,
            _ => unreachable!("changes are made to directories"),
        }
    }

    /// Whether the owner's bits of the mode have all of `bits`.
    pub(super) fn allow(&self, ino: Ino, bits: u32) -> Result<(), Errno> {
        match self.get(ino).mode & bits == bits {
            true => Ok(()),
            false => Err(Errno::AccessDenied),
        }
    }

    /// Where `path` leads; a link at its end is followed if `follow` says so. A relative path
    /// begins at the root, where the working directory of every simulated program is.
    pub(super) fn walk(&self, path: &Path, follow: bool) -> Result<Place, Errno> {
        let mut steps = steps_backwards(path)?;
        let mut place = Place::of_directory(ROOT);
        let mut at = ROOT;
        let mut links = 0;
        while let Some(step) = steps.pop() {
            let directory = self.directory(at)?;
            self.allow(at, SEARCH)?;
            let name = match step {
                Step::Root => {
                    at = ROOT;
                    place = Place::of_directory(at);
                    continue;
                }
                Step::Up => {
                    at = directory.parent;
                    place = Place::of_directory(at);
                    continue;
                }
                Step::Down(name) => name,
            };
            let is_last = steps.is_empty();
            let Some(&inode) = directory.entries.get(&name) else {
                return match is_last {
                    true => Ok(Place { directory: at, name: Some(name), inode: None }),
                    false => Err(Errno::NotFound),
                };
            };
            if let Body::Symlink(target) = &self.get(inode).body
                && (!is_last || follow)
            {
                links += 1;
                if links > LINK_LIMIT {
                    return Err(Errno::TooManyLinks);
                }
                steps.extend(steps_backwards(target)?);
                place = Place::of_directory(at);
                continue;
            }
            place = Place { directory: at, name: Some(name), inode: Some(inode) };
            at = inode;
        }
        Ok(place)
    }

    /// The path of a place from the root, without links in it.
    pub(super) fn path_of(&self, place: &Place) -> PathBuf {
        let mut names: Vec<&OsStr> = place.name.as_deref().into_iter().collect();
        let mut at = place.directory;
        while at != ROOT {
            let Ok(directory) = self.directory(at) else { break };
            let Ok(parent) = self.directory(directory.parent) else { break };
            let entry = parent.entries.iter().find(|(_, ino)| **ino == at);
            names.extend(entry.map(|(name, _)| name.as_os_str()));
            at = directory.parent;
        }
        let mut path = PathBuf::from("/");
        path.extend(names.into_iter().rev());
        path
    }

    /// Whether `directory` is `above`, or lies within it.
    pub(super) fn is_within(&self, directory: Ino, above: Ino) -> bool {
        let mut at = directory;
        loop {
            if at == above {
                return true;
            }
            match self.directory(at) {
                Ok(directory) if at != ROOT => at = directory.parent,
                _ => return false,
            }
        }
    }

    /// Makes something new under a name that is free.
    pub(super) fn add(
        &mut self,
        place: (Ino, OsString),
        fresh: Fresh,
        mode: u32,
        now: u64,
    ) -> Result<Ino, Errno> {
        let (directory, name) = place;
        self.allow(directory, WRITE)?;
        self.last += 1;
        let ino = Ino(self.last);
        let body = match fresh {
            Fresh::File => Body::File(Content::default()),
            Fresh::Directory => Body::Directory(Directory::new(directory)),
            Fresh::Symlink(target) => Body::Symlink(target),
        };
        let inode = Inode {
            body,
            mode,
            saved_mode: mode,
            links: 0,
            handles: 0,
            created: now,
            modified: now,
            accessed: now,
        };
        self.inodes.insert(ino, inode);
        self.link(directory, name, ino, now)?;
        Ok(ino)
    }

    /// One more entry for an inode, under a name that is free.
    pub(super) fn link(
        &mut self,
        directory: Ino,
        name: OsString,
        ino: Ino,
        now: u64,
    ) -> Result<(), Errno> {
        self.allow(directory, WRITE)?;
        self.change(vec![Edit { directory, name, target: Some(ino) }], now);
        Ok(())
    }

    /// Takes an entry away.
    pub(super) fn unlink(&mut self, directory: Ino, name: OsString, now: u64) -> Result<(), Errno> {
        self.allow(directory, WRITE)?;
        self.change(vec![Edit { directory, name, target: None }], now);
        Ok(())
    }

    /// Moves an entry, in place of another one if there is one.
    pub(super) fn rename(
        &mut self,
        from: (Ino, OsString),
        to: (Ino, OsString),
        ino: Ino,
        now: u64,
    ) -> Result<(), Errno> {
        self.allow(from.0, WRITE)?;
        self.allow(to.0, WRITE)?;
        let new_parent = to.0;
        let gone = Edit { directory: from.0, name: from.1, target: None };
        let here = Edit { directory: to.0, name: to.1, target: Some(ino) };
        self.change(vec![gone, here], now);
        if let Body::Directory(directory) = &mut self.get_mut(ino).body {
            directory.parent = new_parent;
        }
        Ok(())
    }

    /// Changes entries in the cache, and notes it in the journal.
    fn change(&mut self, edits: Vec<Edit>, now: u64) {
        for Edit { directory, name, target } in &edits {
            let inode = self.get_mut(*directory);
            inode.modified = now;
            let entries = &mut self.directory_mut(*directory).entries;
            let before = match target {
                Some(target) => entries.insert(name.clone(), *target),
                None => entries.remove(name),
            };
            if let Some(before) = before {
                self.get_mut(before).links -= 1;
            }
            if let Some(target) = target {
                self.get_mut(*target).links += 1;
            }
        }
        self.journal.push(Change(edits));
    }

    /// Makes the entries of a directory durable: every change that touches it, and every earlier
    /// one that touches what those touch, for changes of one directory are kept in order.
    pub(super) fn commit(&mut self, directory: Ino) {
        let mut touched = BTreeSet::from([directory]);
        let mut kept = Vec::new();
        let mut committed = Vec::new();
        for change in std::mem::take(&mut self.journal).into_iter().rev() {
            if change.touches(&touched) {
                touched.extend(change.0.iter().map(|edit| edit.directory));
                committed.push(change);
            } else {
                kept.push(change);
            }
        }
        kept.reverse();
        self.journal = kept;
        committed.into_iter().rev().for_each(|change| self.make_durable(change));
        self.collect();
    }

    fn make_durable(&mut self, change: Change) {
        for Edit { directory, name, target } in change.0 {
            let durable = &mut self.directory_mut(directory).durable;
            match target {
                Some(target) => durable.insert(name, target),
                None => durable.remove(&name),
            };
        }
    }

    /// The machine loses its power: of the changes that are not durable the first few survive, as
    /// a decision says; then of each file's content what its own decisions say.
    pub(super) fn crash(&mut self, s: &mut impl Surroundings) {
        let pending = std::mem::take(&mut self.journal);
        let survive = s.choose(pending.len() as u64 + 1) as usize;
        pending.into_iter().take(survive).for_each(|change| self.make_durable(change));
        for inode in self.inodes.values_mut() {
            inode.handles = 0;
            inode.links = 0;
            if let Body::Directory(directory) = &mut inode.body {
                directory.entries.clone_from(&directory.durable);
            }
        }
        self.collect();
        self.recount();
        for inode in self.inodes.values_mut() {
            inode.mode = inode.saved_mode;
            if let Body::File(content) = &mut inode.body {
                content.crash(s);
            }
        }
    }

    /// Counts the entries of each inode, and tells directories who has them.
    fn recount(&mut self) {
        let mut entries = vec![(ROOT, ROOT)];
        for (ino, inode) in &self.inodes {
            if let Body::Directory(directory) = &inode.body {
                entries.extend(directory.entries.values().map(|target| (*ino, *target)));
            }
        }
        for (parent, target) in entries {
            let inode = self.get_mut(target);
            inode.links += 1;
            if let Body::Directory(directory) = &mut inode.body {
                directory.parent = parent;
            }
        }
    }

    /// Forgets the inodes that nothing leads to any more: no entry, now or after a crash, and no
    /// open file.
    fn collect(&mut self) {
        let mut reached = BTreeSet::new();
        let mut front: Vec<Ino> = vec![ROOT];
        front
            .extend(self.inodes.iter().filter(|(_, inode)| inode.handles > 0).map(|(ino, _)| *ino));
        for change in &self.journal {
            front.extend(change.0.iter().map(|edit| edit.directory));
            front.extend(change.0.iter().filter_map(|edit| edit.target));
        }
        while let Some(ino) = front.pop() {
            if reached.insert(ino)
                && let Body::Directory(directory) = &self.get(ino).body
            {
                front.extend(directory.entries.values().chain(directory.durable.values()));
                // Its own `..`, which it keeps when it is removed while it is open.
                front.push(directory.parent);
            }
        }
        self.inodes.retain(|ino, _| reached.contains(ino));
    }

    /// How many bytes of content there are, of files that have an entry or are open.
    pub(super) fn used(&self) -> u64 {
        let lengths = self.inodes.values().map(|inode| match &inode.body {
            Body::File(content) if inode.links + inode.handles > 0 => content.len() as u64,
            _ => 0,
        });
        lengths.sum()
    }
}
