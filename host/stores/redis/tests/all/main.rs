//! Tests on real servers.

mod common;

mod calls;
mod crash;
mod cuts;
mod engine;
mod failover;
mod full;
mod opening;
mod waiting;
