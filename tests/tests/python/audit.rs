//! The audit log of a program: every call is there once, in order, and nothing that the program
//! does hides or forges one.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use kvfs::{Access, Clock, Follow, OpenFlags, Options, Settings, Timestamp, Volume};
use kvfs_audit::{Found, Key, Reader, key_end};
use kvfs_host::{
    Audited, Durability, EngineStore, Entry, Guard, Limits, MemoryStore, Mutation, StoreError, SyncStore,
};
use kvfs_tests::Program;
use serde_json::Value;

use super::{audited_all, audited_required, audited_required_volume, audited_volume};

/// Returns the records of all logs in a store.
fn records(store: &impl SyncStore) -> Vec<(Key, Vec<u8>)> {
    let (mut start, end) = key_end();
    let mut records = Vec::new();
    loop {
        let page = store.scan(&start, &end, 1024, 1 << 20).unwrap();
        let Some(last) = page.last() else { return records };
        start = [&last.key[..], &[0]].concat();
        records.extend(page.iter().map(|entry| (Key::parse(&entry.key).unwrap(), entry.value.to_vec())));
    }
}

/// Returns all lines in a store. Every record is sound, and every line is JSON.
fn lines(store: &impl SyncStore) -> Vec<Value> {
    let mut lines = Vec::new();
    let mut tell = |found: Found<'_>| match found {
        Found::Line(line) => lines.push(serde_json::from_str(line).unwrap()),
        other => panic!("{other:?}"),
    };
    let mut reader = Reader::new();
    records(store).iter().for_each(|(key, value)| reader.record(*key, value, &mut tell));
    reader.end(&mut tell);
    lines
}

/// Checks that events are numbered without a gap, but for those that a line counts as lost, and
/// that time does not run backwards. Returns the number of lost events.
fn check_numbers(lines: &[Value]) -> u64 {
    let (mut next, mut lost, mut time) = (1, 0, String::new());
    for line in lines {
        if let Some(count) = line["lost"].as_u64() {
            assert_eq!(line["first"], next, "{line}");
            next += count;
            assert_eq!(line["last"], next - 1, "{line}");
            lost += count;
            continue;
        }
        assert_eq!(line["n"], next, "{line}");
        next += 1;
        let now = line["t"].as_str().unwrap();
        assert!(*time <= *now, "{line}");
        time = now.into();
    }
    lost
}

/// Returns the events between two marks, each shortened by `short`.
fn between_marks(lines: &[Value], short: impl Fn(&Value) -> Value) -> Vec<Value> {
    let mark = |name: &str| {
        let found = lines.iter().position(|line| line["op"] == "create-directory-at" && line["path"] == name);
        found.unwrap_or_else(|| panic!("no mark {name}"))
    };
    lines[mark("/begin") + 1..mark("/end")].iter().map(short).collect()
}

/// Keeps what does not change from run to run.
fn short(line: &Value) -> Value {
    let keys = ["op", "path", "to", "target", "atime", "mtime", "offset", "size", "bytes", "calls", "entries", "append", "flags"];
    let mut parts: Vec<String> = Vec::new();
    for key in keys {
        match &line[key] {
            Value::Null => {}
            Value::String(text) if key == "op" || key == "path" => parts.push(text.clone()),
            Value::String(text) => parts.push(format!("{key}={text}")),
            other => parts.push(format!("{key}={other}")),
        }
    }
    parts.push(line["result"].as_str().unwrap().into());
    parts.join(" ").into()
}

fn run(program: Program, script: &str) -> kvfs_tests::Output {
    program.args(["-c", script]).run().unwrap()
}

/// A script whose calls are known. Before and after them it makes a directory as a mark.
const CALLS: &str = "
import os
os.mkdir('/data/deep/kept')
os.mkdir('/begin')
for root in ('/', '/data/', '/data/deep/'):
    fd = os.open(root + 'f', os.O_CREAT | os.O_RDWR)
    os.write(fd, b'x' * 100)
    os.write(fd, b'y' * 50)
    os.lseek(fd, 0, 0)
    os.read(fd, 60)
    os.read(fd, 60)
    os.read(fd, 60)
    os.read(fd, 60)
    os.pwrite(fd, b'z' * 10, 500)
    os.pread(fd, 20, 500)
    os.ftruncate(fd, 7)
    os.fsync(fd)
    os.rename(root + 'f', root + 'g')
    os.write(fd, b'')
    os.fstat(fd)
    os.close(fd)
    os.link(root + 'g', root + 'h')
    os.symlink('g', root + 's')
    os.readlink(root + 's')
    os.stat(root + 's')
    os.utime(root + 'g', (5, 6))
    os.listdir(root)
    os.unlink(root + 'h')
    os.mkdir(root + 'd')
    os.rmdir(root + 'd')
    for call, path in ((os.stat, 'no'), (os.rmdir, 'g'), (os.unlink, 'no/x')):
        try:
            call(root + path)
        except OSError:
            pass
try:
    os.rename('/g', '/data/g')
except OSError:
    pass
os.mkdir('/end')
";

/// What [`CALLS`] does in a directory `R`, which it lists as `L`, without the hashes that libc asks
/// for.
const EVENTS: &str = "\
open-at Rf flags=read,write,mutate-directory,create,symlink-follow ok
write-via-stream Rf offset=0 ok
write Rf offset=0 bytes=150 calls=2 ok
read-via-stream Rf offset=0 ok
read Rf offset=0 bytes=150 calls=4 closed
write Rf offset=500 bytes=10 calls=1 ok
read Rf offset=500 bytes=10 calls=1 ok
set-size Rf size=7 ok
sync Rf ok
rename-at Rf to=Rg ok
write-via-stream Rf offset=150 ok
write Rf offset=150 bytes=0 calls=1 ok
stat Rf size=7 ok
close Rf ok
link-at Rg to=Rh ok
symlink-at Rs target=g ok
readlink-at Rs target=g ok
stat-at Rs size=7 ok
set-times-at Rg atime=5 mtime=6 ok
open-at L flags=read,directory,symlink-follow ok
read-directory L entries=N ok
close L ok
unlink-file-at Rh ok
create-directory-at Rd ok
remove-directory-at Rd ok
remove-directory-at Rg not-directory
unlink-file-at Rno/x no-entry
";

#[test]
fn every_call_is_an_event_in_order() {
    let store = Arc::new(MemoryStore::new());
    run(audited_all(&store), CALLS).success();
    let lines = lines(&*store);
    assert_eq!(check_numbers(&lines), 0);
    let mut seen = between_marks(&lines, short);
    // How often libc asks for hashes is its own affair.
    seen.retain(|line| !line.as_str().unwrap().starts_with("metadata-hash"));
    let mut expected = String::new();
    for (root, listed, entries) in [("/", "/.", 5), ("/data/", "/data/", 4), ("/data/deep/", "/data/deep/", 4)] {
        let events = EVENTS.replace(" R", &format!(" {root}")).replace("=R", &format!("={root}"));
        expected += &events.replace(" L", &format!(" {listed}")).replace("=N", &format!("={entries}"));
    }
    expected += "rename-at /g to=/data/g cross-device\n";
    let seen: Vec<&str> = seen.iter().map(|line| line.as_str().unwrap()).collect();
    let expected: Vec<&str> = expected.lines().collect();
    let different = seen.iter().zip(&expected).position(|(seen, expected)| seen != expected);
    assert_eq!(seen, expected, "first at {different:?}");
}

#[test]
fn a_callback_gets_the_lines_and_the_store_does_not() {
    let stored = Arc::new(MemoryStore::new());
    run(audited_all(&stored), CALLS).success();
    let (told, store) = (Arc::new(Mutex::new(Vec::new())), MemoryStore::new());
    let keep = told.clone();
    let audited = Audited::new(store.clone(), move |event| {
        keep.lock().unwrap().push(serde_json::from_str::<Value>(event.line).unwrap());
        Ok(())
    });
    run(audited_all(&Arc::new(audited)), CALLS).success();
    assert_eq!(records(&store), []);
    let told = told.lock().unwrap();
    assert_eq!(check_numbers(&told), 0);
    assert_eq!(between_marks(&told, short), between_marks(&lines(&*stored), short));
}

/// Refuses what is of the log, its volume `log` included, after a name is made, until another one is.
struct Refusing {
    store: MemoryStore,
    refuses: AtomicBool,
}

impl Refusing {
    fn new() -> Arc<Self> {
        Arc::new(Self { store: MemoryStore::new(), refuses: AtomicBool::new(false) })
    }
}

impl SyncStore for Refusing {
    fn limits(&self) -> Result<Limits, StoreError> {
        SyncStore::limits(&self.store)
    }

    fn get(&self, keys: &[&[u8]]) -> Result<Vec<Option<bytes::Bytes>>, StoreError> {
        SyncStore::get(&self.store, keys)
    }

    fn scan(&self, start: &[u8], end: &[u8], entries: u32, bytes: u32) -> Result<Vec<Entry>, StoreError> {
        SyncStore::scan(&self.store, start, end, entries, bytes)
    }

    fn apply(&self, guards: &[Guard<'_>], mutations: &[Mutation<'_>], level: Durability) -> Result<(), StoreError> {
        for mutation in mutations {
            let key = mutation.key();
            let is_of_log = Key::parse(key).is_some() || key.starts_with(b"\x03log");
            if is_of_log && self.refuses.load(Ordering::Relaxed) {
                return Err(StoreError::QuotaExceeded);
            }
            for (name, refuses) in [(&b"refuse-now"[..], true), (b"take-again", false)] {
                if key.ends_with(name) {
                    self.refuses.store(refuses, Ordering::Relaxed);
                }
            }
        }
        SyncStore::apply(&self.store, guards, mutations, level)
    }
}

#[test]
fn events_that_cannot_be_stored_are_counted_and_the_program_goes_on() {
    let store = Refusing::new();
    let script = "
import os
os.mkdir('/refuse-now')
for number in range(5000):
    os.mkdir(f'/{number}')
os.mkdir('/take-again')
os.mkdir('/after')
print(len(os.listdir('/')))
";
    let printed = run(audited_all(&store), script).success();
    assert_eq!(printed, "5004\n");
    let lines = lines(&store.store);
    let lost = check_numbers(&lines);
    assert!(lost > 1000, "{lost}");
    let made = |line: &&Value| line["op"] == "create-directory-at";
    // The memory for lines is bounded, and what was in it is not lost.
    let kept = lines.iter().filter(made).count();
    assert!(kept > 500 && kept < 3000, "{kept}");
    assert!(lines.iter().any(|line| line["path"] == "/after"));
}

#[test]
fn a_log_that_cannot_be_stored_at_the_end_is_told() {
    let store = Refusing::new();
    let output = run(audited_all(&store), "import os; os.mkdir('/refuse-now'); os.mkdir('/a')");
    assert_eq!(output.code, Some(1), "{output:#?}");
    let told = "kvfs: the audit log could not be stored: the store is full (";
    assert!(output.stderr.contains(told), "{}", output.stderr);
    assert!(!output.stderr.contains("not all that was written"), "{}", output.stderr);
}

#[test]
fn a_required_log_lets_nothing_change_while_it_cannot_be_stored() {
    let script = "
import errno, os
file = os.open('/data/open', os.O_CREAT | os.O_RDWR)
os.write(file, b'before')
os.mkdir('/refuse-now')
refused = 0
for call in (lambda: os.mkdir('/a'), lambda: os.mkdir('/data/a'), lambda: os.write(file, b'x'),
             # In a linked guest, the bytes are put in place before the call that may be refused.
             lambda: os.pwrite(file, b'x', 0), lambda: os.ftruncate(file, 0), lambda: os.unlink('/data/open'),
             lambda: os.rename('/data/open', '/data/n'), lambda: os.open('/n', os.O_CREAT | os.O_WRONLY),
             lambda: os.utime('/data/open', (0, 0)), lambda: os.symlink('a', '/s'), lambda: os.rmdir('/refuse-now')):
    try:
        call()
    except OSError as error:
        assert error.errno in (errno.ENOSPC, errno.EIO), error
        refused += 1
print(refused, sorted(os.listdir('/')), os.pread(file, 100, 0), flush=True)
os.abort()
";
    for program in [audited_required(&Refusing::new()), audited_required_volume(&Refusing::new())] {
        let output = run(program, script);
        assert_eq!(output.stdout, "11 ['data', 'refuse-now'] b'before'\n", "{output:#?}");
    }
}

#[test]
fn a_run_that_has_all_its_lines_counts_the_rest() {
    let store = Arc::new(MemoryStore::new());
    let script = "
import errno, os
made = 0
try:
    for number in range(10000):
        os.mkdir(f'/{number}')
        made += 1
except OSError as error:
    assert error.errno == errno.ENOSPC, error
for call in (lambda: os.open('/n', os.O_CREAT | os.O_WRONLY), lambda: os.unlink('/0')):
    try:
        call()
        assert False, 'not refused'
    except OSError as error:
        assert error.errno == errno.ENOSPC, error
print(made)
";
    let made: usize = run(audited_required(&store), script).success().trim().parse().unwrap();
    let lines = lines(&*store);
    assert_eq!(check_numbers(&lines), 3, "the refused ones");
    let logged = lines.iter().filter(|line| line["op"] == "create-directory-at").count();
    assert_eq!(logged, made);
    assert!(lines.iter().map(|line| line.to_string().len()).sum::<usize>() < 200 << 10);
}

#[test]
fn a_level_of_changes_has_no_reads() {
    let store = Arc::new(MemoryStore::new());
    run(audited_required(&store), CALLS).success();
    let lines = lines(&*store);
    assert_eq!(check_numbers(&lines), 0);
    let ops = |op: &str| lines.iter().filter(|line| line["op"] == op).count();
    for op in ["read", "stat", "stat-at", "metadata-hash-at", "read-directory", "readlink-at", "sync"] {
        assert_eq!(ops(op), 0, "{op}");
    }
    // The refused ones too, and the marks.
    assert_eq!((ops("write"), ops("rename-at"), ops("close"), ops("remove-directory-at")), (9, 4, 3, 6));
    assert!(lines.iter().filter(|line| line["op"] == "open-at").all(|line| line["path"].as_str().unwrap().ends_with("/f")));
}

#[test]
fn what_a_killed_program_has_stored_is_in_the_log() {
    let acts = [
        "os.mkdir('/x')",
        "os.rename('/data/given', '/data/x')",
        "os.unlink('/data/deep/given')",
        "open('/x', 'w').write('1')",
        "os.symlink('a', '/x')",
    ];
    for act in acts {
        let store = Arc::new(MemoryStore::new());
        let given = "import os\nfor d in ('/', '/data/', '/data/deep/'): open(d + 'given', 'w').close()";
        run(audited_all(&store), given).success();
        let before = records(&*store);
        let output = run(audited_all(&store), &format!("import os\n{act}\nos.abort()"));
        assert_eq!(output.code, None, "{output:#?}");
        let after = records(&*store);
        assert_eq!(after[..before.len()], before[..], "{act}");
        let logged = after[before.len()..].iter().any(|(key, value)| {
            let record = kvfs_audit::record::Record::read(*key, value).unwrap();
            let text = String::from_utf8_lossy(record.lines).into_owned();
            text.contains("/x\"") || text.contains("\"unlink-file-at\",")
        });
        assert!(logged, "{act}: {:?}", after.len());
    }
}

#[test]
fn a_hundred_thousand_events_are_all_there() {
    let store = Arc::new(MemoryStore::new());
    let script = "
import os
os.mkdir('/begin')
for number in range(100000):
    os.access('/begin', 0)
os.mkdir('/end')
";
    let output = run(audited_all(&store), script);
    let applies = output.calls.apply;
    output.success();
    let lines = lines(&*store);
    assert_eq!(check_numbers(&lines), 0);
    assert!(between_marks(&lines, short).len() >= 100_000);
    // 64 KiB a call.
    assert!(applies < 1000, "{applies}");
}

#[test]
fn names_forge_no_lines() {
    let script = include_str!("../../python/hostile/audit.py");
    let store = Arc::new(MemoryStore::new());
    let output = run(audited_all(&store), script);
    let names: Vec<String> = serde_json::from_str(&output.clone().success()).unwrap();
    // Bytes of the log, as a terminal would get them.
    for (key, value) in records(&*store) {
        let lines = kvfs_audit::record::Record::read(key, &value).unwrap().lines.to_vec();
        let text = String::from_utf8(lines).unwrap();
        let bad = text.chars().find(|char| char.is_control() && *char != '\n' || "\u{202e}\u{2066}\u{200b}".contains(*char));
        assert_eq!(bad, None);
    }
    let lines = lines(&*store);
    assert_eq!(check_numbers(&lines), 0);
    assert!(!lines.iter().any(|line| line["op"] == "forged"), "a forged line");
    let made: Vec<&str> = lines
        .iter()
        .filter(|line| line["op"] == "create-directory-at" && line["result"] == "ok")
        .map(|line| line["path"].as_str().unwrap())
        .collect();
    assert_eq!(made, names, "each name once, as it was given");
    let longest = lines.iter().map(|line| line["path"].as_str().map_or(0, str::len)).max().unwrap();
    assert!(longest <= kvfs_audit::MAX_TEXT_BYTES, "{longest}");
    // A path that is too long is cut, and says so; a base that is too long leaves the rest alone.
    assert!(lines.iter().any(|line| line["cut"] == true));
    assert!(lines.iter().any(|line| line["path"] == "behind-a-long-base" && line["op"] == "unlink-file-at"));
}

/// Returns the text of each file of the volume `log`, by name.
fn files_of_log(store: &MemoryStore) -> BTreeMap<String, String> {
    struct NoTime;
    impl Clock for NoTime {
        fn now(&mut self) -> Timestamp {
            Timestamp::default()
        }
    }
    let options = Options { volume: "log".into(), ..Options::default() };
    let mut volume = Volume::open(Box::new(EngineStore(store.clone())), Box::new(NoTime), options).unwrap();
    let root = volume.root().unwrap();
    let mut listing = volume.read_directory(&root).unwrap();
    let mut files = BTreeMap::new();
    while let Some(entry) = volume.next_entry(&mut listing).unwrap() {
        let name = entry.name.to_string();
        let access = Access { read: true, ..Access::default() };
        let file = volume.open_at(&root, &name, Follow::No, OpenFlags::default(), access).unwrap();
        let mut bytes = Vec::new();
        while volume.read(&file, bytes.len() as u64, 1 << 20, &mut bytes).unwrap() > 0 {}
        volume.close(file).unwrap();
        files.insert(name, String::from_utf8(bytes).unwrap());
    }
    volume.close_directory(listing).unwrap();
    files
}

#[test]
fn a_volume_that_no_mount_shows_takes_the_lines() {
    let (store, other) = (Arc::new(MemoryStore::new()), Arc::new(MemoryStore::new()));
    run(audited_volume(&store), CALLS).success();
    run(audited_all(&other), CALLS).success();
    // Writes 23 MB of lines: more than one file takes.
    let many = "import os\nfor number in range(200000): os.access('/begin', 0)";
    run(audited_volume(&store), many).success();
    let look = "import os\nfor root, names, files in os.walk('/'): print(root, names, files)";
    let seen = run(audited_volume(&store), look).success();
    assert!(!seen.contains("audit-"), "{seen}");

    assert_eq!(records(&*store), []);
    let report = kvfs::fsck(&mut EngineStore((*store).clone()), "log").unwrap();
    assert!(report.is_clean(), "{report:?}");
    let files = files_of_log(&store);
    let names: Vec<&String> = files.keys().collect();
    assert_eq!(names.len(), 4, "one each, and a second one of the long run: {names:?}");
    assert!(names[2].ends_with("-1.jsonl"), "{names:?}");
    let parse = |text: &str| text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>();
    let first = parse(&files[names[0]]);
    assert_eq!(check_numbers(&first), 0);
    assert_eq!(between_marks(&first, short), between_marks(&lines(&*other), short));
    let long = parse(&(files[names[1]].clone() + &files[names[2]]));
    assert_eq!(check_numbers(&long), 0);
    assert!(long.len() >= 200_000);
}

#[test]
fn a_volume_of_small_files_takes_the_lines_in_many() {
    const MOST: u64 = 2000;
    let (store, other) = (Arc::new(MemoryStore::new()), Arc::new(MemoryStore::new()));
    files_of_log(&store);
    let mut set = |settings: kvfs::Result<Settings>| {
        settings.map(|mut settings| {
            settings.quota.file_bytes = Some(MOST);
            settings
        })
    };
    kvfs::set_settings(&mut EngineStore((*store).clone()), "log", &mut set).unwrap();
    // Then lines that are longer than a file may be.
    let long = format!("{CALLS}\nfor number in range(5): os.path.exists('/' + 'long/' * 700)\n");
    run(audited_volume(&store), &long).success();
    run(audited_all(&other), CALLS).success();

    let files = files_of_log(&store);
    assert!(files.len() > 10, "{:?}", files.keys());
    let number = |name: &str| name.trim_end_matches(".jsonl").rsplit('-').next().unwrap().parse::<u64>().unwrap();
    let mut in_order: Vec<(u64, &String)> = files.iter().map(|(name, text)| (number(name), text)).collect();
    in_order.sort_unstable();
    assert!(in_order.iter().all(|(_, text)| text.len() as u64 <= MOST));
    let ends = in_order.iter().filter(|(_, text)| text.ends_with('\n')).count();
    assert!(ends < files.len() && ends >= 5, "{ends} of {} end with a line", files.len());
    let text: String = in_order.iter().map(|(_, text)| text.as_str()).collect();
    let told: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(check_numbers(&told), 0);
    assert_eq!(between_marks(&told, short), between_marks(&lines(&*other), short));
}

/// A store in which the first hundred ids of runs are taken at every time.
struct Crowded(MemoryStore);

const TAKEN: u64 = 100;

fn is_taken(key: &[u8]) -> bool {
    let number = |key: Key| u64::from_be_bytes(key.run.0[8..].try_into().unwrap());
    Key::parse(key).is_some_and(|key| key.seq == 0 && number(key) < TAKEN)
}

impl SyncStore for Crowded {
    fn limits(&self) -> Result<Limits, StoreError> {
        SyncStore::limits(&self.0)
    }

    fn get(&self, keys: &[&[u8]]) -> Result<Vec<Option<bytes::Bytes>>, StoreError> {
        let found = SyncStore::get(&self.0, keys)?.into_iter().zip(keys);
        Ok(found.map(|(value, key)| if is_taken(key) { Some("another".into()) } else { value }).collect())
    }

    fn scan(&self, start: &[u8], end: &[u8], entries: u32, bytes: u32) -> Result<Vec<Entry>, StoreError> {
        SyncStore::scan(&self.0, start, end, entries, bytes)
    }

    fn apply(&self, guards: &[Guard<'_>], mutations: &[Mutation<'_>], level: Durability) -> Result<(), StoreError> {
        if guards.iter().any(|guard| is_taken(guard.key)) {
            return Err(StoreError::Conflict);
        }
        SyncStore::apply(&self.0, guards, mutations, level)
    }
}

#[test]
fn a_run_gets_an_id_however_many_others_began_at_its_time() {
    let store = Arc::new(Crowded(MemoryStore::new()));
    run(audited_all(&store), CALLS).success();
    let runs: std::collections::BTreeSet<_> = records(&*store).into_iter().map(|(key, _)| key.run).collect();
    let [run] = Vec::from_iter(runs)[..] else { panic!("more than one run") };
    assert_eq!(run.0[8..], TAKEN.to_be_bytes());
    assert_eq!(check_numbers(&lines(&*store)), 0);
}
