//! `set-times`, `set-times-at`, and what other operations do to times.

use crate::files::*;
use crate::say::{Shown, must, say};
use crate::wasi::bindings::wasi::clocks::wall_clock::{self, Datetime};
use crate::wasi::bindings::wasi::filesystem::types::{DescriptorStat, NewTimestamp};
use crate::wasi::{Descriptor, ErrorCode};

const OLD: NewTimestamp =
    NewTimestamp::Timestamp(Datetime { seconds: 1_000_000_000, nanoseconds: 123_456_789 });
const OLDER: NewTimestamp = NewTimestamp::Timestamp(Datetime { seconds: 500_000_000, nanoseconds: 0 });

/// Shows a time that is within two seconds of now as `now` (a file system's clock may lag), and any
/// other time exactly.
fn shown(time: Option<Datetime>) -> String {
    let Some(time) = time else { return "none".to_owned() };
    let now = wall_clock::now().seconds;
    if now.abs_diff(time.seconds) <= 2 {
        return "now".to_owned();
    }
    format!("{}.{:09}", time.seconds, time.nanoseconds)
}

fn say_times(label: &str, stat: Result<DescriptorStat, ErrorCode>) {
    say(
        label,
        stat.map(|stat| {
            let (access, modification) = (stat.data_access_timestamp, stat.data_modification_timestamp);
            format!("accessed {}, modified {}", shown(access), shown(modification))
        }),
    );
}

pub(super) fn set(root: &Descriptor) {
    let file = file(root, "file", b"content");
    say("both", file.set_times(OLD, OLDER));
    say_times("both set", file.stat());
    say("one", file.set_times(NewTimestamp::NoChange, OLD));
    say_times("one set", file.stat());
    say("none", file.set_times(NewTimestamp::NoChange, NewTimestamp::NoChange));
    say_times("none set", file.stat());
    say("now", file.set_times(NewTimestamp::Now, NewTimestamp::Now));
    say_times("set to now", file.stat());
    let zero = NewTimestamp::Timestamp(Datetime { seconds: 0, nanoseconds: 0 });
    say("the beginning", file.set_times(zero, zero));
    say_times("set to the beginning", file.stat());
    let dir = directory(root, "dir");
    say("a directory", dir.set_times(OLDER, OLD));
    say_times("a directory's", dir.stat());
}

pub(super) fn set_at(root: &Descriptor) {
    drop(file(root, "file", b"content"));
    drop(directory(root, "dir"));
    say("file", root.set_times_at(NO_FOLLOW, "file", OLD, OLDER));
    say_times("the file's", root.stat_at(NO_FOLLOW, "file"));
    say("directory", root.set_times_at(NO_FOLLOW, "dir", NewTimestamp::NoChange, OLDER));
    say(
        "the directory's",
        root.stat_at(NO_FOLLOW, "dir").map(|stat| shown(stat.data_modification_timestamp)),
    );
    say("itself", root.set_times_at(NO_FOLLOW, ".", OLD, OLD));
    say_times("its own", root.stat());
    say("missing", root.set_times_at(NO_FOLLOW, "missing", OLD, OLD));
    say("outside", root.set_times_at(NO_FOLLOW, "../x", OLD, OLD));
    say("file with a slash", root.set_times_at(NO_FOLLOW, "file/", OLD, OLD));
}

pub(super) fn through_links(root: &Descriptor) {
    drop(file(root, "file", b"content"));
    symlink(root, "file", "link");
    symlink(root, "missing", "dangling");
    must("times", root.set_times_at(NO_FOLLOW, "file", OLDER, OLDER));
    say("the link", root.set_times_at(NO_FOLLOW, "link", OLD, OLD));
    say("the link's", root.stat_at(NO_FOLLOW, "link").map(|stat| shown(stat.data_modification_timestamp)));
    say_times("the file's, untouched", root.stat_at(FOLLOW, "link"));
    say("followed", root.set_times_at(FOLLOW, "link", OLD, OLD));
    say_times("the file's", root.stat_at(FOLLOW, "link"));
    say("dangling, followed", root.set_times_at(FOLLOW, "dangling", OLD, OLD));
    say("dangling", root.set_times_at(NO_FOLLOW, "dangling", OLD, OLD));
}

pub(super) fn errors(root: &Descriptor) {
    let file = file(root, "file", b"content");
    must("times", file.set_times(OLD, OLD));
    let at = |seconds, nanoseconds| NewTimestamp::Timestamp(Datetime { seconds, nanoseconds });
    say("no second", file.set_times(at(u64::MAX, 0), NewTimestamp::NoChange));
    say("more than a second of nanoseconds", file.set_times(at(1, 1_000_000_000), NewTimestamp::NoChange));
    say("as many as fit", file.set_times(at(1, u32::MAX), NewTimestamp::NoChange));
    say_times("after", file.stat());
    let read_only = must("open", open(root, "file", PLAIN, READ));
    say("not opened to write", read_only.set_times(OLDER, OLDER));
    say_times("after that", file.stat());
}

/// Shows which operations set a modification time to now.
pub(super) fn moved_by_operations(root: &Descriptor) {
    let dir = directory(root, "dir");
    let file = file(&dir, "file", b"content");
    let step = |label: &str, outcome: &dyn Shown| {
        say(label, outcome.shown());
        let modified = |of: &Descriptor| shown(must("stat", of.stat()).data_modification_timestamp);
        say(&format!("{label}, times"), format!("file {}, directory {}", modified(&file), modified(&dir)));
        must("times", file.set_times(OLD, OLD));
        must("times", dir.set_times(OLD, OLD));
    };
    step("created", &());
    step("read", &file.read(4, 0));
    step("write", &file.write(b"x", 0));
    step("write of nothing", &file.write(b"", 0));
    step("set-size to another", &file.set_size(3));
    step("set-size to the same", &file.set_size(3));
    step("open", &open(&dir, "file", PLAIN, READ_WRITE));
    step("open and truncate", &open(&dir, "file", TRUNCATE, WRITE));
    step("stream write", &file.write_via_stream(0).map(|stream| stream.blocking_write_and_flush(b"abc")));
    step("link", &dir.link_at(NO_FOLLOW, "file", &dir, "second"));
    step("rename", &dir.rename_at("second", &dir, "third"));
    step("rename onto itself", &dir.rename_at("third", &dir, "file"));
    step("unlink", &dir.unlink_file_at("third"));
    step("mkdir", &dir.create_directory_at("inner"));
    step("rmdir", &dir.remove_directory_at("inner"));
    step("symlink", &dir.symlink_at("x", "link"));
    step("failed create", &dir.create_directory_at("file"));
    step("sync", &file.sync());
}
