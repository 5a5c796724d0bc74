//! The torture: damaged files, kills, a full disk, and other processes.

mod caught;
mod damage;
mod sizes;
mod verdict;
mod write;

mod verify;

mod children;

mod beside;
mod damaged;
mod full_disk;
mod kills;

use std::io;
use std::path::Path;

use anyhow::{Context, Result};

use crate::content::History;
use crate::report::Report;
use crate::{Kind, Tuning, disk};
use children::Children;

pub use sizes::Sizes;

/// A part of the torture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Damaged variants of a closed store and of a killed one.
    Damage,
    /// Kills at random moments.
    Kills,
    /// A full disk.
    FullDisk,
    /// Other processes.
    Beside,
}

/// All parts, in their order.
pub const PARTS: [Part; 4] = [Part::Damage, Part::Kills, Part::FullDisk, Part::Beside];

/// Tortures all kinds in directories of their own below `dir`. `exe` is a program that takes the
/// children's commands. `tell` is told what comes next.
///
/// # Errors
/// What goes wrong with the torture, not what it finds, with the store and the part.
pub fn run(
    kinds: &[Kind],
    parts: &[Part],
    sizes: &Sizes,
    dir: &Path,
    exe: &Path,
    mut tell: impl FnMut(&str),
) -> Result<Report> {
    let mut report = Report::default();
    for &kind in kinds {
        let children = Children { exe: exe.into(), kind, tuning: Tuning { small: true } };
        let place = dir.join(format!("torture-{kind}-{}", std::process::id()));
        for part in parts {
            tell(&format!("{kind}: {part:?}"));
            disk::remove(&place)?;
            match part {
                Part::Damage => damaged::run(&children, sizes, &place, &mut report, &mut tell),
                Part::Kills => kills::run(&children, sizes, &place, &mut report, &mut tell),
                Part::FullDisk => full_disk::run(&children, sizes, &place, &mut report),
                Part::Beside => beside::run(&children, &place, &mut report),
            }
            .with_context(|| format!("{kind}: {part:?}"))?;
        }
        disk::remove(&place)?;
    }
    Ok(report)
}

/// Which history a child writes or looks for.
#[derive(Clone, Copy, Debug)]
pub struct Which {
    /// See [`Sizes::seed`].
    pub seed: u64,
    /// See [`Sizes::keys`].
    pub keys: u64,
}

impl Which {
    fn history(self) -> History {
        History { seed: self.seed, keys: self.keys }
    }
}

/// Writes applies of a history and says on standard output which are acknowledged.
///
/// # Errors
/// What the store or the system says.
pub fn child_write(kind: Kind, dir: &Path, tuning: Tuning, which: Which, from: u64, to: u64) -> Result<()> {
    write::write(kind, dir, tuning, &which.history(), from..=to, io::stdout().lock())
}

/// Looks at a store in which every apply up to `durable` must be there, and maybe more up to
/// `last`. Prints what it found.
pub fn child_look(kind: Kind, dir: &Path, tuning: Tuning, which: Which, durable: u64, last: u64) {
    caught::watch();
    let claim = verify::Claim { history: which.history(), durable, last };
    println!("{}", verify::look(kind, dir, tuning, &claim).to_json());
}

/// Fills the disk that a store is on, makes room by removing `ballast`, and prints what it found.
///
/// # Errors
/// What the system says, and what the store says of its opening.
pub fn child_full_disk(kind: Kind, dir: &Path, tuning: Tuning, ballast: &Path) -> Result<()> {
    full_disk::child(kind, dir, tuning, ballast)
}

/// Opens a store, or with `reader` for reading only, and does what standard input says.
///
/// # Errors
/// What the system says.
pub fn child_serve(kind: Kind, dir: &Path, tuning: Tuning, reader: bool) -> Result<()> {
    beside::child(kind, dir, tuning, reader)
}
