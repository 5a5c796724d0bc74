//! Kills at random moments, one after the other on one store.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use super::children::{Children, Outcome};
use super::sizes::Sizes;
use crate::content::History;
use crate::disk;
use crate::random::Random;
use crate::report::Report;

/// Longest wait after the last counted apply, in microseconds: some applies.
const MAX_WAIT_MICROS: u64 = 3_000;

pub(super) fn run(
    children: &Children,
    sizes: &Sizes,
    dir: &Path,
    report: &mut Report,
    tell: &mut dyn FnMut(&str),
) -> Result<()> {
    let kind = children.kind;
    let history = History { seed: sizes.seed + 1, keys: sizes.keys };
    let mut random = Random::new(&[sizes.seed, 3]);
    let (mut lost, mut torn, mut failed) = (0_u64, 0_u64, 0_u64);
    let mut from = 1;
    std::fs::create_dir_all(dir)?;
    for number in 0..sizes.kills {
        tell(&format!("{kind}: kill {} of {}", number + 1, sizes.kills));
        let least = 1 + random.below(sizes.applies / 4 + 1);
        let later = Duration::from_micros(random.below(MAX_WAIT_MICROS));
        let claim = children.write_and_kill(dir, &history, from, least, later)?;
        let outcome = children.look(dir, &claim)?;
        let mut sound = false;
        match &outcome {
            Outcome::Verdict(verdict) if !verdict.told() && verdict.panics == 0 => {
                sound = verdict.sound();
                let is_lost = verdict.stale + verdict.vanished + verdict.came_back + verdict.wrong > 0;
                lost += u64::from(is_lost);
                torn += u64::from(!is_lost && !sound);
                from = verdict.mark + 1;
            }
            _ => failed += 1,
        }
        if !sound {
            disk::remove(dir)?;
            std::fs::create_dir_all(dir)?;
            from = 1;
        }
    }
    report.set(kind, "kills", sizes.kills);
    report.set(kind, "kills: durable applies lost", lost);
    report.set(kind, "kills: applies torn", torn);
    report.set(kind, "kills: does not open or read", failed);
    disk::remove(dir)?;
    Ok(())
}
