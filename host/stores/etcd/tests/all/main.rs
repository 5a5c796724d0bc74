//! The store on real servers of etcd, killed, cut off, full, and with users.

mod servers;

mod calls;
mod engine;
mod faults;
mod hosts;
mod opening;
mod rounds;
