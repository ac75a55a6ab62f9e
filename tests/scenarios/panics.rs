//! A panic ends its task alone and reaches whoever joins it.

use crate::harness::{runtime, scenario};
use volt::task::yield_now;

scenario!(a_panic_reaches_the_join_handle, || {
    runtime(2).run(|io| async move {
        let task = io.spawn(async {
            yield_now().await;
            panic!("planned");
        });
        let other = io.spawn(async { 1 });
        let error: volt::task::JoinError = task.await.unwrap_err();
        assert!(error.is_panic());
        assert!(error.to_string().contains("panicked: planned"), "{error}");
        assert_eq!(*error.into_panic().downcast::<&str>().unwrap(), "planned");
        assert_eq!(other.await.unwrap(), 1);
    });
});

scenario!(a_panicking_destructor_is_a_panic_of_the_task, || {
    struct Panics;
    impl Drop for Panics {
        fn drop(&mut self) {
            panic!("in a destructor");
        }
    }
    runtime(2).run(|io| async move {
        let task = io.spawn(async {
            let _panics = Panics;
            std::future::pending::<()>().await;
        });
        yield_now().await;
        let error = task.cancel().await.unwrap_err();
        // A task that was cancelled before it began never made the value.
        assert!(error.is_panic() || error.is_cancelled());
        assert_eq!(io.spawn(async { 1 }).await.unwrap(), 1);
    });
});

scenario!(a_panic_of_the_future_of_run_reaches_its_caller, || {
    let runtime = runtime(2);
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        runtime.run(|_io| async {
            yield_now().await;
            panic!("planned");
        })
    }));
    assert!(caught.is_err());
    assert_eq!(runtime.run(|io| async move { io.spawn(async { 1 }).await.unwrap() }), 1);
});
