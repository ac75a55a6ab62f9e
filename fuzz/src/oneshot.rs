//! The channel of one value: sent once or never, received once or never, and neither end waits in
//! vain.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use arbitrary::Arbitrary;
use volt::channel::oneshot::{self, TryRecvError};
use volt::sync::Waiter;

use crate::ledger::{Ledger, Message};
use crate::waits::Bell;
use crate::{Index, WAITERS};

/// What is done to the channel.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Operation {
    /// Goes on with a new channel.
    Renew,
    /// Sends the value.
    Send,
    /// Drops the sender.
    DropSender,
    /// Receives, if there is something.
    TryRecv,
    /// Polls the receiver, with one of several wakers.
    Poll(Index),
    /// Has the receiver forget its waker.
    Forget,
    /// Closes the channel.
    Close,
    /// Drops the receiver.
    DropReceiver,
    /// Polls for the close, with one of several wakers.
    PollClosed(Index),
    /// Polls a future of the close, and drops it.
    DropClosed(Index),
}

/// Carries the operations out.
///
/// # Panics
/// If a channel is not as it must be.
pub fn run(operations: &[Operation]) {
    let ledger = Ledger::default();
    let mut interpreter = Interpreter::new(ledger.clone());
    for operation in operations {
        interpreter.apply(*operation);
        interpreter.check();
    }
    drop(interpreter);
    assert_eq!(ledger.count(), 0, "a value is left");
}

/// Whose waker an end has, and how often it had been called before the poll that left it.
#[derive(Clone, Copy)]
struct Left {
    at: usize,
    rung: usize,
}

struct Interpreter {
    ledger: Ledger,
    bells: [Arc<Bell>; WAITERS],
    numbers: u64,
    sender: Option<oneshot::Sender<Message>>,
    receiver: Option<oneshot::Receiver<Message>>,
    /// What was sent and not received.
    value: Option<u64>,
    /// The sender has sent, or was dropped, before the channel was closed.
    is_complete: bool,
    /// The receiver has closed the channel, or was dropped, before the sender was.
    is_closed: bool,
    /// The receiver was told all that there is.
    is_told: bool,
    receiver_waits: Option<Left>,
    sender_waits: Option<Left>,
}

impl Interpreter {
    fn new(ledger: Ledger) -> Interpreter {
        let (sender, receiver) = oneshot::oneshot();
        Interpreter {
            ledger,
            bells: Default::default(),
            numbers: 0,
            sender: Some(sender),
            receiver: Some(receiver),
            value: None,
            is_complete: false,
            is_closed: false,
            is_told: false,
            receiver_waits: None,
            sender_waits: None,
        }
    }

    fn apply(&mut self, operation: Operation) {
        match operation {
            Operation::Renew => *self = Interpreter::new(self.ledger.clone()),
            Operation::Send => {
                if let Some(sender) = self.sender.take() {
                    self.numbers += 1;
                    let sent = sender.send(self.ledger.issue(self.numbers));
                    assert_eq!(sent.is_ok(), !self.is_closed);
                    if sent.is_ok() {
                        self.value = Some(self.numbers);
                    }
                    self.complete();
                }
            }
            Operation::DropSender => {
                if let Some(sender) = self.sender.take() {
                    drop(sender);
                    self.complete();
                }
            }
            Operation::TryRecv => {
                if let Some(receiver) = &mut self.receiver {
                    let received = receiver.try_recv().map(|message| message.number());
                    assert_eq!(received, self.receive());
                }
            }
            Operation::Poll(Index(at)) => self.poll(at),
            Operation::Forget => {
                if let Some(receiver) = &mut self.receiver {
                    receiver.cancel_recv(pin!(Waiter::new(Waker::noop().clone())));
                    self.receiver_waits = None;
                }
            }
            Operation::Close => {
                if let Some(receiver) = &mut self.receiver {
                    receiver.close();
                    self.close();
                }
            }
            Operation::DropReceiver => {
                if let Some(receiver) = self.receiver.take() {
                    drop(receiver);
                    self.close();
                    self.value = None;
                    self.receiver_waits = None;
                }
            }
            Operation::PollClosed(Index(at)) => {
                let waker = self.bells[at].waker();
                if let Some(sender) = &mut self.sender {
                    let rung = self.bells[at].rung();
                    let polled = sender.poll_closed(&mut Context::from_waker(&waker));
                    assert_eq!(polled.is_ready(), self.is_closed);
                    self.sender_waits = polled.is_pending().then_some(Left { at, rung });
                }
            }
            Operation::DropClosed(Index(at)) => {
                let waker = self.bells[at].waker();
                if let Some(sender) = &mut self.sender {
                    let closed = pin!(sender.closed());
                    let polled = closed.poll(&mut Context::from_waker(&waker));
                    assert_eq!(polled.is_ready(), self.is_closed);
                    self.sender_waits = None;
                }
            }
        }
    }

    fn poll(&mut self, at: usize) {
        let waker = self.bells[at].waker();
        let Some(receiver) = &mut self.receiver else { return };
        if self.is_told {
            // Another poll is a mistake, and panics.
            return;
        }
        let rung = self.bells[at].rung();
        match Pin::new(receiver).poll(&mut Context::from_waker(&waker)) {
            Poll::Pending => {
                assert_eq!(self.receive(), Err(TryRecvError::Empty));
                self.receiver_waits = Some(Left { at, rung });
            }
            Poll::Ready(received) => {
                let received = received.map(|message| message.number());
                assert_eq!(received.map_err(TryRecvError::from), self.receive());
            }
        }
    }

    /// What the receiver must be told.
    fn receive(&mut self) -> Result<u64, TryRecvError> {
        if !self.is_told && !self.is_complete && !self.is_closed {
            return Err(TryRecvError::Empty);
        }
        self.is_told = true;
        self.receiver_waits = None;
        self.value.take().ok_or(TryRecvError::Closed)
    }

    /// The sender is gone.
    fn complete(&mut self) {
        self.is_complete = !self.is_closed;
        self.sender_waits = None;
    }

    /// The receiver wants no value any more, but one that was sent.
    fn close(&mut self) {
        self.is_closed |= !self.is_complete;
    }

    fn check(&self) {
        if let Some(sender) = &self.sender {
            assert_eq!(sender.is_closed(), self.is_closed);
        }
        if self.is_complete {
            self.assert_woken(self.receiver_waits);
        }
        if self.is_closed {
            self.assert_woken(self.sender_waits);
        }
        assert_eq!(self.ledger.count(), usize::from(self.value.is_some()));
    }

    #[track_caller]
    fn assert_woken(&self, left: Option<Left>) {
        if let Some(Left { at, rung }) = left {
            assert!(self.bells[at].rung() > rung, "waker {at} was not called");
        }
    }
}
