//! Collects the names that files take from each other.

use crate::crates::{Crate, FileNo, ImportNo};
use crate::resolve::meaning;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::path::PathBuf;

/// A name that one file takes from another.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Tie {
    /// The file that names it, relative to the source directory.
    pub from: PathBuf,
    /// The file that defines it.
    pub to: PathBuf,
    /// The name where it is defined.
    pub name: String,
    /// The first line that names it.
    pub line: usize,
}

impl fmt::Display for Tie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, name, line } = self;
        write!(f, "  {}:{line} names {name}, which {} defines", from.display(), to.display())
    }
}

/// The first line of each name that one file takes from another.
pub(crate) type Names = BTreeMap<(FileNo, FileNo), BTreeMap<String, usize>>;

/// All names that files of `krate` take from each other.
pub(crate) fn ties(krate: &Crate) -> Names {
    let mut ties = Names::new();
    let mut add = |from: FileNo, line: usize, module, path: &[String]| {
        let meaning = meaning(krate, module, path);
        for item in meaning.items.iter().filter(|item| item.file != from) {
            let first = ties.entry((from, item.file)).or_default().entry(item.name.clone()).or_insert(line);
            *first = line.min(*first);
        }
        meaning.imports
    };

    // The files that reach an item through each import.
    let mut users: HashMap<ImportNo, HashSet<FileNo>> = HashMap::new();
    for reference in &krate.references {
        let file = krate.modules[reference.module].file;
        for import in add(file, reference.line, reference.module, &reference.path) {
            users.entry(import).or_default().insert(file);
        }
    }
    for (number, import) in krate.imports.iter().enumerate() {
        let file = krate.modules[import.module].file;
        for through in meaning(krate, import.module, &import.path).imports {
            if through != number {
                users.entry(through).or_default().insert(file);
            }
        }
    }
    for (number, import) in krate.imports.iter().enumerate() {
        let file = krate.modules[import.module].file;
        // An import that only other files use is a re-export, `pub` or not. One that nobody names
        // is a trait's, used for its methods.
        let for_itself = users.get(&number).is_none_or(|users| users.contains(&file));
        if !import.public && !import.glob && for_itself {
            add(file, import.line, import.module, &import.path);
        }
    }
    ties
}
