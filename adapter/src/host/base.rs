//! Starts of walks in a directory of the host.

use super::mount::HostMount;
use crate::bindings::kvfs::host_filesystem::types::Descriptor as Handle;
use std::rc::Rc;

/// The start of a walk.
#[derive(Clone)]
pub(super) struct Base {
    pub(super) mount: Rc<HostMount>,
    /// An open directory.
    pub(super) handle: Rc<Handle>,
    /// Its names from the mount's root, if they matter.
    pub(super) position: Vec<String>,
    /// The names from it to the start of the walk.
    pub(super) at: Vec<String>,
    /// Whether the walk must not leave the open directory.
    pub(super) floor: bool,
    /// Whether paths from here may change anything.
    pub(super) mutate: bool,
    /// Whether each name must be looked at here.
    pub(super) look: bool,
}
