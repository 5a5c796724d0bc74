//! A store whose loss of durable applies is noticed when it is opened.

mod mark;

mod mark_file;
mod rollback;

mod beside;

mod store;

pub use beside::mark_path;
pub(crate) use beside::{Beside, OnRollback};
pub(crate) use mark::MARK_KEY;
pub use mark::Mark;
pub use mark_file::read_mark;
pub use rollback::Rollback;
pub use store::Marked;
