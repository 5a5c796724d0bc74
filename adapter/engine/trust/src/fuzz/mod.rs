//! The fuzz targets: functions of bytes that panic if the engine does wrong.
//!
//! `fuzz/fuzz_targets` hands them to libFuzzer; a test in `tests/trust` runs them on the committed
//! corpus and on mutations of it, so that plain `cargo test` tries them too. Bytes decide what a target
//! does through [`Rng::from_bytes`](crate::rng::Rng::from_bytes): they run out, and zeros follow.

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
    /// Inputs to start from beside the corpus; they follow the format when it changes.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

pub const TARGETS: [Target; 4] = [
    Target { name: "decoders", run: decoders::run, seeds: decoders::seeds },
    Target { name: "paths", run: paths::run, seeds: Vec::new },
    Target { name: "sequences", run: sequences::run, seeds: Vec::new },
    Target { name: "stores", run: stores::run, seeds: stores::seeds },
];

/// Runs the target of this name: the body of its binary.
pub fn run(name: &str, data: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("a target of this name");
    (target.run)(data);
}
