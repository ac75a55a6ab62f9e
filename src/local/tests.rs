use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

fn yield_once() -> impl Future<Output = ()> {
    let mut yielded = false;
    poll_fn(move |context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
}

#[test]
fn tasks_run_in_the_order_of_their_wakes() {
    let runtime = Runtime::new();
    let order = Rc::new(RefCell::new(Vec::new()));
    for number in 0..3 {
        let order = Rc::clone(&order);
        runtime.spawn(async move {
            for round in 0..2 {
                order.borrow_mut().push((round, number));
                yield_once().await;
            }
        });
    }
    assert!(runtime.tick());
    assert_eq!(*order.borrow(), [(0, 0), (0, 1), (0, 2)]);
    runtime.run();
    assert_eq!(order.borrow()[3..], [(1, 0), (1, 1), (1, 2)]);
    assert_eq!(runtime.tasks(), 0);
}

#[test]
fn futures_of_every_size_give_their_outputs() {
    fn check<const N: usize>(runtime: &Runtime) {
        let task = runtime.spawn(async {
            let bytes = [7_u8; N];
            yield_once().await;
            bytes
        });
        assert_eq!(runtime.run_until(task).unwrap(), [7; N]);
    }
    let runtime = Runtime::new();
    check::<0>(&runtime);
    check::<40>(&runtime);
    check::<200>(&runtime);
    check::<400>(&runtime);
    check::<5_000>(&runtime);
    #[repr(align(256))]
    struct Aligned(u8);
    let task = runtime.spawn(async {
        let aligned = Aligned(3);
        yield_once().await;
        assert_eq!((&raw const aligned).addr() % 256, 0);
        aligned
    });
    assert_eq!(runtime.run_until(task).unwrap().0, 3);
}

#[test]
fn a_panic_ends_its_task_alone() {
    let runtime = Runtime::new();
    let ended = runtime.spawn(async { assert_eq!(1, 2, "planted") });
    let other = runtime.spawn(async { 5 });
    let error = runtime.run_until(ended).unwrap_err();
    assert!(error.is_panic() && error.to_string().contains("planted"), "{error}");
    assert_eq!(runtime.run_until(other).unwrap(), 5);
}

#[test]
fn a_panic_of_a_destructor_is_delivered() {
    struct Panics;
    impl Drop for Panics {
        fn drop(&mut self) {
            panic!("planted");
        }
    }
    let runtime = Runtime::new();
    let panics = Panics;
    let task = runtime.spawn(async move {
        let _panics = panics;
        pending::<()>().await;
    });
    runtime.run_until_stalled();
    assert!(runtime.run_until(task.cancel()).unwrap_err().is_panic());
}

#[test]
fn a_panic_of_the_future_of_run_until_is_the_callers() {
    let runtime = Runtime::new();
    let other = runtime.spawn(async { yield_once().await });
    let result = catch_unwind(AssertUnwindSafe(|| {
        runtime.run_until(async {
            yield_once().await;
            panic!("planted");
        });
    }));
    assert!(result.is_err());
    runtime.run();
    assert!(other.is_finished());
}

#[test]
fn a_task_that_runs_its_runtime_is_told() {
    let runtime = Rc::new(Runtime::new());
    let inner = Rc::clone(&runtime);
    let error = runtime.run_until(runtime.spawn(async move { inner.run() })).unwrap_err();
    assert!(error.to_string().contains("runs already"), "{error}");
}

#[test]
fn what_outlives_the_runtime_is_sound() {
    let kept: Rc<RefCell<Option<Waker>>> = Rc::default();
    let runtime = Runtime::new();
    let handle = runtime.handle();
    let keep = Rc::clone(&kept);
    let task = runtime.spawn(poll_fn(move |context| {
        *keep.borrow_mut() = Some(context.waker().clone());
        Poll::<()>::Pending
    }));
    runtime.run_until_stalled();
    drop(runtime);
    assert!(task.is_finished());
    let refused = handle.spawn(async { 1 });
    assert!(refused.is_finished());
    drop(handle);
    let waker = kept.take().unwrap();
    waker.wake_by_ref();
    let other = waker.clone();
    thread::spawn(move || other.wake()).join().unwrap();
    let elsewhere = Runtime::new();
    assert!(elsewhere.run_until(task).unwrap_err().is_cancelled());
    assert!(elsewhere.run_until(refused).unwrap_err().is_cancelled());
    drop(waker);
}

#[test]
fn a_waker_that_is_dropped_last_elsewhere_frees_the_runtime() {
    let runtime = Runtime::new();
    let waker = runtime.run_until(poll_fn(|context| Poll::Ready(context.waker().clone())));
    drop(runtime);
    thread::spawn(move || drop(waker)).join().unwrap();
}

#[test]
fn a_stale_waker_wakes_nobody() {
    let runtime = Runtime::new();
    let first = runtime.spawn(poll_fn(|context| Poll::Ready(context.waker().clone())));
    let stale = runtime.run_until(first).unwrap();
    let polls = Rc::new(Cell::new(0));
    let counted = Rc::clone(&polls);
    let _tasks: Vec<_> = (0..4)
        .map(|_| {
            let polls = Rc::clone(&counted);
            runtime.spawn(poll_fn(move |_| {
                polls.set(polls.get() + 1);
                Poll::<()>::Pending
            }))
        })
        .collect();
    runtime.run_until_stalled();
    stale.wake_by_ref();
    thread::spawn(move || stale.wake()).join().unwrap();
    runtime.run_until_stalled();
    assert_eq!(polls.get(), 4);
}

#[test]
fn delays_end_in_the_order_of_their_deadlines() {
    let runtime = Runtime::new();
    let order = Rc::new(RefCell::new(Vec::new()));
    let began = Instant::now();
    for milliseconds in [9, 1, 5] {
        let (handle, order) = (runtime.handle(), Rc::clone(&order));
        runtime.spawn(async move {
            Delay::new(&handle, Duration::from_millis(milliseconds)).await;
            order.borrow_mut().push(milliseconds);
        });
    }
    runtime.run();
    assert!(began.elapsed() >= Duration::from_millis(9));
    assert_eq!(*order.borrow(), [1, 5, 9]);
}

#[test]
fn a_million_tasks() {
    let tasks = if cfg!(miri) { 200 } else { 1_000_000_u64 };
    let runtime = Runtime::new();
    let sum = Rc::new(Cell::new(0));
    for number in 0..tasks {
        let sum = Rc::clone(&sum);
        runtime.spawn(async move {
            yield_once().await;
            sum.set(sum.get() + number);
        });
    }
    runtime.run();
    assert_eq!(sum.get(), tasks * (tasks - 1) / 2);
}

#[derive(Clone, Debug)]
enum Step {
    Spawn,
    Wake(usize),
    /// Lets a task end when it is polled next, with a panic or without.
    End(usize, bool),
    Abort(usize),
    Forget(usize),
    Tick,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Spawn),
        3 => any::<usize>().prop_map(Step::Wake),
        2 => (any::<usize>(), any::<bool>()).prop_map(|(task, panics)| Step::End(task, panics)),
        1 => any::<usize>().prop_map(Step::Abort),
        1 => any::<usize>().prop_map(Step::Forget),
        2 => Just(Step::Tick),
    ]
}

/// What a task of the test is told, and where it leaves its waker.
#[derive(Default)]
struct Told {
    end: Cell<Option<bool>>,
    waker: RefCell<Option<Waker>>,
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 4 } else { 256 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_task_ends_as_it_was_told(steps in prop::collection::vec(step(), 0..100)) {
        let runtime = Runtime::new();
        let mut tasks: Vec<(Rc<Told>, Option<JoinHandle<()>>, bool)> = Vec::new();
        for step in steps {
            let count = tasks.len();
            match step {
                Step::Spawn => {
                    let told = Rc::new(Told::default());
                    let inner = Rc::clone(&told);
                    let task = runtime.spawn(poll_fn(move |context| {
                        *inner.waker.borrow_mut() = Some(context.waker().clone());
                        match inner.end.get() {
                            None => Poll::Pending,
                            Some(false) => Poll::Ready(()),
                            // Without the hook, which would print it.
                            Some(true) => std::panic::resume_unwind(Box::new("told")),
                        }
                    }));
                    tasks.push((told, Some(task), false));
                }
                Step::Tick => {
                    runtime.tick();
                }
                _ if count == 0 => {}
                Step::Wake(task) => {
                    let waker = tasks[task % count].0.waker.borrow().clone();
                    if let Some(waker) = waker {
                        waker.wake();
                    }
                }
                Step::End(task, panics) => {
                    let told = &tasks[task % count].0;
                    if told.end.get().is_none() {
                        told.end.set(Some(panics));
                    }
                }
                Step::Abort(task) => {
                    let (_, handle, aborted) = &mut tasks[task % count];
                    if let Some(handle) = handle {
                        *aborted |= !handle.is_finished();
                        handle.abort();
                    }
                }
                Step::Forget(task) => tasks[task % count].1 = None,
            }
        }
        for (told, ..) in &tasks {
            if told.end.get().is_none() {
                told.end.set(Some(false));
            }
            let waker = told.waker.borrow().clone();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
        runtime.run();
        prop_assert_eq!(runtime.tasks(), 0);
        for (told, handle, aborted) in tasks {
            let Some(handle) = handle else { continue };
            let result = runtime.run_until(handle);
            match (aborted, told.end.get()) {
                (true, _) => prop_assert!(result.unwrap_err().is_cancelled()),
                (false, Some(true)) => prop_assert!(result.unwrap_err().is_panic()),
                (false, _) => prop_assert!(result.is_ok()),
            }
            prop_assert_eq!(Rc::strong_count(&told), 1, "the future is dropped");
        }
    }
}
