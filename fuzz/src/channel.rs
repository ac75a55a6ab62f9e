//! The channels of messages that are received once each: in order, none lost, none twice, whoever
//! waits first being served first, but for a number of overtakers.
//!
//! A future owns its end of the channel, and so keeps it open: with its last handle an end is gone
//! only when the last future of it is.

use std::cell::Cell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::mem;
use std::rc::Rc;
use std::task::{Poll, ready};

use arbitrary::Arbitrary;
use volt::channel::{self, Receiver, Sender, TryRecvError, TrySendError};

use crate::ledger::{Ledger, Message};
use crate::waits::Waits;
use crate::{Index, WAITERS};

/// How many may overtake the first one who waits at an end before something is claimed for it.
const MOST_OVERTAKERS: usize = 16;

/// Of so many that come while the first one who waits is woken, and does not look, one is claimed
/// for it, so that the next one is woken.
const CLAIM_EACH: usize = 16;

/// The most handles of one end, beside those in futures.
const MOST_HANDLES: usize = 4;

/// A bounded channel, and what is done to it.
#[derive(Arbitrary, Debug)]
pub struct BoundedInput {
    /// How many messages it holds beside the first.
    pub more: u8,
    /// What is done to it.
    pub operations: Vec<Operation>,
}

impl BoundedInput {
    /// How many messages the channel holds.
    pub fn capacity(&self) -> usize {
        1 + usize::from(self.more % 4)
    }
}

/// What is done to the channel.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Operation {
    /// Sends, if there is room.
    TrySend,
    /// Receives, if there is a message.
    TryRecv,
    /// Makes a future that sends.
    Send(Index),
    /// Makes a future that receives.
    Recv(Index),
    /// Makes a future that sets room aside, and uses it when that is decided.
    Reserve(Index),
    /// Makes a future of the close.
    Closed(Index),
    /// Polls the future.
    Poll(Index),
    /// Drops it.
    Cancel(Index),
    /// Decides whether the room that was set aside is used for a message. Before that it is kept.
    Decide(Index, bool),
    /// Closes the channel.
    Close,
    /// Makes another sender.
    CloneSender,
    /// Drops a sender.
    DropSender,
    /// Makes another receiver.
    CloneReceiver,
    /// Drops a receiver.
    DropReceiver,
}

/// Carries the operations out, on a channel that holds `capacity` messages, or any number.
///
/// # Panics
/// If the channel is not as it must be.
pub fn run(capacity: Option<usize>, operations: &[Operation]) {
    let (sender, receiver) = match capacity {
        Some(capacity) => channel::bounded(capacity),
        None => channel::unbounded(),
    };
    let ledger = Ledger::default();
    let mut interpreter = Interpreter {
        senders: vec![sender],
        receivers: vec![receiver],
        ledger: ledger.clone(),
        waits: Waits::default(),
        wants: Default::default(),
        numbers: 0,
        model: Model { capacity, ..Model::default() },
    };
    for operation in operations {
        interpreter.apply(*operation);
        interpreter.check();
    }
    drop(interpreter);
    assert_eq!(ledger.count(), 0, "a message is left");
}

/// Whether room that was set aside is used, once that is decided.
type Decision = Rc<Cell<Option<bool>>>;

/// What one who waits does, with the number of its message.
#[derive(Clone)]
enum Want {
    Send(u64),
    Recv,
    Reserve(u64, Decision),
    Closed,
}

/// What a future is ready with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Sent,
    NotSent,
    Received(u64),
    NotReceived,
    GivenBack,
    Closed,
}

struct Interpreter {
    senders: Vec<Sender<Message>>,
    receivers: Vec<Receiver<Message>>,
    ledger: Ledger,
    waits: Waits<'static, Answer>,
    wants: [Option<Want>; WAITERS],
    numbers: u64,
    model: Model,
}

impl Interpreter {
    fn apply(&mut self, operation: Operation) {
        match operation {
            Operation::TrySend => self.try_send(),
            Operation::TryRecv => {
                if let Some(receiver) = self.receivers.first() {
                    let received = receiver.try_recv().map(|message| message.number());
                    assert_eq!(received, self.model.try_recv());
                }
            }
            Operation::Send(Index(at)) => self.begin_send(at),
            Operation::Recv(Index(at)) => self.begin_recv(at),
            Operation::Reserve(Index(at)) => self.begin_reserve(at),
            Operation::Closed(Index(at)) => self.begin_closed(at),
            Operation::Poll(Index(at)) => {
                if let Some(want) = self.wants[at].clone() {
                    let polled = self.waits.poll(at);
                    assert_eq!(polled, self.model.poll(at, &want));
                    if polled.is_ready() {
                        self.end(at, &want);
                    }
                }
            }
            Operation::Cancel(Index(at)) => {
                if let Some(want) = self.wants[at].clone() {
                    self.waits.cancel(at);
                    self.model.cancel(at);
                    self.end(at, &want);
                }
            }
            Operation::Decide(Index(at), is_used) => {
                if let Some(Want::Reserve(_, decision)) = &self.wants[at] {
                    decision.set(Some(is_used));
                }
            }
            Operation::Close => {
                if let Some(sender) = self.senders.first() {
                    sender.close();
                    self.model.close();
                } else if let Some(receiver) = self.receivers.first() {
                    receiver.close();
                    self.model.close();
                }
            }
            Operation::CloneSender => {
                if self.senders.len() < MOST_HANDLES
                    && let Some(sender) = self.senders.first().cloned()
                {
                    self.senders.push(sender);
                }
            }
            Operation::DropSender => {
                if let Some(sender) = self.senders.pop() {
                    drop(sender);
                    self.end_sender();
                }
            }
            Operation::CloneReceiver => {
                if self.receivers.len() < MOST_HANDLES
                    && let Some(receiver) = self.receivers.first().cloned()
                {
                    self.receivers.push(receiver);
                }
            }
            Operation::DropReceiver => {
                if let Some(receiver) = self.receivers.pop() {
                    drop(receiver);
                    self.end_receiver();
                }
            }
        }
    }

    fn try_send(&mut self) {
        let number = self.next_number();
        let Some(sender) = self.senders.first() else { return };
        let sent = sender.try_send(self.ledger.issue(number));
        let sent = sent.map_err(|error| match error {
            TrySendError::Full(message) => TrySendError::Full(message.number()),
            TrySendError::Closed(message) => TrySendError::Closed(message.number()),
            _ => unreachable!("there is no other error"),
        });
        assert_eq!(sent, self.model.try_send(number));
    }

    /// A sender for a future at `at`, if there is one, and no other future.
    fn sender_for(&self, at: usize) -> Option<Sender<Message>> {
        if self.wants[at].is_some() { None } else { self.senders.first().cloned() }
    }

    fn begin_send(&mut self, at: usize) {
        let number = self.next_number();
        let Some(sender) = self.sender_for(at) else { return };
        let message = self.ledger.issue(number);
        self.wants[at] = Some(Want::Send(number));
        self.waits.begin(at, async move {
            match sender.send(message).await {
                Ok(()) => Answer::Sent,
                Err(error) => {
                    assert_eq!(error.into_inner().number(), number);
                    Answer::NotSent
                }
            }
        });
    }

    fn begin_recv(&mut self, at: usize) {
        if self.wants[at].is_some() {
            return;
        }
        let Some(receiver) = self.receivers.first().cloned() else { return };
        self.wants[at] = Some(Want::Recv);
        self.waits.begin(at, async move {
            match receiver.recv().await {
                Ok(message) => Answer::Received(message.number()),
                Err(_) => Answer::NotReceived,
            }
        });
    }

    fn begin_reserve(&mut self, at: usize) {
        let number = self.next_number();
        let Some(sender) = self.sender_for(at) else { return };
        let decision = Decision::default();
        self.wants[at] = Some(Want::Reserve(number, Rc::clone(&decision)));
        let ledger = self.ledger.clone();
        self.waits.begin(at, async move {
            let Ok(permit) = sender.reserve().await else { return Answer::NotSent };
            let decided = poll_fn(|_| decision.get().map_or(Poll::Pending, Poll::Ready));
            if decided.await {
                permit.send(ledger.issue(number));
                Answer::Sent
            } else {
                drop(permit);
                Answer::GivenBack
            }
        });
    }

    fn begin_closed(&mut self, at: usize) {
        let Some(sender) = self.sender_for(at) else { return };
        self.wants[at] = Some(Want::Closed);
        self.waits.begin(at, async move {
            sender.closed().await;
            Answer::Closed
        });
    }

    /// The future at `at` is gone, and its handle with it.
    fn end(&mut self, at: usize, want: &Want) {
        self.wants[at] = None;
        match want {
            Want::Send(_) | Want::Reserve(..) | Want::Closed => self.end_sender(),
            Want::Recv => self.end_receiver(),
        }
    }

    fn end_sender(&mut self) {
        if self.sender_count() == 0 {
            self.model.close();
        }
    }

    fn end_receiver(&mut self) {
        if self.receiver_count() == 0 {
            self.model.close();
            self.model.messages.clear();
            self.model.has_no_receiver = true;
        }
    }

    fn sender_count(&self) -> usize {
        let is_sender = |want: &&Want| !matches!(want, Want::Recv);
        self.senders.len() + self.wants.iter().flatten().filter(is_sender).count()
    }

    fn receiver_count(&self) -> usize {
        let is_receiver = |want: &&Want| matches!(want, Want::Recv);
        self.receivers.len() + self.wants.iter().flatten().filter(is_receiver).count()
    }

    fn next_number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    fn check(&self) {
        let is_full = !self.model.has_room();
        if let Some(sender) = self.senders.first() {
            assert_eq!(sender.len(), self.model.messages.len());
            assert_eq!(sender.is_full(), is_full);
            assert_eq!(sender.is_closed(), self.model.is_closed);
            assert_eq!(sender.sender_count(), self.sender_count());
            assert_eq!(sender.receiver_count(), self.receiver_count());
        }
        if let Some(receiver) = self.receivers.first() {
            assert_eq!(receiver.len(), self.model.messages.len());
            assert_eq!(receiver.is_full(), is_full);
            assert_eq!(receiver.is_closed(), self.model.is_closed);
            assert_eq!(receiver.sender_count(), self.sender_count());
            assert_eq!(receiver.receiver_count(), self.receiver_count());
        }
        self.model.check();
        for end in [&self.model.senders, &self.model.receivers] {
            for at in end.given.iter().chain(&end.refused).chain(end.offered()) {
                self.waits.assert_woken(*at);
            }
        }
        let mut unsent = 0;
        for (at, want) in self.wants.iter().enumerate() {
            match want {
                Some(Want::Closed) if self.model.is_closed => self.waits.assert_woken(at),
                // A future has its message until it has sent it.
                Some(Want::Send(_)) => unsent += 1,
                _ => {}
            }
        }
        if self.sender_count() + self.receiver_count() > 0 {
            assert_eq!(self.ledger.count(), self.model.messages.len() + unsent);
        }
    }
}

/// Those who wait at one end of a channel: senders for room, or receivers for a message.
#[derive(Default)]
struct End {
    /// Who waits, first come, first.
    queue: VecDeque<usize>,
    /// How many have overtaken the first one.
    overtakers: usize,
    /// Whether something came for the first one since it last looked, or became the first.
    is_offered: bool,
    /// How much came since the first one, and those before it, have been offered something.
    unanswered: usize,
    /// How much is set aside: for those of `given`, and for those who reserved.
    claims: usize,
    /// For whom something was set aside, and who does not know yet.
    given: Vec<usize>,
    /// Who waits in vain, and does not know yet.
    refused: Vec<usize>,
}

impl End {
    /// Whether nobody may overtake the first one any more.
    fn is_due(&self) -> bool {
        self.overtakers == MOST_OVERTAKERS
    }

    /// Somebody who does not wait takes something.
    fn overtake(&mut self) {
        if !self.queue.is_empty() {
            self.overtakers += 1;
        }
    }

    /// The first one, if something came for it, which others may have taken since.
    fn offered(&self) -> Option<&usize> {
        self.queue.front().filter(|_| self.is_offered)
    }

    /// There is nothing for the first one, which sleeps.
    fn sleep(&mut self) {
        self.is_offered = false;
        self.unanswered = 0;
    }

    /// The first one goes; if there is something for the next one, that is offered it.
    fn first_goes(&mut self, is_something_there: bool) {
        self.queue.pop_front();
        self.overtakers = 0;
        if self.queue.is_empty() || !is_something_there {
            self.sleep();
        } else {
            self.is_offered = true;
        }
    }

    /// Something is there, and was not before or was given back: the first one is offered it. True
    /// if it was offered something before: then it is due a claim.
    fn offer(&mut self) -> bool {
        !self.queue.is_empty() && mem::replace(&mut self.is_offered, true)
    }

    fn refuse_all(&mut self) {
        self.refused.extend(self.queue.drain(..));
        self.overtakers = 0;
        self.sleep();
    }
}

/// What a channel must do.
#[derive(Default)]
struct Model {
    capacity: Option<usize>,
    messages: VecDeque<u64>,
    /// How many messages were sent.
    sent: usize,
    /// How many messages were received.
    received: usize,
    is_closed: bool,
    /// Whether the last receiver has gone: what is sent then is dropped at once.
    has_no_receiver: bool,
    senders: End,
    receivers: End,
    /// Who has room, and keeps it until it is decided what for.
    reserved: Vec<usize>,
}

impl Model {
    fn has_room(&self) -> bool {
        let taken = self.messages.len() + self.senders.claims;
        self.capacity.is_none_or(|capacity| taken < capacity)
    }

    fn has_message(&self) -> bool {
        self.messages.len() > self.receivers.claims
    }

    /// Whether there will be no message any more.
    fn is_over(&self) -> bool {
        self.is_closed && self.senders.claims == 0 && self.messages.is_empty()
    }

    /// What holds whatever was done: nothing is set aside that is not there, and nobody sleeps who
    /// can go on.
    fn check(&self) {
        assert!(self.receivers.claims <= self.messages.len());
        let taken = self.messages.len() + self.senders.claims;
        assert!(self.capacity.is_none_or(|capacity| taken <= capacity));
        for (end, can_go_on) in [
            (&self.senders, self.has_room() || self.is_closed),
            (&self.receivers, self.has_message() || self.is_over()),
        ] {
            let is_woken = end.queue.is_empty() || end.is_offered;
            assert!(is_woken || !can_go_on, "the model lets one sleep who can go on");
        }
    }

    /// Sets room aside for the first sender that waits.
    fn claim_for_sender(&mut self) {
        self.senders.claims += 1;
        self.senders.given.extend(self.senders.queue.front());
        self.senders.first_goes(self.has_room());
    }

    /// Sets a message aside for the first receiver that waits.
    fn claim_for_receiver(&mut self) {
        self.receivers.claims += 1;
        self.receivers.given.extend(self.receivers.queue.front());
        self.receivers.first_goes(self.has_message());
    }

    /// Room has come, or the close.
    fn serve_senders(&mut self) {
        if self.is_closed {
            self.senders.refuse_all();
        } else if self.has_room() && self.senders.offer() {
            self.claim_for_sender();
        }
    }

    /// A message has come, or the close, or the end.
    fn serve_receivers(&mut self) {
        if self.is_over() {
            self.receivers.refuse_all();
        } else if self.has_message() && self.receivers.offer() {
            self.claim_for_receiver();
        }
    }

    /// Sets room aside for one who does not wait.
    fn try_claim_room(&mut self) -> Result<(), TrySendError<()>> {
        if self.is_closed {
            return Err(TrySendError::Closed(()));
        }
        if self.senders.is_due() && self.has_room() {
            self.claim_for_sender();
        }
        if self.senders.is_due() || !self.has_room() {
            return Err(TrySendError::Full(()));
        }
        self.senders.overtake();
        self.senders.claims += 1;
        Ok(())
    }

    fn try_send(&mut self, number: u64) -> Result<(), TrySendError<u64>> {
        match self.try_claim_room() {
            Ok(()) => {
                self.send_claimed(number);
                Ok(())
            }
            Err(TrySendError::Closed(())) => Err(TrySendError::Closed(number)),
            Err(_) => Err(TrySendError::Full(number)),
        }
    }

    fn try_recv(&mut self) -> Result<u64, TryRecvError> {
        if self.is_over() {
            return Err(TryRecvError::Closed);
        }
        if self.receivers.is_due() && self.has_message() {
            self.claim_for_receiver();
        }
        if self.receivers.is_due() || !self.has_message() {
            return Err(TryRecvError::Empty);
        }
        self.receivers.overtake();
        Ok(self.pop())
    }

    /// Sends into room that was set aside, also when the channel is closed.
    fn send_claimed(&mut self, number: u64) {
        self.senders.claims -= 1;
        if self.has_no_receiver {
            return;
        }
        self.messages.push_back(number);
        let receivers = &mut self.receivers;
        receivers.unanswered += usize::from(receivers.is_offered);
        // A bounded channel counts all messages, the other one those that are not answered.
        let count = if self.capacity.is_some() { self.sent } else { receivers.unanswered };
        self.sent += 1;
        if !self.receivers.is_offered || count.is_multiple_of(CLAIM_EACH) {
            self.serve_receivers();
        }
    }

    /// Receives a message that was set aside, or that nobody else has a claim to.
    fn pop(&mut self) -> u64 {
        let number = self.messages.pop_front().expect("the model receives where nothing is");
        let count = self.received;
        self.received += 1;
        if !self.senders.is_offered || count.is_multiple_of(CLAIM_EACH) {
            self.serve_senders();
        }
        if self.is_closed {
            self.serve_receivers();
        }
        number
    }

    /// Gives room back.
    fn unclaim_room(&mut self) {
        self.senders.claims -= 1;
        self.serve_senders();
        if self.is_closed && self.senders.claims == 0 {
            self.serve_receivers();
        }
    }

    /// What a poll must answer.
    fn poll(&mut self, at: usize, want: &Want) -> Poll<Answer> {
        match want {
            Want::Send(number) => self.poll_room(at).map(|has_room| {
                if has_room {
                    self.send_claimed(*number);
                    Answer::Sent
                } else {
                    Answer::NotSent
                }
            }),
            Want::Recv => self.poll_recv(at),
            Want::Reserve(number, decision) => self.poll_reserve(at, *number, decision.get()),
            Want::Closed if self.is_closed => Poll::Ready(Answer::Closed),
            Want::Closed => Poll::Pending,
        }
    }

    /// Sets room aside for one who waits for it if need be. Ready with whether there is some.
    fn poll_room(&mut self, at: usize) -> Poll<bool> {
        if take(&mut self.senders.refused, at) {
            return Poll::Ready(false);
        }
        let is_first = self.senders.queue.front() == Some(&at);
        if is_first && self.has_room() {
            self.claim_for_sender();
        }
        if take(&mut self.senders.given, at) {
            return Poll::Ready(true);
        }
        if is_first {
            self.senders.sleep();
            return Poll::Pending;
        }
        if self.senders.queue.contains(&at) {
            return Poll::Pending;
        }
        match self.try_claim_room() {
            Ok(()) => Poll::Ready(true),
            Err(error) if error.is_closed() => Poll::Ready(false),
            Err(_) => {
                self.senders.queue.push_back(at);
                Poll::Pending
            }
        }
    }

    fn poll_recv(&mut self, at: usize) -> Poll<Answer> {
        if take(&mut self.receivers.refused, at) {
            return Poll::Ready(Answer::NotReceived);
        }
        let is_first = self.receivers.queue.front() == Some(&at);
        if is_first && self.has_message() {
            self.claim_for_receiver();
        }
        if take(&mut self.receivers.given, at) {
            self.receivers.claims -= 1;
            return Poll::Ready(Answer::Received(self.pop()));
        }
        if is_first {
            self.receivers.sleep();
            return Poll::Pending;
        }
        if self.receivers.queue.contains(&at) {
            return Poll::Pending;
        }
        match self.try_recv() {
            Ok(number) => Poll::Ready(Answer::Received(number)),
            Err(TryRecvError::Closed) => Poll::Ready(Answer::NotReceived),
            Err(_) => {
                self.receivers.queue.push_back(at);
                Poll::Pending
            }
        }
    }

    fn poll_reserve(&mut self, at: usize, number: u64, decision: Option<bool>) -> Poll<Answer> {
        if !self.reserved.contains(&at) {
            if !ready!(self.poll_room(at)) {
                return Poll::Ready(Answer::NotSent);
            }
            self.reserved.push(at);
        }
        let is_used = ready!(decision.map_or(Poll::Pending, Poll::Ready));
        take(&mut self.reserved, at);
        if is_used {
            self.send_claimed(number);
            return Poll::Ready(Answer::Sent);
        }
        self.unclaim_room();
        Poll::Ready(Answer::GivenBack)
    }

    /// One goes who waits, or has what it waited for.
    fn cancel(&mut self, at: usize) {
        take(&mut self.senders.refused, at);
        take(&mut self.receivers.refused, at);
        if take(&mut self.senders.given, at) || take(&mut self.reserved, at) {
            self.unclaim_room();
        }
        if take(&mut self.receivers.given, at) {
            self.receivers.claims -= 1;
            self.serve_receivers();
        }
        if self.senders.queue.front() == Some(&at) {
            self.senders.first_goes(self.has_room());
        }
        if self.receivers.queue.front() == Some(&at) {
            self.receivers.first_goes(self.has_message());
        }
        self.senders.queue.retain(|other| *other != at);
        self.receivers.queue.retain(|other| *other != at);
    }

    fn close(&mut self) {
        if !self.is_closed {
            self.is_closed = true;
            self.serve_senders();
            self.serve_receivers();
        }
    }
}

/// Takes `at` out of the list: whether it was there.
fn take(list: &mut Vec<usize>, at: usize) -> bool {
    let place = list.iter().position(|other| *other == at);
    place.map(|place| list.swap_remove(place)).is_some()
}
