//! The store holds a program's writes when it ends, however it ends.

use std::sync::Arc;

use kvfs_host::{MemoryStore, RedbStore};

use super::on;

/// Leaves a file open for each way of writing, ends the program as told, and then reads the files.
fn written_then_ended_by(ending: &str, code: i32) {
    let store = Arc::new(MemoryStore::new());
    let writer = format!(
        "
import os, sys
fd = os.open('/raw', os.O_WRONLY | os.O_CREAT)
os.write(fd, b'raw ' * 5000)
flushed = open('/flushed', 'w')
flushed.write('flushed')
flushed.flush()
buffered = open('/buffered', 'w')
buffered.write('buffered')
{ending}
"
    );
    let output = on(&store).args(["-c", &writer]).run().unwrap();
    assert_eq!(output.code, Some(code), "{output:#?}");

    let reader =
        "print(open('/raw').read() == 'raw ' * 5000, open('/flushed').read(), open('/buffered').read())";
    let found = on(&store).args(["-c", reader]).run().unwrap().success();
    // os._exit loses what Python itself still buffers, here as anywhere.
    let buffered = if ending.contains("_exit") { "" } else { "buffered" };
    assert_eq!(found, format!("True flushed {buffered}\n"), "{ending}");
}

#[test]
fn files_left_open_are_stored_when_the_program_falls_off_its_end() {
    written_then_ended_by("", 0);
}

#[test]
fn files_left_open_are_stored_by_sys_exit() {
    written_then_ended_by("sys.exit()", 0);
    written_then_ended_by("sys.exit(3)", 3);
}

#[test]
fn files_left_open_are_stored_by_os_exit() {
    written_then_ended_by("os._exit(0)", 0);
    written_then_ended_by("os._exit(5)", 5);
}

#[test]
fn files_left_open_are_stored_when_an_exception_ends_the_program() {
    written_then_ended_by("raise ValueError('end')", 1);
}

#[test]
fn the_next_opening_of_a_redb_file_finds_what_one_wrote() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.redb");
    for round in 0..3 {
        let store = Arc::new(RedbStore::open(&path).unwrap());
        let program = "
import os, sys
print(sorted(os.listdir('/')))
open(f'/round-{sys.argv[1]}', 'w').write('x')
";
        let output = on(&store).args(["-c", program, &round.to_string()]).run().unwrap().success();
        let earlier: Vec<String> = (0..round).map(|i| format!("'round-{i}'")).collect();
        assert_eq!(output, format!("[{}]\n", earlier.join(", ")));
    }
}

#[test]
fn the_exit_code_reports_a_store_that_fails_at_the_end() {
    let store = Arc::new(FailsAtApply(MemoryStore::new()));
    let output = on(&store).args(["-c", "open('/lost', 'w').write('x')"]).run().unwrap();
    assert_ne!(output.code, Some(0), "{output:#?}");
}

/// A store on a full disk.
struct FailsAtApply(MemoryStore);

impl kvfs_host::SyncStore for FailsAtApply {
    fn limits(&self) -> Result<kvfs_host::Limits, kvfs_host::StoreError> {
        kvfs_host::SyncStore::limits(&self.0)
    }

    fn get(&self, keys: &[&[u8]]) -> Result<Vec<Option<bytes::Bytes>>, kvfs_host::StoreError> {
        kvfs_host::SyncStore::get(&self.0, keys)
    }

    fn scan(
        &self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<kvfs_host::Entry>, kvfs_host::StoreError> {
        kvfs_host::SyncStore::scan(&self.0, start, end, max_entries, max_bytes)
    }

    fn apply(
        &self,
        _: &[kvfs_host::Guard<'_>],
        _: &[kvfs_host::Mutation<'_>],
        _: kvfs_host::Durability,
    ) -> Result<(), kvfs_host::StoreError> {
        Err(kvfs_host::StoreError::QuotaExceeded)
    }
}
