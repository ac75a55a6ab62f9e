//! Files and directories, by calls that block: they run on threads of the blocking pool.
//!
//! | built with | what it is |
//! |---|---|
//! | `real` alone | std's files, without a branch or a field more |
//! | `sim` too | calls on simulated threads go to the disk of the host, all else to the system |
//!
//! An open file belongs to the world that it was opened in, and keeps to it.
//!
//! # What both worlds keep to
//!
//! - A read of a file may give fewer bytes than were asked for; 0 is the end, unless 0 were asked
//!   for. A write may take fewer than it was given.
//! - Reads and writes with an offset leave the position of the file alone, except on Windows, where
//!   they move it.
//! - The clone of a file shares its position.
//! - Nobody is told of a call that a signal interrupted: it is made again.
//!
//! ```
//! use volt::platform::fs::{self, OpenFlags};
//!
//! # fn main() -> std::io::Result<()> {
//! let path = std::env::temp_dir().join(format!("volt-platform-{}", std::process::id()));
//! let file = fs::open(&path, &OpenFlags { write: true, create: true, ..OpenFlags::NONE })?;
//! assert_eq!(file.write_at(b"hello", 0)?, 5);
//! assert_eq!(fs::read(&path)?, b"hello");
//! fs::remove_file(&path)
//! # }
//! ```

use std::io::{self, ErrorKind};
use std::path::Path;

mod real;
#[cfg(all(feature = "sim", not(volt_loom)))]
mod simulated;
mod values;

#[cfg(any(not(feature = "sim"), volt_loom))]
use real as face;
#[cfg(all(feature = "sim", not(volt_loom)))]
use simulated as face;

pub use face::{
    Entries, File, canonicalize, copy, create_dir, create_dir_all, hard_link, metadata, open, read,
    read_dir, read_link, remove_dir, remove_dir_all, remove_file, rename, set_permissions, symlink,
    symlink_metadata, write,
};
pub use values::{Entry, FileType, Metadata, OpenFlags, Permissions};

/// The file of the standard library, which layers above must not name themselves.
pub type StdFile = std::fs::File;

/// The mode of new files, less what the system's mask takes away.
pub const FILE_MODE: u32 = 0o666;

/// The whole content of a file, which must be UTF-8.
///
/// # Errors
/// As [`read`]; `InvalidData` for what is not UTF-8.
pub fn read_to_string(path: &Path) -> io::Result<String> {
    let not_text = |_| io::Error::new(ErrorKind::InvalidData, "the file does not contain UTF-8");
    String::from_utf8(read(path)?).map_err(not_text)
}

/// Writes `bytes` at the end of a file, which is made if it is not there.
///
/// # Errors
/// What the system says. Some of the bytes may be there then.
pub fn append(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let file = open(path, &OpenFlags { append: true, create: true, ..OpenFlags::NONE })?;
    file.write_all(bytes)
}

/// Whether `path` leads to anything.
///
/// # Errors
/// If that cannot be told.
pub fn try_exists(path: &Path) -> io::Result<bool> {
    match metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

impl File {
    /// Writes all of `bytes` at the position, and moves it.
    ///
    /// # Errors
    /// What the system says; `WriteZero` if it takes nothing. Some of the bytes may be written.
    pub fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.write(bytes)? {
                0 => return Err(ErrorKind::WriteZero.into()),
                count => bytes = &bytes[count..],
            }
        }
        Ok(())
    }
}

/// Makes a call again for as long as a signal interrupts it.
fn retry<R>(mut call: impl FnMut() -> io::Result<R>) -> io::Result<R> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
