//! Random reads of a cached file, by many tasks of one process on one CPU.
//!
//! On one CPU, because what is compared is CPU time, and a hop to another would add what the
//! machine's wake-ups cost. Everyone reads in the way that takes it least: Volt and compio at an
//! offset; tokio, whose files have no such read, with std's in one blocking job, since seeking and
//! reading would be two.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Arc;
use std::time::{Duration, Instant};

use compio::BufResult;
use compio::io::AsyncReadAt;
use volt::Backend;
use volt_bench_harness::{Effort, Process, Row, Run, attend, cpus};

use super::{Contender, FILES, elapsed, elapsed_line, sample};

/// Tasks that read at once.
const TASKS: u64 = 64;
/// Bytes of a read.
const BLOCK: usize = 4 << 10;
/// Blocks of the file: 64 MiB in all, which no cache of a CPU holds.
const BLOCKS: u64 = 16 << 10;

/// The row of this file.
pub(super) fn row(effort: Effort) -> Row {
    // Divisible by the number of tasks.
    let reads = TASKS * effort.ops(2_000, 100);
    let row = Row::new("file_read", reads);
    let Some(&cpu) = cpus().first() else {
        return row.leave_out("threads cannot be pinned on this system");
    };
    Contender::READERS.into_iter().fold(row, |row, contender| {
        row.contender_if_able(&contender.name(), move || {
            let mut reader = Process::start(&[FILES.to_owned(), contender.name()], cpu)?;
            Ok(Box::new(move || {
                let before = reader.usage();
                let elapsed = elapsed(&reader.ask(&reads.to_string()));
                sample(elapsed, reader.usage().since(before))
            }) as Run)
        })
    })
}

/// Where the next reads are, at random and the same for everyone.
struct Offsets(u64);

impl Offsets {
    fn of_task(task: u64) -> Self {
        Self(task + 1)
    }

    /// Marsaglia's xorshift: a few instructions.
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % BLOCKS * BLOCK as u64
    }
}

/// A file that is removed again.
struct Written(PathBuf);

impl Written {
    /// Writes it, which leaves it in the system's cache.
    fn new() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("volt-benches-{}", process::id()));
        let written = Self(path);
        fs::write(&written.0, vec![1; BLOCK * BLOCKS as usize])?;
        Ok(written)
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        // It is in the folder for what may be lost.
        let _ = fs::remove_file(&self.0);
    }
}

/// Reads as often as the row asks, until it is over.
pub(super) fn read(contender: Contender) -> io::Result<()> {
    match contender {
        Contender::Volt(backend) => read_on_volt(backend),
        Contender::Tokio => read_on_tokio(),
        Contender::Compio => read_on_compio(),
        Contender::Floor => read_on_floor(),
        Contender::Smol | Contender::Monoio => {
            Err(io::Error::other("it is no contender of this row"))
        }
    }
}

/// Performs as many reads as each question says. `read` is given how many each task makes.
fn attend_reads(mut read: impl FnMut(u64)) {
    attend("files", |question| {
        let reads: u64 = question.parse().expect("a row asks for a number of reads");
        elapsed_line(timed(|| read(reads / TASKS)))
    });
}

fn timed(work: impl FnOnce()) -> Duration {
    let started = Instant::now();
    work();
    started.elapsed()
}

fn read_on_volt(backend: Backend) -> io::Result<()> {
    let runtime = volt::Runtime::builder().workers(1).backend(backend).build()?;
    let written = Written::new()?;
    let file = runtime.run(|io| volt::fs::File::open(&io, written.path()))?;
    drop(written);
    let file = Arc::new(file);
    attend_reads(|each| {
        let file = Arc::clone(&file);
        runtime.run(|io| async move {
            let start = |task| io.spawn(blocks_on_volt(Arc::clone(&file), task, each));
            let tasks: Vec<_> = (0..TASKS).map(start).collect();
            for task in tasks {
                task.await.expect("the task ends");
            }
        });
    });
    Ok(())
}

async fn blocks_on_volt(file: Arc<volt::fs::File>, task: u64, reads: u64) {
    let mut offsets = Offsets::of_task(task);
    let mut buffer = vec![0; BLOCK];
    for _ in 0..reads {
        let read = file.read_at(&mut buffer, offsets.next()).await;
        assert_eq!(read.expect("the file can be read"), BLOCK);
    }
}

fn read_on_tokio() -> io::Result<()> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let file = Arc::new(File::open(Written::new()?.path())?);
    attend_reads(|each| {
        let start = |task| runtime.spawn(blocks_on_tokio(Arc::clone(&file), task, each));
        let tasks: Vec<_> = (0..TASKS).map(start).collect();
        runtime.block_on(async {
            for task in tasks {
                task.await.expect("the task ends");
            }
        });
    });
    Ok(())
}

async fn blocks_on_tokio(file: Arc<File>, task: u64, reads: u64) {
    let mut offsets = Offsets::of_task(task);
    let mut buffer = vec![0; BLOCK];
    for _ in 0..reads {
        let (file, offset) = (Arc::clone(&file), offsets.next());
        let read = tokio::task::spawn_blocking(move || {
            file.read_exact_at(&mut buffer, offset).map(|()| buffer)
        });
        buffer = read.await.expect("the job ends").expect("the file can be read");
    }
}

fn read_on_compio() -> io::Result<()> {
    let runtime = compio::runtime::Runtime::new()?;
    let written = Written::new()?;
    let file = runtime.block_on(compio::fs::File::open(written.path()))?;
    drop(written);
    attend_reads(|each| {
        runtime.block_on(async {
            let start = |task| compio::runtime::spawn(blocks_on_compio(file.clone(), task, each));
            let tasks: Vec<_> = (0..TASKS).map(start).collect();
            for task in tasks {
                task.await.expect("the task ends");
            }
        });
    });
    Ok(())
}

async fn blocks_on_compio(file: compio::fs::File, task: u64, reads: u64) {
    let mut offsets = Offsets::of_task(task);
    let mut buffer: Vec<u8> = Vec::with_capacity(BLOCK);
    for _ in 0..reads {
        let BufResult(read, filled) = file.read_at(buffer, offsets.next()).await;
        assert_eq!(read.expect("the file can be read"), BLOCK);
        buffer = filled;
    }
}

/// One thread with the system's call.
fn read_on_floor() -> io::Result<()> {
    let file = File::open(Written::new()?.path())?;
    let mut buffer = vec![0; BLOCK];
    attend_reads(|each| {
        for task in 0..TASKS {
            let mut offsets = Offsets::of_task(task);
            for _ in 0..each {
                file.read_exact_at(&mut buffer, offsets.next()).expect("the file can be read");
            }
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_blocks_of_the_file_and_far_apart() {
        let mut offsets = Offsets::of_task(0);
        let drawn: std::collections::BTreeSet<u64> = (0..1_000).map(|_| offsets.next()).collect();
        assert!(drawn.iter().all(|offset| offset % BLOCK as u64 == 0));
        assert!(drawn.iter().all(|offset| offset / (BLOCK as u64) < BLOCKS));
        assert!(drawn.len() > 900, "{} of 1,000 differ", drawn.len());
    }
}
