//! `kvfs volume info`.

use super::at::{At, Opened};
use super::shown::{json, uuid};
use crate::terminal::{json_line, say};
use anyhow::Result;
use clap::Args;
use kvfs::volumes::VolumeInfo;
use kvfs_host::VolumesError;
use serde_json::json as object;
use std::process::ExitCode;

/// Shows what is known of a volume: usage and limits, state, and the layers that it stands on.
///
/// Layers are listed from the top one down; a volume's changes go to the top one, and two volumes with
/// another one in common share what is in it. The store is opened read-only, and a guest may be running
/// on it.
#[derive(Args)]
pub(super) struct InfoArgs {
    #[command(flatten)]
    at: At,
    /// Names the volumes too that share layers with it. This looks at all of them.
    #[arg(long)]
    sharing: bool,
    /// Writes one JSON object instead of text.
    #[arg(long)]
    json: bool,
    /// The volume.
    volume: String,
}

pub(super) fn info(args: &InfoArgs) -> Result<ExitCode> {
    let InfoArgs { at, sharing, json: as_json, volume } = args;
    let volumes = at.look()?;
    let info = volumes.info(volume).map_err(|error| at.explain(&volumes, error))?;
    let shared = match sharing {
        true => Some(shared(&volumes, &info).map_err(|error| at.explain(&volumes, error))?),
        false => None,
    };
    if *as_json {
        let mut value = json(&info);
        value["layers"] = info.layers.clone().into();
        if let Some(shared) = shared {
            let with = shared.into_iter().map(|(name, layers)| object!({ "name": name, "layers": layers }));
            value["shares_with"] = with.collect();
        }
        say([json_line(&value)])?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut lines = lines(&info);
    for (name, layers) in shared.unwrap_or_default() {
        lines.push(format!("shares {layers} with: {name}"));
    }
    say(lines)?;
    Ok(ExitCode::SUCCESS)
}

/// The volumes that share layers with one, and how many.
fn shared(volumes: &Opened, of: &VolumeInfo) -> Result<Vec<(String, usize)>, VolumesError> {
    let mut shared = Vec::new();
    for name in volumes.names()? {
        // One that is gone or cannot be read shares nothing that could be told.
        let Ok(other) = volumes.info(&name) else { continue };
        let layers = other.layers.iter().filter(|layer| of.layers.contains(layer)).count();
        if layers > 0 && name != of.name {
            shared.push((name, layers));
        }
    }
    Ok(shared)
}

fn lines(info: &VolumeInfo) -> Vec<String> {
    let limit = |limit: Option<u64>| limit.map_or_else(|| "none".to_owned(), |limit| limit.to_string());
    let (used, quota) = (info.used, info.quota);
    let mut lines = vec![
        format!("name: {}", info.name),
        format!("uuid: {}", uuid(info)),
        format!("bytes: {}, limit {}", used.bytes, limit(quota.bytes)),
        format!("files: {}, limit {}", used.inodes, limit(quota.inodes)),
        format!("names: {}, limit {}", used.names, limit(quota.names)),
        format!("file-bytes: limit {}", limit(quota.file_bytes)),
        format!("state: {}", if info.read_only { "read-only" } else { "writable" }),
        format!("changed: {}", if info.unchanged { "not since it was last forked or made" } else { "yes" }),
    ];
    lines.extend(info.image.as_ref().map(|image| format!("image: {image}")));
    lines.extend(info.layers.iter().map(|layer| format!("layer: {layer}")));
    lines
}
