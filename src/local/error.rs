//! Why a local task has no output.

use std::any::Any;
use std::error::Error;
use std::fmt;

/// Why a local task ended without its output: it was cancelled, or it panicked.
///
/// ```
/// let runtime = volt::local::Runtime::new();
/// let task = runtime.spawn(async { if true { panic!("no luck") } });
/// let error = runtime.run_until(task).unwrap_err();
/// assert!(error.is_panic());
/// assert_eq!(error.to_string(), "the task panicked: no luck");
/// ```
// One word: the output of a task that gives nothing stays small.
pub struct JoinError(Option<Box<Box<dyn Any + Send>>>);

impl JoinError {
    pub(super) fn cancelled() -> JoinError {
        JoinError(None)
    }

    pub(super) fn panicked(payload: Box<dyn Any + Send>) -> JoinError {
        JoinError(Some(Box::new(payload)))
    }

    /// Whether the task was cancelled: aborted, or dropped with its runtime.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.is_none()
    }

    /// Whether the task panicked.
    #[must_use]
    pub fn is_panic(&self) -> bool {
        self.0.is_some()
    }

    /// The payload of the panic.
    ///
    /// # Panics
    /// If the task was cancelled: ask [`is_panic`](JoinError::is_panic) first.
    #[track_caller]
    #[must_use]
    pub fn into_panic(self) -> Box<dyn Any + Send> {
        match self.try_into_panic() {
            Ok(payload) => payload,
            Err(error) => panic!("{error}: there is no panic to take out"),
        }
    }

    /// The payload of the panic.
    ///
    /// # Errors
    /// The error itself, if the task was cancelled.
    pub fn try_into_panic(self) -> Result<Box<dyn Any + Send>, JoinError> {
        match self.0 {
            Some(payload) => Ok(*payload),
            None => Err(self),
        }
    }

    /// The text of the panic, where it is text.
    fn text(&self) -> Option<&str> {
        let payload: &(dyn Any + Send) = &***self.0.as_ref()?;
        let borrowed = payload.downcast_ref::<&'static str>().copied();
        borrowed.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.text() {
            Some(text) => write!(f, "the task panicked: {text}"),
            None if self.is_panic() => f.write_str("the task panicked"),
            None => f.write_str("the task was cancelled"),
        }
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinError({self})")
    }
}

impl Error for JoinError {}
