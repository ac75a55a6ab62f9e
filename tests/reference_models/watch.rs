//! `watch`: the newest value, and whether it was seen.

use std::pin::Pin;
use std::sync::Arc;

use proptest::prelude::*;
use volt::channel::{self, watch::RecvError};
use volt::sync::Waiter;

use crate::waiting::{Alarm, config};

const RECEIVERS: usize = 3;

#[derive(Clone, Copy, Debug)]
enum Step {
    Send,
    /// Changes the value; or not, and says so.
    Modify(bool),
    Look(usize),
    /// Sees a change, or waits for one.
    Changed(usize),
    Cancel(usize),
    DropSender,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => Just(Step::Send),
        20 => any::<bool>().prop_map(Step::Modify),
        20 => (0..RECEIVERS).prop_map(Step::Look),
        60 => (0..RECEIVERS).prop_map(Step::Changed),
        10 => (0..RECEIVERS).prop_map(Step::Cancel),
        1 => Just(Step::DropSender),
    ]
}

/// One receiver.
#[derive(Clone, Copy, Default)]
struct Seen {
    version: u32,
    waits: bool,
}

impl Seen {
    fn changed(&mut self, version: u32, is_closed: bool) -> Option<Result<(), RecvError>> {
        let news = if self.version != version {
            Some(Ok(()))
        } else {
            is_closed.then_some(Err(RecvError))
        };
        self.version = version;
        self.waits = news.is_none();
        news
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_change_is_seen_once_by_each(steps in prop::collection::vec(step(), 0..150)) {
        let (sender, receiver) = channel::watch(0);
        let mut sender = Some(sender);
        let receivers = [receiver.clone(), receiver.clone(), receiver];
        let alarms: [Arc<Alarm>; RECEIVERS] = Default::default();
        let mut waiters: Vec<Pin<Box<Waiter<'_>>>> =
            alarms.iter().map(|alarm| Box::pin(Waiter::new(alarm.waker()))).collect();
        let mut seen = [Seen::default(); RECEIVERS];
        let (mut value, mut version) = (0, 0);
        for (number, step) in (1_u32..).zip(steps) {
            match (step, &sender) {
                (Step::Send, Some(sender)) => {
                    assert_eq!(sender.send(number), Ok(()));
                    value = number;
                    version += 1;
                }
                (Step::Modify(is_changed), Some(sender)) => {
                    let modified = sender.send_if_modified(|place| {
                        *place += u32::from(is_changed);
                        is_changed
                    });
                    assert_eq!(modified, is_changed);
                    value += u32::from(is_changed);
                    version += u32::from(is_changed);
                }
                (Step::DropSender, _) => sender = None,
                (Step::Send | Step::Modify(_), None) => {}
                (Step::Look(nth), _) => {
                    let found = receivers[nth].borrow();
                    let is_new = seen[nth].version != version;
                    assert_eq!((*found, found.has_changed()), (value, is_new));
                }
                (Step::Changed(nth), _) => {
                    alarms[nth].reset();
                    let news = receivers[nth].changed_wait(waiters[nth].as_mut());
                    assert_eq!(news, seen[nth].changed(version, sender.is_none()));
                }
                (Step::Cancel(nth), _) => {
                    receivers[nth].cancel_changed(waiters[nth].as_mut());
                    seen[nth].waits = false;
                }
            }
            for (nth, seen) in seen.iter().enumerate() {
                let is_news = seen.version != version;
                let is_over = !is_news && sender.is_none();
                let expected = if is_over { Err(RecvError) } else { Ok(is_news) };
                assert_eq!(receivers[nth].has_changed(), expected);
                assert_eq!(receivers[nth].is_closed(), sender.is_none());
                if seen.waits {
                    let is_woken = alarms[nth].is_set();
                    assert_eq!(is_woken, is_news || is_over, "receiver {nth}");
                }
            }
        }
    }
}
