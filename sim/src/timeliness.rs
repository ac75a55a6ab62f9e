//! Timers, and when they must have fired: law 6 of the [laws](crate::laws).

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::Duration;

use foldhash::fast::FixedState;

/// Timers are counted in ticks of as many nanoseconds; a deadline between two of them is that of
/// the later one.
const TICK: u64 = 1_000_000;
/// So many entries of timers that wait no more are not worth a look at all entries.
const FEW: usize = 64;

/// The timers of one run. Wheels and timers go by their addresses: keys for look-up alone. A
/// timer's stays the same while it is armed.
#[derive(Default)]
pub(crate) struct Timeliness {
    armed: ArmedTimers,
    wheels: HashMap<usize, Wheel, FixedState>,
    /// Orders what is told.
    events: u64,
}

type ArmedTimers = HashMap<usize, Armed, FixedState>;

struct Armed {
    wheel: usize,
    deadline: u64,
    /// When a look must find it.
    due: u64,
    /// When it was armed, in the order of what is told.
    number: u64,
}

#[derive(Default)]
struct Wheel {
    /// When its timers are due, with the timer and the number of its arming; also some that wait
    /// no more, which are taken out as they come first.
    due: BinaryHeap<Reverse<(u64, usize, u64)>>,
    /// Up to when somebody has looked at it.
    looked: Option<u64>,
    /// How its worker sleeps, if it does.
    asleep: Option<Sleep>,
}

impl Wheel {
    /// When the first of its timers is due.
    fn first_due(&mut self, armed: &ArmedTimers) -> Option<u64> {
        while let Some(&Reverse(entry)) = self.due.peek() {
            if is_armed(entry, armed) {
                return Some(entry.0);
            }
            self.due.pop();
        }
        None
    }
}

/// Whether an entry of a wheel is that of a timer that waits.
fn is_armed((_, timer, number): (u64, usize, u64), armed: &ArmedTimers) -> bool {
    armed.get(&timer).is_some_and(|timer| timer.number == number)
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
        self.events += 1;
        let number = self.events;
        let record = self.wheels.entry(wheel).or_default();
        // One that is late when it is armed fires at the next tick.
        let next = record.looked.map_or(0, |looked| looked.saturating_add(TICK));
        let due = deadline.max(next);
        self.armed.insert(timer, Armed { wheel, deadline, due, number });
        let armed = &self.armed;
        if record.due.len() > 2 * armed.len() + FEW {
            record.due.retain(|&Reverse(entry)| is_armed(entry, armed));
        }
        record.due.push(Reverse((due, timer, number)));
    }

    /// It waits no more.
    pub(crate) fn ended(&mut self, timer: usize) -> Option<u64> {
        self.armed.remove(&timer).map(|timer| timer.deadline)
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
        let looked = &mut self.wheels.entry(wheel).or_default().looked;
        // Nothing is less than a time.
        *looked = (*looked).max(Some(now));
        self.events
    }

    /// That look has ended: what is wrong.
    pub(crate) fn look_ended(&mut self, wheel: usize, now: u64, look: u64) -> Option<String> {
        let first = self.wheels.get_mut(&wheel)?.first_due(&self.armed)?;
        if first > now {
            return None;
        }
        // What was armed meanwhile is for the next look.
        let is_left =
            |timer: &&Armed| timer.wheel == wheel && timer.due <= now && timer.number < look;
        let due = self.armed.values().filter(is_left).map(|timer| timer.due).min()?;
        Some(format!(
            "a timer fires late: it was due {} ns before a look that leaves it",
            now - due
        ))
    }

    /// The worker whose timers are in this wheel goes to sleep.
    pub(crate) fn worker_parked(&mut self, wheel: usize, sleep: Sleep) {
        self.wheels.entry(wheel).or_default().asleep = Some(sleep);
    }

    /// It is awake again.
    pub(crate) fn worker_unparked(&mut self, wheel: usize) {
        if let Some(wheel) = self.wheels.get_mut(&wheel) {
            wheel.asleep = None;
        }
    }

    /// No thread can run, so many nanoseconds after the run began: what is wrong.
    pub(crate) fn at_rest(&mut self, now: u64) -> Option<String> {
        let armed = &self.armed;
        let overslept = |wheel: &mut Wheel| {
            let &Sleep { start, until } = wheel.asleep.as_ref()?;
            let due = start.saturating_add(wheel.first_due(armed)?);
            // A worker whose time has come runs next, and may find more than one timer due.
            (until.saturating_sub(due) > TICK && until > now).then_some((due, until))
        };
        // Not the first by address: that would differ from one process to the next.
        let (due, until) = self.wheels.values_mut().filter_map(overslept).min()?;
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
    fn timers_that_have_ended_are_forgotten() {
        let mut timers = Timeliness::default();
        timers.armed(1, 10, TICK);
        for times in 2..1_000 {
            timers.armed(1, 11, times * TICK);
            assert_eq!(timers.ended(11), Some(times * TICK));
        }
        assert!(timers.wheels[&1].due.len() <= FEW + 5);
        let look = timers.look_begins(1, 1_000 * TICK);
        assert!(timers.look_ended(1, 1_000 * TICK, look).is_some());
        assert_eq!(timers.ended(10), Some(TICK));
        assert_eq!(timers.look_ended(1, 1_000 * TICK, look), None);
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
