//! `kvfs settings`: shows them.

use crate::sealing::tell_damage;
use crate::terminal::say;
use crate::volume_args::VolumeArgs;
use anyhow::{Result, anyhow};
use kvfs::{Quota, Settings, Used};
use kvfs_host::{AnyStore, EngineStore};

pub(super) fn show(args: &VolumeArgs) -> Result<()> {
    let store = args.key.open_to_read(&args.store)?;
    let found = read(args, store.clone());
    tell_damage(&args.store, &store.damage());
    let (settings, used) = found?;
    say(lines(args, &settings, used))
}

/// Reads the settings, and what the volume uses.
pub(super) fn read(args: &VolumeArgs, store: AnyStore) -> Result<(Settings, Used)> {
    kvfs::settings(&mut EngineStore(store), &args.volume).map_err(|error| match error {
        kvfs::Error::Damaged(damage) if damage.record == "settings" => {
            let VolumeArgs { store, volume, .. } = args;
            anyhow!(kvfs::Error::Damaged(damage)).context(format!(
                "{store}: nobody can open volume `{volume}` until all of its settings are set anew; use \
                 kvfs settings set --replace"
            ))
        }
        error => args.explain(error, "read the settings of"),
    })
}

/// Returns a line for each setting.
pub(super) fn lines(args: &VolumeArgs, settings: &Settings, used: Used) -> Vec<String> {
    let Quota { bytes, inodes, names, file_bytes } = settings.quota;
    let limit = |limit: Option<u64>| limit.map_or_else(|| "none".to_owned(), |limit| limit.to_string());
    let mut lines = vec![
        format!("volume {} of {}", args.volume, args.store),
        format!("max-bytes: {}, {} used", limit(bytes), used.bytes),
        format!("max-inodes: {}, {} used", limit(inodes), used.inodes),
        format!("max-names: {}, {} used", limit(names), used.names),
        format!("max-file-bytes: {}", limit(file_bytes)),
    ];
    lines.extend(super::scrub::lines(settings.scrubbing.as_ref()));
    lines
}
