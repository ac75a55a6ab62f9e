//! Who waits where, and how often the first of them was overtaken: law 4 of the
//! [laws](crate::laws).

use std::collections::{BTreeMap, VecDeque};

/// The queues of one run, by the addresses of what they are queues of: keys for look-up alone. An
/// address stays the same while somebody waits there.
#[derive(Default)]
pub(crate) struct Fairness {
    queues: BTreeMap<usize, Queue>,
}

#[derive(Default)]
struct Queue {
    /// Waiters, by their addresses, first come first.
    waiters: VecDeque<usize>,
    /// How often somebody else got what the first one waits for.
    overtaken: u32,
}

impl Fairness {
    pub(crate) fn queued(&mut self, queue: usize, waiter: usize) {
        self.queues.entry(queue).or_default().waiters.push_back(waiter);
    }

    pub(crate) fn left(&mut self, queue: usize, waiter: usize) {
        let Some(entry) = self.queues.get_mut(&queue) else { return };
        if entry.waiters.front() == Some(&waiter) {
            entry.waiters.pop_front();
            entry.overtaken = 0;
        } else {
            entry.waiters.retain(|other| *other != waiter);
        }
        if entry.waiters.is_empty() {
            self.queues.remove(&queue);
        }
    }

    /// Somebody who is not in the queue got what the first one waits for: what is wrong, if that
    /// was once too often.
    pub(crate) fn overtaken(&mut self, queue: usize, most: u32) -> Option<String> {
        let entry = self.queues.get_mut(&queue)?;
        entry.overtaken += 1;
        (entry.overtaken > most).then(|| {
            format!(
                "the first of {} waiters was overtaken {} times, and at most {most} are allowed",
                entry.waiters.len(),
                entry.overtaken
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_of_the_first_one() {
        let mut fairness = Fairness::default();
        assert!(fairness.overtaken(1, 0).is_none(), "nobody waits");
        fairness.queued(1, 10);
        fairness.queued(1, 11);
        assert!(fairness.overtaken(1, 2).is_none());
        assert!(fairness.overtaken(1, 2).is_none());
        // Another one comes to be the first.
        fairness.left(1, 10);
        assert!(fairness.overtaken(1, 2).is_none());
        assert!(fairness.overtaken(1, 2).is_none());
        let broken = fairness.overtaken(1, 2).expect("it is the third time");
        assert!(broken.contains("overtaken 3 times, and at most 2"), "{broken}");
    }
}
