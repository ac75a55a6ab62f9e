//! The virtual clock and what it will wake: a step costs a little time, an idle world jumps to
//! the next event.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What one step costs, in nanoseconds: about an uncontended atomic operation with its share of
/// the code around it.
pub(crate) const STEP: u64 = 20;

/// What happens when an alarm rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Alarm {
    /// `thread` wakes, if it still is in its wait number `wait`.
    Wake { thread: u32, wait: u64 },
    /// The network's packet or timer of this number arrives.
    Packet(u64),
    /// The operation of this number on a ring completes.
    Completion(u64),
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    at: u64,
    /// Order of creation, so that alarms of the same time ring in a defined order.
    sequence: u64,
    alarm: Alarm,
}

pub(crate) struct Clock {
    /// Nanoseconds since the run began.
    now: u64,
    /// When the earliest alarm rings; `u64::MAX` without one.
    next: u64,
    alarms: BinaryHeap<Reverse<Entry>>,
    sequence: u64,
    /// How many of the alarms wake a thread.
    wakes: usize,
}

impl Clock {
    pub(crate) fn new() -> Clock {
        Clock { now: 0, next: u64::MAX, alarms: BinaryHeap::new(), sequence: 0, wakes: 0 }
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

    /// Sets an alarm. One at `u64::MAX` never rings.
    pub(crate) fn set(&mut self, at: u64, alarm: Alarm) {
        if at == u64::MAX {
            return;
        }
        self.sequence += 1;
        self.wakes += usize::from(matches!(alarm, Alarm::Wake { .. }));
        self.alarms.push(Reverse(Entry { at, sequence: self.sequence, alarm }));
        self.next = self.next.min(at);
    }

    /// Forgets the next alarms as long as they are for nobody: time must not jump to them.
    pub(crate) fn drop_stale(&mut self, is_stale: impl Fn(Alarm) -> bool) {
        while let Some(Reverse(entry)) = self.alarms.peek()
            && is_stale(entry.alarm)
        {
            let alarm = entry.alarm;
            self.alarms.pop();
            self.wakes -= usize::from(matches!(alarm, Alarm::Wake { .. }));
            self.next = self.alarms.peek().map_or(u64::MAX, |Reverse(entry)| entry.at);
        }
    }

    /// Nothing can run before the next alarm: time jumps there. False without an alarm.
    pub(crate) fn jump(&mut self) -> bool {
        if !self.has_alarms() {
            return false;
        }
        self.now = self.now.max(self.next);
        true
    }

    /// As [`Clock::jump`], but false too when all that is left are packets after `quiet_at`, by
    /// when the network has nothing more to tell.
    pub(crate) fn jump_unless_quiet(&mut self, quiet_at: u64) -> bool {
        (self.wakes > 0 || self.next <= quiet_at) && self.jump()
    }

    /// The next alarm that is due.
    pub(crate) fn due(&mut self) -> Option<Alarm> {
        let Reverse(entry) = *self.alarms.peek()?;
        if entry.at > self.now {
            return None;
        }
        self.alarms.pop();
        self.wakes -= usize::from(matches!(entry.alarm, Alarm::Wake { .. }));
        self.next = self.alarms.peek().map_or(u64::MAX, |Reverse(entry)| entry.at);
        Some(entry.alarm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn wake(thread: u32) -> Alarm {
        Alarm::Wake { thread, wait: 0 }
    }

    #[test]
    fn alarms_ring_in_order_of_time_then_of_creation() {
        let mut clock = Clock::new();
        clock.set(50, wake(7));
        clock.set(10, wake(2));
        clock.set(50, Alarm::Packet(1));
        clock.set(50, wake(3));
        assert!(clock.due().is_none());
        assert!(clock.jump());
        assert_eq!(clock.now(), 10);
        assert_eq!(clock.due(), Some(wake(2)));
        assert!(clock.due().is_none());
        assert!(clock.jump());
        let order: Vec<_> = std::iter::from_fn(|| clock.due()).collect();
        assert_eq!(order, [wake(7), Alarm::Packet(1), wake(3)]);
        assert!(!clock.jump());
    }

    #[test]
    fn a_step_reports_the_alarm_it_reaches() {
        let mut clock = Clock::new();
        clock.set(2 * STEP, wake(0));
        assert!(!clock.step());
        assert!(clock.step());
    }

    #[test]
    fn late_packets_alone_do_not_move_an_idle_clock() {
        let mut clock = Clock::new();
        clock.set(500, Alarm::Packet(1));
        assert!(!clock.jump_unless_quiet(499));
        clock.set(900, wake(0));
        assert!(clock.jump_unless_quiet(499));
        assert_eq!((clock.now(), clock.due()), (500, Some(Alarm::Packet(1))));
        assert!(clock.jump_unless_quiet(0));
        assert_eq!(clock.due(), Some(wake(0)));
        clock.set(950, Alarm::Packet(2));
        assert!(!clock.jump_unless_quiet(949) && clock.jump_unless_quiet(950));
    }

    #[test]
    fn an_alarm_at_the_end_of_time_is_none() {
        let mut clock = Clock::new();
        clock.set(u64::MAX, wake(0));
        clock.set(10, Alarm::Packet(1));
        assert!(!clock.jump_unless_quiet(9));
    }
}
