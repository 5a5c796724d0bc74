//! Components that are called again and again: each call's answer matches the host's, and its
//! writes are stored when it returns.

use std::sync::Arc;

use kvfs_host::MemoryStore;
use kvfs_tests::differential::Way;
use kvfs_tests::{Program, Tree, engine, guests, kinds};
use wasmtime::component::Val;

const NOTES: Option<&str> = Some("kvfs:guests/notes");

/// One call: interface, function, parameters.
type Call = (Option<&'static str>, &'static str, Vec<Val>);

fn text(text: &str) -> Val {
    Val::String(text.into())
}

fn variant(case: &str, value: Option<Val>) -> Val {
    Val::Variant(case.into(), value.map(Box::new))
}

/// Returns calls with every shape of signature that the reactor has, except resources.
fn calls_of_notes() -> Vec<Call> {
    let numbers = vec![
        Val::U8(255),
        Val::S8(-128),
        Val::U16(65_535),
        Val::S16(-32_768),
        Val::U32(u32::MAX),
        Val::S32(i32::MIN),
        Val::U64(u64::MAX),
        Val::S64(i64::MIN),
        Val::Float32(1.5),
        Val::Float64(-0.25),
        Val::Char('ß'),
        Val::Bool(true),
        Val::Tuple((1..=5).map(Val::U8).collect()),
    ];
    let changes = vec![
        variant("add", Some(text("one two"))),
        variant("cut", Some(Val::U64(3))),
        variant("add", Some(text(" three"))),
    ];
    let long = "long ".repeat(20_000);
    vec![
        (NOTES, "touch", vec![]),
        (NOTES, "append", vec![text("letter"), text("first ")]),
        (NOTES, "append", vec![text("letter"), text(&long)]),
        (NOTES, "append", vec![text("missing/letter"), text("x")]),
        (NOTES, "read", vec![text("touched")]),
        (NOTES, "read", vec![text("missing")]),
        (NOTES, "apply", vec![text("changed"), Val::List(changes)]),
        (NOTES, "apply", vec![text("changed"), Val::List(vec![variant("clear", None)])]),
        (NOTES, "apply", vec![text("absent"), Val::List(vec![variant("cut", Some(Val::U64(1)))])]),
        (NOTES, "record-numbers", numbers),
        (NOTES, "all", vec![]),
        (None, "count", vec![Val::U8(b'x')]),
        (None, "count", vec![Val::U8(b'y')]),
    ]
}

/// Makes the calls on the host's file system and in each of our ways. In ours, another opener reads
/// the store after each call, while the instance still lives.
fn calls_behave_as_on_the_host(guest: &[u8], calls: &[Call]) {
    let dir = tempfile::tempdir().unwrap();
    let component = engine::compile(engine::interruptible(), &guests::component(guest).unwrap()).unwrap();
    let mut host = Program::new(&component).host_files(dir.path()).session().unwrap();
    let steps: Vec<_> = calls
        .iter()
        .map(|(interface, function, params)| {
            let answer = host.call(*interface, function, params).unwrap();
            (format!("{answer:?}"), Tree::of_directory(dir.path()).unwrap())
        })
        .collect();
    assert!(steps.iter().any(|(_, tree)| !tree.0.is_empty()), "nothing was written");

    for way in Way::OURS {
        let component = engine::compile(engine::interruptible(), &way.component(guest).unwrap()).unwrap();
        let store = Arc::new(MemoryStore::new());
        let mut ours = Program::new(&component).store(store.clone()).session().unwrap();
        for ((interface, function, params), (answer, tree)) in calls.iter().zip(&steps) {
            let found = format!("{:?}", ours.call(*interface, function, params).unwrap());
            assert_eq!(found, *answer, "{way:?}: {function}");
            // Reads a copy: a second opener would fence off the first.
            let stored = Tree::of_store(&copy(&store)).unwrap();
            assert_eq!(stored, *tree, "{way:?}: stored after {function}");
        }
    }
}

fn copy(store: &MemoryStore) -> MemoryStore {
    use kvfs_host::{Durability, Mutation, SyncStore};
    let copy = MemoryStore::new();
    for entry in store.scan(b"", b"", u32::MAX, u32::MAX).unwrap() {
        let put = Mutation::Put { key: &entry.key, value: &entry.value };
        copy.apply(&[], &[put], Durability::Buffered).unwrap();
    }
    copy
}

#[test]
fn each_exported_function_behaves_as_on_the_host() {
    calls_behave_as_on_the_host(&kinds::notes_at("0.2.12").unwrap(), &calls_of_notes());
}

#[test]
fn a_preview1_reactor_behaves_as_on_the_host() {
    let note = |byte| (None, "note", vec![Val::S32(byte)]);
    let keep = |count| (None, "keep", vec![Val::S32(count)]);
    let calls = [note(65), keep(3), note(66), keep(0), keep(500), note(10)];
    calls_behave_as_on_the_host(&kinds::c_reactor().unwrap(), &calls);
}

/// Resources that a guest defines stay its own; their methods' writes are stored like all others.
#[test]
fn resources_of_a_reactor_live_from_call_to_call() {
    let guest = kinds::notes_at("0.2.6").unwrap();
    for way in Way::OURS {
        let component = engine::compile(engine::interruptible(), &way.component(&guest).unwrap()).unwrap();
        let store = Arc::new(MemoryStore::new());
        let mut session = Program::new(&component).store(store.clone()).session().unwrap();
        let mut call = |function, params: &[Val]| session.call(NOTES, function, params).unwrap().remove(0);
        let one = call("[constructor]journal", &[text("one")]);
        let other = call("[constructor]journal", &[text("other")]);
        call("[method]journal.write", &[one.clone(), text("a line")]);
        let Val::Resource(handle) = one else { panic!("{one:?} is not a resource") };
        assert!(handle.owned());
        let merged = call("[static]journal.merge", &[Val::Resource(handle), other]);
        assert_eq!(call("[method]journal.lines", &[merged]), Val::List(vec![text("a line")]));
        let tree = Tree::of_store(&copy(&store)).unwrap();
        assert_eq!(tree.0["one"], "file, 7 bytes, 1 names, \"a line\\\\n\"", "{way:?}");
        assert_eq!(tree.0["other"], tree.0["one"], "{way:?}");
    }
}
