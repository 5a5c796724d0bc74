//! A full store, as a program sees it. It refuses writes like a full disk, and allows removals. The
//! program learns of everything that could not be stored.

use std::sync::{Arc, Mutex};

use kvfs_host::{Durability, Entry, Guard, Limits, MemoryStore, Mutation, StoreError, SyncStore};

use super::on;

/// A store in memory that takes a limited number of bytes.
struct Bounded {
    store: MemoryStore,
    used_bytes: Mutex<usize>,
    max_bytes: usize,
}

impl Bounded {
    fn new(max_bytes: usize) -> Arc<Self> {
        Arc::new(Self { store: MemoryStore::new(), used_bytes: Mutex::new(0), max_bytes })
    }
}

impl SyncStore for Bounded {
    fn limits(&self) -> Result<Limits, StoreError> {
        SyncStore::limits(&self.store)
    }

    fn get(&self, keys: &[&[u8]]) -> Result<Vec<Option<bytes::Bytes>>, StoreError> {
        SyncStore::get(&self.store, keys)
    }

    fn scan(&self, start: &[u8], end: &[u8], entries: u32, bytes: u32) -> Result<Vec<Entry>, StoreError> {
        SyncStore::scan(&self.store, start, end, entries, bytes)
    }

    fn apply(
        &self,
        guards: &[Guard<'_>],
        mutations: &[Mutation<'_>],
        level: Durability,
    ) -> Result<(), StoreError> {
        let mut used = self.used_bytes.lock().unwrap();
        let (mut before, mut after) = (0, 0);
        for mutation in mutations {
            let key = mutation.key();
            let old = SyncStore::get(&self.store, &[key])?.remove(0);
            before += old.map_or(0, |old| key.len() + old.len());
            after += mutation.value().map_or(0, |value| key.len() + value.len());
        }
        if after > before && *used - before + after > self.max_bytes {
            return Err(StoreError::QuotaExceeded);
        }
        SyncStore::apply(&self.store, guards, mutations, level)?;
        *used = *used - before + after;
        Ok(())
    }
}

/// Writes files until the store is full, closing each before the next. Of those that raised no
/// exception, only the last may be missing.
const FILL: &str = "
import errno, os
believed, refused = [], 0
for number in range(300):
    path = f'/g{number}'
    try:
        with open(path, 'wb') as file:
            file.write(b'x' * 20000)
        believed.append(path)
    except OSError as error:
        assert error.errno == errno.ENOSPC, error
        refused += 1
assert refused > 30 and len(believed) > 50, (refused, len(believed))
";

#[test]
fn writes_to_a_full_store_are_refused_and_what_was_not_refused_is_there() {
    let store = Bounded::new(3 << 20);
    let program = format!(
        "{FILL}
# Files that can be read and removed prove nothing.
for path in believed:
    assert os.stat(path).st_size == 20000 and len(open(path, 'rb').read()) == 20000
os.unlink(believed.pop())
os.unlink(believed.pop())
os.mkdir('/d')
with open('/d/now', 'wb') as file:
    file.write(b'y' * 10000)
os.fsync(os.open('/d/now', os.O_RDONLY))
print(' '.join(believed))
"
    );
    let believed = on(&store).args(["-c", &program]).run().unwrap().success();
    let look = "
import os, sys
for path in sys.argv[1:]:
    assert os.stat(path).st_size == 20000, path
print(len(os.listdir('/')) - len(sys.argv[1:]), os.path.getsize('/d/now'))
";
    let paths = believed.split_whitespace();
    let found = on(&store).args(["-c", look].into_iter().chain(paths)).run().unwrap().success();
    assert_eq!(found, "1 10000\n");
}

#[test]
fn a_thousand_files_are_removed_from_a_full_store() {
    let store = Bounded::new(3 << 20);
    let fill = "
import os
os.mkdir('/t')
for number in range(1000):
    with open(f'/t/{number}', 'wb') as file:
        file.write(b'x' * 1000)
";
    on(&store).args(["-c", fill]).run().unwrap().success();
    // A process that does not know the directory yet.
    let program = "
import errno, os, shutil
# More than the first removals free.
with open('/big', 'wb') as file:
    file.write(b'x' * 4000000)
try:
    os.mkdir('/told')
    raise AssertionError('made')
except OSError as error:
    assert error.errno == errno.ENOSPC
shutil.rmtree('/t')
assert os.listdir('/') == ['big'], os.listdir('/')
os.unlink('/big')
with open('/again', 'wb') as file:
    file.write(b'x' * 2000000)
print(os.listdir('/'))
";
    assert_eq!(on(&store).args(["-c", program]).run().unwrap().success(), "['again']\n");
    let found = on(&store).args(["-c", "import os; print(os.path.getsize('/again'))"]).run().unwrap();
    assert_eq!(found.success(), "2000000\n");
}

const LINE: &str = "kvfs: not all that was written could be stored: the store is full\n";

#[test]
fn a_program_that_ends_after_a_failed_close_exits_with_an_error_and_a_line() {
    for (ending, printed) in [("", ""), ("sys.exit()", ""), ("os._exit(0)", ""), ("print('end')", "end\n")] {
        let store = Bounded::new(100_000);
        let program = format!(
            "
import os, sys
with open('/big', 'wb') as file:
    file.write(b'x' * 200000)
{ending}
"
        );
        let output = on(&store).args(["-c", &program]).run().unwrap();
        assert_eq!(output.code, Some(1), "{ending}: {output:#?}");
        assert_eq!((output.stdout.as_str(), output.stderr.as_str()), (printed, LINE), "{ending}");
    }
}

#[test]
fn the_programs_own_code_stays_and_the_failure_is_reported_again_at_the_end() {
    let store = Bounded::new(100_000);
    let program = "
import os, sys
with open('/big', 'wb') as file:
    file.write(b'x' * 200000)
try:
    os.mkdir('/d')
except OSError:
    sys.exit(3)
";
    let output = on(&store).args(["-c", program]).run().unwrap();
    assert_eq!((output.code, output.stderr.as_str()), (Some(3), LINE), "{output:#?}");
}

#[test]
fn a_program_that_stored_everything_reports_nothing() {
    let store = Bounded::new(1 << 20);
    let program = "
import os
with open('/big', 'wb') as file:
    file.write(b'x' * 2000000)
os.unlink('/big')
";
    let output = on(&store).args(["-c", program]).run().unwrap();
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""), "{output:#?}");
}

/// A small file system on the host.
#[cfg(target_os = "linux")]
#[cfg_attr(no_disks, allow(dead_code))]
struct Disk(tempfile::TempDir);

#[cfg(target_os = "linux")]
#[cfg_attr(no_disks, allow(dead_code))]
impl Disk {
    fn mount(size: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(dir.path());
        let output = mount.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        Self(dir)
    }
}

#[cfg(target_os = "linux")]
impl Drop for Disk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(self.0.path()).output();
    }
}

#[cfg(target_os = "linux")]
#[test]
#[cfg_attr(no_disks, ignore = "mounting a small disk needs root")]
fn a_redb_file_on_a_full_disk_keeps_what_was_not_refused_and_allows_every_removal() {
    let disk = Disk::mount("6m");
    let path = disk.0.path().join("state.redb");
    let run = |program: &str| {
        let store = Arc::new(kvfs_host::RedbStore::open(&path).unwrap());
        on(&store).args(["-c", program]).run().unwrap()
    };
    let filled = run(&format!(
        "{FILL}
os.unlink(believed.pop())
print(*believed)
"
    ));
    let believed = filled.success();
    let count = believed.split_whitespace().count();
    let removed = run("
import os
names = os.listdir('/')
for name in names:
    assert os.stat('/' + name).st_size == 20000, name
    os.unlink('/' + name)
print(len(names))
");
    assert_eq!(removed.success(), format!("{count}\n"));
    let again = run("
with open('/again', 'wb') as file:
    file.write(b'x' * 1000000)
import os
print(os.listdir('/'))
");
    assert_eq!(again.success(), "['again']\n");
}

#[cfg(target_os = "linux")]
#[test]
#[cfg_attr(no_disks, ignore = "mounting a small disk needs root")]
fn a_directory_store_on_a_full_disk_allows_every_removal() {
    let disk = Disk::mount("6m");
    let path = disk.0.path().join("state");
    std::fs::create_dir(&path).unwrap();
    let run = |program: &str| {
        let store = Arc::new(kvfs_host::FileStore::open(&path).unwrap());
        on(&store).args(["-c", program]).run().unwrap()
    };
    run(&format!(
        "{FILL}
for name in os.listdir('/'):
    os.unlink('/' + name)
print(os.listdir('/'))
"
    ))
    .success();
    assert_eq!(run("import os; print(os.listdir('/'))").success(), "[]\n");
}
