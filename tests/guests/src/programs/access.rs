//! A descriptor's rights, by how it was opened and on what.

use crate::files::*;
use crate::say::{Bytes, must, say};
use crate::wasi::bindings::wasi::filesystem::types::{Advice, NewTimestamp};
use crate::wasi::{Descriptor, DescriptorFlags, ErrorCode, InputStream, OutputStream};

/// Reads from a stream; making the stream or using it may fail.
fn first_read(stream: Result<InputStream, ErrorCode>) -> String {
    use crate::say::Shown;
    match stream {
        Ok(stream) => stream.blocking_read(4).map(Bytes).shown(),
        Err(code) => format!("refused {}", code.shown()),
    }
}

fn first_write(stream: Result<OutputStream, ErrorCode>) -> String {
    use crate::say::Shown;
    match stream {
        Ok(stream) => stream.blocking_write_and_flush(b"text").shown(),
        Err(code) => format!("refused {}", code.shown()),
    }
}

pub(super) fn read_only_file(root: &Descriptor) {
    drop(file(root, "file", b"content"));
    let file = must("open", open(root, "file", PLAIN, READ));
    say("read", file.read(4, 0));
    say("write", file.write(b"text", 0));
    say("read-via-stream", first_read(file.read_via_stream(0)));
    say("write-via-stream", first_write(file.write_via_stream(0)));
    say("append-via-stream", first_write(file.append_via_stream()));
    say("set-size", file.set_size(1));
    say("set-times", file.set_times(NewTimestamp::Now, NewTimestamp::Now));
    say("sync", file.sync());
    say("sync-data", file.sync_data());
    say("content", bytes_at(root, "file"));
}

pub(super) fn write_only_file(root: &Descriptor) {
    drop(file(root, "file", b"content"));
    let file = must("open", open(root, "file", PLAIN, WRITE));
    say("read", file.read(4, 0));
    say("write", file.write(b"text", 0));
    say("read-via-stream", first_read(file.read_via_stream(0)));
    say("write-via-stream", first_write(file.write_via_stream(1)));
    say("append-via-stream", first_write(file.append_via_stream()));
    say("set-size", file.set_size(9));
    say_stat("stat", file.stat());
    say("content", bytes_at(root, "file"));
}

/// Asks a directory that was opened only for reading for changes.
pub(super) fn read_only_directory(root: &Descriptor) {
    let own = directory(root, "dir");
    drop(file(&own, "file", b"content"));
    drop(directory(&own, "inner"));
    drop(own);
    let dir = must("open", open(root, "dir", DIRECTORY, READ));
    say("get-flags", dir.get_flags());
    say("list", list(&dir));
    say_stat("stat-at", dir.stat_at(NO_FOLLOW, "file"));
    say("open to read", open(&dir, "file", PLAIN, READ));
    say("open to write", open(&dir, "file", PLAIN, WRITE));
    say("create", open(&dir, "new", CREATE, WRITE));
    say("truncate", open(&dir, "file", TRUNCATE, WRITE));
    say("open inner for changes", open(&dir, "inner", DIRECTORY, READ | MUTATE));
    say("create-directory-at", dir.create_directory_at("newdir"));
    say("symlink-at", dir.symlink_at("file", "link"));
    say("link-at", dir.link_at(NO_FOLLOW, "file", &dir, "second"));
    say("set-times-at", dir.set_times_at(NO_FOLLOW, "file", NewTimestamp::Now, NewTimestamp::Now));
    say("unlink-file-at", dir.unlink_file_at("file"));
    say("rename-at", dir.rename_at("second", &dir, "moved"));
    say("remove-directory-at", dir.remove_directory_at("inner"));
    say("list after", list(&dir));
}

/// Directory operations on a file.
pub(super) fn files_as_directories(root: &Descriptor) {
    let file = file(root, "file", b"content");
    say("get-type", file.get_type());
    say("open-at", open(&file, "x", PLAIN, READ));
    say_stat("stat-at", file.stat_at(NO_FOLLOW, "x"));
    say("read-directory", file.read_directory());
    say("create-directory-at", file.create_directory_at("x"));
    say("symlink-at", file.symlink_at("y", "x"));
    say("readlink-at", file.readlink_at("x"));
    say("link-at from", file.link_at(NO_FOLLOW, "x", root, "y"));
    say("link-at to", root.link_at(NO_FOLLOW, "file", &file, "y"));
    say("rename-at from", file.rename_at("x", root, "y"));
    say("rename-at to", root.rename_at("file", &file, "y"));
    say("set-times-at", file.set_times_at(NO_FOLLOW, "x", NewTimestamp::Now, NewTimestamp::Now));
    say("unlink-file-at", file.unlink_file_at("x"));
    say("remove-directory-at", file.remove_directory_at("x"));
    say("metadata-hash-at", file.metadata_hash_at(NO_FOLLOW, "x").map(drop));
}

/// File operations on a directory.
pub(super) fn directories_as_files(root: &Descriptor) {
    let dir = directory(root, "dir");
    say("get-type", dir.get_type());
    say("read", dir.read(4, 0));
    say("write", dir.write(b"text", 0));
    say("read-via-stream", first_read(dir.read_via_stream(0)));
    say("write-via-stream", first_write(dir.write_via_stream(0)));
    say("append-via-stream", first_write(dir.append_via_stream()));
    say("set-size", dir.set_size(1));
    say("advise", dir.advise(0, 1, Advice::Normal));
    say("sync", dir.sync());
    say("sync-data", dir.sync_data());
    say("set-times", dir.set_times(NewTimestamp::Now, NewTimestamp::Now));
    say_stat("stat", dir.stat());
}

/// The answer of get-flags for each way of opening.
pub(super) fn flags(root: &Descriptor) {
    say("root", root.get_flags());
    drop(file(root, "file", b"content"));
    drop(directory(root, "dir"));
    for (name, flags) in
        [("nothing", DescriptorFlags::empty()), ("read", READ), ("write", WRITE), ("both", READ_WRITE)]
    {
        say(&format!("file, {name}"), open(root, "file", PLAIN, flags).and_then(|file| file.get_flags()));
    }
    say("file, truncated", open(root, "file", TRUNCATE, WRITE).and_then(|file| file.get_flags()));
    say("file, created", open(root, "new", CREATE, READ_WRITE).and_then(|file| file.get_flags()));
    for (name, flags) in
        [("nothing", DescriptorFlags::empty()), ("read", READ), ("mutate", MUTATE), ("both", READ | MUTATE)]
    {
        say(
            &format!("directory, {name}"),
            open(root, "dir", DIRECTORY, flags).and_then(|dir| dir.get_flags()),
        );
    }
}
