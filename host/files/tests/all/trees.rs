//! Trees of the host.

use super::{files, open, quiet, seen};
use kvfs::{Follow, Kind, MemoryStore};
use kvfs_files::{FilesError, Loss, Report};
use std::ffi::OsStr;
use std::fs;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

fn make(root: &Path) {
    fs::create_dir_all(root.join("d/e")).unwrap();
    fs::write(root.join("d/f"), vec![3; 100_000]).unwrap();
    fs::write(root.join("d/empty"), b"").unwrap();
    fs::hard_link(root.join("d/f"), root.join("d/e/g")).unwrap();
    symlink("../d/f", root.join("d/s")).unwrap();
    symlink("/etc/passwd", root.join("absolute")).unwrap();
    let holes = fs::File::create(root.join("holes")).unwrap();
    holes.write_all_at(b"middle", 1 << 30).unwrap();
    holes.set_len(1 << 32).unwrap();
    let time = SystemTime::UNIX_EPOCH + Duration::new(1_000_000_000, 123_456_789);
    for path in ["d/f", "holes", "d/e"] {
        fs::File::open(root.join(path)).unwrap().set_modified(time).unwrap();
    }
}

/// Compares two trees of the host with `diff`, and times and links by hand.
fn check_same(one: &Path, other: &Path) {
    for path in ["d/f", "d/empty", "d/e/g", "d/s", "absolute", "holes", "d/e", "d", "."] {
        let (a, b) = (one.join(path), other.join(path));
        let (found, expected) = (fs::symlink_metadata(&b).unwrap(), fs::symlink_metadata(&a).unwrap());
        assert_eq!((found.mtime(), found.mtime_nsec()), (expected.mtime(), expected.mtime_nsec()), "{path}");
        assert_eq!(found.file_type(), expected.file_type(), "{path}");
        if !found.is_dir() {
            assert_eq!((found.len(), found.nlink()), (expected.len(), expected.nlink()), "{path}");
        }
        if found.is_symlink() {
            assert_eq!(fs::read_link(&b).unwrap(), fs::read_link(&a).unwrap());
        }
    }
    for path in ["d/f", "d/empty", "d/e/g"] {
        assert!(fs::read(one.join(path)).unwrap() == fs::read(other.join(path)).unwrap(), "{path}");
    }
    let holes = fs::File::open(other.join("holes")).unwrap();
    let mut bytes = [0; 8];
    holes.read_exact_at(&mut bytes, (1 << 30) - 1).unwrap();
    assert_eq!(&bytes, b"\0middle\0");
    assert!(holes.metadata().unwrap().blocks() < 1_000, "the holes were filled");
}

#[test]
fn a_tree_comes_back_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let (tree, out) = (dir.path().join("tree"), dir.path().join("out/deep"));
    make(&tree);
    let mut files = files();
    let report = files.import_tree(&tree, "/in/there", &mut quiet).unwrap();
    assert_eq!(
        (report.files, report.directories, report.symlinks, report.hard_links),
        (3, 2, 2, 1),
        "{report:?}"
    );
    assert!(report.bytes < 200_000, "holes were read: {report:?}");
    assert_eq!(report.lost().count(), 0, "{report:?}");
    let report = files.export_tree("in/there", &out, &mut quiet).unwrap();
    assert_eq!((report.files, report.symlinks, report.hard_links), (3, 2, 1));
    assert!(report.bytes < 200_000, "{report:?}");
    check_same(&tree, &out);

    // Again: nothing is written.
    let before = seen(&mut files, "in/there/d");
    let again = files.import_tree(&tree, "/in/there", &mut quiet).unwrap();
    assert_eq!((again.files, again.unchanged, again.bytes), (0, 6, 0), "{again:?}");
    assert_eq!(seen(&mut files, "in/there/d"), before);
    let again = files.export_tree("in/there", &out, &mut quiet).unwrap();
    assert_eq!((again.files, again.unchanged, again.bytes), (0, 6, 0), "{again:?}");
    check_same(&tree, &out);
}

#[test]
fn an_import_that_was_cut_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    for number in 0..500 {
        fs::write(dir.path().join(format!("f{number:03}")), format!("content {number}")).unwrap();
    }
    let store = MemoryStore::default();
    let mut one = open(&store);
    let stop = |report: &Report| match report.files {
        200 => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    let mut stop = stop;
    assert!(matches!(one.import_tree(dir.path(), "/", &mut stop), Err(FilesError::Stopped)));
    one.close().unwrap();
    let mut two = open(&store);
    let report = two.import_tree(dir.path(), "/", &mut quiet).unwrap();
    assert_eq!((report.unchanged, report.files), (200, 300));
    assert_eq!(two.read("f499", 99).unwrap(), b"content 499");
    // What has changed since is imported again.
    fs::write(dir.path().join("f001"), "other").unwrap();
    let report = two.import_tree(dir.path(), "/", &mut quiet).unwrap();
    assert_eq!((report.unchanged, report.files), (499, 1));
    assert_eq!(two.read("f001", 99).unwrap(), b"other");
}

#[test]
fn what_a_volume_cannot_hold_is_counted_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path();
    fs::write(tree.join("whole"), b"x").unwrap();
    fs::set_permissions(tree.join("whole"), fs::Permissions::from_mode(0o755)).unwrap();
    // Escaped, it is longer than a name may be.
    let long = [0xff; 52];
    fs::create_dir(tree.join(OsStr::from_bytes(&long))).unwrap();
    fs::write(tree.join(OsStr::from_bytes(&long)).join("inside"), b"x").unwrap();
    symlink(OsStr::from_bytes(&b"\xfe".repeat(900)), tree.join("link")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(tree.join("socket")).unwrap();
    let made = std::process::Command::new("mkfifo").arg(tree.join("pipe")).status().unwrap();
    assert!(made.success());
    let mut files = files();
    let report = files.import_tree(tree, "/", &mut quiet).unwrap();
    let lost: Vec<_> = report.lost().map(|(loss, lost)| (loss, lost.count, lost.named.join(" "))).collect();
    assert_eq!(
        lost,
        [
            (Loss::Pipes, 1, "pipe".to_owned()),
            (Loss::Sockets, 1, "socket".to_owned()),
            (Loss::Names, 1, r"\xff".repeat(52)),
            (Loss::Targets, 1, "link".to_owned()),
            (Loss::Modes, 1, "whole".to_owned()),
        ]
    );
    assert_eq!(report.left_out(), 4);
    let names: Vec<_> = files.list("/").unwrap().into_iter().map(|entry| entry.name).collect();
    assert_eq!(names, ["whole"]);
}

/// Links that lie where an export goes, and links in the volume, lead nowhere.
#[test]
fn an_export_touches_nothing_outside() {
    let dir = tempfile::tempdir().unwrap();
    let (out, outside) = (dir.path().join("out"), dir.path().join("outside"));
    fs::create_dir_all(&out).unwrap();
    fs::create_dir_all(&outside).unwrap();
    fs::write(outside.join("f"), b"keep").unwrap();
    let mut files = files();
    files.make_directories("d").unwrap();
    files.write("d/f", b"new").unwrap();
    files.write("g", b"new").unwrap();
    symlink(outside.join("f"), out.join("g")).unwrap();
    symlink(&outside, out.join("d")).unwrap();
    let error = files.export_tree("/", &out, &mut quiet).unwrap_err();
    assert!(matches!(error, FilesError::Host { .. }), "{error}");
    assert_eq!(fs::read(outside.join("f")).unwrap(), b"keep");
    fs::remove_file(out.join("d")).unwrap();
    files.export_tree("/", &out, &mut quiet).unwrap();
    assert_eq!(fs::read(outside.join("f")).unwrap(), b"keep");
    assert_eq!(fs::read(out.join("g")).unwrap(), b"new");
    assert_eq!(fs::read(out.join("d/f")).unwrap(), b"new");
    // A file where a directory is to be is no reason to remove what is in it.
    fs::remove_file(out.join("g")).unwrap();
    fs::create_dir(out.join("g")).unwrap();
    assert!(files.export_tree("/", &out, &mut quiet).is_err());
    assert!(out.join("g").is_dir());
}

#[test]
fn deep_trees_are_exported_with_few_files_open() {
    let dir = tempfile::tempdir().unwrap();
    let mut files = files();
    let path = vec!["d"; 300].join("/");
    files.make_directories(&path).unwrap();
    files.write(&format!("{path}/leaf"), b"x").unwrap();
    files.write("d/after", b"x").unwrap();
    files.export_tree("/", dir.path(), &mut quiet).unwrap();
    assert_eq!(fs::read(dir.path().join(path).join("leaf")).unwrap(), b"x");
    assert_eq!(fs::read(dir.path().join("d/after")).unwrap(), b"x");
}

#[test]
fn an_import_replaces_what_is_in_its_way_but_no_directory() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("f"), b"new").unwrap();
    fs::create_dir(dir.path().join("d")).unwrap();
    let mut files = files();
    files.write("target", b"keep").unwrap();
    files.symlink("target", "f").unwrap();
    files.write("d", b"a file").unwrap();
    files.import_tree(dir.path(), "/", &mut quiet).unwrap();
    assert_eq!(files.read("target", 9).unwrap(), b"keep");
    assert_eq!(files.read("f", 9).unwrap(), b"new");
    assert_eq!(files.stat("d", Follow::No).unwrap().kind, Kind::Directory);
    files.remove("f").unwrap();
    files.make_directories("f/inside").unwrap();
    let error = files.import_tree(dir.path(), "/", &mut quiet).unwrap_err();
    assert!(error.to_string().contains("directory"), "{error}");
    assert!(files.find("f/inside", Follow::No).unwrap().is_some());
}
