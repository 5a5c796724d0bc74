//! `kvfs settings set`.

use super::scrub::ScrubArgs;
use super::show::{lines, read};
use crate::interrupt;
use crate::sealing::KeyArgs;
use crate::terminal::{say, warn};
use crate::volume_args::VolumeArgs;
use anyhow::{Result, bail};
use clap::Args;
use kvfs::{Quota, Scope, Scrubbing, Settings, Used};
use kvfs_compose::ByteSize;
use kvfs_host::EngineStore;

/// Changes settings of a volume, for all who open it from then on.
///
/// A volume that holds more than a new limit keeps it: growth is refused, and everything else
/// works. A guest that has the volume open is shut out of it, as by every other opener.
#[derive(Args)]
pub(super) struct SetArgs {
    #[command(flatten)]
    at: VolumeArgs,
    /// Limits the bytes of the volume, such as 64M; `none` lifts the limit.
    #[arg(long, value_name = "SIZE|none", value_parser = size)]
    max_bytes: Option<Limit>,
    /// Limits its files, directories and links.
    #[arg(long, value_name = "NUMBER|none", value_parser = number)]
    max_inodes: Option<Limit>,
    /// Limits its names.
    #[arg(long, value_name = "NUMBER|none", value_parser = number)]
    max_names: Option<Limit>,
    /// Limits the size of each file.
    #[arg(long, value_name = "SIZE|none", value_parser = size)]
    max_file_bytes: Option<Limit>,
    #[command(flatten)]
    scrub: ScrubArgs,
    /// Replaces all settings: what is not given is lifted. Damaged settings can be set in no other
    /// way.
    #[arg(long)]
    replace: bool,
}

/// A new limit; `None` lifts it.
#[derive(Clone, Copy)]
struct Limit(Option<u64>);

fn size(text: &str) -> Result<Limit, String> {
    let size = |text: &str| text.parse::<ByteSize>().map(|size| size.0).map_err(|error| error.to_string());
    limit(text, size)
}

fn number(text: &str) -> Result<Limit, String> {
    let wrong = |_| format!("`{text}` is no number; give a number, or none");
    limit(text, |text| text.parse::<u64>().map_err(wrong))
}

fn limit(text: &str, read: impl Fn(&str) -> Result<u64, String>) -> Result<Limit, String> {
    if text == "none" { Ok(Limit(None)) } else { read(text).map(|limit| Limit(Some(limit))) }
}

pub(super) fn set(args: &SetArgs) -> Result<()> {
    let given = [args.max_bytes, args.max_inodes, args.max_names, args.max_file_bytes];
    let scrubbing = args.scrub.read()?;
    if given.iter().all(Option::is_none) && scrubbing.is_none() && !args.replace {
        bail!(
            "nothing to set; give --max-bytes, --max-inodes, --max-names, --max-file-bytes or --scrub, or \
             --replace, which lifts all that is not given"
        );
    }
    interrupt::end_in_order()?;
    let look = |store| match read(&args.at, store) {
        Err(error) if !(args.replace && is_damage(&error)) => Err(error),
        _ => Ok(()),
    };
    // Settings that do not open can be replaced.
    let open = if args.replace { KeyArgs::open_to_repair } else { KeyArgs::open };
    let store = args.at.key.look_first(&args.at.store, look, open)?;
    let mut volumes = EngineStore(store.clone());
    let done = kvfs::set_settings(&mut volumes, &args.at.volume, &mut |before| {
        let mut settings = match (before, args.replace) {
            (Ok(_) | Err(kvfs::Error::Damaged(_)), true) => Settings::default(),
            (before, _) => before?,
        };
        change(&mut settings.quota, given);
        if let Some(scrubbing) = &scrubbing {
            settings.scrubbing.clone_from(scrubbing);
        }
        Ok(settings)
    });
    let told = done.map_err(|error| args.at.explain(error, "set the settings of"));
    let closed = args.at.store.closed(store.close(), "the settings");
    told.and(closed)?;
    let (settings, used) = read(&args.at, args.at.key.open_to_read(&args.at.store)?)?;
    if is_over(&settings.quota, used) {
        warn("the volume holds more than that already: it keeps it, and growth is refused");
    }
    if matches!(scrubbing, Some(Some(_))) && used.inodes > 1 {
        warn(
            "what is in the volume already is masked when it is next written to, and names stay as they are",
        );
        if names_some_files(&scrubbing) {
            warn(
                "a file that has names of both kinds already takes secrets through those that are not scrubbed; `kvfs \
                 fsck` lists such files",
            );
        }
    }
    say(lines(&args.at, &settings, used))
}

fn names_some_files(scrubbing: &Option<Option<Scrubbing>>) -> bool {
    matches!(scrubbing, Some(Some(scrubbing)) if *scrubbing.scope() != Scope::All)
}

/// Returns true if settings cannot be read, though the rest of the volume can.
fn is_damage(error: &anyhow::Error) -> bool {
    let damage = error.downcast_ref::<kvfs::Error>();
    matches!(damage, Some(kvfs::Error::Damaged(damage)) if damage.record == "settings")
}

fn change(quota: &mut Quota, given: [Option<Limit>; 4]) {
    let places = [&mut quota.bytes, &mut quota.inodes, &mut quota.names, &mut quota.file_bytes];
    for (place, given) in places.into_iter().zip(given) {
        if let Some(Limit(limit)) = given {
            *place = limit;
        }
    }
}

fn is_over(quota: &Quota, used: Used) -> bool {
    let over = |limit: Option<u64>, used: u64| limit.is_some_and(|limit| used > limit);
    over(quota.bytes, used.bytes) || over(quota.inodes, used.inodes) || over(quota.names, used.names)
}
