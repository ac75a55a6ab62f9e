//! The virtual clock and what it will wake: a step costs a little time, an idle world jumps to
//! the next event.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What one step costs, in nanoseconds: about an uncontended atomic operation with its share of
/// the code around it.
pub(crate) const STEP: u64 = 20;

/// A wake-up of `thread` at `at`, valid while the thread is still in its wait number `wait`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Alarm {
    pub(crate) at: u64,
    /// Order of creation, so that alarms of the same time ring in a defined order.
    sequence: u64,
    pub(crate) thread: u32,
    pub(crate) wait: u64,
}

pub(crate) struct Clock {
    /// Nanoseconds since the run began.
    now: u64,
    /// When the earliest alarm rings; `u64::MAX` without one.
    next: u64,
    alarms: BinaryHeap<Reverse<Alarm>>,
    sequence: u64,
}

impl Clock {
    pub(crate) fn new() -> Clock {
        Clock { now: 0, next: u64::MAX, alarms: BinaryHeap::new(), sequence: 0 }
    }

    #[inline]
    pub(crate) fn now(&self) -> u64 {
        self.now
    }

    /// One step passes; true when an alarm is due.
    #[inline]
    pub(crate) fn step(&mut self) -> bool {
        self.now += STEP;
        self.now >= self.next
    }

    /// Whether any alarm is set.
    #[inline]
    pub(crate) fn has_alarms(&self) -> bool {
        self.next != u64::MAX
    }

    pub(crate) fn set_alarm(&mut self, at: u64, thread: u32, wait: u64) {
        self.sequence += 1;
        self.alarms.push(Reverse(Alarm { at, sequence: self.sequence, thread, wait }));
        self.next = self.next.min(at);
    }

    /// Nothing can run before the next alarm: time jumps there. False without an alarm.
    pub(crate) fn jump(&mut self) -> bool {
        if !self.has_alarms() {
            return false;
        }
        self.now = self.now.max(self.next);
        true
    }

    /// The next alarm that is due.
    pub(crate) fn due(&mut self) -> Option<Alarm> {
        let Reverse(alarm) = *self.alarms.peek()?;
        if alarm.at > self.now {
            return None;
        }
        self.alarms.pop();
        self.next = self.alarms.peek().map_or(u64::MAX, |Reverse(alarm)| alarm.at);
        Some(alarm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alarms_ring_in_order_of_time_then_of_creation() {
        let mut clock = Clock::new();
        clock.set_alarm(50, 1, 0);
        clock.set_alarm(10, 2, 0);
        clock.set_alarm(50, 3, 0);
        assert!(clock.due().is_none());
        assert!(clock.jump());
        assert_eq!(clock.now(), 10);
        assert_eq!(clock.due().map(|alarm| alarm.thread), Some(2));
        assert!(clock.due().is_none());
        assert!(clock.jump());
        let order: Vec<_> = std::iter::from_fn(|| clock.due()).map(|alarm| alarm.thread).collect();
        assert_eq!(order, [1, 3]);
        assert!(!clock.jump());
    }

    #[test]
    fn a_step_reports_the_alarm_it_reaches() {
        let mut clock = Clock::new();
        clock.set_alarm(2 * STEP, 0, 0);
        assert!(!clock.step());
        assert!(clock.step());
    }
}
