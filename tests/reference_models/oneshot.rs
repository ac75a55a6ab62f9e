//! `oneshot`: one value, which the receiver has, or the sender still.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use proptest::prelude::*;
use volt::channel;
use volt::channel::oneshot::{Receiver, RecvError, Sender, TryRecvError};

use crate::waiting::{Alarm, config};

#[derive(Clone, Copy, Debug)]
enum Step {
    Send,
    DropSender,
    PollClosed,
    Poll,
    TryRecv,
    Close,
    DropReceiver,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => Just(Step::Send),
        1 => Just(Step::DropSender),
        3 => Just(Step::PollClosed),
        3 => Just(Step::Poll),
        2 => Just(Step::TryRecv),
        1 => Just(Step::Close),
        1 => Just(Step::DropReceiver),
    ]
}

const VALUE: u32 = 7;

#[derive(Default)]
struct Model {
    is_sent: bool,
    /// The sender has sent, or is gone.
    is_complete: bool,
    /// The receiver has closed the channel, or is gone.
    is_closed: bool,
    sender_waits: bool,
    receiver_waits: bool,
}

impl Model {
    /// The value or that there is none, once that is known.
    fn received(&self) -> Option<Result<u32, RecvError>> {
        if self.is_complete && self.is_sent {
            Some(Ok(VALUE))
        } else if self.is_complete || self.is_closed {
            Some(Err(RecvError))
        } else {
            None
        }
    }
}

/// One channel, until both ends are gone.
struct Ends {
    sender: Option<Sender<u32>>,
    receiver: Option<Receiver<u32>>,
    model: Model,
    of_sender: Arc<Alarm>,
    of_receiver: Arc<Alarm>,
}

impl Ends {
    fn new() -> Ends {
        let (sender, receiver) = channel::oneshot();
        Ends {
            sender: Some(sender),
            receiver: Some(receiver),
            model: Model::default(),
            of_sender: Arc::default(),
            of_receiver: Arc::default(),
        }
    }

    fn run(&mut self, step: Step) {
        let Ends { sender, receiver, model, of_sender, of_receiver } = self;
        match (step, sender.as_mut(), receiver.as_mut()) {
            (Step::Send, Some(_), _) => {
                let is_refused = model.is_closed;
                let sent = sender.take().map(|sender| sender.send(VALUE));
                assert_eq!(sent, Some(if is_refused { Err(VALUE) } else { Ok(()) }));
                model.is_sent = !is_refused;
                model.is_complete = !is_refused;
            }
            (Step::DropSender, Some(_), _) => {
                *sender = None;
                model.is_complete |= !model.is_closed;
            }
            (Step::PollClosed, Some(sender), _) => {
                of_sender.reset();
                let polled = sender.poll_closed(&mut Context::from_waker(&of_sender.waker()));
                assert_eq!(polled.is_ready(), model.is_closed);
                model.sender_waits = polled.is_pending();
            }
            (Step::Poll, _, Some(end)) => {
                of_receiver.reset();
                let polled = Pin::new(end).poll(&mut Context::from_waker(&of_receiver.waker()));
                assert_eq!(polled, model.received().map_or(Poll::Pending, Poll::Ready));
                model.receiver_waits = polled.is_pending();
                if polled.is_ready() {
                    *receiver = None;
                    model.is_closed = true;
                }
            }
            (Step::TryRecv, _, Some(end)) => {
                let received = end.try_recv();
                let expected = match model.received() {
                    Some(received) => received.map_err(TryRecvError::from),
                    None => Err(TryRecvError::Empty),
                };
                assert_eq!(received, expected);
                if received != Err(TryRecvError::Empty) {
                    *receiver = None;
                    model.receiver_waits = false;
                    model.is_closed = true;
                }
            }
            (Step::Close, _, Some(end)) => {
                end.close();
                model.is_closed = true;
            }
            (Step::DropReceiver, _, Some(_)) => {
                *receiver = None;
                model.receiver_waits = false;
                model.is_closed = true;
            }
            _ => {}
        }
        if let Some(sender) = sender {
            assert_eq!(sender.is_closed(), model.is_closed);
            if model.sender_waits {
                assert_eq!(of_sender.is_set(), model.is_closed);
            }
        }
        if receiver.is_some() && model.receiver_waits {
            assert_eq!(of_receiver.is_set(), model.is_complete);
        }
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_value_is_had_by_one_end(steps in prop::collection::vec(step(), 0..20)) {
        let mut ends = Ends::new();
        for step in steps {
            ends.run(step);
        }
    }
}
