//! The operations of the file system, one file each.

mod advise;
mod by_number;
mod close;
mod data_ranges;
mod link;
mod locate;
mod mkdir;
mod open;
mod read;
mod readdir;
mod readlink;
mod rename;
mod rights;
mod rmdir;
mod scrub;
mod set_size;
mod set_times;
mod settings;
mod stat;
mod symlink;
mod sync;
mod unlink;
mod write;

pub use open::OpenFlags;
pub use readdir::{DirEntry, DirStream};
pub use stat::MetadataHash;
pub use write::At;
