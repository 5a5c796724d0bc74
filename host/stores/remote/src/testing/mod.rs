//! Stores for tests and measurements.

mod delayed;
mod memory;
mod rounds;

pub use delayed::Delayed;
pub use memory::Memory;
pub use rounds::Rounds;
