//! The channel whose messages go to all receivers: in order, each told how many it has missed.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::Poll;

use arbitrary::Arbitrary;
use volt::channel::broadcast::{self, Receiver, Sender, TryRecvError};

use crate::ledger::{Ledger, Message};
use crate::waits::Waits;
use crate::{Index, WAITERS};

/// The most senders, beside those in futures.
const MOST_SENDERS: usize = 4;

/// A channel, and what is done to it.
#[derive(Arbitrary, Debug)]
pub struct Input {
    /// How many messages it keeps beside the first, of which few are counted.
    pub more: u8,
    /// What is done to it.
    pub operations: Vec<Operation>,
}

/// What is done to the channel.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Operation {
    /// Sends a message.
    Send,
    /// Receives, if there is something.
    TryRecv(Index),
    /// Makes a future of the next message.
    Recv(Index),
    /// Polls it.
    Poll(Index),
    /// Drops it, and keeps the receiver.
    Cancel(Index),
    /// Makes a receiver, by a sender.
    Subscribe(Index),
    /// Makes a receiver, by another one.
    Resubscribe(Index, Index),
    /// Drops a receiver.
    DropReceiver(Index),
    /// Makes a future of the close.
    Closed(Index),
    /// Polls it.
    PollClosed(Index),
    /// Drops it.
    CancelClosed(Index),
    /// Closes the channel.
    Close,
    /// Makes another sender.
    CloneSender,
    /// Drops a sender.
    DropSender,
}

/// Carries the operations out.
///
/// # Panics
/// If the channel is not as it must be.
pub fn run(input: &Input) {
    let capacity = 1 + usize::from(input.more % 4);
    let (sender, receiver) = broadcast::broadcast(capacity);
    let ledger = Ledger::default();
    let mut interpreter = Interpreter {
        senders: vec![sender],
        receivers: Default::default(),
        ledger: ledger.clone(),
        waits: Waits::default(),
        closings: Waits::default(),
        model: Model { capacity, cursors: [None; WAITERS], sent: Vec::new(), is_closed: false },
        numbers: 0,
    };
    interpreter.add_receiver(0, receiver);
    for operation in &input.operations {
        interpreter.apply(*operation);
        interpreter.check();
    }
    drop(interpreter);
    assert_eq!(ledger.count(), 0, "a message is left");
}

struct Interpreter {
    senders: Vec<Sender<Message>>,
    /// A future has borrowed the one that it receives from.
    receivers: [Option<Rc<RefCell<Receiver<Message>>>>; WAITERS],
    ledger: Ledger,
    /// Of the next message: its number.
    waits: Waits<'static, Result<u64, TryRecvError>>,
    /// Of the close; each has a sender of its own.
    closings: Waits<'static, ()>,
    model: Model,
    numbers: u64,
}

impl Interpreter {
    fn apply(&mut self, operation: Operation) {
        match operation {
            Operation::Send => self.send(),
            Operation::TryRecv(Index(at)) => {
                if let Some(receiver) = self.idle_receiver(at) {
                    let received = receiver.borrow_mut().try_recv();
                    let received = received.map(|message| message.number());
                    assert_eq!(received, self.model.receive(at));
                }
            }
            Operation::Recv(Index(at)) => {
                if let Some(receiver) = self.idle_receiver(at) {
                    self.waits.begin(at, receive(receiver));
                }
            }
            Operation::Poll(Index(at)) => {
                if !self.waits.is_free(at) {
                    let polled = self.waits.poll(at);
                    assert_eq!(
                        polled,
                        match self.model.receive(at) {
                            Err(TryRecvError::Empty) => Poll::Pending,
                            received => Poll::Ready(received),
                        }
                    );
                }
            }
            Operation::Cancel(Index(at)) => self.waits.cancel(at),
            Operation::Subscribe(Index(at)) => {
                if self.receivers[at].is_none()
                    && let Some(sender) = self.senders.first()
                {
                    let receiver = sender.subscribe();
                    self.add_receiver(at, receiver);
                }
            }
            Operation::Resubscribe(Index(at), Index(from)) => {
                if self.receivers[at].is_none()
                    && let Some(other) = self.idle_receiver(from)
                {
                    let receiver = other.borrow().resubscribe();
                    self.add_receiver(at, receiver);
                }
            }
            Operation::DropReceiver(Index(at)) => {
                self.waits.cancel(at);
                self.receivers[at] = None;
                self.model.cursors[at] = None;
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
                    // Its sender may be the last one, but goes only after it is ready.
                    let is_closed = self.model.sends_nothing();
                    assert_eq!(self.closings.poll(at).is_ready(), is_closed);
                    self.close_without_senders();
                }
            }
            Operation::CancelClosed(Index(at)) => {
                self.closings.cancel(at);
                self.close_without_senders();
            }
            Operation::Close => {
                if let Some(sender) = self.senders.first() {
                    sender.close();
                    self.model.is_closed = true;
                }
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

    fn send(&mut self) {
        let Some(sender) = self.senders.first() else { return };
        self.numbers += 1;
        match sender.send(self.ledger.issue(self.numbers)) {
            Ok(receivers) => {
                assert!(!self.model.is_closed, "a closed channel has sent a message");
                assert_eq!(receivers, self.model.receiver_count());
                self.model.sent.push(self.numbers);
            }
            Err(error) => {
                assert!(self.model.sends_nothing(), "an open channel has refused a message");
                assert_eq!(error.into_inner().number(), self.numbers);
            }
        }
    }

    /// A receiver that no future has borrowed.
    fn idle_receiver(&self, at: usize) -> Option<Rc<RefCell<Receiver<Message>>>> {
        if self.waits.is_free(at) { self.receivers[at].clone() } else { None }
    }

    fn add_receiver(&mut self, at: usize, receiver: Receiver<Message>) {
        self.receivers[at] = Some(Rc::new(RefCell::new(receiver)));
        self.model.cursors[at] = Some(self.model.sent.len());
    }

    fn sender_count(&self) -> usize {
        let closings = (0..WAITERS).filter(|at| !self.closings.is_free(*at));
        self.senders.len() + closings.count()
    }

    fn close_without_senders(&mut self) {
        self.model.is_closed |= self.sender_count() == 0;
    }

    fn check(&self) {
        let has_channel = self.sender_count() + self.model.receiver_count() > 0;
        if has_channel {
            assert_eq!(self.ledger.count(), self.model.kept());
        }
        if let Some(sender) = self.senders.first() {
            assert_eq!(sender.len(), self.model.kept());
            assert_eq!(sender.is_closed(), self.model.sends_nothing());
            assert_eq!(sender.receiver_count(), self.model.receiver_count());
            assert_eq!(sender.sender_count(), self.sender_count());
        }
        for at in 0..WAITERS {
            if let Some(receiver) = self.idle_receiver(at) {
                let receiver = receiver.borrow();
                assert_eq!(receiver.len(), self.model.unseen_by(at));
                assert_eq!(receiver.is_closed(), self.model.is_closed);
            }
            if !self.waits.is_free(at) && self.model.has_news(at) {
                self.waits.assert_woken(at);
            }
            if !self.closings.is_free(at) && self.model.sends_nothing() {
                self.closings.assert_woken(at);
            }
        }
    }
}

/// The number of the next message. It borrows the receiver from its first poll on.
#[expect(clippy::await_holding_refcell_ref, reason = "nobody else borrows it during the wait")]
async fn receive(receiver: Rc<RefCell<Receiver<Message>>>) -> Result<u64, TryRecvError> {
    let mut receiver = receiver.borrow_mut();
    let received = receiver.recv().await;
    received.map(|message| message.number()).map_err(TryRecvError::from)
}

/// What a broadcast channel must do.
struct Model {
    capacity: usize,
    /// How many messages were sent before the next one of each receiver.
    cursors: [Option<usize>; WAITERS],
    /// The numbers of all messages.
    sent: Vec<u64>,
    is_closed: bool,
}

impl Model {
    fn receiver_count(&self) -> usize {
        self.cursors.iter().flatten().count()
    }

    /// Whether a message would be given back.
    fn sends_nothing(&self) -> bool {
        self.is_closed || self.receiver_count() == 0
    }

    /// The place of the oldest message that is not overwritten.
    fn oldest(&self) -> usize {
        self.sent.len().saturating_sub(self.capacity)
    }

    /// How many messages somebody has not seen.
    fn kept(&self) -> usize {
        let first = self.cursors.iter().flatten().min();
        first.map_or(0, |first| self.sent.len() - self.oldest().max(*first))
    }

    /// How many kept messages the receiver has not seen.
    fn unseen_by(&self, at: usize) -> usize {
        let cursor = self.cursors[at].expect("the receiver is there");
        self.sent.len() - self.oldest().max(cursor)
    }

    /// Whether there is something to tell the receiver.
    fn has_news(&self, at: usize) -> bool {
        self.is_closed || self.cursors[at].is_some_and(|cursor| cursor < self.sent.len())
    }

    /// What the receiver must be told.
    fn receive(&mut self, at: usize) -> Result<u64, TryRecvError> {
        let cursor = self.cursors[at].expect("the receiver is there");
        let oldest = self.oldest();
        if cursor < oldest {
            self.cursors[at] = Some(oldest);
            let missed = u64::try_from(oldest - cursor).expect("few are sent");
            return Err(TryRecvError::Lagged(missed));
        }
        match self.sent.get(cursor) {
            Some(number) => {
                self.cursors[at] = Some(cursor + 1);
                Ok(*number)
            }
            None if self.is_closed => Err(TryRecvError::Closed),
            None => Err(TryRecvError::Empty),
        }
    }
}
