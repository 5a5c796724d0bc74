//! `kvfs fsck`.

// The arguments, and what is done to the volumes.
mod args;

mod volumes;

mod exit_code;
mod report;

mod repair;

pub(crate) use args::FsckArgs;

use self::exit_code::{FAILED, UNSOUND, worst};
use self::repair::{repair, salvage_first};
use self::report::{State, checked};
use self::volumes::Failed;
use crate::interrupt;
use crate::mounted::Images;
use crate::salvage::{directory_of, is_damage};
use crate::sealing::tell_damage;
use crate::terminal::{complain, say, warn};
use anyhow::{Context, Result};
use std::process::ExitCode;

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
        args.key.refuse_useless(&args.store)?;
    }
    let mut images = args.image.as_deref().map(Images::of).transpose()?;
    if let (Some(images), Some(volume)) = (&mut images, &args.volume)
        && images.is_empty()
    {
        images.by_name(volume)?;
    }
    let opened = match (args.key.open_to_check(&args.store), directory_of(&args.store)) {
        (Err(error), Some(directory)) if is_damage(&error) => {
            return salvage_first(args, directory, &mut images, error);
        }
        (opened, _) => opened?,
    };
    let recovered = opened.recovered();
    let done = volumes::check(args, &mut images, &opened);
    let (closed, damage) = (opened.does_not_open(), opened.damage());
    drop(opened);
    tell_damage(&args.store, &damage);
    let done = match (done, directory_of(&args.store)) {
        // The check may lack what is lost; the repair works with what is left.
        (Err(Failed::Store(kvfs::Error::Store(_) | kvfs::Error::Damaged(_), _)), _)
            if args.repair && !damage.is_none() =>
        {
            return repair(args, &mut images);
        }
        (
            Err(failed @ Failed::Store(kvfs::Error::Store(kvfs::StoreError::Corrupt(_)), _)),
            Some(directory),
        ) => {
            return salvage_first(args, directory, &mut images, failed.explain(args));
        }
        (done, _) => done.map_err(|failed| failed.explain(args))?,
    };
    if closed > 0 {
        warn(format_args!(
            "{}: values that do not open: {closed}; each was changed or moved, is a finding below, and has \
             lost its content",
            args.store
        ));
    }
    let is_sound = State::of(&done, |report| report).is_sound() && damage.is_none();
    if args.repair && !is_sound {
        return repair(args, &mut images);
    }
    if args.repair && recovered {
        // Opening the file for writing recovers it.
        let opened = args.key.open(&args.store)?;
        opened.close().with_context(|| format!("{}: cannot recover it", args.store))?;
    } else if recovered && damage.is_none() {
        warn(format_args!(
            "{} was not closed in order: this is what its last commit left; the next program that \
             opens it for writing recovers the file itself, as --repair does",
            args.store
        ));
    }
    done.failed.iter().for_each(complain);
    say(checked(&done, &damage, !args.repair))?;
    Ok(worst(&done, if is_sound { 0 } else { UNSOUND }))
}
