//! Bugs planted in locks, coordination and channels, each found by a stock scenario within a
//! stated number of seeds; and the laws that nobody is overtaken without end, that permits are
//! conserved and that no waker is leaked, broken and caught.

#![cfg(all(feature = "sim", not(any(volt_loom, volt_shuttle))))]

#[path = "scenarios/programs.rs"]
mod harness;

mod scenarios {
    mod by_hand;
    pub mod channels;
    pub mod coordination;
    pub mod giving_up;
    pub mod locks;
}

use scenarios::{channels, coordination, giving_up, locks};
use volt::sim::{Failure, FailureKind, Sim};

/// Seeds that each bug is looked for with.
const SEEDS: u64 = 500;

/// Runs the scenario with the bug planted, until a seed finds it, and says how many it took.
fn found(bug: &'static str, program: fn()) -> Failure {
    let report = Sim::builder().plant(bug).sweep(0..SEEDS).machine(program);
    let runs = report.runs();
    let failure = report.failure().unwrap_or_else(|| panic!("{bug}: not found in {runs} seeds"));
    println!("{bug}: found after {runs} seeds, {}", failure.kind());
    failure.clone()
}

/// As `found`, for a bug by which somebody waits for ever.
#[track_caller]
fn someone_sleeps(bug: &'static str, program: fn()) {
    let failure = found(bug, program);
    assert_eq!(failure.kind(), FailureKind::Deadlock, "{failure}");
}

/// As `found`, for a bug that the scenario itself notices.
#[track_caller]
fn something_is_wrong(bug: &'static str, program: fn()) {
    let failure = found(bug, program);
    assert_eq!(failure.kind(), FailureKind::Panic, "{failure}");
}

#[test]
fn a_mutex_that_is_never_handed_over() {
    let program = locks::a_task_that_locks_in_a_loop_starves_nobody::program;
    let failure = found("mutex-never-hands-over", program);
    assert_eq!(failure.kind(), FailureKind::Law, "{failure}");
    assert!(failure.message().contains("was overtaken"), "{failure}");
}

#[test]
fn a_mutex_that_is_freed_silently() {
    someone_sleeps("mutex-frees-silently", locks::one_task_at_a_time_has_a_mutex::program);
}

#[test]
fn a_mutex_that_one_who_has_gone_keeps() {
    let program = locks::a_lock_that_is_handed_to_one_who_goes_goes_to_the_next::program;
    someone_sleeps("mutex-keeps-the-unwanted", program);
}

#[test]
fn readers_that_wait_for_a_writer_who_has_gone() {
    let program = giving_up::a_writer_with_readers_behind_it::program;
    someone_sleeps("rw-lock-withdraws-silently", program);
}

#[test]
fn a_semaphore_whose_large_requests_are_overtaken() {
    let program = locks::small_requests_do_not_starve_a_large_one::program;
    found("semaphore-overtakes", program);
}

#[test]
fn a_semaphore_that_hands_over_without_a_word() {
    let program = locks::small_requests_do_not_starve_a_large_one::program;
    found("semaphore-hands-over-silently", program);
}

/// As `found`, for a bug that breaks the law that permits are conserved.
#[track_caller]
fn permits_are_not_conserved(bug: &'static str, program: fn()) {
    let failure = found(bug, program);
    assert_eq!(failure.kind(), FailureKind::Law, "{failure}");
    assert!(failure.message().contains("permits are not conserved"), "{failure}");
}

#[test]
fn permits_that_are_merged_and_given_back_all_the_same() {
    let program = locks::permits_are_split_and_merged::program;
    permits_are_not_conserved("permits-merged-stay", program);
}

#[test]
fn permits_that_go_with_one_who_was_served() {
    let program = giving_up::a_request_that_was_served_and_is_not_wanted::program;
    permits_are_not_conserved("semaphore-keeps-what-was-served", program);
}

#[test]
fn a_waker_that_is_leaked_where_it_has_no_use_any_more() {
    let failure = found("discarded-waker-leaks", giving_up::a_mutex::program);
    assert_eq!(failure.kind(), FailureKind::Law, "{failure}");
    assert!(failure.message().contains("is not freed"), "{failure}");
    assert!(failure.message().contains("giving_up.rs:"), "where it was spawned: {failure}");
}

#[test]
fn a_notification_that_goes_with_one_who_was_told() {
    let program = coordination::a_notification_of_one_that_goes_reaches_another::program;
    someone_sleeps("notify-keeps-the-unwanted", program);
}

#[test]
fn a_condition_that_frees_the_lock_before_it_waits() {
    let program = coordination::a_producer_and_a_consumer_take_turns::program;
    someone_sleeps("condvar-frees-the-lock-first", program);
}

#[test]
fn a_barrier_that_counts_one_who_has_gone() {
    let program = coordination::a_wait_that_is_dropped_takes_its_arrival_back::program;
    something_is_wrong("barrier-keeps-the-arrival", program);
}

#[test]
fn a_cell_whose_next_one_is_not_told_of_a_failure() {
    let program = coordination::a_cell_is_made_by_one_after_others_have_failed::program;
    someone_sleeps("once-abandons-silently", program);
}

#[test]
fn a_token_that_is_cancelled_silently() {
    let program = coordination::a_cancellation_reaches_all_below_and_nobody_beside::program;
    someone_sleeps("token-cancels-silently", program);
}

#[test]
fn a_channel_waited_for_without_a_second_look() {
    let program = channels::two_senders_and_two_receivers_with_room_for_one::program;
    someone_sleeps("channel-looks-once", program);
}

#[test]
fn a_message_that_goes_with_one_who_was_to_receive_it() {
    found("channel-keeps-a-claim", giving_up::a_receiver::program);
}

#[test]
fn a_channel_that_is_over_while_room_is_set_aside() {
    let program = channels::a_channel_is_not_over_while_room_is_set_aside::program;
    something_is_wrong("ring-closes-over-claimed-slots", program);
}

#[test]
fn room_that_is_given_back_silently() {
    let program = channels::room_that_is_given_back_ends_a_closed_channel::program;
    someone_sleeps("channel-unclaims-silently", program);
}

#[test]
fn an_answer_waited_for_without_a_second_look() {
    someone_sleeps("oneshot-no-second-look", channels::answers_reach_whoever_asked::program);
}

#[test]
fn a_broadcast_that_is_closed_silently() {
    let program = channels::a_receiver_knows_how_many_messages_it_has_missed::program;
    someone_sleeps("broadcast-closes-silently", program);
}

#[test]
fn a_watch_that_is_closed_silently() {
    someone_sleeps("watch-closes-silently", channels::a_watched_value_never_goes_back::program);
}

#[test]
fn a_thread_that_is_woken_silently() {
    let program = channels::threads_and_tasks_exchange_messages::program;
    someone_sleeps("blocking-wakes-silently", program);
}
