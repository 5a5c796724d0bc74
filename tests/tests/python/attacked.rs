//! The tree that hostile scripts attack, and what must be as before after each of them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, ensure};
use kvfs::image::Image;
use kvfs::{Access, At, Clock, Follow, OpenFlags, Options, Scope, Scrubbing, Timestamp, Volume};
use kvfs_audit::{Found, Key, Reader};
use kvfs_compose::{Audit, AuditLevel, Compose, FixedSource, Link, fixed_mounts};
use kvfs_host::{EngineStore, MemoryStore, SyncStore};
use kvfs_tests::{Output, Program, Tree, set_times};
use serde_json::Value;
use tempfile::TempDir;
use wasmtime::component::Component;

/// Stands in front of every script.
const PRELUDE: &str = include_str!("../../python/hostile/attack.py");

/// Lies where no script may come.
const SECRET: &str = "the secret of another";

/// The limits of `/small`.
const SMALL_BYTES: usize = 256 << 10;

/// The limit of each file of `/files`.
const FILE_BYTES: u64 = 64 << 10;

/// The records of a volume that no limit charges: superblock and counters.
const RECORDS_BYTES: usize = 4096;

/// Most bytes of the store after a script. Scripts remove what is large, but some of its records
/// wait for later commits.
const STORE_BYTES: usize = 16 << 20;

/// Most bytes of the audit log of one script, but for its last lines.
const LOG_BYTES: u64 = 8 << 20;

/// Mounts of the attacked tree, with `{}` for the tree that is packed.
const MOUNTS: [&str; 11] = [
    "/=kv",
    "/locked=kv:locked,ro",
    "/image=image:{}",
    "/over=overlay:{}:over",
    "/small=kv:small,max-bytes=256K,max-inodes=64,max-names=96",
    "/files=kv:files,max-file-bytes=64K,max-bytes=4M",
    "/host=host:shared",
    "/given=host:given,ro",
    "/map=host:given,ro,file=conf=kept",
    "/ruled=kv:ruled,allow=dir-read+file-read,policy={}.rules",
    "/ruled-host=host:ruled,allow=dir-read+file-read,policy={}.rules",
];

/// What may be done in `/ruled` and `/ruled-host`, whose directories may be listed and files read.
const RULES: &str = "\
all free
all free/**
none closed
none closed/**
dir-mutate drop
dir-mutate+file-write drop/**
file-read+file-write free/pinned
hide hidden
hide **/.env
";

/// Where a script may change something in `/ruled` and `/ruled-host`.
const RULED_FREE: [&str; 2] = ["free/", "drop/"];

/// The interpreter, joined with all mounts.
pub(super) struct Attacked {
    component: Component,
    /// The tree below the volume `over`.
    image: &'static [u8],
}

impl Attacked {
    pub(super) fn new(guest: &[u8], link: Link) -> Self {
        let around = tempfile::tempdir().unwrap();
        let packed = around.path().join("packed");
        fs::create_dir(&packed).unwrap();
        fs::write(around.path().join("packed.rules"), RULES).unwrap();
        plain(&packed);
        symlink("/kept", packed.join("absolute")).unwrap();
        set_times(&packed).unwrap();
        let mounts = MOUNTS.map(|mount| mount.replace("{}", packed.to_str().unwrap()).parse().unwrap());
        let compose = Compose::new(guest).link(link).audit(Audit::new(AuditLevel::All).max_bytes(LOG_BYTES));
        let compose = mounts.into_iter().fold(compose, Compose::mount);
        let composed = compose.build().unwrap();
        assert_eq!(composed.report.not_linked, None);
        let image = fixed_mounts(&composed.bytes).into_iter().find_map(|mount| match mount.source {
            FixedSource::Overlay { image, .. } => Some(image.to_vec().leak()),
            _ => None,
        });
        let component = super::compile(&composed.bytes);
        Self { component, image: image.unwrap() }
    }

    /// Lays out everything that one script may attack.
    pub(super) fn lay_out(&self) -> Scene<'_> {
        let (store, around) = (MemoryStore::new(), tempfile::tempdir().unwrap());
        host(around.path());
        fill(&store, "locked", |volume| {
            put(volume, "kept", "kept");
            let root = volume.root().unwrap();
            volume.create_directory_at(&root, "dir").unwrap();
            volume.symlink_at("kept", &root, "link").unwrap();
            volume.close(root).unwrap();
            put(volume, "dir/inside", "inside");
        });
        fill(&store, "other", |volume| put(volume, "secret", SECRET));
        fill(&store, "ruled", |volume| {
            let root = volume.root().unwrap();
            for (path, content) in ruled() {
                match content {
                    Some(content) => put(volume, path, content),
                    None => volume.create_directory_at(&root, path).unwrap(),
                }
            }
            volume.close(root).unwrap();
        });
        let mut scene = Scene { attacked: self, store, around, before: State::default() };
        scene.before = scene.state();
        scene
    }
}

/// Makes the directories of the host: two that are mounted, with links that lead outside, and one
/// beside them.
fn host(around: &Path) {
    for name in ["shared", "given"] {
        let dir = around.join(name);
        fs::create_dir(&dir).unwrap();
        plain(&dir);
        for (link, target) in [
            ("hidden", "../outside"),
            ("indirect", "hidden/"),
            ("root", "/."),
            ("to-secret", "../outside/secret"),
            ("to-new", "../outside/new"),
        ] {
            symlink(target, dir.join(link)).unwrap();
        }
    }
    fs::write(around.join("given/unlisted"), "not in the file map").unwrap();
    lay_ruled(&around.join("ruled"));
    symlink("hidden/file", around.join("ruled/to-hidden")).unwrap();
    symlink("../hidden", around.join("ruled/conf/to-hidden")).unwrap();
    fs::create_dir(around.join("shared/scratch")).unwrap();
    fs::create_dir(around.join("outside")).unwrap();
    fs::write(around.join("outside/secret"), SECRET).unwrap();
    fs::write(around.join("outside/outsider"), "").unwrap();
}

/// Directories, and files with their content, where rules hold.
fn ruled() -> [(&'static str, Option<&'static str>); 14] {
    [
        ("conf", None),
        ("conf/main", Some("conf")),
        ("conf/dir", None),
        ("closed", None),
        ("closed/file", Some(SECRET)),
        ("drop", None),
        ("free", None),
        ("free/file", Some("free")),
        ("free/pinned", Some("pinned")),
        ("free/dir", None),
        ("free/.env", Some(SECRET)),
        ("hidden", None),
        ("hidden/file", Some(SECRET)),
        ("hidden/dir", None),
    ]
}

fn lay_ruled(dir: &Path) {
    fs::create_dir(dir).unwrap();
    for (path, content) in ruled() {
        match content {
            Some(content) => fs::write(dir.join(path), content).unwrap(),
            None => fs::create_dir(dir.join(path)).unwrap(),
        }
    }
}

/// Makes the files that each mount has.
fn plain(dir: &Path) {
    fs::write(dir.join("kept"), "kept").unwrap();
    fs::create_dir(dir.join("dir")).unwrap();
    fs::write(dir.join("dir/inside"), "inside").unwrap();
    symlink("kept", dir.join("link")).unwrap();
}

/// Makes a volume without a guest.
fn fill(store: &MemoryStore, name: &str, content: impl FnOnce(&mut Volume)) {
    struct Noon;
    impl Clock for Noon {
        fn now(&mut self) -> Timestamp {
            Timestamp { seconds: 43_200, nanoseconds: 0 }
        }
    }
    let options = Options { volume: name.into(), ..Options::default() };
    let mut volume = Volume::open(Box::new(EngineStore(store.clone())), Box::new(Noon), options).unwrap();
    content(&mut volume);
    volume.sync_all().unwrap();
}

fn put(volume: &mut Volume, path: &str, text: &str) {
    let root = volume.root().unwrap();
    let create = OpenFlags { create: true, ..OpenFlags::default() };
    let access = Access { write: true, ..Access::default() };
    let file = volume.open_at(&root, path, Follow::No, create, access).unwrap();
    volume.write(&file, At::End, text.as_bytes()).unwrap();
    volume.close(file).unwrap();
    volume.close(root).unwrap();
}

/// What no script may change.
#[derive(Default)]
struct State {
    /// The records of the volumes `locked` and `other`, without the superblock of `locked`: opening
    /// a volume takes it over, on a read-only mount too.
    records: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The host's directories, without the one in which scripts may write.
    tree: Tree,
    /// The volume `ruled`, where scripts may change nothing.
    ruled: Tree,
    /// The times of everything in them.
    times: BTreeMap<String, (i64, i64)>,
}

/// One store and the host's directories, for one script.
pub(super) struct Scene<'a> {
    attacked: &'a Attacked,
    pub(super) store: MemoryStore,
    around: TempDir,
    before: State,
}

impl Scene<'_> {
    /// Scrubs the volume at `/` of a secret, but for the directory `open`.
    pub(super) fn scrub(&self, secret: &str) {
        fill(&self.store, "main", |volume| {
            let scope = Scope::Except(vec!["open/**".to_owned()]);
            let mut settings = volume.settings();
            settings.scrubbing = Some(Scrubbing::new([9; 16], &[secret.as_bytes()], scope).unwrap());
            volume.set_settings(&settings).unwrap();
        });
    }

    /// The records of the volume at `/` and of the audit log that have some text.
    pub(super) fn records_with(&self, text: &str) -> Vec<String> {
        let has = |bytes: &[u8]| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        let records = self.records(&["main"]);
        let (start, end) = kvfs_audit::key_end();
        let log = SyncStore::scan(&self.store, &start, &end, u32::MAX, u32::MAX).unwrap();
        assert!(!log.is_empty(), "no log");
        let log = log.iter().map(|entry| (&*entry.key, &*entry.value));
        let found = records.iter().map(|(key, value)| (key.as_slice(), value.as_slice())).chain(log);
        let found = found.filter(|(key, value)| has(key) || has(value));
        found.map(|(key, _)| key.escape_ascii().to_string()).collect()
    }

    /// Returns a run of a script, the prelude in front.
    pub(super) fn program(&self, script: &str) -> Program {
        let program = Program::new(&self.attacked.component).store(Arc::new(self.store.clone()));
        let dir = |name| self.around.path().join(name);
        // The host preopens more than is mounted.
        let program = program.preopen(dir("shared"), "shared").preopen(dir("given"), "given");
        let program = program.preopen(dir("ruled"), "ruled");
        program.preopen(dir("outside"), "outside").args(["-c", &format!("{PRELUDE}\n{script}")])
    }

    /// Runs something, and with `flip` swaps `/host/scratch/flip` between a directory and a link to
    /// outside all the while.
    pub(super) fn flipping<T>(&self, flip: bool, run: impl FnOnce() -> T) -> T {
        if !flip {
            return run();
        }
        let flip = self.around.path().join("shared/scratch/flip");
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    // The guest may be in the way of each step.
                    let _ = fs::create_dir(&flip);
                    let _ = fs::write(flip.join("secret"), "decoy");
                    std::thread::yield_now();
                    let _ = fs::remove_dir_all(&flip);
                    let _ = symlink("../../outside", &flip);
                    std::thread::yield_now();
                    let _ = fs::remove_file(&flip);
                }
            });
            let result = run();
            done.store(true, Ordering::Relaxed);
            result
        })
    }

    /// Returns whether the volume at `/` has a file.
    pub(super) fn has_file(&self, path: &str) -> bool {
        Tree::of_store(&self.store).unwrap().0.contains_key(path)
    }

    fn records(&self, volumes: &[&str]) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let mut records = BTreeMap::new();
        for name in volumes {
            let mut start = [&[name.len() as u8], name.as_bytes()].concat();
            let end = [&start[..], &[0xff]].concat();
            // A store answers with as much as fits one answer.
            loop {
                let entries = SyncStore::scan(&self.store, &start, &end, u32::MAX, u32::MAX).unwrap();
                let Some(last) = entries.last() else { break };
                start = [&last.key[..], &[0]].concat();
                records.extend(entries.iter().map(|entry| (entry.key.to_vec(), entry.value.to_vec())));
            }
        }
        records
    }

    fn state(&self) -> State {
        let mut tree = Tree::of_directory(self.around.path()).unwrap();
        let is_free = |path: &str| RULED_FREE.iter().any(|free| path.starts_with(free));
        tree.0.retain(|path, _| {
            let ruled = path.strip_prefix("ruled/").is_some_and(is_free);
            !path.starts_with("shared/scratch/") && (!ruled || path.ends_with("/.env"))
        });
        let mut ruled = Tree::of_volume(&self.store, "ruled").unwrap();
        ruled.0.retain(|path, _| !is_free(path) || path.ends_with("/.env"));
        let time = |path: &String| {
            let about = self.around.path().join(path).symlink_metadata().unwrap();
            (path.clone(), (about.mtime(), about.mtime_nsec()))
        };
        let times = tree.0.keys().filter(|path| !CHANGING.contains(&path.as_str())).map(time).collect();
        let mut records = self.records(&["locked", "other"]);
        records.remove(b"\x06locked\0".as_slice());
        State { records, tree, ruled, times }
    }

    /// Checks from outside that nothing was harmed: the volumes are sound, those that are read-only
    /// or not mounted and the host's directories are as before, limits were kept, and no secret
    /// came out.
    pub(super) fn check(&self, output: &Output) -> anyhow::Result<()> {
        let store = || EngineStore(self.store.clone());
        for name in ["main", "small", "files", "locked", "other", "ruled"] {
            // A volume is made at its first use.
            if kvfs::probe(&mut store(), name)? {
                let report = kvfs::fsck(&mut store(), name)?;
                ensure!(report.is_clean(), "{name}: {report:?}");
            }
        }
        let image = Image::open(self.attacked.image)?;
        if kvfs::probe_overlay(&mut store(), "over", &image)? {
            let report = kvfs::fsck_overlay(&mut store(), "over", image)?;
            ensure!(report.is_clean(), "over: {report:?}");
        }

        let bytes = |volumes: &[&str]| {
            self.records(volumes).iter().map(|(key, value)| key.len() + value.len()).sum::<usize>()
        };
        let (small, all) = (bytes(&["small"]), bytes(&["main", "small", "files", "over"]));
        for (record, value) in self.records(&["files"]) {
            // Of an inode's record: its kind, and its size.
            let size = value
                .get(24..32)
                .and_then(|size| size.first_chunk())
                .map_or(0, |size| u64::from_be_bytes(*size));
            let is_file = record.get(6) == Some(&0x10) && value.get(16) == Some(&1);
            ensure!(!is_file || size <= FILE_BYTES, "a file in /files has {size} bytes");
        }
        ensure!(small <= SMALL_BYTES + RECORDS_BYTES, "/small takes {small} bytes of the store");
        ensure!(all <= STORE_BYTES, "the store takes {all} bytes");

        self.check_log()?;

        ensure!(!output.stdout.contains(SECRET) && !output.stderr.contains(SECRET), "printed the secret");
        let has_secret =
            |value: &Vec<u8>| value.windows(SECRET.len()).any(|window| window == SECRET.as_bytes());
        let mine = self.records(&["main", "small", "files", "over"]);
        ensure!(!mine.values().any(has_secret), "copied the secret into the store");
        for free in ["shared/scratch", "ruled/free", "ruled/drop"] {
            let mut tree = Tree::of_directory(&self.around.path().join(free))?;
            tree.0.remove(".env");
            ensure!(!format!("{tree:?}").contains(SECRET), "copied the secret to the host");
        }
        let mut ruled = Tree::of_volume(&self.store, "ruled")?;
        ruled.0.retain(|path, _| {
            RULED_FREE.iter().any(|free| path.starts_with(free)) && !path.ends_with("/.env")
        });
        ensure!(!format!("{ruled:?}").contains(SECRET), "copied the secret to where it may be read");

        let (now, before) = (self.state(), &self.before);
        let changed = now.records.iter().find(|(key, value)| before.records.get(*key) != Some(*value));
        ensure!(
            changed.is_none(),
            "changed the record {:?}",
            changed.map(|(key, _)| key.escape_ascii().to_string())
        );
        ensure!(now.records.len() == before.records.len(), "removed records");
        ensure!(now.ruled == before.ruled, "changed {:#?}\ninto {:#?}", before.ruled, now.ruled);
        ensure!(now.tree == before.tree, "changed {:#?}\ninto {:#?}", before.tree, now.tree);
        ensure!(now.times == before.times, "changed {:?}\ninto {:?}", before.times, now.times);
        Ok(())
    }

    /// Checks that the audit log is whole: all records are there, all are lines, none is missing in
    /// their numbers, and there are no more bytes than it may have.
    fn check_log(&self) -> anyhow::Result<()> {
        let (mut start, end) = kvfs_audit::key_end();
        let (mut next, mut bytes, mut wrong) = (1, 0, None);
        let mut tell = |found: Found<'_>| match found {
            Found::Line(line) => {
                let Ok(line) = serde_json::from_str::<Value>(line) else {
                    wrong = Some(line.to_owned());
                    return;
                };
                let first = line["n"].as_u64().or(line["first"].as_u64());
                if first != Some(next) {
                    wrong = Some(format!("{line}, and not {next}"));
                }
                next += line["lost"].as_u64().unwrap_or(1);
            }
            other => wrong = Some(format!("{other:?}")),
        };
        let mut reader = Reader::new();
        loop {
            let page = SyncStore::scan(&self.store, &start, &end, 1024, 1 << 20)?;
            let Some(last) = page.last() else { break };
            start = [&last.key[..], &[0]].concat();
            for entry in &page {
                bytes += entry.value.len() as u64;
                reader.record(Key::parse(&entry.key).context("a key in the log")?, &entry.value, &mut tell);
            }
        }
        reader.end(&mut tell);
        ensure!(wrong.is_none(), "the audit log has {wrong:?}");
        ensure!(bytes < LOG_BYTES + (1 << 20), "the audit log has {bytes} bytes");
        Ok(())
    }
}

/// Directories of the host whose times scripts may change.
const CHANGING: [&str; 4] = ["shared/scratch", "ruled/free", "ruled/drop", "ruled/free/pinned"];

/// Lays the tree out in one writable directory of the host, where nothing is protected.
pub(super) fn unprotected(dir: &Path) {
    for name in ["locked", "image", "over", "small", "files", "given"] {
        fs::create_dir(dir.join(name)).unwrap();
    }
    for name in ["locked", "image", "over", "given"] {
        plain(&dir.join(name));
    }
    fs::create_dir(dir.join("map")).unwrap();
    fs::write(dir.join("map/conf"), "kept").unwrap();
    for name in ["ruled", "ruled-host"] {
        lay_ruled(&dir.join(name));
    }
    fs::create_dir_all(dir.join("host/scratch")).unwrap();
    plain(&dir.join("host"));
}

/// Returns a script as the program of an unprotected run.
pub(super) fn with_prelude(script: &str) -> String {
    format!("{PRELUDE}\n{script}")
}
