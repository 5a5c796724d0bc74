//! What this machine takes for what file operations cannot do without: what is near it can hardly be faster.

use std::hint::black_box;
use std::time::Instant;

use kvfs_tests::engine;
use wasmtime::Store;
use wasmtime::component::{Component, Linker};

const KIB: usize = 1024;
const PAGE_BYTES: usize = 4 * KIB;
/// As large as the file of the guest's reads and writes.
const FILE_BYTES: usize = 4 << 20;

/// Calls that one component makes of the other at a time.
const CALLS: u32 = 64;

/// Measures and prints the floors, µs each, the best of many runs.
pub(crate) fn print() -> anyhow::Result<()> {
    println!("\nfloors of this machine, µs");
    // Fresh from the system each time: nothing has touched it.
    let fresh = || vec![0_u8; 64 << 20];
    let touch = |memory: &mut Vec<u8>| {
        memory.iter_mut().step_by(PAGE_BYTES).for_each(|byte| *byte = 1);
        64 << 20
    };
    row("4 KiB of memory used for the first time", PAGE_BYTES, 5, fresh, touch);
    for size in [4 * KIB, 64 * KIB] {
        // As data goes from the file system's memory to a place on the way, and from there to the guest's.
        let buffers = || (vec![1_u8; FILE_BYTES], vec![1_u8; size], vec![1_u8; size]);
        let copy = |(file, between, guest): &mut (Vec<u8>, Vec<u8>, Vec<u8>)| {
            for piece in file.chunks_exact(size) {
                black_box(&mut *between).copy_from_slice(piece);
                black_box(&mut *guest).copy_from_slice(between);
            }
            file.len()
        };
        row(&format!("{} KiB copied twice, natively", size / KIB), size, 50, buffers, copy);
    }
    // A composition can have no call that carries bytes for less.
    let component = Component::new(engine::plain(), wat::parse_str(include_str!("components.wat"))?)?;
    let mut store = Store::new(engine::plain(), ());
    let instance = Linker::new(engine::plain()).instantiate(&mut store, &component)?;
    for (export, how) in [("hand-over", "handed"), ("ask-for", "answered")] {
        let run = instance.get_typed_func::<(u32, u32), ()>(&mut store, export)?;
        for size in [4 * KIB, 64 * KIB] {
            let call = |(): &mut ()| {
                run.call(&mut store, (CALLS, size as u32)).expect("it calls a function that does nothing");
                CALLS as usize * size
            };
            let name = format!("{} KiB {how} from component to component", size / KIB);
            row(&name, size, 50, || (), call);
        }
    }
    Ok(())
}

/// Prints the least time per unit that `work` takes, which returns how many bytes it has worked on.
fn row<T>(
    name: &str,
    unit_bytes: usize,
    runs: u32,
    make: impl Fn() -> T,
    mut work: impl FnMut(&mut T) -> usize,
) {
    let mut best = f64::MAX;
    for _ in 0..runs {
        let mut things = make();
        let start = Instant::now();
        let bytes = work(&mut things);
        let nanoseconds = start.elapsed().as_nanos() as f64;
        black_box(&things);
        best = best.min(nanoseconds / 1e3 / (bytes / unit_bytes) as f64);
    }
    println!("{name:<46}{best:>8.2}");
}
