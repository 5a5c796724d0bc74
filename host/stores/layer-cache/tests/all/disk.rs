//! The files: what another program finds, and what becomes of files that were cut, changed, or are of
//! somebody else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use kvfs::volumes::{self, Taken};
use kvfs_contract::Limits;
use kvfs_layer_cache::LayerCache;

use crate::rounds::{Ticks, make, open, read, start};
use crate::server::Server;
use crate::viewed::Viewed;

const MODULES: usize = 10;
const MEMORY_BYTES: u64 = 8 << 20;
const DISK_BYTES: u64 = 8 << 20;

/// Records of frozen layers that a view asks for with their headers, before it knows what they are.
const FEW: u64 = 8;

struct Scene {
    server: Server,
    clock: Ticks,
    dir: tempfile::TempDir,
    next: u32,
}

impl Scene {
    fn new() -> Self {
        Self::after(0)
    }

    /// One whose layers are frozen after `seconds`.
    fn after(seconds: i64) -> Self {
        let scene = Self {
            server: Server::new(Limits::standard(true)),
            clock: Ticks::after(seconds),
            dir: tempfile::tempdir().unwrap(),
            next: 0,
        };
        make(&scene.server, &scene.clock, MODULES, 2);
        scene
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("cache")
    }

    /// A program of its own: what it knows is on disk. Returns its cache, and how many records of frozen
    /// layers it asked the server for.
    fn program(&mut self) -> (LayerCache, u64) {
        let cache = LayerCache::new(MEMORY_BYTES).on_disk(self.path(), DISK_BYTES).unwrap();
        self.next += 1;
        let calls = start(&self.server, &cache, &self.clock, MODULES, &format!("run{}", self.next));
        (cache, calls.frozen_keys)
    }

    fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> =
            fs::read_dir(self.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }
}

fn bytes_of(files: &[PathBuf]) -> u64 {
    files.iter().map(|file| fs::metadata(file).unwrap().len()).sum()
}

/// Changes the bytes of a file.
type Damage<'a> = &'a dyn Fn(&mut Vec<u8>);

#[test]
fn the_next_program_asks_frozen_layers_for_nothing() {
    let mut scene = Scene::new();
    let (first, asked) = scene.program();
    assert!(asked > FEW && first.trouble().is_none());
    drop(first);
    let (second, asked) = scene.program();
    assert!(asked <= FEW, "{asked}: {:?}", second.counts());
    assert!(second.counts().disk_hits > MODULES as u64);
    // While both are open, a third one reads what they wrote.
    second.flush();
    let (_, asked) = scene.program();
    assert!(asked <= FEW);
}

#[test]
fn what_a_killed_program_had_not_written_is_asked_for_again() {
    let mut scene = Scene::new();
    let (killed, _) = scene.program();
    std::mem::forget(killed);
    assert!(scene.files().is_empty());
    fs::write(scene.path().join(".unfinished-1"), b"half").unwrap();
    let (second, asked) = scene.program();
    assert!(asked > FEW);
    drop(second);
    assert!(scene.program().1 <= FEW);
}

/// Changes each file at one place in many ways, and requires that whoever reads them then gets the truth.
#[test]
fn changed_and_cut_files_are_dropped_with_a_word_and_nothing_of_them_is_believed() {
    let mut scene = Scene::new();
    drop(scene.program());
    let whole: Vec<(PathBuf, Vec<u8>)> =
        scene.files().into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    assert!(!whole.is_empty());
    let changes: [Damage<'_>; 8] = [
        &|bytes| bytes.truncate(bytes.len() - 1),
        &|bytes| bytes.truncate(20),
        &|bytes| bytes.clear(),
        &|bytes| bytes[3] ^= 1,
        &|bytes| bytes[20] ^= 1,
        &|bytes| bytes[48] ^= 0x80,
        &|bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 4;
        },
        &|bytes| bytes.extend_from_slice(&[0xff; 100]),
    ];
    for (number, change) in changes.iter().enumerate() {
        for (path, bytes) in &whole {
            let mut bytes = bytes.clone();
            change(&mut bytes);
            fs::write(path, bytes).unwrap();
        }
        // `start` compares what it reads.
        let (cache, _) = scene.program();
        let trouble = cache.trouble().unwrap_or_default();
        assert!(trouble.contains("damaged"), "change {number}: {trouble:?}");
        drop(cache);
        // The next program asks for what went with the files, and writes it anew.
        drop(scene.program());
        let (cache, asked) = scene.program();
        let trouble = cache.trouble();
        assert!(asked <= FEW && trouble.is_none(), "change {number}: {asked} {trouble:?}, not written anew");
        scene.files().iter().for_each(|file| fs::remove_file(file).unwrap());
    }
}

#[test]
fn files_of_another_store_or_layer_under_these_names_are_not_believed() {
    let mut scene = Scene::new();
    drop(scene.program());
    let mut other = Scene::after(1 << 30);
    // The other store has another file under the same names.
    drop(other.program());
    let names = scene.files();
    let texts: Vec<Vec<u8>> = other.files().iter().map(|file| fs::read(file).unwrap()).collect();
    for (name, text) in names.iter().zip(texts.iter().rev()) {
        fs::write(name, text).unwrap();
    }
    let foreign = scene.path().join("notes.layer");
    fs::write(&foreign, b"somebody's").unwrap();
    drop(scene.program());
    assert_eq!(fs::read(foreign).unwrap(), b"somebody's");
}

#[test]
fn the_files_stay_within_their_bound_and_the_newest_stay() {
    let mut scene = Scene::new();
    let (first, _) = scene.program();
    drop(first);
    let bytes = bytes_of(&scene.files());
    let old = SystemTime::now() - Duration::from_secs(3600);
    for file in scene.files() {
        fs::File::options().write(true).open(file).unwrap().set_modified(old).unwrap();
    }
    // Another store, whose place is another one, needs room in the same directory.
    let before = scene.files();
    let other = Scene::after(1 << 30);
    let cache = LayerCache::new(MEMORY_BYTES).on_disk(scene.path(), bytes + bytes / 2).unwrap();
    start(&other.server, &cache, &other.clock, MODULES, "run");
    drop(cache);
    let after = scene.files();
    assert!(bytes_of(&after) <= bytes + bytes / 2, "{} of {bytes}", bytes_of(&after));
    assert!(after.iter().any(|file| !before.contains(file)), "nothing new is kept");
    assert!(before.iter().any(|file| !after.contains(file)), "nothing old went");
}

#[test]
fn many_small_files_of_a_layer_become_one() {
    let mut scene = Scene::new();
    let mut seen: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    // Each program looks for something else, and so writes a file for each layer.
    for number in 0..30 {
        let cache = LayerCache::new(MEMORY_BYTES).on_disk(scene.path(), DISK_BYTES).unwrap();
        let mut store = Viewed::new(&scene.server, &cache);
        let name = format!("one{number}");
        volumes::fork(&mut store, &mut scene.clock.clone(), "prepared", &name, Taken::Writable).unwrap();
        assert!(read(&mut open(store, &scene.clock, &name), &format!("lib/missing{number}")).is_err());
        drop(cache);
        let mut now: BTreeMap<String, u32> = BTreeMap::new();
        for file in scene.files() {
            let name = file.file_name().unwrap().to_str().unwrap().to_owned();
            let layer = name.split('-').next().unwrap().to_owned();
            *now.entry(layer.clone()).or_default() += 1;
            seen.entry(layer).or_default().insert(name);
        }
        assert!(now.values().all(|files| *files <= 10), "{now:?}");
    }
    assert!(seen.values().any(|files| files.len() > 20), "too few were written for this test: {seen:?}");
    drop(scene.program());
    let (cache, asked) = scene.program();
    assert!(asked <= FEW && cache.trouble().is_none());
}

#[test]
fn a_view_for_memory_alone_writes_nothing() {
    let scene = Scene::new();
    let cache = LayerCache::new(MEMORY_BYTES).on_disk(scene.path(), DISK_BYTES).unwrap();
    let view = kvfs_layer_cache::LayerView::new(scene.server.clone(), cache.clone(), "server");
    let mut store = Viewed(std::sync::Arc::new(view.in_memory_alone()));
    volumes::fork(&mut store, &mut scene.clock.clone(), "prepared", "one", Taken::Writable).unwrap();
    read(&mut open(store, &scene.clock, "one"), "lib/m1.py").unwrap();
    assert!(cache.counts().kept > 0);
    cache.flush();
    assert!(scene.files().is_empty(), "{:?}", scene.files());
}

#[test]
#[cfg(unix)]
fn a_directory_that_others_may_write_to_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let open = |path: &Path| LayerCache::new(MEMORY_BYTES).on_disk(path, DISK_BYTES).map(drop);
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    assert!(open(dir.path()).unwrap_err().to_string().contains("others"));
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    open(dir.path()).unwrap();
    let made = dir.path().join("a/b");
    open(&made).unwrap();
    assert_eq!(fs::metadata(made).unwrap().permissions().mode() & 0o777, 0o700);
    assert!(open(Path::new("/proc/none")).is_err());
}

/// A disk without room, and a directory that is gone: nothing is kept, and every read is answered.
#[test]
#[cfg(target_os = "linux")]
fn a_directory_that_takes_nothing_fails_no_read() {
    let mut scene = Scene::new();
    let cache = LayerCache::new(MEMORY_BYTES).on_disk(scene.path(), DISK_BYTES).unwrap();
    fs::remove_dir_all(scene.path()).unwrap();
    let calls = start(&scene.server, &cache, &scene.clock, MODULES, "run");
    assert!(calls.frozen_keys > 0);
    cache.flush();
    let trouble = cache.trouble().unwrap();
    assert!(trouble.contains("nothing is kept") && !trouble.contains('\n'), "{trouble}");
    drop(cache);
    scene.program();
}

#[test]
fn two_programs_use_one_directory_at_once() {
    let scene = Scene::new();
    let path = scene.path();
    let entries = scene.server.copy();
    std::thread::scope(|scope| {
        for program in 0..4 {
            let (path, entries) = (path.clone(), entries.clone());
            scope.spawn(move || {
                let server = Server::new(Limits::standard(true));
                server.put_back(&entries);
                let clock = Ticks::after(1 << (20 + program));
                for round in 0..5 {
                    let cache = LayerCache::new(64 << 10).on_disk(&path, 200 << 10).unwrap();
                    start(&server, &cache, &clock, MODULES, &format!("run{program}-{round}"));
                    assert_eq!(cache.trouble(), None);
                }
            });
        }
    });
    assert!(bytes_of(&scene.files()) <= 4 * (200 << 10));
}
