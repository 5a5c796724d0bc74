//! What the engine is tried with, for its test suites (`tests/trust`) and its fuzz targets (`fuzz`)
//! alike: a plain reference, operations as data, a store that counts, logs and fails, and a runner that
//! holds engine and reference side by side.
//!
//! A failure is a panic with the setup and the operations in its message.

// A tool for tests: names say what things are, and the modules what they are for.
#![allow(missing_docs)]

pub mod below;
pub mod cuts;
pub mod fuzz;
pub mod guest;
pub mod layered;
pub mod model;
pub mod moments;
pub mod ops;
pub mod rng;
pub mod run;
pub mod shrink;
pub mod store;
pub mod tree;
