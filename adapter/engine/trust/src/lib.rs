//! What the engine is tried with, for its test suites (`tests/trust`) and its fuzz targets (`fuzz`)
//! alike: a plain reference, operations as data, a store that counts, logs and fails, and a runner that
//! holds engine and reference side by side.
//!
//! A failure is a panic with the setup and the operations in its message.

// A tool for tests: names say what things are, and the modules what they are for.
#![allow(missing_docs)]

// Numbers, the store, and the reference.
pub mod below;
pub mod model;
pub mod rng;
pub mod store;
pub mod tree;

// What is done, and on what.
pub mod ops;

// Doing it on both sides.
pub mod guest;
pub mod run;

// Above an image; cut, and held against the moments of a run.
pub mod layered;
pub mod moments;
pub mod shrink;

pub mod cuts;
pub mod fuzz;
