//! Whole files by their paths.

use std::panic::Location;
use std::path::{Path, PathBuf};

use super::job::operations;
use crate::platform::fs as system;
use crate::runtime::Io;

operations! {
    /// The future of [`read`].
    ///
    /// Cancel safety: nothing is lost; a file that is being read is read to its end in vain.
    ReadFile = ReadWork { path: PathBuf } -> Vec<u8>, "a file to be read", |work| {
        system::read(&work.path)
    };

    /// The future of [`read_to_string`].
    ///
    /// Cancel safety: as [`ReadFile`].
    ReadFileToString = ReadToStringWork { path: PathBuf } -> String, "a file to be read", |work| {
        system::read_to_string(&work.path)
    };

    /// The future of [`write()`].
    ///
    /// Cancel safety: once polled, the file is written all the same, later.
    WriteFile = WriteWork { path: PathBuf, bytes: Vec<u8> } -> (), "a file to be written", |work| {
        system::write(&work.path, &work.bytes)
    };

    /// The future of [`append`].
    ///
    /// Cancel safety: once polled, the bytes are appended all the same, later.
    AppendFile = AppendWork { path: PathBuf, bytes: Vec<u8> } -> (),
        "a file to be written", |work| {
            system::append(&work.path, &work.bytes)
        };

    /// The future of [`copy`].
    ///
    /// Cancel safety: once polled, the file is copied all the same, later.
    CopyFile = CopyWork { from: PathBuf, to: PathBuf } -> u64, "a file to be copied", |work| {
        system::copy(&work.from, &work.to)
    };
}

/// The whole content of a file.
///
/// Cancel safety: nothing is lost; a file that is being read is read to its end in vain.
///
/// # Errors
/// What the system says, such as `NotFound`.
///
/// ```
/// volt::run(|io| async move {
///     let manifest = volt::fs::read(&io, "Cargo.toml").await.unwrap();
///     assert!(!manifest.is_empty());
/// });
/// ```
#[track_caller]
pub fn read(io: &Io, path: impl AsRef<Path>) -> ReadFile {
    let path = path.as_ref().to_owned();
    ReadFile::new(io, ReadWork { path }, Location::caller())
}

/// The whole content of a file, which must be UTF-8.
///
/// Cancel safety: as [`read`].
///
/// # Errors
/// As [`read`]; `InvalidData` for what is not UTF-8.
///
/// ```
/// volt::run(|io| async move {
///     let manifest = volt::fs::read_to_string(&io, "Cargo.toml").await.unwrap();
///     assert!(manifest.contains("[package]"));
/// });
/// ```
#[track_caller]
pub fn read_to_string(io: &Io, path: impl AsRef<Path>) -> ReadFileToString {
    let path = path.as_ref().to_owned();
    ReadFileToString::new(io, ReadToStringWork { path }, Location::caller())
}

/// Makes a copy of `contents` that of a file, which is made if it is not there.
///
/// Once it has returned, other programs read the new content; to have it outlive the machine's
/// power, [`sync_all`](super::File::sync_all) it.
///
/// Cancel safety: once polled, the file is written all the same, later.
///
/// # Errors
/// What the system says. The file may be empty then, or have some of the bytes.
///
/// ```
/// # let path = std::env::temp_dir().join(format!("volt-write-{}", std::process::id()));
/// volt::run(|io| async move {
///     volt::fs::write(&io, &path, b"content").await?;
///     assert_eq!(volt::fs::read(&io, &path).await?, b"content");
///     volt::fs::remove_file(&io, &path).await
/// })
/// .unwrap();
/// ```
#[track_caller]
pub fn write(io: &Io, path: impl AsRef<Path>, contents: impl AsRef<[u8]>) -> WriteFile {
    let work = WriteWork { path: path.as_ref().to_owned(), bytes: contents.as_ref().to_owned() };
    WriteFile::new(io, work, Location::caller())
}

/// Writes a copy of `contents` at the end of a file, which is made if it is not there.
///
/// Cancel safety: once polled, the bytes are appended all the same, later.
///
/// # Errors
/// What the system says. Some of the bytes may be there then.
///
/// ```
/// # let path = std::env::temp_dir().join(format!("volt-append-{}", std::process::id()));
/// volt::run(|io| async move {
///     volt::fs::append(&io, &path, "one ").await?;
///     volt::fs::append(&io, &path, "two").await?;
///     assert_eq!(volt::fs::read(&io, &path).await?, b"one two");
///     volt::fs::remove_file(&io, &path).await
/// })
/// .unwrap();
/// ```
#[track_caller]
pub fn append(io: &Io, path: impl AsRef<Path>, contents: impl AsRef<[u8]>) -> AppendFile {
    let work = AppendWork { path: path.as_ref().to_owned(), bytes: contents.as_ref().to_owned() };
    AppendFile::new(io, work, Location::caller())
}

/// Copies a file's content and permissions, over what `to` is if it is a file; how many bytes that
/// were.
///
/// Cancel safety: once polled, the file is copied all the same, later.
///
/// # Errors
/// What the system says; `InvalidInput` if `from` is no file. `to` may have some of the bytes then.
///
/// ```
/// # let path = std::env::temp_dir().join(format!("volt-copy-{}", std::process::id()));
/// volt::run(|io| async move {
///     let length = volt::fs::copy(&io, "Cargo.toml", &path).await?;
///     assert_eq!(volt::fs::metadata(&io, &path).await?.len(), length);
///     volt::fs::remove_file(&io, &path).await
/// })
/// .unwrap();
/// ```
#[track_caller]
pub fn copy(io: &Io, from: impl AsRef<Path>, to: impl AsRef<Path>) -> CopyFile {
    let work = CopyWork { from: from.as_ref().to_owned(), to: to.as_ref().to_owned() };
    CopyFile::new(io, work, Location::caller())
}
