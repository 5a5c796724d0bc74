//! Copies over what is there, copies that fail, and removals of links.

use super::{Noon, files, open, quiet, seen};
use kvfs::{Error, Follow, MemoryStore, Mode, Options, Quota, Volume};
use kvfs_files::Files;

fn names(files: &mut Files, path: &str) -> Vec<String> {
    files.list(path).unwrap().into_iter().map(|entry| entry.name).collect()
}

#[test]
fn a_copy_that_fails_leaves_the_old_file_and_no_part_of_the_new_one() {
    let quota = Quota { bytes: Some(350_000), ..Quota::default() };
    let options = Options { quota: Some(quota), mode: Mode::Lazy, ..Options::default() };
    let volume = Volume::open(Box::new(MemoryStore::default()), Box::new(Noon), options).unwrap();
    let mut small = Files::new(volume).unwrap();
    small.write("big", &[1; 200_000]).unwrap();
    small.write("old", b"old").unwrap();
    for to in ["old", "new"] {
        assert!(small.copy("big", to, &mut quiet).unwrap_err().is_full());
    }
    let mut other = files();
    other.write("big", &[1; 200_000]).unwrap();
    for to in ["old", "new"] {
        assert!(other.copy_to("big", &mut small, to, &mut quiet).unwrap_err().is_full());
    }
    assert_eq!(names(&mut small, "/"), ["big", "old"]);
    assert_eq!(small.read("old", 9).unwrap(), b"old");
    assert!(small.used().0.bytes < 210_000, "{:?}", small.used());
    // A directory is not replaced by a file, nor a file by a directory.
    small.make_directory("d").unwrap();
    let error = small.copy("old", "d", &mut quiet).unwrap_err();
    assert_eq!(error.in_volume(), Some(&Error::IsDirectory));
    assert!(small.copy("d", "old", &mut quiet).is_err());
    assert_eq!(small.read("old", 9).unwrap(), b"old");
    small.close().unwrap();
}

#[test]
fn a_copy_replaces_one_name_and_keeps_what_else_leads_there() {
    let mut files = files();
    files.make_directories("from").unwrap();
    files.make_directories("to").unwrap();
    files.write("from/a", b"new").unwrap();
    files.link("from/a", "from/b").unwrap();
    files.write("from/c", b"new").unwrap();
    files.write("to/a", b"old").unwrap();
    files.link("to/a", "kept").unwrap();
    files.write("aim", b"aim").unwrap();
    files.symlink("../aim", "to/c").unwrap();
    // A name that the copier would like to use.
    files.write("to/.kvfs-part0", b"mine").unwrap();
    let report = files.copy("from", "to", &mut quiet).unwrap();
    assert_eq!((report.files, report.hard_links), (2, 1));
    assert_eq!(names(&mut files, "to"), [".kvfs-part0", "a", "b", "c"]);
    for (path, bytes) in [
        ("kept", &b"old"[..]),
        ("aim", b"aim"),
        ("to/a", b"new"),
        ("to/c", b"new"),
        ("to/.kvfs-part0", b"mine"),
    ] {
        assert_eq!(files.read(path, 9).unwrap(), bytes, "{path}");
    }
    let ino = |files: &mut Files, path| files.stat(path, Follow::No).unwrap().ino;
    assert_eq!(ino(&mut files, "to/a"), ino(&mut files, "to/b"));
    files.remove("to/.kvfs-part0").unwrap();
    // Once more, over names of one file.
    files.copy("from", "to", &mut quiet).unwrap();
    let without_root = |mut seen: Vec<(String, String)>| seen.split_off(1);
    let (from, to) = (seen(&mut files, "from"), seen(&mut files, "to"));
    assert_eq!(without_root(from), without_root(to));
}

#[test]
fn a_file_is_copied_through_a_link() {
    let (mut one, mut other) = (files(), open(&MemoryStore::default()));
    one.write("f", b"bytes").unwrap();
    one.symlink("f", "s").unwrap();
    one.make_directory("d").unwrap();
    one.copy_file("s", None, "copy", &mut quiet).unwrap();
    one.copy_file("s", Some(&mut other), "copy", &mut quiet).unwrap();
    assert_eq!(one.read("copy", 9).unwrap(), b"bytes");
    assert_eq!(other.stat("copy", Follow::No).unwrap().kind, kvfs::Kind::File);
    let error = one.copy_file("d", None, "e", &mut quiet).unwrap_err();
    assert_eq!(error.in_volume(), Some(&Error::IsDirectory));
}

#[test]
fn regression_removing_a_link_with_a_slash_emptied_what_it_leads_to() {
    let mut files = files();
    files.make_directory("d").unwrap();
    files.write("d/f", b"x").unwrap();
    files.symlink("d", "s").unwrap();
    for path in ["s/", "d/f/"] {
        assert_eq!(files.remove_all(path).unwrap_err().in_volume(), Some(&Error::NotDirectory), "{path}");
    }
    assert_eq!(files.read("d/f", 9).unwrap(), b"x");
    assert_eq!(files.remove_all("d/").unwrap(), 2);
}

#[test]
fn a_walk_tells_where_files_have_data() {
    let mut files = files();
    files.make_directories("d/e").unwrap();
    files.write("d/e/f", b"hello").unwrap();
    files.write_at("d/holes", kvfs::At::Offset(1 << 20), &[1; 40_000]).unwrap();
    files.set_size("d/holes", 1 << 40).unwrap();
    files.symlink("e/f", "d/s").unwrap();
    let (mut walk, mut found) = (files.walk("d", Follow::No), Vec::new());
    while let Some(step) = walk.next(&mut files).unwrap() {
        if step.stat.kind == kvfs::Kind::File {
            let ranges = walk.data_ranges(&mut files).unwrap();
            found.push((
                walk.path().to_owned(),
                ranges.iter().map(|range| range.end - range.start).sum::<u64>(),
            ));
        }
    }
    found.sort();
    assert_eq!(found[0], ("d/e/f".to_owned(), 5));
    assert!((40_000..200_000).contains(&found[1].1), "{found:?}");
    assert_eq!(files.data_ranges("d/s").unwrap().len(), 1);
}
