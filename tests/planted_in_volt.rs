//! Bugs planted in Volt's own code, each found by a stock scenario within a stated number of
//! seeds; and laws broken on purpose, and caught. (The law that one worker polls a task at a time
//! is broken in `sim/tests/machine.rs`.)

#![cfg(all(feature = "sim", not(any(volt_loom, volt_shuttle))))]

#[path = "scenarios/programs.rs"]
mod harness;

mod scenarios {
    pub mod blocking;
    pub mod cancellation;
    pub mod groups;
    pub mod many_tasks;
    pub mod ring_receives;
    pub mod rings;
    pub mod shutdown;
    pub mod stealing;
    pub mod tcp;
    pub mod timers;
    pub mod wakes;
}

use volt::sim::{Failure, FailureKind, Sim};

/// Runs the scenario with the bug planted, until a seed finds it, and says how many it took.
fn found(bug: &'static str, within: u64, program: fn()) -> Failure {
    let report = Sim::builder().plant(bug).sweep(0..within).machine(program);
    let runs = report.runs();
    let failure = report.failure().unwrap_or_else(|| panic!("{bug}: not found in {runs} seeds"));
    println!("{bug}: found after {runs} seeds, {}", failure.kind());
    failure.clone()
}

#[test]
fn the_second_look_before_parking_deleted() {
    let program = scenarios::wakes::a_thread_outside_wakes_tasks::program;
    let failure = found("worker-no-second-look", 500, program);
    assert_eq!(failure.kind(), FailureKind::Law);
    assert!(failure.message().contains("lost wake-up"), "{failure}");
}

#[test]
fn bytes_of_a_dropped_receive_lost() {
    let program = scenarios::ring_receives::dropped_reads_lose_no_byte::program;
    let failure = found("leftover-loses-bytes", 500, program);
    assert_eq!(failure.kind(), FailureKind::Panic);
}

#[test]
fn a_dropped_receive_that_is_expected_for_ever() {
    let program = scenarios::ring_receives::dropped_reads_lose_no_byte::program;
    found("leftover-expects-for-ever", 500, program);
}

#[test]
fn a_ring_that_ends_without_cancelling_receives() {
    let program = scenarios::ring_receives::a_read_outlives_the_run_that_began_it::program;
    found("ring-ends-with-receives", 500, program);
}

#[test]
fn a_task_that_is_queued_twice() {
    let program = scenarios::many_tasks::spawned_from_two_sides::program;
    let failure = found("task-queued-twice", 500, program);
    assert_eq!(failure.kind(), FailureKind::Law);
    assert!(failure.message().contains("is queued while a queue holds it"), "{failure}");
}

#[test]
fn a_shut_down_that_leaves_tasks() {
    let program = scenarios::shutdown::every_task_is_dropped::program;
    let failure = found("shutdown-leaves-tasks", 500, program);
    assert_eq!(failure.kind(), FailureKind::Law);
    assert!(failure.message().contains("live on"), "{failure}");
}

#[test]
fn a_row_of_tasks_from_the_slot_that_does_not_end() {
    let program = scenarios::wakes::two_tasks_that_wake_each_other_keep_no_third_waiting::program;
    let failure = found("worker-renews-lifo-turns", 500, program);
    assert_eq!(failure.kind(), FailureKind::Law, "{failure}");
    assert!(failure.message().contains("without a look at its own ring"), "{failure}");
}

#[test]
fn tasks_from_outside_overlooked_while_there_are_others() {
    let program = scenarios::stealing::a_full_ring_overflows_and_loses_nothing::program;
    let failure = found("worker-overlooks-the-injection", 500, program);
    assert_eq!(failure.kind(), FailureKind::Law, "{failure}");
    assert!(failure.message().contains("without a look at the queue from outside"), "{failure}");
}

#[test]
fn a_wake_up_while_polled_forgotten() {
    let program = scenarios::wakes::tasks_wake_each_other_in_turn::program;
    let failure = found("task-wake-while-polled", 500, program);
    assert_eq!(failure.kind(), FailureKind::Deadlock);
}

#[test]
fn a_join_handle_that_registers_after_completion() {
    let program = scenarios::many_tasks::spawned_from_two_sides::program;
    let failure = found("task-join-after-complete", 500, program);
    assert_eq!(failure.kind(), FailureKind::Deadlock);
}

#[test]
fn the_last_searchers_hand_over_deleted() {
    let program = scenarios::stealing::two_tasks_meet_by_blocking_their_workers::program;
    let failure = found("worker-no-hand-over", 500, program);
    assert_eq!(failure.kind(), FailureKind::Law);
    assert!(failure.message().contains("lost wake-up"), "{failure}");
}

#[test]
fn the_blocking_pools_idle_count_read_stale() {
    let program =
        scenarios::blocking::a_second_job_is_not_kept_waiting_by_a_first_that_blocks::program;
    found("blocking-stale-idle-count", 500, program);
}

#[test]
fn a_groups_waker_registered_late() {
    let program = scenarios::groups::wait_gives_outputs_in_the_order_of_spawning::program;
    found("group-waker-registered-late", 500, program);
}

#[test]
fn a_completion_that_wakes_nobody() {
    let program = scenarios::rings::many_tasks_read_and_write::program;
    let failure = found("flight-wakes-nobody", 500, program);
    assert_eq!(failure.kind(), FailureKind::Deadlock);
}

#[test]
fn a_buffer_freed_while_the_kernel_reads_into_it() {
    let program = scenarios::rings::a_read_is_given_up_on_another_worker::program;
    let failure = found("flight-drops-payload", 500, program);
    assert_eq!(failure.kind(), FailureKind::Law, "{failure}");
    assert!(failure.message().contains("memory of an operation is given back"), "{failure}");
}

#[test]
fn a_worker_in_its_ring_forgotten() {
    let program = scenarios::ring_receives::workers_that_wait_in_their_rings_are_woken::program;
    found("sleeper-forgets-the-ring", 500, program);
}

#[test]
fn a_timer_that_fires_before_its_deadline() {
    let program = scenarios::timers::a_sleep_lasts_as_long_as_asked::program;
    let failure = found("timer-fires-early", 500, program);
    assert_eq!(failure.kind(), FailureKind::Law, "{failure}");
    assert!(failure.message().contains("a timer fires early"), "{failure}");
}

#[test]
fn a_worker_that_sleeps_on_what_its_timers_woke() {
    let program = scenarios::timers::one_sleeper_on_one_worker::program;
    found("worker-forgets-its-timers", 500, program);
}

#[test]
fn a_deadline_published_after_others_could_publish_theirs() {
    let program = scenarios::timers::threads_outside_sleep_until_the_same_moments::program;
    let failure = found("timer-published-unlocked", 2_000, program);
    assert_eq!(failure.kind(), FailureKind::Law);
    assert!(failure.message().contains("a timer fires late"), "{failure}");
}

#[test]
fn a_ring_written_over_what_a_slow_thief_has_claimed() {
    let program = scenarios::stealing::bursts_from_within_and_from_outside_are_shared::program;
    // A worker that dies of it can leave the others searching for ever.
    let sim = Sim::builder().plant("local-queue-room-ignores-thief").step_limit(1_000_000);
    let report = sim.sweep(0..2_000).machine(program);
    let failure = report.failure().expect("a slot is written twice");
    let runs = report.runs();
    println!("local-queue-room-ignores-thief: found after {runs} seeds, {}", failure.kind());
}

#[test]
fn a_poller_entered_without_a_second_look() {
    let program = scenarios::tcp::an_accept_loop_serves_clients_at_once::program;
    let failure = found("gate-no-second-look", 500, program);
    assert_eq!(failure.kind(), FailureKind::Deadlock);
}

#[test]
fn a_socket_waited_for_without_a_second_look() {
    let program = scenarios::tcp::an_accept_loop_serves_clients_at_once::program;
    let failure = found("readiness-no-second-look", 2_000, program);
    assert_eq!(failure.kind(), FailureKind::Deadlock);
}

#[test]
fn a_worker_in_the_driver_forgotten() {
    let program = scenarios::tcp::several_tasks_read_one_stream::program;
    let failure = found("sleeper-forgets-the-driver", 500, program);
    assert_eq!(failure.kind(), FailureKind::Deadlock);
}

#[test]
fn a_reader_that_takes_another_ones_place() {
    let program = scenarios::tcp::several_tasks_read_one_stream::program;
    let failure = found("readiness-displaces-waiter", 500, program);
    assert_eq!(failure.kind(), FailureKind::Deadlock);
}

#[test]
fn a_place_freed_that_another_source_has() {
    let program = scenarios::tcp::many_small_connections_come_and_go::program;
    let failure = found("slab-frees-a-neighbour", 500, program);
    // Whose place was taken waits for ever; where nobody waited, the table tells at the end.
    assert!(matches!(failure.kind(), FailureKind::Deadlock | FailureKind::Law), "{failure}");
}

#[test]
fn a_place_that_its_socket_leaves_behind() {
    let program = scenarios::tcp::many_small_connections_come_and_go::program;
    let failure = found("registration-keeps-its-place", 500, program);
    assert_eq!(failure.kind(), FailureKind::Law, "{failure}");
    assert!(failure.message().contains("places of its table are taken"), "{failure}");
}

#[test]
fn a_ring_closed_over_what_is_in_flight() {
    let program = scenarios::rings::operations_outlive_the_run_that_began_them::program;
    let failure = found("ring-closes-over-operations", 500, program);
    assert_eq!(failure.kind(), FailureKind::Law, "{failure}");
    assert!(failure.message().contains("slots of its table are taken"), "{failure}");
}

#[test]
fn a_sentinel_that_leaves_a_stuck_workers_timers() {
    let program = scenarios::stealing::a_stuck_workers_timer_is_fired_by_another::program;
    let within_a_minute =
        Sim::builder().plant("sentinel-leaves-timers").virtual_time_limit(MINUTE).sweep(0..500);
    let report = within_a_minute.machine(program);
    let failure = report.failure().expect("the worker waits for ever");
    println!("sentinel-leaves-timers: found after {} seeds, {}", report.runs(), failure.kind());
}

#[test]
fn a_sentinel_that_leaves_its_post() {
    let program = scenarios::tcp::two_stuck_workers_of_three_freeze_nobodys_sockets::program;
    let within_a_minute =
        Sim::builder().plant("sentinel-leaves-its-post").virtual_time_limit(MINUTE).sweep(0..500);
    let report = within_a_minute.machine(program);
    let failure = report.failure().expect("two workers wait for ever");
    println!("sentinel-leaves-its-post: found after {} seeds, {}", report.runs(), failure.kind());
}

const MINUTE: std::time::Duration = std::time::Duration::from_secs(60);
