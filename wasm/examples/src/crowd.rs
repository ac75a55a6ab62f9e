//! A crowd of tasks, each of which moves a dot.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use js_sys::Uint8ClampedArray;
use volt::local::{Delay, Runtime};
use wasm_bindgen::prelude::wasm_bindgen;

/// The colours of dots that are always on their way, and of those that rest.
const BUSY: [u8; 4] = [255, 160, 60, 255];
const RESTING: [u8; 4] = [90, 190, 255, 255];
const NOBODY: [u8; 4] = [16, 18, 24, 255];

/// A picture, and a crowd of dots that move in it.
struct Picture {
    width: usize,
    height: usize,
    pixels: RefCell<Vec<u8>>,
    moves: Cell<f64>,
}

impl Picture {
    fn paint(&self, place: usize, colour: [u8; 4]) {
        self.pixels.borrow_mut()[4 * place..][..4].copy_from_slice(&colour);
    }

    /// Moves a dot by a step that `random` decides.
    fn step(&self, place: usize, colour: [u8; 4], random: &mut u32) -> usize {
        // Marsaglia's xorshift32.
        *random ^= *random << 13;
        *random ^= *random >> 17;
        *random ^= *random << 5;
        let size = self.width * self.height;
        let steps = [1, size - 1, self.width, size - self.width];
        let next = (place + steps[(*random >> 8) as usize % 4]) % size;
        self.paint(place, NOBODY);
        self.paint(next, colour);
        self.moves.set(self.moves.get() + 1.0);
        next
    }
}

/// Tasks without end, each with a dot of its own: every second one moves it and lets the others
/// run, the rest sleep up to two seconds between two steps.
#[wasm_bindgen]
pub struct Crowd {
    /// Kept, because dropping it ends the tasks.
    _runtime: Runtime,
    picture: Rc<Picture>,
}

#[wasm_bindgen]
impl Crowd {
    /// Starts so many tasks in a picture of that size.
    #[wasm_bindgen(constructor)]
    pub fn new(tasks: u32, width: u32, height: u32) -> Crowd {
        let (width, height) = (width as usize, height as usize);
        let picture = Rc::new(Picture {
            width,
            height,
            pixels: RefCell::new(NOBODY.repeat(width * height)),
            moves: Cell::new(0.0),
        });
        let runtime = Runtime::new();
        for number in 0..tasks {
            let mut random = number.wrapping_mul(0x9E37_79B9) | 1;
            let mut place = number.wrapping_mul(2_654_435_761) as usize % (width * height);
            let (picture, handle) = (Rc::clone(&picture), runtime.handle());
            let task = async move {
                loop {
                    if number % 2 == 0 {
                        place = picture.step(place, BUSY, &mut random);
                        yield_now().await;
                    } else {
                        place = picture.step(place, RESTING, &mut random);
                        let rest = Duration::from_millis(u64::from(random % 2_000));
                        Delay::new(&handle, rest).await;
                    }
                }
            };
            drop(runtime.spawn(task));
        }
        Crowd { _runtime: runtime, picture }
    }

    /// The picture as it is now, four bytes a pixel.
    pub fn pixels(&self) -> Uint8ClampedArray {
        Uint8ClampedArray::from(self.picture.pixels.borrow().as_slice())
    }

    /// How many steps were made.
    pub fn moves(&self) -> f64 {
        self.picture.moves.get()
    }
}

/// Lets every task that is ready run first.
async fn yield_now() {
    let mut has_yielded = false;
    poll_fn(|context| {
        if has_yielded {
            return Poll::Ready(());
        }
        has_yielded = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
