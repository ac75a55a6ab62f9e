//! Tests of the completion front that need more than one thread, or code that panics.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use super::*;
use crate::platform::fs::{File, OpenFlags, open};
use crate::platform::ring::{Operation, is_refusal, probe};

#[derive(Default)]
struct Task(AtomicUsize);

impl Task {
    fn wakes(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Task {
    fn wake(self: Arc<Task>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Panics>) {
        panic!("a waker panics, as planned");
    }
}

/// What has become of a payload.
#[derive(Default)]
struct Fate {
    landed_alone: Mutex<Option<io::Result<usize>>>,
    dropped: AtomicUsize,
}

struct Read {
    file: Arc<File>,
    bytes: Vec<u8>,
    fate: Arc<Fate>,
    panics: bool,
}

// SAFETY: the file is open and the vector's memory there as long as this is.
unsafe impl Payload for Read {
    const ENDS_WITH_FUTURE: bool = true;

    fn describe(&mut self) -> Option<Operation<'_>> {
        let Read { file, bytes, .. } = self;
        let length = bytes.len() as u32;
        Some(Operation::Read { file, buffer: bytes.as_mut_ptr(), length, offset: 0 })
    }

    fn land_alone(self, result: io::Result<usize>) {
        *self.fate.landed_alone.lock().unwrap() = Some(result);
    }
}

impl Drop for Read {
    fn drop(&mut self) {
        self.fate.dropped.fetch_add(1, Ordering::SeqCst);
        if self.panics {
            panic!("a buffer panics, as planned");
        }
    }
}

/// A worker with a ring.
struct Owner {
    completions: Arc<Completions>,
    file: Arc<File>,
    task: Arc<Task>,
}

impl Owner {
    fn new(path: &Path) -> Owner {
        Owner {
            completions: Arc::new(Completions::new(false)),
            file: Arc::new(open(path, &OpenFlags::READ).unwrap()),
            task: Arc::default(),
        }
    }

    fn begin(&self, fate: &Arc<Fate>, panics: bool) -> InFlight<Read> {
        let (file, fate) = (Arc::clone(&self.file), Arc::clone(fate));
        let payload = Read { file, bytes: vec![0; 4], fate, panics };
        let waker = || Waker::from(Arc::clone(&self.task));
        let begun = self.completions.begin(waker, payload);
        begun.unwrap_or_else(|_| panic!("an empty ring takes a read"))
    }

    fn turn_until_idle(&self) {
        while self.completions.is_busy() {
            self.completions.turn(true);
        }
    }

    /// Closes the ring, after which nothing may be left.
    fn close(self) {
        self.completions.close();
        assert_eq!(Arc::strong_count(&self.file), 1, "an operation is left behind");
        assert_eq!(Arc::strong_count(&self.task), 1, "a waker is left behind");
    }
}

/// A future that began here goes on another thread, which `on_another_thread` runs `f` on: its
/// buffer stays, its owner is told, and both end with the next turns. What the read came to.
fn given_up_elsewhere(
    path: &Path,
    is_submitted: bool,
    on_another_thread: impl FnOnce(Box<dyn FnOnce() + Send>),
) -> io::Result<usize> {
    let owner = Owner::new(path);
    let fate = Arc::new(Fate::default());
    let begun = owner.begin(&fate, false);
    if is_submitted {
        owner.completions.turn(false);
    }
    let was_busy = owner.completions.is_busy();
    on_another_thread(Box::new(move || drop(begun)));
    if was_busy {
        assert_eq!(owner.task.wakes(), 1, "the owner of the ring is not told");
        assert_eq!(fate.dropped.load(Ordering::SeqCst), 0, "the kernel still has the buffer");
        assert!(fate.landed_alone.lock().unwrap().is_none(), "it lands in a turn");
    }
    owner.turn_until_idle();
    assert_eq!(fate.dropped.load(Ordering::SeqCst), 1);
    owner.close();
    let result = fate.landed_alone.lock().unwrap().take();
    result.expect("it has landed, and its future has gone")
}

#[test]
fn a_future_dropped_on_another_thread_leaves_its_buffer_to_the_ring() {
    if probe().is_err() {
        return;
    }
    for is_submitted in [false, true] {
        let other = |f: Box<dyn FnOnce() + Send>| std::thread::spawn(f).join().unwrap();
        match given_up_elsewhere(Path::new("Cargo.toml"), is_submitted, other) {
            Ok(count) => assert_eq!(count, 4),
            Err(error) => assert!(is_refusal(&error), "{error}"),
        }
    }
}

#[cfg(feature = "sim")]
#[test]
fn a_future_dropped_on_another_simulated_thread_leaves_its_buffer_to_the_ring() {
    let cancelled = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&cancelled);
    volt_sim::check(move || {
        volt_sim::fs::write("/file", b"[workspace]").unwrap();
        for is_submitted in [false, true] {
            let other = |f: Box<dyn FnOnce() + Send>| volt_sim::thread::spawn(f).join().unwrap();
            match given_up_elsewhere(Path::new("/file"), is_submitted, other) {
                Ok(count) => assert!((1..=4).contains(&count)),
                Err(error) => {
                    assert!(is_refusal(&error), "{error}");
                    let is_cancelled = error.raw_os_error() == Some(libc::ECANCELED);
                    count.fetch_add(usize::from(is_cancelled), Ordering::SeqCst);
                }
            }
        }
    });
    assert!(cancelled.load(Ordering::SeqCst) > 0, "the ring never heard of it");
}

/// Of a batch of completions, one wakes a waker that panics and one has a buffer that does: the
/// others land all the same, and so does the one whose waker panicked.
fn panics_in_a_batch(path: &Path) {
    let owner = Owner::new(path);
    let fate = Arc::new(Fate::default());
    let task = Arc::new(Task::default());
    let (good, bad) = (Waker::from(Arc::clone(&task)), Waker::from(Arc::new(Panics)));
    let woken = |panics: bool| {
        let read = owner.begin(&fate, false);
        let mut context = Context::from_waker(if panics { &bad } else { &good });
        assert!(read.poll(&mut context).is_pending());
        read
    };
    let first = woken(true);
    drop(owner.begin(&fate, true));
    let second = woken(false);
    let third = woken(true);
    drop(owner.begin(&fate, true));
    let fourth = woken(false);
    owner.turn_until_idle();
    assert_eq!(task.wakes(), 2, "a panic of one keeps another from being woken");
    assert_eq!(fate.dropped.load(Ordering::SeqCst), 2, "a buffer is left behind");
    for read in [first, second, third, fourth] {
        match read.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready((Ok(count), payload)) => {
                assert_eq!(payload.bytes[..count], b"[wor"[..count]);
            }
            Poll::Ready((Err(error), _)) => assert!(is_refusal(&error), "{error}"),
            Poll::Pending => panic!("it has completed"),
        }
    }
    assert_eq!(fate.dropped.load(Ordering::SeqCst), 6);
    owner.close();
}

#[test]
fn a_panic_of_one_waker_or_buffer_loses_no_completion() {
    if probe().is_ok() {
        panics_in_a_batch(Path::new("Cargo.toml"));
    }
}

#[cfg(feature = "sim")]
#[test]
fn a_panic_of_one_waker_or_buffer_loses_no_simulated_completion() {
    volt_sim::check(|| {
        volt_sim::fs::write("/file", b"[workspace]").unwrap();
        panics_in_a_batch(Path::new("/file"));
    });
}
