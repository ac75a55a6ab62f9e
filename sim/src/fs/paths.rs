//! What is done by path. A relative path begins at the root, where every simulated program is.
//!
//! Every call answers `Unsupported` on an ordinary thread, and otherwise what Linux would.

use std::io;
use std::path::{Path, PathBuf};

use super::call::call_with_paths;
use super::{DirEntry, FileType, Metadata};

/// What is told of what `path` leads to.
///
/// # Errors
/// `NotFound` if it leads nowhere.
///
/// ```
/// use volt_sim::fs::{self, FileType};
///
/// volt_sim::check(|| {
///     fs::write("/file", b"content").unwrap();
///     let metadata = fs::metadata("/file").unwrap();
///     assert_eq!((metadata.file_type, metadata.len), (FileType::File, 7));
/// });
/// ```
#[track_caller]
pub fn metadata(path: impl AsRef<Path>) -> io::Result<Metadata> {
    let path = path.as_ref();
    let stat = call_with_paths(&[path], |disk, _| disk.stat_path(path, true))?;
    Ok(Metadata::of(&stat))
}

/// As [`metadata`], of a link at the end of `path` rather than of what it leads to.
///
/// # Errors
/// As [`metadata`].
///
/// ```
/// use volt_sim::fs::{self, FileType};
///
/// volt_sim::check(|| {
///     fs::symlink("nowhere", "/link").unwrap();
///     assert_eq!(fs::symlink_metadata("/link").unwrap().file_type, FileType::Symlink);
///     assert!(fs::metadata("/link").is_err());
/// });
/// ```
#[track_caller]
pub fn symlink_metadata(path: impl AsRef<Path>) -> io::Result<Metadata> {
    let path = path.as_ref();
    let stat = call_with_paths(&[path], |disk, _| disk.stat_path(path, false))?;
    Ok(Metadata::of(&stat))
}

/// Changes what the owner may do with what `path` leads to, who is every program.
///
/// # Errors
/// `NotFound` if it leads nowhere.
///
/// ```
/// use std::io::ErrorKind;
/// use volt_sim::fs::{self, File};
///
/// volt_sim::check(|| {
///     fs::write("/file", b"").unwrap();
///     fs::set_mode("/file", 0o444).unwrap();
///     assert_eq!(File::create("/file").unwrap_err().kind(), ErrorKind::PermissionDenied);
/// });
/// ```
#[track_caller]
pub fn set_mode(path: impl AsRef<Path>, mode: u32) -> io::Result<()> {
    let path = path.as_ref();
    call_with_paths(&[path], |disk, _| disk.set_mode(path, mode))
}

/// Makes an empty directory, with `mode` less what the mask 022 takes away.
///
/// # Errors
/// `AlreadyExists` if anything has the path; `NotFound` if the directory above it is not there.
///
/// ```
/// use std::io::ErrorKind;
/// use volt_sim::fs;
///
/// volt_sim::check(|| {
///     fs::create_dir("/data", 0o777).unwrap();
///     let error = fs::create_dir("/data", 0o777).unwrap_err();
///     assert_eq!(error.kind(), ErrorKind::AlreadyExists);
/// });
/// ```
#[track_caller]
pub fn create_dir(path: impl AsRef<Path>, mode: u32) -> io::Result<()> {
    let path = path.as_ref();
    call_with_paths(&[path], |disk, lent| disk.create_dir(path, mode, lent))
}

/// Removes an empty directory.
///
/// # Errors
/// `DirectoryNotEmpty`, `NotADirectory`, `NotFound`.
///
/// ```
/// use volt_sim::fs;
///
/// volt_sim::check(|| {
///     fs::create_dir("/data", 0o777).unwrap();
///     fs::remove_dir("/data").unwrap();
///     assert!(fs::metadata("/data").is_err());
/// });
/// ```
#[track_caller]
pub fn remove_dir(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref();
    call_with_paths(&[path], |disk, lent| disk.remove_dir(path, lent))
}

/// Removes a file or a link. What has it open keeps it until it closes it.
///
/// # Errors
/// `IsADirectory`, `NotFound`.
///
/// ```
/// use volt_sim::fs;
///
/// volt_sim::check(|| {
///     fs::write("/file", b"").unwrap();
///     fs::remove_file("/file").unwrap();
///     assert!(fs::metadata("/file").is_err());
/// });
/// ```
#[track_caller]
pub fn remove_file(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref();
    call_with_paths(&[path], |disk, lent| disk.remove_file(path, lent))
}

/// Moves an entry, in place of a file or an empty directory that has the new path.
///
/// # Errors
/// `NotFound`; `IsADirectory`, `NotADirectory` or `DirectoryNotEmpty` for what cannot be replaced;
/// `InvalidInput` for a directory that would lie within itself.
///
/// ```
/// use volt_sim::fs;
///
/// volt_sim::check(|| {
///     fs::write("/new", b"content").unwrap();
///     fs::rename("/new", "/file").unwrap();
///     assert_eq!(fs::read("/file").unwrap(), b"content");
/// });
/// ```
#[track_caller]
pub fn rename(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
    let (from, to) = (from.as_ref(), to.as_ref());
    call_with_paths(&[from, to], |disk, lent| disk.rename(from, to, lent))
}

/// Gives a file one more path. A link at the end of `original` is not followed.
///
/// # Errors
/// `AlreadyExists`, `NotFound`; `PermissionDenied` for a directory.
///
/// ```
/// use volt_sim::fs;
///
/// volt_sim::check(|| {
///     fs::write("/file", b"content").unwrap();
///     fs::hard_link("/file", "/same").unwrap();
///     assert_eq!(fs::metadata("/same").unwrap().links, 2);
/// });
/// ```
#[track_caller]
pub fn hard_link(original: impl AsRef<Path>, link: impl AsRef<Path>) -> io::Result<()> {
    let (original, link) = (original.as_ref(), link.as_ref());
    call_with_paths(&[original, link], |disk, lent| disk.hard_link(original, link, lent))
}

/// Makes a link that leads to `original`, whatever is there.
///
/// # Errors
/// `AlreadyExists` if anything has the path `link`.
///
/// ```
/// use std::path::Path;
/// use volt_sim::fs;
///
/// volt_sim::check(|| {
///     fs::symlink("file", "/link").unwrap();
///     assert_eq!(fs::read_link("/link").unwrap(), Path::new("file"));
/// });
/// ```
#[track_caller]
pub fn symlink(original: impl AsRef<Path>, link: impl AsRef<Path>) -> io::Result<()> {
    let (original, link) = (original.as_ref(), link.as_ref());
    call_with_paths(&[original, link], |disk, lent| disk.symlink(original, link, lent))
}

/// Where a link leads.
///
/// # Errors
/// `InvalidInput` for what is no link; `NotFound`.
///
/// ```
/// use std::path::Path;
/// use volt_sim::fs;
///
/// volt_sim::check(|| {
///     fs::symlink("/data", "/link").unwrap();
///     assert_eq!(fs::read_link("/link").unwrap(), Path::new("/data"));
/// });
/// ```
#[track_caller]
pub fn read_link(path: impl AsRef<Path>) -> io::Result<PathBuf> {
    let path = path.as_ref();
    call_with_paths(&[path], |disk, _| disk.read_link(path))
}

/// The path of what `path` leads to, from the root and without links in it.
///
/// # Errors
/// `NotFound` if it leads nowhere.
///
/// ```
/// use std::path::Path;
/// use volt_sim::fs;
///
/// volt_sim::check(|| {
///     fs::write("/file", b"").unwrap();
///     fs::symlink("file", "/link").unwrap();
///     assert_eq!(fs::canonicalize("./link").unwrap(), Path::new("/file"));
/// });
/// ```
#[track_caller]
pub fn canonicalize(path: impl AsRef<Path>) -> io::Result<PathBuf> {
    let path = path.as_ref();
    call_with_paths(&[path], |disk, _| disk.canonicalize(path))
}

/// The entries of a directory; a decision says with which of them the list begins.
///
/// # Errors
/// `NotADirectory`, `NotFound`; `PermissionDenied` if the owner may not read it.
///
/// ```
/// use volt_sim::fs;
///
/// volt_sim::check(|| {
///     fs::write("/file", b"").unwrap();
///     assert_eq!(fs::read_dir("/").unwrap()[0].name, "file");
/// });
/// ```
#[track_caller]
pub fn read_dir(path: impl AsRef<Path>) -> io::Result<Vec<DirEntry>> {
    let path = path.as_ref();
    let list = call_with_paths(&[path], |disk, lent| disk.list(path, lent))?;
    let entry = |(name, kind)| DirEntry { name, file_type: FileType::of(kind) };
    Ok(list.into_iter().map(entry).collect())
}
