//! The seam against the standard library: pairs of functions, one written against
//! `volt::platform`, its twin without Volt. `ci/seam` compares what they compile to in a release
//! build, where the two must be the same instructions; here they must compute the same.
//!
//! Each function has a symbol of its own and takes its state by reference, so that the compiler
//! can neither inline it nor foresee what it works on.

#![cfg(not(any(feature = "sim", volt_loom, volt_shuttle)))]

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Instant;

/// The bit of a lock word that says that the lock is held. The bits above it count how often it
/// was taken.
const HELD: u32 = 1;
/// One acquisition in a lock word.
const ACQUISITION: u32 = 2;

/// Takes the lock, counts that and releases it; what the word was before.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn seam_lock_word_volt(word: &volt::platform::sync::atomic::AtomicU32) -> u32 {
    use volt::platform::sync::atomic::Ordering;

    let mut seen = word.load(Ordering::Relaxed);
    loop {
        if seen & HELD != 0 {
            volt::platform::sync::spin_loop();
            seen = word.load(Ordering::Relaxed);
            continue;
        }
        match word.compare_exchange(seen, seen | HELD, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => break,
            Err(now) => seen = now,
        }
    }
    word.store(seen.wrapping_add(ACQUISITION), Ordering::Release);
    seen
}

/// The twin of [`seam_lock_word_volt`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn seam_lock_word_twin(word: &AtomicU32) -> u32 {
    take_and_release(word)
}

/// [`seam_lock_word_twin`] behind a seam that asks at run time which machine it is on: what
/// `ci/seam --show-failure` must report.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn seam_lock_word_planted(word: &AtomicU32, is_simulated: &AtomicBool) -> u32 {
    if is_simulated.load(Ordering::Relaxed) {
        // SeqCst: the simulated machine knows no weaker order. It runs one thread at a time, and
        // nobody holds the lock between two operations.
        return word.fetch_add(ACQUISITION, Ordering::SeqCst);
    }
    take_and_release(word)
}

#[inline(always)]
fn take_and_release(word: &AtomicU32) -> u32 {
    let mut seen = word.load(Ordering::Relaxed);
    loop {
        if seen & HELD != 0 {
            core::hint::spin_loop();
            seen = word.load(Ordering::Relaxed);
            continue;
        }
        match word.compare_exchange(seen, seen | HELD, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => break,
            Err(now) => seen = now,
        }
    }
    word.store(seen.wrapping_add(ACQUISITION), Ordering::Release);
    seen
}

/// Adds to a total inside the internal lock; the new total.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn seam_mutex_volt(total: &volt::platform::sync::Mutex<u64>, amount: u64) -> u64 {
    let mut total = total.lock();
    *total = total.wrapping_add(amount);
    *total
}

/// The twin of [`seam_mutex_volt`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn seam_mutex_twin(total: &parking_lot::Mutex<u64>, amount: u64) -> u64 {
    let mut total = total.lock();
    *total = total.wrapping_add(amount);
    *total
}

/// Reads the clock and gives way to other threads.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn seam_clock_and_yield_volt(at: &mut Instant) {
    *at = volt::platform::clock::now();
    volt::platform::thread::yield_now();
}

/// The twin of [`seam_clock_and_yield_volt`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn seam_clock_and_yield_twin(at: &mut Instant) {
    *at = Instant::now();
    std::thread::yield_now();
}

#[test]
fn the_lock_words_agree() {
    for start in [0, ACQUISITION, 40, u32::MAX - 1] {
        let expected = (start, start.wrapping_add(ACQUISITION));

        let word = volt::platform::sync::atomic::AtomicU32::new(start);
        assert_eq!((seam_lock_word_volt(&word), word.into_inner()), expected);

        let word = AtomicU32::new(start);
        assert_eq!((seam_lock_word_twin(&word), word.into_inner()), expected);

        for is_simulated in [false, true] {
            let word = AtomicU32::new(start);
            let is_simulated = AtomicBool::new(is_simulated);
            assert_eq!((seam_lock_word_planted(&word, &is_simulated), word.into_inner()), expected);
        }
    }
}

#[test]
fn the_mutexes_agree() {
    let volt = volt::platform::sync::Mutex::new(7);
    let twin = parking_lot::Mutex::new(7);
    for (amount, expected) in [(0, 7), (35, 42), (u64::MAX, 41)] {
        assert_eq!(seam_mutex_volt(&volt, amount), expected);
        assert_eq!(seam_mutex_twin(&twin, amount), expected);
    }
    assert!(volt.try_lock().is_some() && twin.try_lock().is_some(), "a lock is still held");
}

#[test]
fn the_clocks_agree() {
    let start = Instant::now();
    let [mut first, mut second, mut third] = [start; 3];
    for _ in 0..100 {
        seam_clock_and_yield_volt(&mut first);
        seam_clock_and_yield_twin(&mut second);
        seam_clock_and_yield_volt(&mut third);
        assert!(first <= second && second <= third, "{first:?}, {second:?}, {third:?}");
    }
    assert!(third > start, "the clock stands still");
}
