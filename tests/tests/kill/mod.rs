//! Processes killed at random moments (`SIGKILL`), over and over on one file: what was acknowledged as
//! synced is there each time, and the store stays sound and small.

// The command's own translation, so that what is tried here is what it does.
#[path = "../../../compose/cli/src/engine_store.rs"]
mod engine_store;

mod guest;
mod native;
mod worker;

use engine_store::EngineStore;
use kvfs::KvStore;
use kvfs_host::open_store;
use kvfs_trust::store::Map;
use std::path::Path;
use std::rc::Rc;

/// Opens the redb file at a path as the engine wants it.
fn open(path: &Path) -> EngineStore {
    EngineStore(open_store(&format!("redb:{}", path.display())).unwrap())
}

/// Everything that the redb file at a path holds. A copy of it is opened: the next process finds the
/// file as the kill left it.
fn contents(path: &Path) -> Map {
    let copy = path.with_extension("copy");
    std::fs::copy(path, &copy).unwrap();
    let mut store = open(&copy);
    let mut map = Map::new();
    let mut start = Vec::new();
    loop {
        let entries = store.scan(&start, &[], 1000, 1 << 20).unwrap();
        let Some(last) = entries.last() else { break };
        start = [last.key.as_slice(), &[0]].concat();
        map.extend(entries.into_iter().map(|entry| (entry.key, Rc::from(entry.value))));
    }
    drop(store);
    std::fs::remove_file(&copy).unwrap();
    map
}

/// Fails if the file has grown beyond what its contents explain: redb keeps two versions of what a commit
/// changes, a kill leaves pages that the next opener has to find, and a file grows by doubling.
fn check_size(path: &Path, map: &Map, largest_contents_bytes: &mut u64) -> u64 {
    let contents_bytes: u64 = map.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum();
    *largest_contents_bytes = contents_bytes.max(*largest_contents_bytes);
    let file_bytes = std::fs::metadata(path).unwrap().len();
    let bound = 4 * *largest_contents_bytes + (1 << 20);
    assert!(file_bytes <= bound, "{file_bytes} bytes for at most {largest_contents_bytes} of contents");
    file_bytes
}
