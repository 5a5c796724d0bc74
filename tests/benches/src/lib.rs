//! Measures file operations on stores of every kind, beside wasmtime's own file system and beside
//! the stores used natively.
//!
//! `make bench` runs it. [`workload::ALL`] lists the programs and their sizes, [`way::ALL`] the ways
//! to run them. Each run of a program is a process of its own, which starts with clean memory. Rounds
//! go through all ways, so that a busy moment of the machine hits none alone. Programs time
//! themselves inside the guest: see [`lines`] for what they print.

// What is run, on what, and what it prints.
pub mod lines;
mod machine;
mod memory;
pub mod way;

pub mod workload;

// One run, in its own process.
mod extents;

mod library;
mod native;

mod layered;
mod open;

mod snapshots;

pub mod child;

// All runs, and their results.
pub mod results;

mod medium;

mod components;

mod spawn;

pub mod composing;
#[cfg(feature = "distance")]
pub mod distance;
mod floors;

pub mod measure;

// What is shown.
pub mod targets;

pub mod table;

pub mod plots;

pub mod page;
pub mod readme;
