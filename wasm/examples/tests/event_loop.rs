//! Local tasks among the promises, timers and messages of Node.

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn};
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use js_sys::{Array, Function, Promise, Reflect, global};
use volt::channel::{self, TryRecvError};
use volt::local::{Delay, Runtime};
use volt::platform::clock::Instant;
use volt::platform::{clock, entropy};
use volt::sync::{Mutex, Notify, Semaphore};
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::wasm_bindgen_test;

/// What happened, in order.
#[derive(Clone, Default)]
struct Log(Rc<RefCell<Vec<String>>>);

impl Log {
    fn push(&self, entry: impl Into<String>) {
        self.0.borrow_mut().push(entry.into());
    }

    fn entries(&self) -> Vec<String> {
        self.0.borrow().clone()
    }
}

async fn yield_now() {
    let mut has_yielded = false;
    poll_fn(|context| {
        if has_yielded {
            return Poll::Ready(());
        }
        has_yielded = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// A global function of the host.
fn host(name: &str) -> Function {
    Reflect::get(&global(), &name.into()).unwrap().dyn_into().unwrap()
}

/// The host calls `f` after so many milliseconds.
fn set_timeout(milliseconds: u32, f: impl FnOnce() + 'static) {
    let f = Closure::once_into_js(f);
    host("setTimeout").call2(&JsValue::UNDEFINED, &f, &milliseconds.into()).unwrap();
}

/// A promise that the host keeps after so many milliseconds.
fn timeout(milliseconds: u32) -> JsFuture {
    JsFuture::from(Promise::new(&mut |resolve, _| {
        host("setTimeout").call2(&JsValue::UNDEFINED, &resolve, &milliseconds.into()).unwrap();
    }))
}

fn milliseconds(count: u64) -> Duration {
    Duration::from_millis(count)
}

#[wasm_bindgen_test]
async fn the_host_runs_what_is_spawned() {
    let runtime = Runtime::new();
    let first = runtime.spawn(async { 20 });
    let second = runtime.spawn(async { 22 });
    assert!(!first.is_finished(), "nothing runs before the host does");
    assert_eq!(first.await.unwrap() + second.await.unwrap(), 42);
    assert_eq!(runtime.tasks(), 0);
}

#[wasm_bindgen_test]
async fn promises_go_on_between_ticks() {
    let runtime = Runtime::new();
    let log = Log::default();
    let ours = log.clone();
    let task = runtime.spawn(async move {
        for tick in 1..=4 {
            ours.push(format!("tick {tick}"));
            yield_now().await;
        }
    });
    let theirs = log.clone();
    let promise = runtime.spawn(async move {
        for number in 1..=4 {
            JsFuture::from(Promise::resolve(&JsValue::NULL)).await.unwrap();
            theirs.push(format!("promise {number}"));
        }
    });
    task.await.unwrap();
    promise.await.unwrap();
    let entries = log.entries();
    let of = |entry: &str| entries.iter().position(|other| other == entry).unwrap();
    assert_eq!(entries.len(), 8);
    assert!(of("promise 1") < of("tick 4"), "{entries:?}");
}

#[wasm_bindgen_test]
async fn timers_of_both_kinds_end_in_order() {
    let runtime = Runtime::new();
    let log = Log::default();
    let began = clock::now();
    let mut tasks = Vec::new();
    for wait in [90, 10, 50] {
        let (handle, log) = (runtime.handle(), log.clone());
        tasks.push(runtime.spawn(async move {
            Delay::new(&handle, milliseconds(wait)).await;
            assert!(clock::now() - began >= milliseconds(wait));
            log.push(format!("delay {wait}"));
        }));
    }
    for wait in [30, 70] {
        let log = log.clone();
        tasks.push(runtime.spawn(async move {
            timeout(wait).await.unwrap();
            log.push(format!("timeout {wait}"));
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let expected = ["delay 10", "timeout 30", "delay 50", "timeout 70", "delay 90"];
    assert_eq!(log.entries(), expected);
}

#[wasm_bindgen_test]
async fn tasks_that_are_always_ready_let_timers_through() {
    let runtime = Runtime::new();
    let is_over = Rc::new(Cell::new(false));
    let ends = Rc::clone(&is_over);
    set_timeout(20, move || ends.set(true));
    let polls = Rc::new(Cell::new(0_u32));
    let tasks: Vec<_> = (0..10)
        .map(|_| {
            let (is_over, polls) = (Rc::clone(&is_over), Rc::clone(&polls));
            runtime.spawn(async move {
                while !is_over.get() {
                    polls.set(polls.get() + 1);
                    yield_now().await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert!(polls.get() > 1_000, "{} polls", polls.get());
}

#[wasm_bindgen_test]
async fn a_tick_of_many_tasks_is_cut_into_slices() {
    let runtime = Runtime::new();
    let is_over = Rc::new(Cell::new(false));
    for _ in 0..200_000 {
        let is_over = Rc::clone(&is_over);
        drop(runtime.spawn(async move {
            while !is_over.get() {
                yield_now().await;
            }
        }));
    }
    let mut worst = Duration::ZERO;
    let began = clock::now();
    let mut before = began;
    // What the host does meanwhile, task after task of its own.
    while before - began < milliseconds(300) {
        timeout(1).await.unwrap();
        let now = clock::now();
        worst = worst.max(now - before);
        before = now;
    }
    is_over.set(true);
    assert!(runtime.tasks() == 200_000, "all of them run");
    assert!(worst < milliseconds(100), "the host waits {worst:?}");
}

#[wasm_bindgen_test]
async fn a_task_fetches() {
    let runtime = Runtime::new();
    let text = runtime.spawn(async {
        let url = JsValue::from("data:text/plain,hello");
        let response = host("fetch").call1(&JsValue::UNDEFINED, &url).unwrap();
        let response = JsFuture::from(response.dyn_into::<Promise>().unwrap()).await.unwrap();
        let text = Reflect::get(&response, &"text".into()).unwrap();
        let text = text.dyn_into::<Function>().unwrap().call0(&response).unwrap();
        JsFuture::from(text.dyn_into::<Promise>().unwrap()).await.unwrap().as_string()
    });
    assert_eq!(text.await.unwrap().as_deref(), Some("hello"));
}

#[wasm_bindgen_test]
async fn channels_carry_between_tasks_and_promises() {
    let runtime = Runtime::new();
    let (sender, receiver) = channel::bounded(1);
    let sends = runtime.spawn(async move {
        for number in 0..50 {
            if number % 10 == 0 {
                timeout(1).await.unwrap();
            }
            sender.send(number).await.unwrap();
        }
    });
    let receives = runtime.spawn(async move {
        let mut sum = 0;
        while let Ok(number) = receiver.recv().await {
            sum += number;
        }
        assert!(matches!(receiver.try_recv(), Err(TryRecvError::Closed)));
        sum
    });
    sends.await.unwrap();
    assert_eq!(receives.await.unwrap(), 1_225);
}

#[wasm_bindgen_test]
async fn locks_are_kept_over_promises() {
    let runtime = Runtime::new();
    let (lock, permits) = (Rc::new(Mutex::new(0)), Rc::new(Semaphore::new(2)));
    let notify = Rc::new(Notify::new());
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (lock, permits) = (Rc::clone(&lock), Rc::clone(&permits));
            let notify = Rc::clone(&notify);
            runtime.spawn(async move {
                notify.notified().await;
                let permit = permits.acquire(1).await;
                let mut count = lock.lock().await;
                let before = *count;
                JsFuture::from(Promise::resolve(&JsValue::NULL)).await.unwrap();
                *count = before + 1;
                drop((count, permit));
            })
        })
        .collect();
    timeout(1).await.unwrap();
    notify.notify_all();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(*lock.lock().await, 8);
}

#[wasm_bindgen_test]
async fn a_runtime_that_is_dropped_drops_its_tasks() {
    let runtime = Runtime::new();
    let guard = Rc::new(());
    let (kept, handle) = (Rc::clone(&guard), runtime.handle());
    let waits = runtime.spawn(async move {
        let _kept = kept;
        Delay::new(&handle, Duration::from_secs(3_600)).await;
    });
    timeout(1).await.unwrap();
    drop(runtime);
    assert_eq!(Rc::strong_count(&guard), 1);
    assert!(waits.await.unwrap_err().is_cancelled());
}

#[wasm_bindgen_test]
async fn a_task_may_drop_its_runtime() {
    let runtime = Rc::new(RefCell::new(None));
    let guard = Rc::new(());
    let kept = Rc::clone(&guard);
    let (ends, owner) = (Runtime::new(), Rc::clone(&runtime));
    let handle = ends.handle();
    let other = ends.spawn(async move {
        let _kept = kept;
        pending::<()>().await;
    });
    let last = ends.spawn(async move {
        drop(owner.borrow_mut().take());
        yield_now().await;
    });
    *runtime.borrow_mut() = Some(ends);
    assert!(last.await.unwrap_err().is_cancelled(), "it is not polled again");
    assert!(other.await.unwrap_err().is_cancelled());
    assert_eq!(Rc::strong_count(&guard), 1);
    assert!(handle.spawn(async {}).await.unwrap_err().is_cancelled());
}

#[wasm_bindgen_test]
async fn a_delay_is_cut_short_by_a_shorter_one_and_by_its_end() {
    let runtime = Runtime::new();
    let handle = runtime.handle();
    let began = clock::now();
    let long = runtime.spawn(Delay::new(&handle, Duration::from_secs(3_600)));
    timeout(5).await.unwrap();
    // Polled by another executor than its own, while the host has a later call in mind.
    Delay::new(&handle, milliseconds(10)).await;
    assert!(long.cancel().await.unwrap_err().is_cancelled());
    let took = clock::now() - began;
    assert!(took >= milliseconds(10) && took < Duration::from_secs(60), "{took:?}");
}

/// How many time-outs keep Node from ending.
fn timeouts() -> usize {
    let process = Reflect::get(&global(), &"process".into()).unwrap();
    let list = Reflect::get(&process, &"getActiveResourcesInfo".into()).unwrap();
    let list = list.dyn_into::<Function>().unwrap().call0(&process).unwrap();
    Array::from(&list)
        .iter()
        .filter(|entry| entry.as_string().as_deref() == Some("Timeout"))
        .count()
}

#[wasm_bindgen_test]
async fn a_delay_that_is_dropped_leaves_no_timeout_behind() {
    let before = timeouts();
    let runtime = Runtime::new();
    let mut delay = Box::pin(Delay::new(&runtime.handle(), Duration::from_secs(3_600)));
    poll_fn(|context| Poll::Ready(delay.as_mut().poll(context).is_pending())).await;
    assert_eq!(timeouts(), before + 1);
    drop(delay);
    assert_eq!(timeouts(), before);
    let waits = runtime.spawn(Delay::new(&runtime.handle(), Duration::from_secs(3_600)));
    runtime.run_until_stalled();
    assert_eq!(timeouts(), before + 1);
    drop(runtime);
    assert_eq!(timeouts(), before);
    assert!(waits.await.unwrap_err().is_cancelled());
}

#[wasm_bindgen_test]
async fn what_the_host_wakes_too_late_is_refused() {
    let runtime = Runtime::new();
    let waker = Rc::new(RefCell::new(None::<Waker>));
    let ours = Rc::clone(&waker);
    let task = runtime.spawn(poll_fn(move |context| {
        *ours.borrow_mut() = Some(context.waker().clone());
        Poll::Ready(())
    }));
    task.await.unwrap();
    let stale = waker.borrow_mut().take().unwrap();
    set_timeout(1, {
        let stale = stale.clone();
        move || stale.wake()
    });
    timeout(5).await.unwrap();
    drop(runtime);
    stale.wake();
}

#[wasm_bindgen_test]
fn a_loop_may_tick_by_hand() {
    let runtime = Runtime::new();
    let count = Rc::new(Cell::new(0));
    let counts = Rc::clone(&count);
    drop(runtime.spawn(async move {
        for _ in 0..3 {
            counts.set(counts.get() + 1);
            yield_now().await;
        }
    }));
    assert!(runtime.tick());
    assert_eq!(count.get(), 1);
    runtime.run_until_stalled();
    assert_eq!((count.get(), runtime.tasks()), (3, 0));
    assert_eq!(runtime.run_until(async { 7 }), 7);
}

#[wasm_bindgen_test]
async fn what_a_tick_by_hand_leaves_the_host_runs() {
    let runtime = Runtime::new();
    let task = runtime.spawn(async {
        yield_now().await;
        yield_now().await;
    });
    assert!(runtime.tick());
    task.await.unwrap();
}

#[wasm_bindgen_test]
#[should_panic = "return to it instead of calling `run`"]
fn a_thread_does_not_sleep() {
    Runtime::new().run_until(pending::<()>());
}

#[wasm_bindgen_test]
async fn the_clock_and_the_entropy_are_the_hosts() {
    let (began, wall) = (Instant::now(), clock::wall());
    timeout(20).await.unwrap();
    // The host rounds to milliseconds where it counts by the wall clock.
    assert!(began.elapsed() >= milliseconds(19));
    assert!(clock::wall().duration_since(wall).unwrap() >= milliseconds(18));
    let (mut one, mut other) = ([0; 32], [0; 32]);
    entropy::fill(&mut one);
    entropy::fill(&mut other);
    assert_ne!(one, other);
    let below: Vec<_> = (0..6).map(|_| entropy::below(3)).collect();
    assert!((0..3).all(|number| below.contains(&number)), "{below:?}");
}

#[wasm_bindgen_test]
async fn ten_thousand_tasks_give_their_outputs() {
    let runtime = Runtime::new();
    let tasks: Vec<_> = (0..10_000_u64).map(|n| runtime.spawn(square(n))).collect();
    let mut sum = 0;
    for task in tasks {
        sum += task.await.unwrap();
    }
    assert_eq!(sum, 333_283_335_000);
}

async fn square(n: u64) -> u64 {
    if n.is_multiple_of(100) {
        yield_now().await;
    }
    n * n
}
