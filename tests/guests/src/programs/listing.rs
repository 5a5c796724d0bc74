//! `read-directory` and `read-directory-entry`.

use crate::files::*;
use crate::say::{must, say};
use crate::wasi::Descriptor;

pub(super) fn entries(root: &Descriptor) {
    say("empty", list(root));
    drop(file(root, "file", b"content"));
    let dir = directory(root, "dir");
    drop(file(&dir, "inner", b"x"));
    symlink(root, "file", "link");
    symlink(root, "missing", "dangling");
    drop(file(root, ".hidden", b""));
    say("root", list(root));
    say("inner", list(&dir));
    let stream = must("stream", dir.read_directory());
    say("first", stream.read_directory_entry());
    say("end", stream.read_directory_entry());
    say("end again", stream.read_directory_entry());
}

pub(super) fn many_entries(root: &Descriptor) {
    let dir = directory(root, "dir");
    for i in 0..700 {
        drop(file(&dir, &format!("file-{i:03}"), b""));
    }
    let found = must("list", list(&dir));
    say("count", found.len());
    let expected = (0..700).map(|i| format!("file-{i:03}"));
    say("each once", found.iter().map(|entry| entry.name.clone()).eq(expected));
    // Two listings at once, at different positions.
    let one = must("stream", dir.read_directory());
    for _ in 0..500 {
        must("entry", one.read_directory_entry());
    }
    let other = must("list", list(&dir));
    say("a second one, meanwhile", other.len());
    let mut rest = 0;
    while must("entry", one.read_directory_entry()).is_some() {
        rest += 1;
    }
    say("rest of the first", rest as u32);
}

/// Names that exist throughout are listed once, whatever happens to others.
pub(super) fn changes_under_way(root: &Descriptor) {
    let dir = directory(root, "dir");
    for i in 0..300 {
        drop(file(&dir, &format!("file-{i:03}"), b""));
    }
    let stream = must("stream", dir.read_directory());
    let mut seen = Vec::new();
    while let Some(entry) = must("entry", stream.read_directory_entry()) {
        if seen.len() == 100 {
            for i in 150..300 {
                must("unlink", dir.unlink_file_at(&format!("file-{i:03}")));
            }
        }
        seen.push(entry.name);
    }
    seen.sort();
    let lasting: Vec<&String> = seen.iter().filter(|name| name.as_str() < "file-150").collect();
    let expected: Vec<String> = (0..150).map(|i| format!("file-{i:03}")).collect();
    say("lasting names, each once", lasting.into_iter().eq(expected.iter()));
    say("left", list(&dir).map(|entries| entries.len()));
    // A directory that is removed during its listing.
    let gone = directory(root, "gone");
    let stream = must("stream", gone.read_directory());
    must("rmdir", root.remove_directory_at("gone"));
    say("a removed directory", stream.read_directory_entry());
    say("listed after its removal", list(&gone));
    say("a file made in it", open(&gone, "new", CREATE, WRITE));
    say("a directory made in it", gone.create_directory_at("new"));
}

pub(super) fn errors(root: &Descriptor) {
    let file = file(root, "file", b"content");
    say("of a file", file.read_directory());
    drop(directory(root, "dir"));
    let dir = must("open", open(root, "dir", DIRECTORY, MUTATE));
    say("of a directory not opened to be read", list(&dir));
}
