//! `kvfs fsck`.

use crate::busy::Busy;
use crate::files::read;
use crate::interrupt;
use crate::mounted::MountedVolume;
use crate::salvage::{directory_of, is_damage, notes, salvage};
use crate::sealing::tell_damage;
use crate::terminal::{complain, say, warn};
use crate::volume_args::VolumeArgs;
use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use kvfs::image::Image;
use kvfs_compose::fixed_mounts;
use kvfs_host::{AnyStore, Damage, EngineStore, SystemClock};
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Checks a volume of a store, and repairs it with --repair.
///
/// Without --repair, opens the store read-only. A store in one file (`redb:PATH`) is repaired on a
/// copy beside it, which then takes its place, and stays as PATH.damaged-1. A damaged store in a
/// directory (`file:DIR`) is copied as far as it can be read, likewise. Others are repaired where
/// they lie. The exit code is that of fsck(8): 0 if the volume is sound, 1 if it was repaired and is
/// sound now, 4 if it is not sound, 8 if it could not be checked.
#[derive(Args)]
#[command(mut_arg("accept_loss", |arg| arg.help(ACCEPT_LOSS)))]
pub(crate) struct FsckArgs {
    #[command(flatten)]
    at: VolumeArgs,
    /// A component that was composed with a mount `overlay:` of this volume.
    ///
    /// The packed tree below the volume is taken from it, and both are checked as the one tree that
    /// they form.
    #[arg(long, value_name = "COMPONENT")]
    image: Option<PathBuf>,
    /// Repairs what is wrong. Nothing that can be read is lost; what has lost its name goes to
    /// /lost+found.
    #[arg(long)]
    repair: bool,
    /// Removes the store as it was once it is repaired, instead of keeping it beside the new one.
    #[arg(long, requires = "repair")]
    discard_damaged: bool,
}

const ACCEPT_LOSS: &str = "Checks the store even if it has lost what it had acknowledged as durable, as its mark \
    beside it tells. With --repair, lets the repair fill in lost bytes too: zeros for lost pieces of a file, and what \
    is left for a file whose size is lost; otherwise reading them stays an error";

// The exit codes of fsck(8). A sound volume gives 0.

/// Everything that was wrong has been repaired.
const REPAIRED: u8 = 1;
/// Something is wrong, and still is.
const UNSOUND: u8 = 4;
/// The volume could not be checked or repaired.
const FAILED: u8 = 8;

pub(crate) fn fsck(args: &FsckArgs) -> ExitCode {
    ExitCode::from(check(args).unwrap_or_else(|error| {
        complain(&error);
        FAILED
    }))
}

fn check(args: &FsckArgs) -> Result<u8> {
    interrupt::end_in_order()?;
    if !args.repair {
        // With it, the repair fills in what is lost.
        args.at.key.refuse_useless(&args.at.store)?;
    }
    let image = args.image.as_deref().map(|component| image_of(component, &args.at.volume)).transpose()?;
    let opened = match (args.at.key.open_to_check(&args.at.store), directory_of(&args.at.store)) {
        (Err(error), Some(directory)) if is_damage(&error) => {
            return salvage_first(args, directory, image, error);
        }
        (opened, _) => opened?,
    };
    let recovered = opened.recovered();
    let mut store = EngineStore(opened.clone());
    let report = match &image {
        Some(image) => kvfs::fsck_overlay(&mut store, &args.at.volume, image.clone()),
        None => kvfs::fsck(&mut store, &args.at.volume),
    };
    drop(store);
    let (closed, damage) = (opened.does_not_open(), opened.damage());
    drop(opened);
    tell_damage(&args.at.store, &damage);
    let report = match (report, directory_of(&args.at.store)) {
        // The check may lack what is lost; the repair works with what is left.
        (Err(kvfs::Error::Store(_) | kvfs::Error::Damaged(_)), _) if args.repair && !damage.is_none() => {
            return repair(args, image);
        }
        (Err(error @ kvfs::Error::Store(kvfs::StoreError::Corrupt(_))), Some(directory)) => {
            return salvage_first(args, directory, image, explain(args, error));
        }
        (report, _) => report.map_err(|error| explain(args, error))?,
    };
    if closed > 0 {
        warn(format_args!(
            "{}: values that do not open: {closed}; each was changed or moved, is a finding below, and has \
             lost its content",
            args.at.store
        ));
    }
    let is_sound = report.is_clean() && damage.is_none();
    if !args.repair {
        if recovered && damage.is_none() {
            warn(format_args!(
                "{} was not closed in order: this is what its last commit left; the next program that \
                 opens it for writing recovers the file itself, as --repair does",
                args.at.store
            ));
        }
        let half = half_scrubbed(&report);
        say(lines(&report.findings)
            .into_iter()
            .chain(half)
            .chain([summary(args, &report), verdict(&report, &damage)]))?;
        return Ok(if is_sound { 0 } else { UNSOUND });
    }
    if is_sound {
        if recovered {
            // Opening the file for writing recovers it.
            args.at
                .key
                .open(&args.at.store)?
                .close()
                .with_context(|| format!("{}: cannot recover it", args.at.store))?;
        }
        say(half_scrubbed(&report).into_iter().chain([summary(args, &report), verdict(&report, &damage)]))?;
        return Ok(0);
    }
    repair(args, image)
}

/// Returns the image that a component states below a volume. Its content must match its digest: a
/// repair by another tree than the volume was used with would take good records for bad ones.
fn image_of(component: &Path, volume: &str) -> Result<Image> {
    let volumes = MountedVolume::all(&fixed_mounts(&read(component)?))?;
    let images = volumes.into_iter().filter_map(|mounted| Some((mounted.name, mounted.image?)));
    let (mut of_volume, others): (Vec<_>, Vec<_>) = images.partition(|(name, _)| name == volume);
    if let Some((_, mut image)) = of_volume.pop() {
        image
            .verify()
            .with_context(|| format!("{}: the image below volume `{volume}`", component.display()))?;
        return Ok(image);
    }
    let others: Vec<_> = others.iter().map(|(name, _)| format!("`{name}`")).collect();
    let has = match others.len() {
        0 => "it has none below any volume".to_owned(),
        _ => format!("it has one below {}", others.join(", ")),
    };
    let component = component.display();
    bail!(
        "{component}: it was composed with no packed tree below volume `{volume}`; {has} (`kvfs inspect` lists its mounts)"
    )
}

/// Repairs a volume of a damaged store in a directory, on a copy of what can be read.
fn salvage_first(
    args: &FsckArgs,
    directory: &Path,
    image: Option<Image>,
    damage: anyhow::Error,
) -> Result<u8> {
    if !args.repair {
        return Err(damage.context("the store is damaged; --repair makes a new one of what can be read"));
    }
    warn(format_args!("{damage:#}"));
    let busy = Busy::new("copying what can be read");
    let salvaged = salvage(&args.at.store, directory);
    drop(busy);
    let salvaged = salvaged?;
    let store = args.at.key.open_to_repair(&args.at.store)?;
    let done = repair_volume(args, &store, image)
        .with_context(|| format!("the store as it was is {}; it can be put back", salvaged.kept.display()))?;
    store.close().with_context(|| format!("{}: cannot make the repair durable", args.at.store))?;
    say(repaired_lines(args, &done, notes(&salvaged, args.discard_damaged)?))?;
    Ok(code(&done))
}

fn repair(args: &FsckArgs, image: Option<Image>) -> Result<u8> {
    let busy = Busy::new("copying what can be read");
    let copy = args.at.key.repair_copy(&args.at.store)?;
    drop(busy);
    let Some(copy) = copy else {
        let store = args.at.key.open_to_repair(&args.at.store)?;
        let done = repair_volume(args, &store, image)?;
        store.close().with_context(|| format!("{}: cannot make the repair durable", args.at.store))?;
        say(repaired_lines(args, &done, Vec::new()))?;
        return Ok(code(&done));
    };
    let (damage, amount) = (copy.damage(), copy.amount());
    let done = match repair_volume(args, copy.store(), image) {
        Ok(done) => done,
        Err(error) => {
            copy.discard();
            return Err(error);
        }
    };
    let kept = copy
        .finish(!args.discard_damaged)
        .with_context(|| format!("{}: cannot put the repaired store in its place", args.at.store))?;
    let mut notes = vec![format!("copied {} keys, {} bytes: {damage}", amount.entries, amount.bytes)];
    if !damage.ranges.is_empty() {
        notes.push("other volumes of the store may have lost entries too: check each of them".to_owned());
    }
    if let Some(kept) = kept {
        notes.push(format!("the store as it was is {}; remove it when nothing is missed", kept.display()));
    }
    say(repaired_lines(args, &done, notes))?;
    Ok(code(&done))
}

fn repair_volume(args: &FsckArgs, store: &AnyStore, image: Option<Image>) -> Result<kvfs::Repair> {
    let options = kvfs::RepairOptions { accept_loss: args.at.key.accepts_loss() };
    let (mut volumes, mut clock) = (EngineStore(store.clone()), SystemClock);
    match image {
        Some(image) => kvfs::repair_overlay(&mut volumes, &mut clock, &args.at.volume, image, options),
        None => kvfs::repair(&mut volumes, &mut clock, &args.at.volume, options),
    }
    .map_err(|error| explain(args, error))
}

fn code(done: &kvfs::Repair) -> u8 {
    if done.after.is_clean() { REPAIRED } else { UNSOUND }
}

fn repaired_lines(args: &FsckArgs, done: &kvfs::Repair, notes: Vec<String>) -> Vec<String> {
    let mut text = lines(&done.before.findings);
    text.extend(lines(&done.fixes));
    if !done.after.is_clean() {
        text.push("still wrong:".to_owned());
        text.extend(lines(&done.after.findings));
    }
    text.extend(notes);
    text.push(summary(args, &done.after));
    if done.after.is_clean() {
        text.push("repaired: it is sound now".to_owned());
    } else {
        text.push(verdict(&done.after, &Damage::default()));
        if !args.at.key.accepts_loss() {
            text.push(
                "what is left has lost bytes: replace these files from a copy, or add --accept-loss to keep \
                 what is left of them"
                    .to_owned(),
            );
        }
    }
    text
}

/// Explains an error of the check, and what to do about it.
fn explain(args: &FsckArgs, error: kvfs::Error) -> anyhow::Error {
    let VolumeArgs { store, volume, .. } = &args.at;
    match error {
        kvfs::Error::OtherImage(images) if images.given.is_none() => {
            anyhow!(
                "{store}: {images}; name the component that volume `{volume}` was used with: --image COMPONENT"
            )
        }
        error => args.at.explain(error, "check"),
    }
}

fn lines(items: &[impl Display]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}

/// Lists the files that take secrets by some of their names. They are no findings.
fn half_scrubbed(report: &kvfs::Report) -> Vec<String> {
    let mut lines = lines(&report.half_scrubbed_names);
    let more = report.half_scrubbed.saturating_sub(lines.len() as u64);
    if more > 0 {
        lines.push(format!("{more} more files are scrubbed by some of their names only"));
    }
    if report.half_scrubbed > 0 {
        lines.push(
            "through the names that are not scrubbed, secrets get into the store; remove them".to_owned(),
        );
    }
    lines
}

fn summary(args: &FsckArgs, report: &kvfs::Report) -> String {
    format!(
        "volume {}: {} inodes, {} names, {} extents, {} bytes of content, {} charged; {} extents and {} files wait to \
         be removed",
        args.at.volume,
        report.inodes,
        report.dentries,
        report.extents,
        report.content_bytes,
        report.used_bytes,
        report.garbage_extents,
        report.orphans
    )
}

fn verdict(report: &kvfs::Report, damage: &Damage) -> String {
    match report.findings.len() {
        0 if damage.is_none() => "sound".to_owned(),
        0 => "the volume is sound, and the store is damaged: --repair makes a sound one of it".to_owned(),
        count => format!("{count} findings; the numbers are those of FORMAT.md"),
    }
}
