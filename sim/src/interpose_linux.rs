//! The interposed functions of Linux; see the parent module for the list.

use std::arch::asm;
use std::cell::Cell;
use std::ffi::{CStr, c_int, c_long, c_uint, c_void};
use std::panic::Location;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use libc::{size_t, ssize_t, timespec};

use crate::clock::{ORIGIN_SECONDS, WALL_ORIGIN_SECONDS};
use crate::failure::FailureKind;
use crate::futex::{Answer, wait_if};
use crate::kernel::event::{Operation, OperationKind};
use crate::kernel::thread_table::WaitFor;
use crate::kernel::{self, World, external, native_tls};
use crate::thread;

thread_local! {
    /// Asks the clock for the instant at which runs begin, see [`origin`].
    static READ_ORIGIN: Cell<bool> = const { Cell::new(false) };
}

/// Makes the linker take this file: it resolves the C library's names from here only when
/// something else of the program refers to the file.
pub(crate) fn anchor() {
    let functions: [*const (); 9] = [
        syscall as *const (),
        getrandom as *const (),
        clock_gettime as *const (),
        nanosleep as *const (),
        clock_nanosleep as *const (),
        sched_yield as *const (),
        sched_getaffinity as *const (),
        pthread_create as *const (),
        __cxa_thread_atexit_impl as *const (),
    ];
    std::hint::black_box(functions);
}

/// The instant at which every run begins: std offers no way to make an `Instant` but to read the
/// clock, so the clock shows that one for one reading.
pub(crate) fn origin() -> Instant {
    READ_ORIGIN.set(true);
    let origin = Instant::now();
    READ_ORIGIN.set(false);
    origin
}

/// The system call itself; the result is negative on error.
///
/// # Safety
/// As the call demands of its arguments.
#[cfg(target_arch = "x86_64")]
pub(crate) unsafe fn system_call(number: c_long, arguments: [usize; 6]) -> isize {
    let result: isize;
    // SAFETY: the kernel's calling convention; the rest is the caller's promise.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") arguments[0],
            in("rsi") arguments[1],
            in("rdx") arguments[2],
            in("r10") arguments[3],
            in("r8") arguments[4],
            in("r9") arguments[5],
            out("rcx") _,
            out("r11") _,
            options(nostack),
        );
    }
    result
}

/// The system call itself; the result is negative on error.
///
/// # Safety
/// As the call demands of its arguments.
#[cfg(target_arch = "aarch64")]
pub(crate) unsafe fn system_call(number: c_long, arguments: [usize; 6]) -> isize {
    let result: isize;
    // SAFETY: the kernel's calling convention; the rest is the caller's promise.
    unsafe {
        asm!(
            "svc 0",
            in("x8") number,
            inlateout("x0") arguments[0] as isize => result,
            in("x1") arguments[1],
            in("x2") arguments[2],
            in("x3") arguments[3],
            in("x4") arguments[4],
            in("x5") arguments[5],
            options(nostack),
        );
    }
    result
}

/// The result as the C library gives it: -1 and `errno` on error.
fn c_result(result: isize) -> c_long {
    if (-4095..0).contains(&result) {
        // SAFETY: the address of this thread's own `errno`.
        unsafe { *libc::__errno_location() = -result as c_int };
        -1
    } else {
        result as c_long
    }
}

/// The `syscall` function of the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn syscall(
    number: c_long,
    a: usize,
    b: usize,
    c: usize,
    d: usize,
    e: usize,
    f: usize,
) -> c_long {
    match (kernel::current(), number) {
        (Some(world), libc::SYS_futex) => {
            // SAFETY: the arguments are those of a futex call.
            if let Some(result) = unsafe { futex(world, a, b, c, d, f) } {
                return c_result(result);
            }
        }
        (None, libc::SYS_futex) if is_wake(b) => {
            // SAFETY: passed on unchanged.
            let woken = unsafe { system_call(number, [a, b, c, d, e, f]) };
            let woken_here = u32::try_from(woken).unwrap_or(0);
            let left = (c as u32).saturating_sub(woken_here);
            return c_result(woken + external::wake_address(a, left, None) as isize);
        }
        (Some(world), libc::SYS_getrandom) => {
            // SAFETY: the caller's buffer and its length.
            unsafe { fill_entropy(world, a as *mut u8, b) };
            return b as c_long;
        }
        _ => {}
    }
    // SAFETY: passed on unchanged.
    c_result(unsafe { system_call(number, [a, b, c, d, e, f]) })
}

fn command(operation: usize) -> c_int {
    operation as c_int & !(libc::FUTEX_PRIVATE_FLAG | libc::FUTEX_CLOCK_REALTIME)
}

fn is_wake(operation: usize) -> bool {
    matches!(command(operation), libc::FUTEX_WAKE | libc::FUTEX_WAKE_BITSET)
}

/// A futex call of a simulated thread; `None` for the commands that are left to the system.
///
/// # Safety
/// The arguments are those of a futex call.
unsafe fn futex(
    world: &World,
    address: usize,
    operation: usize,
    value: usize,
    timeout: usize,
    _bits: usize,
) -> Option<isize> {
    match command(operation) {
        command @ (libc::FUTEX_WAIT | libc::FUTEX_WAIT_BITSET) => {
            let timeout = timeout as *const timespec;
            let relative = command == libc::FUTEX_WAIT;
            let wall = operation as c_int & libc::FUTEX_CLOCK_REALTIME != 0;
            // SAFETY: null or a valid time, as the call demands.
            let deadline = unsafe { timeout.as_ref() }.map(|time| {
                let time = nanoseconds(time);
                match (relative, wall) {
                    (true, _) => world.now().saturating_add(time),
                    (false, true) => time.saturating_sub(WALL_ORIGIN_SECONDS * 1_000_000_000),
                    (false, false) => time.saturating_sub(ORIGIN_SECONDS * 1_000_000_000),
                }
            });
            Some(futex_wait(world, address, value as u32, deadline))
        }
        libc::FUTEX_WAKE | libc::FUTEX_WAKE_BITSET => {
            Some(futex_wake(world, address, operation, value as u32))
        }
        _ => None,
    }
}

fn futex_wait(world: &World, address: usize, expected: u32, deadline: Option<u64>) -> isize {
    if !world.is_whole_machine() && native_tls::is_thread_local(address) {
        world.fail(
            FailureKind::Nondeterminism,
            "a lock waits on a thread-local word, as parking_lot's do, and the threads of \
             `check` share one: two of them would wake each other. Use volt::sim::sync's locks, \
             or run the program in a `Sim` world, whose threads have thread-locals of their own"
                .to_owned(),
        );
    }
    let operation = Operation::new(OperationKind::FutexWait, 0, Location::caller());
    world.point(operation);
    kernel::outside(|| external::register(address, world.inbox()));
    // SAFETY: the caller of the system call vouches for the word at this address.
    let word = unsafe { &*(address as *const AtomicU32) };
    let unchanged = || word.load(Ordering::SeqCst) == expected;
    let answer = wait_if(world, unchanged, WaitFor::Address(address), deadline);
    kernel::outside(|| external::deregister(address, world.inbox()));
    world.complete(operation, answer as u64);
    match answer {
        Answer::Woken | Answer::Spurious => 0,
        Answer::Differs => -(libc::EAGAIN as isize),
        Answer::TimedOut => -(libc::ETIMEDOUT as isize),
    }
}

fn futex_wake(world: &World, address: usize, operation: usize, count: u32) -> isize {
    let mut woken = 0;
    // Whether a real thread waits is no part of the run.
    if world.anyone_waits(WaitFor::Address(address)) {
        let posted = Operation::new(OperationKind::FutexWake, 0, Location::caller());
        world.point(posted);
        woken = world.wake(WaitFor::Address(address), count);
        world.complete(posted, u64::from(woken));
    }
    let left = count.saturating_sub(woken);
    if left > 0 {
        // A real thread, or one of another world, may wait for the same lock.
        let arguments = [address, operation, left as usize, 0, 0, u32::MAX as usize];
        // SAFETY: the call uses the address as a key alone.
        unsafe { system_call(libc::SYS_futex, arguments) };
        kernel::outside(|| external::wake_address(address, left, Some(world.inbox())));
    }
    woken as isize
}

/// # Safety
/// `buffer` is writable for `length` bytes.
unsafe fn fill_entropy(world: &World, buffer: *mut u8, length: usize) {
    let mut filled = 0;
    while filled < length {
        let word = world.entropy(Location::caller()).to_le_bytes();
        let count = word.len().min(length - filled);
        // SAFETY: `filled + count` is at most `length`.
        unsafe { ptr::copy_nonoverlapping(word.as_ptr(), buffer.add(filled), count) };
        filled += count;
    }
}

/// The `getrandom` function of the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn getrandom(buffer: *mut c_void, length: size_t, flags: c_uint) -> ssize_t {
    if let Some(world) = kernel::current() {
        // SAFETY: the caller's buffer and its length.
        unsafe { fill_entropy(world, buffer.cast(), length) };
        return length as ssize_t;
    }
    let arguments = [buffer as usize, length, flags as usize, 0, 0, 0];
    // SAFETY: passed on unchanged.
    c_result(unsafe { system_call(libc::SYS_getrandom, arguments) }) as ssize_t
}

/// The `clock_gettime` function of the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, time: *mut timespec) -> c_int {
    if READ_ORIGIN.get() {
        // SAFETY: the caller's time.
        unsafe { time.write(timespec { tv_sec: ORIGIN_SECONDS as _, tv_nsec: 0 }) };
        return 0;
    }
    let Some(world) = kernel::current() else {
        // SAFETY: passed on unchanged.
        return unsafe { real_clock_gettime(clock, time) };
    };
    let origin = match clock {
        libc::CLOCK_REALTIME | libc::CLOCK_REALTIME_COARSE | libc::CLOCK_TAI => WALL_ORIGIN_SECONDS,
        libc::CLOCK_PROCESS_CPUTIME_ID | libc::CLOCK_THREAD_CPUTIME_ID => 0,
        _ => ORIGIN_SECONDS,
    };
    let shown = Duration::from_secs(origin)
        + Duration::from_nanos(crate::clock::step(world, Location::caller()));
    let shown = timespec { tv_sec: shown.as_secs() as _, tv_nsec: shown.subsec_nanos().into() };
    // SAFETY: the caller's time.
    unsafe { time.write(shown) };
    0
}

/// # Safety
/// As `clock_gettime`.
unsafe fn real_clock_gettime(clock: libc::clockid_t, time: *mut timespec) -> c_int {
    type ClockGettime = unsafe extern "C" fn(libc::clockid_t, *mut timespec) -> c_int;
    static REAL: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());
    // Relaxed: the function is found again where another thread's finding is not seen yet.
    let mut real = REAL.load(Ordering::Relaxed);
    if real.is_null() {
        real = next_symbol(c"clock_gettime");
        REAL.store(real, Ordering::Relaxed);
    }
    if real.is_null() {
        let arguments = [clock as usize, time as usize, 0, 0, 0, 0];
        // SAFETY: passed on unchanged.
        return c_result(unsafe { system_call(libc::SYS_clock_gettime, arguments) }) as c_int;
    }
    // SAFETY: the C library's function of this name has this signature; it answers without a
    // system call, which is why it is looked up.
    unsafe { std::mem::transmute::<*mut c_void, ClockGettime>(real)(clock, time) }
}

fn next_symbol(name: &CStr) -> *mut c_void {
    // SAFETY: a look-up by a terminated name.
    unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) }
}

/// The `nanosleep` function of the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn nanosleep(time: *const timespec, left: *mut timespec) -> c_int {
    if kernel::current().is_some() {
        // SAFETY: the caller's time.
        thread::sleep(Duration::from_nanos(nanoseconds(unsafe { &*time })));
        return 0;
    }
    let arguments = [time as usize, left as usize, 0, 0, 0, 0];
    // SAFETY: passed on unchanged.
    c_result(unsafe { system_call(libc::SYS_nanosleep, arguments) }) as c_int
}

/// The `clock_nanosleep` function of the C library, which returns the error.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_nanosleep(
    clock: libc::clockid_t,
    flags: c_int,
    time: *const timespec,
    left: *mut timespec,
) -> c_int {
    if let Some(world) = kernel::current() {
        // SAFETY: the caller's time.
        let mut sleep = nanoseconds(unsafe { &*time });
        if flags & libc::TIMER_ABSTIME != 0 {
            let origin = match clock {
                libc::CLOCK_REALTIME => WALL_ORIGIN_SECONDS,
                _ => ORIGIN_SECONDS,
            };
            sleep = sleep.saturating_sub(origin * 1_000_000_000).saturating_sub(world.now());
        }
        thread::sleep(Duration::from_nanos(sleep));
        return 0;
    }
    let arguments = [clock as usize, flags as usize, time as usize, left as usize, 0, 0];
    // SAFETY: passed on unchanged.
    -(unsafe { system_call(libc::SYS_clock_nanosleep, arguments) } as c_int)
}

/// The `sched_yield` function of the C library.
#[unsafe(no_mangle)]
extern "C" fn sched_yield() -> c_int {
    if kernel::current().is_some() {
        thread::yield_now();
        return 0;
    }
    // SAFETY: the call has no arguments.
    c_result(unsafe { system_call(libc::SYS_sched_yield, [0; 6]) }) as c_int
}

/// The `sched_getaffinity` function of the C library: how many processors there are is a fact of
/// the simulated machine.
#[unsafe(no_mangle)]
unsafe extern "C" fn sched_getaffinity(
    process: libc::pid_t,
    size: size_t,
    set: *mut libc::cpu_set_t,
) -> c_int {
    if kernel::current().is_some() {
        // SAFETY: the caller's set, of this many bytes.
        let set = unsafe { std::slice::from_raw_parts_mut(set.cast::<u8>(), size) };
        set.fill(0);
        if let Some(first) = set.first_mut() {
            *first = (1 << thread::SIMULATED_PARALLELISM) - 1;
        }
        return 0;
    }
    let arguments = [process as usize, size, set as usize, 0, 0, 0];
    // SAFETY: passed on unchanged.
    let written = c_result(unsafe { system_call(libc::SYS_sched_getaffinity, arguments) });
    if written < 0 {
        return -1;
    }
    // The kernel writes as much as it has; the C library clears the rest.
    // SAFETY: the caller's set, of which the kernel wrote the first bytes.
    unsafe {
        let rest = size.saturating_sub(written as usize);
        ptr::write_bytes(set.cast::<u8>().add(written as usize), 0, rest);
    }
    0
}

/// The `pthread_create` function of the C library: a simulated thread cannot start a real one,
/// whose progress no seed decides, and which might use the simulated one's stack.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_create(
    thread: *mut libc::pthread_t,
    attributes: *const libc::pthread_attr_t,
    body: extern "C" fn(*mut c_void) -> *mut c_void,
    argument: *mut c_void,
) -> c_int {
    if let Some(world) = kernel::current() {
        world.fail(
            FailureKind::Nondeterminism,
            "a simulated thread starts a real one (std::thread, rayon), which no seed decides: \
             use volt::sim::thread, or the runtime's tasks and blocking jobs"
                .to_owned(),
        );
    }
    type Create = unsafe extern "C" fn(
        *mut libc::pthread_t,
        *const libc::pthread_attr_t,
        extern "C" fn(*mut c_void) -> *mut c_void,
        *mut c_void,
    ) -> c_int;
    let real = next_symbol(c"pthread_create");
    if real.is_null() {
        return libc::EAGAIN;
    }
    // SAFETY: the C library's function of this name has this signature; passed on unchanged.
    unsafe { std::mem::transmute::<*mut c_void, Create>(real)(thread, attributes, body, argument) }
}

/// A destructor of a thread-local, and what it destroys.
type Destructor = unsafe extern "C" fn(*mut c_void);

/// The function through which std has the destructors of thread-locals run when a thread ends.
#[unsafe(no_mangle)]
unsafe extern "C" fn __cxa_thread_atexit_impl(
    destructor: Destructor,
    object: *mut c_void,
    library: *mut c_void,
) -> c_int {
    if let Some(world) = kernel::current()
        && world.is_whole_machine()
        && let Some(locals) = world.running_locals()
    {
        locals.at_exit(destructor, object);
        return 0;
    }
    type AtExit = unsafe extern "C" fn(Destructor, *mut c_void, *mut c_void) -> c_int;
    let real = next_symbol(c"__cxa_thread_atexit_impl");
    if real.is_null() {
        // A C library without it: the destructor does not run, as std documents for such systems.
        return 0;
    }
    // SAFETY: the C library's function of this name has this signature.
    unsafe { std::mem::transmute::<*mut c_void, AtExit>(real)(destructor, object, library) }
}

fn nanoseconds(time: &timespec) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanoseconds = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds)
}
