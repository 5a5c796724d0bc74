//! Archives made by hand, packed and read back.

use crate::mounts::tests::{Opened, planned, refused};
use flate2::{Compression, write::GzEncoder};
use kvfs::Kind;
use std::fs;
use std::io::Write;
use tempfile::TempDir;

/// An archive without its end.
#[derive(Clone, Default)]
pub(super) struct Tar(Vec<u8>);

impl Tar {
    /// Adds an entry, with a header as POSIX has it.
    pub(super) fn add(self, kind: u8, name: &[u8], link: &str, bytes: &[u8]) -> Self {
        self.add_header(header(kind, name, link, bytes.len() as u64), bytes)
    }

    pub(super) fn add_header(mut self, mut header: tar::Header, bytes: &[u8]) -> Self {
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.add_blocks(bytes)
    }

    /// Adds bytes without a header, filled up to a block.
    pub(super) fn add_blocks(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub(super) fn file(self, name: &str, text: &str) -> Self {
        self.add(b'0', name.as_bytes(), "", text.as_bytes())
    }

    /// Adds the header that GNU tar writes for a volume's label: without numbers, and of no format.
    pub(super) fn label(self, text: &str) -> Self {
        let mut header = tar::Header::new_old();
        header.set_path(text).unwrap();
        header.as_old_mut().linkflag = [b'V'];
        header.as_old_mut().mtime = [0; 12];
        self.add_header(header, b"")
    }

    pub(super) fn link(self, name: &str, target: &str) -> Self {
        self.add(b'1', name.as_bytes(), target, b"")
    }

    pub(super) fn symlink(self, name: &str, target: &str) -> Self {
        self.add(b'2', name.as_bytes(), target, b"")
    }

    pub(super) fn directory(self, name: &str) -> Self {
        self.add(b'5', name.as_bytes(), "", b"")
    }

    /// Adds an extended header for the next entry.
    pub(super) fn records(self, records: &[(&str, &str)]) -> Self {
        self.add(b'x', b"records", "", &text_of(records))
    }

    /// Adds an extended header for all entries that follow.
    pub(super) fn global(self, records: &[(&str, &str)]) -> Self {
        self.add(b'g', b"records", "", &text_of(records))
    }

    pub(super) fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

/// Makes a header as POSIX has it, without its checksum.
pub(super) fn header(kind: u8, name: &[u8], link: &str, size: u64) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.as_old_mut().linkflag = [kind];
    header.set_mode(if kind == b'5' { 0o755 } else { 0o644 });
    header.set_mtime(1_700_000_000);
    header.set_size(size);
    header
}

fn text_of(records: &[(&str, &str)]) -> Vec<u8> {
    let mut text = String::new();
    for (key, value) in records {
        let rest = format!(" {key}={value}\n");
        // A record's length counts its own digits.
        let length = (rest.len()..).find(|length| length.to_string().len() + rest.len() == *length);
        text += &format!("{}{rest}", length.unwrap());
    }
    text.into_bytes()
}

fn compressed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The file of an archive, under a name without an extension that would tell its form.
pub(super) struct ArchiveFile(pub(super) TempDir);

impl ArchiveFile {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(super) fn mount(&self, bytes: &[u8]) -> String {
        let file = self.0.path().join("a");
        fs::write(&file, bytes).unwrap();
        format!("/x=image:{}", file.display())
    }

    fn open(&self, bytes: &[u8]) -> Opened {
        Opened::new(&planned(&[&self.mount(bytes)]).unwrap(), "/x")
    }

    /// Returns why an archive is refused, without where it lies.
    fn refused(&self, bytes: &[u8]) -> String {
        let error = refused(&[&self.mount(bytes)]);
        assert!(error.starts_with("mount at /x: "), "{error}");
        assert!(!error.contains(|part: char| part.is_control()), "{error}");
        error.replace(&self.0.path().join("a").display().to_string(), "FILE")
    }

    /// Returns the same for an archive that may be too large, which is not said of one mount.
    fn refused_or_too_large(&self, bytes: &[u8]) -> String {
        let error = refused(&[&self.mount(bytes)]);
        error.replace(&self.0.path().join("a").display().to_string(), "FILE")
    }
}

#[test]
fn an_entry_of_an_archive_that_cannot_be_packed_is_named() {
    let place = ArchiveFile::new();
    let one = |kind, name, link, bytes| Tar::default().add(kind, name, link, bytes).end();
    let regular = one(b'0', b"f", "", &[7; 5000]);
    let second = Tar::default().file("f", "text").add(b'0', b"g", "", &[7; 5000]).end();
    let mut spoiled = second.clone();
    spoiled[1024] ^= 1;
    for (bytes, words) in [
        (one(b'6', b"dir/fifo", "", b""), "has a pipe, `dir/fifo`"),
        (one(b'3', b"null", "", b""), "has a device, `null`"),
        (one(b'0', b"../up", "", b"x"), "has `../up`, a path with `..`, which unpacking refuses too"),
        (Tar::default().directory("d").file("d/../d/a", "").end(), "has `d/../d/a`, a path with `..`"),
        (
            Tar::default().file("d/f", "").file("d", "").end(),
            "has `d`, in the place of a directory that is not empty",
        ),
        (
            Tar::default().file("d/f", "").symlink("d", "d/f").end(),
            "has `d`, in the place of a directory that is",
        ),
        (Tar::default().file("f", "").file("f/g", "").end(), "has `f/g`, below a file"),
        (
            Tar::default().symlink("s", "/d").file("s/g", "").end(),
            "`s/g`, below a symbolic link that may lead",
        ),
        (
            Tar::default().symlink("s", "d").file("s/g", "").end(),
            "`s/g`, below a symbolic link that leads to nothing",
        ),
        (
            Tar::default().symlink("s", "s").file("s/g", "").end(),
            "`s/g`, below symbolic links that lead to each",
        ),
        (
            Tar::default().file("f", "").link("g", ".").end(),
            "the hard link `g` leads to `.`, which is a directory",
        ),
        (
            Tar::default().global(&[("GNU.volume.offset", "512")]).file("f", "").end(),
            "one part of an archive in several",
        ),
        (Tar::default().global(&[("GNU.sparse.size", "5")]).file("f", "").end(), "a global header has holes"),
        (Tar::default().records(&[("mtime", "soon")]).file("f", "").end(), "`mtime=soon` is not a time"),
        (Tar::default().global(&[("size", "-5")]).file("f", "").end(), "`size=-5` is not a size"),
        (one(b'x', b"records", "", b"7 path\n"), "an extended header has a record that cannot be read"),
        (
            Tar::default().add_header(header(b'x', b"records", "", 1 << 33), b"").end(),
            "has 8589934592 bytes, and at most",
        ),
        (one(b'0', b"bad\xff", "", b"x"), "a name that is not UTF-8"),
        (one(b'1', b"second", "first", b""), "`second`, to `first`, which does not precede it"),
        (Tar::default().directory("d").link("e", "d").end(), "`e` leads to `d`, which is a directory"),
        (one(b'1', b"./", "f", b""), "`f`, which does not precede it"),
        (Tar::default().file("f", "").link("./", "f").end(), "its root is not a directory"),
        (one(b'2', b"link", "", b""), "`link`"),
        (one(b'Z', b"what", "", b""), "(`Z`)"),
        (one(0x1b, b"a\x1b[2J\nb", "", b""), r"`a\u{1b}[2J\nb` is of an unknown kind (`\x1b`)"),
        (one(b'M', b"what", "", b""), "one part of an archive in several"),
        (Tar::default().label("label").end(), "there is nothing in it"),
        (regular[..4000].to_vec(), "FILE is damaged: it ends within `f`; make it or fetch it again"),
        (regular[..300].to_vec(), "FILE cannot be read as a tar: it does not start like one"),
        (second[..1300].to_vec(), "FILE is damaged: it ends after `f`"),
        (spoiled, "FILE is damaged: after `f`: archive header checksum"),
        (b"#!/bin/sh\nexit\n".repeat(100), "FILE cannot be read as a tar: it does not start like one"),
        ((0..=255).cycle().take(4096).collect(), "FILE cannot be read as a tar: it does not start like one"),
        (Vec::new(), "there is nothing in it"),
        (vec![0; 10240], "there is nothing in it"),
        (
            b"\xfd7zXZ\0\0\x04".to_vec(),
            "it is compressed with xz; give a directory, a tar, or a tar compressed",
        ),
        (b"BZh91AY&SY\x01\x02".to_vec(), "it is compressed with bzip2"),
        (b"\x28\xb5\x2f\xfd\x04".to_vec(), "it is compressed with zstd"),
        (b"PK\x03\x04\x14\0".to_vec(), "it is a zip"),
        (b"\x1f\x8bnot gzip at all".to_vec(), "FILE is damaged: gzip: "),
    ] {
        let error = place.refused(&bytes);
        assert!(error.contains(words), "{words}: {error}");
    }
    let name = Tar::default().file("BZh", "no bzip2").end();
    assert_eq!(place.open(&name).text("BZh"), "no bzip2");
}

#[test]
fn an_archive_without_its_end_is_damaged() {
    let place = ArchiveFile::new();
    let tar = Tar::default().file("a", "first").file("b", "second");
    let whole = tar.clone().end();
    // Right between two entries, and after the last.
    for (length, last) in [(1024, "a"), (2048, "b")] {
        let error = place.refused(&whole[..length]);
        let words = format!("FILE is damaged: it ends after `{last}`, without the blocks that end a tar");
        assert!(error.contains(&words), "{error}");
        let error = place.refused(&compressed(&whole[..length]));
        assert!(error.contains(&words), "{error}");
    }
    let mut padded = whole.clone();
    padded.resize(10240, 0);
    assert_eq!(place.open(&padded).names("."), ["a", "b"]);
    // Unpacking would leave the second one out, silently.
    let two = [whole, Tar::default().file("c", "third").end()].concat();
    let error = place.refused(&two);
    assert!(error.contains("bytes follow its end, as when two tars are joined"), "{error}");
}

#[test]
fn gzip_is_read_to_its_checksum() {
    let place = ArchiveFile::new();
    let text = "0123456789abcdef".repeat(1000);
    let tar = Tar::default().file("a", &text).end();
    let good = compressed(&tar);
    // Not compressed at all: a changed byte stays a changed byte.
    let mut stored = GzEncoder::new(Vec::new(), Compression::none());
    stored.write_all(&tar).unwrap();
    let mut changed = stored.finish().unwrap();
    changed[2000] ^= 1;
    let mut wrong_sum = good.clone();
    let sum_at = good.len() - 6;
    wrong_sum[sum_at] ^= 1;
    for (bytes, words) in [
        (changed, "checksum"),
        (wrong_sum, "checksum"),
        (good[..good.len() - 4].to_vec(), "gzip: it is cut off"),
        (good[..good.len() - 8].to_vec(), "gzip: it is cut off"),
        (good[..good.len() / 2].to_vec(), "gzip: it is cut off"),
        (good[..5].to_vec(), "gzip: it is cut off"),
        ([&good[..], b"garbage"].concat(), "gzip: bytes follow the compressed data"),
        ([&good[..], &[0; 600], b"x"].concat(), "gzip: bytes follow the compressed data"),
        ([&good[..], b"\x1f\x8bgarbage"].concat(), "gzip: "),
    ] {
        let error = place.refused(&bytes);
        assert!(error.contains("FILE is damaged: ") && error.contains(words), "{words}: {error}");
    }
    let parts = [compressed(&tar[..700]), compressed(&tar[700..])].concat();
    let on_tape = [&good[..], &[0; 600]].concat();
    for bytes in [good, parts, on_tape] {
        assert_eq!(place.open(&bytes).text("a"), text);
    }
}

#[test]
fn later_entries_of_an_archive_replace_earlier_ones() {
    let tar = Tar::default().file("d/f", "first").file("/d/f", "second").file("x", "file");
    let mut opened = ArchiveFile::new().open(&tar.directory("x/").file("./x//y", "in x").end());
    assert_eq!(opened.text("d/f"), "second");
    assert_eq!(opened.text("x/y"), "in x");
    assert_eq!(opened.names("."), ["d", "x"]);
}

#[test]
fn a_hard_link_keeps_what_it_was_made_to() {
    let place = ArchiveFile::new();
    let linked = Tar::default().file("a", "old").link("b", "a").link("./d/c", "/b");
    let mut opened = place.open(&linked.clone().file("a", "new").end());
    assert_eq!(
        (opened.text("a"), opened.text("b"), opened.text("d/c")),
        ("new".into(), "old".into(), "old".into())
    );
    assert_eq!((opened.stat("a").nlink, opened.stat("b").nlink), (1, 2));
    assert_eq!(opened.stat("d/c").mtime.seconds, 1_700_000_000);

    let mut opened = place.open(&linked.clone().directory("a/").file("a/f", "in a").end());
    assert_eq!((opened.text("a/f"), opened.text("b")), ("in a".into(), "old".into()));

    let mut opened = place.open(&linked.clone().link("a", "a").link("b", "d/c").end());
    assert_eq!((opened.text("a"), opened.stat("a").nlink), ("old".into(), 3));

    // The first name in the archive need not be the first in the tree.
    let plan = planned(&[&place.mount(&Tar::default().file("z", "text").link("a", "z").end())]).unwrap();
    let facts = plan.mounted[0].tree.clone().unwrap();
    assert_eq!((facts.files, facts.file_bytes), (2, 4));
    assert_eq!(Opened::new(&plan, "/x").stat("z").nlink, 2);
}

#[test]
fn a_hard_link_to_a_symbolic_link_is_one_too() {
    let tar = Tar::default().file("f", "text").symlink("s", "f").link("s2", "s").symlink("alone", "f");
    let plan = planned(&[&ArchiveFile::new().mount(&tar.end())]);
    let plan = plan.unwrap();
    let mut opened = Opened::new(&plan, "/x");
    assert_eq!(opened.volume.readlink_at(&opened.root, "s2").unwrap(), "f");
    assert_eq!((opened.text("s"), opened.text("s2")), ("text".into(), "text".into()));
    assert_eq!((opened.stat("s").nlink, opened.stat("s2").nlink, opened.stat("alone").nlink), (2, 2, 1));
    assert_eq!(opened.inode("s"), opened.inode("s2"));
    assert_eq!(plan.mounted[0].tree.clone().unwrap().symlinks, 3);
}

#[test]
fn a_global_header_is_about_all_entries_up_to_the_next_one() {
    let (early, late) = (("mtime", "1500000000.25"), ("mtime", "1600000000"));
    let tar = Tar::default().global(&[early]).file("a", "").directory("d").symlink("s", "a");
    let tar = tar.records(&[late]).file("own", "").global(&[("comment", "x")]).file("b", "");
    let tar = tar.global(&[("linkpath", "a"), late]).link("l", "nothing").symlink("t", "nothing");
    let mut opened = ArchiveFile::new().open(&tar.clone().end());
    let times = ["a", "d", "s", "own", "b", "t"].map(|name| opened.stat(name).mtime);
    let times = times.map(|time| (time.seconds, time.nanoseconds));
    let early = (1_500_000_000, 250_000_000);
    assert_eq!(times, [early, early, early, (1_600_000_000, 0), (1_700_000_000, 0), (1_600_000_000, 0)]);
    assert_eq!(opened.inode("l"), opened.inode("a"));
    assert_eq!(opened.volume.readlink_at(&opened.root, "t").unwrap(), "a");

    // The size decides where the next header is.
    let tar = Tar::default().global(&[("size", "3"), ("path", "p")]);
    let tar = tar.add_header(header(b'0', b"a", "", 600), b"abc").records(&[("path", "q")]);
    let mut opened = ArchiveFile::new().open(&tar.add_header(header(b'0', b"b", "", 0), b"def").end());
    assert_eq!(opened.names("."), ["p", "q"]);
    assert_eq!((opened.text("p"), opened.text("q")), ("abc".into(), "def".into()));
}

#[test]
fn links_and_directories_have_no_bytes_whatever_their_stated_size() {
    let tar = Tar::default().file("a", "text").add_header(header(b'1', b"l", "a", 4), b"");
    let tar = tar.add_header(header(b'2', b"s", "a", 4), b"").add_header(header(b'5', b"d", "", 600), b"");
    let tar = tar.add_header(header(b'0', b"e/", "", 600), b"").records(&[("size", "4")]).link("m", "a");
    let mut opened = ArchiveFile::new().open(&tar.file("z", "end").end());
    assert_eq!(opened.names("."), ["a", "d", "e", "l", "m", "s", "z"]);
    assert_eq!((opened.text("z"), opened.stat("a").nlink), ("end".into(), 3));
}

#[test]
fn entries_below_a_symbolic_link_lie_where_it_leads() {
    let tar = Tar::default().directory("usr/lib").symlink("lib", "usr/lib").file("lib/x/f", "f");
    let tar =
        tar.symlink("again", "./lib/").file("again/g", "g").link("h", "again/x/f").symlink("usr/up", ".");
    let mut opened =
        ArchiveFile::new().open(&tar.file("usr/up/u", "u").directory("again").file("again/own", "").end());
    assert_eq!(opened.names("."), ["again", "h", "lib", "usr"]);
    assert_eq!(opened.names("usr"), ["lib", "u", "up"]);
    assert_eq!(opened.names("usr/lib"), ["g", "x"]);
    assert_eq!(opened.names("again"), ["own"]);
    assert_eq!(opened.inode("h"), opened.inode("usr/lib/x/f"));
}

#[test]
fn an_empty_directory_is_replaced() {
    let tar = Tar::default().file("f", "text").directory("a").directory("b").directory("c");
    let mut opened = ArchiveFile::new().open(&tar.file("a", "file").symlink("b", "f").link("c", "f").end());
    assert_eq!(opened.names("."), ["a", "b", "c", "f"]);
    assert_eq!(
        (opened.text("a"), opened.text("b"), opened.text("c")),
        ("file".into(), "text".into(), "text".into())
    );
}

#[test]
fn records_have_line_feeds_in_values_and_the_last_of_two_counts() {
    let tar = Tar::default().records(&[("path", "one"), ("path", "a\nb"), ("mtime", "5")]).file("c", "");
    // Another extended header takes the place of the one before, and a long name gives way to both.
    let tar = tar.records(&[("path", "lost")]).records(&[("mtime", "6")]).file("d", "");
    let tar = tar.records(&[("path", "e")]).add(b'L', b"long", "", b"long name\0").file("f", "");
    let mut opened = ArchiveFile::new().open(&tar.add(b'L', b"long", "", b"long name\0").file("g", "").end());
    assert_eq!(opened.names("."), ["a\nb", "d", "e", "long name"]);
    assert_eq!((opened.stat("a\nb").mtime.seconds, opened.stat("d").mtime.seconds), (5, 6));
}

/// Messages name what is wrong with the first entry, and do not say that there is no archive.
#[test]
fn a_wrong_map_of_holes_in_a_header_is_named() {
    let place = ArchiveFile::new();
    let map = |pieces: &[(u64, u64)], whole: u64| {
        let mut header = tar::Header::new_gnu();
        header.set_path("s").unwrap();
        header.set_entry_type(tar::EntryType::GNUSparse);
        header.set_size(pieces.iter().map(|(_, length)| length).sum());
        header.set_mtime(0);
        let gnu = header.as_gnu_mut().unwrap();
        for (place, (offset, length)) in gnu.sparse.iter_mut().zip(pieces) {
            place.offset[..11].copy_from_slice(format!("{offset:011o}").as_bytes());
            place.numbytes[..11].copy_from_slice(format!("{length:011o}").as_bytes());
        }
        gnu.set_real_size(whole);
        header
    };
    let tar = |header: tar::Header, bytes: &[u8]| Tar::default().add_header(header, bytes).end();
    let pieces = [(0, 512), (1024, 512), (4096, 4)];
    let mut extended = map(&[(0, 512), (1024, 512), (4096, 4), (5000, 0)], 5000);
    extended.as_gnu_mut().unwrap().isextended = [1];
    let mut garbage = map(&pieces, 5000);
    garbage.as_gnu_mut().unwrap().sparse[0].offset = *b"zzzzzzzzzzzz";
    let bytes = pieces_of_three();
    for (bytes, words) in [
        (
            tar(map(&pieces, 4097), &bytes),
            "FILE is damaged: `s`: it has holes, and its pieces do not follow each other inside it",
        ),
        (
            tar(map(&[(512, 512), (0, 512)], 5000), &bytes[..1024]),
            "`s`: it has holes, and its pieces do not follow each other",
        ),
        (tar(map(&[(0, 4), (1024, 512)], 5000), &bytes[..516]), "a piece of it does not start on a block"),
        (tar(extended, &bytes), "FILE is damaged: at its start: `s` has holes, and in their map `"),
        (
            tar(garbage, &bytes),
            "FILE is damaged: at its start: `s` has holes, and in their map `zzzzzzzzzzzz` is not a number",
        ),
        (tar(map(&[], 99_999_999_999), b""), "the packed trees have 99999999999 bytes"),
    ] {
        let error = place.refused_or_too_large(&bytes);
        assert!(error.contains(words), "{words}: {error}");
    }
    let mut opened =
        place.open(&Tar::default().add_header(map(&pieces, 5000), &bytes).file("after", "text").end());
    let whole = opened.text("s").into_bytes();
    assert_eq!((whole.len(), &whole[1024..1536], &whole[4096..4100]), (5000, &[b'b'; 512][..], &b"tail"[..]));
    assert_eq!(opened.text("after"), "text");
    // Of another format the kind says nothing.
    assert_eq!(place.open(&Tar::default().add(b'S', b"s", "", b"text").end()).text("s"), "text");
}

/// Blocks of letters that tell the pieces of a file with holes.
fn pieces_of_three() -> Vec<u8> {
    [[b'a'; 512], [b'b'; 512]].concat().into_iter().chain(*b"tail").collect()
}

fn check_pieces(opened: &mut Opened) {
    let mut whole = vec![0; 5000];
    whole[..512].fill(b'a');
    whole[1024..1536].fill(b'b');
    whole[4096..4100].copy_from_slice(b"tail");
    assert_eq!(opened.names("."), ["after", "d"]);
    assert_eq!(opened.text("d/sparse").into_bytes(), whole);
    assert_eq!(opened.text("after"), "text");
}

#[test]
fn files_with_holes_are_filled_in_every_form() {
    let place = ArchiveFile::new();
    let after = |tar: Tar| tar.file("after", "text").end();
    let made_up = b"./GNUSparseFile.1/sparse";

    let records = [
        ("GNU.sparse.size", "5000"),
        ("GNU.sparse.numblocks", "4"),
        ("GNU.sparse.offset", "0"),
        ("GNU.sparse.numbytes", "512"),
        ("GNU.sparse.offset", "1024"),
        ("GNU.sparse.numbytes", "512"),
        ("GNU.sparse.offset", "4096"),
        ("GNU.sparse.numbytes", "4"),
        ("GNU.sparse.offset", "5000"),
        ("GNU.sparse.numbytes", "0"),
    ];
    let tar = Tar::default().records(&records).add(b'0', b"d/sparse", "", &pieces_of_three());
    check_pieces(&mut place.open(&after(tar)));

    let records = |map| {
        let size = [("GNU.sparse.size", "5000"), ("GNU.sparse.numblocks", "3")];
        [size[0], size[1], ("GNU.sparse.name", "d/sparse"), ("GNU.sparse.map", map)]
    };
    let mapped = |map| Tar::default().records(&records(map)).add(b'0', made_up, "", &pieces_of_three());
    check_pieces(&mut place.open(&after(mapped("0,512,1024,512,4096,4"))));

    let records = |minor| {
        let version = [("GNU.sparse.major", "1"), ("GNU.sparse.minor", minor)];
        [version[0], version[1], ("GNU.sparse.name", "d/sparse"), ("GNU.sparse.realsize", "5000")]
    };
    let in_front = |map: &str| {
        let mut bytes = map.as_bytes().to_vec();
        bytes.resize(512, 0);
        bytes.extend(pieces_of_three());
        bytes
    };
    let versioned =
        |minor, map: &str| Tar::default().records(&records(minor)).add(b'0', made_up, "", &in_front(map));
    check_pieces(&mut place.open(&after(versioned("0", "3\n0\n512\n1024\n512\n4096\n4\n"))));

    let no_size = Tar::default().records(&[("GNU.sparse.map", "0,4")]).file("d/sparse", "tail");
    let huge = Tar::default().records(&[("GNU.sparse.size", "99999999999")]).file("d/sparse", "");
    let error = refused(&[&place.mount(&after(huge))]);
    assert!(error.contains("the packed trees have 99999999999 bytes"), "{error}");
    for (tar, words) in [
        (
            versioned("1", "3\n0\n512\n1024\n512\n4096\n4\n"),
            "`d/sparse`: it has holes in the unknown format 1.1",
        ),
        (versioned("0", "99999999\n0\n512\n"), "FILE is damaged: `d/sparse`: it has holes, and their map"),
        (mapped("0,512,1024,512"), "their map is not whole"),
        (mapped("0,512,1024,512,4096"), "their map is not whole"),
        (mapped("0,512,1024,512,4096,5"), "do not follow each other inside it"),
        (mapped("0,512,100,512,4096,4"), "do not follow each other inside it"),
        (mapped("0,512,1024,512,4999,4"), "do not follow each other inside it"),
        (mapped("0,512,1024,512,4096,18446744073709551615"), "do not follow each other inside it"),
        (mapped("0,512,1024,4,4096,512"), "a piece of it does not start on a block"),
        (mapped("0,512,1024,512,4096,3"), "it has more data than its pieces"),
        (mapped("0,512,1024,512,4096,x"), "is not a number"),
        (no_size, "its size is missing"),
    ] {
        let error = place.refused(&after(tar));
        assert!(error.contains(words), "{words}: {error}");
    }
}

#[test]
fn entries_that_only_gnu_tar_writes_are_read() {
    let place = ArchiveFile::new();
    // A volume's label, a directory of an incremental archive with its list, and a time before
    // 1970.
    let mut old = tar::Header::new_gnu();
    old.set_path("old").unwrap();
    old.set_entry_type(tar::EntryType::Regular);
    old.set_size(0);
    old.as_old_mut().mtime = [255; 12];
    old.as_old_mut().mtime[11] = 251;
    let tar = Tar::default().label("my label").add(b'D', b"d/", "", b"Yf\0Ddir\0\0");
    let mut opened = place.open(&tar.file("d/f", "text").add_header(old, b"").end());
    assert_eq!(opened.names("."), ["d", "old"]);
    assert_eq!(opened.text("d/f"), "text");
    assert_eq!(opened.stat("old").mtime.seconds, -5);

    let later = Tar::default().add(b'D', b"d/", "", b"Yf\0Nsame\0\0").file("d/f", "text").end();
    let error = place.refused(&later);
    assert!(error.contains("it is incremental and left `d/same` out"), "{error}");
    let later = Tar::default().records(&[("GNU.dumpdir", "Nsame\0\0")]).directory("d/").end();
    let error = place.refused(&later);
    assert!(error.contains("it is incremental and left `d/same` out"), "{error}");
}

#[test]
fn a_slash_makes_a_directory_in_an_old_archive() {
    let tar = Tar::default().add(b'\0', b"./", "", b"").add(b'\0', b"d/", "", b"").file("d/f", "text");
    let mut opened = ArchiveFile::new().open(&tar.add(b'0', b"e/", "", b"").end());
    assert_eq!(opened.names("."), ["d", "e"]);
    assert_eq!((opened.stat("d").kind, opened.stat("e").kind), (Kind::Directory, Kind::Directory));
    assert_eq!(opened.text("d/f"), "text");
}

#[cfg(target_os = "linux")]
#[test]
fn an_archive_may_come_through_a_pipe() {
    use std::os::fd::AsRawFd;
    let tar = Tar::default().file("a", "through a pipe").end();
    for bytes in [tar.clone(), compressed(&tar)] {
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(&bytes).unwrap();
        drop(writer);
        let plan = planned(&[&format!("/x=image:/dev/fd/{}", reader.as_raw_fd())]).unwrap();
        assert_eq!(Opened::new(&plan, "/x").text("a"), "through a pipe");
    }
}

#[test]
fn short_entries_that_name_very_many_directories_are_refused() {
    let place = ArchiveFile::new();
    let deep = |number: usize| format!("{number}{}", "/a".repeat(2046));
    let mut tar = Tar::default();
    for number in 0..70 {
        tar = tar.records(&[("path", &deep(number))]).directory("d");
    }
    let error = refused(&[&place.mount(&tar.end())]);
    assert!(error.contains("files, directories and links") && error.contains("host:PREOPEN"), "{error}");
}
