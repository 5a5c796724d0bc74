//! Finds files that are scrubbed by some of their names only.

use super::picture::Picture;
use super::report::{HalfScrubbed, Report};
use crate::limits::MAX_PATH_BYTES;
use crate::pattern::PathState;
use crate::scrub::Scrubbing;
use crate::types::{InodeNo, Kind};
use std::collections::BTreeMap;

/// Most of these files that a report names. It counts all.
const MAX_HALF_SCRUBBED: usize = 1000;

/// The directory and the name of each directory.
type Above<'p> = BTreeMap<InodeNo, (InodeNo, &'p str)>;

/// Lists the files with names of both kinds. The operations make none, so these are older than the
/// policy.
pub(super) fn list(picture: &Picture, report: &mut Report) {
    let scrubbing = picture.settings.as_ref().and_then(|settings| settings.scrubbing());
    let Some(scrubbing) = scrubbing.filter(Scrubbing::has_patterns) else { return };
    let is_shared = |ino| picture.inodes.get(&ino).is_some_and(|inode| inode.nlink > 1);
    let names = picture.dentries.iter();
    let shared: Vec<_> =
        names.filter(|(_, _, entry)| entry.kind == Kind::File && is_shared(entry.ino)).collect();
    if shared.is_empty() {
        return;
    }
    let directories = picture.dentries.iter().filter(|(_, _, entry)| entry.kind == Kind::Directory);
    let above: Above<'_> = directories.map(|(dir, name, entry)| (entry.ino, (*dir, name.as_str()))).collect();
    let mut states = BTreeMap::from([(InodeNo::ROOT, scrubbing.start())]);
    // For each file a scrubbed name and one that is not, if it has them.
    let mut found: BTreeMap<InodeNo, [Option<(InodeNo, &str)>; 2]> = BTreeMap::new();
    for (dir, name, entry) in shared {
        let Some(state) = state_of(*dir, &above, &scrubbing, &mut states) else { continue };
        let is_scrubbed = scrubbing.scrubs(scrubbing.step(state, name));
        let [scrubbed, other] = found.entry(entry.ino).or_default();
        *(if is_scrubbed { scrubbed } else { other }) = Some((*dir, name));
    }
    for names in found.into_values() {
        if let [Some(scrubbed), Some(other)] = names {
            report.half_scrubbed = report.half_scrubbed.saturating_add(1);
            if report.half_scrubbed_names.len() < MAX_HALF_SCRUBBED
                && let (Some(scrubbed), Some(other)) = (path(scrubbed, &above), path(other, &above))
            {
                report.half_scrubbed_names.push(HalfScrubbed { scrubbed, other });
            }
        }
    }
}

/// The state of a directory; `None` if it is not in the tree.
fn state_of(
    dir: InodeNo,
    above: &Above<'_>,
    scrubbing: &Scrubbing,
    states: &mut BTreeMap<InodeNo, PathState>,
) -> Option<PathState> {
    let (mut at, mut way) = (dir, Vec::new());
    let mut state = loop {
        if let Some(known) = states.get(&at) {
            break *known;
        }
        let (parent, name) = above.get(&at)?;
        way.push((at, *name));
        // Damaged parents may form a ring.
        if way.len() > above.len() {
            return None;
        }
        at = *parent;
    };
    for (ino, name) in way.into_iter().rev() {
        state = scrubbing.step(state, name);
        states.insert(ino, state);
    }
    Some(state)
}

/// The path of a name; `None` if it is too long for operations.
fn path((mut dir, name): (InodeNo, &str), above: &Above<'_>) -> Option<String> {
    let (mut names, mut bytes) = (vec![name], name.len() + 1);
    while dir != InodeNo::ROOT {
        let (parent, name) = above.get(&dir)?;
        bytes += name.len() + 1;
        if bytes > MAX_PATH_BYTES {
            return None;
        }
        names.push(name);
        dir = *parent;
    }
    names.reverse();
    Some(format!("/{}", names.join("/")))
}
