//! Walking: where paths start, and where they lead.

pub(crate) mod start;
pub mod steps;

pub(crate) mod path;
