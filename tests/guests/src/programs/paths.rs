//! The walk of a path.

use crate::files::*;
use crate::say::{must, say};
use crate::wasi::Descriptor;

fn tree(root: &Descriptor) -> Descriptor {
    let dir = directory(root, "dir");
    drop(file(root, "file", b"file"));
    drop(file(&dir, "inner", b"inner"));
    drop(directory(&dir, "deep"));
    dir
}

pub(super) fn dots(root: &Descriptor) {
    drop(tree(root));
    for path in [
        ".",
        "./file",
        "dir/.",
        "dir/./inner",
        "dir/..",
        "dir/../file",
        "dir/deep/../../file",
        "././dir/deep/.././inner",
    ] {
        say_stat(path, root.stat_at(NO_FOLLOW, path));
    }
    say_stat("by way of a missing name", root.stat_at(NO_FOLLOW, "missing/../file"));
    say_stat("by way of a file", root.stat_at(NO_FOLLOW, "file/../file"));
    say_stat("dot behind a file", root.stat_at(NO_FOLLOW, "file/."));
}

pub(super) fn escapes(root: &Descriptor) {
    let dir = tree(root);
    for path in ["..", "../x", "dir/../..", "dir/../../x", "/", "/file", "//file", "dir/../../dir/inner"] {
        say_stat(path, root.stat_at(NO_FOLLOW, path));
    }
    say_stat("from a directory inside", dir.stat_at(NO_FOLLOW, "../file"));
    say_stat("its own name, over its parent", dir.stat_at(NO_FOLLOW, "../dir/inner"));
    symlink(root, "..", "up");
    symlink(root, "dir/../..", "round");
    symlink(&dir, "../file", "inside");
    say_stat("link up, itself", root.stat_at(NO_FOLLOW, "up"));
    say_stat("link up, followed", root.stat_at(FOLLOW, "up"));
    say_stat("link up, on the way", root.stat_at(NO_FOLLOW, "up/x"));
    say_stat("link round, followed", root.stat_at(FOLLOW, "round"));
    say_stat("link that stays inside", root.stat_at(FOLLOW, "dir/inside"));
    say_stat("the same link, from a directory that it leaves", dir.stat_at(FOLLOW, "inside"));
}

pub(super) fn slashes(root: &Descriptor) {
    drop(tree(root));
    symlink(root, "dir", "to-dir");
    symlink(root, "file", "to-file");
    for path in [
        "dir/",
        "dir//",
        "dir//inner",
        "dir/inner/",
        "file/",
        "file//",
        "to-dir/",
        "to-dir/inner",
        "to-file/",
        "missing/",
    ] {
        say_stat(path, root.stat_at(NO_FOLLOW, path));
    }
}

pub(super) fn links_on_the_way(root: &Descriptor) {
    let dir = tree(root);
    symlink(root, "dir", "a");
    symlink(root, "a/deep", "b");
    symlink(&dir, "../b", "c");
    drop(file(&dir, "deep/bottom", b"bottom"));
    say("two links", bytes_at(root, "b/bottom"));
    say("three links", bytes_at(root, "dir/c/bottom"));
    say("link and dots", bytes_at(root, "b/../inner"));
    say("link to a directory, then dots", bytes_at(root, "a/../file"));
    say("link and slash in the target", {
        symlink(root, "dir/", "slashed");
        bytes_at(root, "slashed/inner")
    });
    symlink(root, "file/", "file-slashed");
    say("file with a slash in the target", bytes_at(root, "file-slashed"));
    symlink(root, "./dir/./inner", "dotted");
    say("dots in the target", bytes_at(root, "dotted"));
}

pub(super) fn loops(root: &Descriptor) {
    symlink(root, "self", "self");
    symlink(root, "two", "one");
    symlink(root, "one", "two");
    say_stat("itself", root.stat_at(NO_FOLLOW, "self"));
    say_stat("followed", root.stat_at(FOLLOW, "self"));
    say_stat("on the way", root.stat_at(NO_FOLLOW, "self/x"));
    say_stat("two that lead to each other", root.stat_at(FOLLOW, "one"));
    say("opened", root.open_at(FOLLOW, "one", PLAIN, READ));
    say("opened without following", open(root, "self", PLAIN, READ));
    say("created", root.open_at(FOLLOW, "one", CREATE, WRITE));
}

pub(super) fn depth_of_links(root: &Descriptor) {
    drop(file(root, "link-000", b"bottom"));
    for i in 1..=60 {
        symlink(root, &format!("link-{:03}", i - 1), &format!("link-{i:03}"));
    }
    for depth in [1, 10, 38, 39, 40, 41, 42, 60] {
        say(&format!("{depth} links"), bytes_at(root, &format!("link-{depth:03}")));
    }
}

pub(super) fn long_names(root: &Descriptor) {
    let longest = "n".repeat(255);
    let longer = "n".repeat(256);
    say("255 bytes", open(root, &longest, CREATE, WRITE));
    say("256 bytes", open(root, &longer, CREATE, WRITE));
    say_stat("looked for", root.stat_at(NO_FOLLOW, &longer));
    say_stat("on the way", root.stat_at(NO_FOLLOW, &format!("{longer}/x")));
    say("as a directory", root.create_directory_at(&longer));
    say("as a link", root.symlink_at("x", &longer));
    say("as a new name", root.rename_at(&longest, root, &longer));
    say("255 bytes of two each", open(root, &"é".repeat(127), CREATE, WRITE));
    say("256 bytes of two each", open(root, &"é".repeat(128), CREATE, WRITE));
    let path = "./".repeat(2047);
    say_stat("path of 4094 bytes", root.stat_at(NO_FOLLOW, &path));
    say_stat("path of 4095 bytes", root.stat_at(NO_FOLLOW, &format!("{path}.")));
    say_stat("path of 4096 bytes", root.stat_at(NO_FOLLOW, &format!("{path}./")));
    say_stat("path of 100,000 bytes", root.stat_at(NO_FOLLOW, &"./".repeat(50_000)));
}

pub(super) fn odd_names(root: &Descriptor) {
    let names = [
        "with space",
        "ünïcödé",
        "名前",
        "🗂",
        "new\nline",
        "tab\t",
        "\\back",
        "-dash",
        "...",
        "..x",
        "~",
        "*",
        "colon:",
        "\u{1}",
    ];
    for name in names {
        let label = name.escape_debug().to_string();
        say(&format!("create {label}"), open(root, name, EXCLUSIVE, WRITE));
    }
    say("NUL", open(root, "nul\0name", CREATE, WRITE));
    say_stat("NUL looked for", root.stat_at(NO_FOLLOW, "nul\0"));
    say("NUL in a target", root.symlink_at("tar\0get", "link"));
    // Two encodings of one letter are two names.
    say("composed", open(root, "\u{e9}", EXCLUSIVE, WRITE));
    say("decomposed", open(root, "e\u{301}", EXCLUSIVE, WRITE));
    say("upper case", open(root, "CASE", EXCLUSIVE, WRITE));
    say("lower case", open(root, "case", EXCLUSIVE, WRITE));
    let names = must("list", list(root)).into_iter().map(|entry| entry.name.escape_debug().to_string());
    say("list", names.collect::<Vec<_>>());
}

/// Passes through a file or a missing name, in every operation that takes a path.
pub(super) fn through_files(root: &Descriptor) {
    use crate::wasi::bindings::wasi::filesystem::types::NewTimestamp;
    drop(tree(root));
    for path in ["file/x", "missing/x"] {
        say(&format!("open-at {path}"), open(root, path, CREATE, WRITE));
        say_stat(&format!("stat-at {path}"), root.stat_at(NO_FOLLOW, path));
        say(&format!("create-directory-at {path}"), root.create_directory_at(path));
        say(&format!("remove-directory-at {path}"), root.remove_directory_at(path));
        say(&format!("unlink-file-at {path}"), root.unlink_file_at(path));
        say(&format!("symlink-at {path}"), root.symlink_at("x", path));
        say(&format!("readlink-at {path}"), root.readlink_at(path));
        say(&format!("link-at from {path}"), root.link_at(NO_FOLLOW, path, root, "new"));
        say(&format!("link-at to {path}"), root.link_at(NO_FOLLOW, "file", root, path));
        say(&format!("rename-at from {path}"), root.rename_at(path, root, "new"));
        say(&format!("rename-at to {path}"), root.rename_at("file", root, path));
        say(
            &format!("set-times-at {path}"),
            root.set_times_at(NO_FOLLOW, path, NewTimestamp::Now, NewTimestamp::Now),
        );
        say(&format!("metadata-hash-at {path}"), root.metadata_hash_at(NO_FOLLOW, path).map(drop));
    }
}
