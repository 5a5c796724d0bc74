//! Names of the host that are not UTF-8.

use super::{files, quiet, seen};
use kvfs::Follow;
use kvfs_files::{Compression, Files, FilesError, Loss, MAX_NAMED_ESCAPED, Report};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::Cursor;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

fn os(name: &[u8]) -> &OsStr {
    OsStr::from_bytes(name)
}

/// A directory, files, links and names of one file that are not UTF-8, and names that look escaped.
fn make(root: &Path) {
    let odd = root.join(os(b"d\xe9"));
    fs::create_dir_all(&odd).unwrap();
    fs::write(odd.join(os(b"\xff")), b"bytes").unwrap();
    fs::write(odd.join("plain"), b"plain").unwrap();
    fs::hard_link(odd.join(os(b"\xff")), root.join(os(b"z\xfe"))).unwrap();
    symlink(os(b"d\xe9/\xff"), root.join(os(b"l\xe8"))).unwrap();
    symlink("d/plain", root.join("to-plain")).unwrap();
    fs::write(root.join("\u{201b}FF"), b"looks escaped").unwrap();
    fs::write(root.join(os(b"\xff")), b"is escaped").unwrap();
    fs::write(root.join("it\u{201b}s"), b"as it is").unwrap();
    let long = [b"\xe9".repeat(35), b"n".repeat(75)].concat();
    let sparse = fs::File::create(odd.join(os(&long))).unwrap();
    sparse.set_len(1 << 20).unwrap();
    fs::write(odd.join(os(&[&long[..], b"2"].concat())), b"long").unwrap();
}

/// The names below a directory of the host, with what each is.
fn found(root: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let (mut all, mut waiting) = (BTreeMap::new(), vec![root.to_owned()]);
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let seen = fs::symlink_metadata(&path).unwrap();
            let what = if seen.is_dir() {
                waiting.push(path.clone());
                b"directory".to_vec()
            } else if seen.is_symlink() {
                [b"-> ", fs::read_link(&path).unwrap().as_os_str().as_bytes()].concat()
            } else {
                [&fs::read(&path).unwrap()[..], format!(" of {}", seen.nlink()).as_bytes()].concat()
            };
            all.insert(path.strip_prefix(root).unwrap().as_os_str().as_bytes().to_vec(), what);
        }
    }
    all
}

fn told(report: &Report) -> Vec<(Loss, u64, Vec<String>)> {
    report.lost().map(|(loss, lost)| (loss, lost.count, lost.named.clone())).collect()
}

fn check_volume(files: &mut Files, report: &Report, way: &str) {
    let long = |end: &str| {
        let (raw, held) = (r"\xe9".repeat(35), "\u{201b}E9".repeat(35));
        let n = "n".repeat(75);
        (format!(r"d\xe9/{raw}{n}{end}"), format!("d\u{201b}E9/{held}{n}{end}"))
    };
    let mut expected: Vec<String> = [
        (r"d\xe9", "d‛E9"),
        (r"d\xe9/\xff", "d‛E9/‛FF"),
        (r"l\xe8", "l‛E8"),
        (r"z\xfe", "z‛FE"),
        (r"\xff", "‛FF"),
        ("‛FF", "‛‛FF"),
    ]
    .map(|(raw, held)| format!("{raw} -> {held}"))
    .into();
    expected.extend(["", "2"].map(long).map(|(raw, held)| format!("{raw} -> {held}")));
    expected.sort();
    let mut losses = told(report);
    losses.retain(|(loss, ..)| *loss >= Loss::Escaped);
    let (loss, count, mut named) = losses.remove(0);
    named.sort();
    assert_eq!((loss, count, named), (Loss::Escaped, 8, expected), "{way}");
    let target = r"l‛E8: d\xe9/\xff -> d‛E9/‛FF".to_owned();
    assert_eq!(losses, [(Loss::EscapedTargets, 1, vec![target])], "{way}");
    assert_eq!(report.left_out(), 0, "{way}");
    // Through the link, whose target was escaped as the names were.
    assert_eq!(files.read("l‛E8", 9).unwrap(), b"bytes", "{way}");
    assert_eq!(files.stat("z‛FE", Follow::No).unwrap().nlink, 2, "{way}");
    assert_eq!(files.read("‛FF", 99).unwrap(), b"is escaped", "{way}");
    assert_eq!(files.read("‛‛FF", 99).unwrap(), b"looks escaped", "{way}");
    assert_eq!(files.read("it‛s", 99).unwrap(), b"as it is", "{way}");
}

#[test]
fn names_that_are_not_utf8_are_kept_and_come_back_by_trees_and_by_tars() {
    let dir = tempfile::tempdir().unwrap();
    let (tree, out) = (dir.path().join("tree"), dir.path().join("out"));
    make(&tree);
    let expected = found(&tree);
    let mut one = files();
    let report = one.import_tree(&tree, "/", &mut quiet).unwrap();
    check_volume(&mut one, &report, "tree");
    let again = one.import_tree(&tree, "/", &mut quiet).unwrap();
    assert_eq!((again.files, again.symlinks, again.hard_links, again.unchanged), (0, 0, 0, 10), "{again:?}");
    assert_eq!(told(&again), told(&report), "a second import tells the same");
    let report = one.export_tree("/", &out, &mut quiet).unwrap();
    assert_eq!((found(&out), report.lost().count()), (expected.clone(), 0));
    let again = one.export_tree("/", &out, &mut quiet).unwrap();
    assert_eq!((again.files, again.symlinks, again.hard_links), (0, 0, 0), "{again:?}");

    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let mut tar = Vec::new();
        one.export_tar("/", &mut tar, compression, &mut quiet).unwrap();
        let mut two = files();
        let report = two.import_tar(Cursor::new(tar), "/", &mut quiet).unwrap();
        check_volume(&mut two, &report, "tar");
        assert_eq!(seen(&mut two, "/"), seen(&mut one, "/"));
    }
    // GNU tar unpacks the same names, and what it packs is imported as the tree is.
    let mut tar = fs::File::create(dir.path().join("made.tar")).unwrap();
    one.export_tar("/", &mut tar, Compression::None, &mut quiet).unwrap();
    let run = |args: &[&str]| {
        let output = std::process::Command::new("tar").args(args).current_dir(&dir).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{args:?}: {output:?}");
    };
    fs::create_dir(dir.path().join("unpacked")).unwrap();
    run(&["-xf", "made.tar", "-C", "unpacked"]);
    assert_eq!(found(&dir.path().join("unpacked")), expected);
    for format in ["gnu", "pax"] {
        run(&["-cSf", "gnu.tar", "--format", format, "--owner=0", "--group=0", "-C", "tree", "."]);
        let mut three = files();
        let tar = fs::File::open(dir.path().join("gnu.tar")).unwrap();
        let report = three.import_tar(tar, "/", &mut quiet).unwrap();
        check_volume(&mut three, &report, format);
    }
}

/// The other way round: what guests have named so comes back to a volume as it was.
#[test]
fn names_of_guests_that_look_escaped_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut one = files();
    let names =
        ["‛FF", "‛‛FF", "‛‛‛‛FF", "‛", "‛‛", "‛41", "‛2F‛2E‛2E‛2F", "‛00", "‛C3‛A9", "‛ff", "‛F", "a‛E9b"];
    for (number, name) in names.iter().enumerate() {
        one.write(name, format!("{number}").as_bytes()).unwrap();
    }
    one.export_tree("/", dir.path(), &mut quiet).unwrap();
    let found = found(dir.path());
    // Nothing but bytes from 128 on comes of an escape.
    for (name, expected) in [(&b"\xff"[..], "0"), ("‛FF".as_bytes(), "1"), ("‛2F‛2E‛2E‛2F".as_bytes(), "6")]
    {
        assert_eq!(found[name], format!("{expected} of 1").into_bytes(), "{}", name.escape_ascii());
    }
    assert_eq!(found.len(), names.len());
    let mut two = files();
    two.import_tree(dir.path(), "/", &mut quiet).unwrap();
    for (number, name) in names.iter().enumerate() {
        assert_eq!(two.read(name, 9).unwrap(), format!("{number}").as_bytes(), "{name}");
    }
}

/// Directories that have no entry of their own are told once, and a path that leads out is refused.
#[test]
fn escaped_directories_of_archives_are_told_once() {
    let member = |builder: &mut tar::Builder<Vec<u8>>, path: &[u8]| {
        let mut header = tar::Header::new_ustar();
        header.as_old_mut().name[..path.len()].copy_from_slice(path);
        header.set_size(0);
        header.set_mode(0o644);
        header.set_cksum();
        builder.append(&header, std::io::empty()).unwrap();
    };
    let mut builder = tar::Builder::new(Vec::new());
    for path in [&b"a\xff/b\xfe/c"[..], b"a\xff/b\xfe/d", b"a\xff/e"] {
        member(&mut builder, path);
    }
    let mut one = files();
    let tar = builder.into_inner().unwrap();
    let report = one.import_tar(Cursor::new(tar), "/", &mut quiet).unwrap();
    let expected = [r"a\xff -> a‛FF", r"a\xff/b\xfe -> a‛FF/b‛FE"].map(str::to_owned).to_vec();
    assert_eq!(told(&report), [(Loss::Escaped, 2, expected)]);
    assert!(one.find("a‛FF/b‛FE/d", Follow::No).unwrap().is_some());
    let mut builder = tar::Builder::new(Vec::new());
    member(&mut builder, b"a\xff/../../x");
    let tar = builder.into_inner().unwrap();
    let error = one.import_tar(Cursor::new(tar), "/", &mut quiet).unwrap_err();
    assert!(
        matches!(&error, FilesError::Archive { reason } if reason.contains("a path with `..`")),
        "{error}"
    );
}

#[test]
fn of_many_escaped_names_the_first_are_named_and_all_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let many = MAX_NAMED_ESCAPED + 50;
    for number in 0..many {
        fs::write(dir.path().join(os(&[b"\xff", number.to_string().as_bytes()].concat())), b"").unwrap();
    }
    let mut files = files();
    let report = files.import_tree(dir.path(), "/", &mut quiet).unwrap();
    let told = told(&report);
    assert_eq!((told[0].0, told[0].1, told[0].2.len()), (Loss::Escaped, many as u64, MAX_NAMED_ESCAPED));
    assert_eq!(files.list("/").unwrap().len(), many);
}
