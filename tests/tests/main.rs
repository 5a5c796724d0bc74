//! All integration tests, in one binary.

mod behaviour;
mod python;
