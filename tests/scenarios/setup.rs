//! What scenarios begin with.

use volt::{Backend, Runtime};

/// A runtime of that many workers, with the back-end that `VOLT_BACKEND` names, or the best one.
pub fn runtime(workers: usize) -> Runtime {
    let backend = match std::env::var("VOLT_BACKEND").as_deref() {
        Err(_) | Ok("auto") => Backend::Auto,
        Ok("io_uring") => Backend::IoUring,
        Ok("epoll") => Backend::Epoll,
        Ok(other) => panic!("VOLT_BACKEND names `{other}`: write auto, io_uring or epoll"),
    };
    let built = Runtime::builder().workers(workers).backend(backend).build();
    built.expect("the platform has threads, and the back-end")
}
