//! A contended wait allocates nothing: counted by the allocator of this process.

#![cfg(not(any(volt_loom, volt_shuttle)))]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use volt::CancellationToken;
use volt::channel;
use volt::sync::{Barrier, Condvar, Mutex, Notify, OnceCell, RwLock, Semaphore, Waiter};

thread_local! {
    /// Allocations of this thread: other tests have other threads.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: everything is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps to the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps to the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The output of `f`, which must not allocate.
fn without_allocations<R>(what: &str, f: impl FnOnce() -> R) -> R {
    let before = ALLOCATIONS.with(Cell::get);
    let output = f();
    let after = ALLOCATIONS.with(Cell::get);
    assert_eq!(after - before, 0, "{what} allocates");
    output
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Waits with `waiting`, and with a second future behind it that gives up; has `serve` called, and
/// polls to the end.
fn waits<F: Future, S>(what: &str, waiting: impl Fn() -> F, serve: impl FnOnce() -> S) {
    without_allocations(what, || {
        let mut first = pin!(waiting());
        assert!(poll(first.as_mut()).is_pending(), "{what} does not wait");
        {
            let mut second = pin!(waiting());
            for _ in 0..3 {
                assert!(poll(second.as_mut()).is_pending(), "{what} does not wait");
            }
        }
        assert!(poll(first.as_mut()).is_pending(), "{what} does not wait");
        let _served = serve();
        assert!(poll(first.as_mut()).is_ready(), "{what} is not served");
    });
}

#[test]
fn the_counter_counts() {
    let before = ALLOCATIONS.with(Cell::get);
    drop(std::hint::black_box(Box::new(1)));
    assert_eq!(ALLOCATIONS.with(Cell::get) - before, 1);
}

#[test]
fn locks() {
    let mutex = Mutex::new(());
    let held = mutex.try_lock().unwrap();
    waits("Mutex::lock", || mutex.lock(), || drop(held));

    let lock = RwLock::new(());
    let held = lock.try_write().unwrap();
    waits("RwLock::read", || lock.read(), || drop(held));
    let held = lock.try_read().unwrap();
    waits("RwLock::write", || lock.write(), || drop(held));

    let semaphore = Semaphore::new(2);
    let held = semaphore.try_acquire(2).unwrap();
    waits("Semaphore::acquire", || semaphore.acquire(1), || drop(held));

    let condvar = Condvar::new();
    let mut waiting = pin!(condvar.wait(mutex.try_lock().unwrap()));
    without_allocations("Condvar::wait", || {
        assert!(poll(waiting.as_mut()).is_pending());
        condvar.notify_one();
        assert!(poll(waiting.as_mut()).is_ready());
    });
}

#[test]
fn coordination() {
    let notify = Notify::new();
    waits("Notify::notified", || notify.notified(), || notify.notify_all());

    let token = CancellationToken::new();
    waits("CancellationToken::cancelled", || token.cancelled(), || token.cancel());

    let barrier = Barrier::new(3);
    without_allocations("Barrier::wait", || {
        let (mut first, mut second) = (pin!(barrier.wait()), pin!(barrier.wait()));
        assert!(poll(first.as_mut()).is_pending());
        assert!(poll(second.as_mut()).is_pending());
        assert!(poll(pin!(barrier.wait())).is_ready());
        assert!(poll(first.as_mut()).is_ready());
        assert!(poll(second.as_mut()).is_ready());
    });

    let cell = OnceCell::new();
    without_allocations("OnceCell::get_or_init", || {
        let mut initialising = pin!(cell.get_or_init(std::future::pending::<u32>));
        let mut waiting = pin!(cell.get_or_init(|| std::future::ready(2)));
        assert!(poll(initialising.as_mut()).is_pending());
        assert!(poll(waiting.as_mut()).is_pending());
    });
}

#[test]
fn channels() {
    let (sender, receiver) = channel::bounded(1);
    waits("Receiver::recv", || receiver.recv(), || sender.try_send(1).unwrap());
    sender.try_send(1).unwrap();
    waits("Sender::send", || sender.send(2), || receiver.try_recv().unwrap());

    let (sender, receiver) = channel::unbounded::<u32>();
    waits("Receiver::recv of an unbounded channel", || receiver.recv(), || drop(sender));

    let (sender, receiver) = channel::oneshot();
    let mut receiver = pin!(receiver);
    without_allocations("oneshot", || {
        assert!(poll(receiver.as_mut()).is_pending());
        sender.send(1).unwrap();
        assert!(poll(receiver.as_mut()).is_ready());
    });

    let (sender, mut receiver) = channel::watch(1);
    without_allocations("watch", || {
        let mut changed = pin!(receiver.changed());
        assert!(poll(changed.as_mut()).is_pending());
        sender.send(2).unwrap();
        assert!(poll(changed.as_mut()).is_ready());
    });

    let (sender, mut receiver) = channel::broadcast(4);
    without_allocations("broadcast", || {
        let mut received = pin!(receiver.recv());
        assert!(poll(received.as_mut()).is_pending());
        sender.send(2).unwrap();
        assert!(poll(received.as_mut()).is_ready());
    });
}

#[test]
fn level_four() {
    let mutex = Mutex::new(());
    let held = mutex.try_lock().unwrap();
    without_allocations("Mutex::lock_wait", || {
        let mut waiter = pin!(Waiter::new(Waker::noop().clone()));
        assert!(mutex.lock_wait(waiter.as_mut()).is_none());
        assert!(!waiter.is_ready());
        drop(held);
        assert!(mutex.lock_wait(waiter.as_mut()).is_some());
    });
}
