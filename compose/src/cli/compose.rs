//! `kvfs compose`.

use super::{Busy, composer, read, say};
use crate::ComposeArgs;
use anyhow::{Context, Result, bail};
use kvfs_compose::Provider;
use std::io::Write;
use std::path::Path;

pub(crate) fn compose(args: &ComposeArgs) -> Result<()> {
    let guest = read(&args.guest)?;
    if same_file(&args.guest, &args.output) {
        bail!("{}: the result would replace the guest; name another output", args.output.display());
    }
    let provider = match args.provider.as_str() {
        "host" => Provider::Host,
        path => Provider::Component(read(Path::new(path))?),
    };
    let busy = Busy::new("composing");
    let composed = composer(&guest, &args.fixed)
        .provider(provider)
        .build()
        .with_context(|| args.guest.display().to_string())?;
    write_whole(&args.output, &composed.bytes).with_context(|| {
        format!("cannot write {}, and nothing was changed; name a place that takes it", args.output.display())
    })?;
    drop(busy);

    let report = &composed.report;
    say(&format!(
        "{report}{}: {} bytes, {} of them added to the guest\n",
        args.output.display(),
        report.size_bytes,
        report.added_bytes
    ))
}

fn same_file(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}

/// Writes a file whole or not at all: into a new file beside it, which then takes its name.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        // As any new file: what the umask leaves. The default for temporary files is the owner's only.
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
