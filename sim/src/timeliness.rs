//! Timers, and when they must have fired: law 6 of the [laws](crate::laws).

use std::collections::BTreeMap;
use std::time::Duration;

/// Timers are counted in ticks of as many nanoseconds; a deadline between two of them is that of
/// the later one.
const TICK: u64 = 1_000_000;

/// The timers of one run. Wheels and timers go by their addresses: keys for look-up alone. A
/// timer's stays the same while it is armed.
#[derive(Default)]
pub(crate) struct Timeliness {
    armed: BTreeMap<usize, Armed>,
    /// When each armed timer was armed, by its wheel, by when a look must find it, and by itself.
    due: BTreeMap<(usize, u64, usize), u64>,
    /// Up to when somebody has looked at each wheel.
    looked: BTreeMap<usize, u64>,
    /// The workers that sleep, by their wheels.
    asleep: BTreeMap<usize, Sleep>,
    /// Orders what is told.
    events: u64,
}

struct Armed {
    wheel: usize,
    deadline: u64,
    due: u64,
}

/// How a worker sleeps, in nanoseconds since the run began.
pub(crate) struct Sleep {
    /// When the clock of its wheel shows 0.
    pub(crate) start: u64,
    /// When it wakes by itself; `u64::MAX` if never.
    pub(crate) until: u64,
}

impl Timeliness {
    /// A timer is armed. Times are nanoseconds on the clock of its wheel.
    pub(crate) fn armed(&mut self, wheel: usize, timer: usize, deadline: u64) {
        self.ended(timer);
        self.events += 1;
        // One that is late when it is armed fires at the next tick.
        let next = self.looked.get(&wheel).map_or(0, |looked| looked.saturating_add(TICK));
        let due = deadline.max(next);
        self.due.insert((wheel, due, timer), self.events);
        self.armed.insert(timer, Armed { wheel, deadline, due });
    }

    /// It waits no more.
    pub(crate) fn ended(&mut self, timer: usize) -> Option<u64> {
        let Armed { wheel, deadline, due } = self.armed.remove(&timer)?;
        self.due.remove(&(wheel, due, timer));
        Some(deadline)
    }

    /// It fires, at a look that takes this for the time: what is wrong.
    pub(crate) fn fired(&mut self, timer: usize, now: u64) -> Option<String> {
        let deadline = self.ended(timer)?;
        (now < deadline)
            .then(|| format!("a timer fires early: {} ns before its deadline", deadline - now))
    }

    /// Somebody begins to fire what is due; the number of the look.
    pub(crate) fn look_begins(&mut self, wheel: usize, now: u64) -> u64 {
        self.events += 1;
        let looked = self.looked.entry(wheel).or_default();
        *looked = now.max(*looked);
        self.events
    }

    /// That look has ended: what is wrong.
    pub(crate) fn look_ended(&self, wheel: usize, now: u64, look: u64) -> Option<String> {
        let mut due = self.due.range((wheel, 0, 0)..=(wheel, now, usize::MAX));
        let ((_, deadline, _), _) = due.find(|(_, armed)| **armed < look)?;
        Some(format!(
            "a timer fires late: it was due {} ns before a look that leaves it",
            now - deadline
        ))
    }

    /// The worker whose timers are in this wheel goes to sleep.
    pub(crate) fn worker_parked(&mut self, wheel: usize, sleep: Sleep) {
        self.asleep.insert(wheel, sleep);
    }

    /// It is awake again.
    pub(crate) fn worker_unparked(&mut self, wheel: usize) {
        self.asleep.remove(&wheel);
    }

    /// No thread can run, so many nanoseconds after the run began: what is wrong.
    pub(crate) fn at_rest(&self, now: u64) -> Option<String> {
        let overslept = |(&wheel, &Sleep { start, until }): (&usize, &Sleep)| {
            let mut waiting = self.due.range((wheel, 0, 0)..=(wheel, u64::MAX, usize::MAX));
            let (&(_, due, _), _) = waiting.next()?;
            let due = start.saturating_add(due);
            // A worker whose time has come runs next, and may find more than one timer due.
            (until.saturating_sub(due) > TICK && until > now).then_some((due, until))
        };
        // Not the first by address: that would differ from one process to the next.
        let (due, until) = self.asleep.iter().filter_map(overslept).min()?;
        let sleeps = match until {
            u64::MAX => "for ever".to_owned(),
            until => format!("until {:?}", Duration::from_nanos(until)),
        };
        Some(format!(
            "a timer fires late: it is due {:?} after the run began, its worker sleeps {sleeps}, \
             and no thread runs that would wake it",
            Duration::from_nanos(due)
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_finds_what_was_due_before_it() {
        let mut timers = Timeliness::default();
        timers.armed(1, 10, 5 * TICK);
        timers.armed(2, 20, TICK);
        let look = timers.look_begins(1, 4 * TICK);
        assert_eq!(timers.look_ended(1, 4 * TICK, look), None, "another wheel's, and a later one");
        let look = timers.look_begins(1, 5 * TICK);
        // Armed meanwhile: the next look is for that.
        timers.armed(1, 11, 0);
        assert!(timers.look_ended(1, 5 * TICK, look).is_some());
        assert_eq!(timers.fired(10, 5 * TICK), None);
        assert_eq!(timers.look_ended(1, 5 * TICK, look), None);
        let look = timers.look_begins(1, 6 * TICK);
        assert!(timers.look_ended(1, 6 * TICK, look).is_some());
        assert_eq!(timers.ended(11), Some(0));
        assert_eq!(timers.look_ended(1, 6 * TICK, look), None);
    }

    #[test]
    fn a_timer_that_was_armed_anew_has_its_last_deadline() {
        let mut timers = Timeliness::default();
        timers.armed(1, 10, TICK);
        timers.armed(1, 10, 3 * TICK);
        let look = timers.look_begins(1, 2 * TICK);
        assert_eq!(timers.look_ended(1, 2 * TICK, look), None);
        assert!(timers.fired(10, 2 * TICK).is_some(), "early");
        assert_eq!(timers.fired(10, 2 * TICK), None, "it was not armed any more");
    }

    #[test]
    fn a_worker_whose_time_has_come_may_find_more_than_one_timer_due() {
        let mut timers = Timeliness::default();
        timers.armed(1, 10, TICK);
        timers.worker_parked(1, Sleep { start: 5 * TICK, until: 9 * TICK });
        assert!(timers.at_rest(8 * TICK).is_some(), "it sleeps past six");
        assert_eq!(timers.at_rest(9 * TICK), None);
        timers.worker_unparked(1);
        assert_eq!(timers.at_rest(8 * TICK), None);
    }
}
