//! Where a tape is written: a shared mapping of a file, which outlives an abort of the process;
//! memory where no file can be mapped.

use std::path::{Path, PathBuf};

const FIRST_WORDS: usize = 1 << 18;

/// Where tapes are while their process lives. Memory-backed where the system has it: nothing is
/// ever written to a disk.
fn folders() -> [PathBuf; 2] {
    [PathBuf::from("/dev/shm"), std::env::temp_dir()]
}

/// What the names of the tapes of a process begin with.
fn prefix(process: u32) -> String {
    format!("volt-{process}-")
}

/// The tapes that a process left behind when it was ended in the middle of a run.
pub(crate) fn left_behind(process: u32) -> Vec<PathBuf> {
    let prefix = prefix(process);
    let entries = folders().into_iter().filter_map(|folder| folder.read_dir().ok()).flatten();
    let paths = entries.flatten().map(|entry| entry.path());
    let is_tape = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(&prefix) && name.ends_with(".tape")
    };
    paths.filter(is_tape).collect()
}

pub(super) struct Storage {
    #[cfg(unix)]
    mapped: Option<mapping::Mapping>,
    memory: Vec<u32>,
}

impl Storage {
    pub(super) fn new() -> Storage {
        #[cfg(unix)]
        if let Some(mapped) = mapping::Mapping::new(FIRST_WORDS) {
            return Storage { mapped: Some(mapped), memory: Vec::new() };
        }
        Storage {
            #[cfg(unix)]
            mapped: None,
            memory: vec![0; FIRST_WORDS],
        }
    }

    #[inline]
    pub(super) fn words(&mut self) -> &mut [u32] {
        #[cfg(unix)]
        if let Some(mapped) = &mut self.mapped {
            return mapped.words();
        }
        &mut self.memory
    }

    /// Doubles the room, keeping what is written.
    #[cold]
    pub(super) fn grow(&mut self) {
        #[cfg(unix)]
        if let Some(mapped) = &mut self.mapped {
            if mapped.grow() {
                return;
            }
            // The file cannot grow (a full disk): go on in memory, which only an abort loses.
            self.memory = mapped.words().to_vec();
            self.mapped = None;
        }
        let doubled = self.memory.len() * 2;
        self.memory.resize(doubled, 0);
    }

    pub(super) fn path(&self) -> Option<&Path> {
        #[cfg(unix)]
        if let Some(mapped) = &self.mapped {
            return Some(mapped.path());
        }
        None
    }
}

#[cfg(unix)]
mod mapping {
    use std::fs::{self, File, OpenOptions};
    use std::os::fd::AsRawFd;
    use std::path::{Path, PathBuf};
    use std::ptr::{self, NonNull};
    use std::sync::atomic::{AtomicU32, Ordering};

    /// A file of this process, mapped shared; removed when dropped, left behind by an abort.
    pub(super) struct Mapping {
        file: File,
        path: PathBuf,
        address: NonNull<u32>,
        words: usize,
    }

    // SAFETY: the mapping is owned by this value alone and not tied to the thread that made it.
    unsafe impl Send for Mapping {}

    static NEXT: AtomicU32 = AtomicU32::new(0);

    impl Mapping {
        pub(super) fn new(words: usize) -> Option<Mapping> {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let name = format!("{}{number}.tape", super::prefix(std::process::id()));
            for folder in super::folders() {
                let path = folder.join(&name);
                let options = OpenOptions::new()
                    .read(true)
                    .write(true)
                    .create(true)
                    .truncate(true)
                    .open(&path);
                let Ok(file) = options else { continue };
                if let Some(address) = map(&file, words) {
                    return Some(Mapping { file, path, address, words });
                }
                let _ = fs::remove_file(&path);
            }
            None
        }

        #[inline]
        pub(super) fn words(&mut self) -> &mut [u32] {
            // SAFETY: `address` maps `words` words of our own file, readable and writable, until
            // drop; nobody else in this process has them.
            unsafe { std::slice::from_raw_parts_mut(self.address.as_ptr(), self.words) }
        }

        pub(super) fn grow(&mut self) -> bool {
            let words = self.words * 2;
            let Some(address) = map(&self.file, words) else { return false };
            self.unmap();
            self.address = address;
            self.words = words;
            true
        }

        pub(super) fn path(&self) -> &Path {
            &self.path
        }

        fn unmap(&mut self) {
            // SAFETY: the range was returned by mmap with this length, and no slice of it lives:
            // `words` borrows `self` mutably.
            unsafe { libc::munmap(self.address.as_ptr().cast(), self.words * 4) };
        }
    }

    impl Drop for Mapping {
        fn drop(&mut self) {
            self.unmap();
            let _ = fs::remove_file(&self.path);
        }
    }

    /// Makes the file `bytes` long. On Linux the room is taken at once: a write into a mapped file
    /// on a full disk would end the process.
    fn reserve(file: &File, bytes: usize) -> Option<()> {
        #[cfg(target_os = "linux")]
        {
            let length = libc::off_t::try_from(bytes).ok()?;
            // SAFETY: an open descriptor and a range; the call touches no memory of ours.
            let failed = unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, length) };
            (failed == 0).then_some(())
        }
        #[cfg(not(target_os = "linux"))]
        file.set_len(bytes as u64).ok()
    }

    fn map(file: &File, words: usize) -> Option<NonNull<u32>> {
        let bytes = words * 4;
        reserve(file, bytes)?;
        // SAFETY: a new shared mapping of an open file of at least this length; the address is
        // the kernel's choice.
        let address = unsafe {
            libc::mmap(
                ptr::null_mut(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            )
        };
        if address == libc::MAP_FAILED { None } else { NonNull::new(address.cast()) }
    }
}
