//! What the driver of a runtime waits for events with.

use std::fmt;
use std::io;

/// What a runtime's driver waits for events with: see
/// [`Builder::backend`](super::Builder::backend) and [`Io::backend`](super::Io::backend).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Backend {
    /// The best one that this machine has and Volt drives.
    #[default]
    Auto,
    /// Linux: operations are submitted, and complete.
    IoUring,
    /// Linux: sockets tell when they are ready.
    Epoll,
    /// macOS and the BSDs: sockets tell when they are ready.
    Kqueue,
    /// Windows: sockets tell when they are ready.
    Iocp,
}

/// The one for the readiness of sockets here.
const READINESS: Backend = if cfg!(windows) {
    Backend::Iocp
} else if cfg!(any(target_os = "linux", target_os = "android")) {
    Backend::Epoll
} else {
    Backend::Kqueue
};

impl Backend {
    /// The one that a runtime gets.
    ///
    /// # Errors
    /// `Unsupported`, with its name, if this machine lacks it.
    pub(super) fn resolve(self) -> io::Result<Backend> {
        match self {
            Backend::Auto => Ok(READINESS),
            backend if backend == READINESS => Ok(backend),
            backend => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                format!(
                    "the back-end {backend} is not there: Volt runs with {READINESS} here, which \
                     `Backend::Auto` chooses"
                ),
            )),
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Backend::Auto => "auto",
            Backend::IoUring => "io_uring",
            Backend::Epoll => "epoll",
            Backend::Kqueue => "kqueue",
            Backend::Iocp => "iocp",
        })
    }
}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn auto_is_one_that_can_be_named_and_the_others_are_refused_by_name() {
        let own = Backend::Auto.resolve().unwrap();
        assert_ne!(own, Backend::Auto);
        for backend in [Backend::IoUring, Backend::Epoll, Backend::Kqueue, Backend::Iocp] {
            let built = crate::Runtime::builder().workers(1).backend(backend).build();
            match built {
                Ok(runtime) => {
                    assert_eq!(backend, own);
                    assert_eq!(runtime.io().backend(), own);
                }
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::Unsupported);
                    assert!(error.to_string().contains(&backend.to_string()), "{error}");
                }
            }
        }
    }
}
