//! The standard library of CPython, as files.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use kvfs_tests::{Program, engine};

/// Writes the sources that the interpreter carries.
const UNPACK: &str = "
import os, zlib
from kvfs_python.library import library
for file, _, source in library.files.values():
    path = os.path.join('/', os.path.relpath(file, '/python'))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'wb') as out:
        out.write(zlib.decompress(source))
";

/// What lies below a directory, by paths without a slash in front.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    /// Directories, each before what is in it.
    pub(crate) directories: Vec<String>,
    /// Files.
    pub(crate) files: Vec<String>,
}

/// Makes the directory `to`, with the library that a component of CPython carries.
///
/// # Errors
/// The system's, with the path; a component that carries none.
pub(crate) fn unpack(component: &Path, to: &Path) -> Result<()> {
    fs::create_dir(to).with_context(|| to.display().to_string())?;
    let bytes = fs::read(component).with_context(|| component.display().to_string())?;
    let component = engine::compile(engine::plain(), &bytes)?;
    let output = Program::new(&component).host_files(to).args(["-c", UNPACK]).run()?;
    ensure!(output.code == Some(0), "the library was not unpacked: {output:#?}");
    Ok(())
}

/// Lists a directory, in the order of the names.
///
/// # Errors
/// The system's, with the path; a name that is no text.
pub(crate) fn files(dir: &Path) -> Result<Tree> {
    let mut tree = Tree::default();
    add(dir, "", &mut tree)?;
    ensure!(!tree.files.is_empty(), "{} has no files", dir.display());
    Ok(tree)
}

fn add(dir: &Path, below: &str, tree: &mut Tree) -> Result<()> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let entry = entry?;
        let name = entry.file_name();
        let name =
            name.to_str().with_context(|| format!("{} is no text", entry.path().display()))?.to_owned();
        names.push((name, entry.file_type()?.is_dir()));
    }
    names.sort();
    for (name, is_dir) in names {
        let path = if below.is_empty() { name.clone() } else { format!("{below}/{name}") };
        if is_dir {
            tree.directories.push(path.clone());
            add(&dir.join(&name), &path, tree)?;
        } else {
            tree.files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_come_before_what_is_in_them() {
        let dir = tempfile::tempdir().unwrap();
        assert!(files(dir.path()).is_err());
        fs::create_dir_all(dir.path().join("b/c")).unwrap();
        for file in ["a", "b/c/d", "b/e"] {
            fs::write(dir.path().join(file), "x").unwrap();
        }
        let tree = files(dir.path()).unwrap();
        assert_eq!(
            (tree.directories, tree.files),
            (vec!["b".into(), "b/c".into()], vec!["a".into(), "b/c/d".into(), "b/e".into()])
        );
        assert!(unpack(&dir.path().join("none"), &dir.path().join("to")).is_err());
    }
}
