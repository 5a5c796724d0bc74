//! The floors of a crate: those that its files declare, or else those that its ties give.

use crate::circles::Graph;
use crate::crates::{Crate, FileNo, ModuleNo};
use std::collections::{BTreeMap, BTreeSet};

/// Whether `from` lies on a floor below that of `to`.
///
/// The floors that count are those of the innermost module that has both below it.
pub(crate) fn rises(krate: &Crate, from: FileNo, to: FileNo) -> bool {
    let from = krate.line_of(krate.files[from].module);
    let to = krate.line_of(krate.files[to].module);
    let shared = from.iter().zip(&to).take_while(|(from, to)| from == to).count();
    // One of them may declare the other, and roots share nothing.
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

/// The floor of each file by its ties: one above the highest that it names. Files of a circle share one.
pub(crate) fn heights(graph: &Graph, circles: &[BTreeSet<FileNo>]) -> BTreeMap<FileNo, usize> {
    let mut heights: BTreeMap<FileNo, usize> = graph.keys().map(|&file| (file, 0)).collect();
    let circle_of = |file: FileNo| circles.iter().position(|circle| circle.contains(&file));
    // A way without circles is no longer than there are files.
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
