//! Reads the files of a crate, from its roots along `mod` declarations.

use crate::crates::{Crate, Entry, File, ModuleNo, Scope};
use crate::headings;
use crate::test_only::is_test_only;
use crate::walk::{self, Child};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Why sources cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// A file or directory cannot be read.
    #[error("cannot read {}", path.display())]
    File {
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// A file cannot be parsed.
    #[error("{}, line {}: not Rust", path.display(), source.span().start().line)]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What the parser says.
        #[source]
        source: syn::Error,
    },
    /// The directory has neither `lib.rs` nor `main.rs`.
    #[error("{} has neither lib.rs nor main.rs", dir.display())]
    NoRoot {
        /// The directory.
        dir: PathBuf,
    },
    /// A module has no file.
    #[error("{} declares the module {name}, which has no file", path.display())]
    NoModule {
        /// The file that declares the module.
        path: PathBuf,
        /// The module.
        name: String,
    },
}

/// Reads the library and the binaries whose sources are in `dir`.
pub(crate) fn read(dir: &Path) -> Result<Crate, ReadError> {
    let mut roots: Vec<PathBuf> =
        ["lib.rs", "main.rs"].into_iter().map(PathBuf::from).filter(|root| dir.join(root).exists()).collect();
    if dir.join("bin").exists() {
        let bins = files_below(&dir.join("bin"))?.into_iter().map(|bin| Path::new("bin").join(bin));
        roots.extend(bins.filter(|bin| bin.components().count() == 2 || bin.ends_with("main.rs")));
    }
    if roots.is_empty() {
        return Err(ReadError::NoRoot { dir: dir.to_owned() });
    }
    let mut krate = Crate::default();
    for root in roots {
        read_file(
            &mut krate,
            dir,
            Place { path: root, scope: Scope::Root, owns_dir: true, test_only: false },
        )?;
    }
    Ok(krate)
}

/// The Rust files below `dir`, relative to it and sorted.
pub(crate) fn files_below(dir: &Path) -> Result<Vec<PathBuf>, ReadError> {
    let failed = |source| ReadError::File { path: dir.to_owned(), source };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let name = PathBuf::from(entry.map_err(failed)?.file_name());
        let path = dir.join(&name);
        if path.is_dir() {
            found.extend(files_below(&path)?.into_iter().map(|below| name.join(below)));
        } else if name.extension().is_some_and(|extension| extension == "rs") {
            found.push(name);
        }
    }
    found.sort();
    Ok(found)
}

/// A file among the modules.
struct Place {
    /// Relative to the source directory.
    path: PathBuf,
    scope: Scope,
    /// Whether its modules lie beside it, as for `lib.rs` and `mod.rs`, not in a directory of its name.
    owns_dir: bool,
    test_only: bool,
}

/// Reads the file at `place` and those of its modules, in `dir`.
fn read_file(krate: &mut Crate, dir: &Path, place: Place) -> Result<ModuleNo, ReadError> {
    let full = dir.join(&place.path);
    let text =
        std::fs::read_to_string(&full).map_err(|source| ReadError::File { path: full.clone(), source })?;
    let syntax = syn::parse_file(&text).map_err(|source| ReadError::Syntax { path: full, source })?;

    let file = krate.files.len();
    let module = krate.add_module(file, place.scope);
    let test_only = place.test_only || is_test_only(&syntax.attrs);
    let summary = headings::summary(&syntax.attrs);
    krate.files.push(File { path: place.path.clone(), summary, module, test_only, floors: Vec::new() });

    let mut modules = HashMap::new();
    for child in walk::walk(krate, &syntax, module, test_only) {
        let place = place_of(&child, dir, &place)?;
        let module = read_file(krate, dir, place)?;
        if !child.test_only {
            modules.insert(child.line, module);
            krate.declare(child.declared_in, child.name, Entry::Module(module));
        }
    }
    krate.files[file].floors = headings::floors(&text, &syntax.items, &modules);
    Ok(module)
}

/// The file of a module that the file at `parent` declares.
fn place_of(child: &Child, dir: &Path, parent: &Place) -> Result<Place, ReadError> {
    let beside = parent.path.parent().unwrap_or(Path::new(""));
    let own = if parent.owns_dir { beside.to_owned() } else { parent.path.with_extension("") };
    let own = child.around.iter().fold(own, |dir, module| dir.join(module));
    let candidates = match &child.path_attribute {
        Some(told) if child.around.is_empty() => vec![(beside.join(told), true)],
        Some(told) => vec![(own.join(told), true)],
        None => vec![
            (own.join(format!("{}.rs", child.name)), false),
            (own.join(&child.name).join("mod.rs"), true),
        ],
    };
    match candidates.into_iter().find(|(path, _)| dir.join(path).exists()) {
        Some((path, owns_dir)) => {
            Ok(Place { path, scope: Scope::Module(child.parent), owns_dir, test_only: child.test_only })
        }
        None => Err(ReadError::NoModule { path: dir.join(&parent.path), name: child.name.clone() }),
    }
}
