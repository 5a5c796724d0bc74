//! The fuzz targets: functions of bytes that panic if the engine errs.
//!
//! `fuzz/fuzz_targets` passes them to libFuzzer. A test in `tests/trust` runs them on the committed
//! corpus and on mutations of it under plain `cargo test`. A target reads its bytes through
//! [`Rng::from_bytes`](crate::rng::Rng::from_bytes); zeros follow the last byte.

mod forge;
pub mod mutate;
mod reached;
mod samples;

mod decoders;
mod paths;
mod sequences;
mod stores;

pub mod images;

pub use reached::reached;

pub struct Target {
    /// The name of its binary, and of the directory of its corpus.
    pub name: &'static str,
    pub run: fn(&[u8]),
    /// Inputs to start from beside the corpus. They follow changes of the format.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

pub const TARGETS: [Target; 4] = [
    Target { name: "decoders", run: decoders::run, seeds: decoders::seeds },
    Target { name: "paths", run: paths::run, seeds: Vec::new },
    Target { name: "sequences", run: sequences::run, seeds: Vec::new },
    Target { name: "stores", run: stores::run, seeds: stores::seeds },
];

/// Runs the target of this name. Each fuzz binary is this call.
pub fn run(name: &str, data: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("a target of this name");
    (target.run)(data);
}
