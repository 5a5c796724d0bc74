//! The floors of a crate: declared by its files, or else computed from its ties.

use crate::circles::Graph;
use crate::crates::{Crate, FileNo, ModuleNo};
use std::collections::{BTreeMap, BTreeSet};

/// Returns whether `from` lies on a floor below that of `to`.
///
/// The floors of the innermost module above both files count.
pub(crate) fn rises(krate: &Crate, from: FileNo, to: FileNo) -> bool {
    let from = krate.ancestry(krate.files[from].module);
    let to = krate.ancestry(krate.files[to].module);
    let shared = from.iter().zip(&to).take_while(|(from, to)| from == to).count();
    // One file may declare the other, and roots share nothing.
    let (Some(&from), Some(&to)) = (from.get(shared), to.get(shared)) else { return false };
    match (floor_of(krate, from), floor_of(krate, to)) {
        (Some(from), Some(to)) => from < to,
        _ => false,
    }
}

/// The floor of `module` among those that its parent's file declares, from the ground up.
fn floor_of(krate: &Crate, module: ModuleNo) -> Option<usize> {
    let parent = krate.parent(module)?;
    let floors = &krate.files[krate.modules[parent].file].floors;
    floors.iter().position(|floor| floor.modules.contains(&module))
}

/// Computes the floor of each file: one above the highest that it names. Files of a circle share
/// one.
pub(crate) fn heights(graph: &Graph, circles: &[BTreeSet<FileNo>]) -> BTreeMap<FileNo, usize> {
    let mut heights: BTreeMap<FileNo, usize> = graph.keys().map(|&file| (file, 0)).collect();
    let circle_of = |file: FileNo| circles.iter().position(|circle| circle.contains(&file));
    // A path without circles is no longer than the number of files.
    for _ in graph {
        for (&file, named) in graph {
            for &other in named {
                let joined = circle_of(file).is_some() && circle_of(file) == circle_of(other);
                let least = heights[&other] + usize::from(!joined);
                if heights[&file] < least {
                    heights.insert(file, least);
                }
            }
        }
    }
    heights
}
