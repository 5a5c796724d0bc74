//! What is said of a check or a repair.

use super::args::FsckArgs;
use super::volumes::Done;
use kvfs::volumes::LayersReport;
use kvfs::{Repair, Report};
use kvfs_host::Damage;
use std::fmt::Display;

/// The state of a store, of which `report` gives that of each volume.
pub(super) struct State {
    /// Findings of volumes and layers.
    pub(super) findings: usize,
    /// The volumes that have some.
    unsound: Vec<String>,
}

impl State {
    pub(super) fn of<T>(done: &Done<T>, report: impl Fn(&T) -> &Report) -> Self {
        let counts = done.volumes.iter().map(|(name, done)| (name, report(done).findings.len()));
        let unsound: Vec<_> = counts.filter(|(_, count)| *count > 0).collect();
        let in_layers = done.layers.as_ref().map_or(0, |layers| layers.findings.len());
        Self {
            findings: unsound.iter().map(|(_, count)| count).sum::<usize>() + in_layers,
            unsound: unsound.into_iter().map(|(name, _)| name.clone()).collect(),
        }
    }

    pub(super) fn is_sound(&self) -> bool {
        self.findings == 0
    }

    fn verdict(&self, whole_store: bool, damage: &Damage) -> String {
        match self.findings {
            0 if damage.is_none() => "sound".to_owned(),
            0 if whole_store => {
                "the volumes are sound, and the store is damaged: --repair makes a sound one of it".to_owned()
            }
            0 => "the volume is sound, and the store is damaged: --repair makes a sound one of it".to_owned(),
            count => {
                let places: Vec<String> =
                    self.unsound.iter().take(MAX_NAMED).map(|name| format!("`{name}`")).collect();
                let more = self.unsound.len().saturating_sub(MAX_NAMED);
                let of = match (whole_store, places.len(), more) {
                    (false, ..) => String::new(),
                    (true, 0, _) => " in layers".to_owned(),
                    (true, _, 0) => format!(", unsound are {}", places.join(", ")),
                    (true, ..) => format!(", unsound are {} and {more} more", places.join(", ")),
                };
                format!("{count} findings{of}; the numbers are those of FORMAT.md")
            }
        }
    }
}

/// Unsound volumes that the last line names.
const MAX_NAMED: usize = 8;

/// The lines of a check. `with_findings`: all that is wrong with a volume comes before its summary.
pub(super) fn checked(done: &Done<Report>, damage: &Damage, with_findings: bool) -> Vec<String> {
    let mut text = Vec::new();
    for (name, report) in &done.volumes {
        if with_findings {
            text.extend(lines(&report.findings));
        }
        text.extend(half_scrubbed(report));
        text.push(summary(name, report));
    }
    text.extend(done.layers.iter().flat_map(of_layers));
    text.extend(not_checked(done));
    let state = State::of(done, |report| report);
    text.push(match state.is_sound() && damage.is_none() && !done.failed.is_empty() {
        true => "what could be checked is sound".to_owned(),
        false => state.verdict(done.is_of_several(), damage),
    });
    text
}

/// The lines of a repair, with notes of the store.
pub(super) fn repaired(args: &FsckArgs, done: &Done<Repair>, notes: Vec<String>) -> Vec<String> {
    let mut text = Vec::new();
    for (name, repair) in &done.volumes {
        text.extend(lines(&repair.before.findings));
        text.extend(lines(&repair.fixes));
        if !repair.after.is_clean() {
            text.push("still wrong:".to_owned());
            text.extend(lines(&repair.after.findings));
        }
        if done.is_of_several() {
            text.push(summary(name, &repair.after));
        }
    }
    text.extend(notes);
    match done.volumes.as_slice() {
        [(name, repair)] if !done.is_of_several() => text.push(summary(name, &repair.after)),
        _ => {}
    }
    text.extend(done.layers.iter().flat_map(of_layers));
    text.extend(not_checked(done));
    let state = State::of(done, |repair| &repair.after);
    if state.is_sound() {
        text.push(match done.failed.is_empty() {
            true => "repaired: it is sound now".to_owned(),
            false => "repaired: what could be checked is sound now".to_owned(),
        });
        return text;
    }
    text.push(state.verdict(done.is_of_several(), &Damage::default()));
    if done.layers.as_ref().is_some_and(|layers| !layers.findings.is_empty()) {
        text.push(
            "what is wrong with layers is not repaired; copy the files of the volumes that are sound elsewhere"
                .to_owned(),
        );
    }
    if done.volumes.iter().any(|(_, repair)| !repair.after.is_clean()) && !args.key.accepts_loss() {
        text.push(
            "what is left has lost bytes: replace these files from a copy, or add --accept-loss to keep \
             what is left of them"
                .to_owned(),
        );
    }
    text
}

fn lines(items: &[impl Display]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}

/// Findings of layers, and how many layers there are.
fn of_layers(report: &LayersReport) -> Vec<String> {
    let mut text = lines(&report.findings);
    if report.layers > 0 || report.garbage > 0 {
        text.push(format!("layers: {} in use, {} wait to be freed", report.layers, report.garbage));
    }
    text
}

fn not_checked<T>(done: &Done<T>) -> Option<String> {
    let count = done.failed.len();
    (count > 0).then(|| format!("{count} volumes could not be checked"))
}

/// Lists the files that take secrets by some of their names. They are no findings.
fn half_scrubbed(report: &Report) -> Vec<String> {
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

fn summary(volume: &str, report: &Report) -> String {
    format!(
        "volume {volume}: {} inodes, {} names, {} extents, {} bytes of content, {} charged; {} extents and {} files wait to \
         be removed",
        report.inodes,
        report.dentries,
        report.extents,
        report.content_bytes,
        report.used_bytes,
        report.garbage_extents,
        report.orphans
    )
}
