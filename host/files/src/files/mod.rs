//! The files of a volume by path.

mod path;

mod open;

mod change;
mod list;
mod read;
mod write;

mod walk;

mod remove;

pub use list::Entry;
pub use open::Files;
pub use walk::{Step, Walk};

pub(crate) use list::DIRECTORY;
pub(crate) use open::Failed;
pub(crate) use path::{inner, join};
pub(crate) use read::{PartsReader, READ};
pub(crate) use write::{WRITE, write_all};
