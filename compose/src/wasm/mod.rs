//! Wasm files: their sections, imports and exports, what is embedded in them, and core code.

pub(crate) mod code;
pub(crate) mod embed;
mod outline;
pub(crate) mod sections;

pub(crate) use outline::Outline;
