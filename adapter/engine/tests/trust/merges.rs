//! Merges of volumes: what is taken over, what is a conflict, and how it is resolved.

use crate::fixture::{create, open_volume, read, write};
use crate::run::TestClock;
use crate::store::{Fault, LARGE, Map, TestStore};
use crate::tools::check_layers;
use crate::tree::{self, Tree};
use kvfs::volumes::{self, Conflict, ConflictKind, Doing, Merged, Outcome, Side, Taken};
use kvfs::{
    Access, At, Descriptor, Error, Follow, Limits, Mode, OpenFlags, Options, Quota, StoreError, Timestamp,
    Volume, fsck,
};

const EXTENT: u32 = 512;

fn options(volume: &str) -> Options {
    Options {
        volume: volume.to_owned(),
        mode: Mode::Close,
        extent_bytes: EXTENT,
        inline_bytes: 64,
        ..Options::default()
    }
}

fn open(store: &TestStore, volume: &str) -> (Volume, Descriptor) {
    open_volume(store, options(volume))
}

fn fork(store: &TestStore, from: &str, to: &str) {
    volumes::fork(&mut store.clone(), &mut TestClock::default(), from, to, Taken::Writable).unwrap();
}

fn check(store: &TestStore) {
    check_layers(store).unwrap();
    let mut names = Vec::new();
    volumes::list(&mut store.clone(), &mut |name, _| {
        names.push(name.to_owned());
        Ok(())
    })
    .unwrap();
    for name in names {
        let report = fsck(&mut store.clone(), &name).unwrap();
        assert!(report.is_clean(), "{name}: {:?}", report.findings);
    }
}

fn merge_by(store: &TestStore, from: &str, into: &str, side: Option<Side>) -> Result<Outcome, Error> {
    let mut resolve = |_: &Conflict| side;
    volumes::merge(
        &mut store.clone(),
        &mut TestClock::default(),
        from,
        into,
        None,
        Doing::Merge,
        &mut resolve,
    )
}

fn merged(store: &TestStore, from: &str, into: &str) -> Merged {
    match merge_by(store, from, into, None).unwrap() {
        Outcome::Merged(merged) => merged,
        Outcome::Conflicts(conflicts) => panic!("{conflicts:?}"),
    }
}

fn conflicts(store: &TestStore, from: &str, into: &str) -> Vec<(String, ConflictKind)> {
    match merge_by(store, from, into, None).unwrap() {
        Outcome::Merged(merged) => panic!("{merged:?}"),
        Outcome::Conflicts(found) => found.into_iter().map(|found| (found.path, found.kind)).collect(),
    }
}

/// One change of a tree, in words: `write PATH BYTES`, `mkdir PATH`, `rm PATH`, `rmdir PATH`, `mv OLD NEW`,
/// `ln OLD NEW`, `symlink TARGET PATH`, `large PATH SEED`, `poke PATH OFFSET`, `truncate PATH SIZE`,
/// `touch PATH SECONDS`.
fn act(volume: &mut Volume, root: &Descriptor, line: &str) {
    let words: Vec<&str> = line.split(' ').collect();
    let number = |at: usize| words[at].parse::<u64>().unwrap();
    match words[0] {
        "write" => {
            let truncate = OpenFlags { create: true, truncate: true, ..OpenFlags::default() };
            let access = Access { write: true, ..Access::default() };
            let file = volume.open_at(root, words[1], Follow::No, truncate, access).unwrap();
            volume.write(&file, At::Offset(0), words[2].as_bytes()).unwrap();
            volume.close(file).unwrap();
        }
        "large" => write(volume, root, words[1], &vec![number(2) as u8; 5000]),
        "poke" => {
            let file = create(volume, root, words[1]);
            volume.write(&file, At::Offset(number(2)), b"poked").unwrap();
            volume.close(file).unwrap();
        }
        "truncate" => {
            let file = create(volume, root, words[1]);
            volume.set_size(&file, number(2)).unwrap();
            volume.close(file).unwrap();
        }
        "touch" => {
            let time = kvfs::SetTime::At(Timestamp { seconds: number(2) as i64, nanoseconds: 0 });
            volume.set_times_at(root, words[1], Follow::No, time, time).unwrap();
        }
        "mkdir" => volume.create_directory_at(root, words[1]).unwrap(),
        "rm" => volume.unlink_file_at(root, words[1]).unwrap(),
        "rmdir" => volume.remove_directory_at(root, words[1]).unwrap(),
        "mv" => volume.rename_at(root, words[1], root, words[2]).unwrap(),
        "ln" => volume.link_at(root, words[1], Follow::No, root, words[2]).unwrap(),
        "symlink" => volume.symlink_at(words[1], root, words[2]).unwrap(),
        other => panic!("{other}"),
    }
}

fn change(store: &TestStore, name: &str, lines: &[&str]) {
    let (mut volume, root) = open(store, name);
    for line in lines {
        act(&mut volume, &root, line);
    }
    volume.sync_all().unwrap();
}

/// A volume `main` and its fork `try`, from a base that has one of each.
fn pair(ours: &[&str], theirs: &[&str]) -> TestStore {
    pair_on(TestStore::new(LARGE), ours, theirs)
}

const BASE: &[&str] = &[
    "write a one",
    "write b two",
    "mkdir d",
    "write d/x three",
    "mkdir e",
    "write e/y four",
    "mkdir d/deep",
    "large big 1",
    "mkdir empty",
    "symlink a link",
    "write hard five",
    "ln hard hard2",
];

fn pair_on(store: TestStore, ours: &[&str], theirs: &[&str]) -> TestStore {
    change(&store, "main", BASE);
    fork(&store, "main", "try");
    change(&store, "main", ours);
    change(&store, "try", theirs);
    store
}

fn tree_of(store: &TestStore, name: &str) -> Tree {
    let (mut volume, _) = open(store, name);
    tree::of_volume(&mut volume).unwrap()
}

/// The tree in a few words: paths of directories with a slash behind, files with their first bytes.
fn shape(store: &TestStore, name: &str) -> Vec<String> {
    let word = |(path, leaf): (&String, &tree::Leaf)| match leaf.kind {
        kvfs::Kind::Directory => format!("{path}/"),
        kvfs::Kind::Symlink => format!("{path} -> {}", leaf.target),
        kvfs::Kind::File => {
            let bytes: Vec<u8> = leaf.regions.iter().flat_map(|(_, bytes)| bytes).copied().take(8).collect();
            format!("{path}={}", String::from_utf8_lossy(&bytes))
        }
    };
    tree_of(store, name).iter().skip(1).filter(|(path, _)| *path != "big").map(word).collect()
}

/// Changes of the shape of the base.
fn shape_with(removed: &[&str], added: &[&str]) -> Vec<String> {
    let store = TestStore::new(LARGE);
    change(&store, "main", BASE);
    let mut shape = shape(&store, "main");
    for word in removed {
        let at = shape.iter().position(|found| found == word).unwrap_or_else(|| panic!("{word}: {shape:?}"));
        shape.remove(at);
    }
    shape.extend(added.iter().map(|word| (*word).to_owned()));
    shape.sort_by(|a, b| {
        let path = |word: &String| word.split(['=', ' ']).next().unwrap().trim_end_matches('/').to_owned();
        path(a).cmp(&path(b))
    });
    shape
}

/// Changes here, changes there, what is gone from the base then, what is new.
type Clean =
    (&'static [&'static str], &'static [&'static str], &'static [&'static str], &'static [&'static str]);

const CLEAN: &[Clean] = &[
    (&[], &["write a new"], &["a=one"], &["a=new"]),
    (&["write a new"], &[], &["a=one"], &["a=new"]),
    (&["write a new"], &["write a new"], &["a=one"], &["a=new"]),
    (&["write a here"], &["write b there"], &["a=one", "b=two"], &["a=here", "b=there"]),
    (&["write n1 here"], &["write n2 there"], &[], &["n1=here", "n2=there"]),
    (&["write n same"], &["write n same"], &[], &["n=same"]),
    (&["mkdir n", "write n/1 here"], &["mkdir n", "write n/2 there"], &[], &["n/", "n/1=here", "n/2=there"]),
    (
        &["mkdir n", "mkdir n/m", "write n/m/1 x"],
        &["mkdir n", "mkdir n/m", "write n/m/1 x", "write n/m/2 y"],
        &[],
        &["n/", "n/m/", "n/m/1=x", "n/m/2=y"],
    ),
    (&[], &["rm a"], &["a=one"], &[]),
    (&["rm a"], &["rm a"], &["a=one"], &[]),
    (&["rm a"], &["rm b"], &["a=one", "b=two"], &[]),
    // Renamed on one side, written on the other.
    (&["write a here"], &["mv a c"], &["a=one"], &["c=here"]),
    (&["mv a c"], &["write a there"], &["a=one"], &["c=there"]),
    (&["mv a c"], &["mv a c"], &["a=one"], &["c=one"]),
    (
        &["mv a d/a"],
        &["mv d f"],
        &["a=one", "d/", "d/deep/", "d/x=three"],
        &["f/", "f/a=one", "f/deep/", "f/x=three"],
    ),
    (
        &["write d/n here"],
        &["mv d e/d"],
        &["d/", "d/deep/", "d/x=three"],
        &["e/d/", "e/d/deep/", "e/d/x=three", "e/d/n=here"],
    ),
    (&[], &["rm d/x", "rmdir d/deep", "rmdir d"], &["d/", "d/deep/", "d/x=three"], &[]),
    (&["mv d/x x"], &["rmdir d/deep"], &["d/x=three", "d/deep/"], &["x=three"]),
    // Swapped, and a name given to another file.
    (&["write n here"], &["mv a t", "mv b a", "mv t b"], &["a=one", "b=two"], &["a=two", "b=one", "n=here"]),
    (&["write n here"], &["write t new", "mv t a"], &["a=one"], &["a=new", "n=here"]),
    // Hard links.
    (&["ln hard h3"], &["ln hard h4"], &[], &["h3=five", "h4=five"]),
    (&["rm hard"], &["write hard2 new"], &["hard=five", "hard2=five"], &["hard2=new"]),
    (&["rm hard"], &["rm hard2"], &["hard=five", "hard2=five"], &[]),
    (&[], &["mkdir h", "write h/1 x", "ln h/1 h/2", "ln h/1 top"], &[], &["h/", "h/1=x", "h/2=x", "top=x"]),
    // Links, and another kind under a name.
    (&[], &["rm link", "symlink b link"], &["link -> a"], &["link -> b"]),
    (&["symlink b n"], &["symlink b n"], &[], &["n -> b"]),
    (&[], &["rm a", "mkdir a", "write a/in x"], &["a=one"], &["a/", "a/in=x"]),
    (&["touch a 7"], &["rm a"], &["a=one"], &[]),
];

#[test]
fn changes_that_go_together_are_merged() {
    for (number, (ours, theirs, gone, new)) in CLEAN.iter().enumerate() {
        let store = pair(ours, theirs);
        let before = tree_of(&store, "try");
        merged(&store, "try", "main");
        check(&store);
        assert_eq!(shape(&store, "main"), shape_with(gone, new), "case {number}: {ours:?} {theirs:?}");
        assert_eq!(tree_of(&store, "try"), before, "case {number}: the merged volume stays as it is");
        // Merged again, nothing is left to do.
        assert!(merged(&store, "try", "main").is_nothing(), "case {number}");
        // The other way round it gives the same files.
        let store = pair(theirs, ours);
        merged(&store, "try", "main");
        check(&store);
        assert_eq!(shape(&store, "main"), shape_with(gone, new), "case {number}, turned round");
    }
}

use ConflictKind as C;

/// Changes here, changes there, the conflicts, and the differences from the base with ours and theirs.
type Disputed = (
    &'static [&'static str],
    &'static [&'static str],
    &'static [(&'static str, C)],
    (&'static [&'static str], &'static [&'static str]),
    (&'static [&'static str], &'static [&'static str]),
);

const DISPUTED: &[Disputed] = &[
    (
        &["write a here"],
        &["write a there", "write n x"],
        &[("/a", C::BothChanged)],
        (&["a=one"], &["a=here", "n=x"]),
        (&["a=one"], &["a=there", "n=x"]),
    ),
    (&["rm a"], &["write a there"], &[("/a", C::RemovedHere)], (&["a=one"], &[]), (&["a=one"], &["a=there"])),
    (&["write a here"], &["rm a"], &[("/a", C::RemovedThere)], (&["a=one"], &["a=here"]), (&["a=one"], &[])),
    (&["rm a"], &["mv a c"], &[("/c", C::RemovedHere)], (&["a=one"], &[]), (&["a=one"], &["c=one"])),
    (&["mv a c"], &["rm a"], &[("/c", C::RemovedThere)], (&["a=one"], &["c=one"]), (&["a=one"], &[])),
    (&["mv a c"], &["mv a f"], &[("/c", C::BothRenamed)], (&["a=one"], &["c=one"]), (&["a=one"], &["f=one"])),
    (
        &["mv d c"],
        &["mv d f"],
        &[("/c", C::BothRenamed)],
        (&["d/", "d/deep/", "d/x=three"], &["c/", "c/deep/", "c/x=three"]),
        (&["d/", "d/deep/", "d/x=three"], &["f/", "f/deep/", "f/x=three"]),
    ),
    (&["write n here"], &["write n there"], &[("/n", C::NameTaken)], (&[], &["n=here"]), (&[], &["n=there"])),
    (&["write n here"], &["mv a n"], &[("/n", C::NameTaken)], (&[], &["n=here"]), (&["a=one"], &["n=one"])),
    (&["mv b n"], &["mv a n"], &[("/n", C::NameTaken)], (&["b=two"], &["n=two"]), (&["a=one"], &["n=one"])),
    (
        &["write n here"],
        &["mkdir n", "write n/1 there"],
        &[("/n", C::KindsDiffer)],
        (&[], &["n=here"]),
        (&[], &["n/", "n/1=there"]),
    ),
    (
        &["mkdir n", "mkdir n/m", "write n/m/1 here"],
        &["symlink a n"],
        &[("/n", C::KindsDiffer)],
        (&[], &["n/", "n/m/", "n/m/1=here"]),
        (&[], &["n -> a"]),
    ),
    (
        &["rmdir empty"],
        &["write empty/n there"],
        &[("/empty/n", C::DirectoryRemovedHere)],
        (&["empty/"], &[]),
        (&[], &["empty/n=there"]),
    ),
    (
        &["write empty/n here"],
        &["rmdir empty"],
        &[("/empty/n", C::DirectoryRemovedThere)],
        (&[], &["empty/n=here"]),
        (&["empty/"], &[]),
    ),
    (
        &["rm d/x", "rmdir d/deep", "rmdir d"],
        &["mkdir d/deep/n", "write d/deep/n/1 x"],
        &[("/d/deep/n", C::DirectoryRemovedHere)],
        (&["d/", "d/deep/", "d/x=three"], &[]),
        (&["d/x=three"], &["d/deep/n/", "d/deep/n/1=x"]),
    ),
    (
        &["mkdir d/deep/n", "mv a d/deep/n/a"],
        &["rm d/x", "rmdir d/deep", "rmdir d"],
        &[("/d/deep/n", C::DirectoryRemovedThere)],
        (&["d/x=three", "a=one"], &["d/deep/n/", "d/deep/n/a=one"]),
        (&["d/", "d/deep/", "d/x=three"], &[]),
    ),
    (
        &["mv d e/d"],
        &["mv e d/e"],
        &[("/e", C::DirectoryCycle)],
        (&["d/", "d/deep/", "d/x=three"], &["e/d/", "e/d/deep/", "e/d/x=three"]),
        (&["e/", "e/y=four"], &["d/e/", "d/e/y=four"]),
    ),
    (
        &["mv d e/d"],
        &["mv e d/deep/e"],
        &[("/e", C::DirectoryCycle)],
        (&["d/", "d/deep/", "d/x=three"], &["e/d/", "e/d/deep/", "e/d/x=three"]),
        (&["e/", "e/y=four"], &["d/deep/e/", "d/deep/e/y=four"]),
    ),
    (
        &["write t here", "mv t a"],
        &["write t there", "mv t a"],
        &[("/a", C::NameTaken)],
        (&["a=one"], &["a=here"]),
        (&["a=one"], &["a=there"]),
    ),
    (
        &["rm hard"],
        &["write hard new", "rm hard2"],
        &[("/hard2", C::RemovedHere)],
        (&["hard=five"], &[]),
        (&["hard=five", "hard2=five"], &["hard=new"]),
    ),
    // Saved as editors do.
    (
        &["rm a"],
        &["write t there", "mv t a"],
        &[("/a", C::RemovedHere)],
        (&["a=one"], &[]),
        (&["a=one"], &["a=there"]),
    ),
    // A chain: what has lost its place wants one that another file has by now.
    (
        &["write n here"],
        &["mv a n", "mv b a"],
        &[("/n", C::NameTaken)],
        (&[], &["n=here"]),
        (&["a=one", "b=two"], &["n=one", "a=two"]),
    ),
];

#[test]
fn conflicts_are_told_and_resolved_either_way() {
    let turned = |kind| match kind {
        C::RemovedHere => C::RemovedThere,
        C::RemovedThere => C::RemovedHere,
        C::DirectoryRemovedHere => C::DirectoryRemovedThere,
        C::DirectoryRemovedThere => C::DirectoryRemovedHere,
        other => other,
    };
    for (number, (ours, theirs, expected, with_ours, with_theirs)) in DISPUTED.iter().enumerate() {
        let store = pair(ours, theirs);
        let before = store.0.borrow().map.clone();
        let expected: Vec<(String, C)> =
            expected.iter().map(|(path, kind)| ((*path).to_owned(), *kind)).collect();
        assert_eq!(conflicts(&store, "try", "main"), expected, "case {number}: {ours:?} {theirs:?}");
        assert_eq!(store.0.borrow().map, before, "case {number}: nothing has changed");
        for (side, (gone, new)) in [(Side::Ours, with_ours), (Side::Theirs, with_theirs)] {
            let store = pair(ours, theirs);
            let outcome = merge_by(&store, "try", "main", Some(side)).unwrap();
            assert!(matches!(outcome, Outcome::Merged(Merged { resolved: 1.., .. })), "{outcome:?}");
            check(&store);
            assert_eq!(shape(&store, "main"), shape_with(gone, new), "case {number}, {side:?}");
        }
        let store = pair(theirs, ours);
        let kinds: Vec<C> = conflicts(&store, "try", "main").into_iter().map(|(_, kind)| kind).collect();
        let expected: Vec<C> = expected.iter().map(|(_, kind)| turned(*kind)).collect();
        assert_eq!(kinds, expected, "case {number}, turned round");
        for (side, (gone, new)) in [(Side::Theirs, with_ours), (Side::Ours, with_theirs)] {
            let store = pair(theirs, ours);
            merge_by(&store, "try", "main", Some(side)).unwrap();
            check(&store);
            assert_eq!(shape(&store, "main"), shape_with(gone, new), "case {number}, turned round, {side:?}");
        }
    }
}

#[test]
fn conflicts_are_resolved_path_by_path() {
    let (ours, theirs) = (["write a here", "write b here"], ["write a there", "write b there"]);
    let decide = |store: &TestStore, decided: &[(&str, Side)]| {
        let mut resolve = |conflict: &Conflict| {
            decided.iter().find(|(path, _)| *path == conflict.path).map(|(_, side)| *side)
        };
        let clock = &mut TestClock::default();
        volumes::merge(&mut store.clone(), clock, "try", "main", None, Doing::Merge, &mut resolve).unwrap()
    };
    let store = pair(&ours, &theirs);
    let Outcome::Conflicts(left) = decide(&store, &[("/a", Side::Theirs)]) else { panic!("merged") };
    assert_eq!(left, [Conflict { path: "/b".to_owned(), kind: C::BothChanged }]);
    let outcome = decide(&store, &[("/a", Side::Theirs), ("/b", Side::Ours)]);
    assert!(matches!(outcome, Outcome::Merged(Merged { resolved: 2, changed: 1, .. })), "{outcome:?}");
    assert_eq!(shape(&store, "main"), shape_with(&["a=one", "b=two"], &["a=there", "b=here"]));
    check(&store);
}

/// Bytes of a large file, merged extent by extent.
#[test]
fn large_files_are_merged_by_what_changed_in_them() {
    let cases: &[(&[&str], &[&str])] = &[
        (&[], &["poke big 600"]),
        (&["write a here"], &["poke big 4000", "truncate big 4100"]),
        (&["touch big 9"], &["truncate big 700"]),
        (&[], &["truncate big 700", "truncate big 4000"]),
        (&["poke a 3000"], &["truncate big 10", "poke big 3000"]),
        (&["mv big d/big"], &["truncate big 0", "write big tiny"]),
        (&[], &["poke big 90000"]),
        (&[], &["truncate a 20000", "poke a 15000"]),
        (&[], &["rm big"]),
        (&[], &["rm big", "large big 2"]),
    ];
    for (ours, theirs) in cases {
        for limits in
            [LARGE, Limits { max_batch_entries: 8, ..LARGE }, Limits { max_batch_entries: 16, ..LARGE }]
        {
            let store = pair_on(TestStore::new(limits), ours, theirs);
            merged(&store, "try", "main");
            check(&store);
            let (there, here) = (tree_of(&store, "try"), tree_of(&store, "main"));
            for path in ["big", "a", "d/big"] {
                let Some(leaf) = here.get(path) else { continue };
                if path == "a" && ours.iter().any(|line| line.contains(" a ")) {
                    continue;
                }
                let other = there.get(path.trim_start_matches("d/")).expect(path);
                assert_eq!((leaf.size, &leaf.regions), (other.size, &other.regions), "{path} {theirs:?}");
            }
            assert_eq!(here.contains_key("big") || here.contains_key("d/big"), there.contains_key("big"));
            // What is left of removed extents goes with the next commits, and does not come back.
            change(&store, "main", &["poke a 9000", "truncate a 12000", "mkdir later"]);
            check(&store);
        }
    }
}

#[test]
fn only_what_changed_is_copied() {
    let store = TestStore::new(LARGE);
    let (mut main, root) = open(&store, "main");
    write(&mut main, &root, "large", &vec![1; 200_000]);
    main.sync_all().unwrap();
    drop(main);
    fork(&store, "main", "try");
    change(&store, "try", &["poke large 100000"]);
    let bytes = store.bytes();
    let done = merged(&store, "try", "main");
    assert_eq!((done.changed, done.added, done.copied_bytes), (1, 0, u64::from(EXTENT)));
    assert!(store.bytes() - bytes < 1500, "{} bytes", store.bytes() - bytes);
    check(&store);
}

/// The common layer is asked for each changed file once, and each volume for what it changed itself.
#[test]
fn a_merge_asks_for_what_changed_whatever_the_volume_holds() {
    const CHANGED: u64 = 100;
    let asked = [CHANGED, 20 * CHANGED].map(|files| {
        let store = TestStore::new(LARGE);
        let (mut main, root) = open(&store, "main");
        for file in 0..files {
            write(&mut main, &root, &format!("f{file}"), b"one");
        }
        main.sync_all().unwrap();
        drop(main);
        fork(&store, "main", "try");
        let (mut fork, root) = open(&store, "try");
        for changed in 0..CHANGED {
            write(&mut fork, &root, &format!("f{}", changed * files / CHANGED), b"two");
        }
        fork.sync_all().unwrap();
        drop(fork);
        store.reset_calls();
        assert_eq!(merged(&store, "try", "main").changed, CHANGED);
        store.calls()
    });
    let [few, many] = asked;
    assert_eq!((few.keys_got, few.entries_scanned), (many.keys_got, many.entries_scanned));
    // If the volume merged into were asked for what it has not changed, it would be 1,000 and more.
    assert!(many.keys_got <= 8 * CHANGED + 20, "{many:?}");
}

#[test]
fn times_alone_are_no_conflict_and_the_later_one_counts() {
    for (ours, theirs, seconds) in [(5, 9, 9), (9, 5, 9), (0, 5, 5), (5, 0, 5)] {
        let store = TestStore::new(LARGE);
        change(&store, "main", &["write a one", "touch a 1"]);
        fork(&store, "main", "try");
        for (name, seconds) in [("main", ours), ("try", theirs)] {
            if seconds > 0 {
                change(&store, name, &[&format!("touch a {seconds}")]);
            }
        }
        merged(&store, "try", "main");
        assert_eq!(tree_of(&store, "main")["a"].times[1].seconds, seconds);
    }
}

#[test]
fn a_writer_is_fenced_by_a_merge_that_does_something() {
    let store = pair(&[], &["write a new"]);
    let (mut main, root) = open(&store, "main");
    merged(&store, "main", "try");
    main.create_directory_at(&root, "n1").unwrap();
    main.sync_all().unwrap();
    merged(&store, "try", "main");
    assert_eq!(main.create_directory_at(&root, "n2").and_then(|()| main.sync_all()), Err(Error::Fenced));
    check(&store);
}

#[test]
fn what_cannot_be_merged_changes_nothing() {
    let store = pair(&["write a here"], &["write b there"]);
    drop(open(&store, "apart"));
    volumes::fork(&mut store.clone(), &mut TestClock::default(), "main", "then", Taken::ReadOnly).unwrap();
    let before = store.0.borrow().map.clone();
    for (from, into, error) in [
        ("try", "try", Error::Invalid),
        ("try", "none", Error::NoEntry),
        ("none", "main", Error::NoEntry),
        ("apart", "main", Error::Unrelated),
        ("main", "apart", Error::Unrelated),
        ("try", "then", Error::ReadOnly),
    ] {
        assert_eq!(merge_by(&store, from, into, None), Err(error), "{from} {into}");
    }
    let clock = &mut TestClock::default();
    let looked = volumes::merge(&mut store.clone(), clock, "try", "main", None, Doing::Look, &mut |_| None);
    assert!(matches!(looked, Ok(Outcome::Merged(Merged { changed: 1, .. }))), "{looked:?}");
    assert_eq!(store.0.borrow().map, before);
    // A snapshot can be merged.
    merged(&store, "then", "try");
    check(&store);
}

#[test]
fn the_quota_of_the_volume_holds() {
    let store = pair(&[], &["large n 3"]);
    {
        let (mut main, _root) = open(&store, "main");
        let used = volumes::info(&mut store.clone(), "main").unwrap().used;
        main.set_quota(Quota { bytes: Some(used.bytes + 1000), ..Quota::default() }).unwrap();
        main.sync_all().unwrap();
    }
    let before = store.0.borrow().map.clone();
    assert_eq!(merge_by(&store, "try", "main", None), Err(Error::Quota));
    assert_eq!(store.0.borrow().map, before);
    // What makes room is merged all the same.
    change(&store, "try", &["rm n", "rm big"]);
    merged(&store, "try", "main");
    check(&store);
}

/// A volume with as many layers below it as there can be.
#[test]
fn a_merge_makes_no_chain_longer_than_it_may_be() {
    for limits in [LARGE, Limits { max_batch_entries: 8, ..LARGE }] {
        let store = TestStore::new(limits);
        change(&store, "main", BASE);
        fork(&store, "main", "try");
        for number in 0..kvfs::limits::MAX_LAYERS - 1 {
            change(&store, "main", &[&format!("write n{number} x")]);
            fork(&store, "main", &format!("s{number}"));
        }
        change(&store, "main", &["write last x"]);
        let layers = volumes::info(&mut store.clone(), "main").unwrap().layers.len();
        assert_eq!(layers, kvfs::limits::MAX_LAYERS + 1);
        change(&store, "try", &["write a new", "large more 4", "rm b", "rm d/x"]);
        merged(&store, "try", "main");
        assert!(volumes::info(&mut store.clone(), "main").unwrap().layers.len() <= layers);
        check(&store);
        let shape = shape(&store, "main");
        for word in ["a=new", "n0=x", "last=x"] {
            assert!(shape.iter().any(|found| found == word), "{word}: {shape:?}");
        }
        assert!(!shape.iter().any(|found| found.starts_with("b=")));
        while !volumes::collect_garbage(&mut store.clone(), 100).unwrap().done {}
        check(&store);
    }
}

/// A merge that takes more than one apply, cut after each of them and disturbed at each of its calls.
#[test]
fn a_merge_is_whole_or_not_at_all() {
    let theirs: &[&str] =
        &["large n1 1", "large n2 2", "rm big", "write a new", "mv d f", "rm e/y", "rmdir e"];
    for limits in [LARGE, Limits { max_batch_entries: 8, ..LARGE }] {
        let store = pair_on(TestStore::new(limits), &["write b here"], theirs);
        let (before, start) = (tree_of(&store, "main"), store.0.borrow().map.clone());
        store.reset_calls();
        let first = store.log_len();
        let mut map = start.clone();
        merged(&store, "try", "main");
        let calls = store.calls().total();
        let after = tree_of(&store, "main");
        let log = store.0.borrow().log.get(first..).unwrap_or_default().to_vec();
        assert_eq!(log.len() > 2, limits.max_batch_entries == 8, "{} applies", log.len());
        let mut whole = false;
        for applied in &log {
            applied.replay(&mut map);
            let store = TestStore::from_map(map.clone(), limits);
            check(&store);
            let found = tree_of(&store, "main");
            assert!(found == before || found == after, "half a merge");
            assert!(!whole || found == after, "merged, and then not");
            whole = found == after;
            // What is left over is garbage known as such.
            while !volumes::collect_garbage(&mut store.clone(), 100).unwrap().done {}
            check(&store);
            for name in ["main", "try"] {
                volumes::remove(&mut store.clone(), name).unwrap();
            }
            while !volumes::collect_garbage(&mut store.clone(), 100).unwrap().done {}
            assert_eq!(store.bytes(), 0);
        }
        assert!(whole);
        for fault in [
            Fault::Unavailable,
            Fault::UnknownApplied,
            Fault::UnknownNotApplied,
            Fault::Conflict,
            Fault::QuotaExceeded,
            Fault::AccessDenied,
            Fault::Corrupt,
        ] {
            for call in 0..calls {
                let store = TestStore::from_map(start.clone(), limits);
                store.set_fault(fault, call, 1);
                let outcome = merge_by(&store, "try", "main", None);
                store.clear_fault();
                check(&store);
                let found = tree_of(&store, "main");
                let shown = format!("{fault:?} at {call}: {outcome:?}");
                match &outcome {
                    Ok(_) => assert!(same_files(&found, &after), "{shown}"),
                    Err(_) => assert!(found == before || same_files(&found, &after), "{shown}"),
                }
                if outcome.is_err() && found == before {
                    merged(&store, "try", "main");
                    assert!(same_files(&tree_of(&store, "main"), &after), "{shown}");
                    check(&store);
                }
            }
        }
    }
}

/// Compares what users see.
fn same_files(one: &Tree, other: &Tree) -> bool {
    let of = |tree: &Tree| -> Vec<_> {
        let word = |(path, leaf): (&String, &tree::Leaf)| {
            (path.clone(), leaf.kind, leaf.size, leaf.regions.clone(), leaf.nlink)
        };
        tree.iter().map(word).collect()
    };
    of(one) == of(other)
}

/// The suites above must notice an engine that merges half.
#[test]
fn half_a_merge_is_noticed() {
    let store = pair(&["write b here"], &["write a new", "write n x", "mv d f"]);
    let start: Map = store.0.borrow().map.clone();
    merged(&store, "try", "main");
    let applied = store.0.borrow().log.last().unwrap().clone();
    let mut noticed = 0;
    for left_out in 0..applied.changes.len() {
        let mut half = applied.clone();
        half.changes.remove(left_out);
        let mut map = start.clone();
        half.replay(&mut map);
        let half = TestStore::from_map(map, LARGE);
        let sound = fsck(&mut half.clone(), "main").is_ok_and(|report| report.is_clean());
        noticed += usize::from(!sound);
    }
    // But for bytes and times of files, whose loss no check of a volume alone can see.
    assert!(noticed + 4 >= applied.changes.len() && noticed > 4, "{noticed} of {}", applied.changes.len());
}

#[test]
fn a_merge_costs_what_differs() {
    let mut before = None;
    for files in [100, 3000] {
        let store = TestStore::new(LARGE);
        let (mut main, root) = open(&store, "main");
        for directory in 0..files / 50 {
            main.create_directory_at(&root, &format!("d{directory}")).unwrap();
        }
        for file in 0..files {
            write(&mut main, &root, &format!("d{}/f{}", file / 50, file % 50), &[1; 600]);
        }
        main.sync_all().unwrap();
        drop(main);
        fork(&store, "main", "try");
        change(&store, "try", &["poke d0/f1 500", "write d1/new x", "rm d1/f2", "mv d1/f3 d0/moved"]);
        change(&store, "main", &["write d0/other x", "rm d1/f5"]);
        store.reset_calls();
        merged(&store, "try", "main");
        let calls = store.calls();
        assert_eq!(calls.applies, 1, "{calls:?}");
        assert!(before.replace(calls).is_none_or(|before| before == calls), "{calls:?}, before {before:?}");
        check(&store);
    }
}

/// A volume that others change all the time is not merged for ever.
#[test]
fn a_merge_beside_a_restless_writer_ends() {
    let store = pair(&[], &["write a new"]);
    let inner = store.clone();
    store.set_fault(Fault::Conflict, 0, u64::MAX);
    let outcome = merge_by(&inner, "try", "main", None);
    assert!(matches!(outcome, Err(Error::Store(StoreError::Unavailable(_)))), "{outcome:?}");
    store.clear_fault();
    check(&store);
    assert_eq!(shape(&store, "main"), shape_with(&[], &[]));
    drop(read(&mut open(&store, "main").0, &open(&store, "main").1, "a"));
}
