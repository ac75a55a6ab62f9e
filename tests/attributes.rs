//! The attribute macros, as a user writes them.

#![cfg(all(feature = "macros", not(any(volt_loom, volt_shuttle))))]

#[volt::test]
async fn a_test_gets_the_handle(io: volt::Io) {
    assert_eq!(io.spawn(async { 7 }).await.unwrap(), 7);
}

#[volt::test(workers = 3)]
#[should_panic(expected = "planned")]
async fn a_test_keeps_its_attributes() {
    panic!("planned");
}

#[volt::test(backend = "auto")]
async fn a_test_gets_the_best_backend(io: volt::Io) {
    assert_ne!(io.backend(), volt::Backend::Auto);
}

#[volt::main(workers = 1)]
async fn program(io: volt::Io) -> Result<u32, volt::task::JoinError> {
    io.spawn(async { 1 }).await
}

#[test]
fn a_program_returns_what_its_main_returns() {
    assert_eq!(program().unwrap(), 1);
}

#[cfg(feature = "sim")]
mod simulated {
    use std::time::Duration;

    use volt::sim::sync::Arc;
    use volt::sim::sync::atomic::{AtomicU32, Ordering};
    use volt::sim::{World, thread};

    #[volt::sim_test(seeds = 20)]
    async fn a_world_has_virtual_time(world: World) {
        world.sleep(Duration::from_secs(3_600)).await;
        assert!(world.now() >= Duration::from_secs(3_600));
    }

    #[volt::sim_test(seeds = 20, strategy = "random", step_limit = 10_000)]
    fn plain_threads() -> Result<(), String> {
        let count = Arc::new(AtomicU32::new(0));
        let other = Arc::clone(&count);
        let thread = thread::spawn(move || other.fetch_add(1, Ordering::SeqCst));
        count.fetch_add(1, Ordering::SeqCst);
        thread.join().map_err(|_| "the thread panicked".to_owned())?;
        assert_eq!(count.load(Ordering::SeqCst), 2);
        Ok(())
    }

    #[volt::sim_test(seeds = 2)]
    #[should_panic(expected = "the test returned an error")]
    fn an_error_fails_the_test() -> Result<(), String> {
        Err("planned".to_owned())
    }

    static SHARED: AtomicU32 = AtomicU32::new(0);

    #[volt::sim_test(seeds = 3, isolate = "process")]
    fn a_static_is_fresh_in_a_process_of_its_own() {
        assert_eq!(SHARED.fetch_add(1, Ordering::SeqCst), 0);
    }
}
