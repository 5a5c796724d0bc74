//! Programs that never end, or end only for lack of memory. Each first leaves a closed file.

use crate::files::{bytes_at, file};
use crate::wasi::bindings::wasi::clocks::monotonic_clock::subscribe_duration;
use crate::wasi::{Descriptor, print, print_error};

const PAGE_BYTES: usize = 1 << 16;

/// Runs the named program.
pub(crate) fn run(root: &Descriptor, name: &str) -> Result<(), String> {
    drop(file(root, name, b"kept"));
    print("ready\n")?;
    match name {
        // Calls the file system all the time, or not at all.
        "stats" => loop {
            let _ = root.stat();
        },
        "writes" => loop {
            let _ = root.unlink_file_at("churn");
            drop(file(root, "churn", &[b'x'; 10_000]));
        },
        "spins" => loop {
            core::hint::spin_loop();
        },
        // Waits in the host for a reader of its output.
        "floods" => loop {
            print_error("flood flood flood flood flood flood flood flood\n");
        },
        // Waits in the host.
        "waits" => loop {
            subscribe_duration(3_600_000_000_000).block();
        },
        // Takes all the memory it gets, then goes on.
        "takes-memory" => {
            let mut pages = 0;
            while core::arch::wasm32::memory_grow(0, 16) != usize::MAX {
                pages += 16;
            }
            let kept = bytes_at(root, name).map_err(|code| format!("{code:?}"))?;
            print(&format!("{} more bytes, {}\n", pages * PAGE_BYTES, kept.0 == b"kept"))
        }
        // Traps when it gets no more memory.
        "needs-memory" => loop {
            if core::arch::wasm32::memory_grow(0, 16) == usize::MAX {
                core::arch::wasm32::unreachable();
            }
        },
        _ => Err("no such program".to_owned()),
    }
}
