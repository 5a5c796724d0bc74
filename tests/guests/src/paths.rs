//! Makes the runner's calls, each on the same small trees, and prints the outcome of each in the
//! format in which `tests/tests/paths/linux.py` prints the same calls on Linux.
//!
//! Standard input names two trees, `PATH=ITEMS`, and then one call per line: the directory where
//! paths start, a word and its paths. After a call that changed something, it prints both trees and
//! anything beside them, and makes everything anew.

use crate::files::*;
use crate::say::Shown;
use crate::wasi::bindings::wasi::clocks::wall_clock::Datetime;
use crate::wasi::bindings::wasi::filesystem::types::{DescriptorType, NewTimestamp};
use crate::wasi::{
    Context, Descriptor, DescriptorFlags, ErrorCode, OpenFlags, PathFlags, StreamError, print, stdin,
    stream_error,
};

/// Arguments: the directory for everything, and `kept` if the second tree exists already and takes
/// no changes.
pub(crate) fn run(root: Descriptor, arguments: &[String]) -> Result<(), String> {
    let [top, rest @ ..] = arguments else { return Err("no directory".to_owned()) };
    let kept = rest.first().is_some_and(|word| word == "kept");
    let _ = root.create_directory_at(top);
    let top = root.open_at(FOLLOW, top, DIRECTORY, READ | MUTATE).context(top)?;
    let _ = top.create_directory_at("m");
    let text = input()?;
    let mut lines = text.lines();
    let mut trees = Vec::new();
    for tree in lines.by_ref().take(2) {
        let (path, items) = tree.split_once('=').ok_or("no tree")?;
        if path == "o" || !kept {
            let _ = top.create_directory_at(path);
            let dir = top.open_at(FOLLOW, path, DIRECTORY, READ | MUTATE).context(path)?;
            clear(&dir).context(path)?;
            make(&dir, items).context(path)?;
            trees.push((dir, items));
        }
    }
    // The directories that hold the trees; nothing else may be in them.
    let mut around = vec![(top.open_at(FOLLOW, ".", DIRECTORY, READ | MUTATE).context(".")?, ["m", "o"])];
    if !kept {
        around.push((top.open_at(FOLLOW, "m", DIRECTORY, READ | MUTATE).context("m")?, ["w", "w"]));
    }
    for (dir, keep) in &around {
        clear_but(dir, keep).context("around")?;
    }
    let mut bases: Vec<(&str, Descriptor)> = Vec::new();
    let mut seen = String::new();
    for line in lines {
        let words: Vec<&str> = line.split(' ').collect();
        let [start, word, paths @ ..] = &words[..] else { return Err(format!("no call {line:?}")) };
        let known = bases.iter().position(|(known, _)| known == start);
        let base = match known {
            Some(known) => known,
            None => {
                bases.push((*start, top.open_at(FOLLOW, start, DIRECTORY, READ | MUTATE).context(start)?));
                bases.len() - 1
            }
        };
        match call(&bases[base].1, word, paths).ok_or_else(|| format!("no call {line:?}"))? {
            Err(code) => seen += &format!("error {}\n", code.shown()),
            Ok(answer) if changes_nothing(word) => seen += &format!("{answer}\n"),
            Ok(answer) => {
                seen += &answer;
                for (tree, items) in &trees {
                    let mut left = Vec::new();
                    list_all(tree, "", &mut left).context(line)?;
                    seen += &format!(" | {}", left.join(" "));
                    clear(tree).context(line)?;
                    make(tree, items).context(line)?;
                }
                for (dir, keep) in &around {
                    let beside = clear_but(dir, keep).context(line)?;
                    seen += &format!(" | {}", beside.join(" "));
                }
                seen.push('\n');
            }
        }
    }
    print(&seen)
}

fn input() -> Result<String, String> {
    let (stream, mut bytes) = (stdin(), Vec::new());
    loop {
        match stream.blocking_read(1 << 16) {
            Ok(more) => bytes.extend(more),
            Err(StreamError::Closed) => return String::from_utf8(bytes).map_err(|error| error.to_string()),
            Err(error) => return Err(stream_error(error)),
        }
    }
}

fn changes_nothing(word: &str) -> bool {
    matches!(word, "stat" | "lstat" | "readlink" | "open" | "open-nofollow" | "open-directory" | "open-write")
}

fn call(base: &Descriptor, word: &str, paths: &[&str]) -> Option<Result<String, ErrorCode>> {
    let path = *paths.first()?;
    let stat = |flags| base.stat_at(flags, path).map(|stat| kind(stat.type_));
    let open = |follow, how, flags| opened(base, follow, path, how, flags);
    let done = |outcome: Result<(), ErrorCode>| outcome.map(|()| "ok".to_owned());
    Some(match word {
        "stat" => stat(FOLLOW),
        "lstat" => stat(NO_FOLLOW),
        "readlink" => base.readlink_at(path),
        "open" => open(FOLLOW, PLAIN, READ),
        "open-nofollow" => open(NO_FOLLOW, PLAIN, READ),
        "open-directory" => open(FOLLOW, DIRECTORY, READ),
        "open-write" => open(FOLLOW, PLAIN, READ_WRITE),
        "open-truncate" => open(FOLLOW, TRUNCATE, READ_WRITE),
        "create" => open(FOLLOW, CREATE, READ_WRITE),
        "create-nofollow" => open(NO_FOLLOW, CREATE, READ_WRITE),
        "create-to-read" => open(FOLLOW, CREATE, READ),
        "create-truncate" => open(FOLLOW, CREATE | TRUNCATE, READ_WRITE),
        "exclusive" => open(FOLLOW, EXCLUSIVE, READ_WRITE),
        "set-times" => done(set_times(base, FOLLOW, path)),
        "set-times-nofollow" => done(set_times(base, NO_FOLLOW, path)),
        "mkdir" => done(base.create_directory_at(path)),
        "rmdir" => done(base.remove_directory_at(path)),
        "unlink" => done(base.unlink_file_at(path)),
        "symlink" => done(base.symlink_at("target", path)),
        "link" => done(base.link_at(NO_FOLLOW, path, base, paths.get(1)?)),
        "link-follow" => done(base.link_at(FOLLOW, path, base, paths.get(1)?)),
        "rename" => done(base.rename_at(path, base, paths.get(1)?)),
        _ => return None,
    })
}

fn kind(kind: DescriptorType) -> String {
    match kind {
        DescriptorType::Directory => "directory",
        DescriptorType::RegularFile => "file",
        DescriptorType::SymbolicLink => "link",
        _ => "other",
    }
    .to_owned()
}

fn opened(
    base: &Descriptor,
    follow: PathFlags,
    path: &str,
    how: OpenFlags,
    flags: DescriptorFlags,
) -> Result<String, ErrorCode> {
    base.open_at(follow, path, how, flags)?.get_type().map(kind)
}

fn set_times(base: &Descriptor, follow: PathFlags, path: &str) -> Result<(), ErrorCode> {
    let time = || NewTimestamp::Timestamp(Datetime { seconds: 1, nanoseconds: 0 });
    base.set_times_at(follow, path, time(), time())
}

/// Makes the named items: `d/` is a directory, `f` a file, `l>target` a symbolic link.
fn make(dir: &Descriptor, items: &str) -> Result<(), ErrorCode> {
    for item in items.split(' ') {
        match (item.split_once('>'), item.strip_suffix('/')) {
            (Some((name, target)), _) => dir.symlink_at(target, name)?,
            (None, Some(name)) => dir.create_directory_at(name)?,
            (None, None) => dir.open_at(NO_FOLLOW, item, EXCLUSIVE, WRITE).map(drop)?,
        }
    }
    Ok(())
}

fn list_all(dir: &Descriptor, above: &str, left: &mut Vec<String>) -> Result<(), ErrorCode> {
    for entry in list(dir)? {
        let name = &entry.name;
        match entry.type_ {
            DescriptorType::SymbolicLink => left.push(format!("{above}{name}>{}", dir.readlink_at(name)?)),
            DescriptorType::Directory => {
                left.push(format!("{above}{name}/"));
                let inner = dir.open_at(NO_FOLLOW, name, DIRECTORY, READ)?;
                list_all(&inner, &format!("{above}{name}/"), left)?;
            }
            _ => left.push(format!("{above}{name}")),
        }
    }
    Ok(())
}

fn clear(dir: &Descriptor) -> Result<(), ErrorCode> {
    clear_but(dir, &[]).map(drop)
}

/// Removes all names except `keep`, and returns the removed ones.
fn clear_but(dir: &Descriptor, keep: &[&str]) -> Result<Vec<String>, ErrorCode> {
    let mut removed = Vec::new();
    for entry in list(dir)? {
        if keep.contains(&entry.name.as_str()) {
            continue;
        }
        if matches!(entry.type_, DescriptorType::Directory) {
            clear(&dir.open_at(NO_FOLLOW, &entry.name, DIRECTORY, READ | MUTATE)?)?;
            dir.remove_directory_at(&entry.name)?;
        } else {
            dir.unlink_file_at(&entry.name)?;
        }
        removed.push(entry.name);
    }
    Ok(removed)
}
