//! Why a task has no output.

use std::any::Any;
use std::error::Error;
use std::fmt;

/// Why a task ended without its output: it was cancelled, or it panicked.
///
/// It is one word, so that a task's output slot stays small.
pub struct JoinError(Box<Inner>);

struct Inner {
    cause: Cause,
    /// `None` for work that never was a task: its runtime had shut down, or had no thread for it.
    task: Option<super::Id>,
}

enum Cause {
    Cancelled,
    /// Cancelled before it began, and why.
    Refused(&'static str),
    Panicked(Box<dyn Any + Send>),
}

impl JoinError {
    pub(crate) fn cancelled(task: super::Id) -> JoinError {
        JoinError(Box::new(Inner { cause: Cause::Cancelled, task: Some(task) }))
    }

    pub(crate) fn refused(why: &'static str) -> JoinError {
        JoinError(Box::new(Inner { cause: Cause::Refused(why), task: None }))
    }

    pub(crate) fn panicked(task: Option<super::Id>, payload: Box<dyn Any + Send>) -> JoinError {
        JoinError(Box::new(Inner { cause: Cause::Panicked(payload), task }))
    }

    /// Whether the task was cancelled: aborted, or dropped with its runtime.
    pub fn is_cancelled(&self) -> bool {
        !self.is_panic()
    }

    /// Whether the task panicked.
    pub fn is_panic(&self) -> bool {
        matches!(self.0.cause, Cause::Panicked(_))
    }

    /// The payload of the panic.
    ///
    /// # Panics
    /// If the task was cancelled: ask [`is_panic`](JoinError::is_panic) first.
    #[track_caller]
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
        match *self.0 {
            Inner { cause: Cause::Panicked(payload), .. } => Ok(payload),
            inner => Err(JoinError(Box::new(inner))),
        }
    }

    /// The task, if the work was one.
    pub fn id(&self) -> Option<super::Id> {
        self.0.task
    }
}

/// The text of a panic's payload, where it is text.
fn text(payload: &(dyn Any + Send)) -> Option<&str> {
    let borrowed = payload.downcast_ref::<&'static str>().copied();
    borrowed.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.task {
            Some(task) => write!(f, "task {task} ")?,
            None => f.write_str("the work ")?,
        }
        match &self.0.cause {
            Cause::Cancelled => f.write_str("was cancelled"),
            Cause::Refused(why) => write!(f, "was cancelled before it began: {why}"),
            Cause::Panicked(payload) => match text(&**payload) {
                Some(text) => write!(f, "panicked: {text}"),
                None => f.write_str("panicked"),
            },
        }
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinError({self})")
    }
}

impl Error for JoinError {}

// The payload of a panic is Send, not Sync; shared references to the error read only its text,
// through `&(dyn Any + Send)`, which no method of a payload can be called on.
// SAFETY: as said: `&JoinError` gives out no reference to the payload but `&str`s of plain
// strings.
unsafe impl Sync for JoinError {}
