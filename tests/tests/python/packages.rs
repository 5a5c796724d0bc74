//! The standard library's packages that work on files, over two runs on one store.

use std::sync::Arc;

use kvfs_host::{MemoryStore, RedbStore};
use kvfs_tests::Program;

use super::{bare, on};

const FIRST: &str = include_str!("../../python/programs/first_process.py");
const SECOND: &str = include_str!("../../python/programs/second_process.py");

fn write_and_find(first: Program, second: impl FnOnce() -> Program) {
    assert_eq!(first.args(["-"]).stdin(FIRST).run().unwrap().success(), "written\n");
    assert_eq!(second().args(["-"]).stdin(SECOND).run().unwrap().success(), "found\n");
}

/// The programs are correct: the host's file system passes them.
#[test]
fn packages_work_on_the_hosts_file_system() {
    let dir = tempfile::tempdir().unwrap();
    write_and_find(bare().host_files(dir.path()), || bare().host_files(dir.path()));
}

#[test]
fn packages_work_on_a_memory_store() {
    let store: Arc<MemoryStore> = Arc::new(MemoryStore::new());
    write_and_find(on(&store), || on(&store));
}

#[test]
fn packages_work_on_a_redb_file_opened_twice() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Arc::new(RedbStore::open(dir.path().join("state.redb")).unwrap());
    let first = on(&open());
    write_and_find(first, || on(&open()));
}
