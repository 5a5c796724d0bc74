//! The store on a simulated bucket: against an ordered map, cut at every call, raced for, damaged,
//! and under the engine.

mod bucket;
mod crash;
mod damage;
mod engine;
mod faults;
mod model;
mod race;
