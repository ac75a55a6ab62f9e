//! What belongs to one simulated thread and is destroyed when it ends: the values of
//! `sim::thread_local!`, and the destructors of std's thread-locals. Kept in the frame of the
//! thread's body, so that the kernel holds no value of the user.

use std::any::Any;
use std::cell::RefCell;
use std::ffi::c_void;
use std::rc::Rc;

/// A destructor of a std thread-local.
type Destructor = unsafe extern "C" fn(*mut c_void);

/// The value of a key; `None` once it is destroyed.
type Slot = Option<Rc<dyn Any>>;

/// Keys are the addresses of the `LocalKey` statics: used for equality alone, so that no order
/// and no hash depends on them.
pub(crate) struct Locals {
    values: RefCell<Vec<(usize, Slot)>>,
    destructors: RefCell<Vec<(Destructor, *mut c_void)>>,
}

impl Locals {
    pub(crate) fn new() -> Locals {
        Locals { values: RefCell::new(Vec::new()), destructors: RefCell::new(Vec::new()) }
    }

    /// The value; `Some(None)` if it has been destroyed.
    pub(crate) fn get(&self, key: usize) -> Option<Slot> {
        let values = self.values.borrow();
        values.iter().find(|(held, _)| *held == key).map(|(_, value)| value.clone())
    }

    pub(crate) fn insert(&self, key: usize, value: Rc<dyn Any>) {
        self.values.borrow_mut().push((key, Some(value)));
    }

    /// Has `destructor` run for `object` when the thread ends.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "no interposition there"))]
    pub(crate) fn at_exit(&self, destructor: Destructor, object: *mut c_void) {
        self.destructors.borrow_mut().push((destructor, object));
    }

    /// Destroys what the thread has, the last created first; a destructor may create more.
    pub(crate) fn clear(&self) {
        loop {
            let value =
                self.values.borrow_mut().iter_mut().rev().find_map(|(_, value)| value.take());
            let destructor = self.destructors.borrow_mut().pop();
            if let Some((destructor, object)) = destructor {
                // SAFETY: std registered the pair for the end of this thread, which is now, on
                // the thread itself and with its thread-locals in place.
                unsafe { destructor(object) };
            } else if value.is_none() {
                return;
            }
        }
    }
}
