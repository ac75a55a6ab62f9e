//! Links, and the paths that they lead to.

use std::panic::Location;
use std::path::{Path, PathBuf};

use super::job::operations;
use crate::platform::fs as system;
use crate::runtime::Io;

operations! {
    /// The future of [`canonicalize`].
    ///
    /// Cancel safety: nothing is lost.
    Canonicalize = CanonicalizeWork { path: PathBuf } -> PathBuf, "a path to be resolved", |work| {
        system::canonicalize(&work.path)
    };

    /// The future of [`read_link`].
    ///
    /// Cancel safety: nothing is lost.
    ReadLink = ReadLinkWork { path: PathBuf } -> PathBuf, "a link to be read", |work| {
        system::read_link(&work.path)
    };

    /// The future of [`hard_link`].
    ///
    /// Cancel safety: once polled, the link is made all the same, later.
    HardLink = HardLinkWork { original: PathBuf, link: PathBuf } -> (),
        "a link to be made", |work| {
            system::hard_link(&work.original, &work.link)
        };

    /// The future of [`symlink`].
    ///
    /// Cancel safety: once polled, the link is made all the same, later.
    Symlink = SymlinkWork { original: PathBuf, link: PathBuf } -> (), "a link to be made", |work| {
        system::symlink(&work.original, &work.link)
    };
}

/// The path of what `path` leads to, from the root, without links, `.` and `..` in it.
///
/// Cancel safety: nothing is lost.
///
/// # Errors
/// What the system says, such as `NotFound` if it leads nowhere.
///
/// ```
/// volt::run(|io| async move {
///     let path = volt::fs::canonicalize(&io, "src/../Cargo.toml").await.unwrap();
///     assert!(path.is_absolute() && path.ends_with("Cargo.toml"));
/// });
/// ```
#[track_caller]
pub fn canonicalize(io: &Io, path: impl AsRef<Path>) -> Canonicalize {
    let path = path.as_ref().to_owned();
    Canonicalize::new(io, CanonicalizeWork { path }, Location::caller())
}

/// Where a symbolic link leads, as it was written down.
///
/// Cancel safety: nothing is lost.
///
/// # Errors
/// What the system says: `NotFound`, or `InvalidInput` for what is no link.
///
/// ```
/// volt::run(|io| async move {
///     assert!(volt::fs::read_link(&io, "Cargo.toml").await.is_err());
/// });
/// ```
#[track_caller]
pub fn read_link(io: &Io, path: impl AsRef<Path>) -> ReadLink {
    let path = path.as_ref().to_owned();
    ReadLink::new(io, ReadLinkWork { path }, Location::caller())
}

/// Gives a file one more path, on the same file system. The file lives as long as any of them.
///
/// Cancel safety: once polled, the link is made all the same, later.
///
/// # Errors
/// What the system says: `AlreadyExists` if anything has the path `link`, `PermissionDenied` for a
/// directory.
///
/// ```
/// # let folder = std::env::temp_dir().join(format!("volt-hard-link-{}", std::process::id()));
/// volt::run(|io| async move {
///     volt::fs::create_dir(&io, &folder).await?;
///     let (file, link) = (folder.join("file"), folder.join("link"));
///     volt::fs::write(&io, &file, b"content").await?;
///     volt::fs::hard_link(&io, &file, &link).await?;
///     volt::fs::remove_file(&io, &file).await?;
///     assert_eq!(volt::fs::read(&io, &link).await?, b"content");
///     volt::fs::remove_dir_all(&io, &folder).await
/// })
/// .unwrap();
/// ```
#[track_caller]
pub fn hard_link(io: &Io, original: impl AsRef<Path>, link: impl AsRef<Path>) -> HardLink {
    let (original, link) = (original.as_ref().to_owned(), link.as_ref().to_owned());
    HardLink::new(io, HardLinkWork { original, link }, Location::caller())
}

/// Makes a symbolic link that leads to `original`, whatever is there. A relative `original` begins
/// at the directory of the link.
///
/// Windows has two kinds of them: it is one for directories if `original` is one at this moment.
///
/// Cancel safety: once polled, the link is made all the same, later.
///
/// # Errors
/// What the system says: `AlreadyExists` if anything has the path `link`; `Unsupported` on systems
/// without links.
///
/// ```
/// # #[cfg(unix)] {
/// # let link = std::env::temp_dir().join(format!("volt-symlink-{}", std::process::id()));
/// volt::run(|io| async move {
///     volt::fs::symlink(&io, "somewhere", &link).await?;
///     let target = volt::fs::read_link(&io, &link).await?;
///     assert_eq!(target, std::path::Path::new("somewhere"));
///     volt::fs::remove_file(&io, &link).await
/// })
/// .unwrap();
/// # }
/// ```
#[track_caller]
pub fn symlink(io: &Io, original: impl AsRef<Path>, link: impl AsRef<Path>) -> Symlink {
    let (original, link) = (original.as_ref().to_owned(), link.as_ref().to_owned());
    Symlink::new(io, SymlinkWork { original, link }, Location::caller())
}
