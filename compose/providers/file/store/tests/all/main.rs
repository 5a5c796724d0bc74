//! The store on a simulated disk: cut at every call, crashed, raced for, and damaged.

mod crash;
mod damage;
mod disk;
mod full;
mod race;
mod random;
