//! The allocation that the two ends of a oneshot channel share.
//!
//! ```text
//!                    sender: sends, or is dropped
//!            ┌───────────────────────────────────────► COMPLETE: the receiver has what is there
//!   0 ───────┤                                            │ close, drop: CLOSED too, in vain
//!            └───────────────────────────────────────► CLOSED: the sender keeps its value
//!                    receiver: closes, or is dropped
//!
//!   beside: RECEIVER_WAITS   its waker is there, for the sender to call when it completes
//!           SENDER_WAITS     its waker is there, for the receiver to call when it closes
//!           SENDER_GONE      ┐ the last thing that an end does with the cell; whoever finds the
//!           RECEIVER_GONE    ┘ other's bit frees it
//! ```
//!
//! A sender that nobody waits for completes and goes in one step; a receiver that finds it gone
//! frees the cell without a step of its own. So a value that is sent before it is awaited costs
//! one read-modify-write in all.
//!
//! Rules:
//! 1. The value is the sender's until COMPLETE, then the receiver's. CLOSED before COMPLETE keeps
//!    COMPLETE from being set.
//! 2. A waker's slot is its owner's while the owner's bit is clear. With the bit set both ends may
//!    read the slot. The owner gets it back by clearing the bit before the other end has ended
//!    (COMPLETE for the receiver's slot, CLOSED for the sender's), or by ending first itself. Else
//!    nobody writes to it again.
//! 3. An end reads the other's slot only if the step by which it ended found the bit, before it
//!    sets its own GONE. The waker is called after that.
//! 4. The cell is freed when both are gone, by the second.
//! 5. Where an end goes, panics of wakers are contained: they would keep the end from going, or the
//!    other one from being woken.

use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::task::{Poll, Waker};

use crate::platform::mutation::mutation;
use crate::platform::sync::UnsafeCell;
use crate::platform::sync::atomic::{AtomicU8, Ordering};
use crate::platform::thread;
use crate::waiter::{discard, duplicate, wake};

const COMPLETE: u8 = 1;
const CLOSED: u8 = 1 << 1;
const RECEIVER_WAITS: u8 = 1 << 2;
const SENDER_WAITS: u8 = 1 << 3;
const SENDER_GONE: u8 = 1 << 4;
const RECEIVER_GONE: u8 = 1 << 5;

/// See the module documentation.
struct Cell<T> {
    state: AtomicU8,
    value: UnsafeCell<Option<T>>,
    receiver: UnsafeCell<Option<Waker>>,
    sender: UnsafeCell<Option<Waker>>,
}

/// The two ends of a new cell.
#[inline]
pub(super) fn new<T>() -> (SenderEnd<T>, ReceiverEnd<T>) {
    let cell = NonNull::from(Box::leak(Box::new(Cell {
        state: AtomicU8::new(0),
        value: UnsafeCell::new(None),
        receiver: UnsafeCell::new(None),
        sender: UnsafeCell::new(None),
    })));
    (SenderEnd(cell), ReceiverEnd(cell))
}

impl<T> Cell<T> {
    /// Leaves `waker` in the slot of an end, whose bit is `waits`, unless the other end has ended:
    /// `ended` is the bit for that. Whether it has.
    fn leave_waker(
        &self,
        slot: &UnsafeCell<Option<Waker>>,
        waits: u8,
        ended: u8,
        waker: &Waker,
    ) -> bool {
        // Acquire: pairs with the step by which the other end ends: the caller goes on after it.
        let state = self.state.load(Ordering::Acquire);
        if state & ended != 0 {
            return true;
        }
        if state & waits != 0 {
            let is_same = |own: &Waker| own.will_wake(waker);
            // SAFETY: rule 2: with the bit set it is not written to.
            let is_own = slot.with(|own| unsafe { &*own }.as_ref().is_some_and(is_same));
            if is_own {
                return false;
            }
            // Acquire: as above.
            let before = self.state.fetch_and(!waits, Ordering::Acquire);
            if before & ended != 0 {
                return true;
            }
        }
        let waker = waker.clone();
        // SAFETY: rule 2: the bit is clear, and was so before the other end ended.
        let unneeded = slot.with_mut(|own| unsafe { &mut *own }.replace(waker));
        // Release: the waker is there. Acquire: as above.
        let before = self.state.fetch_or(waits, Ordering::AcqRel);
        discard(unneeded);
        mutation!("oneshot-no-second-look", before & ended != 0, false)
    }

    /// Takes the waker of an end out of its slot again, if the other end leaves it there.
    fn withdraw_waker(
        &self,
        slot: &UnsafeCell<Option<Waker>>,
        waits: u8,
        ended: u8,
    ) -> Option<Waker> {
        // Relaxed: the end reads nothing but what it wrote itself.
        let before = self.state.fetch_and(!waits, Ordering::Relaxed);
        if before & waits == 0 || before & ended != 0 {
            return None;
        }
        // SAFETY: rule 2: the bit was cleared before the other end ended.
        slot.with_mut(|own| unsafe { &mut *own }.take())
    }

    /// The receiver closes the channel: the state before, and the sender's waker, to be called.
    fn close(&self) -> (u8, Option<Waker>) {
        // Acquire: pairs with the sender's, whose waker or value is there. Release: the sender
        // that finds the channel closed goes on after this.
        let before = self.state.fetch_or(CLOSED, Ordering::AcqRel);
        if before & (COMPLETE | CLOSED) != 0 || before & SENDER_WAITS == 0 {
            return (before, None);
        }
        // SAFETY: rule 3: this step has ended the receiver, and found the sender's bit.
        let waker = self.sender.with(|waker| unsafe { &*waker }.as_ref().and_then(duplicate));
        (before, mutation!("oneshot-closes-silently", waker, None))
    }
}

/// An end is gone; if the other one is, the cell is freed.
///
/// # Safety
/// The end of which `gone` is the bit touches the cell no more.
unsafe fn leave<T>(cell: NonNull<Cell<T>>, gone: u8) {
    // SAFETY: rule 4: this end is not gone yet.
    let state = unsafe { &cell.as_ref().state };
    // AcqRel: what this end did comes before the cell is freed, by whichever end frees it.
    let before = state.fetch_or(gone, Ordering::AcqRel);
    if before & (SENDER_GONE | RECEIVER_GONE) != 0 {
        // SAFETY: rule 4.
        unsafe { free(cell) };
    }
}

/// # Safety
/// Both ends are gone, or this is the only one that is not, and it touches the cell no more.
unsafe fn free<T>(cell: NonNull<Cell<T>>) {
    // SAFETY: `new` has it from a box, and nobody has it any more.
    drop(unsafe { Box::from_raw(cell.as_ptr()) });
}

/// The sender's side of the cell. Dropping it completes the channel without a value.
pub(super) struct SenderEnd<T>(NonNull<Cell<T>>);

// SAFETY: it gives a value, and what it reads of the cell is `Sync`.
unsafe impl<T: Send> Send for SenderEnd<T> {}
// SAFETY: through a shared reference there is the state alone.
unsafe impl<T: Send> Sync for SenderEnd<T> {}

impl<T> SenderEnd<T> {
    fn cell(&self) -> &Cell<T> {
        // SAFETY: rule 4: this end is not gone.
        unsafe { self.0.as_ref() }
    }

    /// Sends the value.
    ///
    /// # Errors
    /// The value, if the channel is closed.
    #[inline]
    pub(super) fn send(self, value: T) -> Result<(), T> {
        self.complete(Some(value)).map_err(|value| value.expect("a value was to be sent"))
    }

    #[inline]
    fn complete(self, mut value: Option<T>) -> Result<(), Option<T>> {
        let end = ManuallyDrop::new(self);
        let cell = end.cell();
        // Relaxed: the exchange decides.
        let mut state = cell.state.load(Ordering::Relaxed);
        if state & CLOSED == 0 {
            // SAFETY: rule 1: it is not complete.
            cell.value.with_mut(|place| unsafe { *place = value.take() });
            loop {
                let is_awaited = state & (RECEIVER_WAITS | SENDER_WAITS) != 0;
                let gone = if is_awaited { 0 } else { SENDER_GONE };
                // Release: the value is there. Acquire: so is the receiver's waker.
                let order = mutation!("oneshot-unordered", Ordering::AcqRel, Ordering::Relaxed);
                let next = state | COMPLETE | gone;
                match cell.state.compare_exchange(state, next, order, Ordering::Relaxed) {
                    Ok(_) => {
                        // If this end is gone, the receiver is not, and frees the cell: it goes
                        // after CLOSED or COMPLETE alone.
                        if is_awaited {
                            end.wake(state);
                        }
                        return Ok(());
                    }
                    Err(found) if found & CLOSED != 0 => break,
                    Err(found) => state = found,
                }
            }
            // SAFETY: rule 1: it is closed, and so will not be complete.
            value = cell.value.with_mut(|place| unsafe { &mut *place }.take());
        }
        // SAFETY: the end is not used after this.
        unsafe { leave(end.0, SENDER_GONE) };
        Err(value)
    }

    /// The end has completed, and found `state`. It goes, and the receiver is woken.
    #[cold]
    fn wake(&self, state: u8) {
        let cell = self.cell();
        let receiver = if state & RECEIVER_WAITS == 0 {
            None
        } else {
            // SAFETY: rule 3: the step has found the bit.
            cell.receiver.with(|waker| unsafe { &*waker }.as_ref().and_then(duplicate))
        };
        // SAFETY: rule 2: this end was the first to end.
        let own = cell.sender.with_mut(|waker| unsafe { &mut *waker }.take());
        // SAFETY: the end is not used after this: `complete` has consumed it.
        unsafe { leave(self.0, SENDER_GONE) };
        wake(mutation!("oneshot-wakes-nobody", receiver, None));
        discard(own);
    }

    pub(super) fn is_closed(&self) -> bool {
        // Acquire: pairs with `close`.
        self.cell().state.load(Ordering::Acquire) & CLOSED != 0
    }

    /// Whether the channel is closed; if not, `waker` is called when it is.
    pub(super) fn poll_closed(&mut self, waker: &Waker) -> Poll<()> {
        let cell = self.cell();
        if cell.leave_waker(&cell.sender, SENDER_WAITS, CLOSED, waker) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// Forgets the waker of `poll_closed`.
    pub(super) fn forget_waker(&mut self) {
        let cell = self.cell();
        drop(cell.withdraw_waker(&cell.sender, SENDER_WAITS, CLOSED));
    }
}

impl<T> Drop for SenderEnd<T> {
    #[inline]
    fn drop(&mut self) {
        // A model that has failed is unwinding, and must not be scheduled any more.
        if cfg!(volt_loom) && thread::panicking() {
            return;
        }
        // Without a value there is none to be given back.
        let _ = SenderEnd(self.0).complete(None);
    }
}

/// The receiver's side of the cell. Dropping it closes the channel, and drops a value in it.
pub(super) struct ReceiverEnd<T>(NonNull<Cell<T>>);

// SAFETY: it takes a value, and what it reads of the cell is `Sync`.
unsafe impl<T: Send> Send for ReceiverEnd<T> {}
// SAFETY: through a shared reference there is nothing.
unsafe impl<T: Send> Sync for ReceiverEnd<T> {}

impl<T> ReceiverEnd<T> {
    fn cell(&self) -> &Cell<T> {
        // SAFETY: rule 4: this end is not gone.
        unsafe { self.0.as_ref() }
    }

    /// What there will ever be, if that is settled: a value, or none.
    #[inline]
    pub(super) fn try_recv(&mut self) -> Poll<Option<T>> {
        // Acquire: pairs with the sender's release: the value is there.
        match self.cell().state.load(Ordering::Acquire) {
            state if state & COMPLETE != 0 => Poll::Ready(self.take()),
            state if state & CLOSED != 0 => Poll::Ready(None),
            _ => Poll::Pending,
        }
    }

    /// As `try_recv`; if nothing is settled, `waker` is called when it is.
    pub(super) fn poll_recv(&mut self, waker: &Waker) -> Poll<Option<T>> {
        let settled = self.try_recv();
        if settled.is_ready() {
            return settled;
        }
        let cell = self.cell();
        if cell.leave_waker(&cell.receiver, RECEIVER_WAITS, COMPLETE, waker) {
            Poll::Ready(self.take())
        } else {
            Poll::Pending
        }
    }

    /// Takes the value, if it was sent and is not taken. The channel is complete.
    fn take(&mut self) -> Option<T> {
        // SAFETY: rule 1: it is complete, as the caller saw.
        self.cell().value.with_mut(|value| unsafe { &mut *value }.take())
    }

    /// Forgets the waker of `poll_recv`.
    pub(super) fn forget_waker(&mut self) {
        let cell = self.cell();
        drop(cell.withdraw_waker(&cell.receiver, RECEIVER_WAITS, COMPLETE));
    }

    /// Keeps the sender from sending.
    pub(super) fn close(&mut self) {
        let (_, sender) = self.cell().close();
        wake(sender);
    }
}

impl<T> Drop for ReceiverEnd<T> {
    #[inline]
    fn drop(&mut self) {
        // As in the sender's.
        if cfg!(volt_loom) && thread::panicking() {
            return;
        }
        // Acquire: what the sender did comes before the cell is freed.
        if self.cell().state.load(Ordering::Acquire) & SENDER_GONE != 0 {
            // SAFETY: the other end is gone, and this one touches the cell no more.
            unsafe { free(self.0) };
        } else {
            self.leave_first();
        }
    }
}

impl<T> ReceiverEnd<T> {
    /// Goes, maybe before the sender.
    #[cold]
    fn leave_first(&mut self) {
        let cell = self.cell();
        let (before, sender) = cell.close();
        let (value, own) = if before & COMPLETE != 0 {
            (self.take(), None)
        } else {
            // SAFETY: rule 2: this end was the first to end.
            (None, cell.receiver.with_mut(|waker| unsafe { &mut *waker }.take()))
        };
        // SAFETY: the end is being dropped, and uses the cell no more.
        unsafe { leave(self.0, RECEIVER_GONE) };
        wake(sender);
        discard(own);
        drop(value);
    }
}

#[cfg(all(test, volt_loom))]
mod models {
    use std::sync::Arc;
    use std::task::Wake;

    use super::*;
    use crate::platform::model::model;
    use crate::platform::mutation::is_noticed;
    use crate::platform::sync::atomic::AtomicBool;

    struct Task(AtomicBool);

    impl Wake for Task {
        fn wake(self: Arc<Task>) {
            self.0.store(true, Ordering::Release);
        }
    }

    fn task() -> (Arc<Task>, Waker) {
        let task = Arc::new(Task(AtomicBool::new(false)));
        (Arc::clone(&task), Waker::from(task))
    }

    fn is_woken(task: &Task) -> bool {
        task.0.load(Ordering::Acquire)
    }

    fn send_and_wait() {
        let (sender, mut receiver) = new();
        let thread = loom::thread::spawn(move || sender.send(7).unwrap());
        let (task, waker) = task();
        let polled = receiver.poll_recv(&waker);
        thread.join().unwrap();
        let value = match polled {
            Poll::Ready(value) => value,
            Poll::Pending => {
                assert!(is_woken(&task), "the value is here and nobody wakes the receiver");
                let Poll::Ready(value) = receiver.try_recv() else { panic!("nothing is sent") };
                value
            }
        };
        assert_eq!(value, Some(7));
    }

    #[test]
    fn a_send_meets_a_receiver_that_begins_to_wait() {
        model(send_and_wait);
    }

    #[test]
    fn no_second_look_mutant_is_noticed() {
        assert!(is_noticed("oneshot-no-second-look", || model(send_and_wait)));
    }

    #[test]
    fn a_send_that_wakes_nobody_mutant_is_noticed() {
        assert!(is_noticed("oneshot-wakes-nobody", || model(send_and_wait)));
    }

    fn send_and_try() {
        let (sender, mut receiver) = new();
        // This way round: loom keeps one access of a word, and would forget a load of this thread
        // behind those of the other one, and with it that they can come in another order.
        let thread = loom::thread::spawn(move || (receiver.try_recv(), receiver));
        sender.send(7).unwrap();
        let (first, mut receiver) = thread.join().unwrap();
        let second = receiver.try_recv();
        let seven = Poll::Ready(Some(7));
        assert!(first == seven || (first == Poll::Pending && second == seven));
    }

    #[test]
    fn a_send_meets_an_attempt_to_receive() {
        model(send_and_try);
    }

    #[test]
    fn unordered_mutant_is_noticed() {
        assert!(is_noticed("oneshot-unordered", || model(send_and_try)));
    }

    #[test]
    fn a_sender_is_dropped_while_the_receiver_begins_to_wait() {
        model(|| {
            let (sender, mut receiver) = new::<u32>();
            let thread = loom::thread::spawn(move || drop(sender));
            let (task, waker) = task();
            let polled = receiver.poll_recv(&waker);
            thread.join().unwrap();
            assert!(polled.is_ready() || is_woken(&task));
            assert_eq!(receiver.try_recv(), Poll::Ready(None));
        });
    }

    #[test]
    fn a_send_meets_a_receiver_that_changes_its_waker() {
        model(|| {
            let (sender, mut receiver) = new();
            let ((_first, first_waker), (second, second_waker)) = (task(), task());
            assert!(receiver.poll_recv(&first_waker).is_pending());
            let thread = loom::thread::spawn(move || sender.send(7).unwrap());
            let polled = receiver.poll_recv(&second_waker);
            thread.join().unwrap();
            let polled = match polled {
                Poll::Pending => {
                    assert!(is_woken(&second), "the older waker was called");
                    receiver.try_recv()
                }
                ready => ready,
            };
            assert_eq!(polled, Poll::Ready(Some(7)));
        });
    }

    #[test]
    fn a_send_meets_a_close() {
        model(|| {
            let (sender, mut receiver) = new();
            let thread = loom::thread::spawn(move || sender.send(7));
            receiver.close();
            let received = receiver.try_recv();
            match thread.join().unwrap() {
                Ok(()) => assert_eq!(received, Poll::Ready(Some(7))),
                Err(value) => assert_eq!((value, received), (7, Poll::Ready(None))),
            }
        });
    }

    #[test]
    fn a_send_meets_a_receiver_that_waits_and_is_dropped() {
        model(|| {
            let value = Arc::new(());
            let (sender, mut receiver) = new();
            let (_task, waker) = task();
            assert!(receiver.poll_recv(&waker).is_pending());
            let sent = Arc::clone(&value);
            let thread = loom::thread::spawn(move || drop(sender.send(sent)));
            drop(receiver);
            thread.join().unwrap();
            assert_eq!(Arc::strong_count(&value), 1);
        });
    }

    fn drop_and_wait_for_the_end() {
        let (mut sender, receiver) = new::<u32>();
        let thread = loom::thread::spawn(move || drop(receiver));
        let (task, waker) = task();
        let polled = sender.poll_closed(&waker);
        thread.join().unwrap();
        assert!(polled.is_ready() || is_woken(&task), "nobody wakes the sender");
        assert!(sender.is_closed());
    }

    #[test]
    fn a_receiver_is_dropped_while_the_sender_begins_to_wait() {
        model(drop_and_wait_for_the_end);
    }

    #[test]
    fn a_silent_close_mutant_is_noticed() {
        assert!(is_noticed("oneshot-closes-silently", || model(drop_and_wait_for_the_end)));
    }

    #[test]
    fn both_ends_wait_and_are_dropped() {
        model(|| {
            let (mut sender, mut receiver) = new::<u32>();
            let (_task, waker) = task();
            assert!(receiver.poll_recv(&waker).is_pending());
            assert!(sender.poll_closed(&waker).is_pending());
            let thread = loom::thread::spawn(move || drop(receiver));
            drop(sender);
            thread.join().unwrap();
        });
    }
}
