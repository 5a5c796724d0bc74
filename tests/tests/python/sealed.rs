//! A sealed store keeps a guest's files for who has the key, and for nobody else.

use std::path::Path;
use std::process::Output;
use std::sync::Arc;

use kvfs_host::{FileStore, MemoryStore, RedbStore, SealError, Sealed, Store, SyncStore, UserKey};

use super::on;
use super::processes::{composed, kvfs};

/// Writes small files, a large one beyond the cache's page, names of every kind, and a link.
const WRITER: &str = "
import os
os.makedirs('/secret-directory/secret-below')
for i in range(300):
    open(f'/secret-directory/secret-name-{i}', 'w').write(f'secret-content-{i}')
with open('/secret-large', 'wb') as large:
    for i in range(600):
        large.write(b'secret-block-%04d ' % i * 256)
os.symlink('secret-target', '/secret-link')
os.rename('/secret-directory/secret-name-0', '/secret-directory/secret-below/secret-renamed')
os.unlink('/secret-directory/secret-name-1')
print('written')
";

const READER: &str = "
import os
names = sorted(os.listdir('/secret-directory'))
assert names == sorted([f'secret-name-{i}' for i in range(2, 300)] + ['secret-below']), names
for i in range(2, 300):
    assert open(f'/secret-directory/secret-name-{i}').read() == f'secret-content-{i}'
with open('/secret-large', 'rb') as large:
    for i in range(600):
        assert large.read(18 * 256) == b'secret-block-%04d ' % i * 256
assert os.readlink('/secret-link') == 'secret-target'
assert open('/secret-directory/secret-below/secret-renamed').read() == 'secret-content-0'
print('found')
";

/// What may be nowhere in the store.
const SECRETS: [&str; 9] = [
    "secret-directory",
    "secret-below",
    "secret-name",
    "secret-large",
    "secret-link",
    "secret-target",
    "secret-renamed",
    "secret-content",
    "secret-block",
];

fn key(byte: u8) -> UserKey {
    UserKey::from_key_file(vec![byte; 32]).unwrap()
}

fn wait<T>(call: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(call)
}

fn program(store: Arc<impl Store + 'static>, program: &str) -> String {
    on(&store).args(["-c", program]).run().unwrap().success()
}

/// Returns all keys and values of a store, one behind the other.
fn bytes(store: &impl SyncStore) -> Vec<u8> {
    let (mut all, mut from) = (Vec::new(), Vec::new());
    loop {
        let page = store.scan(&from, b"", 4096, 4 << 20).unwrap();
        let Some(last) = page.last() else { return all };
        from = [&last.key[..], b"\0"].concat();
        page.iter().for_each(|entry| all.extend([&entry.key[..], &entry.value].concat()));
    }
}

fn secrets_in(bytes: &[u8]) -> Vec<&'static str> {
    SECRETS
        .into_iter()
        .filter(|secret| bytes.windows(secret.len()).any(|part| part == secret.as_bytes()))
        .collect()
}

/// Checks that files written by one run are there in the next, and that the store, and whatever
/// else `raw` finds of it, has none of their names and bytes.
fn keeps_secrets<S>(store: S, raw: impl Fn() -> Vec<u8>)
where
    S: Store + SyncStore + Clone + 'static,
{
    let sealed = wait(Sealed::open(store.clone(), &key(1))).unwrap();
    assert_eq!(program(Arc::new(sealed), WRITER), "written\n");
    // Another instance, as another process would have.
    let again = wait(Sealed::open(store.clone(), &key(1))).unwrap();
    assert_eq!(program(Arc::new(again), READER), "found\n");
    let below = bytes(&store);
    assert!(below.len() > 600 * 18 * 256, "{} bytes", below.len());
    assert_eq!(secrets_in(&below), [""; 0]);
    assert_eq!(secrets_in(&raw()), [""; 0]);
    // The key is refused before there is anything that a guest could run on.
    let refused = wait(Sealed::open(store.clone(), &key(2))).map(|_| ()).unwrap_err();
    assert_eq!(refused, SealError::WrongKey);
    assert!(bytes(&store) == below, "a refused key changed the store");
}

#[test]
fn files_are_kept_in_sealed_stores_of_every_kind_and_nothing_of_them_is_in_clear() {
    keeps_secrets(MemoryStore::new(), Vec::new);
    let dir = tempfile::tempdir().unwrap();
    let redb = RedbStore::open(dir.path().join("state.redb")).unwrap();
    keeps_secrets(redb, || std::fs::read(dir.path().join("state.redb")).unwrap());
    let files = dir.path().join("files");
    keeps_secrets(FileStore::open(&files).unwrap(), || {
        let all = files.read_dir().unwrap().map(|entry| entry.unwrap().path());
        all.filter(|path| path.is_file()).flat_map(|path| std::fs::read(path).unwrap()).collect()
    });
    // A test that cannot see what is there proves nothing.
    let plain = Arc::new(MemoryStore::new());
    assert_eq!(program(plain.clone(), WRITER), "written\n");
    assert_eq!(secrets_in(&bytes(&*plain)), SECRETS);
}

#[test]
fn a_damaged_value_is_an_error_for_its_file_and_for_no_other() {
    let below = MemoryStore::new();
    let open = || Arc::new(wait(Sealed::open(below.clone(), &key(1))).unwrap());
    assert_eq!(program(open(), WRITER), "written\n");
    // The first extent of the large file: the only one that has them.
    let entries = SyncStore::scan(&below, b"\x02\x04main\x20", b"\x02\x04main\x21", 1, 1 << 20).unwrap();
    let mut value = entries[0].value.to_vec();
    value[100] ^= 1;
    let change = [kvfs_host::Mutation::Put { key: &entries[0].key, value: &value }];
    SyncStore::apply(&below, &[], &change, kvfs_host::Durability::Durable).unwrap();
    let reader = "
try:
    open('/secret-large', 'rb').read()
    print('read')
except OSError as error:
    print(error.errno)
print(open('/secret-directory/secret-name-7').read())
";
    assert_eq!(program(open(), reader), "29\nsecret-content-7\n", "EIO of WASI");
}

fn run(component: &Path, store: &Path, passphrase: Option<&str>, args: &[&str]) -> Output {
    let mut command = kvfs();
    command.arg("run").arg("--store").arg(format!("redb:{}", store.display()));
    if let Some(passphrase) = passphrase {
        command.env("KVFS_PASSPHRASE", passphrase);
    }
    command.arg(component).arg("--").args(args).output().unwrap()
}

/// A guest that looks for its key, and the attempts that it makes.
const SEARCH: &str = concat!(
    include_str!("../../python/hostile/attack.py"),
    "\n",
    include_str!("../../python/hostile/key.py"),
    "\nprint(attempts)\n"
);
const ATTEMPTS: usize = 5 * 2 + 2 + 10 * 4 + 7 * 8 + 3 + 2;

#[test]
fn a_guest_of_the_command_finds_no_key_and_does_not_start_without_the_right_one() {
    let dir = tempfile::tempdir().unwrap();
    let (component, store) = (composed(dir.path()), dir.path().join("state.redb"));
    let run = |passphrase, args: &[&str]| run(&component, &store, passphrase, args);
    let stdout = |output: Output| {
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(stdout(run(Some("correct horse"), &["-c", WRITER])), "written\n");
    assert_eq!(stdout(run(Some("correct horse"), &["-c", SEARCH])), format!("{ATTEMPTS}\n"));
    assert_eq!(stdout(run(Some("correct horse"), &["-c", READER])), "found\n");
    assert_eq!(secrets_in(&std::fs::read(&store).unwrap()), [""; 0]);
    for wrong in [None, Some("wrong horse"), Some("")] {
        let output = run(wrong, &["-c", "print('started')"]);
        assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
    }
    // A script that finds nothing where there is something proves nothing.
    let told = format!("import os\nos.environ['TOLD'] = 'correct' + ' horse'\n{SEARCH}");
    assert!(!run(Some("correct horse"), &["-c", &told]).status.success());
    let kept = format!("open('/kept', 'w').write('correct' + ' horse')\n{SEARCH}");
    assert!(!run(Some("correct horse"), &["-c", &kept]).status.success());
    assert_eq!(stdout(run(Some("correct horse"), &["-c", "import os; os.unlink('/kept')"])), "");
    // What was refused changed nothing.
    assert_eq!(stdout(run(Some("correct horse"), &["-c", READER])), "found\n");
}
