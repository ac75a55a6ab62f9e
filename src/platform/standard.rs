//! The standard streams of the process. A simulated machine has no input: a run would depend on
//! who types. What it writes goes out, as that of `println!` does.

use std::io::{self, Read, Write};

use super::thread::is_simulated;

/// Reads from the standard input, through std's buffer, and blocks meanwhile.
pub fn read_stdin(buffer: &mut [u8]) -> io::Result<usize> {
    if is_simulated() {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "a simulated machine has no standard input: give the program a `volt::io::duplex` \
             end instead",
        ));
    }
    io::stdin().read(buffer)
}

/// Writes all of `bytes` to the standard output, and what std keeps of it to the system.
pub fn write_stdout(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}

/// Writes all of `bytes` to the standard error.
pub fn write_stderr(bytes: &[u8]) -> io::Result<()> {
    io::stderr().lock().write_all(bytes)
}
