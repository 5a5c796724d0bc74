//! Answers of a merge: what it did, or why it did nothing.

/// The side of a conflict whose change is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    /// The change of the volume that is merged into.
    Ours,
    /// The change of the volume that is merged.
    Theirs,
}

/// A change of one volume that does not go with a change of the other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Conflict {
    /// The path, in the volume that is merged into if it has one there, else in the other one. It starts
    /// with a slash.
    pub path: String,
    /// The two changes.
    pub kind: ConflictKind,
}

/// The kinds of conflicts. "Here" is the volume that is merged into, "there" the one that is merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ConflictKind {
    /// Both changed the bytes of a file, in different ways.
    BothChanged,
    /// Removed here; changed or renamed there.
    RemovedHere,
    /// Removed there; changed or renamed here.
    RemovedThere,
    /// Both gave a file or directory another name, in different ways.
    BothRenamed,
    /// Both gave one name, each to something of its own.
    NameTaken,
    /// As [`ConflictKind::NameTaken`], to things of different kinds: a file and a directory, for example.
    KindsDiffer,
    /// The directory was removed here; there, something was put into it.
    DirectoryRemovedHere,
    /// The directory was removed there; here, something was put into it.
    DirectoryRemovedThere,
    /// Both moved directories so that each would lie in the other.
    DirectoryCycle,
}

impl ConflictKind {
    /// Returns a word for programs.
    pub fn word(self) -> &'static str {
        match self {
            Self::BothChanged => "both-changed",
            Self::RemovedHere => "removed-here",
            Self::RemovedThere => "removed-there",
            Self::BothRenamed => "both-renamed",
            Self::NameTaken => "name-taken",
            Self::KindsDiffer => "kinds-differ",
            Self::DirectoryRemovedHere => "directory-removed-here",
            Self::DirectoryRemovedThere => "directory-removed-there",
            Self::DirectoryCycle => "directory-cycle",
        }
    }
}

/// The outcome of a merge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The changes are merged, whole.
    Merged(Merged),
    /// Nothing has changed: these conflicts are to be resolved, in the order of their paths.
    Conflicts(Vec<Conflict>),
}

/// Counts of a merge.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Merged {
    /// Files, directories and links that are new.
    pub added: u64,
    /// Those that have other bytes, times or names.
    pub changed: u64,
    /// Those that are gone.
    pub removed: u64,
    /// Bytes of file content that were copied.
    pub copied_bytes: u64,
    /// Conflicts that were resolved.
    pub resolved: u64,
}

impl Merged {
    /// Whether there was nothing to merge.
    pub fn is_nothing(&self) -> bool {
        *self == Self { resolved: self.resolved, ..Self::default() }
    }
}
