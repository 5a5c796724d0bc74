//! The questions that can be asked of a crate's sources, and how its floors are printed.

use crate::circles::{self, Circle, Graph};
use crate::crates::{Crate, FileNo, ModuleNo};
use crate::floors;
use crate::read::{self, ReadError};
use crate::ties::{self, Names, Tie};
use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

/// The files of a crate and the names that they take from each other. Its `Display` lists the
/// floors, each file with the first sentence of its documentation.
pub struct Structure {
    krate: Crate,
    names: Names,
    unreached: Vec<PathBuf>,
}

impl Structure {
    /// Reads the sources in `dir`: a crate's `src`, with `lib.rs`, `main.rs` or both.
    ///
    /// # Errors
    ///
    /// If a file cannot be read or parsed, or a module has no file.
    pub fn read(dir: impl AsRef<Path>) -> Result<Self, ReadError> {
        let dir = dir.as_ref();
        let krate = read::read(dir)?;
        let reached: BTreeSet<&PathBuf> = krate.files.iter().map(|file| &file.path).collect();
        let unreached = read::files_below(dir)?.into_iter().filter(|file| !reached.contains(file)).collect();
        let names = ties::ties(&krate);
        Ok(Self { krate, names, unreached })
    }

    /// The files that are not for tests alone, relative to the source directory.
    pub fn files(&self) -> Vec<&Path> {
        self.numbers().map(|file| self.krate.files[file].path.as_path()).collect()
    }

    /// The files that no module declaration reaches, which were not read.
    pub fn unreached(&self) -> &[PathBuf] {
        &self.unreached
    }

    /// All names that files take from each other, sorted by file.
    pub fn ties(&self) -> Vec<Tie> {
        self.ties_where(|_, _| true)
    }

    /// The circles of files that name each other.
    pub fn circles(&self) -> Vec<Circle> {
        let circles = circles::circles(&self.graph());
        let circle = |files: &BTreeSet<FileNo>| {
            let mut paths: Vec<PathBuf> =
                files.iter().map(|&file| self.krate.files[file].path.clone()).collect();
            paths.sort();
            Circle {
                files: paths,
                ties: self.ties_where(|from, to| files.contains(&from) && files.contains(&to)),
            }
        };
        circles.iter().map(circle).collect()
    }

    /// The names that files take from a floor above their own. The order of `mod` lines declares
    /// the floors.
    pub fn rising(&self) -> Vec<Tie> {
        self.ties_where(|from, to| floors::rises(&self.krate, from, to))
    }

    /// The number of floors that the crate's root declares. A library's root counts before a
    /// binary's.
    pub fn declared_floors(&self) -> usize {
        self.krate.files.first().map_or(0, |root| root.floors.len())
    }

    fn numbers(&self) -> impl Iterator<Item = FileNo> {
        (0..self.krate.files.len()).filter(|&file| !self.krate.files[file].test_only)
    }

    fn graph(&self) -> Graph {
        let mut graph: Graph = self.numbers().map(|file| (file, BTreeSet::new())).collect();
        for &(from, to) in self.names.keys() {
            graph.entry(from).or_default().insert(to);
        }
        graph
    }

    fn ties_where(&self, wanted: impl Fn(FileNo, FileNo) -> bool) -> Vec<Tie> {
        let path = |file: FileNo| self.krate.files[file].path.clone();
        let pairs = self.names.iter().filter(|((from, to), _)| wanted(*from, *to));
        let mut ties: Vec<Tie> = pairs
            .flat_map(|(&(from, to), names)| {
                names.iter().map(move |(name, &line)| Tie {
                    from: path(from),
                    to: path(to),
                    name: name.clone(),
                    line,
                })
            })
            .collect();
        ties.sort();
        ties
    }

    /// Writes the file of `module` and, indented, the floors that it declares.
    fn write_module(&self, f: &mut fmt::Formatter<'_>, module: ModuleNo, depth: usize) -> fmt::Result {
        let file = &self.krate.files[self.krate.modules[module].file];
        let indent = "  ".repeat(depth);
        let path = file.path.display().to_string();
        writeln!(f, "{indent}{path:<width$} {}", file.summary, width = 34 - indent.len())?;
        for (number, floor) in file.floors.iter().enumerate() {
            if file.floors.len() > 1 {
                let name = if floor.name.is_empty() { String::new() } else { format!(": {}", floor.name) };
                writeln!(f, "{indent}  floor {number}{name}")?;
            }
            for &below in &floor.modules {
                self.write_module(f, below, depth + 1 + usize::from(file.floors.len() > 1))?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Structure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.declared_floors() > 1 {
            let roots = self.numbers().map(|file| self.krate.files[file].module);
            for root in roots.filter(|&module| self.krate.parent(module).is_none()) {
                self.write_module(f, root, 0)?;
            }
            return Ok(());
        }
        let graph = self.graph();
        let heights = floors::heights(&graph, &circles::circles(&graph));
        for floor in 0..=heights.values().copied().max().unwrap_or(0) {
            writeln!(f, "floor {floor}")?;
            for file in heights.iter().filter(|(_, height)| **height == floor).map(|(&file, _)| file) {
                let file = &self.krate.files[file];
                writeln!(f, "  {:<32} {}", file.path.display().to_string(), file.summary)?;
            }
        }
        Ok(())
    }
}
