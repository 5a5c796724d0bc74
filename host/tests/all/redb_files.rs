//! The redb store and its file: what survives, and what is refused and left unchanged.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use kvfs_host::{Durability, MAX_BUFFERED_BYTES, Mutation, RedbReader, RedbStore, StoreError, SyncStore};
use redb::{Database, TableDefinition};

use crate::{put, value_of, write};

pub(crate) fn fresh_path() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.redb");
    (directory, path)
}

#[test]
fn everything_survives_a_clean_end() {
    let (_directory, path) = fresh_path();
    let store = RedbStore::open(&path).unwrap();
    let other = store.clone();
    write(&store, &[(b"a", b"1"), (b"b", b"2")], Durability::Durable).unwrap();
    write(&other, &[(b"a", b"3")], Durability::Buffered).unwrap();
    store.apply(&[], &[Mutation::Delete { key: b"b" }], Durability::Buffered).unwrap();
    drop((store, other));
    let store = RedbStore::open(&path).unwrap();
    assert_eq!(value_of(&store, b"a").as_deref(), Some(&b"3"[..]));
    assert_eq!(value_of(&store, b"b"), None);
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "a temporary file was left behind");
}

#[test]
fn a_store_opens_again_and_again() {
    let (_directory, path) = fresh_path();
    for round in 0..20u8 {
        let store = RedbStore::open(&path).unwrap();
        assert_eq!(SyncStore::scan(&store, b"", b"", 100, 10_000).unwrap().len(), usize::from(round));
        write(&store, &[(&[round], b"x")], Durability::Buffered).unwrap();
    }
}

/// Prepares one of the ignored tests to run as a process of its own.
pub(crate) fn child(name: &str, path: &Path, wrap: Option<&str>) -> Command {
    let exe = std::env::current_exe().unwrap();
    let args = ["--exact", name, "--ignored", "--nocapture"];
    let mut command = match wrap {
        None => Command::new(exe),
        Some(script) => {
            let mut shell = Command::new("sh");
            shell.args(["-c", script, "sh"]).arg(exe);
            shell
        }
    };
    command.args(args).env("KVFS_TEST_STORE", path).stdin(Stdio::null());
    command
}

/// Runs a child that ends with code 42 while no file may grow: it is told `how` to do so. Checks how
/// many lines it says of changes that were not stored.
#[cfg(unix)]
#[track_caller]
pub(crate) fn ends_without_room(name: &str, path: &Path, how: &str, lines: usize) {
    // A limit on the size of files: the system says that the disk has room.
    let script = "trap '' XFSZ; ulimit -f 6000; exec \"$@\"";
    let output = child(name, path, Some(script)).env("KVFS_TEST_STOP", how).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(42), "{how}: {stderr}");
    let told = stderr.lines().filter(|line| line.contains("cannot store the last changes")).count();
    assert_eq!(told, lines, "{how}: {stderr}");
}

pub(crate) fn path_of_child() -> PathBuf {
    std::env::var_os("KVFS_TEST_STORE").expect("only another test runs this").into()
}

const STEPS: u32 = 400;

/// Writes numbered keys, with every tenth apply durable, and kills itself after the given step.
#[test]
#[ignore = "run by killed_at_any_moment_a_store_holds_a_prefix"]
fn child_writes_and_is_killed() {
    let store = RedbStore::open(path_of_child()).unwrap();
    let stop: u32 = std::env::var("KVFS_TEST_STOP").unwrap().parse().unwrap();
    for step in 1..=STEPS {
        let number = step.to_be_bytes();
        let level = if step % 10 == 0 { Durability::Durable } else { Durability::Buffered };
        // Two keys in one apply: neither may be stored without the other.
        write(&store, &[(&number, b"x"), (b"last", &number)], level).unwrap();
        if step == stop {
            kill_self();
        }
    }
    unreachable!("should have been killed at {stop}");
}

fn kill_self() -> ! {
    let id = std::process::id().to_string();
    let _ = Command::new("sh").args(["-c", "kill -9 \"$1\"", "sh", &id]).status();
    // The signal is on its way.
    loop {
        std::thread::sleep(std::time::Duration::from_secs(1));
    }
}

#[test]
fn killed_at_any_moment_a_store_holds_a_prefix() {
    for stop in [1, 9, 10, 11, 95, 100, 399] {
        let (_directory, path) = fresh_path();
        let status = child("redb_files::child_writes_and_is_killed", &path, None)
            .env("KVFS_TEST_STOP", stop.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert!(!status.success(), "the child should have been killed");
        let store = RedbStore::open(&path).unwrap();
        let entries = SyncStore::scan(&store, b"", b"", 10_000, 1 << 20).unwrap();
        let numbers: Vec<u32> = entries
            .iter()
            .filter(|entry| entry.key != "last")
            .map(|entry| u32::from_be_bytes(entry.key[..].try_into().unwrap()))
            .collect();
        let count = numbers.len() as u32;
        assert!(numbers.iter().copied().eq(1..=count), "killed at {stop}: {numbers:?} is not a prefix");
        assert!(count >= stop / 10 * 10, "killed at {stop}, {count} left: a durable apply was lost");
        assert!(count <= stop);
        let last = value_of(&store, b"last").map(|last| u32::from_be_bytes(last[..].try_into().unwrap()));
        assert_eq!(last.unwrap_or(0), count, "the store holds half of an apply");
    }
}

/// Fills the disk (by a limit on the size of files), then shows that nothing is lost.
#[test]
#[ignore = "run by a_full_disk_loses_nothing"]
fn child_fills_the_disk() {
    let store = RedbStore::open(path_of_child()).unwrap();
    let value = vec![7; 100_000];
    let mut fits = 0u32;
    let error = loop {
        match store.apply(&[], &[put(&fits.to_be_bytes(), &value)], Durability::Durable) {
            Ok(()) => fits += 1,
            Err(error) => break error,
        }
        assert!(fits < 1000, "the limit has no effect");
    };
    assert!(matches!(error, StoreError::QuotaExceeded), "{error}");
    assert!(fits > 3, "only {fits} fit");
    // The refused apply left nothing, all others are there, and small buffered ones still work.
    for number in 0..fits {
        assert_eq!(value_of(&store, &number.to_be_bytes()).as_deref(), Some(&value[..]));
    }
    assert_eq!(value_of(&store, &fits.to_be_bytes()), None);
    write(&store, &[(b"small", b"1")], Durability::Buffered).unwrap();
    assert_eq!(value_of(&store, b"small").as_deref(), Some(&b"1"[..]));
    println!("fits {fits}");
}

#[cfg(unix)]
#[test]
fn a_full_disk_loses_nothing() {
    let (_directory, path) = fresh_path();
    // At most 4 MiB in a file; without the signal, writing more is an error.
    let output =
        child("redb_files::child_fills_the_disk", &path, Some("trap '' XFSZ; ulimit -f 8192; exec \"$@\""))
            .output()
            .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");
    let fits = text.split("fits ").nth(1).and_then(|rest| rest.split_whitespace().next()).unwrap();
    let fits: usize = fits.parse().unwrap();
    // With room again, the file holds everything, also what was buffered at the end.
    let store = RedbStore::open(&path).unwrap();
    let keys: Vec<_> = (0..fits as u32).map(u32::to_be_bytes).collect();
    let keys: Vec<&[u8]> = keys.iter().map(|key| &key[..]).collect();
    assert!(
        SyncStore::get(&store, &keys).unwrap().iter().all(|value| value.as_ref().unwrap().len() == 100_000)
    );
}

#[test]
fn rewriting_the_same_keys_does_not_grow_the_file() {
    let (_directory, path) = fresh_path();
    let store = RedbStore::open(&path).unwrap();
    let value = vec![1; 32 << 10];
    let rewrite = |rounds: u32, level| {
        for round in 0..rounds {
            let number = (round % 16).to_be_bytes();
            write(&store, &[(&number, &value), (b"super", &round.to_be_bytes())], level).unwrap();
        }
        store.flush().unwrap();
        fs::metadata(&path).unwrap().len()
    };
    let early = rewrite(200, Durability::Durable);
    // 512 KiB of data, 64 MiB of buffered and 6 MiB of durable writes.
    rewrite(2000, Durability::Buffered);
    let late = rewrite(200, Durability::Durable);
    assert!(late <= early.max(2 << 20) * 2, "from {early} to {late} bytes");
}

#[test]
fn changes_beyond_the_buffer_bound_are_committed() {
    let (_directory, path) = fresh_path();
    let store = RedbStore::open(&path).unwrap();
    let value = vec![1; 1 << 20];
    for number in 0..40u8 {
        write(&store, &[(&[number], &value)], Durability::Buffered).unwrap();
    }
    let on_disk = fs::metadata(&path).unwrap().len();
    assert!(on_disk as usize > 40 * (1 << 20) - 2 * MAX_BUFFERED_BYTES, "{on_disk} bytes on disk");
}

fn refused(path: &Path) -> String {
    let text = RedbStore::open(path).unwrap_err().to_string();
    assert!(text.contains(&path.display().to_string()), "the path is missing: {text}");
    assert!(!text.contains('\n'), "{text}");
    text
}

#[test]
fn a_file_of_another_kind_is_refused_and_left_alone() {
    let (_directory, path) = fresh_path();
    let zeros = vec![0; 1 << 20];
    let contents: [&[u8]; 5] = [b"x", b"redb", b"SQLite format 3\0and so on", &zeros, b"{\"json\": true}"];
    for content in contents {
        fs::write(&path, content).unwrap();
        assert!(refused(&path).contains("is not a store"));
        assert_eq!(fs::read(&path).unwrap(), content);
    }
}

#[test]
fn a_damaged_store_is_refused_and_not_overwritten() {
    let (_directory, path) = fresh_path();
    let store = RedbStore::open(&path).unwrap();
    for number in 0..200u32 {
        write(&store, &[(&number.to_be_bytes(), &[7; 500])], Durability::Durable).unwrap();
    }
    drop(store);
    let whole = fs::read(&path).unwrap();
    for len in [9, 64, 319, 4096, 5000, whole.len() / 2] {
        fs::write(&path, &whole[..len]).unwrap();
        let text = refused(&path);
        assert!(text.contains("damaged"), "cut to {len} bytes: {text}");
    }
    // The header pages overwritten.
    let mut bytes = whole.clone();
    bytes[9..320].fill(0xAB);
    fs::write(&path, &bytes).unwrap();
    refused(&path);
    fs::write(&path, &whole).unwrap();
    assert_eq!(value_of(&RedbStore::open(&path).unwrap(), &7u32.to_be_bytes()).unwrap().len(), 500);
}

#[test]
fn an_empty_file_is_refused_and_left_empty() {
    let (_directory, path) = fresh_path();
    fs::write(&path, b"").unwrap();
    assert!(refused(&path).contains("an empty file"));
    assert!(refused_for_reading(&path).contains("an empty file"));
    assert_eq!(fs::read(&path).unwrap(), b"");
}

fn refused_for_reading(path: &Path) -> String {
    let url = format!("redb:{}", path.display());
    let text = kvfs_host::open_store_read_only(&url).unwrap_err().to_string();
    assert!(text.contains(&path.display().to_string()) && !text.contains('\n'), "{text}");
    text
}

#[test]
fn what_is_no_store_is_refused_for_reading_and_nothing_is_made() {
    let (directory, path) = fresh_path();
    assert!(refused_for_reading(&path).contains("no such store"));
    assert!(refused_for_reading(directory.path()).contains("a directory"));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    fs::write(&path, b"SQLite format 3\0and so on").unwrap();
    assert!(refused_for_reading(&path).contains("is not a store"));
    fs::remove_file(&path).unwrap();
    database_with_table(&path, "customers");
    assert!(refused_for_reading(&path).contains("another program"));
    fs::remove_file(&path).unwrap();
    drop(Database::create(&path).unwrap());
    assert!(refused_for_reading(&path).contains("without tables"));
    assert!(kvfs_host::open_store_read_only("memory:").is_err());
}

#[cfg(unix)]
#[test]
fn a_read_only_file_in_a_read_only_directory_is_read_and_not_changed() {
    use std::os::unix::fs::PermissionsExt;
    let (directory, path) = fresh_path();
    let store = RedbStore::open(&path).unwrap();
    write(&store, &[(b"a", b"1")], Durability::Durable).unwrap();
    drop(store);
    let bytes = fs::read(&path).unwrap();
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    mode(&path, 0o444);
    mode(directory.path(), 0o555);
    let store = RedbReader::open(&path).unwrap();
    assert!(!store.recovered());
    assert_eq!(value_of(&store, b"a").as_deref(), Some(&b"1"[..]));
    for level in [Durability::Buffered, Durability::Durable] {
        assert!(matches!(write(&store, &[(b"a", b"2")], level), Err(StoreError::ReadOnly)));
    }
    let guard = kvfs_host::Guard { key: b"a", expected: None };
    assert!(matches!(store.apply(&[guard], &[], Durability::Buffered), Err(StoreError::Conflict)));
    assert!(refused(&path).contains("may not be written"));
    drop(store);
    mode(directory.path(), 0o755);
    assert!(fs::read(&path).unwrap() == bytes);
    assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), modified);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

fn database_with_table(path: &Path, name: &str) {
    let database = Database::create(path).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(TableDefinition::<u64, &str>::new(name)).unwrap().insert(1, "one").unwrap();
    transaction.commit().unwrap();
}

#[test]
fn a_database_of_another_program_is_refused() {
    let (_directory, path) = fresh_path();
    database_with_table(&path, "customers");
    let text = refused(&path);
    assert!(text.contains("another program") && text.contains("customers"), "{text}");
    let database = Database::create(&path).unwrap();
    let tables = redb::ReadableDatabase::begin_read(&database).unwrap().list_tables().unwrap().count();
    assert_eq!(tables, 1, "opening added a table to another program's database");
}

#[test]
fn a_store_of_a_newer_format_is_refused() {
    let (_directory, path) = fresh_path();
    database_with_table(&path, "kvfs-2");
    let text = refused(&path);
    assert!(text.contains("format 2") && text.contains("up to 1") && text.contains("newer"), "{text}");
}

#[test]
fn a_table_of_other_types_is_refused() {
    let (_directory, path) = fresh_path();
    database_with_table(&path, RedbStore::TABLE);
    assert!(refused(&path).contains("damaged"));
}

#[test]
fn a_store_open_elsewhere_is_refused() {
    let (_directory, path) = fresh_path();
    let store = RedbStore::open(&path).unwrap();
    assert!(refused(&path).contains("open elsewhere"));
    drop(store);
    RedbStore::open(&path).unwrap();
}

#[test]
fn a_missing_directory_is_named() {
    let (directory, _) = fresh_path();
    let text = refused(&directory.path().join("no/such/state.redb"));
    assert!(text.contains("no directory") && text.contains("no/such"), "{text}");
    assert!(!directory.path().join("no").exists());
}

#[test]
fn a_directory_or_device_is_refused() {
    let (directory, _) = fresh_path();
    assert!(refused(directory.path()).contains("a directory"));
    #[cfg(unix)]
    assert!(refused(Path::new("/dev/null")).contains("not a regular file"));
}

#[test]
fn a_read_only_file_is_refused() {
    let (_directory, path) = fresh_path();
    drop(RedbStore::open(&path).unwrap());
    let mut permissions = fs::metadata(&path).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&path, permissions).unwrap();
    assert!(refused(&path).contains("may not be written"));
}
