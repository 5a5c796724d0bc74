//! WIT types: their properties, and whether two are the same.

mod info;
mod same;
mod unbridgeable;

pub(crate) use info::{GET_STDERR, IoResource, Special, TypeInfo, is_stderr};
pub(crate) use same::{same, same_all, same_function, same_option};
pub(crate) use unbridgeable::Unbridgeable;
