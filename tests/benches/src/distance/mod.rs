//! What a distance costs: stores on real servers, behind a proxy that delays what passes.
//!
//! `kvfs-bench distance` starts each server on this machine, lets CPython (linked) do a step at a
//! time on it, each in a process of its own that opens the store anew, and prints a table for each
//! delay.

mod place;
mod results;

mod part;
mod run;

pub use part::Part;
pub use run::Distance;
