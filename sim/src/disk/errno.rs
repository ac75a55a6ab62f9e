//! The errors of a disk, by the numbers that Linux has for them.

use std::io;
#[cfg(not(target_os = "linux"))]
use std::io::ErrorKind;

/// Declares the errors: name, number on Linux, the kind and text that other systems show.
macro_rules! errors {
    ($($(#[$attribute:meta])* $name:ident = $number:literal, $kind:ident, $text:literal;)+) => {
        /// Why an operation failed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Errno {
            $($(#[$attribute])* $name = $number,)+
        }

        impl From<Errno> for io::Error {
            fn from(errno: Errno) -> io::Error {
                // The program that is simulated runs on Linux as far as it can tell, and asks for
                // the number where the kind says nothing.
                #[cfg(target_os = "linux")]
                return io::Error::from_raw_os_error(errno.number() as i32);
                #[cfg(not(target_os = "linux"))]
                match errno {
                    $(Errno::$name => io::Error::new(ErrorKind::$kind, $text),)+
                }
            }
        }
    };
}

errors! {
    NotPermitted = 1, PermissionDenied, "operation not permitted";
    NotFound = 2, NotFound, "no such file or directory";
    Interrupted = 4, Interrupted, "interrupted system call";
    Io = 5, Other, "input/output error";
    BadDescriptor = 9, InvalidInput, "the file is not open for this operation";
    Again = 11, WouldBlock, "resource temporarily unavailable";
    NoMemory = 12, OutOfMemory, "cannot allocate memory";
    AccessDenied = 13, PermissionDenied, "permission denied";
    Busy = 16, ResourceBusy, "device or resource busy";
    AlreadyExists = 17, AlreadyExists, "file exists";
    NotADirectory = 20, NotADirectory, "not a directory";
    IsADirectory = 21, IsADirectory, "is a directory";
    Invalid = 22, InvalidInput, "invalid argument";
    TooLarge = 27, FileTooLarge, "file too large";
    NoSpace = 28, StorageFull, "no space left on device";
    NameTooLong = 36, InvalidInput, "file name too long";
    NotEmpty = 39, DirectoryNotEmpty, "directory not empty";
    TooManyLinks = 40, Other, "too many levels of symbolic links";
    Already = 114, Other, "operation already in progress";
    /// The disk has crashed since the file was opened.
    Stale = 116, Other, "the disk has crashed since the file was opened";
    Canceled = 125, Other, "operation canceled";
}

impl Errno {
    pub(crate) fn number(self) -> u64 {
        self as u64
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_system() {
        for (errno, number, kind) in [
            (Errno::NotPermitted, libc::EPERM, Some(ErrorKind::PermissionDenied)),
            (Errno::NotFound, libc::ENOENT, Some(ErrorKind::NotFound)),
            (Errno::Interrupted, libc::EINTR, Some(ErrorKind::Interrupted)),
            (Errno::Io, libc::EIO, None),
            (Errno::BadDescriptor, libc::EBADF, None),
            (Errno::Again, libc::EAGAIN, Some(ErrorKind::WouldBlock)),
            (Errno::NoMemory, libc::ENOMEM, Some(ErrorKind::OutOfMemory)),
            (Errno::AccessDenied, libc::EACCES, Some(ErrorKind::PermissionDenied)),
            (Errno::Busy, libc::EBUSY, Some(ErrorKind::ResourceBusy)),
            (Errno::AlreadyExists, libc::EEXIST, Some(ErrorKind::AlreadyExists)),
            (Errno::NotADirectory, libc::ENOTDIR, Some(ErrorKind::NotADirectory)),
            (Errno::IsADirectory, libc::EISDIR, Some(ErrorKind::IsADirectory)),
            (Errno::Invalid, libc::EINVAL, Some(ErrorKind::InvalidInput)),
            (Errno::TooLarge, libc::EFBIG, Some(ErrorKind::FileTooLarge)),
            (Errno::NoSpace, libc::ENOSPC, Some(ErrorKind::StorageFull)),
            (Errno::NameTooLong, libc::ENAMETOOLONG, None),
            (Errno::NotEmpty, libc::ENOTEMPTY, Some(ErrorKind::DirectoryNotEmpty)),
            (Errno::TooManyLinks, libc::ELOOP, None),
            (Errno::Already, libc::EALREADY, None),
            (Errno::Stale, libc::ESTALE, None),
            (Errno::Canceled, libc::ECANCELED, None),
        ] {
            let error = io::Error::from(errno);
            assert_eq!(error.raw_os_error(), Some(number), "{errno:?}");
            assert!(kind.is_none_or(|kind| error.kind() == kind), "{errno:?}: {error:?}");
        }
    }
}
