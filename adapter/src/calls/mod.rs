//! The exported interfaces of files, listings and streams: each call goes to the object that the
//! resource holds, and to the audit log if there is one.

mod descriptor;
mod listing;
mod streams;

use crate::audit::{Flow, Listed, Opened, Told};
use crate::input::Input;
use crate::output::Output;
use crate::root::{Listing, Root};

/// The content of a descriptor resource.
pub(crate) type Node = Told<Root, Opened>;
/// The content of a directory-entry-stream resource.
pub(crate) type ListingNode = Told<Listing, Listed>;
/// The content of an input-stream resource.
pub(crate) type InputNode = Told<Input, Flow>;
/// The content of an output-stream resource.
pub(crate) type OutputNode = Told<Output, Flow>;
