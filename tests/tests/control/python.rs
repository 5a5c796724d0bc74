//! CPython that snapshots its own files, in the stock `wasmtime` command and on a store of the host.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use super::{WAYS, sound};
use kvfs_compose::{Compose, Link, Provider};
use kvfs_host::{EngineStore, MemoryStore, Volumes, open_store};
use kvfs_tests::{Program, engine, guests, stock};

/// Writes files, tries something, looks what it did, and takes it back.
const PROGRAM: &str = r"
import kvfs_control as volume
import os, pathlib, sqlite3
notes = pathlib.Path('/notes')
notes.mkdir()
(notes / 'plan').write_text('as agreed')
db = sqlite3.connect('/notes/table.db')
db.execute('create table words (word text)')
db.execute('insert into words values (?)', ('kept',))
db.commit()
db.close()
volume.snapshot('before')

(notes / 'plan').write_text('something else')
(notes / 'draft').write_text('x' * 100000)
os.remove('/notes/table.db')
print(volume.diff('before'))
try:
    with open('/notes/plan') as held:
        volume.restore('before')
except volume.VolumeError as error:
    print('refused:', error)
volume.restore('before')
print(sorted(os.listdir('/notes')), (notes / 'plan').read_text())
print(volume.diff('before'), volume.entries())
print(sqlite3.connect('/notes/table.db').execute('select word from words').fetchall())
for name in ('../other', 'other@x', '', 'n\0'):
    try:
        volume.restore(name)
    except volume.VolumeError as error:
        print('refused:', error)
volume.fork('tried')
volume.commit()
";

const SAYS: &str = "\
[('Added', '/notes/draft'), ('Modified', '/notes/plan'), ('Removed', '/notes/table.db')]
refused: Busy
['plan', 'table.db'] as agreed
[] [('before', False)]
[('kept',)]
refused: BadName
refused: BadName
refused: BadName
refused: BadName
";

#[test]
fn cpython_controls_its_volume_on_a_store_of_the_host() {
    let guest = guests::python_with_control().unwrap();
    for link in WAYS {
        let built = Compose::new(&guest).link(link).allow_volume_control(64).build().unwrap();
        assert_eq!(built.report.not_linked, None);
        let component = engine::compile(engine::interruptible(), &built.bytes).unwrap();
        let store = MemoryStore::new();
        let program = Program::new(&component).store(Arc::new(store.clone()));
        assert_eq!(program.args(["-c", PROGRAM]).run().unwrap().success(), SAYS);
        assert_eq!(sound(&store), ["main", "main@tried", "main@before"]);
    }
}

/// In the stock command, with the store in a directory: nothing of this project runs outside of the
/// component. Tools see what the guest made.
#[test]
fn cpython_controls_its_volume_in_the_stock_command() {
    let guest = guests::python_with_control().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let provider = Provider::File { path: None, accept_loss: false };
    let built =
        Compose::new(&guest).provider(provider).link(Link::Core).allow_volume_control(64).build().unwrap();
    let component = dir.path().join("python.wasm");
    std::fs::write(&component, built.bytes).unwrap();
    let state = dir.path().join("state");
    std::fs::create_dir(&state).unwrap();
    let start = |program: &str| -> Command {
        let mut command = stock::run().unwrap();
        command.arg(format!("--dir={}::/kvfs", state.display())).arg(&component).args(["-c", program]);
        command
    };
    let output = start(PROGRAM).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), SAYS);

    let url = format!("file:{}", state.display());
    let look = || {
        let store = open_store(&url).unwrap();
        let names = Volumes::new(store.clone()).names().unwrap();
        let mut engine = EngineStore(store.clone());
        let layers = kvfs::volumes::check_layers(&mut engine).unwrap();
        assert!(layers.findings.is_empty(), "{:?}", layers.findings);
        for name in &names {
            let report = kvfs::fsck(&mut engine, name).unwrap();
            // A kill may leave what the next opener settles.
            assert!(report.is_clean(), "{name}: {:?}", report.findings);
        }
        store.close().unwrap();
        names
    };
    assert_eq!(look(), ["main", "main@tried", "main@before"]);

    // Killed anywhere in an endless loop of snapshots, changes and restores.
    let endless = r"
import kvfs_control as volume
import itertools, pathlib
for number in itertools.count():
    pathlib.Path('/new').write_text('x' * (number * 7919 % 50000))
    if number % 3 == 0:
        for name in ('even', 'odd'):
            if name in dict(volume.entries()):
                volume.remove(name)
    volume.snapshot('even' if number % 3 == 0 else 'odd') if number % 3 < 2 else volume.restore('before')
";
    for round in 0..12 {
        let mut child = start(endless).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(400 + 173 * round));
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        child.kill().unwrap();
        child.wait().unwrap();
        let names = look();
        assert!(names.contains(&"main@before".to_owned()), "{names:?}");
    }
    let output =
        start("import kvfs_control as v; v.restore('before'); print(open('/notes/plan').read())").output();
    assert_eq!(String::from_utf8_lossy(&output.unwrap().stdout), "as agreed\n");
}
