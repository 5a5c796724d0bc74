//! Why something could not be done with a volume.

use kvfs::Error;
use kvfs::limits::MAX_VOLUME_NAME_BYTES;

/// Why something could not be done with a volume of a store, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VolumesError {
    /// There is no volume of this name.
    #[error("there is no volume `{name}`")]
    Missing {
        /// The name as given.
        name: String,
    },
    /// Another volume has the name.
    #[error("there is a volume `{name}` already; choose another name, or remove it first")]
    Taken {
        /// The name as given.
        name: String,
    },
    /// No volume can have this name.
    #[error(
        "`{name}` cannot be the name of a volume; a name has 1 to {MAX_VOLUME_NAME_BYTES} bytes, none of them zero"
    )]
    Name {
        /// The name as given.
        name: String,
    },
    /// The volume takes no changes.
    #[error("volume `{name}` is frozen; thaw it first, or use a fork of it")]
    Frozen {
        /// The volume.
        name: String,
    },
    /// A volume cannot be restored from itself, nor merged into itself.
    #[error("volume `{name}` holds already what it holds; name another one, such as a snapshot or a fork")]
    Same {
        /// The volume.
        name: String,
    },
    /// Volumes on different images have no tree in common that they could be compared by.
    #[error(
        "volumes `{first}` and `{second}` lie on different images, or one on none; compare two on the same one"
    )]
    OtherImages {
        /// The first volume.
        first: String,
        /// The second volume.
        second: String,
    },
    /// Volumes without a layer in common cannot be merged.
    #[error(
        "volumes `{from}` and `{into}` share no layer that tells which of them changed what; merge a fork or \
         snapshot into the volume that it came from, before either is flattened"
    )]
    Unrelated {
        /// The volume to be merged.
        from: String,
        /// The volume to be merged into.
        into: String,
    },
    /// The volume cannot be read or changed.
    #[error("cannot {doing} volume `{name}`: {source}")]
    Failed {
        /// A verb.
        doing: &'static str,
        /// The volume.
        name: String,
        /// The error of the file system or of the store.
        source: Error,
    },
    /// The store failed, or a record that belongs to no volume is damaged.
    #[error("{source}")]
    Store {
        /// The error of the file system or of the store.
        source: Error,
    },
}

impl VolumesError {
    /// The error for `volume`, with which something was to be done.
    pub(crate) fn of(doing: &'static str, volume: &str, error: Error) -> Self {
        let name = volume.to_owned();
        match error {
            Error::NoEntry => Self::Missing { name },
            Error::Exist => Self::Taken { name },
            Error::Invalid => Self::Name { name },
            Error::ReadOnly => Self::Frozen { name },
            source => Self::Failed { doing, name, source },
        }
    }

    pub(crate) fn of_store(source: Error) -> Self {
        Self::Store { source }
    }

    /// Returns whether a volume can have this name.
    pub(crate) fn can_be_name(name: &str) -> bool {
        !name.is_empty() && name.len() <= MAX_VOLUME_NAME_BYTES && !name.contains('\0')
    }
}
