//! Programs that do not end by themselves, or only for want of memory. Each first leaves a file that is closed.

use crate::files::{bytes_at, file};
use crate::wasi::bindings::wasi::clocks::monotonic_clock::subscribe_duration;
use crate::wasi::{Descriptor, print, print_error};

const PAGE_BYTES: usize = 1 << 16;

/// Runs the named program.
pub(crate) fn run(root: &Descriptor, name: &str) -> Result<(), String> {
    drop(file(root, name, b"kept"));
    print("ready\n")?;
    match name {
        // Calls the file system all the time, or nothing.
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
        // Waits in the host for whoever reads what it writes.
        "floods" => loop {
            print_error("flood flood flood flood flood flood flood flood\n");
        },
        // Waits in the host.
        "waits" => loop {
            subscribe_duration(3_600_000_000_000).block();
        },
        // Takes what there is, and goes on without more.
        "takes-memory" => {
            let mut pages = 0;
            while core::arch::wasm32::memory_grow(0, 16) != usize::MAX {
                pages += 16;
            }
            let kept = bytes_at(root, name).map_err(|code| format!("{code:?}"))?;
            print(&format!("{} more bytes, {}\n", pages * PAGE_BYTES, kept.0 == b"kept"))
        }
        // Cannot go on without more.
        "needs-memory" => loop {
            if core::arch::wasm32::memory_grow(0, 16) == usize::MAX {
                core::arch::wasm32::unreachable();
            }
        },
        _ => Err("there is no such program".to_owned()),
    }
}
