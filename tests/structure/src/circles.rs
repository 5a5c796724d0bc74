//! Finds files that name each other, directly or through others.

use crate::crates::FileNo;
use crate::ties::Tie;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

/// Files of which each leads to every other, and the names that tie them.
#[derive(Debug)]
pub struct Circle {
    /// Sorted, relative to the source directory.
    pub files: Vec<PathBuf>,
    /// Sorted by file.
    pub ties: Vec<Tie>,
}

/// Which files each file names.
pub(crate) type Graph = BTreeMap<FileNo, BTreeSet<FileNo>>;

/// The groups of files that lead to each other.
pub(crate) fn circles(graph: &Graph) -> Vec<BTreeSet<FileNo>> {
    let reached: BTreeMap<FileNo, BTreeSet<FileNo>> =
        graph.keys().map(|&file| (file, reached_from(graph, file))).collect();
    let mut circles: Vec<BTreeSet<FileNo>> = Vec::new();
    for (&file, reach) in &reached {
        if !reach.contains(&file) || circles.iter().any(|circle| circle.contains(&file)) {
            continue;
        }
        circles.push(reach.iter().copied().filter(|other| reached[other].contains(&file)).collect());
    }
    circles
}

/// The files that `start` leads to: itself only if it is in a circle.
fn reached_from(graph: &Graph, start: FileNo) -> BTreeSet<FileNo> {
    let mut reached = BTreeSet::new();
    let mut next = vec![start];
    while let Some(file) = next.pop() {
        let unseen = graph[&file].iter().copied().filter(|&other| reached.insert(other));
        next.extend(unseen.collect::<Vec<_>>());
    }
    reached
}

impl fmt::Display for Circle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} files name each other:", self.files.len())?;
        let mut pairs: BTreeMap<(&Path, &Path), Vec<String>> = BTreeMap::new();
        for Tie { from, to, name, line } in &self.ties {
            pairs.entry((from, to)).or_default().push(format!("{name} (line {line})"));
        }
        for ((from, to), names) in pairs {
            writeln!(f, "  {} names what {} defines: {}", from.display(), to.display(), names.join(", "))?;
        }
        write!(
            f,
            "Open the circle: move what both sides need into a file below them, or move the code that \
             names the upper file up to it."
        )
    }
}
