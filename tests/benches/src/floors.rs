//! Floors of this machine: the least time for steps that file operations cannot do without. An
//! operation near its floor can hardly be faster.

use std::hint::black_box;
use std::time::Instant;

use kvfs_tests::engine;
use wasmtime::Store;
use wasmtime::component::{Component, Linker};

use crate::results::Floor;

const KIB: usize = 1024;
const PAGE_BYTES: usize = 4 * KIB;
/// The size of the file that the guest reads and writes.
const FILE_BYTES: usize = 4 << 20;

/// Calls from one component to the other in each run.
const CALLS: u32 = 64;

/// Measures the floors in µs, each the best of many runs.
///
/// # Errors
/// The components of the calls do not compile.
pub(crate) fn measure() -> anyhow::Result<Vec<Floor>> {
    let mut floors = Vec::new();
    let mut told = |name: String, us| floors.push(Floor { name, us });
    // Fresh from the system each time: nothing has touched it yet.
    let fresh = || vec![0_u8; 64 << 20];
    let touch = |memory: &mut Vec<u8>| {
        memory.iter_mut().step_by(PAGE_BYTES).for_each(|byte| *byte = 1);
        64 << 20
    };
    told("4 KiB of memory used for the first time".into(), least(PAGE_BYTES, 5, fresh, touch));
    for size in [4 * KIB, 64 * KIB] {
        // The way of data: from the file system's memory to a buffer between, and from there to the
        // guest's memory.
        let buffers = || (vec![1_u8; FILE_BYTES], vec![1_u8; size], vec![1_u8; size]);
        let copy = |(file, between, guest): &mut (Vec<u8>, Vec<u8>, Vec<u8>)| {
            for piece in file.chunks_exact(size) {
                black_box(&mut *between).copy_from_slice(piece);
                black_box(&mut *guest).copy_from_slice(between);
            }
            file.len()
        };
        told(format!("{} KiB copied twice, natively", size / KIB), least(size, 50, buffers, copy));
    }
    // No call in a composition can carry bytes for less.
    let component = Component::new(engine::plain(), wat::parse_str(include_str!("components.wat"))?)?;
    let mut store = Store::new(engine::plain(), ());
    let instance = Linker::new(engine::plain()).instantiate(&mut store, &component)?;
    for (export, how) in [("hand-over", "handed"), ("ask-for", "answered")] {
        let run = instance.get_typed_func::<(u32, u32), ()>(&mut store, export)?;
        for size in [4 * KIB, 64 * KIB] {
            let call = |(): &mut ()| {
                run.call(&mut store, (CALLS, size as u32)).expect("the call does nothing and cannot fail");
                CALLS as usize * size
            };
            let name = format!("{} KiB {how} from component to component", size / KIB);
            told(name, least(size, 50, || (), call));
        }
    }
    Ok(floors)
}

/// Returns the least time per unit that `work` takes, in µs. `work` returns how many bytes it worked on.
fn least<T>(
    unit_bytes: usize,
    runs: u32,
    make: impl Fn() -> T,
    mut work: impl FnMut(&mut T) -> usize,
) -> f64 {
    let mut best = f64::MAX;
    for _ in 0..runs {
        let mut things = make();
        let start = Instant::now();
        let bytes = work(&mut things);
        let nanoseconds = start.elapsed().as_nanos() as f64;
        black_box(&things);
        best = best.min(nanoseconds / 1e3 / (bytes / unit_bytes) as f64);
    }
    best
}
