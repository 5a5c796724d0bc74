//! Globs in paths of a volume.

use super::pick::matcher;
use kvfs::{Error, Follow};
use kvfs_host::{Files, FilesError};

/// Returns the paths that a path with globs means, sorted; the path itself if it has none, if there is one
/// of this very name, or if nothing matches. A name with a dot at its start is matched by a dot only.
pub(super) fn expand(files: &mut Files, path: &str) -> Result<Vec<String>, FilesError> {
    let itself = || vec![path.to_owned()];
    if !has_glob(path) || files.find(path, Follow::No)?.is_some() {
        return Ok(itself());
    }
    let mut found = vec![if path.starts_with('/') { "/".to_owned() } else { String::new() }];
    for part in path.split('/').filter(|part| !part.is_empty()) {
        // A name without a glob is looked for at the end.
        let matcher = match has_glob(part) {
            true => matcher(part, false).ok(),
            false => None,
        };
        let mut next = Vec::new();
        for directory in found {
            let Some(matcher) = &matcher else {
                next.push(joined(&directory, part));
                continue;
            };
            let entries = match files.list(&directory) {
                Ok(entries) => entries,
                Err(error) if is_no_directory(&error) => continue,
                Err(error) => return Err(error),
            };
            let names = entries.into_iter().map(|entry| entry.name);
            let names = names.filter(|name| part.starts_with('.') || !name.starts_with('.'));
            next.extend(names.filter(|name| matcher.is_match(name)).map(|name| joined(&directory, &name)));
        }
        found = next;
    }
    let mut there = Vec::new();
    for path in found {
        match files.find(&path, Follow::No) {
            Ok(Some(_)) => there.push(path),
            Ok(None) => {}
            Err(error) if is_no_directory(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(if there.is_empty() { itself() } else { there })
}

fn has_glob(text: &str) -> bool {
    text.contains(['*', '?', '[', '{'])
}

fn joined(directory: &str, name: &str) -> String {
    let slash = if directory.is_empty() || directory.ends_with('/') { "" } else { "/" };
    format!("{directory}{slash}{name}")
}

fn is_no_directory(error: &FilesError) -> bool {
    matches!(error.in_volume(), Some(Error::NoEntry | Error::NotDirectory | Error::Loop))
}
