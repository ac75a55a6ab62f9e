//! Starts each runtime with its threads pinned, and runs a measured task on one of its workers.
//!
//! The measured task is spawned, not run as the root future, so that for everyone it is polled by
//! a worker. Each contender's runtime is started once a row and stopped at the end of it. The
//! harness's own thread sleeps while a peer is measured; Volt makes it a worker for the length of
//! `run`, which is why it is pinned there.

use std::future::Future;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use volt_bench_harness::{Pinned, Placement, Run, Sample};

/// smol's executor, which runs on whatever threads the program gives it.
pub(crate) type SmolExecutor = Arc<smol::Executor<'static>>;

/// Runs `body` on a Volt runtime whose workers are dealt out over `cpus`.
pub(crate) fn on_volt<B, F>(
    workers: usize,
    cpus: &[usize],
    body: B,
) -> impl FnOnce() -> Run + use<B, F>
where
    B: Fn(volt::Io) -> F + Clone + Send + 'static,
    F: Future<Output = Sample> + Send + 'static,
{
    let cpus = cpus.to_vec();
    move || -> Run {
        let caller = cpus[0];
        // The calling thread is a worker too and takes the first CPU.
        let placement = Placement::new(cpus, 1);
        let runtime = volt::Runtime::builder()
            .workers(workers)
            .on_thread_start(move || placement.pin_next())
            .build()
            .expect("the system grants Volt its threads and its driver");
        Box::new(move || {
            let _pinned = Pinned::to(caller);
            let body = body.clone();
            runtime.run(move |io| async move {
                let measured = io.spawn(body(io.clone()));
                measured.await.expect("the measured task runs to its end")
            })
        })
    }
}

/// Runs `body` on a tokio runtime whose workers are dealt out over `cpus`. It has no I/O driver,
/// which `body` must not ask for: without it, parking costs it less.
pub(crate) fn on_tokio<B, F>(
    workers: usize,
    cpus: &[usize],
    body: B,
) -> impl FnOnce() -> Run + use<B, F>
where
    B: Fn() -> F + 'static,
    F: Future<Output = Sample> + Send + 'static,
{
    on_tokio_enabling(tokio::runtime::Builder::enable_time, workers, cpus, body)
}

/// As [`on_tokio`], with an I/O driver.
pub(crate) fn on_tokio_with_io<B, F>(
    workers: usize,
    cpus: &[usize],
    body: B,
) -> impl FnOnce() -> Run + use<B, F>
where
    B: Fn() -> F + 'static,
    F: Future<Output = Sample> + Send + 'static,
{
    on_tokio_enabling(tokio::runtime::Builder::enable_all, workers, cpus, body)
}

fn on_tokio_enabling<B, F>(
    enable: fn(&mut tokio::runtime::Builder) -> &mut tokio::runtime::Builder,
    workers: usize,
    cpus: &[usize],
    body: B,
) -> impl FnOnce() -> Run + use<B, F>
where
    B: Fn() -> F + 'static,
    F: Future<Output = Sample> + Send + 'static,
{
    let placement = Placement::new(cpus.to_vec(), 0);
    move || -> Run {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = enable(&mut builder)
            .worker_threads(workers)
            .on_thread_start(move || placement.pin_next())
            .build()
            .expect("the system grants tokio its threads");
        Box::new(move || {
            let measured = runtime.spawn(body());
            runtime.block_on(measured).expect("the measured task runs to its end")
        })
    }
}

/// Runs `body` on smol's executor, driven by threads that are dealt out over `cpus`.
pub(crate) fn on_smol<B, F>(
    workers: usize,
    cpus: &[usize],
    body: B,
) -> impl FnOnce() -> Run + use<B, F>
where
    B: Fn(SmolExecutor) -> F + 'static,
    F: Future<Output = Sample> + Send + 'static,
{
    let placement = Placement::new(cpus.to_vec(), 0);
    move || -> Run {
        let threads = SmolThreads::start(workers, placement);
        Box::new(move || {
            let executor = &threads.executor;
            smol::future::block_on(executor.spawn(body(Arc::clone(executor))))
        })
    }
}

/// Threads that drive one executor until this is dropped.
struct SmolThreads {
    executor: SmolExecutor,
    stop: smol::channel::Sender<()>,
    threads: Vec<JoinHandle<()>>,
}

impl SmolThreads {
    fn start(workers: usize, placement: Placement) -> Self {
        let executor = SmolExecutor::default();
        let placement = Arc::new(placement);
        let (stop, stopped) = smol::channel::bounded::<()>(1);
        let threads = (0..workers)
            .map(|_| {
                let executor = Arc::clone(&executor);
                let placement = Arc::clone(&placement);
                let stopped = stopped.clone();
                thread::spawn(move || {
                    placement.pin_next();
                    // An error is how a closed channel says stop; nothing is ever sent.
                    let _ = smol::future::block_on(executor.run(stopped.recv()));
                })
            })
            .collect();
        Self { executor, stop, threads }
    }
}

impl Drop for SmolThreads {
    fn drop(&mut self) {
        self.stop.close();
        for thread in self.threads.drain(..) {
            thread.join().expect("a thread that drives smol's executor does not panic");
        }
    }
}
