//! Kinds of changes: when each goes to the store, and what is told if it cannot.

/// What kind of change an operation makes: it says when it goes to the store, and what is told if
/// it cannot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// What names mean: stored at once, unless the mode is lazy.
    Names,
    /// As `Names`, and what had the name goes. For want of room it waits as a removal does.
    Replacement,
    /// Names are taken away: with what follows, or when some have gathered. Losing one to a kill
    /// brings a name back and loses nothing.
    Removal,
    /// Of a file that is open: stored with its close.
    Data,
    /// As `Data`, of bytes that are written.
    Write,
    /// As `Data`, of a file that becomes shorter.
    Cut,
}

impl Change {
    /// Whether it gives room back instead of taking some.
    pub(crate) fn frees(self) -> bool {
        matches!(self, Self::Replacement | Self::Removal | Self::Cut)
    }
}
