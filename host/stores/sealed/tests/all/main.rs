//! The sealed store over a store in memory that counts, remembers its calls, and stops at any of
//! them.

mod disk;

mod damage;
mod engine;
mod format;
mod guards;
mod hidden;
mod listing;
mod meddling;
mod opening;
mod salvage;
mod together;
