//! The suites that make the engine trustworthy: a reference model, crashes at every apply, faults
//! at every call, two writers, and checks that the suites notice a broken engine.

#![allow(missing_docs, unreachable_pub)]

mod above;
mod beside_tools;
mod busy;
mod confined;
mod cost;
mod crash;
mod exhaustive;
mod faults;
mod fencing;
mod fixture;
mod forks;
mod full;
mod full_layers;
mod fuzz;
mod hostile;
mod hostile_layers;
mod hostile_records;
mod images;
mod journal;
mod large;
mod layered;
mod merges;
mod model_test;
mod mounts;
mod own;
mod patterns;
mod places;
mod quota;
mod refused;
mod regressions;
mod repair;
mod rights;
mod rounds;
mod scale;
mod scrub;
mod settings;
mod shares;
mod slashes;
mod upgrade;

// Shared with the fuzz targets. The suites name these modules as their own.
use kvfs_trust::{layered as lower, model, moments, ops, rng, run, shrink, store, tools, tree};
