//! Mounts volumes.

use crate::error::MountError;
use crate::filesystem::Requests;
use crate::mountpoint::{Mountpoint, check};
use crate::options::MountOptions;
use crate::state::State;
use crate::worker::{Job, Jobs, Worker};
use fuser::{Config, MountOption, SessionACL};
use kvfs::{Error, InodeNo, Volume};
use std::path::Path;

/// Mounts a volume on a directory.
///
/// `open` opens it, on a thread of its own, which it never leaves: to write with
/// [`Volume::open`], or for reading beside a writer with [`Volume::open_read_only`]. It is called once
/// everything else is known to be in order, since opening a volume to write shuts former openers out. The
/// volume's [`Mode`](kvfs::Mode) decides what `close` and `rename` store. `fsync` always makes everything
/// durable.
///
/// Returns when programs can use the mount. It ends by [`Session::unmount`], by `umount`, or with the
/// process: dropping the session leaves it. Each mount keeps one file of the process open until it ends.
///
/// # Errors
/// [`MountError`]: nothing is mounted then.
pub fn mount<E>(
    directory: &Path,
    options: MountOptions,
    open: impl FnOnce() -> Result<Volume, E> + Send + 'static,
) -> Result<Session, MountError>
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let path = check(directory)?;
    let (source, allow_other, asks_read_only) = (options.source(), options.allow_other, options.read_only);
    let (worker, opened) = Worker::start(move || {
        let mut volume = open().map_err(|error| MountError::Open { source: error.into() })?;
        if asks_read_only {
            volume.set_read_only(true);
        }
        match volume.start_at(InodeNo::ROOT) {
            Ok(_) => Ok(State::new(volume, options)),
            Err(Error::NotPermitted) => Err(MountError::Rules { volume: volume.name().to_owned() }),
            Err(source) => Err(MountError::Open { source: source.into() }),
        }
    })?;
    let mut config = Config::default();
    config.mount_options = vec![
        MountOption::FSName(source),
        MountOption::DefaultPermissions,
        MountOption::NoSuid,
        MountOption::NoDev,
        if opened.read_only { MountOption::RO } else { MountOption::RW },
    ];
    config.acl = if allow_other { SessionACL::All } else { SessionACL::Owner };
    match serve(&path, &config, worker.jobs.clone()) {
        Ok(mountpoint) => Ok(Session { worker, mountpoint, read_only: opened.read_only }),
        Err(error) => {
            let _ = worker.jobs.send(Job::End);
            worker.join().and(Err(error))
        }
    }
}

/// Mounts, and starts the thread that takes the kernel's requests. It ends with the mount.
fn serve(path: &Path, config: &Config, jobs: Jobs) -> Result<Mountpoint, MountError> {
    let failed = |source: std::io::Error| {
        let directory = path.to_owned();
        // So fusermount3 names the line that it misses.
        match config.acl != SessionACL::Owner && source.to_string().contains("user_allow_other") {
            true => MountError::AllowOther { directory },
            false => MountError::Mount { directory, source },
        }
    };
    let session = fuser::Session::new(Requests(jobs), path, config).map_err(failed)?;
    let thread = session.spawn().map_err(failed)?;
    // At its end it would unmount whatever lies on the directory then, so it is never dropped.
    std::mem::forget(thread);
    Mountpoint::of(path.to_owned())
}

/// A mounted volume.
#[derive(Debug)]
#[must_use = "a volume that is not unmounted loses what is not stored yet when the process ends"]
pub struct Session {
    worker: Worker,
    mountpoint: Mountpoint,
    read_only: bool,
}

impl Session {
    /// The directory that is mounted on.
    pub fn directory(&self) -> &Path {
        self.mountpoint.path()
    }

    /// Returns whether the mount takes no changes: it was asked to, or the volume takes none.
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// Returns a handle that unmounts from other threads, such as one that waits for signals.
    pub fn unmounter(&self) -> Unmounter {
        Unmounter { mountpoint: self.mountpoint.clone(), jobs: self.worker.jobs.clone() }
    }

    /// Waits until somebody unmounts it, and everything is durable.
    ///
    /// # Errors
    /// [`MountError::Store`] if not everything could be stored, [`MountError::Ended`],
    /// [`MountError::Unmount`] if it still lies there, [`MountError::Both`].
    pub fn wait(self) -> Result<(), MountError> {
        let Self { worker, mountpoint, .. } = self;
        let ended = worker.join();
        // It still lies there if the thread of the requests ended by itself, or if unmounting failed.
        match (ended, mountpoint.unmount()) {
            (Err(ended), Err(unmount)) => {
                Err(MountError::Both { ended: Box::new(ended), unmount: Box::new(unmount) })
            }
            (ended, unmounted) => ended.and(unmounted),
        }
    }

    /// Unmounts it, and makes everything durable. Programs that still have files open get `ENOTCONN`
    /// from then on.
    ///
    /// # Errors
    /// Those of [`Session::wait`].
    pub fn unmount(self) -> Result<(), MountError> {
        // What fails here is tried again.
        let _ = self.unmounter().unmount();
        self.wait()
    }
}

/// Unmounts a session from any thread.
#[derive(Clone, Debug)]
pub struct Unmounter {
    mountpoint: Mountpoint,
    jobs: Jobs,
}

impl Unmounter {
    /// Unmounts it: [`Session::wait`] then returns. A mount that programs still use goes from the directory
    /// all the same, and they get `ENOTCONN` from then on.
    ///
    /// # Errors
    /// [`MountError::Unmount`]: the volume is made durable and closed all the same, and [`Session::wait`]
    /// tries again, and returns the error if it stays.
    pub fn unmount(&self) -> Result<(), MountError> {
        // The kernel has written back what it had. Requests that still come are those of programs that have
        // files open, or of another namespace that shows the mount too.
        let unmounted = self.mountpoint.unmount();
        let _ = self.jobs.send(Job::End);
        unmounted
    }
}
