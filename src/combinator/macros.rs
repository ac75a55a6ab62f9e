//! `select!`, `join!` and `try_join!`, as a program calls them: they tell the expansion in
//! `volt-macros` where this crate is, whatever it is called there.

/// Waits for several futures on the calling task, until the first is ready whose output matches
/// its pattern; drops all futures, and runs the handler of that branch. What the handler gives is
/// the value of the macro.
///
/// ```text
/// select! {
///     biased;                                  // optional: look at the branches in source order
///     pattern = future => handler,
///     pattern = future, if condition => { .. } // a block needs no comma behind it
///     else => handler                          // optional, and last
/// }
/// ```
///
/// 1. All conditions are evaluated, in source order. A branch whose condition is false is disabled
///    for this time; its future is not even made. (Tokio makes it, and does not poll it.)
/// 2. The futures of the other branches are made, in source order, from whatever implements
///    [`IntoFuture`](std::future::IntoFuture). They stay in the calling function's frame: nothing
///    is allocated.
/// 3. They are polled together. If one is ready and its pattern does not match the output, both
///    are dropped, and the branch is disabled for this time.
/// 4. The first output that matches ends the wait: the futures are dropped, the last made first,
///    and then the handler runs. With all branches disabled that is the handler of `else`.
///
/// Any number of branches is possible, and futures of any type, also borrowed ones: `&mut future`
/// is polled on by the next `select!` if another branch was first.
///
/// Handlers are no closures: `?`, `return`, `break`, `continue` and `.await` work in them as
/// around the macro, and different handlers may borrow the same things mutably. All handlers have
/// one type.
///
/// # Fairness
/// Each poll looks at the branches from a random one on, in a random direction, so that of several
/// that are always ready none is starved: each of two is first in half of the cases. In simulation
/// the choice is a decision of the run, which its seed replays. With `biased;` the first ready one
/// in source order wins, nothing is drawn, and it is up to the program that the first branches
/// leave the others a chance.
///
/// The macro spends nothing of the task's [budget](crate::task::coop); its branches do.
///
/// # Cancel safety
/// The branches that did not win are dropped half done, time and again in a loop. That loses
/// nothing if the future is cancel safe, as its documentation says; else make it before the loop,
/// pin it, and use `&mut future`. An output that its pattern does not match is dropped.
///
/// # Panics
/// If all branches are disabled and there is no `else`.
///
/// # Errors
/// Malformed branches are compile errors that say what to write instead.
///
/// ```
/// use volt::channel;
///
/// volt::run(|_io| async {
///     let (sender, receiver) = channel::unbounded();
///     let (stop, stopped) = channel::bounded::<()>(1);
///     for number in 1..=3 {
///         sender.try_send(number).unwrap();
///     }
///     drop(stop);
///     let mut sum = 0;
///     loop {
///         volt::select! {
///             biased;
///             Ok(number) = receiver.recv(), if sum < 3 => sum += number,
///             _ = stopped.recv() => break,
///         }
///     }
///     assert_eq!(sum, 3);
/// });
/// ```
#[macro_export]
macro_rules! select {
    ($($branches:tt)*) => {
        $crate::__private::select! { ($crate) $($branches)* }
    };
}

/// Waits for all of several futures on the calling task, and gives a tuple of their outputs, in
/// source order. Nothing is allocated, and any number of futures is possible, of any types.
///
/// The futures are polled together, each poll beginning with the next one of them. One that is
/// ready is dropped and not polled again, while its output waits for the others. They run on one
/// worker: to use more, spawn tasks and see [`task::join_all`](crate::task::join_all).
///
/// Cancel safety: dropping it drops all futures, and the outputs that wait.
///
/// ```
/// volt::run(|io| async move {
///     let task = io.spawn(async { 1 });
///     let (first, second) = volt::join!(task, async { "two" });
///     assert_eq!((first.unwrap(), second), (1, "two"));
/// });
/// ```
#[macro_export]
macro_rules! join {
    ($($futures:tt)*) => {
        $crate::__private::join! { ($crate) $($futures)* }
    };
}

/// Waits for all of several futures on the calling task, or until the first of them fails. Gives
/// `Ok` with a tuple of their values, in source order; otherwise as [`join!`](crate::join).
///
/// Cancel safety: dropping it drops all futures, and the values that wait.
///
/// # Errors
/// The first error, as soon as it is there; the other futures are dropped. All futures have one
/// error type.
///
/// ```
/// use std::future::{pending, ready};
///
/// volt::run(|_io| async {
///     let both = volt::try_join!(ready(Ok::<_, &str>(1)), async { Ok("two") });
///     assert_eq!(both, Ok((1, "two")));
///
///     let failed = volt::try_join!(pending::<Result<(), _>>(), ready(Err::<(), _>("failed")));
///     assert_eq!(failed, Err("failed"));
/// });
/// ```
#[macro_export]
macro_rules! try_join {
    ($($futures:tt)*) => {
        $crate::__private::try_join! { ($crate) $($futures)* }
    };
}
