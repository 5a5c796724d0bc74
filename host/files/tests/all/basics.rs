//! Single operations.

use super::{Noon, files, open, quiet, seen};
use kvfs::{At, Error, Follow, Kind, MemoryStore, Options, SetTime, Timestamp, Volume};
use kvfs_files::{Files, FilesError};
use std::io::Read;
use std::ops::ControlFlow;

#[test]
fn what_is_written_is_there_for_the_next_opener() {
    let store = MemoryStore::default();
    let mut one = open(&store);
    one.make_directories("a/b//c/").unwrap();
    one.make_directories("/a/b").unwrap();
    one.write("/a/b/c/f", b"first").unwrap();
    one.write("/a/b/c/f", b"2nd").unwrap();
    one.write_at("/a/b/c/f", At::End, b" and more").unwrap();
    assert_eq!(one.copy_in("big", &mut std::io::repeat(7).take(3_000_000)).unwrap(), 3_000_000);
    one.symlink("b/c", "a/s").unwrap();
    one.link("a/b/c/f", "a/g").unwrap();
    one.set_times("a/g", Follow::No, SetTime::Keep, SetTime::At(Timestamp { seconds: -5, nanoseconds: 9 }))
        .unwrap();
    one.close().unwrap();
    let mut two = open(&store);
    assert_eq!(two.read("a/s/f", 100).unwrap(), b"2nd and more");
    let stat = two.stat("/a/g", Follow::Yes).unwrap();
    assert_eq!((stat.nlink, stat.mtime), (2, Timestamp { seconds: -5, nanoseconds: 9 }));
    let mut bytes = Vec::new();
    assert_eq!(two.copy_out("big", &mut bytes).unwrap(), 3_000_000);
    assert!(bytes == vec![7; 3_000_000]);
    let mut part = Vec::new();
    assert_eq!(two.read_at("big", 2_999_990, 100, &mut part).unwrap(), 10);
    let names: Vec<_> = two.list("/").unwrap().into_iter().map(|entry| (entry.name, entry.kind)).collect();
    assert_eq!(names, [("a".to_owned(), Kind::Directory), ("big".to_owned(), Kind::File)]);
    two.rename("a/b", "moved").unwrap();
    assert!(two.find("a/b", Follow::No).unwrap().is_none());
    assert_eq!(two.remove_all("moved").unwrap(), 3);
    assert_eq!(two.read("a/g", 100).unwrap(), b"2nd and more");
    two.remove("a/s").unwrap();
    assert_eq!(two.remove_all("/").unwrap(), 3);
    assert_eq!(two.list("").unwrap(), []);
}

#[test]
fn no_path_leaves_the_volume() {
    let mut files = files();
    files.make_directories("d").unwrap();
    files
        .volume()
        .root()
        .and_then(|root| files.volume().import_symlink_at("/etc", &root, "d/absolute"))
        .unwrap();
    files.symlink("../../etc", "d/up").unwrap();
    for path in ["..", "/../x", "d/../../x", "d/absolute/x", "d/up/x", "d/up/"] {
        for failed in [
            files.read(path, 10).map(drop),
            files.write(path, b"x"),
            files.make_directory(path),
            files.make_directories(path),
            files.remove(path),
            files.remove_all(path).map(drop),
            files.rename("d", path),
            files.list(path).map(drop),
        ] {
            let error = failed.unwrap_err();
            let kind = error.in_volume().unwrap_or_else(|| panic!("{path}: {error}"));
            assert!(
                matches!(
                    kind,
                    Error::NotPermitted
                        | Error::Exist
                        | Error::Invalid
                        | Error::NotEmpty
                        | Error::Busy
                        | Error::IsDirectory
                ),
                "{path}: {error}"
            );
        }
    }
    assert_eq!(seen(&mut files, "/").len(), 4);
}

#[test]
fn errors_say_what_and_where_and_what_to_do() {
    let mut files = files();
    files.write("f", &[1; 100]).unwrap();
    let text = |failed: Result<(), FilesError>| failed.unwrap_err().to_string();
    assert_eq!(
        text(files.read("no\n", 1).map(drop)),
        "cannot read no\\n in volume `main`: no such file or directory; check the path"
    );
    assert!(text(files.read("f", 99).map(drop)).contains("has 100 bytes, and at most 99"));
    assert!(text(files.make_directories("f/d")).contains("not a directory; check the path"));
    files.make_directories("d/e").unwrap();
    assert!(text(files.remove("d")).ends_with("remove what is in it first"));
    assert!(text(files.copy("d", "d/e/x", &mut quiet).map(drop)).contains("into itself"));
    assert!(text(files.copy("/", "d", &mut quiet).map(drop)).contains("into itself"));
}

#[test]
fn a_fenced_opener_is_told() {
    let store = MemoryStore::default();
    let mut one = open(&store);
    one.write("f", b"x").unwrap();
    one.sync().unwrap();
    let _two = open(&store);
    one.write("g", b"y").unwrap();
    let error = one.sync().unwrap_err();
    assert_eq!(error.in_volume(), Some(&Error::Fenced));
    assert!(error.to_string().contains("end the other program"), "{error}");
}

#[test]
fn a_reader_changes_nothing() {
    let store = MemoryStore::default();
    let mut one = open(&store);
    one.write("f", b"x").unwrap();
    one.sync().unwrap();
    let volume = Volume::open_read_only(Box::new(store.clone()), None, Options::default()).unwrap();
    let mut reader = Files::new(volume).unwrap();
    assert_eq!(reader.read("f", 9).unwrap(), b"x");
    for failed in [reader.write("f", b"y"), reader.remove("f"), reader.make_directories("d")] {
        assert_eq!(failed.unwrap_err().in_volume(), Some(&Error::ReadOnly));
    }
    one.write("g", b"z").unwrap();
    one.close().unwrap();
}

/// A tree deeper than any path: only walks by descriptors reach its end.
#[test]
fn trees_deeper_than_paths_are_walked_and_removed() {
    let mut files = files();
    let name = "n".repeat(200);
    files.make_directory("top").unwrap();
    files.write("top/leaf", b"x").unwrap();
    for _ in 0..60 {
        files.make_directory("new").unwrap();
        files.rename("top", &format!("new/{name}")).unwrap();
        files.rename("new", "top").unwrap();
    }
    let mut walk = files.walk("top", Follow::No);
    let (mut depth, mut left) = (0, 0);
    while let Some(step) = walk.next(&mut files).unwrap() {
        depth = depth.max(step.depth);
        left += usize::from(step.leaves);
    }
    assert_eq!((depth, left), (61, 61));
    assert_eq!(files.remove_all("top").unwrap(), 62);
    assert_eq!(files.list("/").unwrap(), []);
}

#[test]
fn a_walk_shows_each_entry_once_and_skips() {
    let mut files = files();
    for number in 0..3000 {
        files.make_directories(&format!("d{}", number % 3)).unwrap();
        files.write(&format!("d{}/f{number}", number % 3), b"").unwrap();
    }
    let mut walk = files.walk("/", Follow::No);
    let (mut shown, mut left) = (std::collections::BTreeSet::new(), 0);
    while let Some(step) = walk.next(&mut files).unwrap() {
        if step.leaves {
            left += 1;
            continue;
        }
        assert!(shown.insert(walk.path().to_owned()), "{} twice", walk.path());
        if walk.name() == "d1" {
            walk.skip();
        }
    }
    assert_eq!((shown.len(), left), (1 + 3 + 2000, 3));
    let walk = files.walk("/d1", Follow::No);
    walk.close(&mut files).unwrap();
}

#[test]
fn copies_keep_times_links_and_holes_within_and_between_volumes() {
    let mut one = files();
    one.make_directories("d/e").unwrap();
    one.write("d/f", &[5; 40_000]).unwrap();
    one.link("d/f", "d/e/g").unwrap();
    one.symlink("f", "d/s").unwrap();
    one.write_at("d/holes", At::Offset(1 << 33), b"end").unwrap();
    one.set_size("d/holes", 1 << 34).unwrap();
    let time = SetTime::At(Timestamp { seconds: 77, nanoseconds: 1 });
    for path in ["d/f", "d/s", "d/e", "d"] {
        one.set_times(path, Follow::No, time, time).unwrap();
    }
    let report = one.copy("d", "copy", &mut quiet).unwrap();
    assert_eq!((report.files, report.directories, report.symlinks, report.hard_links), (2, 2, 1, 1));
    assert!(report.bytes < 100_000, "{report:?}");
    let mut other = open(&MemoryStore::default());
    one.copy_to("d", &mut other, "copy", &mut quiet).unwrap();
    for files in [&mut one, &mut other] {
        let stat = files.stat("copy/holes", Follow::No).unwrap();
        assert_eq!(stat.size, 1 << 34);
        let mut end = Vec::new();
        files.read_at("copy/holes", 1 << 33, 3, &mut end).unwrap();
        assert_eq!(end, b"end");
        files.remove("copy/holes").unwrap();
        files.set_times("copy", Follow::No, time, time).unwrap();
    }
    one.remove("d/holes").unwrap();
    one.set_times("d", Follow::No, time, time).unwrap();
    let expected = seen(&mut one, "d");
    assert!(expected.iter().any(|(path, what)| path == "/e/g" && what.contains(" = /f")), "{expected:?}");
    assert_eq!(seen(&mut one, "copy"), expected);
    assert_eq!(seen(&mut other, "copy"), expected);
    let stopped = one.copy("d", "third", &mut |_| ControlFlow::Break(()));
    assert!(matches!(stopped, Err(FilesError::Stopped)));
}

#[test]
fn a_full_volume_is_told_as_such() {
    let quota = kvfs::Quota { bytes: Some(100_000), ..kvfs::Quota::default() };
    let options = Options { quota: Some(quota), ..Options::default() };
    let volume = Volume::open(Box::new(MemoryStore::default()), Box::new(Noon), options).unwrap();
    let mut files = Files::new(volume).unwrap();
    let error = files.write("f", &[1; 200_000]).unwrap_err();
    assert!(error.is_full() && error.to_string().contains("make room"), "{error}");
}
