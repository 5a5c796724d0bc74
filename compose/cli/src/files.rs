//! Whole files, read and written.

use crate::terminal::warn;
use anyhow::{Context, Result};
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

/// More than a key, a passphrase or a token may have.
const MAX_SECRET_BYTES: u64 = 1 << 16;

/// Reads a whole file; an error names it.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}; check the path", path.display()))
}

/// Reads a file with a secret, which may have no end, as /dev/urandom. The buffer is not moved, so
/// that no copy of the secret stays behind.
pub(crate) fn read_secret(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(MAX_SECRET_BYTES as usize + 64);
    let read = |file: File| {
        warn_of_readers(path, &file)?;
        file.take(MAX_SECRET_BYTES).read_to_end(&mut bytes)
    };
    File::open(path)
        .and_then(read)
        .with_context(|| format!("cannot read {}; check the path", path.display()))?;
    Ok(bytes)
}

/// Warns if others than the file's owner may read it.
#[cfg(unix)]
fn warn_of_readers(path: &Path, file: &File) -> std::io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    let found = file.metadata()?;
    if found.is_file() && found.mode() & 0o077 != 0 {
        let path = path.display();
        warn(format_args!(
            "{path}: others than its owner may use this secret; take that away: chmod 600 {path}"
        ));
    }
    Ok(())
}

#[cfg(not(unix))]
fn warn_of_readers(_: &Path, _: &File) -> std::io::Result<()> {
    Ok(())
}

/// Returns whether two paths lead to one file.
pub(crate) fn same_file(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}

/// Writes a file whole or not at all: into a new file beside it, which is then renamed to `path`.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    // A device or a pipe is written to, never replaced; a symbolic link is followed to its target.
    let target;
    let path = match std::fs::canonicalize(path) {
        Ok(there) if there.is_file() || there.is_dir() => {
            target = there;
            target.as_path()
        }
        Ok(special) => {
            std::fs::OpenOptions::new().write(true).open(special)?.write_all(bytes)?;
            return Ok(());
        }
        Err(_) => path,
    };
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        // The umask decides, as for any new file. Temporary files are the owner's alone by default.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.prefix(".kvfs-").tempfile_in(directory)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::write_whole;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_is_left_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.wasm");
        write_whole(&path, b"first").unwrap();
        write_whole(&path, b"second").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"second");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn a_device_is_written_to_and_a_link_followed() {
        use std::os::unix::fs::FileTypeExt;
        assert!(write_whole("/dev/full".as_ref(), b"bytes").is_err(), "a full disk");
        assert!(std::fs::metadata("/dev/full").unwrap().file_type().is_char_device());
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        std::fs::write(&file, b"old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        write_whole(&link, b"new").unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"new");
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
    }

    #[test]
    fn a_failed_write_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let taken = dir.path().join("out.wasm");
        std::fs::create_dir(&taken).unwrap();
        assert!(write_whole(&taken, b"bytes").is_err());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        assert!(write_whole(&dir.path().join("missing/out.wasm"), b"bytes").is_err());
    }
}
