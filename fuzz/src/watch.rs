//! The channel of the newest value: nobody sees an older one after a newer one, and nobody waits
//! while there is one to be seen.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::Poll;

use arbitrary::Arbitrary;
use volt::channel::watch::{self, Receiver, RecvError, Sender};

use crate::ledger::{Ledger, Message};
use crate::waits::Waits;
use crate::{Index, WAITERS};

/// The most senders, beside those in futures.
const MOST_SENDERS: usize = 4;

/// What is done to the channel.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Operation {
    /// Exchanges the value, if there is a receiver.
    Send,
    /// Exchanges the value.
    SendReplace,
    /// Looks at the value as if to change it.
    SendUnchanged,
    /// Makes a future of a change.
    Changed(Index),
    /// Makes a future of a value: so many changes from now, of which few are counted.
    WaitFor(Index, u8),
    /// Polls the future.
    Poll(Index),
    /// Drops it, and keeps the receiver.
    Cancel(Index),
    /// Looks at the value.
    Borrow(Index),
    /// Looks at the value, and notes it as seen.
    Update(Index),
    /// Notes the value as not seen.
    MarkChanged(Index),
    /// Notes the value as seen.
    MarkUnchanged(Index),
    /// Makes a receiver, by a sender.
    Subscribe(Index),
    /// Makes a receiver, by another one.
    CloneReceiver(Index, Index),
    /// Drops a receiver.
    DropReceiver(Index),
    /// Makes a future of the end of all receivers.
    Closed(Index),
    /// Polls it.
    PollClosed(Index),
    /// Drops it.
    CancelClosed(Index),
    /// Makes another sender.
    CloneSender,
    /// Drops a sender.
    DropSender,
}

/// Carries the operations out.
///
/// # Panics
/// If the channel is not as it must be.
pub fn run(operations: &[Operation]) {
    let ledger = Ledger::default();
    let (sender, receiver) = watch::watch(ledger.issue(0));
    let mut interpreter = Interpreter {
        senders: vec![sender],
        receivers: Default::default(),
        ledger: ledger.clone(),
        waits: Waits::default(),
        wants: [None; WAITERS],
        closings: Waits::default(),
        model: Model { value: 0, seen: [None; WAITERS], is_closed: false },
    };
    interpreter.add_receiver(0, receiver, Seen::Value(0));
    for operation in operations {
        interpreter.apply(*operation);
        interpreter.check();
    }
    drop(interpreter);
    assert_eq!(ledger.count(), 0, "a value is left");
}

/// What a future of a receiver waits for.
#[derive(Clone, Copy)]
enum Want {
    Change,
    Value {
        /// The first number that will do.
        from: u64,
        /// Whether it has looked at a value.
        has_looked: bool,
    },
}

struct Interpreter {
    senders: Vec<Sender<Message>>,
    /// A future has borrowed the one that it waits for.
    receivers: [Option<Rc<RefCell<Receiver<Message>>>>; WAITERS],
    ledger: Ledger,
    /// Of a change, or of a value: then with its number.
    waits: Waits<'static, Result<Option<u64>, RecvError>>,
    wants: [Option<Want>; WAITERS],
    /// Of the end of all receivers; each has a sender of its own.
    closings: Waits<'static, ()>,
    model: Model,
}

impl Interpreter {
    fn apply(&mut self, operation: Operation) {
        match operation {
            Operation::Send => {
                let Some(sender) = self.senders.first() else { return };
                let number = self.model.value + 1;
                match sender.send(self.ledger.issue(number)) {
                    Ok(()) => {
                        assert!(self.model.receiver_count() > 0, "a value was sent to nobody");
                        self.model.value = number;
                    }
                    Err(error) => {
                        assert_eq!(self.model.receiver_count(), 0);
                        assert_eq!(error.into_inner().number(), number);
                    }
                }
            }
            Operation::SendReplace => {
                let Some(sender) = self.senders.first() else { return };
                let before = sender.send_replace(self.ledger.issue(self.model.value + 1));
                assert_eq!(before.number(), self.model.value);
                self.model.value += 1;
            }
            Operation::SendUnchanged => {
                let Some(sender) = self.senders.first() else { return };
                let expected = self.model.value;
                assert!(!sender.send_if_modified(|value| value.number() != expected));
                assert_eq!(sender.borrow().number(), expected);
            }
            Operation::Changed(Index(at)) => {
                if let Some(receiver) = self.idle_receiver(at) {
                    self.wants[at] = Some(Want::Change);
                    self.waits.begin(at, changed(receiver));
                }
            }
            Operation::WaitFor(Index(at), changes) => {
                if let Some(receiver) = self.idle_receiver(at) {
                    let from = self.model.value + u64::from(changes % 4);
                    self.wants[at] = Some(Want::Value { from, has_looked: false });
                    self.waits.begin(at, value_from(receiver, from));
                }
            }
            Operation::Poll(Index(at)) => {
                if let Some(want) = self.wants[at] {
                    let polled = self.waits.poll(at);
                    assert_eq!(polled, self.expect(at, want));
                    if polled.is_ready() {
                        self.wants[at] = None;
                    }
                }
            }
            Operation::Cancel(Index(at)) => self.cancel(at),
            Operation::Borrow(Index(at)) => {
                if let Some(receiver) = self.idle_receiver(at) {
                    let receiver = receiver.borrow();
                    let value = receiver.borrow();
                    assert_eq!(value.number(), self.model.value);
                    assert_eq!(value.has_changed(), self.model.is_unseen_by(at));
                }
            }
            Operation::Update(Index(at)) => {
                if let Some(receiver) = self.idle_receiver(at) {
                    let mut receiver = receiver.borrow_mut();
                    let value = receiver.borrow_and_update();
                    assert_eq!(value.number(), self.model.value);
                    assert_eq!(value.has_changed(), self.model.is_unseen_by(at));
                    drop(value);
                    self.model.see(at);
                }
            }
            Operation::MarkChanged(Index(at)) => {
                if let Some(receiver) = self.idle_receiver(at) {
                    receiver.borrow_mut().mark_changed();
                    self.model.seen[at] = Some(Seen::Nothing);
                }
            }
            Operation::MarkUnchanged(Index(at)) => {
                if let Some(receiver) = self.idle_receiver(at) {
                    receiver.borrow_mut().mark_unchanged();
                    self.model.see(at);
                }
            }
            Operation::Subscribe(Index(at)) => {
                if self.receivers[at].is_none()
                    && let Some(sender) = self.senders.first()
                {
                    let receiver = sender.subscribe();
                    self.add_receiver(at, receiver, Seen::Value(self.model.value));
                }
            }
            Operation::CloneReceiver(Index(at), Index(from)) => {
                if self.receivers[at].is_none()
                    && let Some(other) = self.idle_receiver(from)
                    && let Some(seen) = self.model.seen[from]
                {
                    let receiver = other.borrow().clone();
                    self.add_receiver(at, receiver, seen);
                }
            }
            Operation::DropReceiver(Index(at)) => {
                self.cancel(at);
                self.receivers[at] = None;
                self.model.seen[at] = None;
            }
            Operation::Closed(Index(at)) => {
                if self.closings.is_free(at)
                    && let Some(sender) = self.senders.first().cloned()
                {
                    self.closings.begin(at, async move { sender.closed().await });
                }
            }
            Operation::PollClosed(Index(at)) => {
                if !self.closings.is_free(at) {
                    let has_receivers = self.model.receiver_count() > 0;
                    assert_eq!(self.closings.poll(at).is_pending(), has_receivers);
                    self.close_without_senders();
                }
            }
            Operation::CancelClosed(Index(at)) => {
                self.closings.cancel(at);
                self.close_without_senders();
            }
            Operation::CloneSender => {
                if self.senders.len() < MOST_SENDERS
                    && let Some(sender) = self.senders.first().cloned()
                {
                    self.senders.push(sender);
                }
            }
            Operation::DropSender => {
                drop(self.senders.pop());
                self.close_without_senders();
            }
        }
    }

    fn cancel(&mut self, at: usize) {
        self.waits.cancel(at);
        self.wants[at] = None;
    }

    /// A receiver that no future has borrowed.
    fn idle_receiver(&self, at: usize) -> Option<Rc<RefCell<Receiver<Message>>>> {
        if self.wants[at].is_none() { self.receivers[at].clone() } else { None }
    }

    fn add_receiver(&mut self, at: usize, receiver: Receiver<Message>, seen: Seen) {
        self.receivers[at] = Some(Rc::new(RefCell::new(receiver)));
        self.model.seen[at] = Some(seen);
    }

    fn sender_count(&self) -> usize {
        let closings = (0..WAITERS).filter(|at| !self.closings.is_free(*at));
        self.senders.len() + closings.count()
    }

    fn close_without_senders(&mut self) {
        self.model.is_closed |= self.sender_count() == 0;
    }

    /// Whether a poll of the future is ready.
    fn is_ready(&self, at: usize, want: Want) -> bool {
        let is_unseen = self.model.is_unseen_by(at);
        let has_news = match want {
            Want::Change => is_unseen,
            Want::Value { from, has_looked } => {
                (is_unseen || !has_looked) && self.model.value >= from
            }
        };
        has_news || self.model.is_closed
    }

    /// What a poll must answer.
    fn expect(&mut self, at: usize, want: Want) -> Poll<Result<Option<u64>, RecvError>> {
        let is_ready = self.is_ready(at, want);
        let is_unseen = self.model.is_unseen_by(at);
        self.model.see(at);
        let found = match want {
            Want::Change => is_unseen.then_some(None),
            Want::Value { from, has_looked } => {
                self.wants[at] = Some(Want::Value { from, has_looked: true });
                let is_found = (is_unseen || !has_looked) && self.model.value >= from;
                is_found.then_some(Some(self.model.value))
            }
        };
        if is_ready { Poll::Ready(found.ok_or(RecvError)) } else { Poll::Pending }
    }

    fn check(&self) {
        let has_channel = self.sender_count() + self.model.receiver_count() > 0;
        assert_eq!(self.ledger.count(), usize::from(has_channel));
        if let Some(sender) = self.senders.first() {
            assert_eq!(sender.borrow().number(), self.model.value);
            assert_eq!(sender.is_closed(), self.model.receiver_count() == 0);
            assert_eq!(sender.receiver_count(), self.model.receiver_count());
            assert_eq!(sender.sender_count(), self.sender_count());
        }
        for at in 0..WAITERS {
            if let Some(receiver) = self.idle_receiver(at) {
                let receiver = receiver.borrow();
                assert_eq!(receiver.has_changed(), self.model.has_changed(at));
                assert_eq!(receiver.is_closed(), self.model.is_closed);
            }
            if self.wants[at].is_some_and(|want| self.is_ready(at, want)) {
                self.waits.assert_woken(at);
            }
            if !self.closings.is_free(at) && self.model.receiver_count() == 0 {
                self.closings.assert_woken(at);
            }
        }
    }
}

/// Waits for a change. It borrows the receiver from its first poll on.
#[expect(clippy::await_holding_refcell_ref, reason = "nobody else borrows it during the wait")]
async fn changed(receiver: Rc<RefCell<Receiver<Message>>>) -> Result<Option<u64>, RecvError> {
    let mut receiver = receiver.borrow_mut();
    receiver.changed().await.map(|()| None)
}

/// Waits for a value whose number is `from` or more. It borrows the receiver from its first poll
/// on.
#[expect(clippy::await_holding_refcell_ref, reason = "nobody else borrows it during the wait")]
async fn value_from(
    receiver: Rc<RefCell<Receiver<Message>>>,
    from: u64,
) -> Result<Option<u64>, RecvError> {
    let mut receiver = receiver.borrow_mut();
    let found = receiver.wait_for(|value| value.number() >= from).await;
    found.map(|value| Some(value.number()))
}

/// What a receiver saw last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Nothing,
    /// The value of this number.
    Value(u64),
}

/// What a watch channel must do.
struct Model {
    /// The number of the value, which is how often it was changed.
    value: u64,
    seen: [Option<Seen>; WAITERS],
    /// Whether there is no sender any more.
    is_closed: bool,
}

impl Model {
    fn receiver_count(&self) -> usize {
        self.seen.iter().flatten().count()
    }

    fn is_unseen_by(&self, at: usize) -> bool {
        self.seen[at] != Some(Seen::Value(self.value))
    }

    fn see(&mut self, at: usize) {
        self.seen[at] = Some(Seen::Value(self.value));
    }

    fn has_changed(&self, at: usize) -> Result<bool, RecvError> {
        let is_unseen = self.is_unseen_by(at);
        if !is_unseen && self.is_closed { Err(RecvError) } else { Ok(is_unseen) }
    }
}
