//! `bounded` and `unbounded`: messages in order, each once; at either end first come, first served,
//! but for a number of overtakers.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Debug;
use std::task::Poll;

use proptest::prelude::*;
use volt::channel::{
    self, Receiver, Recv, RecvError, Reserve, SendError, SendPermit, Sender, TryRecvError,
    TrySendError,
};

use crate::MOST_OVERTAKERS;
use crate::waiting::{Waiting, config, places};

const PLACES: usize = 4;

/// Whether who waits in that place sends a message; else it sets room aside.
fn sends(place: usize) -> bool {
    place.is_multiple_of(2)
}

#[derive(Clone, Copy, Debug)]
enum Step {
    TrySend,
    TryReserve,
    /// Polls the one in that place of the senders, a new one if nobody is there.
    PollSend(usize),
    DropSend(usize),
    /// Uses the permit of that number, counted around.
    UsePermit(usize),
    DropPermit(usize),
    TryRecv,
    /// Polls the one in that place of the receivers, a new one if nobody is there.
    PollRecv(usize),
    DropRecv(usize),
    Close,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        15 => Just(Step::TrySend),
        5 => Just(Step::TryReserve),
        60 => (0..PLACES).prop_map(Step::PollSend),
        15 => (0..PLACES).prop_map(Step::DropSend),
        15 => (0..PLACES).prop_map(Step::UsePermit),
        10 => (0..PLACES).prop_map(Step::DropPermit),
        20 => Just(Step::TryRecv),
        50 => (0..PLACES).prop_map(Step::PollRecv),
        15 => (0..PLACES).prop_map(Step::DropRecv),
        1 => Just(Step::Close),
    ]
}

/// Steps of all kinds, and now and then somebody at work, who receives and sends again and again,
/// or only sends, while those who wait are not polled.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let work = prop_oneof![
        Just(vec![Step::TryRecv, Step::TrySend]),
        Just(vec![Step::TryRecv, Step::TryReserve, Step::UsePermit(0)]),
        Just(vec![Step::TrySend]),
    ];
    let busy = (work, 1..=MOST_OVERTAKERS + 2).prop_map(|(work, times)| work.repeat(times));
    let some = prop_oneof![9 => step().prop_map(|step| vec![step]), 1 => busy];
    prop::collection::vec(some, 0..150).prop_map(|some| some.concat())
}

/// Those who wait at one end.
#[derive(Clone, Debug, Default, PartialEq)]
struct End {
    /// Their places, first come first.
    queue: VecDeque<usize>,
    /// How often the first one was overtaken.
    overtaken: usize,
    /// Whether something came for the first one since it was polled, or became the first.
    is_offered: bool,
    /// How often something came since then, and was not claimed for it.
    unclaimed: usize,
    /// Who has a claim, or was told of the end (`false`), and has not been polled since.
    served: BTreeMap<usize, bool>,
    /// Slots or messages that are set aside for those served, and by permits.
    claims: usize,
}

impl End {
    /// Whether nobody overtakes the first one any more.
    fn is_due(&self) -> bool {
        self.overtaken == MOST_OVERTAKERS
    }

    /// Somebody takes something without waiting, past those who wait.
    fn overtake(&mut self) {
        self.overtaken += usize::from(!self.queue.is_empty());
    }

    /// Something has come, or the channel was closed: the first one is woken, if there is one. If
    /// it was before, what is there may be claimed for it, so that the next one need not wait for
    /// one that does not come.
    fn is_claim_for_first(&mut self, claims_early: bool) -> bool {
        if self.queue.is_empty() {
            return false;
        }
        if !self.is_offered {
            self.is_offered = true;
            return false;
        }
        self.unclaimed += 1;
        claims_early || self.unclaimed == MOST_OVERTAKERS
    }

    /// The first one gets a claim.
    fn claim_for_first(&mut self) {
        if let Some(first) = self.queue.pop_front() {
            self.claims += 1;
            self.served.insert(first, true);
        }
    }

    /// Another one is the first, or nobody, and there is something for it or not.
    fn next_comes(&mut self, is_something_there: bool) {
        self.overtaken = 0;
        self.is_offered = is_something_there && !self.queue.is_empty();
        self.unclaimed = 0;
    }

    /// Those who wait are told of the end.
    fn refuse_all(&mut self) {
        self.served.extend(self.queue.drain(..).map(|place| (place, false)));
        self.next_comes(false);
    }

    /// The first one finds nothing.
    fn sleep_again(&mut self) {
        self.is_offered = false;
        self.unclaimed = 0;
    }

    /// Who was woken, of those in a place.
    fn woken(&self) -> Vec<usize> {
        let first = self.queue.front().filter(|_| self.is_offered);
        let mut woken: Vec<usize> = self.served.keys().chain(first).copied().collect();
        woken.sort_unstable();
        woken
    }
}

/// One way in which a channel may be by now.
#[derive(Clone, Debug, PartialEq)]
struct Model {
    /// None for a channel without bounds.
    capacity: Option<usize>,
    messages: VecDeque<u32>,
    senders: End,
    receivers: End,
    is_closed: bool,
    /// Whether what comes in this step is claimed for the first one, if that was woken before. It
    /// is the channel's own affair, but for one time in [`MOST_OVERTAKERS`].
    claims_early: bool,
}

/// What can be seen of a channel from outside.
#[derive(Debug, PartialEq)]
struct View {
    length: usize,
    is_full: bool,
    is_closed: bool,
    /// The places of those who were woken since they were polled last.
    woken_senders: Vec<usize>,
    woken_receivers: Vec<usize>,
}

impl Model {
    fn new(capacity: Option<usize>) -> Model {
        Model {
            capacity,
            messages: VecDeque::new(),
            senders: End::default(),
            receivers: End::default(),
            is_closed: false,
            claims_early: false,
        }
    }

    fn view(&self) -> View {
        View {
            length: self.messages.len(),
            is_full: !self.has_room(),
            is_closed: self.is_closed,
            woken_senders: self.senders.woken(),
            woken_receivers: self.receivers.woken(),
        }
    }

    fn has_room(&self) -> bool {
        let taken = self.messages.len() + self.senders.claims;
        self.capacity.is_none_or(|capacity| taken < capacity)
    }

    /// Whether there is a message that nobody has a claim to.
    fn has_message(&self) -> bool {
        self.messages.len() > self.receivers.claims
    }

    /// Whether there will be no more messages.
    fn is_over(&self) -> bool {
        self.is_closed && self.messages.is_empty() && self.senders.claims == 0
    }

    /// Claims a slot for the first sender, which goes from the queue.
    fn claim_for_sender(&mut self) {
        self.senders.claim_for_first();
        self.senders.next_comes(self.has_room());
    }

    /// Claims a message for the first receiver, which goes from the queue.
    fn claim_for_receiver(&mut self) {
        self.receivers.claim_for_first();
        self.receivers.next_comes(self.has_message());
    }

    /// Room has come, or the close.
    fn serve_senders(&mut self) {
        if self.is_closed {
            self.senders.refuse_all();
        } else if self.has_room() && self.senders.is_claim_for_first(self.claims_early) {
            self.claim_for_sender();
        }
    }

    /// A message has come, or the close, or the end.
    fn serve_receivers(&mut self) {
        if self.is_over() {
            self.receivers.refuse_all();
        } else if self.has_message() && self.receivers.is_claim_for_first(self.claims_early) {
            self.claim_for_receiver();
        }
    }

    /// Sets a slot aside.
    fn try_claim(&mut self) -> Result<(), TrySendError<()>> {
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

    fn try_send(&mut self, message: u32) -> Result<(), TrySendError<u32>> {
        match self.try_claim() {
            Ok(()) => {
                self.push(message);
                Ok(())
            }
            Err(TrySendError::Closed(())) => Err(TrySendError::Closed(message)),
            Err(_) => Err(TrySendError::Full(message)),
        }
    }

    /// Sets a slot aside, for one who waits for it if need be.
    fn poll_claim(&mut self, place: usize) -> Poll<Result<(), SendError<()>>> {
        if let Some(has_claim) = self.senders.served.remove(&place) {
            return Poll::Ready(has_claim.then_some(()).ok_or(SendError(())));
        }
        match self.senders.queue.iter().position(|other| *other == place) {
            None => match self.try_claim() {
                Ok(()) => Poll::Ready(Ok(())),
                Err(TrySendError::Closed(())) => Poll::Ready(Err(SendError(()))),
                Err(_) => {
                    self.senders.queue.push_back(place);
                    Poll::Pending
                }
            },
            Some(0) if self.has_room() => {
                self.claim_for_sender();
                self.senders.served.remove(&place);
                Poll::Ready(Ok(()))
            }
            Some(0) => {
                self.senders.sleep_again();
                Poll::Pending
            }
            Some(_) => Poll::Pending,
        }
    }

    fn poll_send(&mut self, place: usize, message: u32) -> Poll<Result<(), SendError<u32>>> {
        let polled = self.poll_claim(place);
        if polled == Poll::Ready(Ok(())) {
            self.push(message);
        }
        polled.map_err(|SendError(())| SendError(message))
    }

    /// Uses a slot that was set aside.
    fn push(&mut self, message: u32) {
        self.senders.claims -= 1;
        self.messages.push_back(message);
        self.serve_receivers();
    }

    fn unclaim_slot(&mut self) {
        self.senders.claims -= 1;
        self.serve_senders();
        if self.is_closed {
            self.serve_receivers();
        }
    }

    fn drop_send(&mut self, place: usize) {
        if let Some(has_claim) = self.senders.served.remove(&place) {
            if has_claim {
                self.unclaim_slot();
            }
        } else if let Some(position) = self.senders.queue.iter().position(|other| *other == place) {
            self.senders.queue.remove(position);
            if position == 0 {
                self.senders.next_comes(self.has_room());
            }
        }
    }

    /// Takes the oldest message.
    fn pop(&mut self) -> Option<u32> {
        let message = self.messages.pop_front();
        self.serve_senders();
        if self.is_closed {
            self.serve_receivers();
        }
        message
    }

    fn try_recv(&mut self) -> Result<u32, TryRecvError> {
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
        self.pop().ok_or(TryRecvError::Empty)
    }

    fn poll_recv(&mut self, place: usize) -> Poll<Result<u32, RecvError>> {
        let position = self.receivers.queue.iter().position(|other| *other == place);
        if position == Some(0) {
            if !self.has_message() {
                self.receivers.sleep_again();
                return Poll::Pending;
            }
            self.claim_for_receiver();
        }
        match self.receivers.served.remove(&place) {
            Some(true) => {
                self.receivers.claims -= 1;
                return Poll::Ready(self.pop().ok_or(RecvError));
            }
            Some(false) => return Poll::Ready(Err(RecvError)),
            None if position.is_some() => return Poll::Pending,
            None => {}
        }
        match self.try_recv() {
            Ok(message) => Poll::Ready(Ok(message)),
            Err(TryRecvError::Closed) => Poll::Ready(Err(RecvError)),
            Err(_) => {
                self.receivers.queue.push_back(place);
                Poll::Pending
            }
        }
    }

    fn drop_recv(&mut self, place: usize) {
        if let Some(has_claim) = self.receivers.served.remove(&place) {
            if has_claim {
                self.receivers.claims -= 1;
                self.serve_receivers();
            }
        } else if let Some(position) = self.receivers.queue.iter().position(|other| *other == place)
        {
            self.receivers.queue.remove(position);
            if position == 0 {
                self.receivers.next_comes(self.has_message());
            }
        }
    }

    fn close(&mut self) {
        if !self.is_closed {
            self.is_closed = true;
            self.serve_senders();
            self.serve_receivers();
        }
    }
}

/// All ways in which a channel may be by now.
struct Models(Vec<Model>);

impl Models {
    /// Does a step in every way in which it may be done. Those ways remain that answer as the
    /// channel does, which looks like `view` then.
    fn expect<A: Debug + PartialEq>(
        &mut self,
        (answer, view): (A, View),
        step: impl Fn(&mut Model) -> A,
    ) {
        let seen = (answer, view);
        let (mut remaining, mut expected) = (Vec::new(), Vec::new());
        for model in &self.0 {
            for claims_early in [false, true] {
                let mut model = Model { claims_early, ..model.clone() };
                let answered = step(&mut model);
                let would_be_seen = (answered, model.view());
                model.claims_early = false;
                if would_be_seen != seen {
                    expected.push(would_be_seen);
                } else if !remaining.contains(&model) {
                    remaining.push(model);
                }
            }
        }
        assert!(!remaining.is_empty(), "{seen:?}, which is none of {expected:?}");
        self.0 = remaining;
    }
}

/// One who waits at the sending end.
enum Sending<'a> {
    Send(Waiting<channel::Send<'a, u32>>, u32),
    Reserve(Waiting<Reserve<'a, u32>>),
}

impl<'a> Sending<'a> {
    fn new(place: usize, sender: &'a Sender<u32>, message: u32) -> Sending<'a> {
        if sends(place) {
            Sending::Send(Waiting::new(sender.send(message)), message)
        } else {
            Sending::Reserve(Waiting::new(sender.reserve()))
        }
    }

    fn is_woken(&self) -> bool {
        match self {
            Sending::Send(send, _) => send.is_woken(),
            Sending::Reserve(reserve) => reserve.is_woken(),
        }
    }
}

/// The places of those who are woken.
fn woken<W>(waiting: &[Option<W>], is_woken: impl Fn(&W) -> bool) -> Vec<usize> {
    let in_place = |place: &usize| waiting[*place].as_ref().is_some_and(&is_woken);
    (0..waiting.len()).filter(in_place).collect()
}

/// Does the steps with a channel and with its models.
fn compare(ends: (Sender<u32>, Receiver<u32>), capacity: Option<usize>, steps: Vec<Step>) {
    let (sender, receiver) = ends;
    let mut models = Models(vec![Model::new(capacity)]);
    let mut permits: Vec<SendPermit<'_, u32>> = Vec::new();
    let mut sending: Vec<Option<Sending<'_>>> = places(PLACES);
    let mut receiving: Vec<Option<Waiting<Recv<'_, u32>>>> = places(PLACES);
    let view = |sending: &[Option<Sending<'_>>], receiving: &[Option<Waiting<Recv<'_, u32>>>]| {
        assert_eq!(sender.is_closed(), receiver.is_closed());
        assert_eq!((sender.len(), sender.is_empty()), (receiver.len(), receiver.is_empty()));
        View {
            length: sender.len(),
            is_full: sender.is_full(),
            is_closed: sender.is_closed(),
            woken_senders: woken(sending, Sending::is_woken),
            woken_receivers: woken(receiving, Waiting::is_woken),
        }
    };
    for (number, step) in (0..).zip(steps) {
        match step {
            Step::TrySend => {
                let sent = sender.try_send(number);
                let seen = (sent, view(&sending, &receiving));
                models.expect(seen, |model| model.try_send(number));
            }
            Step::TryReserve => {
                let reserved = sender.try_reserve().map(|permit| permits.push(permit));
                models.expect((reserved, view(&sending, &receiving)), Model::try_claim);
            }
            Step::PollSend(place) => {
                let new = || Sending::new(place, &sender, number);
                match sending[place].get_or_insert_with(new) {
                    Sending::Send(send, message) => {
                        let (polled, message) = (send.poll(), *message);
                        if polled.is_ready() {
                            sending[place] = None;
                        }
                        let seen = (polled, view(&sending, &receiving));
                        models.expect(seen, |model| model.poll_send(place, message));
                    }
                    Sending::Reserve(reserve) => {
                        let polled = reserve.poll().map_ok(|permit| permits.push(permit));
                        if polled.is_ready() {
                            sending[place] = None;
                        }
                        let seen = (polled, view(&sending, &receiving));
                        models.expect(seen, |model| model.poll_claim(place));
                    }
                }
            }
            Step::DropSend(place) => {
                sending[place] = None;
                models.expect(((), view(&sending, &receiving)), |model| model.drop_send(place));
            }
            Step::UsePermit(nth) if !permits.is_empty() => {
                permits.swap_remove(nth % permits.len()).send(number);
                models.expect(((), view(&sending, &receiving)), |model| model.push(number));
            }
            Step::DropPermit(nth) if !permits.is_empty() => {
                drop(permits.swap_remove(nth % permits.len()));
                models.expect(((), view(&sending, &receiving)), Model::unclaim_slot);
            }
            Step::UsePermit(_) | Step::DropPermit(_) => {}
            Step::TryRecv => {
                let received = receiver.try_recv();
                models.expect((received, view(&sending, &receiving)), Model::try_recv);
            }
            Step::PollRecv(place) => {
                let recv = receiving[place].get_or_insert_with(|| Waiting::new(receiver.recv()));
                let polled = recv.poll();
                if polled.is_ready() {
                    receiving[place] = None;
                }
                let seen = (polled, view(&sending, &receiving));
                models.expect(seen, |model| model.poll_recv(place));
            }
            Step::DropRecv(place) => {
                receiving[place] = None;
                models.expect(((), view(&sending, &receiving)), |model| model.drop_recv(place));
            }
            Step::Close => {
                sender.close();
                models.expect(((), view(&sending, &receiving)), Model::close);
            }
        }
    }
    // Nobody has a claim any more: what is left comes out, in order.
    drop((permits, sending, receiving));
    sender.close();
    let left: VecDeque<u32> = std::iter::from_fn(|| receiver.try_recv().ok()).collect();
    assert!(models.0.iter().all(|model| model.messages == left), "{left:?}");
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
    assert_eq!(sender.try_send(0), Err(TrySendError::Closed(0)));
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_bounded_channel_moves_messages_in_order(capacity in 1..=4_usize, steps in steps()) {
        compare(channel::bounded(capacity), Some(capacity), steps);
    }

    #[test]
    fn an_unbounded_channel_moves_messages_in_order(steps in steps()) {
        compare(channel::unbounded(), None, steps);
    }
}
