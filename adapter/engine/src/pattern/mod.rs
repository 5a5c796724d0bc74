//! Patterns of paths, as globset's with literal separators, and sets of them as one automaton.
//!
//! A pattern is a sequence of segments, one for each name of a path. A walk takes one step of the
//! automaton for each name, so nothing is remembered of a path but its [`PathState`], 16 bytes.

mod segment;

mod parse;

pub(crate) mod set;

pub use parse::PatternError;
pub use set::{PathState, Patterns};
