//! Tools to test the engine, shared by its test suites (`tests/trust`) and its fuzz targets
//! (`fuzz`): a plain reference, operations as data, a store that counts, logs and fails, and a
//! runner that compares engine and reference step by step.
//!
//! A failure panics with the setup and the operations in its message.

// The names and the modules' documentation explain the items.
#![allow(missing_docs)]

// Numbers, the store, and the reference.
pub mod below;
pub mod model;
pub mod rng;
pub mod store;
pub mod tree;

// Operations and set-ups.
pub mod ops;

// Running operations on engine and reference.
pub mod guest;
pub mod run;

// Runs above an image, and what cuts of a run may leave.
pub mod differences;
pub mod layered;
pub mod merging;
pub mod moments;
pub mod shrink;
pub mod tools;

pub mod cuts;
pub mod fuzz;
