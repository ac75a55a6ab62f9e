//! What the tokens of events stand for: a table of references, whose places are used again.
//!
//! ```text
//!   token:  generation of the place │ index of the place
//!
//!             insert                            remove
//!   free ─────────────► taken, its token out ───────────► free, generation + 1
//! ```
//!
//! The system may hand out an event before its source is deregistered, and a thread may look at it
//! long after. The place may then be free, or be another source's. The generation tells: a token
//! fits a place only until the place is freed. And the table gives out references that are
//! counted, so what they lead to outlives the look. So no list of cells to be freed later is
//! needed, and no turn of the driver has to pass before a place is used again.
//!
//! Rules:
//! 1. The generation of a place grows when it is freed, under the lock.
//! 2. After `close` nothing is inserted.
//! 3. No reference is dropped under the lock: it may be the last.

use std::sync::Arc;

use crate::platform::mutation::mutation;
use crate::platform::net::Event;
use crate::platform::sync::Mutex;

/// How many events are looked up at a time.
pub(super) const BATCH: usize = 32;

const INDEX_BITS: u32 = if usize::BITS == 64 { 32 } else { 20 };
const INDEX_MASK: usize = (1 << INDEX_BITS) - 1;
const GENERATION_MASK: usize = usize::MAX >> INDEX_BITS;
/// How many places there can be. One fewer than there are indices, so that no token is
/// `usize::MAX`, which stands for wake-ups.
const PLACES: usize = INDEX_MASK;

/// Events, and what their tokens stand for.
pub(super) type Found<T> = [Option<(Arc<T>, Event)>; BATCH];

/// Why nothing is inserted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The table is closed.
    Closed,
    /// Every place is taken.
    Full,
}

/// See the module documentation.
pub(super) struct Slab<T> {
    table: Mutex<Table<T>>,
}

struct Table<T> {
    places: Vec<Place<T>>,
    /// The indices of the free places.
    free: Vec<usize>,
    closed: bool,
}

struct Place<T> {
    generation: usize,
    value: Option<Arc<T>>,
}

impl<T> Table<T> {
    fn place_of(&mut self, token: usize) -> Option<&mut Place<T>> {
        let generation = mutation!(
            "slab-ignores-generation",
            token >> INDEX_BITS,
            self.places.get(token & INDEX_MASK)?.generation
        );
        let place = self.places.get_mut(token & INDEX_MASK)?;
        (place.generation == generation).then_some(place)
    }
}

impl<T> Slab<T> {
    pub(super) fn new() -> Slab<T> {
        let table = Table { places: Vec::new(), free: Vec::new(), closed: false };
        Slab { table: Mutex::new(table) }
    }

    /// Inserts `value` and gives the token that stands for it.
    pub(super) fn insert(&self, value: Arc<T>) -> Result<usize, Refusal> {
        let mut table = self.table.lock();
        if mutation!("slab-open-when-closed", table.closed, false) {
            return Err(Refusal::Closed);
        }
        if let Some(index) = table.free.pop() {
            let place = &mut table.places[index];
            place.value = Some(value);
            return Ok(token(index, place.generation));
        }
        let index = table.places.len();
        if index == PLACES {
            return Err(Refusal::Full);
        }
        table.places.push(Place { generation: 0, value: Some(value) });
        Ok(token(index, 0))
    }

    /// How many places are taken.
    pub(super) fn taken(&mut self) -> usize {
        let table = self.table.get_mut();
        // Saturating: a planted bug may free a place twice.
        table.places.len().saturating_sub(table.free.len())
    }

    /// Ends what `token` stands for, and gives it; `None` if it stands for nothing any more.
    pub(super) fn remove(&self, token: usize) -> Option<Arc<T>> {
        let mut table = self.table.lock();
        let place = table.place_of(token)?;
        let value = place.value.take()?;
        place.generation = (place.generation + 1) & GENERATION_MASK;
        let index = token & INDEX_MASK;
        table.free.push(mutation!("slab-frees-a-neighbour", index, index.saturating_sub(1)));
        Some(value)
    }

    /// Takes up to a batch of `events` and puts them into `found`, with what their tokens stand
    /// for. A token that stands for nothing any more leaves its place in `found` empty.
    pub(super) fn look_up(&self, events: &mut impl Iterator<Item = Event>, found: &mut Found<T>) {
        debug_assert!(found.iter().all(Option::is_none), "rule 3: nothing is dropped in here");
        let mut table = self.table.lock();
        for (slot, event) in found.iter_mut().zip(events) {
            let value = table.place_of(event.token).and_then(|place| place.value.clone());
            *slot = value.map(|value| (value, event));
        }
    }

    /// Refuses to insert from now on, and shows `visit` every value that is there. It is called
    /// without the lock; a value may be removed meanwhile.
    pub(super) fn close(&self, mut visit: impl FnMut(Arc<T>)) {
        self.table.lock().closed = true;
        let mut next = 0;
        loop {
            let mut batch: [Option<Arc<T>>; BATCH] = [const { None }; BATCH];
            let end = {
                let table = self.table.lock();
                let end = table.places.len().min(next + BATCH);
                for (slot, place) in batch.iter_mut().zip(&table.places[next..end]) {
                    *slot = place.value.clone();
                }
                end
            };
            if end == next {
                return;
            }
            next = end;
            batch.into_iter().flatten().for_each(&mut visit);
        }
    }
}

fn token(index: usize, generation: usize) -> usize {
    (generation << INDEX_BITS) | index
}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests {
    use super::*;

    fn event(token: usize) -> Event {
        Event { token, readable: true, ..Event::default() }
    }

    /// What events of `tokens` are looked up as.
    fn look_up(slab: &Slab<u32>, tokens: &[usize]) -> Vec<Option<u32>> {
        let mut events = tokens.iter().map(|token| event(*token));
        let mut found = [const { None }; BATCH];
        slab.look_up(&mut events, &mut found);
        let looked_up = BATCH.min(tokens.len());
        assert_eq!(events.count(), tokens.len() - looked_up, "an event is lost");
        assert!(found[looked_up..].iter().all(Option::is_none));
        found[..looked_up].iter().map(|found| found.as_ref().map(|found| *found.0)).collect()
    }

    #[test]
    fn a_token_stands_for_its_value_until_that_is_removed() {
        let slab = Slab::new();
        let first = slab.insert(Arc::new(1)).unwrap();
        let second = slab.insert(Arc::new(2)).unwrap();
        assert_eq!(look_up(&slab, &[second, first, second]), [Some(2), Some(1), Some(2)]);
        assert_eq!(slab.remove(first).as_deref(), Some(&1));
        assert_eq!(look_up(&slab, &[first, second]), [None, Some(2)]);
        assert_eq!(slab.remove(first), None);
        assert_eq!(look_up(&slab, &[usize::MAX, INDEX_MASK - 1]), [None, None]);
    }

    #[test]
    fn a_place_is_used_again_under_another_token() {
        let slab = Slab::new();
        let mut tokens = Vec::new();
        for value in 0..100 {
            let token = slab.insert(Arc::new(value)).unwrap();
            assert_eq!(token & INDEX_MASK, 0, "the free place is not used");
            assert!(!tokens.contains(&token), "a token is used twice");
            tokens.push(token);
            let last = tokens.len().min(BATCH);
            let looked_up = look_up(&slab, &tokens[tokens.len() - last..]);
            let stale = looked_up.iter().filter(|value| value.is_none()).count();
            assert_eq!((looked_up[last - 1], stale), (Some(value), last - 1));
            slab.remove(token).unwrap();
        }
    }

    #[test]
    fn generations_wrap() {
        let slab = Slab::new();
        let first = slab.insert(Arc::new(1)).unwrap();
        slab.table.lock().places[0].generation = GENERATION_MASK;
        assert_eq!(look_up(&slab, &[first]), [None]);
        let last = token(0, GENERATION_MASK);
        assert_eq!(slab.remove(last).as_deref(), Some(&1));
        assert_eq!(slab.insert(Arc::new(2)), Ok(first));
    }

    #[test]
    fn no_token_is_that_of_wake_ups() {
        assert_ne!(token(PLACES - 1, GENERATION_MASK), usize::MAX);
        assert_eq!(token(PLACES, GENERATION_MASK), usize::MAX);
    }

    #[test]
    fn events_beyond_a_batch_stay() {
        let slab = Slab::new();
        let tokens: Vec<usize> =
            (0..40).map(|value| slab.insert(Arc::new(value)).unwrap()).collect();
        let expected: Vec<Option<u32>> = (0..BATCH as u32).map(Some).collect();
        assert_eq!(look_up(&slab, &tokens), expected);
    }

    #[test]
    fn closing_shows_each_value_once_and_refuses_others() {
        let slab = Slab::new();
        for value in 0..100_u32 {
            let token = slab.insert(Arc::new(value)).unwrap();
            if value % 10 == 0 {
                slab.remove(token);
            }
        }
        let mut shown = Vec::new();
        slab.close(|value| {
            assert!(slab.table.try_lock().is_some(), "shown under the lock");
            shown.push(*value);
        });
        shown.sort_unstable();
        let expected: Vec<u32> = (0..100).filter(|value| value % 10 != 0).collect();
        assert_eq!(shown, expected);
        assert_eq!(slab.insert(Arc::new(0)), Err(Refusal::Closed));
    }
}

#[cfg(all(test, volt_loom))]
mod models {
    use super::*;
    use crate::platform::model::model;
    use crate::platform::mutation::is_noticed;
    use crate::platform::sync::atomic::{AtomicBool, Ordering};

    /// A thread looks at an event while its source goes and another takes the place.
    fn late_event() {
        let slab = Arc::new(Slab::new());
        let old = slab.insert(Arc::new(AtomicBool::new(false))).unwrap();
        let other = Arc::clone(&slab);
        let thread = loom::thread::spawn(move || {
            let mut events = std::iter::once(Event { token: old, ..Event::default() });
            let mut found = [const { None }; BATCH];
            other.look_up(&mut events, &mut found);
            for (cell, _) in found.into_iter().flatten() {
                cell.store(true, Ordering::Relaxed);
            }
        });
        let removed = slab.remove(old);
        let cell = Arc::new(AtomicBool::new(false));
        let new = slab.insert(Arc::clone(&cell)).unwrap();
        thread.join().unwrap();
        assert!(removed.is_some());
        assert_ne!(old, new);
        assert!(!cell.load(Ordering::Relaxed), "the new source has the event of the old one");
    }

    #[test]
    fn a_late_event_meets_a_place_that_is_used_again() {
        model(late_event);
    }

    #[test]
    fn ignored_generation_mutant_is_noticed() {
        assert!(is_noticed("slab-ignores-generation", || model(late_event)));
    }

    /// A source is inserted while the table is closed: it is refused, or shown.
    fn insert_and_close() {
        let slab = Arc::new(Slab::new());
        let other = Arc::clone(&slab);
        let thread = loom::thread::spawn(move || {
            other.close(|cell: Arc<AtomicBool>| cell.store(true, Ordering::Relaxed));
        });
        let cell = Arc::new(AtomicBool::new(false));
        let inserted = slab.insert(Arc::clone(&cell));
        thread.join().unwrap();
        assert_eq!(inserted.is_ok(), cell.load(Ordering::Relaxed), "nobody tells it of the end");
    }

    #[test]
    fn a_close_meets_a_registration() {
        model(insert_and_close);
    }

    #[test]
    fn open_when_closed_mutant_is_noticed() {
        assert!(is_noticed("slab-open-when-closed", || model(insert_and_close)));
    }
}
