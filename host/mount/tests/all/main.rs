//! Real mounts, used by real programs.
//!
//! Where `/dev/fuse` cannot be opened, each test says so and passes.

#![cfg(target_os = "linux")]

mod disk;
mod harness;

mod calls;
mod kill;
mod programs;
mod sessions;
mod shadow;
