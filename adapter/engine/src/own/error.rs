//! Why a guest's call was not done.

use crate::error::Error;
use std::fmt;

/// Why something could not be done with a volume that is mounted, or with one of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum OwnError {
    /// Nothing is mounted at this path.
    NoMount,
    /// No volume is mounted there: a packed tree, or a directory of the host.
    NoVolume,
    /// A mount of the volume has rules on paths, which the call would pass over.
    HasRules,
    /// No volume of a volume's own can have this name.
    Name,
    /// The volume has as many of its own as it may have, or they stand on too many layers.
    TooMany,
    /// More differs than a comparison has memory for.
    TooDifferent,
    /// Something other than the root directory is open in the volume.
    Open,
    /// The file system failed: [`Error::NoEntry`] and [`Error::Exist`] are about the volume's own,
    /// [`Error::ReadOnly`] about the volume or its mount, [`Error::Fenced`] about another opener.
    Failed(Error),
}

impl From<Error> for OwnError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl fmt::Display for OwnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoMount => "nothing is mounted at this path",
            Self::NoVolume => "no volume is mounted at this path",
            Self::HasRules => "the volume is mounted with rules on paths",
            Self::Name => "a name has 1 to 64 letters, digits, dots, underscores and hyphens",
            Self::TooMany => "the volume has as many snapshots and forks as it may have; remove some",
            Self::TooDifferent => "more differs than can be compared at once; compare more often",
            Self::Open => "files, streams or directories are open in the volume; close them",
            Self::Failed(error) => return error.fmt(f),
        })
    }
}

impl std::error::Error for OwnError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Failed(error) => Some(error),
            _ => None,
        }
    }
}

/// The result of a guest's call.
pub(super) type OwnResult<T> = Result<T, OwnError>;
