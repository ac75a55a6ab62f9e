//! Volt's runtime of one thread in a JavaScript host: [`tour`] for Node, [`Crowd`] for a page.
//!
//! ```text
//! wasm/examples/build node && node wasm/examples/node.js
//! wasm/examples/build browser && python3 -m http.server -d wasm/examples
//! ```

mod crowd;
mod tour;

pub use crowd::Crowd;
pub use tour::tour;

use volt::local::Runtime;

thread_local! {
    /// The runtime of the module. The host's event loop runs it: nobody calls `run`.
    static RUNTIME: Runtime = Runtime::new();
}
