//! Tests of the rig itself.

mod proxy;
mod servers;
