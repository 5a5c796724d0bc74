//! Reads tars: for packing them into images, and for importing them into volumes.
//!
//! | step | file |
//! |---|---|
//! | the bytes of the archive, decompressed, to the end | `stream` |
//! | the block before an entry | `header` |
//! | files with holes | `sparse` |
//! | entries with their extended headers | `members`, `records` |
//!
//! Entries are those that GNU tar would unpack, and archives that GNU tar refuses are refused.
//! `compose/src/mounts/archive` compares the two.

mod stream;

mod header;
mod sparse;

mod records;

mod members;

pub use members::{Fault, Kind, Member, Members};
pub use records::left_out;
pub use sparse::{Map, Sparse};
pub use stream::Stream;
