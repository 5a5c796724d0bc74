//! Where walks in a directory of the host start.

use super::mount::HostMount;
use crate::bindings::kvfs::host_filesystem::types::Descriptor as Handle;
use std::rc::Rc;

/// Where a walk starts.
#[derive(Clone)]
pub(super) struct Base {
    pub(super) mount: Rc<HostMount>,
    /// An open directory.
    pub(super) handle: Rc<Handle>,
    /// Its names from the mount's root, where that matters.
    pub(super) position: Vec<String>,
    /// The names from it to where the walk starts.
    pub(super) at: Vec<String>,
    /// Whether the open directory must not be left.
    pub(super) floor: bool,
    /// Whether paths may change something.
    pub(super) mutate: bool,
    /// Whether each name is to be looked at here, whatever it takes.
    pub(super) look: bool,
}
