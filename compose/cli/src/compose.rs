//! `kvfs compose`.

use super::{Busy, composer, read, say};
use crate::ComposeArgs;
use anyhow::{Context, Result, bail};
use kvfs_compose::{ByteSize, ComposeError, Provider};
use std::io::Write;
use std::path::Path;

pub(crate) fn compose(args: &ComposeArgs) -> Result<()> {
    let guest = read(&args.guest)?;
    if same_file(&args.guest, &args.output) {
        bail!("{}: the result would replace the guest; name another output", args.output.display());
    }
    let provider = provider(&args.provider)?;
    let busy = Busy::new("composing");
    let composed = composer(&guest, &args.fixed)
        .on_packing(&|packing| busy.packing(packing))
        .provider(provider)
        .build()
        .map_err(|error| {
            let of_provider = matches!(error, ComposeError::BadProvider { .. });
            let named = if of_provider { args.provider.clone() } else { args.guest.display().to_string() };
            anyhow::Error::new(error).context(named)
        })?;
    write_whole(&args.output, &composed.bytes).with_context(|| {
        format!("cannot write {}, and nothing was changed; name a place that takes it", args.output.display())
    })?;
    drop(busy);

    let report = &composed.report;
    let sizes = format!(
        "{}: {} bytes, {} of them added to the guest",
        args.output.display(),
        report.size_bytes,
        report.added_bytes
    );
    say(report.to_string().lines().chain([sizes.as_str()]))
}

/// Reads the name of a provider.
pub(crate) fn provider(name: &str) -> Result<Provider> {
    let (kind, rest) = name.split_once(':').map_or((name, None), |(kind, rest)| (kind, Some(rest)));
    Ok(match (kind, rest) {
        ("host", None) => Provider::Host,
        ("memory" | "file" | "keyvalue", Some("")) => {
            bail!("--provider {name}: nothing follows the colon; write `{kind}`, or say what follows")
        }
        ("memory", None) => Provider::Memory { size_bytes: None },
        ("memory", Some(size)) => Provider::Memory { size_bytes: Some(size.parse::<ByteSize>()?.0) },
        ("file", path) => Provider::File { path: path.map(str::to_owned) },
        ("keyvalue", bucket) => Provider::Keyvalue { bucket: bucket.map(str::to_owned) },
        _ => Provider::Component(read(Path::new(name))?),
    })
}

fn same_file(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}

/// Writes a file whole or not at all: into a new file beside it, which then takes its name.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    // A device or a pipe is written to, never replaced; a link is followed to what it names.
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
