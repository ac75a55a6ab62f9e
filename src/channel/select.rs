//! The first of several receives and sends, whose number is known when the program runs.

use std::fmt;
use std::future::Future;
use std::mem;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::errors::{RecvError, SendError, TryRecvError, TrySendError};
use super::receiver::Receiver;
use super::recv::Recv;
use super::send::Reserve;
use super::sender::Sender;
use crate::combinator::select_order;
use crate::platform::probe;
use crate::waiter;

/// The most branches of one [`Select`].
const MOST_BRANCHES: usize = (u32::MAX / 2) as usize;

/// Waits for the first of several receives and sends on channels of one message type. For branches
/// that are known when the program is written, and for futures of other kinds,
/// [`select!`](crate::select) needs no allocation; this one allocates once for each branch.
///
/// A branch is added by [`recv`](Select::recv) or [`send`](Select::send), which give its number,
/// counted from 0. Each [`wait`](Select::wait) completes one branch. A branch that receives stays
/// until its channel is closed and empty, a branch that sends until its message is sent or the
/// channel is closed: then it has ended, which the wait reports once. The numbers of the others
/// stay the same.
///
/// Each poll begins with a random branch and goes in a random direction, so that none is starved:
/// each of two branches that are ready is first in half of the cases. In simulation that is a
/// decision of the run, which its seed replays. A wait sleeps until one of the channels wakes it,
/// and looks at every branch then.
///
/// ```
/// use volt::channel::{self, Select, Selected};
///
/// volt::run(|io| async move {
///     let (requests, inbox) = channel::unbounded();
///     let (outbox, replies) = channel::bounded(1);
///     io.spawn(async move { requests.send("request").await });
///
///     let mut select = Select::new();
///     let received = select.recv(&inbox);
///     let sent = select.send(&outbox, "reply");
///     while let Some(selected) = select.wait().await {
///         match selected {
///             Selected::Received(branch, Ok(message)) => {
///                 assert_eq!((branch, message), (received, "request"));
///             }
///             Selected::Received(branch, Err(_)) => assert_eq!(branch, received),
///             Selected::Sent(branch, result) => assert_eq!((branch, result), (sent, Ok(()))),
///         }
///     }
///     assert_eq!(replies.try_recv(), Ok("reply"));
/// });
/// ```
#[must_use = "a select does nothing unless it is waited for"]
pub struct Select<'a, T> {
    branches: Vec<Branch<'a, T>>,
}

/// What one branch of a [`Select`] came to, with the number of the branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selected<T> {
    /// A branch of [`Select::recv`] has received a message; or its channel is closed and empty, and
    /// the branch has ended.
    Received(usize, Result<T, RecvError>),
    /// A branch of [`Select::send`] has ended: its message is sent, or the channel is closed, and
    /// the message is in the error.
    Sent(usize, Result<(), SendError<T>>),
}

impl<T> Selected<T> {
    /// The number of the branch.
    pub fn branch(&self) -> usize {
        match self {
            Selected::Received(branch, _) | Selected::Sent(branch, _) => *branch,
        }
    }
}

impl<'a, T> Select<'a, T> {
    /// No branches.
    pub const fn new() -> Select<'a, T> {
        Select { branches: Vec::new() }
    }

    /// Adds a branch that receives from `receiver`, and gives its number.
    ///
    /// # Panics
    /// If there are 2,147,483,647 branches.
    pub fn recv(&mut self, receiver: &'a Receiver<T>) -> usize {
        self.push(Branch::Receive { receiver, future: Box::pin(None) })
    }

    /// Adds a branch that sends `value` by `sender`, and gives its number. The message stays here
    /// until there is room for it; [`remove`](Select::remove) gives it back before that.
    ///
    /// # Panics
    /// If there are 2,147,483,647 branches.
    pub fn send(&mut self, sender: &'a Sender<T>, value: T) -> usize {
        self.push(Branch::Send { sender, value, future: Box::pin(None) })
    }

    fn push(&mut self, branch: Branch<'a, T>) -> usize {
        let number = self.branches.len();
        assert!(number < MOST_BRANCHES, "a select has too many branches");
        self.branches.push(branch);
        number
    }

    /// Ends a branch, and gives back the message if it was to send one.
    ///
    /// # Panics
    /// If there never was a branch of that number.
    pub fn remove(&mut self, branch: usize) -> Option<T> {
        match mem::replace(&mut self.branches[branch], Branch::Ended) {
            Branch::Send { value, .. } => Some(value),
            Branch::Receive { .. } | Branch::Ended => None,
        }
    }

    /// Whether all branches have ended.
    pub fn is_empty(&self) -> bool {
        self.branches.iter().all(|branch| matches!(branch, Branch::Ended))
    }

    /// Completes a branch that is ready, if there is one; `None` also if all have ended.
    ///
    /// ```
    /// use volt::channel::{self, Select, Selected};
    ///
    /// let (sender, receiver) = channel::bounded(1);
    /// let mut select = Select::new();
    /// select.recv(&receiver);
    /// assert_eq!(select.try_wait(), None);
    /// sender.try_send(7).unwrap();
    /// assert_eq!(select.try_wait(), Some(Selected::Received(0, Ok(7))));
    /// ```
    pub fn try_wait(&mut self) -> Option<Selected<T>> {
        let mut numbers = order(self.branches.len());
        numbers.find_map(|number| self.branches[number].try_complete(number))
    }

    /// Waits until a branch completes, and gives what it came to; `None` if all have ended.
    ///
    /// A time limit is told apart from everything that a branch can come to: it is the error of
    /// [`time::timeout`](crate::time::timeout).
    ///
    /// Cancel safety: a wait that is dropped before it is ready has received and sent nothing. Its
    /// places in the queues of the channels are lost, and what was set aside for it goes to the
    /// next ones. The branches, and the messages to be sent, stay for the next wait.
    ///
    /// ```
    /// use std::time::Duration;
    /// use volt::channel::{self, RecvError, Select, Selected};
    /// use volt::time::timeout;
    ///
    /// volt::run(|io| async move {
    ///     let (sender, receiver) = channel::bounded::<u32>(1);
    ///     let mut select = Select::new();
    ///     select.recv(&receiver);
    ///     let limit = Duration::from_millis(2);
    ///     assert!(timeout(&io, limit, select.wait()).await.is_err());
    ///     drop(sender);
    ///     let selected = timeout(&io, limit, select.wait()).await.unwrap();
    ///     assert_eq!(selected, Some(Selected::Received(0, Err(RecvError))));
    ///     assert_eq!(select.wait().await, None);
    /// });
    /// ```
    #[track_caller]
    pub fn wait(&mut self) -> SelectWait<'_, 'a, T> {
        for branch in &mut self.branches {
            branch.begin();
        }
        SelectWait { select: self, place: Location::caller() }
    }

    /// Waits as [`wait`](Select::wait), on the calling thread.
    ///
    /// # Panics
    /// If a task calls it: that awaits [`wait`](Select::wait).
    ///
    /// ```
    /// use volt::channel::{self, Select, Selected};
    ///
    /// let (sender, receiver) = channel::unbounded();
    /// let thread = std::thread::spawn(move || sender.try_send(7));
    /// let mut select = Select::new();
    /// select.recv(&receiver);
    /// assert_eq!(select.blocking_wait(), Some(Selected::Received(0, Ok(7))));
    /// thread.join().unwrap().unwrap();
    /// ```
    #[track_caller]
    pub fn blocking_wait(&mut self) -> Option<Selected<T>> {
        waiter::block_on("blocking_wait", "wait", self.wait())
    }
}

/// The numbers of so many branches, in the order of one poll.
fn order(branches: usize) -> impl Iterator<Item = usize> {
    // `push` keeps them in the range.
    let order = (branches > 0).then(|| select_order(branches as u32));
    order.into_iter().flatten().map(|number| number as usize)
}

impl<T> Default for Select<'_, T> {
    fn default() -> Self {
        Select::new()
    }
}

impl<T> fmt::Debug for Select<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Select").field("branches", &self.branches.len()).finish_non_exhaustive()
    }
}

/// One receive or send. A future is there during a wait alone: at its end each leaves the queue of
/// its channel, where something might be set aside for it that nobody would come for.
enum Branch<'a, T> {
    Receive { receiver: &'a Receiver<T>, future: Pin<Box<Option<Recv<'a, T>>>> },
    Send { sender: &'a Sender<T>, value: T, future: Pin<Box<Option<Reserve<'a, T>>>> },
    Ended,
}

impl<T> Branch<'_, T> {
    #[track_caller]
    fn begin(&mut self) {
        match self {
            Branch::Receive { receiver, future } => future.set(Some(receiver.recv())),
            Branch::Send { sender, future, .. } => future.set(Some(sender.reserve())),
            Branch::Ended => {}
        }
    }

    fn stop(&mut self) {
        match self {
            Branch::Receive { future, .. } => future.set(None),
            Branch::Send { future, .. } => future.set(None),
            Branch::Ended => {}
        }
    }

    fn poll(&mut self, number: usize, context: &mut Context<'_>) -> Poll<Selected<T>> {
        match self {
            Branch::Receive { future, .. } => {
                let result = ready!(poll_begun(future, context));
                if result.is_err() {
                    *self = Branch::Ended;
                }
                Poll::Ready(Selected::Received(number, result))
            }
            Branch::Send { future, .. } => {
                let room = ready!(poll_begun(future, context));
                Poll::Ready(Selected::Sent(
                    number,
                    match (room, self.end_send()) {
                        (Ok(permit), value) => {
                            permit.send(value);
                            Ok(())
                        }
                        (Err(SendError(())), value) => Err(SendError(value)),
                    },
                ))
            }
            Branch::Ended => Poll::Pending,
        }
    }

    fn try_complete(&mut self, number: usize) -> Option<Selected<T>> {
        match self {
            Branch::Receive { receiver, .. } => match receiver.try_recv() {
                Ok(value) => Some(Selected::Received(number, Ok(value))),
                Err(TryRecvError::Empty) => None,
                Err(TryRecvError::Closed) => {
                    *self = Branch::Ended;
                    Some(Selected::Received(number, Err(RecvError)))
                }
            },
            Branch::Send { sender, .. } => match sender.try_reserve() {
                Ok(permit) => {
                    permit.send(self.end_send());
                    Some(Selected::Sent(number, Ok(())))
                }
                Err(TrySendError::Full(())) => None,
                Err(TrySendError::Closed(())) => {
                    Some(Selected::Sent(number, Err(SendError(self.end_send()))))
                }
            },
            Branch::Ended => None,
        }
    }

    /// Ends a branch that sends, and gives its message.
    fn end_send(&mut self) -> T {
        match mem::replace(self, Branch::Ended) {
            Branch::Send { value, .. } => value,
            Branch::Receive { .. } | Branch::Ended => unreachable!("it is a branch that sends"),
        }
    }
}

fn poll_begun<F: Future>(
    future: &mut Pin<Box<Option<F>>>,
    context: &mut Context<'_>,
) -> Poll<F::Output> {
    let begun = future.as_mut().as_pin_mut();
    begun.expect("`SelectWait` polled after it was ready").poll(context)
}

/// The future of [`Select::wait`].
///
/// # Panics
/// If it is polled after it was ready, unless it gave `None`.
#[must_use = "a future does nothing unless it is awaited"]
pub struct SelectWait<'s, 'a, T> {
    select: &'s mut Select<'a, T>,
    place: &'static Location<'static>,
}

impl<T> SelectWait<'_, '_, T> {
    fn stop(&mut self) {
        for branch in &mut self.select.branches {
            branch.stop();
        }
    }
}

impl<T> Future for SelectWait<'_, '_, T> {
    type Output = Option<Selected<T>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.select.is_empty() {
            return Poll::Ready(None);
        }
        for number in order(self.select.branches.len()) {
            let polled = self.select.branches[number].poll(number, context);
            if let Poll::Ready(selected) = polled {
                self.stop();
                return Poll::Ready(Some(selected));
            }
        }
        probe::task_waits("a branch of a `Select`", self.place);
        Poll::Pending
    }
}

impl<T> Drop for SelectWait<'_, '_, T> {
    fn drop(&mut self) {
        self.stop();
    }
}

impl<T> fmt::Debug for SelectWait<'_, '_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SelectWait").field("select", &self.select).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests {
    use std::cell::Cell;
    use std::marker;
    use std::pin::pin;
    use std::rc::Rc;
    use std::task::Waker;
    use std::thread;
    use std::time::Duration;

    use super::super::test_wakers::{Count, poll};
    use super::super::{bounded, unbounded};
    use super::*;
    use crate::coop;

    fn is_send<T: marker::Send>(_: &T) {}
    fn is_send_and_sync<T: marker::Send + Sync>(_: &T) {}

    #[test]
    fn a_select_and_its_future_may_go_anywhere() {
        // A message that is `Send` alone.
        let (sender, receiver) = bounded::<Cell<u8>>(1);
        let mut select = Select::new();
        select.recv(&receiver);
        select.send(&sender, Cell::new(1));
        is_send(&select);
        is_send(&select.wait());
        let (_sender, receiver) = bounded::<u8>(1);
        let mut select = Select::default();
        select.recv(&receiver);
        is_send_and_sync(&select);
        is_send_and_sync(&select.wait());
    }

    #[test]
    fn each_of_two_ready_branches_completes_in_half_of_the_rounds() {
        let rounds = 10_000;
        let (sender, receiver) = unbounded();
        let (_others, other) = unbounded();
        let count = Count::new();
        let mut firsts = [0; 2];
        for is_try in [false, true] {
            for _ in 0..rounds / 2 {
                sender.try_send(()).unwrap();
                let mut select = Select::new();
                select.recv(&receiver);
                select.recv(&receiver);
                for _ in 0..3 {
                    select.recv(&other);
                }
                let selected = if is_try {
                    select.try_wait()
                } else {
                    match poll(pin!(select.wait()), &count) {
                        Poll::Ready(selected) => selected,
                        Poll::Pending => panic!("a message is there"),
                    }
                };
                firsts[selected.expect("a message is there").branch()] += 1;
            }
        }
        assert!((rounds * 2 / 5..=rounds * 3 / 5).contains(&firsts[0]), "{firsts:?}");
    }

    /// Defect 14 of the originals: probing a branch consumed its message.
    #[test]
    fn the_branch_that_is_not_first_has_moved_nothing() {
        let (sender, receiver) = bounded(2);
        let (other_sender, other) = bounded(2);
        let count = Count::new();
        for round in 0..100 {
            sender.try_send(round).unwrap();
            other_sender.try_send(round).unwrap();
            let (full, _full) = bounded(1);
            let mut select = Select::new();
            select.recv(&receiver);
            select.recv(&other);
            select.send(&full, round);
            let Poll::Ready(Some(selected)) = poll(pin!(select.wait()), &count) else {
                panic!("all branches are ready");
            };
            let expected = match selected {
                Selected::Received(0, Ok(_)) => (0, 1, 0),
                Selected::Received(1, Ok(_)) => (1, 0, 0),
                Selected::Sent(2, Ok(())) => (1, 1, 1),
                other => panic!("{other:?}"),
            };
            assert_eq!((receiver.len(), other.len(), full.len()), expected);
            let _ = (receiver.try_recv(), other.try_recv());
        }
    }

    #[test]
    fn a_wait_sleeps_until_a_channel_wakes_it() {
        let (sender, receiver) = bounded(1);
        let (full, drain) = bounded(1);
        full.try_send(0).unwrap();
        let count = Count::new();
        let mut select = Select::new();
        let received = select.recv(&receiver);
        let sent = select.send(&full, 1);
        {
            let mut wait = pin!(select.wait());
            assert!(poll(wait.as_mut(), &count).is_pending());
            assert_eq!(count.woken(), 0);
            sender.try_send(7).unwrap();
            assert_eq!(count.woken(), 1);
            let expected = Some(Selected::Received(received, Ok(7)));
            assert_eq!(poll(wait.as_mut(), &count), Poll::Ready(expected));
        }
        let mut wait = pin!(select.wait());
        assert!(poll(wait.as_mut(), &count).is_pending());
        assert_eq!(drain.try_recv(), Ok(0));
        assert_eq!(count.woken(), 2);
        assert_eq!(poll(wait.as_mut(), &count), Poll::Ready(Some(Selected::Sent(sent, Ok(())))));
        assert_eq!(drain.try_recv(), Ok(1));
    }

    #[test]
    fn a_dropped_wait_has_moved_nothing_and_stands_in_no_queue() {
        let (sender, receiver) = bounded(1);
        let (full, drain) = bounded(1);
        full.try_send(0).unwrap();
        let count = Count::new();
        let mut select = Select::new();
        select.recv(&receiver);
        let sent = select.send(&full, 1);
        for is_served in [false, true] {
            let mut wait = Box::pin(select.wait());
            assert!(poll(wait.as_mut(), &count).is_pending());
            if is_served {
                sender.try_send(7).unwrap();
                assert_eq!(drain.try_recv(), Ok(0));
            }
            drop(wait);
        }
        assert_eq!(receiver.try_recv(), Ok(7));
        full.try_send(2).unwrap();
        assert_eq!(drain.try_recv(), Ok(2));
        assert_eq!(select.remove(sent), Some(1));
        assert_eq!(drain.len(), 0);
    }

    #[test]
    fn what_was_set_aside_for_the_other_branch_goes_to_the_next_one() {
        let (sender, receiver) = bounded(1);
        let (other_sender, other) = bounded(1);
        let (count, next_count) = (Count::new(), Count::new());
        for round in 0..100 {
            let mut select = Select::new();
            select.recv(&receiver);
            select.recv(&other);
            let mut wait = pin!(select.wait());
            assert!(poll(wait.as_mut(), &count).is_pending());
            let mut next = pin!(other.recv());
            assert!(poll(next.as_mut(), &next_count).is_pending());
            sender.try_send(round).unwrap();
            other_sender.try_send(round).unwrap();
            let Poll::Ready(Some(selected)) = poll(wait, &count) else {
                panic!("both branches are ready");
            };
            if selected.branch() == 0 {
                assert_eq!(poll(next, &next_count), Poll::Ready(Ok(round)));
            } else {
                assert!(poll(next, &next_count).is_pending());
                assert_eq!(receiver.try_recv(), Ok(round));
            }
        }
    }

    /// Defect 14 of the originals: a time limit looked like a closed channel.
    #[test]
    fn a_close_is_what_a_branch_came_to_and_is_told_once() {
        let (sender, receiver) = bounded(1);
        let (refused, closed) = bounded(1);
        sender.try_send(1).unwrap();
        drop((sender, closed));
        let count = Count::new();
        let mut select = Select::new();
        select.recv(&receiver);
        select.send(&refused, 2);
        let mut told = Vec::new();
        while let Poll::Ready(Some(selected)) = poll(pin!(select.wait()), &count) {
            told.push(selected);
        }
        told.sort_by_key(|selected| (selected.branch(), selected == &CLOSED));
        assert_eq!(
            told,
            [Selected::Received(0, Ok(1)), CLOSED, Selected::Sent(1, Err(SendError(2)))]
        );
        assert!(select.is_empty());
        assert_eq!(poll(pin!(select.wait()), &count), Poll::Ready(None));
        assert_eq!((select.try_wait(), select.remove(0), select.remove(1)), (None, None, None));
    }

    const CLOSED: Selected<i32> = Selected::Received(0, Err(RecvError));

    #[test]
    fn trying_completes_each_branch() {
        let (sender, receiver) = bounded(1);
        let mut select = Select::new();
        select.send(&sender, 1);
        select.send(&sender, 2);
        let first = select.try_wait().expect("there is room").branch();
        assert_eq!(select.try_wait(), None);
        assert_eq!(receiver.try_recv(), Ok([1, 2][first]));
        receiver.close();
        let (second, value) = (1 - first, [2, 1][first]);
        assert_eq!(select.try_wait(), Some(Selected::Sent(second, Err(SendError(value)))));
        let mut select = Select::new();
        select.recv(&receiver);
        assert_eq!(select.try_wait(), Some(CLOSED));
        assert_eq!(select.try_wait(), None);
        assert_eq!(Select::<u8>::new().try_wait(), None);
    }

    #[test]
    fn a_message_that_is_not_sent_is_dropped_once() {
        let (sender, receiver) = bounded(1);
        let message = Rc::new(());
        sender.try_send(Rc::clone(&message)).unwrap();
        let mut select = Select::new();
        select.send(&sender, Rc::clone(&message));
        select.recv(&receiver);
        select.remove(1);
        let mut context = Context::from_waker(Waker::noop());
        assert!(pin!(select.wait()).poll(&mut context).is_pending());
        assert_eq!(Rc::strong_count(&message), 3);
        drop(select);
        assert_eq!(Rc::strong_count(&message), 2);
        drop((sender, receiver));
        assert_eq!(Rc::strong_count(&message), 1);
    }

    #[test]
    fn a_task_without_budget_takes_nothing_and_comes_again() {
        let (sender, receiver) = unbounded();
        for number in 0..2 {
            sender.try_send(number).unwrap();
        }
        let count = Count::new();
        let mut select = Select::new();
        select.recv(&receiver);
        coop::with_budget(1, || {
            assert!(poll(pin!(select.wait()), &count).is_ready());
            assert!(poll(pin!(select.wait()), &count).is_pending());
        });
        assert!(count.woken() > 0);
        let expected = Some(Selected::Received(0, Ok(1)));
        assert_eq!(poll(pin!(select.wait()), &count), Poll::Ready(expected));
    }

    #[test]
    fn there_is_no_small_limit_on_the_branches() {
        let channels: Vec<_> = (0..1_000).map(|_| unbounded()).collect();
        let count = Count::new();
        let mut select = Select::new();
        for (_, receiver) in &channels {
            select.recv(receiver);
        }
        let mut wait = pin!(select.wait());
        assert!(poll(wait.as_mut(), &count).is_pending());
        channels[777].0.try_send(7).unwrap();
        let expected = Some(Selected::Received(777, Ok(7)));
        assert_eq!(poll(wait, &count), Poll::Ready(expected));
    }

    #[test]
    fn a_thread_waits() {
        let (sender, receiver) = bounded(1);
        let thread = thread::spawn(move || {
            thread::sleep(Duration::from_millis(10));
            sender.blocking_send(7)
        });
        let mut select = Select::new();
        select.recv(&receiver);
        assert_eq!(select.blocking_wait(), Some(Selected::Received(0, Ok(7))));
        assert_eq!(thread.join().expect("it does not panic"), Ok(()));
        assert_eq!(select.blocking_wait(), Some(CLOSED));
        assert_eq!(select.blocking_wait(), None);
    }

    #[test]
    #[should_panic(expected = "`SelectWait` polled after it was ready")]
    fn a_wait_that_was_ready_is_not_polled_again() {
        let (sender, receiver) = bounded(1);
        sender.try_send(1).unwrap();
        let count = Count::new();
        let mut select = Select::new();
        select.recv(&receiver);
        let mut wait = pin!(select.wait());
        assert!(poll(wait.as_mut(), &count).is_ready());
        let _ = poll(wait, &count);
    }
}
