//! `kvfs diff --patch`: what it shows, and that patch(1) and git make the one tree of the other by it.

use super::kvfs;
use super::volume::{done, open};
use kvfs::{Access, At, Follow, Kind, OpenFlags, Options, Volume};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

const STORE: &str = "file:s";

/// Names that need quotes, and one that a terminal must not see.
const ODD: [&str; 3] = ["two words", "qu\"o\\te", "o\x1b[2J\u{202e}\td"];

fn change(path: &Path, call: &dyn Fn(&mut Tree)) {
    let (store, volumes) = open(path, STORE);
    let mut volume = volumes.open(Options::default()).unwrap();
    call(&mut Tree(&mut volume));
    volume.sync_all().unwrap();
    drop(volume);
    store.close().unwrap();
}

/// A volume that is being changed.
struct Tree<'v>(&'v mut Volume);

impl Tree<'_> {
    fn put(&mut self, path: &str, bytes: &[u8]) {
        let root = self.0.root().unwrap();
        let create = OpenFlags { create: true, truncate: true, ..OpenFlags::default() };
        let access = Access { write: true, ..Access::default() };
        let file = self.0.open_at(&root, path, Follow::No, create, access).unwrap();
        let mut at = 0;
        while at < bytes.len() {
            at += self.0.write(&file, At::Offset(at as u64), &bytes[at..]).unwrap();
        }
        self.0.close(file).unwrap();
        self.0.close(root).unwrap();
    }

    fn on_root(&mut self, call: impl FnOnce(&mut Volume, &kvfs::Descriptor) -> kvfs::Result<()>) {
        let root = self.0.root().unwrap();
        call(self.0, &root).unwrap();
        self.0.close(root).unwrap();
    }

    fn mkdir(&mut self, path: &str) {
        self.on_root(|volume, root| volume.create_directory_at(root, path));
    }

    fn link(&mut self, target: &str, path: &str) {
        self.on_root(|volume, root| volume.symlink_at(target, root, path));
    }

    fn rm(&mut self, path: &str) {
        self.on_root(|volume, root| volume.unlink_file_at(root, path));
    }

    fn mv(&mut self, from: &str, to: &str) {
        self.on_root(|volume, root| volume.rename_at(root, from, root, to));
    }
}

fn patch_of(directory: &Path, args: &[&str]) -> Output {
    let output = kvfs(directory, &[&["diff", "-p", "--store", STORE], args].concat());
    assert!(output.status.code().is_some_and(|code| code < 2), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
    output
}

fn text(directory: &Path, args: &[&str]) -> String {
    String::from_utf8(patch_of(directory, args).stdout).unwrap()
}

/// Writes the files and links of a volume into a directory of the host.
fn export(directory: &Path, name: &str, to: &Path) {
    fn one(volume: &mut Volume, path: &str, to: &Path) {
        std::fs::create_dir_all(to).unwrap();
        let root = volume.root().unwrap();
        let flags = OpenFlags { directory: true, ..OpenFlags::default() };
        let dir = volume
            .open_at(&root, path, Follow::No, flags, Access { read: true, ..Access::default() })
            .unwrap();
        let mut listing = volume.read_directory(&dir).unwrap();
        let mut entries = Vec::new();
        while let Some(entry) = volume.next_entry(&mut listing).unwrap() {
            entries.push((entry.name.to_string(), entry.kind));
        }
        volume.close_directory(listing).unwrap();
        for (name, kind) in entries {
            let (inner, to) = (format!("{path}/{name}"), to.join(&name));
            match kind {
                Kind::Directory => one(volume, &inner, &to),
                Kind::Symlink => {
                    std::os::unix::fs::symlink(volume.readlink_at(&root, &inner).unwrap(), to).unwrap();
                }
                Kind::File => {
                    let access = Access { read: true, ..Access::default() };
                    let file =
                        volume.open_at(&root, &inner, Follow::No, OpenFlags::default(), access).unwrap();
                    let mut bytes = Vec::new();
                    while volume.read(&file, bytes.len() as u64, 1 << 16, &mut bytes).unwrap() > 0 {}
                    volume.close(file).unwrap();
                    std::fs::write(to, bytes).unwrap();
                }
            }
        }
        volume.close(dir).unwrap();
        volume.close(root).unwrap();
    }
    let (_store, volumes) = open(directory, STORE);
    let mut volume = volumes.open(Options { volume: name.to_owned(), ..Options::default() }).unwrap();
    one(&mut volume, ".", to);
}

/// The files and links of a directory of the host, by path.
fn tree(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_symlink() {
            found.insert(
                name,
                [b"-> ", std::fs::read_link(&path).unwrap().to_str().unwrap().as_bytes()].concat(),
            );
        } else if path.is_dir() {
            found.extend(tree(&path).into_iter().map(|(inner, bytes)| (format!("{name}/{inner}"), bytes)));
        } else {
            found.insert(name, std::fs::read(&path).unwrap());
        }
    }
    found
}

/// Lines that patch must find the right place among.
fn long(changed: &[usize]) -> Vec<u8> {
    (0..200)
        .map(|n| if changed.contains(&n) { format!("changed {n}\n") } else { format!("line {n}\n") })
        .collect::<String>()
        .into_bytes()
}

/// Makes a volume `main`, a snapshot `then` of it, and changes that a patch can have: with `all`, also those
/// that patch(1) cannot make, of git's own patches neither. It removes no empty file, and puts no file in
/// the place of a directory.
fn prepared(path: &Path, all: bool) {
    done(path, &["create", "--store", STORE, "main"]);
    change(path, &|tree| {
        tree.mkdir("dir");
        tree.mkdir("dir/sub");
        tree.put("dir/kept", b"kept\n");
        tree.put("dir/sub/changed", b"one\ntwo\nthree\n");
        tree.put("dir/gone", b"gone\n");
        tree.put("long", &long(&[]));
        tree.put("no-end", b"a\nb");
        tree.put("gets-end", b"a\nb");
        tree.put("latin", b"caf\xe9\n");
        tree.put("old", b"same\n");
        tree.put("old-changed", &long(&[]));
        tree.put("removed", b"1\n2\n");
        tree.put("becomes-link", b"file\n");
        if all {
            tree.put("empty-removed", b"");
            tree.mkdir("becomes-file");
            tree.put("becomes-file/in", b"in\n");
            tree.put("becomes-dir", b"file\n");
        }
        tree.link("old", "link");
        tree.link("long", "link-removed");
        ODD.iter().for_each(|name| tree.put(name, b"odd\n"));
    });
    done(path, &["snapshot", "--store", STORE, "main", "then"]);
    change(path, &|tree| {
        tree.mv("dir", "moved");
        tree.put("moved/sub/changed", b"one\n2\nthree\n");
        tree.put("moved/new", b"new\n");
        tree.rm("moved/gone");
        tree.put("long", &long(&[3, 100, 104, 199]));
        tree.put("no-end", b"a\nc");
        tree.put("gets-end", b"a\nb\n");
        tree.put("latin", b"caf\xe8\n");
        tree.mv("old", "renamed");
        tree.mv("old-changed", "renamed-changed");
        tree.put("renamed-changed", &long(&[50]));
        tree.rm("removed");
        tree.put("added", b"added\nno end");
        tree.rm("becomes-link");
        tree.link("renamed", "becomes-link");
        if all {
            tree.rm("empty-removed");
            tree.put("empty-added", b"");
            tree.rm("becomes-file/in");
            tree.on_root(|volume, root| volume.remove_directory_at(root, "becomes-file"));
            tree.put("becomes-file", b"file\n");
            tree.rm("becomes-dir");
            tree.mkdir("becomes-dir");
            tree.put("becomes-dir/in", b"in\n");
        }
        tree.rm("link");
        tree.link("renamed", "link");
        tree.rm("link-removed");
        tree.link("nowhere", "link-added");
        ODD.iter().for_each(|name| tree.put(name, b"very\nodd\n"));
        tree.put(&format!("{}!", ODD[2]), b"odd and new\n");
    });
}

#[test]
fn patch_and_git_make_the_second_tree_of_the_first_one() {
    let git = ["git", "apply", "../the.patch"];
    let patch = ["patch", "-p1", "--no-backup-if-mismatch", "-i", "../the.patch"];
    for (program, all) in [(&git[..], true), (&patch, false)] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path();
        prepared(path, all);
        for (first, second) in [("then", "main"), ("main", "then")] {
            let patch = patch_of(path, &[first, second]).stdout;
            std::fs::write(path.join("the.patch"), &patch).unwrap();
            let (work, wanted) = (path.join(format!("of-{first}")), path.join(format!("wanted-{second}")));
            export(path, first, &work);
            export(path, second, &wanted);
            assert!(tree(&wanted).len() > 14, "{wanted:?}");
            let applied = Command::new(program[0])
                .args(&program[1..])
                .env("GIT_CEILING_DIRECTORIES", path)
                .current_dir(&work)
                .output()
                .unwrap();
            let shown = String::from_utf8_lossy(&patch);
            assert!(applied.status.success(), "{program:?} {first} {second}: {applied:?}\n{shown}");
            assert_eq!(tree(&work), tree(&wanted), "{program:?} {first} {second}\n{shown}");
        }
    }
}

#[test]
fn a_patch_reads_as_that_of_git() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    done(path, &["create", "--store", STORE, "main"]);
    change(path, &|tree| {
        tree.put("a", b"1\n2\n3\n");
        tree.put("b", b"b\n");
        tree.mkdir("gone");
    });
    done(path, &["snapshot", "--store", STORE, "main", "then"]);
    change(path, &|tree| {
        tree.put("a", b"1\n2\n4");
        tree.mv("b", "c");
        tree.put("o\x1b[2J", b"esc\x1b[2J\n");
        tree.on_root(|volume, root| volume.remove_directory_at(root, "gone"));
        tree.mkdir("made");
    });
    let expected = "diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -1,3 +1,3 @@\n 1\n 2\n-3\n+4\n\\ No newline at end of file\n\
        diff --git a/b b/c\nrename from b\nrename to c\n\
        Only in a: gone/\n\
        Only in b: made/\n\
        diff --git \"a/o\\033[2J\" \"b/o\\033[2J\"\nnew file mode 100644\n--- /dev/null\n+++ \"b/o\\033[2J\"\n\
        @@ -0,0 +1 @@\n+esc\x1b[2J\n";
    assert_eq!(text(path, &["then", "main"]), expected);
    assert_eq!(text(path, &["main", "main"]), "");
    let bare = text(path, &["-U0", "then", "main"]);
    assert!(bare.contains("+++ b/a\n@@ -3 +3 @@\n-3\n+4\n"), "{bare}");
    assert_eq!(patch_of(path, &["--exit-code", "then", "main"]).status.code(), Some(1));
    // A terminal shows the same, with nothing that it would act on but colours.
    let command = format!("{} diff -p --store {STORE} then main", env!("CARGO_BIN_EXE_kvfs"));
    let on_terminal = |no_colour: &str| {
        let output = Command::new("script")
            .args(["-qec", &command, "/dev/null"])
            .env("NO_COLOR", no_colour)
            .env("TERM", "xterm")
            .current_dir(path)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().replace("\r\n", "\n")
    };
    let coloured = on_terminal("");
    assert!(coloured.contains("\x1b[31m-3\x1b[0m\n\x1b[32m+4\x1b[0m\n"), "{coloured:?}");
    assert!(coloured.contains("\x1b[32m+esc\\u{1b}[2J\x1b[0m\n"), "{coloured:?}");
    assert!(!coloured.contains("\x1b[2J"), "{coloured:?}");
    let plain = on_terminal("1");
    assert!(plain.contains("+esc\\u{1b}[2J\n") && !plain.contains("\x1b[3"), "{plain:?}");
}

#[test]
fn binary_and_large_files_are_told_of() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    done(path, &["create", "--store", STORE, "main"]);
    let large = vec![b'x'; (8 << 20) + 1];
    change(path, &|tree| {
        tree.put("binary", b"a\0b");
        tree.put("large", b"small\n");
        tree.put("lines", b"few\n");
        tree.put("text", b"text\n");
    });
    done(path, &["snapshot", "--store", STORE, "main", "then"]);
    change(path, &|tree| {
        tree.put("binary", b"a\0c");
        tree.put("large", &large);
        tree.put("lines", &b"\n".repeat(500_001));
        tree.put("text", b"now\0binary\n");
    });
    let expected = "diff --git a/binary b/binary\nBinary files a/binary and b/binary differ\n\
        diff --git a/large b/large\nFiles a/large and b/large differ; not shown: 8388609 bytes are more than 8388608\n\
        diff --git a/lines b/lines\nFiles a/lines and b/lines differ; not shown: more than 500000 lines\n\
        diff --git a/text b/text\nBinary files a/text and b/text differ\n";
    assert_eq!(text(path, &["then", "main"]), expected);
}

#[test]
fn options_that_do_not_go_with_a_patch_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    done(dir.path(), &["create", "--store", STORE, "main"]);
    for args in [&["-p", "--json"][..], &["-p", "--stat"], &["-p", "-z"], &["-U1"], &["-p", "-U", "x"]] {
        let output = kvfs(dir.path(), &[&["diff", "--store", STORE], args, &["main", "main"]].concat());
        assert_eq!(output.status.code(), Some(2), "{args:?}: {output:?}");
    }
}
