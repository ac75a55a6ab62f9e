//! What takes several calls. Other threads may come in between, as on a real machine.

use std::io::{self, ErrorKind};
use std::path::Path;

use super::{File, FileType, OpenOptions, paths};

/// How much `read` and `copy` ask for at once, in bytes.
const CHUNK: usize = 64 * 1024;
/// The mode of new directories.
const DIRECTORY_MODE: u32 = 0o777;

/// The whole content of a file.
///
/// # Errors
/// As [`File::open`] and [`File::read`].
///
/// ```
/// use volt_sim::fs;
///
/// volt_sim::check(|| {
///     fs::write("/file", b"content").unwrap();
///     assert_eq!(fs::read("/file").unwrap(), b"content");
/// });
/// ```
#[track_caller]
pub fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let mut bytes = Vec::new();
    loop {
        let filled = bytes.len();
        bytes.resize(filled + CHUNK, 0);
        let count = file.read(&mut bytes[filled..])?;
        bytes.truncate(filled + count);
        if count == 0 {
            return Ok(bytes);
        }
    }
}

/// Makes `bytes` the content of a file, which is made if it is not there.
///
/// # Errors
/// As [`File::create`] and [`File::write`]. The file may then have some of the bytes.
///
/// ```
/// use volt_sim::fs;
///
/// volt_sim::check(|| {
///     fs::write("/file", b"first").unwrap();
///     fs::write("/file", b"2").unwrap();
///     assert_eq!(fs::read("/file").unwrap(), b"2");
/// });
/// ```
#[track_caller]
pub fn write(path: impl AsRef<Path>, bytes: &[u8]) -> io::Result<()> {
    write_all(&File::create(path)?, bytes)
}

#[track_caller]
fn write_all(file: &File, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write(bytes)? {
            0 => return Err(ErrorKind::WriteZero.into()),
            count => bytes = &bytes[count..],
        }
    }
    Ok(())
}

/// Copies the content and the mode of a file, in place of the content of `to` if it is there; how
/// many bytes that were.
///
/// # Errors
/// As of opening, reading and writing; `InvalidInput` for a directory.
///
/// ```
/// use volt_sim::fs;
///
/// volt_sim::check(|| {
///     fs::write("/file", b"content").unwrap();
///     assert_eq!(fs::copy("/file", "/copy").unwrap(), 7);
///     assert_eq!(fs::read("/copy").unwrap(), b"content");
/// });
/// ```
#[track_caller]
pub fn copy(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<u64> {
    let source = File::open(from)?;
    let metadata = source.metadata()?;
    if metadata.file_type != FileType::File {
        let message = "the source of a copy is no file";
        return Err(io::Error::new(ErrorKind::InvalidInput, message));
    }
    let mut options = OpenOptions::new();
    options.write = true;
    options.create = true;
    options.truncate = true;
    options.mode = metadata.mode;
    let target = File::open_with(to, &options)?;
    target.set_mode(metadata.mode)?;
    let mut buffer = vec![0; CHUNK];
    let mut copied = 0;
    loop {
        match source.read(&mut buffer)? {
            0 => return Ok(copied),
            count => {
                write_all(&target, &buffer[..count])?;
                copied += count as u64;
            }
        }
    }
}

/// Makes a directory, and those above it that are not there.
///
/// # Errors
/// As [`create_dir`](super::create_dir), but a directory that is there is none.
///
/// ```
/// use volt_sim::fs;
///
/// volt_sim::check(|| {
///     fs::create_dir_all("/a/b/c").unwrap();
///     fs::create_dir_all("/a/b").unwrap();
///     assert!(fs::metadata("/a/b/c").is_ok());
/// });
/// ```
#[track_caller]
pub fn create_dir_all(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref();
    if path.as_os_str().is_empty() {
        return Ok(());
    }
    match paths::create_dir(path, DIRECTORY_MODE) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            match path.parent() {
                Some(parent) => create_dir_all(parent)?,
                None => return Err(error),
            }
            or_is_directory(path, paths::create_dir(path, DIRECTORY_MODE))
        }
        result => or_is_directory(path, result),
    }
}

/// Lets the error pass if `path` is a directory nevertheless.
#[track_caller]
fn or_is_directory(path: &Path, result: io::Result<()>) -> io::Result<()> {
    let error = match result {
        Ok(()) => return Ok(()),
        Err(error) => error,
    };
    match paths::metadata(path) {
        Ok(metadata) if metadata.file_type == FileType::Directory => Ok(()),
        _ => Err(error),
    }
}

/// Removes a directory and what is in it; links in it are not followed. A link at the end of
/// `path` is removed itself.
///
/// # Errors
/// `NotADirectory` for a file; else the first that removing any of it gives.
///
/// ```
/// use volt_sim::fs;
///
/// volt_sim::check(|| {
///     fs::create_dir_all("/a/b").unwrap();
///     fs::write("/a/b/file", b"").unwrap();
///     fs::remove_dir_all("/a").unwrap();
///     assert!(fs::metadata("/a").is_err());
/// });
/// ```
#[track_caller]
pub fn remove_dir_all(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref();
    if paths::symlink_metadata(path)?.file_type == FileType::Symlink {
        return paths::remove_file(path);
    }
    for entry in paths::read_dir(path)? {
        let inner = path.join(entry.name);
        match entry.file_type {
            FileType::Directory => remove_dir_all(&inner)?,
            _ => paths::remove_file(&inner)?,
        }
    }
    paths::remove_dir(path)
}
