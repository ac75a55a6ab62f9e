//! Signals that the process is sent, on Unix.
//!
//! ```
//! use std::time::Duration;
//! use volt::signal::ctrl_c;
//! use volt::time::timeout;
//!
//! # if !cfg!(unix) { return }
//! volt::run(|io| async move {
//!     match timeout(&io, Duration::from_millis(1), ctrl_c(&io)).await {
//!         Ok(pressed) => pressed.map(|()| println!("interrupted")),
//!         Err(_) => Ok(println!("left alone")),
//!     }
//! })
//! .unwrap();
//! ```
//!
//! Whoever listens hears of what is sent from then on. Signals of one kind that come before the
//! receiver has looked are one: so much the system does too.
//!
//! **The default action ends.** Once a program has listened to a signal, that signal does not do
//! what it does by default any more, as ending the process: not even when nobody listens any
//! longer. So a program that has taken its Ctrl-C must end by itself.
//!
//! Handlers that other code has installed before are called as ever.
//!
//! In a simulation a host hears what the test sends it, by `volt::sim::Host::signal`, and nothing
//! else.

mod ctrl_c;
mod receiver;

pub use crate::platform::signal::SignalKind;
pub use ctrl_c::{CtrlC, ctrl_c};
pub use receiver::{Recv, Signal};
