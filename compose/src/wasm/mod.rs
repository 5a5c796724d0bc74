//! Wasm files as bytes, and core code.

pub(crate) mod code;
pub(crate) mod embed;
mod outline;
pub(crate) mod sections;

pub(crate) use outline::Outline;
