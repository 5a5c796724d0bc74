//! Runs steps that the runner chooses. Each argument is a step, a word and its paths; each prints
//! its outcome.

use crate::files::*;
use crate::say::{Bytes, Shown, say};
use crate::wasi::bindings::wasi::filesystem::types::NewTimestamp;
use crate::wasi::{Descriptor, ErrorCode, InputStream, OutputStream, StreamError};

/// Runs the steps. Paths start at `root`; `in DIR` makes the paths of later steps start at that
/// directory.
pub(crate) fn run(root: Descriptor, steps: &[String]) -> Result<(), String> {
    let mut base = root;
    for step in steps {
        let words: Vec<&str> = step.split(' ').collect();
        if let ["in", path] = words[..] {
            let opened = base.open_at(FOLLOW, path, DIRECTORY, READ | MUTATE);
            say(step, opened.as_ref().map(drop).map_err(|code| *code));
            base = opened.map_err(|_| format!("no directory {path}"))?;
            continue;
        }
        let seen = take(&base, &words).ok_or_else(|| format!("no step `{step}`"))?;
        say(step, seen);
    }
    Ok(())
}

fn take(base: &Descriptor, words: &[&str]) -> Option<String> {
    Some(match *words {
        ["ls", path] => base.open_at(FOLLOW, path, DIRECTORY, READ).and_then(|dir| list(&dir)).shown(),
        ["ls-opened", path] => base.open_at(FOLLOW, path, PLAIN, READ).and_then(|file| list(&file)).shown(),
        ["stat-from", start, path] => {
            let start = base.open_at(FOLLOW, start, PLAIN, READ);
            start.and_then(|start| start.stat_at(FOLLOW, path)).map(|stat| stat.type_).shown()
        }
        ["make-directory-by-open", path] => base.open_at(FOLLOW, path, CREATE | DIRECTORY, READ).shown(),
        ["cat", path] => bytes_at(base, path).shown(),
        ["read", path] => base
            .open_at(FOLLOW, path, PLAIN, READ)
            .and_then(|file| file.read_via_stream(0))
            .map(|stream| stream.blocking_read(1 << 16).map(Bytes).shown())
            .shown(),
        ["stat", path] => base.stat_at(NO_FOLLOW, path).map(|stat| stat.type_).shown(),
        ["size", path] => base.stat_at(FOLLOW, path).map(|stat| stat.size).shown(),
        ["names", path] => base.stat_at(NO_FOLLOW, path).map(|stat| stat.link_count).shown(),
        ["time", path] => {
            let time = base.stat_at(NO_FOLLOW, path).map(|stat| stat.data_modification_timestamp);
            time.map(|time| time.map(|time| time.seconds)).shown()
        }
        ["set-time", path] => {
            base.set_times_at(NO_FOLLOW, path, NewTimestamp::NoChange, NewTimestamp::Now).shown()
        }
        ["readlink", path] => base.readlink_at(path).shown(),
        ["open", path] => base.open_at(FOLLOW, path, PLAIN, READ).shown(),
        ["open-to-write", path] => base.open_at(FOLLOW, path, PLAIN, READ_WRITE).shown(),
        ["open-to-change", path] => base.open_at(FOLLOW, path, DIRECTORY, READ | MUTATE).shown(),
        ["write-as-reader", path] => write_as_reader(base, path).shown(),
        ["exclusive", path] => base.open_at(FOLLOW, path, EXCLUSIVE, WRITE).shown(),
        ["truncate", path] => base.open_at(FOLLOW, path, TRUNCATE, WRITE).shown(),
        ["create", path] => base.open_at(NO_FOLLOW, path, EXCLUSIVE, WRITE).shown(),
        ["write", path, text] => write(base, path, text, 0).shown(),
        ["overwrite", path, at, text] => write(base, path, text, at.parse().ok()?).shown(),
        ["append", path, text] => {
            let stream = base.open_at(FOLLOW, path, CREATE, WRITE).and_then(|file| file.append_via_stream());
            stream.map(|stream| write_to(&stream, text).shown()).shown()
        }
        ["resize", path, size] => {
            let size = size.parse().ok()?;
            base.open_at(FOLLOW, path, PLAIN, WRITE).and_then(|file| file.set_size(size)).shown()
        }
        ["read-grow-read", path, text] => read_grow_read(base, path, text).shown(),
        ["copy", from, to] => copy(base, from, to).shown(),
        ["splice", from, to] => splice(base, from, to)?,
        ["mkdir", path] => base.create_directory_at(path).shown(),
        ["rmdir", path] => base.remove_directory_at(path).shown(),
        ["rm", path] => base.unlink_file_at(path).shown(),
        ["mv", from, to] => base.rename_at(from, base, to).shown(),
        ["ln", from, to] => base.link_at(NO_FOLLOW, from, base, to).shown(),
        ["symlink", target, path] => base.symlink_at(target, path).shown(),
        ["sync", path] => base.open_at(FOLLOW, path, PLAIN, READ).and_then(|file| file.sync()).shown(),
        ["flags", path] => base.open_at(FOLLOW, path, PLAIN, READ).and_then(|file| file.get_flags()).shown(),
        ["same", one, other] => same(base, one, other).shown(),
        ["same-inode", one, other] => {
            let inode = |path: &str| base.metadata_hash_at(NO_FOLLOW, path).map(|hash| hash.lower);
            inode(one).and_then(|one| Ok(one == inode(other)?)).shown()
        }
        _ => return None,
    })
}

fn write(base: &Descriptor, path: &str, text: &str, at: u64) -> Result<(), ErrorCode> {
    base.open_at(FOLLOW, path, CREATE, READ_WRITE)?.write(text.as_bytes(), at).map(drop)
}

fn write_to(stream: &OutputStream, text: &str) -> Result<(), StreamError> {
    stream.blocking_write_and_flush(text.as_bytes())
}

/// Copies by reading and writing, like `shutil.copy`.
fn copy(base: &Descriptor, from: &str, to: &str) -> Result<(), ErrorCode> {
    let bytes = bytes_at(base, from)?.0;
    let file = base.open_at(FOLLOW, to, CREATE | TRUNCATE, WRITE)?;
    let mut at = 0;
    while at < bytes.len() {
        at += file.write(&bytes[at..], at as u64)? as usize;
    }
    Ok(())
}

/// Reads a file to its end, writes behind the end through the same descriptor, then returns what
/// the old stream and a new one read.
fn read_grow_read(base: &Descriptor, path: &str, text: &str) -> Result<Vec<String>, ErrorCode> {
    let file = base.open_at(FOLLOW, path, PLAIN, READ_WRITE)?;
    let stream = file.read_via_stream(0)?;
    let mut end = 0;
    while let Ok(bytes) = stream.blocking_read(1 << 16) {
        end += bytes.len() as u64;
    }
    write_to(&file.write_via_stream(end)?, text).map_err(|_| ErrorCode::Io)?;
    let read = |stream: &InputStream| stream.blocking_read(1 << 16).map(Bytes).shown();
    Ok(vec![read(&stream), read(&file.read_via_stream(end)?)])
}

/// Moves bytes from stream to stream, between any file systems.
fn splice(base: &Descriptor, from: &str, to: &str) -> Option<String> {
    let source = base.open_at(FOLLOW, from, PLAIN, READ).ok()?.read_via_stream(0).ok()?;
    let target = base.open_at(FOLLOW, to, CREATE, WRITE).ok()?.write_via_stream(0).ok()?;
    let moved = target.blocking_splice(&source, 1 << 16);
    let end = target.blocking_flush();
    Some(format!("{} {}", moved.shown(), end.shown()))
}

fn same(base: &Descriptor, one: &str, other: &str) -> Result<bool, ErrorCode> {
    let open = |path: &str| base.open_at(NO_FOLLOW, path, PLAIN, READ);
    Ok(open(one)?.is_same_object(&open(other)?))
}

/// Opens a file for reading, with the flag that would create it, tries all ways to write to it, and
/// returns which ones worked.
fn write_as_reader(base: &Descriptor, path: &str) -> Result<Vec<bool>, ErrorCode> {
    let file = base.open_at(FOLLOW, path, CREATE, READ)?;
    let by_stream =
        |stream: Result<OutputStream, ErrorCode>| stream.is_ok_and(|it| write_to(&it, "x").is_ok());
    Ok(vec![
        file.write(b"x", 0).is_ok(),
        file.set_size(1).is_ok(),
        by_stream(file.write_via_stream(0)),
        by_stream(file.append_via_stream()),
    ])
}
