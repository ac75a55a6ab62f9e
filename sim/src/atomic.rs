//! Atomics whose every operation is a scheduling point on a simulated thread, and the plain
//! operation of std elsewhere. Names and signatures are those of `std::sync::atomic`.
//!
//! Execution is sequentially consistent whatever the declared ordering; the orderings count for
//! the races that are found on [`UnsafeCell`](crate::cell::UnsafeCell)s.

use std::fmt;
use std::panic::Location;
use std::sync::atomic as real;

pub use std::sync::atomic::Ordering;
pub use std::sync::atomic::compiler_fence;

use crate::decide::Kind;
use crate::kernel::event::{Operation, OperationKind};
use crate::kernel::identity::Identity;
use crate::kernel::{self, World};

/// One weak compare-and-exchange in this many fails although the values are equal.
const WEAK_FAILURE_ONE_IN: u64 = 16;

/// Does `f` as the operation `kind` of the object: the scheduling point before, the answer into
/// the run's hash after. `effect` says how the operation ordered the threads.
#[inline]
fn perform<T: Copy>(
    world: &'static World,
    identity: &Identity,
    kind: OperationKind,
    place: &'static Location<'static>,
    f: impl FnOnce() -> T,
    bits: impl FnOnce(T) -> u64,
    effect: impl FnOnce(T) -> (OperationKind, Ordering),
) -> T {
    let object = identity.touch(world, place);
    let operation = Operation::new(kind, object, place);
    world.point(operation);
    let answer = f();
    if world.finds_races() {
        let (kind, order) = effect(answer);
        world.races(|races, me| match kind {
            OperationKind::Load => races.load(me, object, order),
            OperationKind::Store => races.store(me, object, order),
            _ => races.read_modify_write(me, object, order),
        });
    }
    world.complete(operation, bits(answer));
    answer
}

/// As `std::sync::atomic::fence`.
///
/// # Panics
/// If `order` is `Relaxed`.
#[track_caller]
pub fn fence(order: Ordering) {
    if let Some(world) = kernel::current() {
        let operation = Operation::new(OperationKind::Fence, 0, Location::caller());
        world.point(operation);
        if world.finds_races() {
            world.races(|races, me| races.fence(me, order));
        }
        world.complete(operation, 0);
    }
    real::fence(order);
}

macro_rules! methods {
    ($value:ty, $bits:expr) => {
        /// As std's.
        #[inline]
        #[track_caller]
        pub fn load(&self, order: Ordering) -> $value {
            let Some(world) = kernel::current() else { return self.value.load(order) };
            let place = Location::caller();
            let f = || self.value.load(order);
            let effect = |_| (OperationKind::Load, order);
            perform(world, &self.identity, OperationKind::Load, place, f, $bits, effect)
        }

        /// As std's.
        #[inline]
        #[track_caller]
        pub fn store(&self, value: $value, order: Ordering) {
            let Some(world) = kernel::current() else { return self.value.store(value, order) };
            let place = Location::caller();
            let f = || {
                self.value.store(value, order);
                value
            };
            let effect = |_| (OperationKind::Store, order);
            perform(world, &self.identity, OperationKind::Store, place, f, $bits, effect);
        }

        /// As std's.
        #[inline]
        #[track_caller]
        pub fn swap(&self, value: $value, order: Ordering) -> $value {
            self.modify(order, || self.value.swap(value, order))
        }

        /// As std's.
        ///
        /// # Errors
        /// The value found, when it is not `current`.
        #[inline]
        #[track_caller]
        pub fn compare_exchange(
            &self,
            current: $value,
            new: $value,
            success: Ordering,
            failure: Ordering,
        ) -> Result<$value, $value> {
            let Some(world) = kernel::current() else {
                return self.value.compare_exchange(current, new, success, failure);
            };
            self.exchange(world, Location::caller(), success, failure, || {
                self.value.compare_exchange(current, new, success, failure)
            })
        }

        /// As std's; on a simulated thread it fails now and then although the values are equal.
        ///
        /// # Errors
        /// The value found.
        #[inline]
        #[track_caller]
        pub fn compare_exchange_weak(
            &self,
            current: $value,
            new: $value,
            success: Ordering,
            failure: Ordering,
        ) -> Result<$value, $value> {
            let Some(world) = kernel::current() else {
                return self.value.compare_exchange_weak(current, new, success, failure);
            };
            self.exchange(world, Location::caller(), success, failure, || {
                let last = WEAK_FAILURE_ONE_IN - 1;
                if world.choose(Kind::WeakFailure, WEAK_FAILURE_ONE_IN) == last {
                    return Err(self.value.load(failure));
                }
                self.value.compare_exchange(current, new, success, failure)
            })
        }

        /// As std's: a loop of weak compare-and-exchanges.
        ///
        /// # Errors
        /// The value found, when `f` returns `None`.
        #[track_caller]
        pub fn fetch_update<F>(
            &self,
            set: Ordering,
            fetch: Ordering,
            mut f: F,
        ) -> Result<$value, $value>
        where
            F: FnMut($value) -> Option<$value>,
        {
            let mut found = self.load(fetch);
            while let Some(next) = f(found) {
                match self.compare_exchange_weak(found, next, set, fetch) {
                    Ok(found) => return Ok(found),
                    Err(other) => found = other,
                }
            }
            Err(found)
        }

        #[inline]
        #[track_caller]
        fn modify(&self, order: Ordering, f: impl FnOnce() -> $value) -> $value {
            let Some(world) = kernel::current() else { return f() };
            let place = Location::caller();
            let kind = OperationKind::ReadModifyWrite;
            perform(world, &self.identity, kind, place, f, $bits, |_| (kind, order))
        }

        #[inline]
        fn exchange(
            &self,
            world: &'static World,
            place: &'static Location<'static>,
            success: Ordering,
            failure: Ordering,
            f: impl FnOnce() -> Result<$value, $value>,
        ) -> Result<$value, $value> {
            let kind = OperationKind::ReadModifyWrite;
            let bits = |result: Result<$value, $value>| match result {
                Ok(value) => $bits(value),
                Err(value) => !$bits(value),
            };
            let effect = |result: Result<$value, $value>| match result {
                Ok(_) => (kind, success),
                Err(_) => (OperationKind::Load, failure),
            };
            perform(world, &self.identity, kind, place, f, bits, effect)
        }

        /// The value, which nobody else can have.
        #[inline]
        pub fn get_mut(&mut self) -> &mut $value {
            self.value.get_mut()
        }

        /// The value.
        #[inline]
        pub const fn into_inner(self) -> $value {
            self.value.into_inner()
        }
    };
}

macro_rules! fetch {
    ($value:ty, $($name:ident),+) => {$(
        /// As std's.
        #[inline]
        #[track_caller]
        pub fn $name(&self, value: $value, order: Ordering) -> $value {
            self.modify(order, || self.value.$name(value, order))
        }
    )+};
}

macro_rules! shared_traits {
    ($name:ident, $value:ty) => {
        impl Default for $name {
            fn default() -> $name {
                $name::new(<$value>::default())
            }
        }

        impl From<$value> for $name {
            fn from(value: $value) -> $name {
                $name::new(value)
            }
        }

        impl fmt::Debug for $name {
            /// Shows the value without a scheduling point: printing must not change a schedule.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.value.load(Ordering::Relaxed), f)
            }
        }
    };
}

macro_rules! integer {
    ($($name:ident $value:ty;)+) => {$(
        #[doc = concat!("As `std::sync::atomic::", stringify!($name), "`.")]
        pub struct $name {
            identity: Identity,
            value: real::$name,
        }

        impl $name {
            /// An atomic that holds `value`.
            #[inline]
            pub const fn new(value: $value) -> $name {
                $name { identity: Identity::new(), value: real::$name::new(value) }
            }

            methods!($value, |value: $value| value as u64);
            fetch!(
                $value, fetch_add, fetch_sub, fetch_and, fetch_nand, fetch_or, fetch_xor,
                fetch_max, fetch_min
            );
        }

        shared_traits!($name, $value);
    )+};
}

impl AtomicU32 {
    /// The word itself, for the futex that waits on it.
    pub(crate) fn real(&self) -> &real::AtomicU32 {
        &self.value
    }

    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }
}

integer! {
    AtomicU8 u8;
    AtomicU16 u16;
    AtomicU32 u32;
    AtomicU64 u64;
    AtomicUsize usize;
    AtomicI8 i8;
    AtomicI16 i16;
    AtomicI32 i32;
    AtomicI64 i64;
    AtomicIsize isize;
}

/// As `std::sync::atomic::AtomicBool`.
pub struct AtomicBool {
    identity: Identity,
    value: real::AtomicBool,
}

impl AtomicBool {
    /// An atomic that holds `value`.
    #[inline]
    pub const fn new(value: bool) -> AtomicBool {
        AtomicBool { identity: Identity::new(), value: real::AtomicBool::new(value) }
    }

    methods!(bool, |value: bool| u64::from(value));
    fetch!(bool, fetch_and, fetch_nand, fetch_or, fetch_xor);

    /// As std's.
    #[inline]
    #[track_caller]
    pub fn fetch_not(&self, order: Ordering) -> bool {
        self.fetch_xor(true, order)
    }
}

shared_traits!(AtomicBool, bool);

/// As `std::sync::atomic::AtomicPtr`. Addresses differ between processes, so only whether the
/// pointer is null goes into a run's hash.
pub struct AtomicPtr<T> {
    identity: Identity,
    value: real::AtomicPtr<T>,
}

impl<T> AtomicPtr<T> {
    /// An atomic that holds `pointer`.
    #[inline]
    pub const fn new(pointer: *mut T) -> AtomicPtr<T> {
        AtomicPtr { identity: Identity::new(), value: real::AtomicPtr::new(pointer) }
    }

    methods!(*mut T, |pointer: *mut T| u64::from(pointer.is_null()));
}

impl<T> Default for AtomicPtr<T> {
    fn default() -> AtomicPtr<T> {
        AtomicPtr::new(std::ptr::null_mut())
    }
}

impl<T> From<*mut T> for AtomicPtr<T> {
    fn from(pointer: *mut T) -> AtomicPtr<T> {
        AtomicPtr::new(pointer)
    }
}

impl<T> fmt::Debug for AtomicPtr<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.value.load(Ordering::Relaxed), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_an_ordinary_thread_operations_are_those_of_std() {
        let atomic = AtomicU32::new(1);
        assert_eq!(atomic.fetch_add(2, Ordering::Relaxed), 1);
        assert_eq!(atomic.swap(7, Ordering::Relaxed), 3);
        let found = atomic.compare_exchange(6, 1, Ordering::Relaxed, Ordering::Relaxed);
        assert_eq!(found, Err(7));
        let next = |value| (value < 8).then_some(value + 1);
        assert_eq!(atomic.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next), Ok(7));
        assert_eq!(atomic.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next), Err(8));
        assert_eq!(atomic.into_inner(), 8);
        let flag = AtomicBool::new(false);
        assert!(!flag.fetch_not(Ordering::Relaxed));
        assert!(flag.load(Ordering::Relaxed));
    }
}
