//! The provider `memory`.

use super::{composed, python, run, success};
use kvfs_compose::Provider;
use kvfs_compose::{Compose, Link};
use kvfs_tests::guests;

const MEMORY: Provider = Provider::Memory { size_bytes: None };

#[test]
fn a_rust_guest_does_every_file_operation() {
    let dir = tempfile::tempdir().unwrap();
    let component = composed(dir.path(), guests::rust().unwrap(), MEMORY);
    // The program checks its own files and fails if they differ from what it wrote.
    let printed = success(&run(&[], &component, &["bench", "operations", "300"]));
    assert!(printed.contains("rename\t300\t") && printed.lines().count() > 10, "{printed}");
}

#[test]
fn python_has_files_for_as_long_as_it_runs() {
    let dir = tempfile::tempdir().unwrap();
    let component = python(dir.path(), MEMORY);
    let program = "
import os, sqlite3, tempfile
assert os.listdir('/') == [], os.listdir('/')
with tempfile.TemporaryDirectory(dir='/') as name:
    db = sqlite3.connect(name + '/a.db')
    db.execute('create table t(x)')
    db.executemany('insert into t values(?)', ((i,) for i in range(1000)))
    db.commit()
    print(db.execute('select sum(x) from t').fetchone()[0], os.listdir(name))
    db.close()
open('/left', 'w').write('x')
print(os.listdir('/'))
";
    for _ in 0..2 {
        assert_eq!(success(&run(&[], &component, &["-c", program])), "499500 ['a.db']\n['left']\n");
    }
}

#[test]
fn a_full_store_acts_like_a_full_disk_and_works_again_when_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let component = python(dir.path(), Provider::Memory { size_bytes: Some(4 << 20) });
    let program = "
import errno, os
file = os.open('/big', os.O_CREAT | os.O_RDWR)
written = 0
try:
    while written < 64 << 20:
        written += os.pwrite(file, bytes(range(256)) * 256, written)
        os.fsync(file)
except OSError as error:
    assert error.errno == errno.ENOSPC, error
# The last write is counted although its fsync failed.
assert 2 << 20 < written <= 4 << 20, written
os.close(file)
os.unlink('/big')
with open('/again', 'w') as file:
    file.write('x' * 100000)
print(os.path.getsize('/again'))
";
    assert_eq!(success(&run(&[], &component, &["-c", program])), "100000\n");
}

/// The stock command knows nothing of the store, so the program itself reports the failure.
#[test]
fn unstored_data_is_reported_by_an_exit_code_and_a_line() {
    let guest = std::fs::read(guests::python().unwrap()).unwrap();
    let program = "
with open('/big', 'wb') as file:
    file.write(b'x' * 2000000)
";
    for link in [Link::Component, Link::Core] {
        let dir = tempfile::tempdir().unwrap();
        let provider = Provider::Memory { size_bytes: Some(1 << 20) };
        let composed = Compose::new(&guest).provider(provider).link(link).build().unwrap();
        assert_eq!(composed.report.not_linked, None);
        let component = dir.path().join("composed.wasm");
        std::fs::write(&component, composed.bytes).unwrap();
        let output = run(&[], &component, &["-c", program]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let line = "kvfs: not all that was written could be stored: the store is full\n";
        assert_eq!(String::from_utf8_lossy(&output.stderr), line);
    }
}
