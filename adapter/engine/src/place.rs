//! Places: what the rules on paths know of a path.

use crate::pattern::PathState;

/// The states that the rules on paths have for one path: of a walk, a descriptor, or a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Place {
    /// In the policy of the mount.
    pub(crate) rights: PathState,
    /// In the patterns of the volume's scrubbing.
    pub(crate) scrub: PathState,
}
