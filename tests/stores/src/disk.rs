//! Directories on the disk: what they take, copies of them, and reading them cold.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Returns the bytes that the files of a directory take on the disk, those of its directories too.
///
/// A file that goes away meanwhile counts as nothing.
pub(crate) fn taken_bytes(dir: &Path) -> io::Result<u64> {
    let mut taken = 0;
    for file in files(dir)? {
        taken += on_disk(&dir.join(file));
    }
    Ok(taken)
}

#[cfg(unix)]
fn on_disk(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path).map_or(0, |metadata| metadata.blocks() * 512)
}

#[cfg(not(unix))]
fn on_disk(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// Returns the paths of all files below a directory, relative to it, sorted.
pub(crate) fn files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut below = vec![PathBuf::new()];
    while let Some(directory) = below.pop() {
        let entries = match fs::read_dir(dir.join(&directory)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && directory != Path::new("") => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let path = directory.join(entry.file_name());
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => below.push(path),
                Ok(_) => found.push(path),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Makes `to` a copy of the directory `from`; what was at `to` is gone.
pub(crate) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    remove(to)?;
    fs::create_dir_all(to)?;
    for file in files(from)? {
        let target = to.join(&file);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::copy(from.join(&file), target)?;
    }
    // An empty directory can be a part of a store too.
    let mut below = vec![PathBuf::new()];
    while let Some(directory) = below.pop() {
        for entry in fs::read_dir(from.join(&directory))? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                let path = directory.join(entry.file_name());
                fs::create_dir_all(to.join(&path))?;
                below.push(path);
            }
        }
    }
    Ok(())
}

/// Removes a directory with all that is in it, if it is there.
pub(crate) fn remove(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Writes all files of a directory to the disk and asks the system to forget their bytes, so that
/// the next reader waits for the disk. Nothing is forgotten elsewhere than on Linux.
pub(crate) fn make_cold(dir: &Path) -> io::Result<()> {
    for file in files(dir)? {
        let file = fs::File::open(dir.join(file))?;
        file.sync_all()?;
        #[cfg(target_os = "linux")]
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_has_the_same_files_and_directories() {
        let temp = tempfile::tempdir().unwrap();
        let (from, to) = (temp.path().join("from"), temp.path().join("to"));
        fs::create_dir_all(from.join("deep/empty")).unwrap();
        fs::write(from.join("deep/file"), b"bytes").unwrap();
        fs::write(from.join("top"), vec![1; 10_000]).unwrap();
        fs::create_dir_all(&to).unwrap();
        fs::write(to.join("old"), b"old").unwrap();
        copy(&from, &to).unwrap();
        assert_eq!(files(&to).unwrap(), [PathBuf::from("deep/file"), PathBuf::from("top")]);
        assert!(to.join("deep/empty").is_dir());
        assert_eq!(fs::read(to.join("deep/file")).unwrap(), b"bytes");
        make_cold(&to).unwrap();
        assert!(taken_bytes(&to).unwrap() >= 10_000);
        remove(&to).unwrap();
        remove(&to).unwrap();
        assert!(!to.exists());
    }
}
