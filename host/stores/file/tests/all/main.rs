//! The store on a simulated disk: cut at every call, crashed, raced for, damaged, and under the
//! engine.

mod crash;
mod damage;
mod disk;
mod engine;
mod fixtures;
mod forged;
mod full;
mod marks;
mod no_room;
mod race;
mod refused;
mod rolling;
mod salvage;
mod stalls;
mod steered;
mod storm;
mod tables;
mod unreadable;
mod volumes;
