//! The event loop of a JavaScript host, on `wasm32-unknown-unknown`: who wants to be called, when,
//! and the clocks and the entropy that the host has.
//!
//! | asked for | the host calls | before it goes on with |
//! |---|---|---|
//! | [`soon`](Caller::soon) | in a microtask | timers, events and frames, but not other promises |
//! | [`later`](Caller::later) | in a task: `setImmediate` or `MessageChannel` | nothing |
//! | [`at`](Caller::at) | by `setTimeout` | nothing |
//!
//! The functions that the host is given are made once for the thread and never freed: a call that
//! comes when its [`Caller`] is gone finds nobody, and does nothing.

mod instant;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use js_sys::{Date, Function, Reflect, Uint8Array, global};
use wasm_bindgen::closure::Closure;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};

pub use instant::Instant;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = performance, js_name = now)]
    fn performance_now() -> f64;
    #[wasm_bindgen(js_namespace = crypto, js_name = getRandomValues, catch)]
    fn random_values(buffer: &Uint8Array) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(js_name = queueMicrotask)]
    fn queue_microtask(function: &Function);
    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(function: &Function, milliseconds: f64, key: f64) -> JsValue;
    #[wasm_bindgen(js_name = clearTimeout)]
    fn clear_timeout(timeout: &JsValue);

    type MessageChannel;
    #[wasm_bindgen(constructor)]
    fn new() -> MessageChannel;
    #[wasm_bindgen(method, getter)]
    fn port1(this: &MessageChannel) -> MessagePort;
    #[wasm_bindgen(method, getter)]
    fn port2(this: &MessageChannel) -> MessagePort;

    type MessagePort;
    #[wasm_bindgen(method, setter)]
    fn set_onmessage(this: &MessagePort, function: &Function);
    #[wasm_bindgen(method, js_name = postMessage)]
    fn post_message(this: &MessagePort, message: &JsValue);
}

/// The monotonic clock of the host.
pub(super) fn now() -> Instant {
    Instant::since_origin(Duration::try_from_secs_f64(performance_now() / 1e3).unwrap_or_default())
}

/// The wall clock of the host.
pub(super) fn wall() -> SystemTime {
    let since = Duration::try_from_secs_f64(Date::now() / 1e3).unwrap_or_default();
    SystemTime::UNIX_EPOCH + since
}

/// Fills `buffer` with bytes of the host's generator.
pub(super) fn fill(buffer: &mut [u8]) {
    // The most that the host gives in one call.
    for part in buffer.chunks_mut(65_536) {
        let bytes = Uint8Array::new_with_length(part.len() as u32);
        random_values(&bytes).expect("the host has a generator");
        bytes.copy_to(part);
    }
}

/// How the host is asked for a task.
enum Tasks {
    /// Node's own. A `MessageChannel` would keep the process from ending there.
    Immediate(Function),
    /// A port whose other end calls. Unlike a time-out it is not slowed down.
    Port(MessagePort),
}

/// Why a [`Caller`] is called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Call {
    /// Somebody asked for it, by [`soon`](Caller::soon) or [`later`](Caller::later).
    Asked,
    /// The deadline is past, or nearly: the host may come a moment early.
    Deadline,
}

/// A caller, as the host finds it.
struct Entry {
    f: Rc<dyn Fn(Call)>,
    /// The time-out that is set, and for when.
    timeout: Option<(Instant, JsValue)>,
}

/// What the thread has of its event loop.
struct EventLoop {
    callers: RefCell<BTreeMap<u64, Entry>>,
    next_key: Cell<u64>,
    soon: RefCell<VecDeque<u64>>,
    later: RefCell<VecDeque<u64>>,
    /// Call the first in each queue, or the one whose key they are given.
    call_soon: Function,
    call_later: Function,
    call_at: Function,
    tasks: Tasks,
}

thread_local! {
    static EVENT_LOOP: EventLoop = EventLoop::new();
}

impl EventLoop {
    fn new() -> EventLoop {
        let call_soon = forever(|_| call_first(|events| &events.soon));
        let call_later = forever(|_| call_first(|events| &events.later));
        let call_at = forever(|key| call(key as u64, Call::Deadline));
        let immediate = Reflect::get(&global(), &JsValue::from_str("setImmediate"));
        let tasks = match immediate.map(JsCast::dyn_into::<Function>) {
            Ok(Ok(immediate)) => Tasks::Immediate(immediate),
            _ => {
                let channel = MessageChannel::new();
                channel.port1().set_onmessage(&call_later);
                Tasks::Port(channel.port2())
            }
        };
        EventLoop {
            callers: RefCell::new(BTreeMap::new()),
            next_key: Cell::new(0),
            soon: RefCell::new(VecDeque::new()),
            later: RefCell::new(VecDeque::new()),
            call_soon,
            call_later,
            call_at,
            tasks,
        }
    }
}

/// A function of the host that calls `f`, for as long as the thread lives. What it is called with
/// is a number where that is a key, and a message otherwise.
fn forever(f: impl Fn(f64) + 'static) -> Function {
    let closure = Closure::<dyn Fn(JsValue)>::new(move |key: JsValue| {
        f(key.as_f64().unwrap_or_default());
    });
    closure.into_js_value().unchecked_into()
}

fn call_first(queue_of: impl Fn(&EventLoop) -> &RefCell<VecDeque<u64>>) {
    let key = EVENT_LOOP.with(|events| queue_of(events).borrow_mut().pop_front());
    if let Some(key) = key {
        call(key, Call::Asked);
    }
}

fn call(key: u64, reason: Call) {
    // Not called under the loan: it may make callers and drop them.
    let f = EVENT_LOOP.with(|events| {
        let mut callers = events.callers.borrow_mut();
        let entry = callers.get_mut(&key)?;
        if reason == Call::Deadline {
            entry.timeout = None;
        }
        Some(Rc::clone(&entry.f))
    });
    if let Some(f) = f {
        f(reason);
    }
}

/// Somebody whom the host calls. When it is dropped the calls that are under way find nobody.
#[derive(Debug)]
pub struct Caller(u64);

impl Caller {
    /// A caller that nobody has asked for yet.
    pub fn new(f: impl Fn(Call) + 'static) -> Caller {
        let key = EVENT_LOOP.with(|events| {
            let key = events.next_key.replace(events.next_key.get() + 1);
            events.callers.borrow_mut().insert(key, Entry { f: Rc::new(f), timeout: None });
            key
        });
        Caller(key)
    }

    /// Asks for a call as soon as the host's own code has returned.
    pub fn soon(&self) {
        EVENT_LOOP.with(|events| {
            events.soon.borrow_mut().push_back(self.0);
            queue_microtask(&events.call_soon);
        });
    }

    /// Asks for a call when the host has had its turn.
    pub fn later(&self) {
        EVENT_LOOP.with(|events| {
            events.later.borrow_mut().push_back(self.0);
            match &events.tasks {
                Tasks::Immediate(immediate) => {
                    immediate
                        .call1(&JsValue::UNDEFINED, &events.call_later)
                        .expect("the host takes a function");
                }
                Tasks::Port(port) => port.post_message(&JsValue::UNDEFINED),
            }
        });
    }

    /// Asks for a call at `deadline` instead of what was asked for before; `None` for no call.
    pub fn at(&self, deadline: Option<Instant>) {
        EVENT_LOOP.with(|events| {
            let mut callers = events.callers.borrow_mut();
            let entry = callers.get_mut(&self.0).expect("a caller is there until it is dropped");
            if entry.timeout.as_ref().map(|(known, _)| *known) == deadline {
                return;
            }
            if let Some((_, timeout)) = entry.timeout.take() {
                clear_timeout(&timeout);
            }
            let Some(deadline) = deadline else { return };
            let left = deadline.saturating_duration_since(now()).as_secs_f64() * 1e3;
            // Not before its time, and no more than the host can count: then it is asked again.
            let left = left.ceil().min(f64::from(i32::MAX));
            entry.timeout = Some((deadline, set_timeout(&events.call_at, left, self.0 as f64)));
        });
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        // A thread that ends has no event loop any more.
        let entry = EVENT_LOOP.try_with(|events| events.callers.borrow_mut().remove(&self.0));
        if let Ok(Some(Entry { timeout: Some((_, timeout)), .. })) = entry {
            clear_timeout(&timeout);
        }
    }
}
