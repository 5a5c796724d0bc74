//! The bench: times of calls, space, and openings.

mod entries;
mod sizes;
mod timing;

mod extents;
mod files;
mod opening;
mod small;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::report::Report;
use crate::{Kind, disk};

pub use opening::{Fill, child_fill, child_open};
pub use sizes::Sizes;

/// A part of the bench.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Extents of large files, streamed and at random; space.
    Extents,
    /// Small puts, durable ones, and a scan of them.
    Small,
    /// Files of 1,000 bytes: space.
    Files,
    /// Openings of stores of several sizes, closed in order and killed.
    Opening,
}

/// All parts, in their order.
pub const PARTS: [Part; 4] = [Part::Extents, Part::Small, Part::Files, Part::Opening];

/// Measures all parts for all kinds in directories of their own below `dir`. `exe` is a program
/// that takes the children's commands. `tell` is told what comes next.
///
/// # Errors
/// What a store or the system says, with the store and the part.
pub fn run(
    kinds: &[Kind],
    parts: &[Part],
    sizes: &Sizes,
    dir: &Path,
    exe: &Path,
    mut tell: impl FnMut(&str),
) -> Result<Report> {
    let mut report = Report::default();
    for round in 1..=sizes.rounds {
        for &kind in kinds {
            for part in parts {
                if *part == Part::Opening && round > 1 {
                    continue;
                }
                tell(&format!("{kind}: {part:?}, round {round} of {}", sizes.rounds));
                let place = Place::new(dir, kind)?;
                match part {
                    Part::Extents => extents::run(kind, sizes, &place.0, &mut report),
                    Part::Small => small::run(kind, sizes, &place.0, &mut report),
                    Part::Files => files::run(kind, sizes, &place.0, &mut report),
                    Part::Opening => opening::run(kind, sizes, &place.0, exe, &mut report, &mut tell),
                }
                .with_context(|| format!("{kind}: {part:?}"))?;
            }
        }
    }
    Ok(report)
}

/// An empty directory that is gone afterwards.
struct Place(PathBuf);

impl Place {
    fn new(dir: &Path, kind: Kind) -> Result<Self> {
        let path = dir.join(format!("bench-{kind}-{}", std::process::id()));
        disk::remove(&path)?;
        std::fs::create_dir_all(&path).with_context(|| path.display().to_string())?;
        Ok(Self(path))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = disk::remove(&self.0);
    }
}
