//! Operations as data, the volume and store that they run on, and random choices of both.

mod op;
mod random;
mod setup;

pub use op::{DIRS, FILES, LISTINGS, Op, pattern};
pub use random::{random, sequence};
pub use setup::{Base, Setup};
