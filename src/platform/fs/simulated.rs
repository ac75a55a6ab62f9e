//! The files of `sim` builds. What a simulated thread opens is on the disk of its host, what any
//! other thread opens is the system's.
//!
//! A real file answers an error on a simulated thread, because what it says would not follow the
//! seed; a simulated one answers an error on an ordinary thread, and ends the run of a world that
//! is not its own.

use std::io::{self, ErrorKind, SeekFrom};
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use volt_sim::fs;

#[cfg(unix)]
use super::values::UnixMetadata;
use super::values::{FileType, Kind};
use super::{Entry, Metadata, OpenFlags, Permissions, StdFile, real};
use crate::platform::thread::is_simulated;

/// The mode of new directories, less what the system's mask takes away.
const DIRECTORY_MODE: u32 = 0o777;

/// Refuses real files on simulated threads.
fn check_thread() -> io::Result<()> {
    match is_simulated() {
        true => Err(io::Error::new(
            ErrorKind::Unsupported,
            "a file of the real machine is used on a simulated thread, where what it says does not \
             follow the seed: open it on that thread",
        )),
        false => Ok(()),
    }
}

impl From<fs::FileType> for FileType {
    fn from(file_type: fs::FileType) -> FileType {
        FileType(match file_type {
            fs::FileType::File => Kind::File,
            fs::FileType::Directory => Kind::Directory,
            fs::FileType::Symlink => Kind::Symlink,
        })
    }
}

impl From<fs::Metadata> for Metadata {
    fn from(metadata: fs::Metadata) -> Metadata {
        Metadata {
            file_type: metadata.file_type.into(),
            len: metadata.len,
            permissions: Permissions { mode: metadata.mode },
            modified: Some(metadata.modified),
            accessed: Some(metadata.accessed),
            created: Some(metadata.created),
            #[cfg(unix)]
            unix: UnixMetadata {
                dev: 0,
                ino: metadata.inode,
                nlink: metadata.links.into(),
                uid: 0,
                gid: 0,
                blksize: 4_096,
                blocks: metadata.len.div_ceil(512),
            },
        }
    }
}

/// Opens a file.
///
/// # Errors
/// What the system says.
pub fn open(path: &Path, flags: &OpenFlags) -> io::Result<File> {
    if !is_simulated() {
        return real::open(path, flags).map(World::Real).map(File);
    }
    let mut options = fs::OpenOptions::new();
    options.read = flags.read;
    options.write = flags.write;
    options.append = flags.append;
    options.truncate = flags.truncate;
    options.create = flags.create;
    options.create_new = flags.create_new;
    options.mode = flags.mode;
    fs::File::open_with(path, &options).map(World::Simulated).map(File)
}

/// Functions that are the machine's own on simulated threads, and the system's on others.
macro_rules! functions {
    ($(
        $(#[$attribute:meta])*
        fn $name:ident($($argument:ident: $type:ty),*) -> $result:ty = $simulated:expr;
    )+) => {$(
        $(#[$attribute])*
        pub fn $name($($argument: $type),*) -> io::Result<$result> {
            match is_simulated() {
                true => $simulated,
                false => real::$name($($argument),*),
            }
        }
    )+};
}

functions! {
    /// The whole content of a file.
    ///
    /// # Errors
    /// What the system says.
    fn read(path: &Path) -> Vec<u8> = fs::read(path);

    /// Makes `bytes` the content of a file.
    ///
    /// # Errors
    /// What the system says.
    fn write(path: &Path, bytes: &[u8]) -> () = fs::write(path, bytes);

    /// Copies a file with its permissions; how many bytes that were.
    ///
    /// # Errors
    /// What the system says.
    fn copy(from: &Path, to: &Path) -> u64 = fs::copy(from, to);

    /// Moves an entry.
    ///
    /// # Errors
    /// What the system says.
    fn rename(from: &Path, to: &Path) -> () = fs::rename(from, to);

    /// Removes a file.
    ///
    /// # Errors
    /// What the system says.
    fn remove_file(path: &Path) -> () = fs::remove_file(path);

    /// Makes a directory.
    ///
    /// # Errors
    /// What the system says.
    fn create_dir(path: &Path) -> () = fs::create_dir(path, DIRECTORY_MODE);

    /// Makes a directory, and those above it.
    ///
    /// # Errors
    /// What the system says.
    fn create_dir_all(path: &Path) -> () = fs::create_dir_all(path);

    /// Removes an empty directory.
    ///
    /// # Errors
    /// What the system says.
    fn remove_dir(path: &Path) -> () = fs::remove_dir(path);

    /// Removes a directory and what is in it.
    ///
    /// # Errors
    /// What the system says.
    fn remove_dir_all(path: &Path) -> () = fs::remove_dir_all(path);

    /// What is told of what `path` leads to.
    ///
    /// # Errors
    /// What the system says.
    fn metadata(path: &Path) -> Metadata = fs::metadata(path).map(Metadata::from);

    /// As [`metadata`], without following a link at the end.
    ///
    /// # Errors
    /// What the system says.
    fn symlink_metadata(path: &Path) -> Metadata = fs::symlink_metadata(path).map(Metadata::from);

    /// The path from the root, without links.
    ///
    /// # Errors
    /// What the system says.
    fn canonicalize(path: &Path) -> PathBuf = fs::canonicalize(path);

    /// Where a link leads.
    ///
    /// # Errors
    /// What the system says.
    fn read_link(path: &Path) -> PathBuf = fs::read_link(path);

    /// Gives a file one more path.
    ///
    /// # Errors
    /// What the system says.
    fn hard_link(original: &Path, link: &Path) -> () = fs::hard_link(original, link);

    /// Makes a link that leads to `original`.
    ///
    /// # Errors
    /// What the system says; `Unsupported` where there are none.
    fn symlink(original: &Path, link: &Path) -> () = fs::symlink(original, link);

    /// Changes who may do what.
    ///
    /// # Errors
    /// What the system says.
    fn set_permissions(path: &Path, permissions: &Permissions) -> () =
        fs::set_mode(path, permissions.mode);
}

/// The entries of a directory.
///
/// # Errors
/// What the system says.
pub fn read_dir(path: &Path) -> io::Result<Entries> {
    if !is_simulated() {
        return real::read_dir(path).map(World::Real).map(Entries);
    }
    let directory = path.to_owned();
    let list = fs::read_dir(path)?.into_iter();
    Ok(Entries(World::Simulated(Listed { directory, list })))
}

/// What is left of the entries of a directory. Each step may block.
#[derive(Debug)]
pub struct Entries(World<real::Entries, Listed>);

#[derive(Debug)]
struct Listed {
    directory: PathBuf,
    list: std::vec::IntoIter<fs::DirEntry>,
}

impl Iterator for Entries {
    type Item = io::Result<Entry>;

    fn next(&mut self) -> Option<io::Result<Entry>> {
        let Listed { directory, list } = match &mut self.0 {
            World::Real(entries) => {
                return match check_thread() {
                    Ok(()) => entries.next(),
                    Err(error) => Some(Err(error)),
                };
            }
            World::Simulated(listed) => listed,
        };
        let fs::DirEntry { name, file_type } = list.next()?;
        Some(Ok(Entry { path: directory.join(&name), name, file_type: Ok(file_type.into()) }))
    }
}

/// An object of either world.
#[derive(Debug)]
enum World<R, S> {
    Real(R),
    Simulated(S),
}

/// An open file.
#[derive(Debug)]
pub struct File(World<real::File, fs::File>);

/// Methods that are the same in both worlds.
macro_rules! methods {
    ($(
        $(#[$attribute:meta])*
        fn $name:ident(&self $(, $argument:ident: $type:ty)*) -> $result:ty;
    )+) => {$(
        $(#[$attribute])*
        pub fn $name(&self $(, $argument: $type)*) -> io::Result<$result> {
            match &self.0 {
                World::Real(file) => {
                    check_thread()?;
                    file.$name($($argument),*)
                }
                World::Simulated(file) => file.$name($($argument),*),
            }
        }
    )+};
}

impl File {
    /// As the real machine's; simulated files all are.
    #[cfg(target_os = "linux")]
    pub(in crate::platform) fn is_storage(&self) -> bool {
        match &self.0 {
            World::Real(file) => file.is_storage(),
            World::Simulated(_) => true,
        }
    }

    /// The simulated file that it is, if it is one.
    #[cfg(target_os = "linux")]
    pub(in crate::platform) fn simulated(&self) -> Option<&fs::File> {
        match &self.0 {
            World::Real(_) => None,
            World::Simulated(file) => Some(file),
        }
    }

    /// A file that std opened.
    ///
    /// # Errors
    /// On a simulated thread, `Unsupported`.
    pub fn from_std(file: StdFile) -> io::Result<File> {
        check_thread()?;
        real::File::from_std(file).map(World::Real).map(File)
    }

    /// The file as std has it.
    ///
    /// # Errors
    /// `Unsupported` for a simulated one.
    pub fn into_std(self) -> io::Result<StdFile> {
        match self.0 {
            World::Real(file) => file.into_std(),
            World::Simulated(_) => Err(io::Error::new(
                ErrorKind::Unsupported,
                "a simulated file cannot be one of the standard library",
            )),
        }
    }

    methods! {
        /// Reads at the position, and moves it.
        ///
        /// # Errors
        /// What the system says.
        fn read(&self, buffer: &mut [u8]) -> usize;

        /// Writes at the position, and moves it.
        ///
        /// # Errors
        /// What the system says.
        fn write(&self, bytes: &[u8]) -> usize;

        /// Moves the position and tells where it is.
        ///
        /// # Errors
        /// What the system says.
        fn seek(&self, to: SeekFrom) -> u64;

        /// Reads at `offset`.
        ///
        /// # Errors
        /// What the system says; `Unsupported` where it cannot be done.
        fn read_at(&self, buffer: &mut [u8], offset: u64) -> usize;

        /// Writes at `offset`.
        ///
        /// # Errors
        /// What the system says; `Unsupported` where it cannot be done.
        fn write_at(&self, bytes: &[u8], offset: u64) -> usize;

        /// Makes content and metadata durable.
        ///
        /// # Errors
        /// What the system says.
        fn sync_all(&self) -> ();

        /// Makes the content durable.
        ///
        /// # Errors
        /// What the system says.
        fn sync_data(&self) -> ();

        /// Cuts the file off, or lengthens it with zeros.
        ///
        /// # Errors
        /// What the system says.
        fn set_len(&self, length: u64) -> ();
    }

    /// As [`File::read_at`], if what is to be read is in memory; `None` if it would have to be
    /// waited for: of a simulated file, that is a decision.
    ///
    /// # Errors
    /// As [`File::read_at`].
    pub fn read_at_now(&self, buffer: &mut [u8], offset: u64) -> Option<io::Result<usize>> {
        match &self.0 {
            World::Real(file) if !is_simulated() => file.read_at_now(buffer, offset),
            World::Simulated(file) if volt_sim::choose_task(2)? == 0 => {
                Some(file.read_at(buffer, offset))
            }
            World::Real(_) | World::Simulated(_) => None,
        }
    }

    /// What is told of the file.
    ///
    /// # Errors
    /// What the system says.
    pub fn metadata(&self) -> io::Result<Metadata> {
        match &self.0 {
            World::Real(file) => {
                check_thread()?;
                file.metadata()
            }
            World::Simulated(file) => file.metadata().map(Metadata::from),
        }
    }

    /// Changes who may do what.
    ///
    /// # Errors
    /// What the system says.
    pub fn set_permissions(&self, permissions: &Permissions) -> io::Result<()> {
        match &self.0 {
            World::Real(file) => {
                check_thread()?;
                file.set_permissions(permissions)
            }
            World::Simulated(file) => file.set_mode(permissions.mode),
        }
    }

    /// The same open file once more, with the same position.
    ///
    /// # Errors
    /// If the system has no descriptor for it.
    pub fn try_clone(&self) -> io::Result<File> {
        Ok(File(match &self.0 {
            World::Real(file) => {
                check_thread()?;
                World::Real(file.try_clone()?)
            }
            World::Simulated(file) => World::Simulated(file.clone()),
        }))
    }
}

#[cfg(unix)]
impl AsFd for File {
    /// # Panics
    /// For a simulated file, which has no descriptor.
    #[track_caller]
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.0 {
            World::Real(file) => file.as_fd(),
            World::Simulated(_) => panic!("a simulated file has no descriptor"),
        }
    }
}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests {
    use super::*;
    use crate::platform::fs::{append, read_to_string, try_exists};

    #[test]
    fn simulated_threads_have_a_disk_of_their_own() {
        let path = Path::new("/volt-no-such-folder/file");
        assert!(!try_exists(path).unwrap());
        volt_sim::check(move || {
            create_dir(path.parent().unwrap()).unwrap();
            append(path, b"one").unwrap();
            append(path, b"two").unwrap();
            assert_eq!(read_to_string(path).unwrap(), "onetwo");
            let file = open(path, &OpenFlags::READ).unwrap();
            let mut bytes = [0; 3];
            assert_eq!(file.read_at(&mut bytes, 3).unwrap(), 3);
            assert_eq!(&bytes, b"two");
            let entry = read_dir(path.parent().unwrap()).unwrap().next().unwrap().unwrap();
            assert_eq!(entry.path, path);
            assert!(entry.file_type.unwrap().is_file());
            assert_eq!(file.into_std().unwrap_err().kind(), ErrorKind::Unsupported);
        });
        assert!(!try_exists(path).unwrap());
    }

    #[test]
    fn real_files_are_refused_on_simulated_threads() {
        let file = open(Path::new("Cargo.toml"), &OpenFlags::READ).unwrap();
        volt_sim::check(move || {
            let error = file.metadata().unwrap_err();
            assert!(error.to_string().contains("on a simulated thread"), "{error}");
        });
    }
}
