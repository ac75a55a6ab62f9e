//! Threads: simulated ones when the caller is one, the system's otherwise. Names and signatures
//! are those of `std::thread`.

use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::num::NonZeroUsize;
use std::panic::{self, AssertUnwindSafe, Location};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::kernel::event::{Operation, OperationKind};
use crate::kernel::thread_table::{WaitFor, describe_thread};
use crate::kernel::{self, World, run};
use crate::network::HostId;

pub use crate::local::{AccessError, LocalKey};
pub use std::thread::Result;

/// Parallelism that a simulated machine shows unless told otherwise.
pub(crate) const SIMULATED_PARALLELISM: usize = 2;
const STACK_SIZE: usize = 2 << 20;

/// Starts a thread.
///
/// # Panics
/// If the system has no memory for its stack.
///
/// ```
/// let sum = volt_sim::thread::spawn(|| 1 + 2).join().unwrap();
/// assert_eq!(sum, 3);
/// ```
#[track_caller]
pub fn spawn<F, T>(f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    Builder::new().spawn(f).expect("the system refused a thread")
}

/// Sets the name and the stack size of a thread before it starts.
#[derive(Debug, Default)]
pub struct Builder {
    name: Option<String>,
    stack_size: Option<usize>,
    /// Where a simulated thread runs, if not on the host of its spawner.
    host: Option<HostId>,
}

impl Builder {
    /// A builder for an unnamed thread with the default stack.
    pub fn new() -> Builder {
        Builder::default()
    }

    /// Names the thread; reports show the name.
    pub fn name(mut self, name: String) -> Builder {
        self.name = Some(name);
        self
    }

    /// The size of the stack, in bytes.
    pub fn stack_size(mut self, size: usize) -> Builder {
        self.stack_size = Some(size);
        self
    }

    /// The thread, if it is a simulated one, belongs to `host`.
    pub(crate) fn on_host(mut self, host: HostId) -> Builder {
        self.host = Some(host);
        self
    }

    /// Starts the thread.
    ///
    /// # Errors
    /// If the system refuses a thread, or memory for its stack.
    #[track_caller]
    pub fn spawn<F, T>(self, f: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        // SAFETY: the closure and its result are 'static.
        unsafe { self.spawn_unchecked(f) }
    }

    /// Starts a thread that may borrow.
    ///
    /// # Safety
    /// The caller joins the thread before anything it borrows ends.
    #[track_caller]
    unsafe fn spawn_unchecked<'a, F, T>(self, f: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'a,
        T: Send + 'a,
    {
        let Some(world) = kernel::current() else {
            let mut builder = std::thread::Builder::new();
            if let Some(name) = self.name {
                builder = builder.name(name);
            }
            if let Some(size) = self.stack_size {
                builder = builder.stack_size(size);
            }
            // SAFETY: the caller's promise.
            let handle = unsafe { builder.spawn_unchecked(f) }?;
            return Ok(JoinHandle(Handle::Real(handle)));
        };
        let place = Location::caller();
        let operation = Operation::new(OperationKind::Spawn, 0, place);
        world.point(operation);
        let packet = Arc::new(Packet(Mutex::new(None)));
        let for_thread = Arc::clone(&packet);
        let body = move || {
            let result = panic::catch_unwind(AssertUnwindSafe(f));
            let panicked = result.is_err();
            *for_thread.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
            // Before the thread counts as finished: whoever joins it then has the only packet.
            drop(for_thread);
            panicked
        };
        let body: Box<dyn FnOnce() -> bool + 'a> = Box::new(body);
        // SAFETY: only the lifetime changes; the caller joins the thread before 'a ends, and a
        // thread that never ends never drops what it borrows.
        let body: Box<dyn FnOnce() -> bool + 'static> = unsafe { std::mem::transmute(body) };
        let name: Option<Arc<str>> = self.name.map(Arc::from);
        let size = self.stack_size.unwrap_or(STACK_SIZE);
        let number = run::spawn(world, name.clone(), size, self.host, body, place)?;
        world.complete(operation, u64::from(number));
        let thread = Thread(Inner::Simulated { world: world.number(), number, name });
        Ok(JoinHandle(Handle::Simulated { thread, packet }))
    }
}

/// What a simulated thread leaves for whoever joins it. The lock is never contended: the threads
/// of a world take turns, and none stops while it holds it.
struct Packet<T>(Mutex<Option<Result<T>>>);

/// Owns the right to join a thread; dropping it lets the thread run on.
pub struct JoinHandle<T>(Handle<T>);

enum Handle<T> {
    Real(std::thread::JoinHandle<T>),
    Simulated { thread: Thread, packet: Arc<Packet<T>> },
}

impl<T> JoinHandle<T> {
    /// Waits for the thread to end and returns its result.
    ///
    /// # Errors
    /// The payload of the panic that ended it.
    ///
    /// # Panics
    /// If the thread is simulated and the caller is not.
    #[track_caller]
    pub fn join(self) -> Result<T> {
        let (thread, packet) = match self.0 {
            Handle::Real(handle) => return handle.join(),
            Handle::Simulated { thread, packet } => (thread, packet),
        };
        let (world, number) = thread.simulated();
        let place = Location::caller();
        let operation = Operation::new(OperationKind::Join, 0, place);
        world.point(operation);
        while !world.is_finished(number) {
            world.block(WaitFor::Exit(number), None);
        }
        if world.finds_races() {
            world.races(|races, me| races.join(me, number));
        }
        world.panic_observed(number);
        world.complete(operation, u64::from(number));
        let result = packet.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        result.expect("a thread that has finished has left its result")
    }

    /// Whether the thread has ended.
    #[track_caller]
    pub fn is_finished(&self) -> bool {
        match &self.0 {
            Handle::Real(handle) => handle.is_finished(),
            Handle::Simulated { thread, .. } => {
                let (world, number) = thread.simulated();
                let operation = Operation::new(OperationKind::Join, 0, Location::caller());
                world.point(operation);
                let finished = world.is_finished(number);
                world.complete(operation, u64::from(finished));
                finished
            }
        }
    }

    /// The thread.
    pub fn thread(&self) -> Thread {
        match &self.0 {
            Handle::Real(handle) => Thread(Inner::Real(handle.thread().clone())),
            Handle::Simulated { thread, .. } => thread.clone(),
        }
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("JoinHandle").field(&self.thread()).finish()
    }
}

/// A handle to a thread.
#[derive(Clone)]
pub struct Thread(Inner);

#[derive(Clone)]
enum Inner {
    Real(std::thread::Thread),
    Simulated { world: u32, number: u32, name: Option<Arc<str>> },
}

impl Thread {
    /// The name it was given.
    pub fn name(&self) -> Option<&str> {
        match &self.0 {
            Inner::Real(thread) => thread.name(),
            Inner::Simulated { name, .. } => name.as_deref(),
        }
    }

    /// Gives the thread its token: its next [`park`], or the one it is in, returns.
    ///
    /// # Panics
    /// If the thread is simulated and the caller is not of its world.
    #[track_caller]
    pub fn unpark(&self) {
        if let Inner::Real(thread) = &self.0 {
            thread.unpark();
            return;
        }
        let (world, number) = self.simulated();
        let operation = Operation::new(OperationKind::Unpark, 0, Location::caller());
        world.point(operation);
        if world.finds_races() {
            world.races(|races, me| races.leave_token(me, number));
        }
        world.leave_park_token(number);
        world.wake_thread(number, WaitFor::Park);
        world.complete(operation, u64::from(number));
    }

    #[track_caller]
    fn simulated(&self) -> (&'static World, u32) {
        let Inner::Simulated { world, number, .. } = &self.0 else {
            unreachable!("asked of simulated threads only")
        };
        match kernel::current() {
            Some(current) if current.number() == *world => (current, *number),
            _ => panic!("{self:?} is simulated: only threads of its own world can reach it"),
        }
    }
}

impl fmt::Debug for Thread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Inner::Real(thread) => thread.fmt(f),
            Inner::Simulated { number, name, .. } => {
                f.write_str(&describe_thread(*number, name.as_deref()))
            }
        }
    }
}

/// The running thread.
pub fn current() -> Thread {
    match kernel::current() {
        Some(world) => {
            let number = world.current_thread();
            let name = world.thread_name(number);
            Thread(Inner::Simulated { world: world.number(), number, name })
        }
        None => Thread(Inner::Real(std::thread::current())),
    }
}

/// The number of the running simulated thread, as reports show it: 0 for the first of its world,
/// and never used again in that world. It is the same whenever the seed is. `None` on an ordinary
/// thread.
///
/// ```
/// assert_eq!(volt_sim::thread::number(), None);
/// ```
#[inline]
pub fn number() -> Option<u32> {
    kernel::current().map(World::current_thread)
}

/// Whether the caller is a simulated thread.
pub fn is_simulated() -> bool {
    kernel::current().is_some()
}

/// Lets other threads run.
#[track_caller]
pub fn yield_now() {
    match kernel::current() {
        Some(world) => yield_at(world, Location::caller()),
        None => std::thread::yield_now(),
    }
}

pub(crate) fn yield_at(world: &World, place: &'static Location<'static>) {
    let operation = Operation::new(OperationKind::Yield, 0, place);
    world.yield_point(operation);
    world.complete(operation, 0);
}

/// Sleeps for at least `duration`, in virtual time on a simulated thread.
#[track_caller]
pub fn sleep(duration: Duration) {
    let Some(world) = kernel::current() else { return std::thread::sleep(duration) };
    let operation = Operation::new(OperationKind::Sleep, 0, Location::caller());
    world.point(operation);
    world.block(WaitFor::Time, Some(deadline_in(world, duration)));
    world.complete(operation, 0);
}

/// The virtual time at which `duration` from now is over.
pub(crate) fn deadline_in(world: &World, duration: Duration) -> u64 {
    let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    world.now().saturating_add(nanoseconds)
}

/// Waits for the thread's token and takes it; may return without.
#[track_caller]
pub fn park() {
    match kernel::current() {
        Some(world) => park_until(world, None, Location::caller()),
        None => std::thread::park(),
    }
}

/// As [`park`], for at most `duration`.
#[track_caller]
pub fn park_timeout(duration: Duration) {
    match kernel::current() {
        Some(world) => park_until(world, Some(duration), Location::caller()),
        None => std::thread::park_timeout(duration),
    }
}

fn park_until(world: &World, limit: Option<Duration>, place: &'static Location<'static>) {
    let operation = Operation::new(OperationKind::Park, 0, place);
    world.point(operation);
    let deadline = limit.map(|limit| deadline_in(world, limit));
    let mut answer = 0;
    let mut taken = world.take_park_token();
    if !taken && !world.wakes_spuriously() {
        world.block(WaitFor::Park, deadline);
        taken = world.take_park_token();
        answer = 1 + u64::from(taken);
    }
    if taken && world.finds_races() {
        world.races(|races, me| races.take_token(me));
    }
    world.complete(operation, answer);
}

/// Whether the running thread unwinds from a panic.
pub fn panicking() -> bool {
    std::thread::panicking()
}

/// How many threads can run at once: on a simulated machine, what it was given.
///
/// # Errors
/// On an ordinary thread, where the system does not tell.
pub fn available_parallelism() -> io::Result<NonZeroUsize> {
    match kernel::current() {
        Some(_) => Ok(NonZeroUsize::new(SIMULATED_PARALLELISM).unwrap_or(NonZeroUsize::MIN)),
        None => std::thread::available_parallelism(),
    }
}

/// Threads that may borrow from the caller's frame: all are joined before `scope` returns.
///
/// # Panics
/// If a thread of the scope panicked and nobody joined it.
///
/// ```
/// let numbers = [1, 2, 3];
/// volt_sim::thread::scope(|scope| {
///     let sum = scope.spawn(|| numbers.iter().sum::<i32>());
///     assert_eq!(sum.join().unwrap(), 6);
/// });
/// ```
#[track_caller]
pub fn scope<'env, F, T>(f: F) -> T
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> T,
{
    let scope = Scope {
        threads: ManuallyDrop::new(Mutex::new(Vec::new())),
        unjoined_panic: Cell::new(false),
        scope: PhantomData,
        env: PhantomData,
    };
    let result = panic::catch_unwind(AssertUnwindSafe(|| f(&scope)));
    scope.join_all();
    match result {
        Err(payload) => panic::resume_unwind(payload),
        Ok(_) if scope.unjoined_panic.get() => panic!("a scoped thread panicked"),
        Ok(value) => value,
    }
}

/// Joins a thread of a scope; returns whether it panicked with nobody to see it.
type Join<'scope> = Box<dyn FnOnce() -> bool + Send + 'scope>;

/// What [`scope`] lends to its closure.
pub struct Scope<'scope, 'env: 'scope> {
    /// What joins each thread.
    /// `join_all` leaves nothing to drop, and a scope without drop glue may be borrowed for as
    /// long as itself.
    threads: ManuallyDrop<Mutex<Vec<Join<'scope>>>>,
    unjoined_panic: Cell<bool>,
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

impl<'scope> Scope<'scope, '_> {
    /// Starts a thread that may borrow what outlives the scope.
    ///
    /// # Panics
    /// If the system has no memory for its stack.
    #[track_caller]
    pub fn spawn<F, T>(&'scope self, f: F) -> ScopedJoinHandle<'scope, T>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        let slot = Arc::new(Packet(Mutex::new(None)));
        let for_thread = Arc::clone(&slot);
        let body = move || {
            let result = panic::catch_unwind(AssertUnwindSafe(f));
            *for_thread.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        };
        // SAFETY: `scope` joins every thread of the scope before it returns, however it ends.
        let handle = unsafe { Builder::new().spawn_unchecked(body) };
        let handle = handle.expect("the system refused a thread");
        let thread = handle.thread();
        let handle = Arc::new(Mutex::new(Some(handle)));
        let (joins, result) = (Arc::clone(&handle), Arc::clone(&slot));
        let join = move || {
            let handle = joins.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(handle) = handle {
                // The body catches every panic of its own.
                let _ = handle.join();
            }
            matches!(*result.0.lock().unwrap_or_else(PoisonError::into_inner), Some(Err(_)))
        };
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(join));
        ScopedJoinHandle { thread, handle, slot, scope: PhantomData }
    }

    fn join_all(&self) {
        loop {
            let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(join) = threads.pop() else {
                *threads = Vec::new();
                return;
            };
            drop(threads);
            if join() {
                self.unjoined_panic.set(true);
            }
        }
    }
}

// SAFETY: `unjoined_panic` is touched by `scope` alone, on the thread that called it; the list is
// behind a lock, so threads of the scope may spawn further ones.
unsafe impl Sync for Scope<'_, '_> {}

impl fmt::Debug for Scope<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").finish_non_exhaustive()
    }
}

/// Owns the right to join a thread of a scope.
pub struct ScopedJoinHandle<'scope, T> {
    thread: Thread,
    handle: Arc<Mutex<Option<JoinHandle<()>>>>,
    slot: Arc<Packet<T>>,
    scope: PhantomData<&'scope ()>,
}

impl<T> ScopedJoinHandle<'_, T> {
    /// Waits for the thread to end and returns its result.
    ///
    /// # Errors
    /// The payload of the panic that ended it.
    #[track_caller]
    pub fn join(self) -> Result<T> {
        let handle = self.handle.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(handle) = handle {
            handle.join()?;
        }
        let result = self.slot.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        result.unwrap_or_else(|| {
            let lost: Box<dyn Any + Send> = Box::new("the thread left no result");
            Err(lost)
        })
    }

    /// The thread.
    pub fn thread(&self) -> &Thread {
        &self.thread
    }
}

impl<T> fmt::Debug for ScopedJoinHandle<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ScopedJoinHandle").field(&self.thread).finish()
    }
}
