//! Odd archives, packed and unpacked: what an image of one holds is what GNU tar leaves on a disk,
//! and what that fails at is refused.

use super::tests::{ArchiveFile, Tar, header};
use crate::mounts::tests::{Opened, planned};
use kvfs::Kind;
use kvfs_trust::shrink::seeds;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

/// The object at each path: kind, content, time, and the first path of the same object.
type Found = BTreeMap<String, String>;

/// Before this, in seconds, lie all times that the archives of this test have, and behind it those
/// that the machine's clock tells. What has the time of unpacking has none in an image.
const NOW: i64 = 1_750_000_000;

/// Unpacks an archive; the error, if it does not end well.
fn unpacked(tar: &Path) -> Result<Found, String> {
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new("tar")
        .args(["--no-same-owner", "-C"])
        .arg(dir.path())
        .arg("-xf")
        .arg(tar)
        .env("LC_ALL", "C.UTF-8")
        .output()
        .expect("tar");
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let (mut found, mut names) = (Found::new(), BTreeMap::new());
    let mut waiting = vec![String::new()];
    while let Some(directory) = waiting.pop() {
        let mut entries: Vec<_> =
            fs::read_dir(dir.path().join(&directory)).unwrap().map(Result::unwrap).collect();
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let path = Path::new(&directory).join(entry.file_name()).to_str().unwrap().to_owned();
            let metadata = entry.metadata().unwrap();
            let content = if metadata.is_dir() {
                waiting.push(path.clone());
                Content::Directory
            } else if metadata.is_symlink() {
                Content::Symlink(fs::read_link(entry.path()).unwrap().to_str().unwrap().to_owned())
            } else {
                Content::File(fs::read(entry.path()).unwrap())
            };
            let time = match metadata.mtime() {
                NOW.. => (0, 0),
                seconds => (seconds, metadata.mtime_nsec()),
            };
            names.insert(path.clone(), metadata.ino());
            found.insert(path, content.told(time));
        }
    }
    Ok(with_first_names(found, &names))
}

/// Packs an archive; the error, if it is refused.
fn packed(mount: &str) -> Result<Found, String> {
    let plan = planned(&[mount]).map_err(|error| error.to_string())?;
    let mut opened = Opened::new(&plan, "/x");
    let (mut found, mut names) = (Found::new(), BTreeMap::new());
    let mut waiting = vec![String::new()];
    while let Some(directory) = waiting.pop() {
        for name in opened.names(if directory.is_empty() { "." } else { &directory }) {
            let path = [directory.as_str(), &name].join("/").trim_start_matches('/').to_owned();
            let stat = opened.stat(&path);
            let content = match stat.kind {
                Kind::Directory => {
                    waiting.push(path.clone());
                    Content::Directory
                }
                Kind::Symlink => Content::Symlink(opened.volume.readlink_at(&opened.root, &path).unwrap()),
                Kind::File => Content::File(opened.bytes(&path)),
            };
            names.insert(path.clone(), opened.inode(&path));
            found.insert(path, content.told((stat.mtime.seconds, i64::from(stat.mtime.nanoseconds))));
        }
    }
    Ok(with_first_names(found, &names))
}

enum Content {
    Directory,
    File(Vec<u8>),
    Symlink(String),
}

impl Content {
    fn told(&self, time: (i64, i64)) -> String {
        let content = match self {
            Content::Directory => "directory".to_owned(),
            Content::Symlink(target) => format!("link to {target}"),
            Content::File(bytes) => {
                let sum = bytes.iter().fold(0_u64, |sum, byte| sum.rotate_left(5) ^ u64::from(*byte));
                format!("{} bytes, {sum:x}", bytes.len())
            }
        };
        format!("{content}, at {}.{:09}", time.0, time.1)
    }
}

/// Adds to what was found which of it is one object.
fn with_first_names(mut found: Found, names: &BTreeMap<String, u64>) -> Found {
    let mut first = BTreeMap::new();
    for (path, ino) in names {
        let first = first.entry(ino).or_insert(path);
        let _ = write!(found.get_mut(path).unwrap(), ", as {first}");
    }
    found
}

/// Leaves out the times of directories that have that of unpacking: also those have it that were
/// given a time and then something more, through a link.
fn without_changed_times(theirs: &Found, mut ours: Found) -> Found {
    for (path, told) in theirs.iter().filter(|(_, told)| told.starts_with("directory, at 0.")) {
        if let Some(ours) = ours.get_mut(path).filter(|ours| ours.starts_with("directory, ")) {
            ours.clone_from(told);
        }
    }
    ours
}

/// Says how packing an archive differs from unpacking it, if it does.
fn difference(place: &ArchiveFile, bytes: &[u8]) -> Option<String> {
    let mount = place.mount(bytes);
    match (unpacked(&place.0.path().join("a")), packed(&mount)) {
        (Ok(theirs), Ok(ours)) if theirs == without_changed_times(&theirs, ours.clone()) => None,
        (Err(_), Err(_)) => None,
        (theirs, ours) => Some(format!("unpacked: {theirs:#?}\npacked: {ours:#?}")),
    }
}

#[test]
fn the_comparison_is_with_gnu_tar() {
    let output = Command::new("tar").arg("--version").output().expect("tar");
    let version = String::from_utf8_lossy(&output.stdout);
    assert!(
        version.starts_with("tar (GNU tar)"),
        "GNU tar is what the packing of archives follows: {version}"
    );
}

/// A header with bytes of ours in it.
fn forged(kind: u8, name: &str, size: u64, changes: &[(usize, &[u8])]) -> tar::Header {
    let mut header = header(kind, name.as_bytes(), "", size);
    for (at, bytes) in changes {
        header.as_mut_bytes()[*at..*at + bytes.len()].copy_from_slice(bytes);
    }
    header
}

const SIZE_AT: usize = 124;
const TIME_AT: usize = 136;
const MAGIC_AT: usize = 257;
const PREFIX_AT: usize = 345;

#[test]
fn odd_archives_are_packed_as_they_are_unpacked() {
    let tar = Tar::default;
    let time = ("mtime", "1600000000.5");
    let gnu: &[u8] = b"ustar  \0";
    let cases: Vec<(&str, Tar)> = vec![
        (
            "a global time",
            tar().global(&[time]).file("a", "1").directory("d").symlink("s", "a").link("l", "a"),
        ),
        ("a global header after another", tar().global(&[time]).global(&[("comment", "x")]).file("a", "1")),
        (
            "a global time and one's own",
            tar().global(&[time]).records(&[("mtime", "5")]).file("a", "1").file("b", "2"),
        ),
        ("a global path", tar().global(&[("path", "p")]).file("a", "1").file("b", "2")),
        (
            "a global target",
            tar().global(&[("linkpath", "a")]).file("a", "1").link("b", "x").symlink("c", "y"),
        ),
        (
            "a global size",
            tar().global(&[("size", "3")]).file("a", "12345").add_header(header(b'0', b"b", "", 0), b"678"),
        ),
        (
            "a global header between a header and its file",
            tar().records(&[("path", "p")]).global(&[time]).file("a", "").file("b", ""),
        ),
        ("a global header that cannot be read", tar().add(b'g', b"g", "", b"nonsense\n").file("a", "")),
        ("a global time that is none, not used", tar().file("a", "").global(&[("mtime", "soon")])),
        ("a time that is none", tar().records(&[("mtime", "soon")]).file("a", "")),
        ("a time of no text", tar().global(&[time]).records(&[("mtime", "")]).file("a", "")),
        ("a time before 1970", tar().global(&[("mtime", "-5.25")]).file("a", "")),
        ("a path of no text", tar().records(&[("path", "")]).file("a", "")),
        ("two paths", tar().records(&[("path", "p"), ("path", "q")]).file("a", "")),
        ("two headers", tar().records(&[("path", "p")]).records(&[time]).file("a", "")),
        ("a line feed", tar().records(&[("path", "p\nq"), time]).file("a", "")),
        (
            "a size of one's own",
            tar().records(&[("size", "3")]).add_header(header(b'0', b"a", "", 0), b"123").file("b", ""),
        ),
        ("a size that is none", tar().records(&[("size", "x")]).file("a", "")),
        ("a directory's own size", tar().records(&[("size", "3")]).directory("d").file("b", "")),
        (
            "a hard link's own size",
            tar().file("a", "1").records(&[("size", "4")]).link("b", "a").file("c", ""),
        ),
        ("Solaris' header", tar().add(b'X', b"x", "", b"11 path=pp\n").file("a", "")),
        ("a header for nothing", tar().file("a", "").records(&[("path", "p")])),
        ("zeros behind records", tar().add(b'x', b"x", "", b"11 path=pp\n\0\0").file("a", "")),
        ("two blanks", tar().add(b'x', b"x", "", b"12  path=pp\n").file("a", "")),
        ("a record too long", tar().add(b'x', b"x", "", b"99 path=pp\n").file("a", "")),
        (
            "a long name, then a path",
            tar().add(b'L', b"L", "", b"long\0").records(&[("path", "p")]).file("a", ""),
        ),
        (
            "a path, then a long name",
            tar().records(&[("path", "p")]).add(b'L', b"L", "", b"long\0").file("a", ""),
        ),
        (
            "two long names",
            tar().add(b'L', b"L", "", b"long\0").add(b'L', b"L", "", b"other\0").file("a", ""),
        ),
        ("a long target", tar().file("b", "").add(b'K', b"K", "", b"b\0").link("a", "short")),
        (
            "a hard link with a size",
            tar().file("a", "1").add_header(header(b'1', b"b", "a", 4), b"").file("c", ""),
        ),
        ("a hard link with bytes", tar().file("a", "1").add(b'1', b"b", "a", b"data").file("c", "")),
        ("a symbolic link with a size", tar().add_header(header(b'2', b"b", "a", 4), b"").file("c", "")),
        ("a directory with a size", tar().add_header(header(b'5', b"b", "", 4), b"").file("c", "")),
        ("a directory with bytes", tar().add(b'5', b"b", "", b"data").file("c", "")),
        ("an old directory with bytes", tar().add(b'0', b"b/", "", b"data").file("c", "")),
        ("a file over a directory", tar().file("d/x", "").file("d", "")),
        ("a file over an empty directory", tar().directory("d").file("d", "")),
        ("a link over a directory", tar().file("d/x", "").symlink("d", "z")),
        ("a link over an empty directory", tar().directory("d").symlink("d", "z")),
        ("a hard link over a directory", tar().file("a", "").file("d/x", "").link("d", "a")),
        ("a hard link over an empty directory", tar().file("a", "").directory("d").link("d", "a")),
        ("a directory over a file", tar().file("d", "").directory("d").file("d/x", "")),
        ("a directory over a link", tar().directory("r").symlink("d", "r").directory("d/").file("d/x", "")),
        ("a directory again", tar().directory("d").file("d/a", "").records(&[time]).directory("d")),
        ("a file over a link", tar().file("r", "keep").symlink("d", "r").file("d", "new")),
        ("a file over a hard link", tar().file("a", "1").link("b", "a").file("b", "new")),
        ("below a link", tar().directory("r").symlink("d", "r").file("d/x", "").file("d/y/x", "")),
        ("below links", tar().directory("r/q").symlink("r/s", "q").symlink("d", "./r//s/").file("d/x", "")),
        ("below a link to the root", tar().symlink("d", ".").file("d/x", "")),
        ("below a link to what is not there", tar().symlink("d", "r").file("d/x", "")),
        ("below a link to a file", tar().file("r", "").symlink("d", "r").file("d/x", "")),
        ("below a link to itself", tar().symlink("d", "d").file("d/x", "")),
        ("below a link with dots", tar().directory("r").symlink("e/d", "../r").file("e/d/x", "")),
        ("below an absolute link", tar().directory("r").symlink("d", "/r").file("d/x", "")),
        ("below a file", tar().file("d", "").file("d/x", "")),
        ("a hard link to a link", tar().symlink("s", "q").records(&[time]).link("t", "s")),
        ("a hard link to an absolute link", tar().symlink("s", "/q").link("t", "s")),
        ("a hard link to a link with dots", tar().symlink("d/s", "../q").link("t", "d/s")),
        ("a hard link to nothing", tar().link("t", "s").file("s", "")),
        ("a hard link to a directory", tar().directory("s").link("t", "s")),
        ("a hard link to itself", tar().file("s", "").link("s", "s")),
        ("a hard link below a link", tar().file("r/x", "").symlink("d", "r").link("t", "d/x")),
        (
            "a hard link with dots",
            tar().file("a", "").link("t", "q/../a").link("u", "../a").link("v", "x../../a"),
        ),
        ("a hard link to dots", tar().file("a", "").link("t", "q/..")),
        ("an absolute hard link", tar().file("a", "").link("t", "/a").link("u", ".//a")),
        ("a hard link to the root", tar().file("a", "").link("t", ".")),
        ("a link to nothing", tar().symlink("t", "")),
        ("dots inside", tar().directory("d").file("d/../d/a", "")),
        ("dots", tar().file("../a", "")),
        ("absolute paths", tar().file("/a", "").file("//b", "").file("c//d", "").file("./e/./f", "")),
        ("a file of no name", tar().file("", "")),
        ("a directory of no name", tar().directory("").file("z", "")),
        ("the root as a file", tar().file(".", "")),
        ("the root as a link", tar().symlink(".", "x")),
        ("the root as a hard link", tar().file("a", "").link(".", "a")),
        ("a directory by dots", tar().directory("a/.").directory("./")),
        ("slashes behind links", tar().file("a", "").symlink("q/", "a").link("r/", "a")),
        ("a contiguous file", tar().add(b'7', b"q", "", b"data")),
        ("holes in another format", tar().add(b'S', b"q", "", b"data").file("z", "")),
        (
            "holes, all of them",
            tar()
                .records(&[
                    ("GNU.sparse.size", "9000"),
                    ("GNU.sparse.numblocks", "1"),
                    ("GNU.sparse.map", "9000,0"),
                ])
                .file("a", "")
                .file("z", ""),
        ),
        (
            "the name beside holes",
            tar()
                .records(&[
                    ("GNU.sparse.name", "d/q"),
                    ("path", "p"),
                    ("GNU.sparse.size", "9000"),
                    ("GNU.sparse.numblocks", "2"),
                    ("GNU.sparse.map", "0,4,9000,0"),
                ])
                .file("a", "text")
                .file("z", ""),
        ),
        ("a dumped directory", tar().add(b'D', b"d", "", b"Yf\0\0").file("d/f", "")),
        (
            "a part of an archive",
            tar().add_header(forged(b'M', "q", 4, &[(MAGIC_AT, gnu)]), b"data").file("z", ""),
        ),
        ("a label in the middle", tar().file("a", "").label("label").file("b", "")),
        ("a global label", tar().global(&[("GNU.volume.label", "label")]).file("b", "")),
        ("a prefix", tar().add_header(forged(b'0', "a", 0, &[(PREFIX_AT, b"p/q")]), b"")),
        (
            "a prefix in GNU's format",
            tar().add_header(forged(b'0', "a", 0, &[(PREFIX_AT, b"p/q"), (MAGIC_AT, gnu)]), b""),
        ),
        (
            "a prefix in an old format",
            tar().add_header(forged(b'0', "a", 0, &[(PREFIX_AT, b"p/q"), (MAGIC_AT, &[0; 8])]), b""),
        ),
        ("a name of a hundred letters", tar().file(&"n".repeat(100), "")),
        (
            "a size of zeros",
            tar().add_header(forged(b'0', "a", 0, &[(SIZE_AT, &[0; 12])]), b"").file("z", ""),
        ),
        (
            "a size of letters",
            tar()
                .file("y", "")
                .add_header(forged(b'0', "a", 0, &[(SIZE_AT, &[b'z'; 12])]), b"")
                .file("z", ""),
        ),
        (
            "a size below none",
            tar().file("y", "").add_header(forged(b'0', "a", 0, &[(SIZE_AT, &[255; 12])]), b"").file("z", ""),
        ),
        (
            "a binary size",
            tar()
                .add_header(forged(b'0', "a", 0, &[(SIZE_AT, b"\x80\0\0\0\0\0\0\0\0\0\0\x04")]), b"data")
                .file("z", ""),
        ),
        (
            "a size with spaces",
            tar().add_header(forged(b'0', "a", 0, &[(SIZE_AT, b"     4 \0    ")]), b"data").file("z", ""),
        ),
        ("a time of zeros", tar().add_header(forged(b'0', "a", 0, &[(TIME_AT, &[0; 12])]), b"")),
        ("a time of letters", tar().add_header(forged(b'0', "a", 0, &[(TIME_AT, &[b'z'; 12])]), b"")),
        ("a time of spaces", tar().add_header(forged(b'0', "a", 0, &[(TIME_AT, &[b' '; 12])]), b"")),
        ("garbage in the middle", tar().file("a", "").add_blocks(&[b'x'; 512]).file("z", "")),
    ];
    let place = ArchiveFile::new();
    let mut faults = String::new();
    for (name, tar) in cases {
        if let Some(difference) = difference(&place, &tar.end()) {
            let _ = writeln!(faults, "{name}: {difference}");
        }
    }
    assert!(faults.is_empty(), "{faults}");
}

/// Where packing differs on purpose: it refuses what would be packed otherwise than it was meant.
#[test]
fn packing_refuses_only_these_archives_that_unpacking_takes() {
    let place = ArchiveFile::new();
    for (tar, words) in [
        (Tar::default().add(b'Z', b"q", "", b"data"), "`q` is of an unknown kind (`Z`)"),
        (Tar::default().records(&[("path", "p\0q")]).file("a", ""), "a name with a zero byte"),
        (
            Tar::default().global(&[("GNU.volume.offset", "512")]).file("a", ""),
            "it is one part of an archive in several",
        ),
        (
            Tar::default()
                .records(&[
                    ("GNU.sparse.size", "9"),
                    ("GNU.sparse.numblocks", "1"),
                    ("GNU.sparse.map", "0,2"),
                ])
                .file("a", "four"),
            "it has more data than its pieces",
        ),
    ] {
        let mount = place.mount(&tar.end());
        assert!(unpacked(&place.0.path().join("a")).is_ok(), "{words}");
        let error = packed(&mount).unwrap_err();
        assert!(error.contains(words), "{words}: {error}");
    }
    // A file whose map of holes ends before its size has that size.
    let holes = [("GNU.sparse.size", "9"), ("GNU.sparse.numblocks", "1"), ("GNU.sparse.map", "0,4")];
    let mount = place.mount(&Tar::default().records(&holes).file("a", "four").end());
    let size = |found: Found| found["a"].split(',').next().unwrap().to_owned();
    assert_eq!(size(unpacked(&place.0.path().join("a")).unwrap()), "4 bytes");
    assert_eq!(size(packed(&mount).unwrap()), "9 bytes");
}

/// Number of random archives that are tried.
const ARCHIVES: u64 = 600;

/// An entry of a random archive.
#[derive(Clone, Debug)]
struct Entry {
    kind: u8,
    name: &'static str,
    target: &'static str,
    text: String,
    records: Vec<(&'static str, String)>,
    /// True if the records are of a global header.
    is_global: bool,
}

const NAMES: [&str; 18] = [
    "a", "b", "d", "d/", "./d", "d/a", "d/b", "/d//a", "d/e", "d/e/a", "s", "s/a", "s/e/a", "t", "t/a",
    "t/b", "a/b", "d/s",
];
/// Links to `..` and `/` are not followed before all else is there, and one of them is not replaced
/// by another, which is a fault of tar 1.34: they have one name.
const TARGETS: [&str; 8] = ["a", "d", "./d/", "e", "t", "s", ".", "d/e"];
const ELSEWHERE: [&str; 3] = ["/a", "../a", "d/../a"];
const KINDS: &[u8] = b"00000555222111\x007";

/// Numbers that look random, the same on every run (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % limit
    }

    fn one_of<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())]
    }

    fn entry(&mut self, number: usize) -> Entry {
        let mut entry = Entry {
            kind: self.one_of(KINDS),
            name: self.one_of(&NAMES),
            target: self.one_of(&TARGETS),
            text: "text".repeat(self.below(3) * self.below(200)),
            records: Vec::new(),
            is_global: self.below(3) == 0,
        };
        match entry.kind {
            b'1' if self.below(4) > 0 => entry.target = self.one_of(&NAMES),
            b'2' if self.below(8) == 0 => (entry.name, entry.target) = ("elsewhere", self.one_of(&ELSEWHERE)),
            _ => {}
        }
        if self.below(3) == 0 {
            let key = self.one_of(&["mtime", "mtime", "path", "linkpath", "size", "comment"]);
            let value = match key {
                "mtime" => format!("{}.5", 1_600_000_000 + number),
                "path" => self.one_of(&NAMES).to_owned(),
                "linkpath" => self.one_of(&TARGETS).to_owned(),
                "size" => entry.text.len().to_string(),
                _ => "x".to_owned(),
            };
            entry.records.push((key, value));
        }
        entry
    }
}

fn archive(entries: &[Entry]) -> Vec<u8> {
    let mut tar = Tar::default();
    for entry in entries {
        let records: Vec<(&str, &str)> =
            entry.records.iter().map(|(key, value)| (*key, value.as_str())).collect();
        tar = match (records.as_slice(), entry.is_global) {
            ([], _) => tar,
            (records, true) => tar.global(records),
            (records, false) => tar.records(records),
        };
        let has_bytes = matches!(entry.kind, 0 | b'0' | b'7') && !entry.name.ends_with('/');
        let bytes = if has_bytes { entry.text.as_bytes() } else { b"" };
        tar = tar.add(
            entry.kind,
            entry.name.as_bytes(),
            if matches!(entry.kind, b'1' | b'2') { entry.target } else { "" },
            bytes,
        );
    }
    tar.end()
}

#[test]
fn random_archives_are_packed_as_they_are_unpacked() {
    let place = ArchiveFile::new();
    let seeds = seeds(ARCHIVES);
    let tried_count = seeds.end - seeds.start;
    let mut packed_count = 0;
    for seed in seeds {
        let mut random = Random((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let count = 2 + random.below(6);
        let mut entries: Vec<Entry> = (0..count).map(|number| random.entry(number)).collect();
        let Some(mut told) = difference(&place, &archive(&entries)) else {
            packed_count +=
                u64::from(packed(&format!("/x=image:{}", place.0.path().join("a").display())).is_ok());
            continue;
        };
        let mut at = entries.len();
        while at > 0 {
            at -= 1;
            let mut fewer = entries.clone();
            fewer.remove(at);
            if let Some(still) = difference(&place, &archive(&fewer)) {
                (entries, told) = (fewer, still);
            }
        }
        panic!("seed {seed}, shortest archive: {entries:#?}\n{told}");
    }
    // A fifth of them, where most have something that cannot be unpacked either.
    assert!(
        tried_count < ARCHIVES || packed_count > tried_count / 5,
        "{packed_count} of {tried_count} can be packed"
    );
}
