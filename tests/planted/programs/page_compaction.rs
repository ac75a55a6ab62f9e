//! A driver that frees the pages of a slab that nobody uses, off by one.
//!
//! In the wild: tokio pull request 3019. Sources are registered in pages; now and then the driver
//! frees pages without sources. It looked at one page and freed another, to which a registered
//! source still referred. Here the page before the one that was looked at.
//!
//! The twin: the page that was looked at is freed, under the lock of the look.
//!
//! Look for: a page that is gone while a source is registered in it.

use volt::sim::sync::{Arc, Mutex};
use volt::sim::thread;

use super::{Version, join};

#[derive(Default)]
struct Page {
    sources: u32,
    is_allocated: bool,
}

#[derive(Default)]
struct Slab {
    pages: [Mutex<Page>; 3],
}

impl Slab {
    fn register(&self, page: usize) {
        let mut page = self.pages[page].lock().unwrap();
        page.is_allocated = true;
        page.sources += 1;
    }

    fn deregister(&self, page: usize) {
        let mut page = self.pages[page].lock().unwrap();
        page.sources -= 1;
        let is_allocated = page.is_allocated;
        // A panic must not poison the lock: the driver would panic for that.
        drop(page);
        assert!(is_allocated, "the page of a registered source was freed");
    }

    /// The first page is never freed.
    fn compact(&self, version: Version) {
        for number in 1..self.pages.len() {
            let mut page = self.pages[number].lock().unwrap();
            if page.sources > 0 || !page.is_allocated {
                continue;
            }
            if version.is_fixed() {
                page.is_allocated = false;
                continue;
            }
            drop(page);
            self.pages[number - 1].lock().unwrap().is_allocated = false;
        }
    }
}

/// A source that comes and goes in each of two pages, and a driver.
pub fn run(version: Version) {
    let slab = Arc::new(Slab::default());
    let sources = [1, 2].map(|page| {
        let slab = Arc::clone(&slab);
        thread::spawn(move || {
            slab.register(page);
            slab.deregister(page);
        })
    });
    slab.compact(version);
    for source in sources {
        join(source);
    }
}
