//! The reference: a file system of the plainest kind, written from what POSIX and WASI say and not
//! from how the engine works. Cloning it is cheap, so that every moment of a run can be kept.

mod cost;
mod object;

mod state;

mod lookup;
mod quota;

mod files;
mod names;

pub use cost::{Cost, Layout};
pub use object::{Bytes, Content, Id, Object, ROOT};
pub use state::{Answer, Model};
