//! A disk that is soon full.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::run_to_end;

/// A small file system in memory, mounted over a directory. It is unmounted when it is dropped, and
/// must be dropped before the server whose directory it covers.
pub struct SmallDisk {
    at: PathBuf,
}

impl SmallDisk {
    /// Mounts a disk over a directory, which keeps its files. `None` if this process may not mount.
    ///
    /// # Panics
    /// If the files cannot be copied.
    pub fn over(directory: &Path, bytes: u64) -> Option<Self> {
        let saved = tempfile::tempdir().expect("a directory");
        let copy =
            |from: &Path, to: &Path| run_to_end(Command::new("cp").arg("-a").arg(from.join(".")).arg(to));
        copy(directory, saved.path());
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"]).arg(directory);
        let mounted = mount.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !mounted.is_ok_and(|status| status.success()) {
            println!("not tried: mounting a small disk needs root");
            return None;
        }
        let disk = Self { at: directory.to_owned() };
        copy(saved.path(), directory);
        Some(disk)
    }

    /// Gives the disk another size.
    ///
    /// # Panics
    /// If that fails.
    pub fn resize(&self, bytes: u64) {
        run_to_end(Command::new("mount").args(["-o", &format!("remount,size={bytes}")]).arg(&self.at));
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // A server that still runs may have files open there.
        let _ = Command::new("umount").arg("-l").arg(&self.at).status();
    }
}
