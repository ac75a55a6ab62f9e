//! Rows 1 to 8, and 16 to 18: locks, permits, cells, notifications and barriers.
//!
//! Rows 1 to 8 run on one pinned thread and never wait. Rows 16 to 18 run in tasks, on one CPU and
//! on several. On one CPU a lock that is taken and released within one poll is hardly ever
//! contended, so each row has variants in which whoever has the lock lets the other tasks run
//! first, for everyone by the same [`pause`].

use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use volt_bench_harness::{Row, Run, Sample, Spread, Stopwatch, cpus, pin};

use crate::runtimes::{SmolExecutor, on_smol, on_tokio, on_volt};

const UNCONTENDED: u64 = 1_000_000;
const CONSTRUCTED: u64 = 1_000_000;
const CONTENDED: u64 = 10_000;
const PERMITS: usize = 10;

/// All rows of this file.
pub(crate) fn rows() -> Vec<Row> {
    let mut rows = vec![
        mutex(),
        rwlock_read(),
        rwlock_write(),
        semaphore(),
        oncecell_get(),
        oncecell_set(),
        notify(),
        barrier(),
    ];
    type Contenders = fn(Row, &[usize]) -> Row;
    let contended: [(&str, &str, Contenders); 6] = [
        ("mutex_contended", "", mutex_contended::<false>),
        ("mutex_contended", "held_", mutex_contended::<true>),
        ("rwlock_contended", "", rwlock_contended::<false>),
        ("rwlock_contended", "held_", rwlock_contended::<true>),
        ("semaphore_contended", "", semaphore_contended::<false>),
        ("semaphore_contended", "held_", semaphore_contended::<true>),
    ];
    for (name, variant, contenders) in contended {
        for spread in Spread::BOTH {
            let row = Row::new(name, CONTENDED).variant(&format!("{variant}{}", spread.name()));
            rows.push(match spread.cpus() {
                Ok(cpus) => contenders(row, &cpus),
                Err(reason) => row.leave_out(reason),
            });
        }
    }
    rows
}

/// Runs `work` on a pinned thread, `times` times over, with what `make` made.
fn repeat<T: 'static>(
    times: u64,
    make: impl FnOnce() -> T + 'static,
    work: impl Fn(&T) + 'static,
) -> impl FnOnce() -> Run {
    move || {
        let subject = make();
        Box::new(move || {
            if let Some(cpu) = cpus().first() {
                pin(*cpu);
            }
            let stopwatch = Stopwatch::start();
            for _ in 0..times {
                work(black_box(&subject));
            }
            stopwatch.stop()
        })
    }
}

/// The output of a future that is ready at once.
fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the future would wait"),
    }
}

fn mutex() -> Row {
    let work = |mutex: &volt::sync::Mutex<u64>| {
        *mutex.try_lock().expect("nobody has it") += 1;
    };
    let on_tokio = |mutex: &tokio::sync::Mutex<u64>| {
        *mutex.try_lock().expect("nobody has it") += 1;
    };
    let on_async_lock = |mutex: &async_lock::Mutex<u64>| {
        *mutex.try_lock().expect("nobody has it") += 1;
    };
    Row::new("mutex", UNCONTENDED)
        .contender("volt", repeat(UNCONTENDED, || volt::sync::Mutex::new(0), work))
        .contender("tokio", repeat(UNCONTENDED, || tokio::sync::Mutex::new(0), on_tokio))
        .contender("async-lock", repeat(UNCONTENDED, || async_lock::Mutex::new(0), on_async_lock))
}

fn rwlock_read() -> Row {
    let work = |lock: &volt::sync::RwLock<u64>| {
        black_box(*lock.try_read().expect("nobody writes"));
    };
    let on_tokio = |lock: &tokio::sync::RwLock<u64>| {
        black_box(*lock.try_read().expect("nobody writes"));
    };
    let on_async_lock = |lock: &async_lock::RwLock<u64>| {
        black_box(*lock.try_read().expect("nobody writes"));
    };
    Row::new("rwlock_read", UNCONTENDED)
        .contender("volt", repeat(UNCONTENDED, || volt::sync::RwLock::new(0), work))
        .contender("tokio", repeat(UNCONTENDED, || tokio::sync::RwLock::new(0), on_tokio))
        .contender("async-lock", repeat(UNCONTENDED, || async_lock::RwLock::new(0), on_async_lock))
}

fn rwlock_write() -> Row {
    let work = |lock: &volt::sync::RwLock<u64>| {
        *lock.try_write().expect("nobody has it") += 1;
    };
    let on_tokio = |lock: &tokio::sync::RwLock<u64>| {
        *lock.try_write().expect("nobody has it") += 1;
    };
    let on_async_lock = |lock: &async_lock::RwLock<u64>| {
        *lock.try_write().expect("nobody has it") += 1;
    };
    Row::new("rwlock_write", UNCONTENDED)
        .contender("volt", repeat(UNCONTENDED, || volt::sync::RwLock::new(0), work))
        .contender("tokio", repeat(UNCONTENDED, || tokio::sync::RwLock::new(0), on_tokio))
        .contender("async-lock", repeat(UNCONTENDED, || async_lock::RwLock::new(0), on_async_lock))
}

fn semaphore() -> Row {
    let work = |semaphore: &volt::sync::Semaphore| {
        drop(semaphore.try_acquire(1).expect("there are permits"));
    };
    let on_tokio = |semaphore: &tokio::sync::Semaphore| {
        drop(semaphore.try_acquire().expect("there are permits"));
    };
    let on_async_lock = |semaphore: &async_lock::Semaphore| {
        drop(semaphore.try_acquire().expect("there are permits"));
    };
    let volts = || volt::sync::Semaphore::new(PERMITS);
    let tokios = || tokio::sync::Semaphore::new(PERMITS);
    let async_locks = || async_lock::Semaphore::new(PERMITS);
    Row::new("semaphore", UNCONTENDED)
        .contender("volt", repeat(UNCONTENDED, volts, work))
        .contender("tokio", repeat(UNCONTENDED, tokios, on_tokio))
        .contender("async-lock", repeat(UNCONTENDED, async_locks, on_async_lock))
}

fn oncecell_get() -> Row {
    let volts = || volt::sync::OnceCell::new_with(Some(7_u64));
    let tokios = || tokio::sync::OnceCell::new_with(Some(7_u64));
    let async_locks = || async_lock::OnceCell::from(7_u64);
    let work = |cell: &volt::sync::OnceCell<u64>| {
        black_box(cell.get());
    };
    let on_tokio = |cell: &tokio::sync::OnceCell<u64>| {
        black_box(cell.get());
    };
    let on_async_lock = |cell: &async_lock::OnceCell<u64>| {
        black_box(cell.get());
    };
    Row::new("oncecell_get", UNCONTENDED)
        .contender("volt", repeat(UNCONTENDED, volts, work))
        .contender("tokio", repeat(UNCONTENDED, tokios, on_tokio))
        .contender("async-lock", repeat(UNCONTENDED, async_locks, on_async_lock))
}

fn oncecell_set() -> Row {
    let work = |_: &()| {
        let cell = volt::sync::OnceCell::new();
        cell.set(black_box(7_u64)).expect("it is new");
        black_box(&cell);
    };
    let on_tokio = |_: &()| {
        let cell = tokio::sync::OnceCell::new();
        cell.set(black_box(7_u64)).expect("it is new");
        black_box(&cell);
    };
    let on_async_lock = |_: &()| {
        let cell = async_lock::OnceCell::new();
        ready(cell.set(black_box(7_u64))).expect("it is new");
        black_box(&cell);
    };
    Row::new("oncecell_set", CONSTRUCTED)
        .contender("volt", repeat(CONSTRUCTED, || (), work))
        .contender("tokio", repeat(CONSTRUCTED, || (), on_tokio))
        .contender("async-lock", repeat(CONSTRUCTED, || (), on_async_lock))
}

fn notify() -> Row {
    let work = |_: &()| {
        let notify = volt::sync::Notify::new();
        notify.notify_one();
        ready(black_box(&notify).notified());
    };
    let on_tokio = |_: &()| {
        let notify = tokio::sync::Notify::new();
        notify.notify_one();
        ready(black_box(&notify).notified());
    };
    Row::new("notify", CONSTRUCTED)
        .contender("volt", repeat(CONSTRUCTED, || (), work))
        .contender("tokio", repeat(CONSTRUCTED, || (), on_tokio))
}

fn barrier() -> Row {
    let work = |_: &()| {
        let barrier = volt::sync::Barrier::new(1);
        assert!(ready(black_box(&barrier).wait()).is_leader());
    };
    let on_tokio = |_: &()| {
        let barrier = tokio::sync::Barrier::new(1);
        assert!(ready(black_box(&barrier).wait()).is_leader());
    };
    Row::new("barrier", CONSTRUCTED)
        .contender("volt", repeat(CONSTRUCTED, || (), work))
        .contender("tokio", repeat(CONSTRUCTED, || (), on_tokio))
}

/// Gives the other tasks of the thread a turn, if the lock is to be held meanwhile.
async fn pause<const HELD: bool>() {
    let mut paused = !HELD;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut paused, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// A body for each of the three runtimes: `$tasks` tasks share what `$make` makes, and the task
/// with number `$number` does `$work` with it, [`CONTENDED`] times all together.
macro_rules! contended {
    ($row:ident, $on:ident, $tasks:expr, $volt:expr, $tokio:expr, $async_lock:expr,
     |$number:ident, $lock:ident| $on_volt:expr, $on_tokio:expr, $on_async_lock:expr) => {{
        const TASKS: u64 = $tasks;
        async fn on_volts<const HELD: bool>(io: volt::Io) -> Sample {
            let $lock = Arc::new($volt);
            let mut tasks = Vec::with_capacity(TASKS as usize);
            let stopwatch = Stopwatch::start();
            for $number in 0..TASKS {
                let $lock = Arc::clone(&$lock);
                tasks.push(io.spawn(async move {
                    let _ = $number;
                    for _ in 0..CONTENDED / TASKS {
                        $on_volt;
                    }
                }));
            }
            for task in tasks {
                task.await.expect("the task ends");
            }
            stopwatch.stop()
        }
        async fn on_tokios<const HELD: bool>() -> Sample {
            let $lock = Arc::new($tokio);
            let mut tasks = Vec::with_capacity(TASKS as usize);
            let stopwatch = Stopwatch::start();
            for $number in 0..TASKS {
                let $lock = Arc::clone(&$lock);
                tasks.push(tokio::spawn(async move {
                    let _ = $number;
                    for _ in 0..CONTENDED / TASKS {
                        $on_tokio;
                    }
                }));
            }
            for task in tasks {
                task.await.expect("the task ends");
            }
            stopwatch.stop()
        }
        async fn on_async_locks<const HELD: bool>(executor: SmolExecutor) -> Sample {
            let $lock = Arc::new($async_lock);
            let mut tasks = Vec::with_capacity(TASKS as usize);
            let stopwatch = Stopwatch::start();
            for $number in 0..TASKS {
                let $lock = Arc::clone(&$lock);
                tasks.push(executor.spawn(async move {
                    let _ = $number;
                    for _ in 0..CONTENDED / TASKS {
                        $on_async_lock;
                    }
                }));
            }
            for task in tasks {
                task.await;
            }
            stopwatch.stop()
        }
        let workers = cpus().len();
        $row.contender("volt", on_volt(workers, $on, on_volts::<HELD>))
            .contender("tokio", on_tokio(workers, $on, on_tokios::<HELD>))
            .contender("async-lock", on_smol(workers, $on, on_async_locks::<HELD>))
    }};
}

/// 4 tasks write.
fn mutex_contended<const HELD: bool>(row: Row, on: &[usize]) -> Row {
    contended!(
        row,
        on,
        4,
        volt::sync::Mutex::new(0_u64),
        tokio::sync::Mutex::new(0_u64),
        async_lock::Mutex::new(0_u64),
        |number, lock| {
            let mut guard = lock.lock().await;
            pause::<HELD>().await;
            *guard += 1;
        },
        {
            let mut guard = lock.lock().await;
            pause::<HELD>().await;
            *guard += 1;
        },
        {
            let mut guard = lock.lock().await;
            pause::<HELD>().await;
            *guard += 1;
        }
    )
}

/// 4 tasks read and 2 write.
fn rwlock_contended<const HELD: bool>(row: Row, on: &[usize]) -> Row {
    macro_rules! operation {
        ($lock:ident, $number:ident) => {
            if $number < 4 {
                let guard = $lock.read().await;
                pause::<HELD>().await;
                black_box(*guard);
            } else {
                let mut guard = $lock.write().await;
                pause::<HELD>().await;
                *guard += 1;
            }
        };
    }
    contended!(
        row,
        on,
        6,
        volt::sync::RwLock::new(0_u64),
        tokio::sync::RwLock::new(0_u64),
        async_lock::RwLock::new(0_u64),
        |number, lock| operation!(lock, number),
        operation!(lock, number),
        operation!(lock, number)
    )
}

/// 8 tasks share 2 permits.
fn semaphore_contended<const HELD: bool>(row: Row, on: &[usize]) -> Row {
    contended!(
        row,
        on,
        8,
        volt::sync::Semaphore::new(2),
        tokio::sync::Semaphore::new(2),
        async_lock::Semaphore::new(2),
        |number, lock| {
            let permit = lock.acquire(1).await.expect("it is open");
            pause::<HELD>().await;
            drop(permit);
        },
        {
            let permit = lock.acquire().await.expect("it is open");
            pause::<HELD>().await;
            drop(permit);
        },
        {
            let permit = lock.acquire().await;
            pause::<HELD>().await;
            drop(permit);
        }
    )
}
