//! Tasks with names.

use std::future::Future;
use std::panic::Location;

use super::JoinHandle;
use crate::runtime::Io;

/// Sets up a task before it starts.
///
/// ```
/// volt::run(|io| async move {
///     let task = volt::task::Builder::new().name("accept loop").spawn(&io, async { 1 });
///     assert_eq!(task.await.unwrap(), 1);
/// });
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until `spawn`"]
pub struct Builder {
    name: Option<String>,
}

impl Builder {
    /// A builder for a task without a name.
    pub fn new() -> Builder {
        Builder::default()
    }

    /// What reports and dumps call the task.
    pub fn name(mut self, name: impl Into<String>) -> Builder {
        self.name = Some(name.into());
        self
    }

    /// Starts the task, as [`Io::spawn`].
    #[track_caller]
    pub fn spawn<F>(self, io: &Io, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        match &self.name {
            Some(name) => io.spawn_named(name, future, Location::caller()),
            None => io.spawn(future),
        }
    }
}
