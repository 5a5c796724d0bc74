//! Why something could not be done with the files of a volume.

use kvfs::{Error, StoreError};
use std::io;
use std::path::{Path, PathBuf};

/// Why something could not be done with the files of a volume, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FilesError {
    /// The file system refused.
    #[error("cannot {doing} {} in volume `{}`: {source}{}", shown(path), shown(volume), remedy(source))]
    Volume {
        /// A verb.
        doing: &'static str,
        /// The volume's name.
        volume: String,
        /// The path in the volume.
        path: String,
        /// The error of the file system or of the store.
        source: Error,
    },
    /// A file of the host, or a stream, failed.
    #[error("cannot {doing} {}: {source}; check it and try again", shown(&path.to_string_lossy()))]
    Host {
        /// A verb.
        doing: &'static str,
        /// The path in the host's file system.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file has more bytes than are wanted.
    #[error(
        "{} has {size_bytes} bytes, and at most {max_bytes} are read at once; copy it out instead",
        shown(path)
    )]
    TooLarge {
        /// The path in the volume.
        path: String,
        /// The file's size.
        size_bytes: u64,
        /// The most that was asked for.
        max_bytes: u64,
    },
    /// The archive cannot be read on.
    #[error("the archive {reason}; what was imported before that stays")]
    Archive {
        /// What is wrong with it, where.
        reason: String,
    },
    /// A directory was to be copied into itself.
    #[error("cannot copy {} into itself; name another place", shown(path))]
    IntoItself {
        /// The directory.
        path: String,
    },
    /// The volume cannot be opened.
    #[error("{source}")]
    Open {
        /// Why not, and what to do.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The caller's progress function ended the work.
    #[error("stopped on request; what is done stays, and running it again goes on")]
    Stopped,
    /// The thread of a [`SharedFiles`](crate::SharedFiles) has ended, by a panic of some work.
    #[error("the thread of the volume has ended; open the volume again")]
    Ended,
}

impl FilesError {
    /// Returns the file system's error, if it is one.
    pub fn in_volume(&self) -> Option<&Error> {
        match self {
            Self::Volume { source, .. } => Some(source),
            _ => None,
        }
    }

    /// Returns whether there is no room: in the store, or by a limit of the volume.
    pub fn is_full(&self) -> bool {
        self.in_volume().is_some_and(is_full)
    }

    pub(crate) fn host(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Host { doing, path, source }
    }
}

fn is_full(error: &Error) -> bool {
    matches!(error, Error::Store(StoreError::QuotaExceeded) | Error::Quota | Error::NoSpace)
}

fn remedy(error: &Error) -> &'static str {
    match error {
        error if is_full(error) => "; make room for it, and try again",
        Error::Fenced => "; end the other program, and open the volume again",
        Error::NotPermitted => "; no path leaves its volume, nor does a link in it",
        Error::NoEntry | Error::NotDirectory | Error::Loop => "; check the path",
        Error::IsDirectory => "; name a file, or remove the directory first",
        Error::NotEmpty => "; remove what is in it first",
        Error::ReadOnly => "; open the volume for writing, or thaw it",
        Error::Exist => "; choose another name, or remove it first",
        Error::NameTooLong => "; choose a shorter one",
        Error::Damaged(_) => "; check the volume with `kvfs fsck`",
        _ => "",
    }
}

fn shown(text: &str) -> impl std::fmt::Display {
    let text = if text.is_empty() { "/" } else { text };
    text.escape_debug()
}
