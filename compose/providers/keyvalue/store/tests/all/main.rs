//! The store on a simulated bucket: against an ordered map, cut at every call, raced for, and damaged.

mod bucket;
mod crash;
mod damage;
mod faults;
mod model;
mod race;
mod random;
