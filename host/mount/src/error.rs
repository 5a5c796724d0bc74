//! Why a volume cannot be mounted, or a mount did not end well.

use std::io;
use std::path::{Path, PathBuf};

/// Why a volume cannot be mounted, or why a mount ended with a loss, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MountError {
    /// The directory cannot be mounted on.
    #[error("cannot mount on {}: {source}; name a directory that there is", shown(directory))]
    Directory {
        /// The directory.
        directory: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A mount whose program has ended lies on the directory.
    #[error(
        "a mount whose program was killed lies on {}; run `umount -l` or `fusermount3 -uz` on it, and try again",
        shown(directory)
    )]
    Stale {
        /// The directory.
        directory: PathBuf,
    },
    /// The kernel's device cannot be opened.
    #[error("cannot open /dev/fuse: {source}; load the kernel's module `fuse`, and see that you may use it")]
    Device {
        /// The system's error.
        source: io::Error,
    },
    /// The volume cannot be opened.
    #[error("{source}")]
    Open {
        /// Why not, as the caller's function gave it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The volume has rules on paths, and the kernel names files by numbers.
    #[error(
        "volume `{}` scrubs files by patterns of their paths, which a mount cannot follow; mount it read-only, or \
         use `kvfs put` and `kvfs import`",
        volume.escape_debug()
    )]
    Rules {
        /// The volume.
        volume: String,
    },
    /// Others than root may not let other users in on this machine.
    #[error(
        "cannot let other users into a mount on {}: /etc/fuse.conf does not allow it to others than root; have \
         root add the line `user_allow_other` there, or mount for yourself alone",
        shown(directory)
    )]
    AllowOther {
        /// The directory.
        directory: PathBuf,
    },
    /// The system refuses the mount.
    #[error(
        "cannot mount on {}: {}; run it as root, or with fusermount3 (package `fuse3`) on a directory of yours",
        shown(directory),
        told(source)
    )]
    Mount {
        /// The directory.
        directory: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The system refuses to unmount.
    #[error("cannot unmount {}: {source}; run `umount -l` or `fusermount3 -uz` on it", shown(directory))]
    Unmount {
        /// The directory.
        directory: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The volume's last changes are not stored: they are lost with the mount.
    #[error("not all that was written to volume `{}` could be stored: {source}", volume.escape_debug())]
    Store {
        /// The volume.
        volume: String,
        /// Why not.
        source: kvfs::Error,
    },
    /// The mount did not end well, and then the system refused to unmount.
    #[error("{ended}; then {unmount}")]
    Both {
        /// How the mount ended.
        ended: Box<MountError>,
        /// Why the directory is still mounted on.
        unmount: Box<MountError>,
    },
    /// A thread of the mount cannot be started, or has ended by a panic.
    #[error("the thread of the mount has ended: {reason}; mount the volume again")]
    Ended {
        /// How it ended.
        reason: String,
    },
}

/// The system's error, or what fusermount3 said, on one line.
fn told(source: &io::Error) -> String {
    source.to_string().trim_end().escape_debug().to_string()
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().escape_debug().to_string()
}
