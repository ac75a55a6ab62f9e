//! The local rows in a JavaScript host: tasks that are ready, or that yield once, on one thread.
//!
//! `ready` spawns N tasks that are ready and runs them all; each adds to a counter. `yield` is the
//! same with tasks that yield once. In the rows `joined` all handles are kept and awaited. Who is
//! run by the host's event loop is measured until the last task has run: Volt (`host`) and
//! wasm-bindgen-futures, whose `spawn_local` has no handles. The others are run by a call.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::task::{Poll, Waker};

use futures::executor::LocalPool;
use futures::task::LocalSpawnExt;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen_futures::spawn_local;

/// Counts the tasks that have run, and tells somebody of the last.
struct Count {
    left: Cell<u32>,
    awaiter: RefCell<Option<Waker>>,
}

impl Count {
    fn new(tasks: u32) -> Rc<Count> {
        Rc::new(Count { left: Cell::new(tasks), awaiter: RefCell::new(None) })
    }

    fn down(&self) {
        let left = self.left.get() - 1;
        self.left.set(left);
        if left == 0
            && let Some(awaiter) = self.awaiter.take()
        {
            awaiter.wake();
        }
    }

    async fn wait(&self) {
        poll_fn(|context| {
            if self.left.get() == 0 {
                return Poll::Ready(());
            }
            *self.awaiter.borrow_mut() = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// What every task does.
fn task(yields: bool, count: &Rc<Count>) -> impl Future<Output = ()> + 'static {
    let count = Rc::clone(count);
    let mut has_yielded = !yields;
    poll_fn(move |context| {
        if !has_yielded {
            has_yielded = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        count.down();
        Poll::Ready(())
    })
}

/// The runtimes, each made once for all iterations.
#[wasm_bindgen]
pub struct Contenders {
    volt: volt::local::Runtime,
    tokio: tokio::runtime::Runtime,
    pool: LocalPool,
}

#[wasm_bindgen]
impl Contenders {
    /// Makes them.
    #[wasm_bindgen(constructor)]
    #[expect(clippy::new_without_default, reason = "a script calls it")]
    pub fn new() -> Contenders {
        Contenders {
            volt: volt::local::Runtime::new(),
            tokio: tokio::runtime::Builder::new_current_thread()
                .build()
                .expect("a runtime can be had"),
            pool: LocalPool::new(),
        }
    }

    /// Volt, run by the host.
    pub async fn volt_host(&mut self, tasks: u32, yields: bool) {
        let count = Count::new(tasks);
        for _ in 0..tasks {
            drop(self.volt.spawn(task(yields, &count)));
        }
        count.wait().await;
    }

    /// Volt, run by a call.
    pub async fn volt(&mut self, tasks: u32, yields: bool) {
        let count = Count::new(tasks);
        for _ in 0..tasks {
            drop(self.volt.spawn(task(yields, &count)));
        }
        self.volt.run();
        assert_eq!(count.left.get(), 0);
    }

    /// Volt, run by a call, with handles.
    pub async fn volt_joined(&mut self, tasks: u32, yields: bool) {
        let count = Count::new(tasks);
        let handles: Vec<_> = (0..tasks).map(|_| self.volt.spawn(task(yields, &count))).collect();
        self.volt.run_until(async {
            for handle in handles {
                handle.await.expect("the task ends");
            }
        });
        assert_eq!(count.left.get(), 0);
    }

    /// wasm-bindgen-futures, run by the host.
    pub async fn wasm_bindgen_futures(&mut self, tasks: u32, yields: bool) {
        let count = Count::new(tasks);
        for _ in 0..tasks {
            spawn_local(task(yields, &count));
        }
        count.wait().await;
    }

    /// tokio's `LocalSet`, run by a call.
    pub async fn tokio(&mut self, tasks: u32, yields: bool) {
        let count = Count::new(tasks);
        let set = tokio::task::LocalSet::new();
        for _ in 0..tasks {
            drop(set.spawn_local(task(yields, &count)));
        }
        self.tokio.block_on(set);
        assert_eq!(count.left.get(), 0);
    }

    /// async-executor's `LocalExecutor`, run by a call.
    pub async fn async_executor(&mut self, tasks: u32, yields: bool) {
        let count = Count::new(tasks);
        let executor = async_executor::LocalExecutor::new();
        for _ in 0..tasks {
            executor.spawn(task(yields, &count)).detach();
        }
        while executor.try_tick() {}
        assert_eq!(count.left.get(), 0);
    }

    /// futures' `LocalPool`, run by a call.
    pub async fn futures(&mut self, tasks: u32, yields: bool) {
        let count = Count::new(tasks);
        let spawner = self.pool.spawner();
        for _ in 0..tasks {
            spawner.spawn_local(task(yields, &count)).expect("the pool is there");
        }
        self.pool.run_until_stalled();
        assert_eq!(count.left.get(), 0);
    }
}
