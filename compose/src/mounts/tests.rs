//! Trees of every kind, packed and read back with the file system that a guest has.

use super::fixed::{FixedSource, check_config, read_lines};
use super::mount::Mount;
use super::plan::{Plan, plan};
use crate::error::MountError;
use kvfs::image::Image;
use kvfs::{Descriptor, Error, Follow, Kind, Options, Volume};
use std::fs;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};
use tempfile::TempDir;

pub(super) fn planned(mounts: &[&str]) -> Result<Plan, MountError> {
    let mounts: Vec<Mount> = mounts.iter().map(|text| text.parse().unwrap()).collect();
    plan(&mounts, "main", &|_| {})
}

pub(super) fn refused(mounts: &[&str]) -> String {
    planned(mounts).unwrap_err().to_string()
}

/// A file system on the image at a path of the plan.
pub(super) struct Opened {
    pub(super) volume: Volume,
    pub(super) root: Descriptor,
}

impl Opened {
    pub(super) fn new(plan: &Plan, path: &str) -> Self {
        let mounts = read_lines(&plan.lines, &plan.images);
        let mount = mounts.iter().find(|mount| mount.path == path).unwrap();
        let image = match &mount.source {
            FixedSource::Image { image } | FixedSource::Overlay { image, .. } => image.to_vec(),
            other => panic!("{other:?}"),
        };
        let mut image = Image::open(image.leak()).unwrap();
        image.verify().unwrap();
        let mut volume = Volume::open_image(image, Options::default()).unwrap();
        let root = volume.root().unwrap();
        Self { volume, root }
    }

    pub(super) fn text(&mut self, path: &str) -> String {
        String::from_utf8(self.bytes(path)).unwrap()
    }

    pub(super) fn bytes(&mut self, path: &str) -> Vec<u8> {
        let read = kvfs::Access { read: true, ..Default::default() };
        let flags = kvfs::OpenFlags::default();
        let file = self.volume.open_at(&self.root, path, Follow::Yes, flags, read).unwrap();
        let mut bytes = Vec::new();
        loop {
            let at = bytes.len() as u64;
            if self.volume.read(&file, at, 1 << 20, &mut bytes).unwrap() == 0 {
                break;
            }
        }
        self.volume.close(file).unwrap();
        bytes
    }

    pub(super) fn stat(&mut self, path: &str) -> kvfs::Stat {
        self.volume.stat_at(&self.root, path, Follow::No).unwrap()
    }

    pub(super) fn inode(&mut self, path: &str) -> u64 {
        self.volume.metadata_hash_at(&self.root, path, Follow::No).unwrap().lower
    }

    pub(super) fn names(&mut self, path: &str) -> Vec<String> {
        let read = kvfs::Access { read: true, ..Default::default() };
        let flags = kvfs::OpenFlags::default();
        let directory = self.volume.open_at(&self.root, path, Follow::Yes, flags, read).unwrap();
        let mut stream = self.volume.read_directory(&directory).unwrap();
        let mut names = Vec::new();
        while let Some(entry) = self.volume.next_entry(&mut stream).unwrap() {
            names.push(entry.name.to_string());
        }
        names.sort();
        names
    }
}

fn at(seconds: u64) -> std::time::SystemTime {
    UNIX_EPOCH + Duration::new(seconds, 123_456_789)
}

fn set_time(path: &Path, seconds: u64) {
    fs::File::open(path).unwrap().set_modified(at(seconds)).unwrap();
}

/// A tree with one of everything that there can be.
fn tree() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    fs::create_dir_all(root.join("lib/deep/er")).unwrap();
    fs::write(root.join("lib/a.py"), "print('a')\n").unwrap();
    fs::write(root.join("empty"), "").unwrap();
    fs::write(root.join("large"), "0123456789abcdef".repeat(20_000)).unwrap();
    fs::write(root.join("lib/deep/er/ünïcode"), "u").unwrap();
    fs::hard_link(root.join("large"), root.join("lib/also-large")).unwrap();
    std::os::unix::fs::symlink("lib/a.py", root.join("link")).unwrap();
    fs::hard_link(root.join("link"), root.join("lib/also-link")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", root.join("absolute")).unwrap();
    std::os::unix::fs::symlink("../../out", root.join("outward")).unwrap();
    for (second, path) in
        ["lib/a.py", "empty", "large", "lib/deep/er/ünïcode", "lib/deep/er", "lib/deep", "lib", ""]
            .iter()
            .enumerate()
    {
        set_time(&root.join(path), 1_600_000_000 + second as u64);
    }
    dir
}

fn check_tree(opened: &mut Opened, nanoseconds: u32) {
    assert_eq!(opened.names("."), ["absolute", "empty", "large", "lib", "link", "outward"]);
    assert_eq!(opened.names("lib"), ["a.py", "also-large", "also-link", "deep"]);
    assert_eq!(opened.text("lib/a.py"), "print('a')\n");
    assert_eq!(opened.text("link"), "print('a')\n");
    assert_eq!(opened.text("empty"), "");
    assert_eq!(opened.text("lib/deep/er/ünïcode"), "u");
    assert_eq!(opened.text("lib/also-large"), "0123456789abcdef".repeat(20_000));
    assert_eq!((opened.stat("large").nlink, opened.stat("lib/a.py").nlink), (2, 1));
    assert_eq!(opened.inode("large"), opened.inode("lib/also-large"));
    assert_eq!(opened.volume.readlink_at(&opened.root, "lib/also-link").unwrap(), "lib/a.py");
    assert_eq!((opened.stat("link").nlink, opened.inode("link")), (2, opened.inode("lib/also-link")));
    let seconds: Vec<_> =
        ["lib/a.py", "empty", "large", "lib/deep/er/ünïcode", "lib/deep/er", "lib/deep", "lib"]
            .iter()
            .map(|path| opened.stat(path).mtime)
            .map(|time| (time.seconds - 1_600_000_000, time.nanoseconds))
            .collect();
    assert_eq!(seconds, (0..7).map(|second| (second, nanoseconds)).collect::<Vec<_>>());
    // Kept as they are, and leading nowhere.
    assert_eq!(opened.volume.readlink_at(&opened.root, "absolute").unwrap(), "/etc/passwd");
    let followed = opened.volume.stat_at(&opened.root, "absolute", Follow::Yes);
    assert_eq!(followed, Err(Error::NotPermitted));
    assert_eq!(opened.volume.readlink_at(&opened.root, "outward").unwrap(), "../../out");
}

#[test]
fn a_directory_is_packed_with_times_and_links() {
    let dir = tree();
    let plan = planned(&[&format!("/=image:{}", dir.path().display())]).unwrap();
    let mut opened = Opened::new(&plan, "/");
    check_tree(&mut opened, 123_456_789);
    let root = opened.volume.stat(&opened.root).unwrap().mtime;
    assert_eq!(root.seconds, 1_600_000_007);
    assert_eq!(opened.volume.create_directory_at(&opened.root, "new"), Err(Error::ReadOnly));
    let facts = plan.mounted[0].tree.clone().unwrap();
    assert_eq!((facts.files, facts.directories, facts.symlinks), (5, 3, 4));
    assert_eq!((facts.file_bytes, facts.image_bytes), (320_012, plan.images.len() as u64));
}

#[test]
fn a_tree_packed_twice_gives_the_same_bytes_wherever_it_lies() {
    let (one, other) = (tree(), tree());
    for dir in [&one, &other] {
        // Their times cannot be set with what std has.
        for link in ["link", "lib/also-link", "absolute", "outward"] {
            fs::remove_file(dir.path().join(link)).unwrap();
        }
        set_time(&dir.path().join("lib"), 1_600_000_007);
        set_time(dir.path(), 1_600_000_007);
    }
    let images = |dir: &TempDir| {
        // An image has the last part of its tree's path in it, so both trees get the same one.
        let place = dir.path().join("..").join(dir.path().file_name().unwrap());
        let named = dir.path().with_file_name("kvfs-tree-of-the-test");
        let _ = fs::remove_file(&named);
        std::os::unix::fs::symlink(place, &named).unwrap();
        let plan = planned(&[&format!("/=overlay:{}:v", named.display())]).unwrap();
        fs::remove_file(named).unwrap();
        plan.images
    };
    let first = images(&one);
    assert_eq!(images(&one), first);
    assert_eq!(images(&other), first);
    fs::write(one.path().join("empty"), "x").unwrap();
    assert_ne!(images(&one), first);
}

/// Packs a directory with the tar crate, so with what an archive has: names and whole seconds.
fn archive(dir: &Path) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    builder.follow_symlinks(false);
    builder.append_dir_all(".", dir).unwrap();
    // The builder makes files of further names.
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Link);
    header.set_size(0);
    builder.append_link(&mut header, "lib/also-large", "./large").unwrap();
    builder.append_link(&mut header, "lib/also-link", "./link").unwrap();
    builder.into_inner().unwrap()
}

#[test]
fn archives_are_packed_compressed_or_not() {
    let dir = tree();
    fs::remove_file(dir.path().join("lib/also-large")).unwrap();
    fs::remove_file(dir.path().join("lib/also-link")).unwrap();
    set_time(&dir.path().join("lib"), 1_600_000_006);
    let bytes = archive(dir.path());
    let out = tempfile::tempdir().unwrap();
    let plain = out.path().join("tree.tar");
    fs::write(&plain, &bytes).unwrap();
    let plan = planned(&[&format!("/=image:{}", plain.display())]).unwrap();
    check_tree(&mut Opened::new(&plan, "/"), 0);

    let compressed = out.path().join("tree.tgz");
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, &bytes).unwrap();
    fs::write(&compressed, encoder.finish().unwrap()).unwrap();
    let again = planned(&[&format!("/=image:{}", compressed.display())]).unwrap();
    check_tree(&mut Opened::new(&again, "/"), 0);
    let digest = |plan: &Plan| plan.mounted[0].tree.clone().unwrap().digest;
    assert_eq!(digest(&plan), digest(&again));
}

#[test]
fn an_entry_of_a_directory_that_cannot_be_packed_is_named() {
    use std::os::unix::ffi::OsStrExt;
    let dir = tempfile::tempdir().unwrap();
    let mount = format!("/x=image:{}", dir.path().display());
    let socket = dir.path().join("sub/socket");
    fs::create_dir(dir.path().join("sub")).unwrap();
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let error = refused(&[&mount]);
    assert!(error.contains("has a socket, `sub/socket`"), "{error}");
    fs::remove_file(&socket).unwrap();

    let bad = dir.path().join("sub").join(std::ffi::OsStr::from_bytes(b"a\xffb"));
    fs::write(&bad, "").unwrap();
    let error = refused(&[&mount]);
    assert!(error.contains("`sub/a\u{fffd}b`, a name that is not UTF-8; rename it"), "{error}");
    fs::remove_file(&bad).unwrap();

    let error = refused(&["/x=image:/no/such/tree"]);
    assert!(error.contains("mount at /x: cannot read /no/such/tree: No such file"), "{error}");
}

#[test]
fn mounts_lie_on_directories_of_the_tree_around_them() {
    let dir = tree();
    let tree = dir.path().display();
    let plan = planned(&[
        &format!("/lib/deep/new/er=image:{tree}"),
        &format!("/=overlay:{tree}"),
        "/data=kv:data",
        "/lib/deep=kv:deep,ro",
        "/lib/other/place=kv:data",
    ])
    .unwrap();
    let lines: Vec<Vec<&str>> = plan.lines.lines().map(|line| line.split('\t').take(2).collect()).collect();
    assert_eq!(
        lines,
        [
            ["mount=/", "rw"],
            ["mount=/data", "rw"],
            ["mount=/lib/deep", "ro"],
            ["mount=/lib/deep/new/er", "ro"],
            ["mount=/lib/other/place", "rw"]
        ]
    );
    let mut root = Opened::new(&plan, "/");
    assert_eq!(root.stat("data").kind, Kind::Directory);
    assert_eq!(root.stat("lib/other/place").kind, Kind::Directory);
    // This mountpoint lies in the volume on `/lib/deep`: the adapter makes it.
    assert_eq!(root.names("lib/deep"), ["er"]);
    // Made for a mount, a directory has no time.
    assert_eq!(root.stat("data").mtime.seconds, 0);

    let error = refused(&[&format!("/=image:{tree}"), "/lib/a.py/x=kv"]);
    assert!(error.contains("`lib/a.py` in") && error.contains("is a file"), "{error}");
    let error = refused(&[&format!("/=image:{tree}"), "/link=kv"]);
    assert!(error.contains("is a symbolic link"), "{error}");
}

#[test]
fn without_a_mount_at_the_root_there_is_an_empty_one() {
    let plan = planned(&["/a/b=kv", "/c=kv:other"]).unwrap();
    assert!(plan.lines.starts_with("mount=/\tro\timage:0:"), "{}", plan.lines);
    let mut root = Opened::new(&plan, "/");
    assert_eq!(root.names("."), ["a", "c"]);
    assert_eq!(root.names("a"), ["b"]);
    assert_eq!(plan.mounted.len(), 2);
}

#[test]
fn one_tree_is_packed_once_for_one_use() {
    let dir = tree();
    let tree = dir.path().display();
    let plan = planned(&[&format!("/a=image:{tree}"), &format!("/b=image:{tree}")]).unwrap();
    let sources: Vec<&str> = plan.lines.lines().map(|line| line.rsplit('\t').next().unwrap()).collect();
    assert_eq!(sources[1], sources[2]);
    assert_ne!(sources[0], sources[1]);
}

#[test]
fn a_volume_has_one_tree_below_it() {
    let dir = tree();
    let tree = dir.path().display();
    let error = refused(&["/a=kv", &format!("/b=overlay:{tree}:main")]);
    assert!(error.contains("volume `main` is mounted at /a and at /b"), "{error}");
    let other = tempfile::tempdir().unwrap();
    let error =
        refused(&[&format!("/a=overlay:{tree}:v"), &format!("/b=overlay:{}:v", other.path().display())]);
    assert!(error.contains("volume `v` is mounted at /a and at /b"), "{error}");
    assert!(planned(&["/a=kv:v", "/b=kv:v,ro"]).is_ok());
    let error = refused(&[&format!("/a=kv:{}", "v".repeat(256))]);
    assert!(error.contains("mount at /a: a volume's name has 1 to 255 bytes"), "{error}");
}

#[test]
fn packing_tells_how_far_it_is() {
    let dir = tree();
    let mounts = [format!("/=image:{}", dir.path().display()).parse().unwrap()];
    let seen = std::cell::RefCell::new(Vec::new());
    plan(&mounts, "main", &|packing| seen.borrow_mut().push((packing.entries_done, packing.bytes_done)))
        .unwrap();
    let seen = seen.into_inner();
    assert_eq!(seen.len(), 13);
    assert_eq!((seen[0], seen[12]), ((0, 0), (12, 320_012)));
    assert!(seen.is_sorted());
}

/// A volume above a tree opens with that very tree alone, so another version must pack the same.
#[test]
fn a_tree_is_packed_as_by_every_version() {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, bytes) in [("large", vec![b'l'; 100_000]), ("small", b"few bytes".to_vec())] {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(1_700_000_000);
        archive.append_data(&mut header, name, bytes.as_slice()).unwrap();
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tree.tar");
    fs::write(&path, archive.into_inner().unwrap()).unwrap();
    let plan = planned(&[&format!("/=image:{}", path.display())]).unwrap();
    let image = Image::open(plan.images.leak()).unwrap();
    assert_eq!(image.id().to_string(), "`tree.tar` (ec1efe3c)");
}

#[test]
fn a_mount_has_a_ceiling_in_the_cache() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "bytes").unwrap();
    let tree = dir.path().display();
    let (image, overlay) = (format!("/b=image:{tree},cache=2M"), format!("/c=overlay:{tree}:up,cache=3M"));
    let plan = planned(&["/=kv,max-names=9,cache=4M", "/a=kv", &image, &overlay]).unwrap();
    let lines: Vec<&str> = plan.lines.lines().collect();
    assert_eq!(lines[..3], ["mount=/\trw\tkv:main", "cache=4194304", "mount=/a\trw\tkv:main"]);
    assert_eq!((lines[4], lines[6]), ("cache=2097152", "cache=3145728"));
    let mounts = check_config(&plan.lines, &plan.images).unwrap();
    let caches: Vec<Option<u64>> = mounts.iter().map(|mount| mount.cached_bytes).collect();
    assert_eq!(caches, [Some(4 << 20), None, Some(2 << 20), Some(3 << 20)]);
    assert_eq!(mounts[0].to_string(), "/ rw: volume `main`,max-names=9,cache=4194304");
    assert!(mounts[2].to_string().ends_with(" bytes,cache=2097152"), "{}", mounts[2]);
    assert_eq!(plan.mounted[0].to_string(), "/ rw: kv,max-names=9,cache=4194304");

    let differs = "show the same files and have different caches";
    assert!(refused(&["/=kv,cache=4M", "/a=kv:main,cache=5M"]).contains(differs));
    assert!(refused(&[&image, &image.replace("/b", "/d").replace("2M", "4M")]).contains(differs));
    assert!(refused(&[&overlay, &overlay.replace("/c", "/d").replace("3M", "4M")]).contains(differs));
    planned(&["/=kv,cache=4M", "/a=kv:main,cache=4M", "/b=kv:b,cache=5M"]).unwrap();

    // A configuration from elsewhere.
    let mount = "mount=/\trw\tkv:main\n";
    for (lines, part) in [
        ("cache=4194304\n".to_owned() + mount, "does not know, `cache=4194304`"),
        (mount.to_owned() + "cache=4194304\ncache=4194304\n", "does not know, `cache=4194304`"),
        (mount.to_owned() + "cache=4M\n", "does not know, `cache=4M`"),
        (mount.to_owned() + "cache=0\n", "a cache of 0 bytes"),
        (mount.to_owned() + "cache=67108865\n", "more than the 67108864 bytes of the cache that all mounts"),
        ("max-cached-bytes=2097152\n".to_owned() + mount + "cache=2097153\n", "more than the 2097152 bytes"),
        (mount.to_owned() + "cache=1048576\nmount=/a\trw\tkv:main\ncache=2097152\n", differs),
        (mount.to_owned() + "mount=/h\trw\thost:x\ncache=1048576\n", "nothing of it is cached"),
    ] {
        let error = check_config(&lines, b"").unwrap_err();
        assert!(error.contains(part), "{lines}: {error}");
    }
}

#[test]
fn limits_belong_to_a_volume() {
    let plan = planned(&["/=kv,max-bytes=1M", "/a=kv,ro", "/b=kv:other,max-inodes=9"]).unwrap();
    assert!(plan.lines.ends_with("limits=main\t1048576\t-\t-\nlimits=other\t-\t9\t-\n"), "{}", plan.lines);
    let mounts = read_lines(&plan.lines, &plan.images);
    let texts: Vec<String> = mounts.iter().map(ToString::to_string).collect();
    assert_eq!(texts[0], "/ rw: volume `main`,max-bytes=1048576");
    assert_eq!(texts[1], "/a ro: volume `main`,max-bytes=1048576");
    assert_eq!(texts[2], "/b rw: volume `other`,max-inodes=9");
    let both = planned(&["/=kv,max-bytes=1M,max-names=8", "/a=kv,max-bytes=1M,max-inodes=5"]).unwrap();
    assert!(both.lines.ends_with("limits=main\t1048576\t5\t8\n"), "{}", both.lines);
    refused(&["/=kv,max-names=1", "/a=kv,max-names=2"]);
    refused(&["/=kv,max-file-bytes=1", "/a=kv,max-file-bytes=2"]);
    let files = planned(&["/=kv,max-file-bytes=1M", "/a=kv,max-bytes=5"]).unwrap();
    assert!(files.lines.ends_with("limits=main\tfile:1048576\t5\t-\t-\n"), "{}", files.lines);
    let read = read_lines(&files.lines, &files.images);
    assert_eq!(read[1].to_string(), "/a rw: volume `main`,max-bytes=5,max-file-bytes=1048576");
    let sizes = planned(&["/=kv,extent-size=4K", "/a=kv:a,extent-size=1M,max-file-bytes=5"]).unwrap();
    assert!(
        sizes
            .lines
            .ends_with("limits=main\textent:4096\t-\t-\t-\nlimits=a\textent:1048576\tfile:5\t-\t-\t-\n"),
        "{}",
        sizes.lines
    );
    let read = read_lines(&sizes.lines, &sizes.images);
    assert_eq!(read[1].to_string(), "/a rw: volume `a`,max-file-bytes=5,extent-size=1048576");
    refused(&["/=kv,extent-size=4K", "/a=kv,extent-size=8K"]);
    for size in ["2K", "0", "5000", "2M"] {
        let error = format!("/=kv,extent-size={size}").parse::<Mount>().unwrap_err().to_string();
        assert!(error.contains("a power of two from 4096 to 1048576"), "{error}");
    }
    assert!("/=kv,extent-size=5G".parse::<Mount>().is_err());
    assert!("/=image:x,extent-size=4K".parse::<Mount>().is_err());
    assert!("/=overlay:x,extent-size=4K".parse::<Mount>().is_err());
    let error = refused(&["/=kv,max-bytes=1M", "/a=kv,max-bytes=2M"]);
    assert!(error.contains("volume `main` has one limit at / and another at /a"), "{error}");
}
