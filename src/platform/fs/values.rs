//! What is told of files, and how they are opened: plain values, the same in both worlds.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::SystemTime;

/// How a file is opened.
#[derive(Clone, Copy, Debug)]
pub struct OpenFlags {
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
    /// The mode of a file that is made, less what the system's mask takes away. Unix only.
    pub mode: u32,
}

impl OpenFlags {
    /// Nothing is allowed.
    pub const NONE: OpenFlags = OpenFlags {
        read: false,
        write: false,
        append: false,
        truncate: false,
        create: false,
        create_new: false,
        mode: super::FILE_MODE,
    };

    /// To be read alone.
    pub const READ: OpenFlags = OpenFlags { read: true, ..OpenFlags::NONE };
}

/// What an entry of a directory is.
///
/// ```
/// use volt::fs;
///
/// volt::run(|io| async move {
///     let file_type = fs::metadata(&io, ".").await.unwrap().file_type();
///     assert!(file_type.is_dir() && !file_type.is_file() && !file_type.is_symlink());
/// });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileType(pub(super) Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    File,
    Directory,
    Symlink,
    BlockDevice,
    CharDevice,
    Fifo,
    Socket,
    Other,
}

impl FileType {
    /// A file.
    pub fn is_file(&self) -> bool {
        self.0 == Kind::File
    }

    /// A directory.
    pub fn is_dir(&self) -> bool {
        self.0 == Kind::Directory
    }

    /// A symbolic link.
    pub fn is_symlink(&self) -> bool {
        self.0 == Kind::Symlink
    }

    /// A block device. Always false on Windows.
    pub fn is_block_device(&self) -> bool {
        self.0 == Kind::BlockDevice
    }

    /// A character device. Always false on Windows.
    pub fn is_char_device(&self) -> bool {
        self.0 == Kind::CharDevice
    }

    /// A named pipe. Always false on Windows.
    pub fn is_fifo(&self) -> bool {
        self.0 == Kind::Fifo
    }

    /// A Unix socket. Always false on Windows.
    pub fn is_socket(&self) -> bool {
        self.0 == Kind::Socket
    }
}

/// Who may do what with a file: the mode on Unix, read-only or not elsewhere.
///
/// ```
/// use volt::fs;
///
/// volt::run(|io| async move {
///     let mut permissions = fs::metadata(&io, "Cargo.toml").await.unwrap().permissions();
///     assert!(!permissions.readonly());
///     permissions.set_readonly(true);
///     assert!(permissions.readonly());
/// });
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Permissions {
    /// With the bits of Unix; elsewhere those of writing alone have a meaning.
    pub(super) mode: u32,
}

/// The bits with which anybody may write.
const WRITE_BITS: u32 = 0o222;

impl Permissions {
    /// The permissions of this mode.
    ///
    /// ```
    /// # #[cfg(unix)] {
    /// let permissions = volt::fs::Permissions::from_mode(0o640);
    /// assert_eq!(permissions.mode(), 0o640);
    /// # }
    /// ```
    #[cfg(unix)]
    pub fn from_mode(mode: u32) -> Permissions {
        Permissions { mode: mode & 0o7777 }
    }

    /// The mode, without the bits of the type.
    #[cfg(unix)]
    pub fn mode(&self) -> u32 {
        self.mode
    }

    /// Whether nobody may write.
    pub fn readonly(&self) -> bool {
        self.mode & WRITE_BITS == 0
    }

    /// Forbids everybody to write, or allows it to everybody. This changes the value alone:
    /// [`set_permissions`](crate::fs::set_permissions) changes a file.
    pub fn set_readonly(&mut self, readonly: bool) {
        if readonly {
            self.mode &= !WRITE_BITS;
        } else {
            self.mode |= WRITE_BITS;
        }
    }

    pub(super) fn of(permissions: &std::fs::Permissions) -> Permissions {
        #[cfg(unix)]
        let mode = {
            use std::os::unix::fs::PermissionsExt;
            permissions.mode() & 0o7777
        };
        #[cfg(not(unix))]
        let mode = if permissions.readonly() { 0o444 } else { 0o666 };
        Permissions { mode }
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Permissions").field(&format_args!("{:#o}", self.mode)).finish()
    }
}

/// What is told of a file, directory or link.
///
/// ```
/// use volt::fs;
///
/// volt::run(|io| async move {
///     let metadata = fs::metadata(&io, "Cargo.toml").await.unwrap();
///     assert!(metadata.is_file() && metadata.len() > 0);
///     assert!(metadata.modified().is_ok());
/// });
/// ```
#[derive(Clone, Debug)]
pub struct Metadata {
    pub(super) file_type: FileType,
    pub(super) len: u64,
    pub(super) permissions: Permissions,
    /// `None` where the system does not tell.
    pub(super) modified: Option<SystemTime>,
    pub(super) accessed: Option<SystemTime>,
    pub(super) created: Option<SystemTime>,
    #[cfg(unix)]
    pub(super) unix: UnixMetadata,
}

/// What Unix tells besides.
#[cfg(unix)]
#[derive(Clone, Copy, Debug)]
pub(super) struct UnixMetadata {
    pub(super) dev: u64,
    pub(super) ino: u64,
    pub(super) nlink: u64,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) blksize: u64,
    pub(super) blocks: u64,
}

fn told(time: Option<SystemTime>) -> io::Result<SystemTime> {
    time.ok_or_else(|| {
        let message = "the file system does not keep this time";
        io::Error::new(io::ErrorKind::Unsupported, message)
    })
}

impl Metadata {
    /// What it is.
    pub fn file_type(&self) -> FileType {
        self.file_type
    }

    /// Whether it is a file.
    pub fn is_file(&self) -> bool {
        self.file_type.is_file()
    }

    /// Whether it is a directory.
    pub fn is_dir(&self) -> bool {
        self.file_type.is_dir()
    }

    /// Whether it is a symbolic link: only where links are not followed.
    pub fn is_symlink(&self) -> bool {
        self.file_type.is_symlink()
    }

    /// The length in bytes.
    // It is std's name, and no collection's.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Who may do what with it.
    pub fn permissions(&self) -> Permissions {
        self.permissions.clone()
    }

    /// When its content was last changed.
    ///
    /// # Errors
    /// `Unsupported` where the system does not tell.
    pub fn modified(&self) -> io::Result<SystemTime> {
        told(self.modified)
    }

    /// When its content was last read, as far as the system keeps that.
    ///
    /// # Errors
    /// `Unsupported` where the system does not tell.
    pub fn accessed(&self) -> io::Result<SystemTime> {
        told(self.accessed)
    }

    /// When it was made.
    ///
    /// # Errors
    /// `Unsupported` where the system does not tell.
    pub fn created(&self) -> io::Result<SystemTime> {
        told(self.created)
    }
}

/// Unix alone.
#[cfg(unix)]
impl Metadata {
    /// The number of its device; 0 in a simulation.
    pub fn dev(&self) -> u64 {
        self.unix.dev
    }

    /// The number of its inode, which tells files of a device apart.
    pub fn ino(&self) -> u64 {
        self.unix.ino
    }

    /// How many entries lead to it.
    pub fn nlink(&self) -> u64 {
        self.unix.nlink
    }

    /// Its owner; 0 in a simulation.
    pub fn uid(&self) -> u32 {
        self.unix.uid
    }

    /// Its group; 0 in a simulation.
    pub fn gid(&self) -> u32 {
        self.unix.gid
    }

    /// The size of reads and writes that suits the device, in bytes.
    pub fn blksize(&self) -> u64 {
        self.unix.blksize
    }

    /// How many blocks of 512 bytes it takes.
    pub fn blocks(&self) -> u64 {
        self.unix.blocks
    }
}

impl From<std::fs::Metadata> for Metadata {
    fn from(metadata: std::fs::Metadata) -> Metadata {
        Metadata {
            file_type: metadata.file_type().into(),
            len: metadata.len(),
            permissions: Permissions::of(&metadata.permissions()),
            modified: metadata.modified().ok(),
            accessed: metadata.accessed().ok(),
            created: metadata.created().ok(),
            #[cfg(unix)]
            unix: {
                use std::os::unix::fs::MetadataExt;
                UnixMetadata {
                    dev: metadata.dev(),
                    ino: metadata.ino(),
                    nlink: metadata.nlink(),
                    uid: metadata.uid(),
                    gid: metadata.gid(),
                    blksize: metadata.blksize(),
                    blocks: metadata.blocks(),
                }
            },
        }
    }
}

impl From<std::fs::FileType> for FileType {
    fn from(file_type: std::fs::FileType) -> FileType {
        if file_type.is_file() {
            return FileType(Kind::File);
        }
        if file_type.is_dir() {
            return FileType(Kind::Directory);
        }
        if file_type.is_symlink() {
            return FileType(Kind::Symlink);
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::FileTypeExt;
            let kinds = [
                (file_type.is_block_device(), Kind::BlockDevice),
                (file_type.is_char_device(), Kind::CharDevice),
                (file_type.is_fifo(), Kind::Fifo),
                (file_type.is_socket(), Kind::Socket),
            ];
            if let Some((_, kind)) = kinds.into_iter().find(|(is_it, _)| *is_it) {
                return FileType(kind);
            }
        }
        FileType(Kind::Other)
    }
}

/// An entry of a directory.
#[derive(Debug)]
pub struct Entry {
    /// The path of the directory, as it was given, and the name.
    pub path: PathBuf,
    /// The name.
    pub name: OsString,
    /// What it is; or the kind of the error, where the system did not say it with the name.
    pub file_type: Result<FileType, io::ErrorKind>,
}
