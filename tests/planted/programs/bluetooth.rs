//! A driver that is stopped between an operation's look at the flag and its count.
//!
//! In the wild: the Bluetooth driver of KISS (Qadeer and Wu, PLDI 2004), in SCTBench as
//! `bluetooth_driver`. An operation looks whether the driver stops, and then counts itself in. The
//! driver may stop between the two, and the operation runs on a driver that is gone.
//!
//! The twin: it counts itself in before it looks.
//!
//! Look for: an operation on a driver that has stopped.

use volt::sim::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use volt::sim::sync::{Arc, Condvar, Mutex};
use volt::sim::thread;

use super::{Version, join};

struct Driver {
    stops: AtomicBool,
    /// Operations, and one for the driver itself.
    pending: AtomicU32,
    is_idle: Mutex<bool>,
    idle: Condvar,
    has_stopped: AtomicBool,
}

impl Driver {
    fn enter(&self, version: Version) -> bool {
        if !version.is_fixed() {
            if self.stops.load(Ordering::SeqCst) {
                return false;
            }
            self.pending.fetch_add(1, Ordering::SeqCst);
            return true;
        }
        self.pending.fetch_add(1, Ordering::SeqCst);
        let enters = !self.stops.load(Ordering::SeqCst);
        if !enters {
            self.leave();
        }
        enters
    }

    fn leave(&self) {
        if self.pending.fetch_sub(1, Ordering::SeqCst) == 1 {
            *self.is_idle.lock().unwrap() = true;
            self.idle.notify_one();
        }
    }

    fn operate(&self, version: Version) {
        if self.enter(version) {
            assert!(!self.has_stopped.load(Ordering::SeqCst), "the driver has stopped");
            self.leave();
        }
    }

    fn stop(&self) {
        self.stops.store(true, Ordering::SeqCst);
        self.leave();
        let is_idle = self.is_idle.lock().unwrap();
        drop(self.idle.wait_while(is_idle, |idle| !*idle).unwrap());
        self.has_stopped.store(true, Ordering::SeqCst);
    }
}

/// Two operations, and one who stops the driver.
pub fn run(version: Version) {
    let driver = Arc::new(Driver {
        stops: AtomicBool::new(false),
        pending: AtomicU32::new(1),
        is_idle: Mutex::new(false),
        idle: Condvar::new(),
        has_stopped: AtomicBool::new(false),
    });
    let operations = [(); 2].map(|()| {
        let driver = Arc::clone(&driver);
        thread::spawn(move || driver.operate(version))
    });
    driver.stop();
    for operation in operations {
        join(operation);
    }
}
