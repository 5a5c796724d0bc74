//! The files that a module was made from, read from cargo's dep-info file beside it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::error::Error;

/// Lists the files named in the dep-info file, the manifest of each, and the workspace's manifest
/// and lock file.
pub(crate) fn inputs(dep_info: &Path, package_dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let text = std::fs::read_to_string(dep_info)
        .map_err(|source| Error::Io { what: dep_info.display().to_string(), source })?;
    let mut inputs: BTreeSet<PathBuf> = prerequisites(&text).into_iter().collect();
    let manifests: Vec<PathBuf> = inputs.iter().filter_map(|source| manifest_above(source)).collect();
    inputs.extend(manifests);
    for dir in package_dir.ancestors() {
        let lock = dir.join("Cargo.lock");
        if lock.exists() {
            inputs.extend([lock, dir.join("Cargo.toml")]);
            break;
        }
    }
    Ok(inputs.into_iter().collect())
}

fn manifest_above(source: &Path) -> Option<PathBuf> {
    source.ancestors().skip(1).map(|dir| dir.join("Cargo.toml")).find(|manifest| manifest.exists())
}

/// Reads the right side of the rule `module: file file …`, in which `\ ` stands for a blank in a
/// name.
fn prerequisites(text: &str) -> Vec<PathBuf> {
    let Some((_, right)) = text.lines().next().and_then(|line| line.split_once(": ")) else {
        return Vec::new();
    };
    let mut names = Vec::new();
    let mut name = String::new();
    let mut chars = right.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' if chars.peek() == Some(&' ') => {
                name.push(' ');
                chars.next();
            }
            ' ' => names.push(std::mem::take(&mut name)),
            c => name.push(c),
        }
    }
    names.push(name);
    names.into_iter().filter(|name| !name.is_empty()).map(PathBuf::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_in_names_are_kept() {
        let text = "/t/m.wasm: /src/my\\ dir/lib.rs /src/b.rs\n\n/src/b.rs:\n";
        assert_eq!(prerequisites(text), [PathBuf::from("/src/my dir/lib.rs"), PathBuf::from("/src/b.rs")]);
    }
}
