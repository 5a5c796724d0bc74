//! Opening a volume: looking for it, making it, becoming its only writer.

mod nothing;

pub(crate) mod checks;

mod probe;
mod set;
pub(crate) mod take_over;
mod upgrade;

mod look;
mod open;

pub use probe::{probe, probe_overlay};
pub use set::{set_settings, settings};
