//! `--audit-file`: the audit log of a run, in a file of the host.

use crate::runtime::imports;
use anyhow::{Context, Result, bail};
use kvfs_audit::RunId;
use kvfs_host::{Audited, Store, StoreError};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use wasmtime::component::Component;

/// The file.
pub(super) struct AuditFile(Appended<File>);

/// A file that takes lines. Each begins a line of the file, also behind a piece of one that a full
/// disk or a kill has left.
struct Appended<W> {
    to: W,
    ends_within_line: bool,
}

/// Opens the file. `is_logged` says whether the guest was composed with a log that goes to its
/// store.
///
/// # Errors
/// Says why there would be nothing in the file.
pub(super) fn audit_file(path: &Path, is_logged: bool, component: &Component) -> Result<AuditFile> {
    if !is_logged {
        bail!("it keeps no audit log beside its volumes; compose it with --audit changes or --audit all");
    }
    if !imports(component, "kvfs:store/kv-store@") {
        bail!(
            "its store is inside it, and takes the audit log; run it without --audit-file, and read the log with \
             `kvfs audit --store file:DIR`"
        );
    }
    let file = private(OpenOptions::new().append(true).create(true)).open(path);
    let to = file.with_context(|| format!("cannot write the audit log to {}", path.display()))?;
    Ok(AuditFile(Appended { to, ends_within_line: ends_within_line(path) }))
}

/// Makes a new file one that its owner alone may read: it names files of the guest.
#[cfg(unix)]
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600)
}

#[cfg(not(unix))]
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

/// Returns a line with the id of its run first, which tells apart the lines of several runs in one
/// file.
fn with_run(run: RunId, line: &str) -> String {
    match line.strip_prefix('{') {
        Some(rest) => format!("{{\"run\":\"{run}\",{rest}"),
        None => line.to_owned(),
    }
}

/// Returns whether a file ends with a piece of a line. One that may not be read counts as one that
/// does not.
fn ends_within_line(path: &Path) -> bool {
    // Opening a pipe to read would wait for who writes to it.
    let is_file = path.metadata().is_ok_and(|found| found.is_file());
    let last = || -> std::io::Result<u8> {
        let (mut file, mut last) = (File::open(path)?, [0]);
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        Ok(last[0])
    };
    is_file && last().is_ok_and(|last| last != b'\n')
}

impl<W: Write> Appended<W> {
    fn line(&mut self, line: &str) -> std::io::Result<()> {
        let text = format!("{}{line}\n", if self.ends_within_line { "\n" } else { "" });
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            let written = match self.to.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                written => written?,
            };
            let (done, left) = rest.split_at(written.min(rest.len()));
            self.ends_within_line = !done.ends_with(b"\n");
            rest = left;
        }
        Ok(())
    }
}

impl AuditFile {
    /// Puts the file before a store: it takes the lines.
    pub(super) fn before<S: Store>(self, store: S) -> Audited<S> {
        let file = Mutex::new(self.0);
        Audited::new(store, move |event| {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            file.line(&with_run(event.run, event.line))
                .map_err(|error| StoreError::Unavailable(format!("the file of the audit log: {error}")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many bytes, and then fails until it gets room.
    #[derive(Default)]
    struct Disk {
        room: usize,
        bytes: Vec<u8>,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let part = bytes.len().min(self.room);
            if part == 0 {
                return Err(ErrorKind::StorageFull.into());
            }
            self.room -= part;
            self.bytes.extend_from_slice(&bytes[..part]);
            Ok(part)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_behind_a_piece_of_one_is_whole() {
        let (first, second) = (r#"{"n":1}"#, r#"{"n":2}"#);
        for room in 0..first.len() + second.len() + 2 {
            let mut file = Appended { to: Disk { room, ..Disk::default() }, ends_within_line: false };
            for line in [first, second] {
                if file.line(line).is_err() {
                    file.to.room = usize::MAX;
                    // As the file system does, which calls again with the same lines.
                    file.line(line).unwrap();
                }
            }
            let text = String::from_utf8(file.to.bytes).unwrap();
            let whole: Vec<&str> = text.lines().filter(|line| line.ends_with('}')).collect();
            // A line that lacks its end alone may be there twice.
            assert!(whole.starts_with(&[first]) && whole.ends_with(&[second]), "{room}: {text}");
            assert!(whole.iter().all(|line| [first, second].contains(line)), "{room}: {text}");
            assert!(!text.lines().any(str::is_empty), "{room}: {text}");
        }
    }

    #[test]
    #[cfg(unix)]
    fn its_owner_alone_may_read_a_new_file_and_another_one_stays_as_it_is() {
        use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
        let dir = tempfile::tempdir().unwrap();
        let mode = |name: &str| dir.path().join(name).metadata().unwrap().permissions().mode() & 0o777;
        OpenOptions::new().append(true).create(true).mode(0o640).open(dir.path().join("old")).unwrap();
        for name in ["new", "old"] {
            private(OpenOptions::new().append(true).create(true)).open(dir.path().join(name)).unwrap();
        }
        assert_eq!((mode("new"), mode("old")), (0o600, 0o640));
    }

    #[test]
    fn a_file_that_ends_within_a_line_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        assert!(!ends_within_line(&path) && !ends_within_line(dir.path()));
        for (text, expected) in [("", false), ("{}\n", false), ("{}\n{", true)] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(ends_within_line(&path), expected, "{text}");
        }
    }
}
