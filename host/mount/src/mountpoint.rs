//! The directory that is mounted on.

use crate::error::MountError;
use nix::mount::{MntFlags, umount2};
use rustix::fs::{AtFlags, CWD, StatxFlags, statx};
use rustix::io::Errno;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The device by which the kernel passes requests.
const DEVICE: &str = "/dev/fuse";

/// Programs that unmount for others than root, where `fuser` finds them to mount.
const HELPERS: [&str; 4] = ["fusermount3", "fusermount", "/bin/fusermount3", "/bin/fusermount"];

/// A mount, and no other that may come to lie there.
#[derive(Clone, Debug)]
pub(crate) struct Mountpoint {
    path: PathBuf,
    id: (u64, u32, u32),
}

/// Checks that a directory can be mounted on, and returns its path.
///
/// # Errors
/// [`MountError::Directory`], [`MountError::Stale`], [`MountError::Device`].
pub(crate) fn check(directory: &Path) -> Result<PathBuf, MountError> {
    let failed = |source: io::Error| match Errno::from_io_error(&source) {
        Some(Errno::NOTCONN) => MountError::Stale { directory: directory.to_owned() },
        _ => MountError::Directory { directory: directory.to_owned(), source },
    };
    // Attributes may be cached of a mount whose program has ended; opening asks the program.
    fs::read_dir(directory).map_err(failed)?;
    let path = directory.canonicalize().map_err(failed)?;
    let device = fs::OpenOptions::new().read(true).write(true).open(DEVICE);
    device.map_err(|source| MountError::Device { source })?;
    Ok(path)
}

impl Mountpoint {
    /// The mount that lies on a directory now.
    pub(crate) fn of(path: PathBuf) -> Result<Self, MountError> {
        match id(&path) {
            Ok(id) => Ok(Self { path, id }),
            Err(source) => {
                let _ = umount2(&path, MntFlags::UMOUNT_NOFOLLOW | MntFlags::MNT_DETACH);
                Err(MountError::Mount { directory: path, source: source.into() })
            }
        }
    }

    /// The directory.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Unmounts it, unless it is gone. If it is in use, it goes from the directory, and programs that still
    /// have files of it open get errors.
    ///
    /// # Errors
    /// [`MountError::Unmount`].
    pub(crate) fn unmount(&self) -> Result<(), MountError> {
        // Another mount may lie there now, or below: it is left alone.
        match id(&self.path) {
            Ok(id) if id == self.id => {}
            Err(Errno::NOTCONN) => {}
            _ => return Ok(()),
        }
        match umount2(&self.path, MntFlags::UMOUNT_NOFOLLOW) {
            Ok(()) | Err(nix::Error::EINVAL) => Ok(()),
            Err(nix::Error::EPERM) => self.unmount_by_helper(),
            // By force, requests that wait for an answer end too.
            Err(_) => {
                let flags = MntFlags::UMOUNT_NOFOLLOW | MntFlags::MNT_FORCE | MntFlags::MNT_DETACH;
                umount2(&self.path, flags).map_err(|error| self.failed(error.into()))
            }
        }
    }

    fn unmount_by_helper(&self) -> Result<(), MountError> {
        let mut failed = io::Error::from(io::ErrorKind::PermissionDenied);
        for helper in HELPERS {
            let mut command = Command::new(helper);
            command.args(["-u", "-z", "--"]).arg(&self.path);
            match command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status() {
                Ok(status) if status.success() => return Ok(()),
                Ok(status) => failed = io::Error::other(format!("{helper} failed: {status}")),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => failed = error,
            }
        }
        Err(self.failed(failed))
    }

    fn failed(&self, source: io::Error) -> MountError {
        MountError::Unmount { directory: self.path.clone(), source }
    }
}

/// The number of the mount at a path, and its device. No request is sent: the mount's program may hang, or
/// be this one.
fn id(path: &Path) -> Result<(u64, u32, u32), Errno> {
    let found = statx(CWD, path, AtFlags::STATX_DONT_SYNC, StatxFlags::MNT_ID)?;
    Ok((found.stx_mnt_id, found.stx_dev_major, found.stx_dev_minor))
}
