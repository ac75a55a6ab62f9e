//! Tasks give their outputs to whoever joins them.

use crate::harness::{runtime, scenario};
use volt::task::yield_now;

scenario!(one_after_another, || {
    let sum = runtime(2).run(|io| async move {
        let mut sum = 0;
        for number in 0..10 {
            sum += io.spawn(async move { number }).await.unwrap();
        }
        sum
    });
    assert_eq!(sum, 45);
});

scenario!(all_at_once, || {
    let sum = runtime(3).run(|io| async move {
        let tasks: Vec<_> = (0..20)
            .map(|number| {
                io.spawn(async move {
                    yield_now().await;
                    number
                })
            })
            .collect();
        let mut sum = 0;
        for task in tasks {
            sum += task.await.unwrap();
        }
        sum
    });
    assert_eq!(sum, 190);
});

scenario!(tasks_spawn_tasks, || {
    fn chain(io: volt::Io, depth: u32) -> std::pin::Pin<Box<dyn Future<Output = u32> + Send>> {
        Box::pin(async move {
            match depth {
                0 => 0,
                _ => 1 + io.clone().spawn(chain(io, depth - 1)).await.unwrap(),
            }
        })
    }
    assert_eq!(runtime(2).run(|io| chain(io, 15)), 15);
});

scenario!(the_future_of_run_may_be_local, || {
    let local = std::rc::Rc::new(5);
    let output = runtime(1).run(|io| {
        let local = std::rc::Rc::clone(&local);
        async move {
            let task = io.spawn(async {
                yield_now().await;
                2
            });
            *local + task.await.unwrap()
        }
    });
    assert_eq!(output, 7);
});

scenario!(two_threads_run_on_one_runtime, || {
    use volt::platform::thread;
    let runtime = runtime(1);
    let io = runtime.io();
    let other = thread::spawn("other", None, move || {
        let output = io.block_on(async {
            yield_now().await;
            1
        });
        assert_eq!(output, 1);
    });
    let output = runtime.run(|io| async move { io.spawn(async { 2 }).await.unwrap() });
    assert_eq!(output, 2);
    other.unwrap().join().unwrap();
});

scenario!(tasks_run_without_anybody_in_run, || {
    let runtime = runtime(1);
    let (sender, receiver) = std::sync::mpsc::channel();
    let task = runtime.io().spawn(async move {
        yield_now().await;
        sender.send(7).unwrap();
    });
    assert_eq!(receiver.recv(), Ok(7));
    drop(task);
});

scenario!(names_and_handles, || {
    runtime(2).run(|io| async move {
        let task = volt::task::Builder::new().name("named").spawn(&io, async {
            assert!(volt::Io::try_current().is_some());
        });
        assert!(task.id().is_some());
        let abort = task.abort_handle();
        assert_eq!(abort.id(), task.id());
        task.await.unwrap();
        assert!(abort.is_finished());
        abort.abort();
    });
    assert!(volt::Io::try_current().is_none());
});
