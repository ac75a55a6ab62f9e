//! Entries of directories by their paths: making, moving, removing, asking.

use std::panic::Location;
use std::path::{Path, PathBuf};

use super::job::operations;
use super::{Metadata, Permissions};
use crate::platform::fs as system;
use crate::runtime::Io;

operations! {
    /// The future of [`rename`].
    ///
    /// Cancel safety: once polled, the entry is moved all the same, later.
    Rename = RenameWork { from: PathBuf, to: PathBuf } -> (), "a file to be renamed", |work| {
        system::rename(&work.from, &work.to)
    };

    /// The future of [`remove_file`].
    ///
    /// Cancel safety: once polled, the file is removed all the same, later.
    RemoveFile = RemoveFileWork { path: PathBuf } -> (), "a file to be removed", |work| {
        system::remove_file(&work.path)
    };

    /// The future of [`create_dir`].
    ///
    /// Cancel safety: once polled, the directory is made all the same, later.
    CreateDir = CreateDirWork { path: PathBuf } -> (), "a directory to be made", |work| {
        system::create_dir(&work.path)
    };

    /// The future of [`create_dir_all`].
    ///
    /// Cancel safety: once polled, the directories are made all the same, later.
    CreateDirAll = CreateDirAllWork { path: PathBuf } -> (), "a directory to be made", |work| {
        system::create_dir_all(&work.path)
    };

    /// The future of [`remove_dir`].
    ///
    /// Cancel safety: once polled, the directory is removed all the same, later.
    RemoveDir = RemoveDirWork { path: PathBuf } -> (), "a directory to be removed", |work| {
        system::remove_dir(&work.path)
    };

    /// The future of [`remove_dir_all`].
    ///
    /// Cancel safety: once polled, the directory is removed all the same, later.
    RemoveDirAll = RemoveDirAllWork { path: PathBuf } -> (), "a directory to be removed", |work| {
        system::remove_dir_all(&work.path)
    };

    /// The future of [`metadata`], [`symlink_metadata`] and
    /// [`DirEntry::metadata`](super::DirEntry::metadata).
    ///
    /// Cancel safety: nothing is lost.
    GetMetadata = GetMetadataWork { path: PathBuf, follow: bool } -> Metadata,
        "the metadata of a file", |work| match work.follow {
            true => system::metadata(&work.path),
            false => system::symlink_metadata(&work.path),
        };

    /// The future of [`set_permissions`].
    ///
    /// Cancel safety: once polled, the permissions are set all the same, later.
    SetPermissions = SetPermissionsWork { path: PathBuf, permissions: Permissions } -> (),
        "the permissions of a file to be set", |work| {
            system::set_permissions(&work.path, &work.permissions)
        };

    /// The future of [`try_exists`].
    ///
    /// Cancel safety: nothing is lost.
    TryExists = TryExistsWork { path: PathBuf } -> bool, "the metadata of a file", |work| {
        system::try_exists(&work.path)
    };
}

/// Moves a file or directory within its file system, in place of a file that has the new path, or
/// on Unix of an empty directory if it is one.
///
/// On Unix whoever opens the new path meanwhile has the old file or the new one. To have the change
/// outlive the machine's power, open the directory and [`sync_all`](super::File::sync_all) it.
///
/// Cancel safety: once polled, the entry is moved all the same, later.
///
/// # Errors
/// What the system says, such as `NotFound`, or `CrossesDevices` for another file system.
///
/// ```
/// # let folder = std::env::temp_dir().join(format!("volt-rename-{}", std::process::id()));
/// volt::run(|io| async move {
///     volt::fs::create_dir(&io, &folder).await?;
///     let (from, to) = (folder.join("new"), folder.join("file"));
///     volt::fs::write(&io, &from, b"content").await?;
///     volt::fs::rename(&io, &from, &to).await?;
///     assert_eq!(volt::fs::read(&io, &to).await?, b"content");
///     volt::fs::remove_dir_all(&io, &folder).await
/// })
/// .unwrap();
/// ```
#[track_caller]
pub fn rename(io: &Io, from: impl AsRef<Path>, to: impl AsRef<Path>) -> Rename {
    let work = RenameWork { from: from.as_ref().to_owned(), to: to.as_ref().to_owned() };
    Rename::new(io, work, Location::caller())
}

/// Removes a file, or a link rather than what it leads to.
///
/// Cancel safety: once polled, the file is removed all the same, later.
///
/// # Errors
/// What the system says, such as `NotFound`, or an error for a directory.
///
/// ```
/// # let path = std::env::temp_dir().join(format!("volt-remove-{}", std::process::id()));
/// volt::run(|io| async move {
///     volt::fs::write(&io, &path, b"").await?;
///     volt::fs::remove_file(&io, &path).await?;
///     assert!(!volt::fs::try_exists(&io, &path).await?);
///     Ok::<(), std::io::Error>(())
/// })
/// .unwrap();
/// ```
#[track_caller]
pub fn remove_file(io: &Io, path: impl AsRef<Path>) -> RemoveFile {
    let path = path.as_ref().to_owned();
    RemoveFile::new(io, RemoveFileWork { path }, Location::caller())
}

/// Makes an empty directory.
///
/// Cancel safety: once polled, the directory is made all the same, later.
///
/// # Errors
/// What the system says: `AlreadyExists` if anything has the path, `NotFound` if the directory
/// above it is not there.
///
/// ```
/// # let path = std::env::temp_dir().join(format!("volt-create-dir-{}", std::process::id()));
/// volt::run(|io| async move {
///     volt::fs::create_dir(&io, &path).await?;
///     assert!(volt::fs::metadata(&io, &path).await?.is_dir());
///     volt::fs::remove_dir(&io, &path).await
/// })
/// .unwrap();
/// ```
#[track_caller]
pub fn create_dir(io: &Io, path: impl AsRef<Path>) -> CreateDir {
    let path = path.as_ref().to_owned();
    CreateDir::new(io, CreateDirWork { path }, Location::caller())
}

/// Makes a directory, and those above it that are not there.
///
/// Cancel safety: once polled, the directories are made all the same, later.
///
/// # Errors
/// What the system says. A directory that is there already is no error.
///
/// ```
/// # let folder = std::env::temp_dir().join(format!("volt-create-all-{}", std::process::id()));
/// volt::run(|io| async move {
///     volt::fs::create_dir_all(&io, folder.join("a/b")).await?;
///     volt::fs::create_dir_all(&io, folder.join("a")).await?;
///     volt::fs::remove_dir_all(&io, &folder).await
/// })
/// .unwrap();
/// ```
#[track_caller]
pub fn create_dir_all(io: &Io, path: impl AsRef<Path>) -> CreateDirAll {
    let path = path.as_ref().to_owned();
    CreateDirAll::new(io, CreateDirAllWork { path }, Location::caller())
}

/// Removes an empty directory.
///
/// Cancel safety: once polled, the directory is removed all the same, later.
///
/// # Errors
/// What the system says, such as `DirectoryNotEmpty` or `NotADirectory`.
///
/// ```
/// use std::io::ErrorKind;
///
/// volt::run(|io| async move {
///     let error = volt::fs::remove_dir(&io, "src").await.unwrap_err();
///     assert_eq!(error.kind(), ErrorKind::DirectoryNotEmpty);
/// });
/// ```
#[track_caller]
pub fn remove_dir(io: &Io, path: impl AsRef<Path>) -> RemoveDir {
    let path = path.as_ref().to_owned();
    RemoveDir::new(io, RemoveDirWork { path }, Location::caller())
}

/// Removes a directory and everything in it. Links in it are removed, not followed.
///
/// Cancel safety: once polled, the directory is removed all the same, later.
///
/// # Errors
/// What the system says. Some of what was in it may be gone then.
///
/// ```
/// # let folder = std::env::temp_dir().join(format!("volt-remove-all-{}", std::process::id()));
/// volt::run(|io| async move {
///     volt::fs::create_dir_all(&io, folder.join("a/b")).await?;
///     volt::fs::remove_dir_all(&io, &folder).await?;
///     assert!(!volt::fs::try_exists(&io, &folder).await?);
///     Ok::<(), std::io::Error>(())
/// })
/// .unwrap();
/// ```
#[track_caller]
pub fn remove_dir_all(io: &Io, path: impl AsRef<Path>) -> RemoveDirAll {
    let path = path.as_ref().to_owned();
    RemoveDirAll::new(io, RemoveDirAllWork { path }, Location::caller())
}

/// What is told of what `path` leads to.
///
/// Cancel safety: nothing is lost.
///
/// # Errors
/// What the system says, such as `NotFound`.
///
/// ```
/// volt::run(|io| async move {
///     assert!(volt::fs::metadata(&io, "src").await.unwrap().is_dir());
/// });
/// ```
#[track_caller]
pub fn metadata(io: &Io, path: impl AsRef<Path>) -> GetMetadata {
    let work = GetMetadataWork { path: path.as_ref().to_owned(), follow: true };
    GetMetadata::new(io, work, Location::caller())
}

/// As [`metadata`], of a link at the end of `path` rather than of what it leads to.
///
/// Cancel safety: nothing is lost.
///
/// # Errors
/// As [`metadata`].
///
/// ```
/// volt::run(|io| async move {
///     assert!(volt::fs::symlink_metadata(&io, "src").await.unwrap().is_dir());
/// });
/// ```
#[track_caller]
pub fn symlink_metadata(io: &Io, path: impl AsRef<Path>) -> GetMetadata {
    let work = GetMetadataWork { path: path.as_ref().to_owned(), follow: false };
    GetMetadata::new(io, work, Location::caller())
}

/// Changes who may do what with what `path` leads to.
///
/// Cancel safety: once polled, the permissions are set all the same, later.
///
/// # Errors
/// What the system says, such as `PermissionDenied`.
///
/// ```
/// # let path = std::env::temp_dir().join(format!("volt-permissions-{}", std::process::id()));
/// volt::run(|io| async move {
///     volt::fs::write(&io, &path, b"").await?;
///     let mut permissions = volt::fs::metadata(&io, &path).await?.permissions();
///     permissions.set_readonly(true);
///     volt::fs::set_permissions(&io, &path, permissions.clone()).await?;
///     assert!(volt::fs::metadata(&io, &path).await?.permissions().readonly());
///     permissions.set_readonly(false);
///     volt::fs::set_permissions(&io, &path, permissions).await?;
///     volt::fs::remove_file(&io, &path).await
/// })
/// .unwrap();
/// ```
#[track_caller]
pub fn set_permissions(
    io: &Io,
    path: impl AsRef<Path>,
    permissions: Permissions,
) -> SetPermissions {
    let work = SetPermissionsWork { path: path.as_ref().to_owned(), permissions };
    SetPermissions::new(io, work, Location::caller())
}

/// Whether `path` leads to anything. It may have come or gone by the time of the answer: rather
/// open a file with the option that says what is to be if it is not there.
///
/// Cancel safety: nothing is lost.
///
/// # Errors
/// If the system does not tell, as for a directory that may not be searched.
///
/// ```
/// volt::run(|io| async move {
///     assert!(volt::fs::try_exists(&io, "Cargo.toml").await.unwrap());
///     assert!(!volt::fs::try_exists(&io, "no such file").await.unwrap());
/// });
/// ```
#[track_caller]
pub fn try_exists(io: &Io, path: impl AsRef<Path>) -> TryExists {
    let path = path.as_ref().to_owned();
    TryExists::new(io, TryExistsWork { path }, Location::caller())
}
