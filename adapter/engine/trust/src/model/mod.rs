//! The reference: a plain file system, written from what POSIX and WASI say and independent of the
//! engine. Cloning it is cheap, so every moment of a run can be kept.

mod cost;
mod object;

mod state;

mod lookup;
mod quota;

mod by_number;
mod files;
mod names;

pub use cost::{Cost, Layout};
pub use object::{Bytes, Content, Id, Object, ROOT};
pub use state::{Answer, Model};
