//! Thread-locals of their own for simulated threads.
//!
//! Coroutines on one OS thread share its thread-locals, so `std::thread::current`, the panic
//! count, tracing's span stack and `parking_lot`'s parking word would mix. Where the system lets
//! us, each simulated thread of a `Sim` world therefore has a thread-local block, and the switch
//! to it swaps the thread pointer.
//!
//! A block comes from the C library's own allocator of such blocks. When it is reused, the part
//! that belongs to the program (std's and the user's thread-locals) is reset to its initial
//! image; the C library's part keeps its allocation caches.

/// A thread-local block.
pub(crate) struct Block(imp::Block);

impl Block {
    /// A block in its initial state; `None` where the system offers none.
    pub(crate) fn take() -> Option<Block> {
        imp::take().map(Block)
    }

    /// What the thread pointer must hold while a thread runs on this block.
    pub(crate) fn pointer(&self) -> usize {
        imp::pointer(&self.0)
    }

    /// Takes back a block that no thread runs on.
    pub(crate) fn give_back(self) {
        imp::give_back(self.0);
    }
}

/// Finds out, once, how the system lays out thread-locals.
pub(crate) fn prepare() {
    imp::prepare();
}

/// The thread pointer of the running thread.
pub(crate) fn thread_pointer() -> usize {
    imp::thread_pointer()
}

/// Moves the running OS thread to another thread-local block.
///
/// # Safety
/// `pointer` is the OS thread's own, or that of a [`Block`] that nothing else runs on. No
/// reference to a thread-local of the former block may be used while the new one is in force.
#[inline(always)]
pub(crate) unsafe fn set_thread_pointer(pointer: usize) {
    // SAFETY: the caller's promise.
    unsafe { imp::set_thread_pointer(pointer) }
}

/// Whether `address` lies in the running thread's thread-local block.
pub(crate) fn is_thread_local(address: usize) -> bool {
    imp::is_thread_local(address)
}

#[cfg(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64"))]
mod imp {
    use std::arch::asm;
    use std::ffi::{CStr, c_int, c_void};
    use std::ptr;
    use std::sync::{Mutex, OnceLock, PoisonError};

    pub(super) struct Block(usize);

    type Allocate = unsafe extern "C" fn(*mut c_void) -> *mut c_void;
    type InitializeCtype = unsafe extern "C" fn();

    /// What is the same for all blocks of the process.
    struct Layout {
        allocate: Allocate,
        initialize_ctype: InitializeCtype,
        /// The program's own part: how far below the thread pointer it begins, its length, and
        /// its initial image.
        below: usize,
        length: usize,
        image: usize,
        image_length: usize,
        /// Where in the C library's thread descriptor the thread id is kept.
        thread_id_at: usize,
        /// Whether `wrfsbase` may be used.
        fast: bool,
    }

    // Fields of the head of the x86-64 thread control block, part of the ABI between the C
    // library, the compiler and the dynamic linker.
    const SELF_AT: usize = 0x10;
    const MULTIPLE_THREADS_AT: usize = 0x18;
    const STACK_GUARD_AT: usize = 0x28;
    const POINTER_GUARD_AT: usize = 0x30;

    static LAYOUT: OnceLock<Option<Layout>> = OnceLock::new();
    static FREE: Mutex<Vec<Block>> = Mutex::new(Vec::new());
    static NEXT_THREAD_ID: Mutex<c_int> = Mutex::new(0x4000_0000);

    fn layout() -> Option<&'static Layout> {
        LAYOUT.get_or_init(find_layout).as_ref()
    }

    pub(super) fn prepare() {
        layout();
    }

    fn find_layout() -> Option<Layout> {
        let allocate = symbol(c"_dl_allocate_tls")?;
        let initialize_ctype = symbol(c"__ctype_init")?;
        // SAFETY: both are functions of the C library with these signatures, unchanged since the
        // library's thread support was written; where a name is missing we do without.
        let (allocate, initialize_ctype) = unsafe {
            (
                std::mem::transmute::<*mut c_void, Allocate>(allocate),
                std::mem::transmute::<*mut c_void, InitializeCtype>(initialize_ctype),
            )
        };
        let own = thread_pointer();
        let program = program_segment(own)?;
        let thread_id_at = find_thread_id(own)?;
        // SAFETY: no memory is touched.
        let capabilities = unsafe { libc::getauxval(libc::AT_HWCAP2) };
        const FSGSBASE: u64 = 1 << 1;
        Some(Layout {
            allocate,
            initialize_ctype,
            below: program.below,
            length: program.length,
            image: program.image,
            image_length: program.image_length,
            thread_id_at,
            fast: capabilities & FSGSBASE != 0,
        })
    }

    fn symbol(name: &CStr) -> Option<*mut c_void> {
        // SAFETY: a look-up by a terminated name.
        let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
        (!found.is_null()).then_some(found)
    }

    struct Segment {
        below: usize,
        length: usize,
        image: usize,
        image_length: usize,
    }

    /// The program's thread-local segment: that of the first object the linker lists.
    fn program_segment(thread_pointer: usize) -> Option<Segment> {
        struct Search {
            thread_pointer: usize,
            found: Option<Segment>,
        }
        unsafe extern "C" fn visit(
            info: *mut libc::dl_phdr_info,
            _size: usize,
            search: *mut c_void,
        ) -> c_int {
            // SAFETY: the linker passes a valid record, and our pointer through unchanged.
            let (info, search) = unsafe { (&*info, &mut *search.cast::<Search>()) };
            // SAFETY: the record names an array of this length.
            let headers =
                unsafe { std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
            for header in headers.iter().filter(|header| header.p_type == libc::PT_TLS) {
                // The block of a program (the first object) ends at the thread pointer, rounded
                // to the segment's alignment.
                let length = header.p_memsz as usize;
                let align = (header.p_align as usize).max(1);
                let misfit = (header.p_vaddr as usize) & (align - 1);
                let below = (length + misfit).next_multiple_of(align) - misfit;
                let image = (info.dlpi_addr + header.p_vaddr) as usize;
                let image_length = header.p_filesz as usize;
                let start = info.dlpi_tls_data as usize;
                if start == search.thread_pointer - below {
                    search.found = Some(Segment { below, length, image, image_length });
                }
            }
            1 // the first object alone
        }
        let mut search = Search { thread_pointer, found: None };
        // SAFETY: the callback matches the declared type and outlives the call.
        unsafe { libc::dl_iterate_phdr(Some(visit), ptr::from_mut(&mut search).cast()) };
        search.found
    }

    /// The C library keeps the thread id in its descriptor, behind the thread pointer, at a place
    /// that differs between versions.
    fn find_thread_id(thread_pointer: usize) -> Option<usize> {
        // SAFETY: asks for a number.
        let id = unsafe { libc::gettid() };
        (0x200..0x700).step_by(4).find(|at| {
            // SAFETY: the descriptor is larger than this range in every version that has the
            // functions looked up above (its thread id lies at 0x2d0 since 2.4).
            unsafe { ptr::read((thread_pointer + at) as *const c_int) == id }
        })
    }

    pub(super) fn take() -> Option<Block> {
        let layout = layout()?;
        let free = FREE.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let block = match free {
            Some(block) => block,
            None => allocate(layout)?,
        };
        let start = (block.0 - layout.below) as *mut u8;
        // SAFETY: the program's part of a block that nobody runs on: `length` bytes below the
        // thread pointer, of which the first `image_length` have an image.
        unsafe {
            ptr::copy_nonoverlapping(layout.image as *const u8, start, layout.image_length);
            let rest = start.add(layout.image_length);
            ptr::write_bytes(rest, 0, layout.length - layout.image_length);
        }
        Some(block)
    }

    fn allocate(layout: &Layout) -> Option<Block> {
        // SAFETY: null asks for a new block; the result is a thread pointer, or null.
        let block = unsafe { (layout.allocate)(ptr::null_mut()) } as usize;
        if block == 0 {
            return None;
        }
        let own = thread_pointer();
        let mut next = NEXT_THREAD_ID.lock().unwrap_or_else(PoisonError::into_inner);
        *next += 1;
        // SAFETY: the head of a new control block; what is copied is the same for all threads of
        // the process. The id is one that the kernel never gives, so that the C library's
        // recursive locks tell simulated threads apart.
        unsafe {
            ptr::write(block as *mut usize, block);
            ptr::write((block + SELF_AT) as *mut usize, block);
            for at in [STACK_GUARD_AT, POINTER_GUARD_AT] {
                ptr::write((block + at) as *mut usize, ptr::read((own + at) as *const usize));
            }
            ptr::write((block + MULTIPLE_THREADS_AT) as *mut c_int, 1);
            ptr::write((block + layout.thread_id_at) as *mut c_int, *next);
        }
        let block = Block(block);
        // SAFETY: nobody runs on the new block; between the two moves nothing but the C
        // library's initialiser of its character tables runs.
        unsafe {
            set_thread_pointer(block.0);
            (layout.initialize_ctype)();
            set_thread_pointer(own);
        }
        Some(block)
    }

    pub(super) fn pointer(block: &Block) -> usize {
        block.0
    }

    pub(super) fn give_back(block: Block) {
        FREE.lock().unwrap_or_else(PoisonError::into_inner).push(block);
    }

    #[inline(always)]
    pub(super) fn thread_pointer() -> usize {
        let pointer: usize;
        // SAFETY: reads the first word of the control block, which holds its own address.
        unsafe {
            asm!("mov {}, fs:0", out(reg) pointer, options(nostack, readonly, preserves_flags));
        }
        pointer
    }

    /// See [`super::set_thread_pointer`].
    #[inline(always)]
    pub(super) unsafe fn set_thread_pointer(pointer: usize) {
        if layout().is_some_and(|layout| layout.fast) {
            // SAFETY: the caller's promise; the instruction is there. Not `nomem`: no access to a
            // thread-local may move across.
            unsafe { asm!("wrfsbase {}", in(reg) pointer, options(nostack, preserves_flags)) };
        } else {
            const ARCH_SET_FS: u64 = 0x1002;
            // SAFETY: as above, by system call, without the C library, whose `errno` is a
            // thread-local.
            unsafe {
                asm!(
                    "syscall",
                    inlateout("rax") libc::SYS_arch_prctl as u64 => _,
                    in("rdi") ARCH_SET_FS,
                    in("rsi") pointer,
                    out("rcx") _,
                    out("r11") _,
                    options(nostack),
                );
            }
        }
    }

    pub(super) fn is_thread_local(address: usize) -> bool {
        let own = thread_pointer();
        layout().is_some_and(|layout| (own - layout.below..own).contains(&address))
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64")))]
mod imp {
    /// Never made here.
    pub(super) enum Block {}

    pub(super) fn prepare() {}

    pub(super) fn take() -> Option<Block> {
        None
    }

    pub(super) fn pointer(block: &Block) -> usize {
        match *block {}
    }

    pub(super) fn give_back(block: Block) {
        match block {}
    }

    pub(super) fn thread_pointer() -> usize {
        0
    }

    pub(super) unsafe fn set_thread_pointer(_pointer: usize) {}

    pub(super) fn is_thread_local(_address: usize) -> bool {
        false
    }
}
