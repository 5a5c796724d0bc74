//! `kvfs store info`.

use super::volumes::{Contents, Found, contents};
use crate::busy::Busy;
use crate::interrupt;
use crate::sealing::KeyArgs;
use crate::store_url::StoreUrl;
use crate::terminal::{json_line, say};
use anyhow::{Context, Result};
use clap::Args;
use kvfs_host::{AnyStore, OpenError, Rollback, read_mark};
use serde_json::{Value, json};
use std::path::Path;

/// Shows what is in a store: its volumes, sizes and mark.
///
/// Reads all of it, and opens it for reading only; no guest may be running on it. Without its key,
/// an encrypted store shows the names and sizes of its volumes.
#[derive(Args)]
pub(super) struct InfoArgs {
    /// The store, such as `redb:PATH`.
    store: StoreUrl,
    #[command(flatten)]
    key: KeyArgs,
    /// Writes one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

pub(super) fn info(args: &InfoArgs) -> Result<()> {
    interrupt::end_in_order()?;
    let busy = Busy::new("reading");
    let (store, sealed) = open(args)?;
    let found = contents(&store, sealed == Sealing::Closed).with_context(|| args.store.clone())?;
    drop(busy);
    let about = About {
        args,
        sealed,
        mark: mark(&store)?,
        disk_bytes: disk_bytes(&args.store),
        recovered: store.recovered(),
    };
    if args.json {
        return say([json_line(&about.json(&found))]);
    }
    say(about.lines(&found))
}

#[derive(Clone, Copy, PartialEq)]
enum Sealing {
    /// It is not encrypted.
    Plain,
    /// It was opened with its key.
    Open,
    /// It lies there encrypted.
    Closed,
}

impl Sealing {
    fn text(self) -> &'static str {
        match self {
            Self::Plain => "no",
            Self::Open => "yes",
            Self::Closed => "yes; with its key, --key-file or --passphrase-file, more is shown",
        }
    }
}

fn open(args: &InfoArgs) -> Result<(AnyStore, Sealing)> {
    match args.key.open_to_look(&args.store, false) {
        Ok(store) => {
            let sealed = if matches!(store, AnyStore::Sealed(_)) { Sealing::Open } else { Sealing::Plain };
            Ok((store, sealed))
        }
        Err(error) => match error.downcast_ref::<OpenError>() {
            Some(OpenError::Sealed { .. }) => {
                Ok((args.key.open_to_look(&args.store, true)?, Sealing::Closed))
            }
            _ => Err(error),
        },
    }
}

/// Returns what the mark of a store says, in words: a short one and the whole.
fn mark(store: &AnyStore) -> Result<Option<(&'static str, String)>> {
    let Some((own, path)) = store.marks() else { return Ok(None) };
    let beside = read_mark(path).with_context(|| path.display().to_string())?;
    let name = path.display();
    if let Some(rollback) = Rollback::find(own, beside) {
        return Ok(Some(("rolled-back", format!("{rollback}; {name}"))));
    }
    Ok(Some(match (own, beside) {
        (Some(own), Some(beside)) if own.applies > beside.applies => (
            "behind",
            format!(
                "{} durable applies, the last of {}; {name} knows of {}",
                own.applies,
                own.time(),
                beside.applies
            ),
        ),
        (Some(own), Some(_)) => {
            ("sound", format!("{} durable applies, the last of {}; {name} agrees", own.applies, own.time()))
        }
        (Some(own), None) => (
            "missing",
            format!(
                "{} durable applies, the last of {}; {name} is missing or damaged, and is made with the next one",
                own.applies,
                own.time()
            ),
        ),
        (None, _) => ("none", "none yet; the first durable apply makes it".to_owned()),
    }))
}

/// Returns the bytes that the files of a store take on the disk.
fn disk_bytes(url: &str) -> Option<u64> {
    let (_, path) = url.split_once(':')?;
    let path = Path::new(path);
    let metadata = std::fs::metadata(path).ok()?;
    if metadata.is_file() {
        return Some(allocated_bytes(&metadata));
    }
    let entries = std::fs::read_dir(path).ok()?;
    let files = entries.filter_map(|entry| entry.ok()?.metadata().ok()).filter(std::fs::Metadata::is_file);
    Some(files.map(|metadata| allocated_bytes(&metadata)).sum())
}

#[cfg(unix)]
fn allocated_bytes(metadata: &std::fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::blocks(metadata).saturating_mul(512)
}

#[cfg(not(unix))]
fn allocated_bytes(metadata: &std::fs::Metadata) -> u64 {
    metadata.len()
}

/// A store beside what is in it.
struct About<'a> {
    args: &'a InfoArgs,
    sealed: Sealing,
    mark: Option<(&'static str, String)>,
    disk_bytes: Option<u64>,
    recovered: bool,
}

impl About<'_> {
    /// Kind and path of the store.
    fn kind(&self) -> (String, String) {
        let shown = self.args.store.to_string();
        let (kind, path) = shown.split_once(':').unwrap_or((&shown, ""));
        (kind.to_owned(), path.to_owned())
    }

    fn lines(&self, found: &Contents) -> Vec<String> {
        let (kind, path) = self.kind();
        let mut lines = vec![format!("kind: {kind}"), format!("path: {path}")];
        lines.extend(self.disk_bytes.map(|bytes| format!("on disk: {bytes} bytes")));
        lines.push(format!(
            "entries: {} keys, {} bytes of keys and values",
            found.total.entries, found.total.bytes
        ));
        lines.push(format!("encrypted: {}", self.sealed.text()));
        lines.extend(self.mark.as_ref().map(|(_, text)| format!("mark: {text}")));
        if self.recovered {
            lines.push(
                "closed in order: no; the next program that opens it for writing recovers it".to_owned(),
            );
        }
        for (name, volume) in &found.volumes {
            lines.push(format!("volume {}: {}", String::from_utf8_lossy(name), self.volume_line(volume)));
        }
        if found.layers.entries > 0 {
            lines.push(format!(
                "layers of volumes: {} keys, {} bytes; `kvfs volume list` shows what each volume holds",
                found.layers.entries, found.layers.bytes
            ));
        }
        if found.audit.entries > 0 {
            lines.push(format!("audit logs: {} keys, {} bytes", found.audit.entries, found.audit.bytes));
        }
        lines.push(format!("of no volume: {} keys, {} bytes", found.others.entries, found.others.bytes));
        lines
    }

    fn volume_line(&self, volume: &Found) -> String {
        let mut line = String::new();
        if self.sealed != Sealing::Closed {
            match volume.format {
                Some((major, minor)) => line += &format!("format {major}.{minor}, "),
                None if volume.is_layer => line += "a layer of other volumes, ",
                None => line += "no superblock, ",
            }
            line += &format!(
                "{} files of {} bytes, {} directories, {} links, ",
                volume.files, volume.content_bytes, volume.directories, volume.links
            );
        }
        line += &format!("{} keys, {} bytes", volume.amount.entries, volume.amount.bytes);
        if let Some(seconds) = volume.changed_seconds {
            line += &format!(", changed {}", time(seconds));
        }
        if volume.damaged > 0 {
            line += &format!("; {} damaged records, see kvfs fsck", volume.damaged);
        }
        line
    }

    fn json(&self, found: &Contents) -> Value {
        let (kind, path) = self.kind();
        let amount = |amount: &kvfs_host::Amount| json!({ "keys": amount.entries, "bytes": amount.bytes });
        let volumes: Vec<Value> = found
            .volumes
            .iter()
            .map(|(name, volume)| {
                let mut value = json!({
                    "name": String::from_utf8_lossy(name),
                    "keys": volume.amount.entries,
                    "bytes": volume.amount.bytes,
                });
                if self.sealed != Sealing::Closed {
                    value["format"] =
                        volume.format.map_or(Value::Null, |(major, minor)| format!("{major}.{minor}").into());
                    value["files"] = volume.files.into();
                    value["file_bytes"] = volume.content_bytes.into();
                    value["directories"] = volume.directories.into();
                    value["links"] = volume.links.into();
                    value["damaged_records"] = volume.damaged.into();
                    value["changed"] =
                        volume.changed_seconds.map_or(Value::Null, |seconds| time(seconds).into());
                }
                value
            })
            .collect();
        json!({
            "kind": kind,
            "path": path,
            "disk_bytes": self.disk_bytes,
            "entries": amount(&found.total),
            "encrypted": self.sealed != Sealing::Plain,
            "mark": self.mark.as_ref().map(|(state, text)| json!({ "state": state, "text": text })),
            "closed_in_order": !self.recovered,
            "volumes": volumes,
            "layers": amount(&found.layers),
            "audit": amount(&found.audit),
            "of_no_volume": amount(&found.others),
        })
    }
}

fn time(seconds: i64) -> String {
    let text = kvfs_audit::Time { seconds, nanoseconds: 0 }.to_string();
    text.split_once('.').map_or_else(|| text.clone(), |(second, _)| format!("{second}Z"))
}
