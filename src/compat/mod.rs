//! What other libraries ask of a runtime, each behind a feature of its own.
//!
//! | feature | module |
//! |---|---|
//! | `hyper` | `hyper`: HTTP clients and servers |

#[cfg(feature = "hyper")]
pub mod hyper;
