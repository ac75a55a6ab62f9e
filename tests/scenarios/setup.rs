//! What scenarios begin with.

/// A runtime of that many workers.
pub fn runtime(workers: usize) -> volt::Runtime {
    volt::Runtime::builder().workers(workers).build().expect("the platform has threads")
}
