//! Writing behind: buffered applies are acknowledged from memory and sent together.

mod batch;
mod known;

mod held;
mod send;

mod store;

pub use store::{Pace, WriteBehind};
