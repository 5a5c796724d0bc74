//! Walking: where paths start, and where they lead.

pub(crate) mod start;
pub mod steps;

mod track;

pub(crate) mod path;
