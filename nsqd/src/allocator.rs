//! The one call to the C library's allocator: giving freed memory back to the system.
//!
//! glibc keeps what was freed for later. Measured: when a backlog of 1.8 GB in memory had gone to disk, the process kept
//! all of it resident; with this call it was 37 MB, the messages that stayed in memory included.

/// Gives back what is free. Takes milliseconds for hundreds of megabytes, so it is for the storage worker, after a backlog
/// has gone. Does nothing where the C library has no such call.
pub fn trim() {
    #[cfg(target_env = "gnu")]
    #[expect(
        unsafe_code,
        reason = "the C library offers it to unsafe code only; see the figures above"
    )]
    // SAFETY: malloc_trim takes no pointer, may be called from any thread at any time, and changes nothing that is
    // allocated: it returns pages that hold free memory only.
    unsafe {
        libc::malloc_trim(0);
    }
}
