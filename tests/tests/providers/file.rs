//! The provider `file`: the next process finds what one left, and two at once harm nothing.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Arc;

use super::{composed, python, run, success};
use kvfs_audit::{Found, Key, Reader};
use kvfs_compose::{Audit, AuditLevel, Compose, Link, Provider};
use kvfs_host::{Durability, FileStore, Mutation, SyncStore, open_store};
use kvfs_tests::{Program, engine, guests, stock};
use serde_json::Value;

const FILE: Provider = Provider::File { path: None, accept_loss: false };

fn option(state: &Path) -> String {
    format!("--dir={}::/kvfs", state.display())
}

fn python_on(state: &Path, component: &Path, program: &str) -> String {
    success(&run(&[&option(state)], component, &["-c", program]))
}

/// Starts a program that will be killed.
fn start(state: &Path, component: &Path, program: &str) -> Child {
    let mut command = stock::run().unwrap();
    command.arg(option(state)).arg(component).args(["-c", program]).stdout(Stdio::piped());
    command.spawn().unwrap()
}

#[test]
fn another_process_and_the_hosts_tools_find_what_one_process_wrote() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    std::fs::create_dir(&state).unwrap();
    let component = python(dir.path(), FILE);
    let write = "import os; os.mkdir('/d'); open('/d/a', 'w').write('hello'); open('/big', 'wb').write(bytes(300000))";
    assert_eq!(python_on(&state, &component, write), "");
    let read = "import os; print(sorted(os.listdir('/')), open('/d/a').read(), os.path.getsize('/big'))";
    assert_eq!(python_on(&state, &component, read), "['big', 'd'] hello 300000\n");

    // The host's store is the same data, in both directions.
    let url = format!("file:{}", state.display());
    let store = open_store(&url).unwrap();
    let page = SyncStore::scan(&store, b"", b"", 1000, 1 << 20).unwrap();
    assert!(
        page.iter().any(|entry| entry.value.windows(5).any(|part| part == b"hello")),
        "{} entries",
        page.len()
    );
    let mine = [Mutation::Put { key: b"\x01zmine", value: b"1" }];
    SyncStore::apply(&store, &[], &mine, Durability::Durable).unwrap();
    drop(store);
    assert_eq!(python_on(&state, &component, read), "['big', 'd'] hello 300000\n");
    let store = open_store(&url).unwrap();
    assert_eq!(SyncStore::get(&store, &[b"\x01zmine"]).unwrap(), [Some("1".into())]);
}

#[test]
fn a_volume_moves_between_the_store_of_the_host_and_the_provider() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    std::fs::create_dir(&state).unwrap();
    let guest = guests::rust().unwrap();
    let inside = composed(dir.path(), guest, FILE);
    let on_host = Compose::new(guest).build().unwrap();
    let on_host = engine::compile(engine::interruptible(), &on_host.bytes).unwrap();
    let host = |steps: &[&str]| {
        let store = Arc::new(FileStore::open(&state).unwrap());
        let program = Program::new(&on_host).store(store).args(["script"]);
        program.args(steps.iter().copied()).run().unwrap().stdout
    };
    let provider =
        |steps: &[&str]| success(&run(&[&option(&state)], &inside, &[&["script"], steps].concat()));
    assert_eq!(host(&["mkdir d", "write d/a one"]), "mkdir d: ok\nwrite d/a one: ok\n");
    let seen = provider(&["cat d/a", "write d/b two", "mv d/a c"]);
    assert_eq!(seen, "cat d/a: \"one\"\nwrite d/b two: ok\nmv d/a c: ok\n");
    assert_eq!(
        host(&["cat c", "cat d/b", "cat d/a"]),
        "cat c: \"one\"\ncat d/b: \"two\"\ncat d/a: error no-entry\n"
    );
    assert_eq!(provider(&["rm c", "cat d/b"]), "rm c: ok\ncat d/b: \"two\"\n");
    assert_eq!(host(&["ls ."]), "ls .: [DescriptorType::Directory d]\n");
}

/// Runs a script that must fail; returns what it says.
fn refused(state: &Path, component: &Path) -> String {
    let output = run(&[&option(state)], component, &["script", "cat d/a"]);
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!said.contains("\"one\""), "{said}");
    said
}

#[test]
fn a_copy_that_was_cut_off_is_refused_until_it_is_done() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    std::fs::create_dir(&state).unwrap();
    let component = composed(dir.path(), guests::rust().unwrap(), FILE);
    success(&run(&[&option(&state)], &component, &["script", "mkdir d", "write d/a one"]));
    // The marker of `kvfs store copy`.
    let marker = b"\x00kvfs-copying";
    let apply = |change| {
        let store = FileStore::open(&state).unwrap();
        SyncStore::apply(&store, &[], &[change], Durability::Durable).unwrap();
    };
    apply(Mutation::Put { key: marker, value: b"x" });
    let said = refused(&state, &component);
    assert!(said.contains("error"), "{said}");
    apply(Mutation::Delete { key: marker });
    assert_eq!(success(&run(&[&option(&state)], &component, &["script", "cat d/a"])), "cat d/a: \"one\"\n");
}

#[test]
fn a_store_that_lost_what_was_durable_is_refused_unless_the_composition_accepts_it() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    std::fs::create_dir(&state).unwrap();
    let guest = guests::rust().unwrap();
    let component = composed(dir.path(), guest, FILE);
    success(&run(&[&option(&state)], &component, &["script", "mkdir d", "write d/a one"]));
    let files = || std::fs::read_dir(&state).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    let kept: Vec<_> = files().into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect();
    success(&run(&[&option(&state)], &component, &["script", "write d/b two", "mv d/a d/c", "sync d/b"]));
    // The older segments come back, and the mark stays.
    for path in files().into_iter().filter(|path| path.extension().is_none_or(|kind| kind != "mark")) {
        std::fs::remove_file(path).unwrap();
    }
    for (path, bytes) in kept.iter().filter(|(path, _)| path.extension().is_none_or(|kind| kind != "mark")) {
        std::fs::write(path, bytes).unwrap();
    }
    refused(&state, &component);
    let accepting = dir.path().join("accepting");
    std::fs::create_dir(&accepting).unwrap();
    let accepting = composed(&accepting, guest, Provider::File { path: None, accept_loss: true });
    let told = success(&run(&[&option(&state)], &accepting, &["script", "cat d/a", "cat d/b"]));
    assert_eq!(told, "cat d/a: \"one\"\ncat d/b: error no-entry\n");
    // It counts as it is from then on.
    assert_eq!(success(&run(&[&option(&state)], &component, &["script", "cat d/a"])), "cat d/a: \"one\"\n");
}

#[test]
fn the_audit_log_of_a_guest_in_the_stock_command_is_in_its_store() {
    let dir = tempfile::tempdir().unwrap();
    let (state, path) = (dir.path().join("state"), dir.path().join("audited.wasm"));
    std::fs::create_dir(&state).unwrap();
    for link in [Link::Component, Link::Core] {
        let compose = Compose::new(guests::rust().unwrap()).link(link).provider(FILE);
        let audited = compose.audit(Audit::new(AuditLevel::Changes)).build().unwrap();
        std::fs::write(&path, audited.bytes).unwrap();
        success(&run(&[&option(&state)], &path, &["script", "mkdir d", "mv d e", "cat no", "rmdir e"]));
    }
    let store = open_store(&format!("file:{}", state.display())).unwrap();
    let (start, end) = kvfs_audit::key_end();
    let (mut reader, mut lines) = (Reader::new(), Vec::new());
    for entry in SyncStore::scan(&store, &start, &end, 1000, 1 << 20).unwrap() {
        let key = Key::parse(&entry.key).unwrap();
        reader.record(key, &entry.value, &mut |found| match found {
            Found::Line(line) => lines.push(serde_json::from_str::<Value>(line).unwrap()),
            other => panic!("{other:?}"),
        });
    }
    let told = |line: &Value| format!("{} {} {}", line["n"], line["op"], line["path"]);
    let told: Vec<String> = lines.iter().map(told).collect();
    let run = [r#"1 "create-directory-at" "/d""#, r#"2 "rename-at" "/d""#, r#"3 "remove-directory-at" "/e""#];
    assert_eq!(told, [run, run].concat(), "one run for each way to join");
}

#[test]
fn a_killed_program_leaves_what_it_closed_and_its_stale_lease_blocks_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    std::fs::create_dir(&state).unwrap();
    let component = python(dir.path(), FILE);
    let writer = "
import itertools
for number in itertools.count():
    with open(f'/f{number}', 'w') as file:
        file.write(str(number) * 100)
    print(number, flush=True)
";
    for round in 1..=3 {
        let mut child = start(&state, &component, writer);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Killed right after it has printed the number, at an arbitrary moment.
        let closed: u32 = lines.by_ref().nth(20 * round).unwrap().unwrap().parse().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let check = format!(
            "for n in range({closed} + 1): assert open(f'/f{{n}}').read() == str(n) * 100, n\nprint('there')"
        );
        assert_eq!(python_on(&state, &component, &check), "there\n", "round {round}");
    }
}

#[test]
fn the_newer_of_two_programs_owns_the_store_and_the_older_gets_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    std::fs::create_dir(&state).unwrap();
    let component = python(dir.path(), FILE);
    let older = "
import os, time
acknowledged = 0
try:
    while True:
        with open('/log', 'a') as file:
            file.write('x')
            file.flush()
            os.fsync(file.fileno())
        acknowledged += 1
        print(acknowledged, flush=True)
        time.sleep(0.01)
except OSError as error:
    print('error', error.errno, flush=True)
";
    let mut child = start(&state, &component, older);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    lines.by_ref().nth(5).unwrap();
    let newer =
        "import os; size = os.path.getsize('/log'); open('/mine', 'w').write('y' * 1000); print(size)";
    let seen: u32 = python_on(&state, &component, newer).trim().parse().unwrap();
    let rest: Vec<String> = lines.collect();
    child.wait().unwrap();
    assert!(rest.last().is_some_and(|line| line.starts_with("error ")), "{rest:?}");
    let acknowledged: u32 = rest[rest.len() - 2].parse().unwrap();
    // Every write acknowledged to the older program is stored, and the one under way may be. Then
    // it ends for good.
    assert!(seen >= acknowledged && seen <= acknowledged + 1, "{seen} seen, {acknowledged} acknowledged");
    let after = "import os; print(os.path.getsize('/log'), os.path.getsize('/mine'))";
    assert_eq!(python_on(&state, &component, after), format!("{seen} 1000\n"));
}
