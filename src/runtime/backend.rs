//! What the driver of a runtime waits for events with.

use std::fmt;
use std::io;

use tracing::debug;

use crate::platform::ring;

/// What a runtime's driver waits for events with: see
/// [`Builder::backend`](super::Builder::backend) and [`Io::backend`](super::Io::backend).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Backend {
    /// The best one that this machine has and Volt drives.
    #[default]
    Auto,
    /// Linux: reads, writes and syncs of files, and reads of TCP streams into owned buffers, are
    /// submitted, and complete, on a ring of each worker; for all else, sockets tell when they are
    /// ready, as with `Epoll`.
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
            Backend::Auto => Ok(Backend::best()),
            backend if backend == READINESS => Ok(backend),
            Backend::IoUring => match ring::probe() {
                Ok(()) => Ok(Backend::IoUring),
                Err(error) => Err(io::Error::new(
                    io::ErrorKind::Unsupported,
                    format!(
                        "the back-end io_uring is not there ({error}): `Backend::Auto` chooses \
                         {READINESS} then"
                    ),
                )),
            },
            backend => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                format!(
                    "the back-end {backend} is not there: Volt runs with {} here, which \
                     `Backend::Auto` chooses",
                    Backend::best()
                ),
            )),
        }
    }

    /// The best one that this machine has: found by trying.
    fn best() -> Backend {
        let best = match ring::probe() {
            Ok(()) => Backend::IoUring,
            Err(why) => {
                debug!(target: "volt::runtime", %why, "no rings");
                READINESS
            }
        };
        debug!(target: "volt::runtime", backend = %best, "back-end");
        best
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
                    assert!(backend == own || backend == READINESS);
                    assert_eq!(runtime.io().backend(), backend);
                }
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::Unsupported);
                    assert!(error.to_string().contains(&backend.to_string()), "{error}");
                }
            }
        }
    }
}
