//! Locks: whoever has one is alone with it, everybody gets it at last, and one who goes leaves it
//! to the others.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::by_hand::queued;
use crate::harness::{runtime, scenario};
use volt::platform::thread;
use volt::sync::{Barrier, Mutex, MutexGuard, RwLock, RwLockWriteGuard, Semaphore};
use volt::task::{JoinHandle, yield_now};

/// Who is inside of a lock, and whether they may be there together.
#[derive(Default)]
struct Room {
    readers: AtomicU32,
    writers: AtomicU32,
}

impl Room {
    fn read(&self) -> Inside<'_> {
        let inside = Inside::enter(&self.readers, 1);
        assert_eq!(self.writers.load(Ordering::SeqCst), 0, "one reads while another writes");
        inside
    }

    fn write(&self) -> Inside<'_> {
        let inside = Inside::enter(&self.writers, 1);
        assert_eq!(self.writers.load(Ordering::SeqCst), 1, "two write at once");
        assert_eq!(self.readers.load(Ordering::SeqCst), 0, "one writes while another reads");
        inside
    }
}

/// Counted until it is dropped.
struct Inside<'a> {
    count: &'a AtomicU32,
    weight: u32,
}

impl<'a> Inside<'a> {
    fn enter(count: &'a AtomicU32, weight: u32) -> Inside<'a> {
        count.fetch_add(weight, Ordering::SeqCst);
        Inside { count, weight }
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.count.fetch_sub(self.weight, Ordering::SeqCst);
    }
}

scenario!(one_task_at_a_time_has_a_mutex, || {
    const TASKS: u32 = 5;
    const ROUNDS: u32 = 4;
    runtime(3).run(|io| async move {
        let shared = Arc::new((Mutex::new(0_u32), Room::default()));
        let tasks: Vec<_> = (0..TASKS)
            .map(|task| {
                let shared = Arc::clone(&shared);
                io.spawn(async move {
                    let (mutex, room) = &*shared;
                    for round in 0..ROUNDS {
                        let mut sum = mutex.lock().await;
                        let _inside = room.write();
                        let before = *sum;
                        // Some keep it while others run.
                        if (task + round) % 2 == 0 {
                            yield_now().await;
                        }
                        *sum = before + 1;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*shared.0.lock().await, TASKS * ROUNDS);
    });
});

scenario!(a_task_that_locks_in_a_loop_starves_nobody, || {
    const ROUNDS: u32 = 60;
    runtime(2).run(|io| async move {
        let mutex = Arc::new(Mutex::new(0_u32));
        let held = mutex.lock().await;
        let mut tasks = Vec::new();
        for _ in 0..2 {
            let lock = queued(Arc::clone(&mutex).lock_owned()).await;
            tasks.push(io.spawn(async move {
                let mut sum = lock.await;
                *sum += 1;
            }));
        }
        // The lock is free and had again, time after time, while those who wait come to run.
        drop(held);
        for _ in 0..ROUNDS {
            let mut sum = mutex.lock().await;
            *sum += 1;
        }
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*mutex.lock().await, ROUNDS + 2);
    });
});

scenario!(tasks_that_are_cancelled_pass_a_mutex_on, || {
    runtime(2).run(|io| async move {
        let shared = Arc::new((Mutex::new(0_u32), Room::default()));
        let held = shared.0.lock().await;
        let tasks: Vec<_> = (0..5)
            .map(|_| {
                let shared = Arc::clone(&shared);
                io.spawn(async move {
                    let mut sum = shared.0.lock().await;
                    let _inside = shared.1.write();
                    yield_now().await;
                    *sum += 1;
                })
            })
            .collect();
        yield_now().await;
        tasks[1].abort();
        drop(held);
        tasks[3].abort();
        let mut ended = 0;
        for task in tasks {
            match task.await {
                Ok(()) => ended += 1,
                Err(error) => assert!(error.is_cancelled()),
            }
        }
        assert!(ended >= 3);
        assert_eq!(shared.0.try_lock().as_deref(), Some(&ended));
    });
});

scenario!(a_lock_that_is_handed_to_one_who_goes_goes_to_the_next, || {
    runtime(2).run(|io| async move {
        let mutex = Arc::new(Mutex::new(0_u32));
        for yields in 0..3 {
            let held = mutex.lock().await;
            let mut tasks = Vec::new();
            for _ in 0..2 {
                let lock = queued(Arc::clone(&mutex).lock_owned()).await;
                tasks.push(io.spawn(async move {
                    let mut sum = lock.await;
                    *sum += 1;
                }));
            }
            for _ in 0..yields {
                yield_now().await;
            }
            let before = *held;
            MutexGuard::unlock_fair(held);
            tasks[0].abort();
            let mut ended = 0;
            for task in tasks {
                ended += u32::from(task.await.is_ok());
            }
            assert!(ended >= 1, "the second is not cancelled");
            assert_eq!(mutex.try_lock().as_deref(), Some(&(before + ended)));
        }
    });
});

scenario!(a_holder_that_panics_leaves_a_mutex_to_the_others, || {
    runtime(2).run(|io| async move {
        let mutex = Arc::new(Mutex::new(0_u32));
        let own = Arc::clone(&mutex);
        let panics = io.spawn(async move {
            let mut sum = own.lock().await;
            *sum += 1;
            yield_now().await;
            panic!("planned");
        });
        let own = Arc::clone(&mutex);
        let other = io.spawn(async move {
            let mut sum = own.lock().await;
            *sum += 1;
        });
        let error: volt::task::JoinError = panics.await.unwrap_err();
        assert!(error.is_panic());
        other.await.unwrap();
        assert_eq!(mutex.try_lock().as_deref(), Some(&2));
    });
});

scenario!(permits_are_split_and_merged, || {
    const PERMITS: usize = 3;
    runtime(2).run(|io| async move {
        let semaphore = Arc::new(Semaphore::new(PERMITS));
        let mut all = Arc::clone(&semaphore).acquire_owned(PERMITS).await.unwrap();
        let one = all.split(1).unwrap();
        let task = io.spawn(async move {
            yield_now().await;
            one
        });
        let own = Arc::clone(&semaphore);
        let other = io.spawn(async move { drop(own.acquire(PERMITS).await.unwrap()) });
        all.merge(task.await.unwrap());
        assert_eq!(all.permits(), PERMITS);
        drop(all);
        other.await.unwrap();
        assert_eq!(semaphore.available_permits(), PERMITS);
    });
});

scenario!(readers_are_in_together, || {
    const READERS: usize = 3;
    runtime(2).run(|io| async move {
        let shared = Arc::new((RwLock::new(7), Barrier::new(READERS)));
        let tasks: Vec<_> = (0..READERS)
            .map(|_| {
                let shared = Arc::clone(&shared);
                io.spawn(async move {
                    let value = shared.0.read().await;
                    shared.1.wait().await;
                    assert_eq!(*value, 7);
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert!(shared.0.try_write().is_some());
    });
});

scenario!(writers_are_in_alone, || {
    const ROUNDS: u32 = 3;
    runtime(3).run(|io| async move {
        let shared = Arc::new((RwLock::new((0_u32, 0_u32)), Room::default()));
        let mut tasks: Vec<JoinHandle<()>> = Vec::new();
        for _ in 0..2 {
            let shared = Arc::clone(&shared);
            tasks.push(io.spawn(async move {
                let (lock, room) = &*shared;
                for _ in 0..ROUNDS {
                    let mut value = lock.write().await;
                    let inside = room.write();
                    value.0 += 1;
                    yield_now().await;
                    value.1 += 1;
                    let written = *value;
                    drop(inside);
                    let value = RwLockWriteGuard::downgrade(value);
                    let _inside = room.read();
                    yield_now().await;
                    assert_eq!(*value, written, "it was written before the reader left");
                }
            }));
        }
        for _ in 0..3 {
            let shared = Arc::clone(&shared);
            tasks.push(io.spawn(async move {
                let (lock, room) = &*shared;
                for _ in 0..ROUNDS {
                    let value = lock.read().await;
                    let _inside = room.read();
                    let seen = *value;
                    assert_eq!(seen.0, seen.1);
                    yield_now().await;
                    assert_eq!(*value, seen);
                }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*shared.0.read().await, (2 * ROUNDS, 2 * ROUNDS));
    });
});

scenario!(readers_that_come_later_wait_for_a_writer, || {
    runtime(3).run(|io| async move {
        let lock = Arc::new(RwLock::new(0));
        let held = lock.read().await;
        let write = queued(Arc::clone(&lock).write_owned()).await;
        assert!(lock.try_read().is_none());
        let readers: Vec<_> = (0..4)
            .map(|_| {
                let lock = Arc::clone(&lock);
                io.spawn(async move {
                    let value = lock.read().await;
                    assert_eq!(*value, 1, "a reader comes before the writer");
                })
            })
            .collect();
        let writer = io.spawn(async move {
            let mut value = write.await;
            yield_now().await;
            *value = 1;
        });
        yield_now().await;
        drop(held);
        writer.await.unwrap();
        for reader in readers {
            reader.await.unwrap();
        }
    });
});

scenario!(no_more_permits_are_had_than_there_are, || {
    const PERMITS: u32 = 3;
    runtime(3).run(|io| async move {
        let shared = Arc::new((Semaphore::new(PERMITS as usize), AtomicU32::new(0)));
        let tasks: Vec<_> = (0..5)
            .map(|task| {
                let shared = Arc::clone(&shared);
                io.spawn(async move {
                    let (semaphore, had) = &*shared;
                    for round in 0..3 {
                        let wanted = 1 + (task + round) % PERMITS;
                        let _permit = semaphore.acquire(wanted as usize).await.unwrap();
                        let _inside = Inside::enter(had, wanted);
                        assert!(had.load(Ordering::SeqCst) <= PERMITS);
                        yield_now().await;
                    }
                })
            })
            .collect();
        yield_now().await;
        tasks[1].abort();
        tasks[3].abort();
        for task in tasks {
            if let Err(error) = task.await {
                assert!(error.is_cancelled(), "{error}");
            }
        }
        assert_eq!(shared.0.available_permits(), PERMITS as usize);
    });
});

scenario!(small_requests_do_not_starve_a_large_one, || {
    const ROUNDS: u32 = 12;
    runtime(3).run(|io| async move {
        let semaphore = Arc::new(Semaphore::new(3));
        let held = semaphore.acquire(1).await.unwrap();
        let large = queued(Arc::clone(&semaphore).acquire_owned(3)).await;
        let small: Vec<_> = (0..3)
            .map(|_| {
                let semaphore = Arc::clone(&semaphore);
                io.spawn(async move {
                    for _ in 0..ROUNDS {
                        let _permit = semaphore.acquire(1).await.unwrap();
                        yield_now().await;
                    }
                })
            })
            .collect();
        // That it is overtaken so often and no more is a law of the simulation.
        let large = io.spawn(async move {
            let _permits = large.await.unwrap();
            yield_now().await;
        });
        yield_now().await;
        drop(held);
        large.await.unwrap();
        for task in small {
            task.await.unwrap();
        }
        assert_eq!((semaphore.available_permits(), semaphore.waiter_count()), (3, 0));
    });
});

/// What threads and tasks share.
#[derive(Default)]
struct Guarded {
    mutex: Mutex<u32>,
    of_mutex: Room,
    lock: RwLock<u32>,
    of_lock: Room,
}

scenario!(threads_and_tasks_share_locks, || {
    const ROUNDS: u32 = 3;
    let guarded = Arc::new(Guarded::default());
    let runtime = runtime(2);
    let tasks: Vec<_> = (0..2)
        .map(|_| {
            let guarded = Arc::clone(&guarded);
            runtime.io().spawn(async move {
                for _ in 0..ROUNDS {
                    let mut sum = guarded.mutex.lock().await;
                    let inside = guarded.of_mutex.write();
                    yield_now().await;
                    *sum += 1;
                    drop(inside);
                    drop(sum);
                    let value = guarded.lock.read().await;
                    let _inside = guarded.of_lock.read();
                    let seen = *value;
                    yield_now().await;
                    assert_eq!(*value, seen);
                }
            })
        })
        .collect();
    let own = Arc::clone(&guarded);
    let outside = thread::spawn("outside", None, move || {
        for _ in 0..ROUNDS {
            let mut sum = own.mutex.blocking_lock();
            let inside = own.of_mutex.write();
            thread::yield_now();
            *sum += 1;
            drop(inside);
            drop(sum);
            let mut value = own.lock.blocking_write();
            let inside = own.of_lock.write();
            thread::yield_now();
            *value += 1;
            drop(inside);
            drop(value);
            let _seen = own.lock.blocking_read();
            let _inside = own.of_lock.read();
        }
    });
    runtime.run(|_io| async move {
        for task in tasks {
            task.await.unwrap();
        }
    });
    outside.unwrap().join().unwrap();
    assert_eq!(guarded.mutex.try_lock().as_deref(), Some(&(3 * ROUNDS)));
    assert_eq!(guarded.lock.try_read().as_deref(), Some(&ROUNDS));
});

scenario!(threads_and_tasks_share_permits, || {
    const PERMITS: u32 = 2;
    let shared = Arc::new((Semaphore::new(PERMITS as usize), AtomicU32::new(0)));
    let runtime = runtime(2);
    let tasks: Vec<_> = (0..2)
        .map(|_| {
            let shared = Arc::clone(&shared);
            runtime.io().spawn(async move {
                for _ in 0..3 {
                    let _permit = shared.0.acquire(1).await.unwrap();
                    let _inside = Inside::enter(&shared.1, 1);
                    assert!(shared.1.load(Ordering::SeqCst) <= PERMITS);
                    yield_now().await;
                }
            })
        })
        .collect();
    let own = Arc::clone(&shared);
    let outside = thread::spawn("outside", None, move || {
        for wanted in [1, 2, 2] {
            let _permit = own.0.blocking_acquire(wanted).unwrap();
            let _inside = Inside::enter(&own.1, wanted as u32);
            assert!(own.1.load(Ordering::SeqCst) <= PERMITS);
            thread::yield_now();
        }
    });
    runtime.run(|_io| async move {
        for task in tasks {
            task.await.unwrap();
        }
    });
    outside.unwrap().join().unwrap();
    assert_eq!(shared.0.available_permits(), PERMITS as usize);
});
