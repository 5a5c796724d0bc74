//! Slashes and dots at the end of paths, in every operation and on every kind of object, compared
//! with Linux's own answers to the same calls.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use crate::run::TestClock;
use kvfs::{Access, Code, Descriptor, Follow, MemoryStore, OpenFlags, Options, Volume};
use std::fs;
use std::io;
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

const O_DIRECTORY: i32 = 0o200_000;
const O_NOFOLLOW: i32 = 0o400_000;

/// The same small tree in a host directory and in a volume.
struct Both {
    host: PathBuf,
    volume: Volume,
    root: Descriptor,
}

const LINKS: [(&str, &str); 6] =
    [("lf", "f"), ("ld", "d"), ("le", "e"), ("gone", "nowhere"), ("ring", "ring"), ("slash", "new/")];

impl Both {
    fn new(host: &Path) -> Self {
        let _ = fs::remove_dir_all(host);
        fs::create_dir(host).unwrap();
        let store = Box::new(MemoryStore::default());
        let mut volume = Volume::open(store, Box::new(TestClock::default()), Options::default()).unwrap();
        let root = volume.root().unwrap();
        for dir in ["d", "e", "d/sub"] {
            fs::create_dir(host.join(dir)).unwrap();
            volume.create_directory_at(&root, dir).unwrap();
        }
        fs::write(host.join("f"), "").unwrap();
        let flags = OpenFlags { create: true, ..OpenFlags::default() };
        let file = volume.open_at(&root, "f", Follow::No, flags, Access::default()).unwrap();
        volume.close(file).unwrap();
        for (name, target) in LINKS {
            symlink(target, host.join(name)).unwrap();
            volume.symlink_at(target, &root, name).unwrap();
        }
        Self { host: host.to_owned(), volume, root }
    }

    /// Joins the path byte for byte: `Path::join` would normalise what is tested.
    fn host(&self, path: &str) -> String {
        format!("{}/{path}", self.host.display())
    }
}

type Answer = Result<(), Code>;

fn host_answer<T>(outcome: io::Result<T>) -> Answer {
    outcome.map(drop).map_err(|error| match error.raw_os_error() {
        Some(1) => Code::NotPermitted,
        Some(2) => Code::NoEntry,
        Some(16) => Code::Busy,
        Some(17) => Code::Exist,
        Some(20) => Code::NotDirectory,
        Some(21) => Code::IsDirectory,
        Some(22) => Code::Invalid,
        Some(39) => Code::NotEmpty,
        Some(40) => Code::Loop,
        other => panic!("{other:?}"),
    })
}

fn our_answer<T>(outcome: Result<T, kvfs::Error>) -> Answer {
    outcome.map(drop).map_err(|error| error.code())
}

type Operation = (&'static str, fn(&mut Both, &str) -> (Answer, Answer));

fn open(both: &mut Both, path: &str, follow: Follow, flags: OpenFlags, write: bool) -> (Answer, Answer) {
    let mut options = fs::OpenOptions::new();
    options.read(true).write(write);
    match (flags.create, flags.exclusive) {
        (true, true) => options.create_new(true),
        (create, _) => options.create(create).truncate(flags.truncate),
    };
    let custom = if flags.directory { O_DIRECTORY } else { 0 };
    options.custom_flags(custom | if follow == Follow::No { O_NOFOLLOW } else { 0 });
    let host = host_answer(options.open(both.host(path)));
    let access = Access { read: true, write, ..Access::default() };
    let ours = both.volume.open_at(&both.root, path, follow, flags, access);
    (host, our_answer(ours.map(|file| both.volume.close(file))))
}

fn operations() -> Vec<Operation> {
    const PLAIN: OpenFlags = OpenFlags { create: false, directory: false, exclusive: false, truncate: false };
    vec![
        ("open", |both, path| open(both, path, Follow::Yes, PLAIN, false)),
        ("open, links not followed", |both, path| open(both, path, Follow::No, PLAIN, false)),
        ("open to write", |both, path| open(both, path, Follow::Yes, PLAIN, true)),
        ("open a directory", |both, path| {
            open(both, path, Follow::Yes, OpenFlags { directory: true, ..PLAIN }, false)
        }),
        ("open, create", |both, path| {
            open(both, path, Follow::Yes, OpenFlags { create: true, ..PLAIN }, true)
        }),
        ("open, create, exclusive", |both, path| {
            open(both, path, Follow::Yes, OpenFlags { create: true, exclusive: true, ..PLAIN }, true)
        }),
        ("stat", |both, path| {
            let ours = both.volume.stat_at(&both.root, path, Follow::Yes);
            (host_answer(fs::metadata(both.host(path))), our_answer(ours))
        }),
        ("lstat", |both, path| {
            let ours = both.volume.stat_at(&both.root, path, Follow::No);
            (host_answer(fs::symlink_metadata(both.host(path))), our_answer(ours))
        }),
        ("readlink", |both, path| {
            let ours = both.volume.readlink_at(&both.root, path);
            (host_answer(fs::read_link(both.host(path))), our_answer(ours))
        }),
        ("unlink", |both, path| {
            let ours = both.volume.unlink_file_at(&both.root, path);
            (host_answer(fs::remove_file(both.host(path))), our_answer(ours))
        }),
        ("rmdir", |both, path| {
            let ours = both.volume.remove_directory_at(&both.root, path);
            (host_answer(fs::remove_dir(both.host(path))), our_answer(ours))
        }),
        ("mkdir", |both, path| {
            let ours = both.volume.create_directory_at(&both.root, path);
            (host_answer(fs::create_dir(both.host(path))), our_answer(ours))
        }),
        ("symlink", |both, path| {
            let ours = both.volume.symlink_at("x", &both.root, path);
            (host_answer(symlink("x", both.host(path))), our_answer(ours))
        }),
        ("link from", |both, path| link(both, path, "to")),
        ("link to", |both, path| link(both, "f", path)),
        ("rename from", |both, path| rename(both, path, "to")),
        ("rename from, to a slash", |both, path| rename(both, path, "to/")),
        ("rename from, to nowhere", |both, path| rename(both, path, "none/to")),
        ("rename a file to", |both, path| rename(both, "f", path)),
        ("rename a directory to", |both, path| rename(both, "e", path)),
        ("rename a link to", |both, path| rename(both, "ld", path)),
        ("rename what is not there to", |both, path| rename(both, "none", path)),
    ]
}

fn link(both: &mut Both, from: &str, to: &str) -> (Answer, Answer) {
    let ours = both.volume.link_at(&both.root, from, Follow::No, &both.root, to);
    (host_answer(fs::hard_link(both.host(from), both.host(to))), our_answer(ours))
}

fn rename(both: &mut Both, from: &str, to: &str) -> (Answer, Answer) {
    let ours = both.volume.rename_at(&both.root, from, &both.root, to);
    (host_answer(fs::rename(both.host(from), both.host(to))), our_answer(ours))
}

#[test]
fn trailing_slashes_and_dots_mean_the_same_as_on_linux() {
    let host = std::env::temp_dir().join(format!("kvfs-slashes-{}", std::process::id()));
    let names =
        ["f", "d", "e", "lf", "ld", "le", "gone", "ring", "slash", "new", "new/new", "f/new", "ld/sub"];
    let behind = ["", "/", "//", "/.", "/..", "/./", "/../", "/../f", "/x"];
    let mut paths: Vec<String> = [".", "./", "d/../.", "d/.."].map(str::to_owned).into();
    for name in names {
        paths.extend(behind.map(|behind| format!("{name}{behind}")));
        paths.push(format!("./{name}/"));
    }
    let (mut compared, mut wrong) = (0, Vec::new());
    let mut both = Both::new(&host);
    for path in &paths {
        for (operation, act) in operations() {
            let (theirs, ours) = act(&mut both, path);
            compared += 1;
            if theirs != ours {
                wrong.push(format!("{operation} {path:?}: {ours:?}, on Linux {theirs:?}"));
            }
            // Every call starts from the same tree.
            if theirs.is_ok() || ours.is_ok() {
                both = Both::new(&host);
            }
        }
    }
    fs::remove_dir_all(&host).unwrap();
    println!("{compared} calls compared");
    assert!(wrong.is_empty(), "{} of {compared}:\n{}", wrong.len(), wrong.join("\n"));
}
