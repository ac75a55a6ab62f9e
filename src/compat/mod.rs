//! What other libraries ask of a runtime, each behind a feature of its own.
//!
//! | feature | module |
//! |---|---|
//! | `hyper` | `hyper`: HTTP clients and servers |
//! | `tokio-io` | `tokio_io`: tokio's traits for streams, files and pipes |

#[cfg(feature = "hyper")]
pub mod hyper;
#[cfg(feature = "tokio-io")]
pub mod tokio_io;
