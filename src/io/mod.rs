//! Reading and writing: the field's traits with their extensions, the standard streams, pipes in
//! memory, and copying both ways.
//!
//! | item | what it is |
//! |---|---|
//! | [`AsyncRead`], [`AsyncWrite`], [`AsyncBufRead`], [`AsyncSeek`] | the traits of `futures-io` |
//! | [`AsyncReadExt`], [`AsyncWriteExt`], .. | what can be done with them, of `futures-util` |
//! | [`BufReader`], [`BufWriter`] | fewer and larger operations; [`lines`] |
//! | [`copy`], [`copy_buf`], [`copy_bidirectional`] | from one to another; both ways |
//! | [`stdin`], [`stdout`], [`stderr`] | the standard streams, by way of the blocking pool |
//! | [`duplex`] | two ends of a pipe in memory |
//!
//! [`lines`]: AsyncBufReadExt::lines
//! [`copy_bidirectional`]: copy_bidirectional()
//! [`duplex`]: duplex()
//! [`stdin`]: stdin()
//! [`stdout`]: stdout()
//!
//! The futures of `futures-util` say nothing of cancel safety. Those that do one operation, such
//! as `read`, `write` and `fill_buf`, are as safe as it; those that do several, such as
//! `read_exact`, `read_to_end`, `read_line` and `write_all`, are not: dropped before they are
//! ready, they may have moved some bytes, and do not say how many. The stream of `lines` keeps
//! what it has of a line.
//!
//! ```
//! use volt::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, duplex};
//!
//! volt::run(|_io| async move {
//!     let (mut near, far) = duplex(64);
//!     near.write_all(b"first\nsecond").await?;
//!     near.close().await?;
//!
//!     let mut far = BufReader::new(far);
//!     let (mut line, mut rest) = (String::new(), String::new());
//!     far.read_line(&mut line).await?;
//!     far.read_to_string(&mut rest).await?;
//!     assert_eq!((line.as_str(), rest.as_str()), ("first\n", "second"));
//!     Ok::<(), std::io::Error>(())
//! })
//! .unwrap();
//! ```

mod copy_bidirectional;
mod duplex;
mod pipe;
mod stdin;
mod stdout;

pub use futures_util::io::{
    AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncSeek, AsyncSeekExt, AsyncWrite,
    AsyncWriteExt, BufReader, BufWriter, Cursor, LineWriter, Lines, copy, copy_buf, empty, repeat,
    sink,
};

pub use copy_bidirectional::{CopyBidirectional, copy_bidirectional};
pub use duplex::{DuplexStream, duplex};
pub use stdin::{Stdin, stdin};
pub use stdout::{Stderr, Stdout, stderr, stdout};

use std::io;
use std::panic::resume_unwind;

use crate::task::JoinError;

/// The error of an operation that a thread did not do. A panic goes on here.
fn not_run(error: JoinError) -> io::Error {
    match error.try_into_panic() {
        Ok(payload) => resume_unwind(payload),
        Err(cancelled) => io::Error::other(cancelled),
    }
}
