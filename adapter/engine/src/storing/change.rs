//! Kinds of changes: when each is stored, and what its caller is told if that fails.

/// The kind of a change. It decides when the change is stored, and what the caller is told if that
/// fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// Of names: stored at once, unless the mode is lazy.
    Names,
    /// As `Names`, replacing what had the name. If the store is full, it waits as a removal does.
    Replacement,
    /// A removal of names: stored with later changes, or when enough have gathered. A kill brings
    /// the name back and loses nothing.
    Removal,
    /// Of an open file: stored with its close.
    Data,
    /// As `Data`: a write.
    Write,
    /// As `Data`: a file becomes shorter.
    Cut,
}

impl Change {
    /// Returns whether it frees room instead of taking some.
    pub(crate) fn frees(self) -> bool {
        matches!(self, Self::Replacement | Self::Removal | Self::Cut)
    }
}
