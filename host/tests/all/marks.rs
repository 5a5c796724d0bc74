//! Marks: a store that has lost durable applies is not opened as if nothing were missing.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use kvfs_host::{
    AnyStore, Durability, Guard, Mark, Marked, MemoryStore, Mutation, OpenError, OpenOptions, RedbStore,
    Rollback, StoreError, SyncStore, mark_path, open_store, open_store_read_only,
};

use crate::redb_files::{child, fresh_path, path_of_child};
use crate::{put, value_of, write};

/// The key that the store keeps its own mark under.
const OWN: &[u8] = b"\x00kvfs-mark";

fn url(path: &Path) -> String {
    format!("redb:{}", path.display())
}

fn rolled_back(opened: Result<AnyStore, OpenError>) -> Rollback {
    match opened.map(drop) {
        Err(error @ OpenError::RolledBack { .. }) => {
            let text = error.to_string();
            assert!(
                text.contains("--accept-loss") && text.contains(".mark") && !text.contains('\n'),
                "{text}"
            );
            let OpenError::RolledBack { rollback, .. } = error else { unreachable!() };
            *rollback
        }
        other => panic!("it was not noticed: {other:?}"),
    }
}

fn accepting(url: &str) -> AnyStore {
    OpenOptions::new().accept_loss(true).open(url).unwrap()
}

fn applies(store: &AnyStore) -> u64 {
    let AnyStore::Redb(store) = store else { panic!("{store:?}") };
    store.mark().map_or(0, |mark| mark.applies)
}

/// Makes a store with so many durable applies, each of one key, and closes it.
fn store_of(path: &Path, count: u8) {
    let store = open_store(&url(path)).unwrap();
    for number in 1..=count {
        write(&store, &[(&[number], b"value")], Durability::Durable).unwrap();
    }
    store.close().unwrap();
}

#[test]
fn an_older_copy_put_in_the_place_of_a_store_is_noticed_until_it_is_accepted() {
    let (_directory, path) = fresh_path();
    store_of(&path, 5);
    let older = fs::read(&path).unwrap();
    let store = open_store(&url(&path)).unwrap();
    write(&store, &[(b"more", b"1")], Durability::Durable).unwrap();
    write(&store, &[(b"more", b"2")], Durability::Durable).unwrap();
    drop(store);
    let newer = fs::read(&path).unwrap();

    fs::write(&path, &older).unwrap();
    for opened in [open_store(&url(&path)), open_store_read_only(&url(&path))] {
        let Rollback::Applies { store, mark, .. } = rolled_back(opened) else { panic!() };
        assert_eq!((store.applies, mark.applies), (5, 7));
        assert_eq!(store.store_id, mark.store_id);
    }
    assert!(fs::read(&path).unwrap() == older, "a refused store was changed");
    // The newer file is the right one.
    fs::write(&path, &newer).unwrap();
    assert_eq!(applies(&open_store(&url(&path)).unwrap()), 7);
    let text = RedbStore::open(&path).map(|store| value_of(&store, b"more")).unwrap();
    assert_eq!(text.as_deref(), Some(&b"2"[..]));

    fs::write(&path, &older).unwrap();
    // Only looking accepts nothing for the next one.
    let looked = OpenOptions::new().accept_loss(true).read_only(true).open(&url(&path)).unwrap();
    assert_eq!(value_of(&looked, &[5]).as_deref(), Some(&b"value"[..]));
    drop(looked);
    rolled_back(open_store(&url(&path)));
    let store = accepting(&url(&path));
    assert_eq!((applies(&store), value_of(&store, b"more")), (8, None));
    drop(store);
    assert_eq!(applies(&open_store(&url(&path)).unwrap()), 8);
    // The lost state has become the older one.
    fs::write(&path, &newer).unwrap();
    rolled_back(open_store(&url(&path)));
}

#[test]
fn an_empty_store_and_another_store_and_none_at_all_are_noticed() {
    let (directory, path) = fresh_path();
    store_of(&path, 3);
    let own = fs::read(&path).unwrap();

    fs::remove_file(&path).unwrap();
    let before = fs::read_dir(directory.path()).unwrap().count();
    for opened in [open_store(&url(&path)), open_store_read_only(&url(&path))] {
        assert!(matches!(rolled_back(opened), Rollback::NoStore { mark, .. } if mark.applies == 3));
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), before, "something was made");

    // One without a table, as redb leaves it if its first commit is lost, and one without a mark.
    drop(redb::Database::create(&path).unwrap());
    let bare = fs::read(&path).unwrap();
    assert!(matches!(rolled_back(open_store(&url(&path))), Rollback::NotMarked { .. }));
    assert!(fs::read(&path).unwrap() == bare, "a table was made in a store that was refused");
    fs::remove_file(&path).unwrap();
    drop(RedbStore::open(&path).unwrap());
    assert!(matches!(rolled_back(open_store(&url(&path))), Rollback::NotMarked { .. }));
    assert!(matches!(rolled_back(open_store_read_only(&url(&path))), Rollback::NotMarked { .. }));

    let (_other, other) = fresh_path();
    store_of(&other, 9);
    fs::copy(&other, &path).unwrap();
    assert!(matches!(rolled_back(open_store(&url(&path))), Rollback::OtherStore { .. }));
    // Accepted, the other store is the one.
    assert_eq!(applies(&accepting(&url(&path))), 10);
    assert_eq!(applies(&open_store(&url(&path)).unwrap()), 10);
    fs::write(&path, own).unwrap();
    assert!(matches!(rolled_back(open_store(&url(&path))), Rollback::OtherStore { .. }));

    fs::remove_file(&path).unwrap();
    let store = accepting(&url(&path));
    assert_eq!(SyncStore::scan(&store, b"", b"", 10, 1000).unwrap(), []);
    assert_eq!(applies(&store), 11);
}

#[test]
fn a_store_without_its_mark_opens_and_has_one_after_the_next_durable_apply() {
    let (_directory, path) = fresh_path();
    let mark = mark_path(&path);
    store_of(&path, 3);
    let whole = fs::read(&mark).unwrap();
    for damaged in [None, Some(vec![]), Some(vec![7; 128]), Some(whole[..40].to_vec())] {
        fs::remove_file(&mark).unwrap();
        damaged.iter().for_each(|bytes| fs::write(&mark, bytes).unwrap());
        let store = open_store(&url(&path)).unwrap();
        assert_eq!(fs::read(&mark).ok(), damaged, "opening alone wrote it");
        write(&store, &[(b"a", b"1")], Durability::Buffered).unwrap();
        assert_eq!(fs::read(&mark).ok(), damaged, "a buffered apply wrote it");
        let before = applies(&store);
        write(&store, &[(b"a", b"1")], Durability::Durable).unwrap();
        assert_eq!(applies(&store), before + 1);
        let older = fs::read(&path).unwrap();
        write(&store, &[(b"a", b"1")], Durability::Durable).unwrap();
        drop(store);
        let newer = fs::read(&path).unwrap();
        fs::write(&path, older).unwrap();
        rolled_back(open_store(&url(&path)));
        fs::write(&path, newer).unwrap();
        assert_eq!(value_of(&open_store(&url(&path)).unwrap(), b"a").as_deref(), Some(&b"1"[..]));
    }
    // Moved without its mark.
    let (_other, other) = fresh_path();
    fs::rename(&path, &other).unwrap();
    assert!(applies(&open_store(&url(&other)).unwrap()) > 3);
}

#[test]
fn a_mark_that_lags_behind_is_no_error() {
    let (_directory, path) = fresh_path();
    store_of(&path, 3);
    let early = fs::read(mark_path(&path)).unwrap();
    store_of(&path, 3);
    fs::write(mark_path(&path), early).unwrap();
    assert_eq!(applies(&open_store(&url(&path)).unwrap()), 6);
}

#[test]
fn a_store_that_is_only_opened_and_closed_is_not_changed() {
    let (directory, path) = fresh_path();
    // From before there were marks.
    let store = RedbStore::open(&path).unwrap();
    write(&store, &[(b"a", b"1")], Durability::Durable).unwrap();
    drop(store);
    let before = fs::read(&path).unwrap();
    let reader = open_store_read_only(&url(&path)).unwrap();
    assert_eq!(value_of(&reader, b"a").as_deref(), Some(&b"1"[..]));
    assert!(matches!(write(&reader, &[(b"a", b"2")], Durability::Durable), Err(StoreError::ReadOnly)));
    drop(reader);
    assert!(fs::read(&path).unwrap() == before);
    let store = open_store(&url(&path)).unwrap();
    assert_eq!(applies(&store), 0);
    store.close().unwrap();
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "there is no mark yet");
    store_of(&path, 1);
    assert_eq!(applies(&open_store(&url(&path)).unwrap()), 1);
}

#[test]
fn every_durable_apply_raises_the_mark_even_an_empty_one() {
    let (_directory, path) = fresh_path();
    let store = open_store(&url(&path)).unwrap();
    let other = store.clone();
    let marks: Vec<u64> = (0..4)
        .map(|round| {
            store.apply(&[], &[], Durability::Durable).unwrap();
            write(&other, &[(b"a", &[round])], Durability::Buffered).unwrap();
            applies(&other)
        })
        .collect();
    assert_eq!(marks, [1, 2, 3, 4]);
    let refused = other.apply(&[Guard { key: b"a", expected: None }], &[], Durability::Durable);
    assert!(matches!(refused, Err(StoreError::Conflict)) && applies(&store) == 4);
    // Something waits, so closing is one more.
    store.close().unwrap();
    assert_eq!(applies(&store), 5);
    drop((store, other));
    let store = open_store(&url(&path)).unwrap();
    store.close().unwrap();
    assert_eq!(applies(&store), 5, "nothing waited");
    drop(store);
    // The last handle is dropped: as closing.
    let store = open_store(&url(&path)).unwrap();
    write(&store, &[(b"a", b"x")], Durability::Buffered).unwrap();
    drop(store);
    let store = open_store(&url(&path)).unwrap();
    assert_eq!((applies(&store), value_of(&store, b"a").as_deref()), (6, Some(&b"x"[..])));
}

#[test]
fn openers_of_one_store_raise_one_number() {
    let directory = tempfile::tempdir().unwrap();
    let memory = MemoryStore::new();
    let open = |mark: &str| Marked::open(memory.clone(), "memory", directory.path().join(mark)).unwrap();
    let (first, second, third) = (open("a"), open("a"), open("b"));
    for round in 0..20u8 {
        for store in [&first, &second, &third, &third] {
            let guard = Guard { key: &[round], expected: None };
            store.apply(&[guard], &[put(&[round], b"x")], Durability::Durable).unwrap();
            let refused = store.apply(&[guard], &[put(b"never", b"x")], Durability::Durable);
            assert!(matches!(refused, Err(StoreError::Conflict)));
            store.apply(&[], &[Mutation::Delete { key: &[round] }], Durability::Durable).unwrap();
        }
    }
    assert_eq!(third.mark().unwrap().applies, 160);
    assert_eq!(value_of(&first, b"never"), None);
    drop((first, second, third));
    let again = open("a");
    assert_eq!(again.mark().unwrap().applies, 160);
    // The first of another instance finds the mark that an instance without one has made.
    let (late, early) = (open("a"), open("a"));
    memory.apply(&[], &[Mutation::Delete { key: OWN }], Durability::Durable).unwrap();
    for store in [&late, &early] {
        let gone = store.apply(&[], &[], Durability::Durable);
        assert!(matches!(&gone, Err(StoreError::Corrupt(why)) if why.contains("rolled back")), "{gone:?}");
    }
}

#[test]
fn threads_raise_the_mark_together() {
    let (_directory, path) = fresh_path();
    let store = open_store(&url(&path)).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4u8 {
            let store = store.clone();
            scope.spawn(move || {
                for round in 0..25u8 {
                    let level = if round % 2 == 0 { Durability::Durable } else { Durability::Buffered };
                    write(&store, &[(&[thread, round], b"x")], level).unwrap();
                }
            });
        }
    });
    assert_eq!(applies(&store), 4 * 13);
    drop(store);
    assert_eq!(
        SyncStore::scan(&open_store(&url(&path)).unwrap(), b"", b"", 1000, 10_000).unwrap().len(),
        100
    );
}

#[test]
fn callers_do_not_reach_the_stores_own_mark() {
    let directory = tempfile::tempdir().unwrap();
    let memory = MemoryStore::new();
    let store = Marked::open(memory.clone(), "memory", directory.path().join("mark")).unwrap();
    write(&store, &[(b"\x00a", b"1"), (b"b", b"2")], Durability::Durable).unwrap();
    let own = value_of(&memory, OWN).unwrap();
    assert_eq!(store.get(&[OWN, b"b", OWN]).unwrap(), [None, Some("2".into()), None]);
    let keys = |start: &[u8], entries| -> Vec<Vec<u8>> {
        let page = store.scan(start, b"", entries, 1000).unwrap();
        page.into_iter().map(|entry| entry.key.to_vec()).collect()
    };
    assert_eq!(keys(b"", 10), [&b"\x00a"[..], b"b"]);
    assert_eq!(keys(OWN, 10), [b"b"]);
    assert_eq!(keys(OWN, 1), [b"b"], "a page of the mark alone would end the scan");
    assert_eq!(keys(b"\x00b", 1), [b"b"]);
    for mutation in [put(OWN, b"mine"), Mutation::Delete { key: OWN }] {
        for level in [Durability::Buffered, Durability::Durable] {
            assert!(matches!(store.apply(&[], &[mutation], level), Err(StoreError::AccessDenied)));
        }
    }
    let guard = |expected| Guard { key: OWN, expected };
    store.apply(&[guard(None)], &[put(b"c", b"3")], Durability::Buffered).unwrap();
    let held = store.apply(&[guard(Some(&own[..]))], &[put(b"c", b"4")], Durability::Buffered);
    assert!(matches!(held, Err(StoreError::Conflict)));
    assert_eq!(value_of(&store, b"c").as_deref(), Some(&b"3"[..]));
    assert_eq!(value_of(&memory, OWN).unwrap(), own, "only durable applies raise it");
}

#[test]
fn a_batch_at_the_limits_fits_with_the_mark() {
    let directory = tempfile::tempdir().unwrap();
    let store = Marked::open(MemoryStore::new(), "memory", directory.path().join("mark")).unwrap();
    let limits = store.limits().unwrap();
    let keys: Vec<[u8; 4]> = (0..limits.max_batch_entries).map(u32::to_be_bytes).collect();
    let each = limits.max_batch_bytes / limits.max_batch_entries;
    let value = vec![1; each as usize - 4];
    let rest = limits.max_batch_bytes - each * limits.max_batch_entries;
    let last = vec![1; value.len() + rest as usize];
    let full: Vec<_> = keys
        .iter()
        .enumerate()
        .map(|(at, key)| put(key, if at + 1 == keys.len() { &last } else { &value }))
        .collect();
    for level in [Durability::Buffered, Durability::Durable] {
        store.apply(&[], &full, level).unwrap();
        let more = [&full[..], &[put(b"", b"")]].concat();
        assert!(matches!(store.apply(&[], &more, level), Err(StoreError::TooLarge)));
    }
}

#[test]
fn a_damaged_mark_of_the_stores_own_is_refused_until_it_is_accepted() {
    let (_directory, path) = fresh_path();
    for without_file in [false, true] {
        store_of(&path, 2);
        let store = RedbStore::open(&path).unwrap();
        let mut own = value_of(&store, OWN).unwrap().to_vec();
        own[10] ^= 1;
        write(&store, &[(OWN, &own)], Durability::Durable).unwrap();
        drop(store);
        if without_file {
            fs::remove_file(mark_path(&path)).unwrap();
        }
        for opened in [open_store(&url(&path)), open_store_read_only(&url(&path))] {
            assert!(matches!(opened.map(drop), Err(OpenError::Damaged { .. })));
        }
        write(&accepting(&url(&path)), &[(b"a", b"1")], Durability::Durable).unwrap();
        assert!(applies(&open_store(&url(&path)).unwrap()) > 1);
    }
}

#[cfg(unix)]
#[test]
fn a_mark_that_cannot_be_written_or_read_is_told() {
    let (directory, path) = fresh_path();
    // A link to nowhere: there is nothing to read, and nothing can be made.
    std::os::unix::fs::symlink(directory.path().join("none/none"), mark_path(&path)).unwrap();
    let store = open_store(&url(&path)).unwrap();
    assert_eq!(store.mark_trouble(), None);
    write(&store, &[(b"a", b"1")], Durability::Durable).unwrap();
    assert!(store.mark_trouble().is_some());
    drop(store);
    fs::remove_file(mark_path(&path)).unwrap();
    fs::create_dir(mark_path(&path)).unwrap();
    let refused = open_store(&url(&path)).map(drop);
    assert!(
        matches!(&refused, Err(OpenError::Io { path: named, .. }) if *named == mark_path(&path)),
        "{refused:?}"
    );
}

#[cfg(unix)]
#[test]
fn a_link_to_a_store_has_the_mark_of_the_store() {
    let (directory, path) = fresh_path();
    store_of(&path, 2);
    let link = directory.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    store_of(&link, 2);
    assert_eq!(applies(&open_store(&url(&path)).unwrap()), 4);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 3);
}

#[test]
#[ignore = "run by a_process_that_exits_raises_the_mark"]
fn child_exits_with_a_buffered_apply() {
    let store = open_store(&url(&path_of_child())).unwrap();
    write(&store, &[(b"a", b"1")], Durability::Durable).unwrap();
    write(&store, &[(b"b", b"1")], Durability::Buffered).unwrap();
    std::process::exit(0);
}

#[test]
fn a_process_that_exits_raises_the_mark() {
    let (_directory, path) = fresh_path();
    let output = child("marks::child_exits_with_a_buffered_apply", &path, None)
        .stdout(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let store = open_store_read_only(&url(&path)).unwrap();
    assert_eq!(value_of(&store, b"b").as_deref(), Some(&b"1"[..]));
    assert!(!store.recovered(), "it was not closed in order");
    let AnyStore::RedbReader(store) = store else { panic!() };
    assert_eq!(store.mark().unwrap().applies, 2);
}

/// Durable entries of the store that is damaged.
const ENTRIES: u32 = 300;

fn value(number: u32) -> Vec<u8> {
    vec![number as u8; 500 + number as usize % 700]
}

/// The answer to a damaged variant of a store.
#[derive(Debug, PartialEq, Clone, Copy)]
enum Found {
    Refused,
    Whole,
    /// Some reads say that the store is damaged, all others are right.
    Told,
    /// A wrong byte, which the file system's checksums find.
    WrongByte,
    /// Durable entries are gone, and nothing says so.
    SilentLoss,
}

fn look(store: &dyn SyncStore) -> Found {
    let mut found = Found::Whole;
    for number in 0..ENTRIES {
        match store.get(&[&number.to_be_bytes()]).map(|mut values| values.pop().flatten()) {
            Ok(None) => return Found::SilentLoss,
            Ok(Some(bytes)) if bytes != value(number) => found = Found::WrongByte,
            Ok(Some(_)) => {}
            Err(StoreError::Corrupt(_)) => found = Found::Told,
            Err(error) => panic!("{error:?}"),
        }
    }
    found
}

/// Flips one bit of a file that a killed program left, so often, and looks at what `open` makes of
/// it.
fn flip_bits(variants: u32, open: impl Fn(&Path) -> Found) -> Vec<Found> {
    let (directory, path) = fresh_path();
    let store = open_store(&url(&path)).unwrap();
    for number in 0..ENTRIES {
        let level = if number % 50 == 49 { Durability::Durable } else { Durability::Buffered };
        write(&store, &[(&number.to_be_bytes(), &value(number))], level).unwrap();
    }
    // As a kill leaves it.
    let killed = fs::read(&path).unwrap();
    let mark = fs::read(mark_path(&path)).unwrap();
    drop(store);
    // Bytes that are in use, most of them; the header is tried throughout.
    let used: Vec<usize> = (0..killed.len()).filter(|at| killed[*at] != 0).collect();
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    (0..variants)
        .map(|variant| {
            let mut bytes = killed.clone();
            let at = if variant % 4 == 0 { 9 + random(311) } else { used[random(used.len())] };
            bytes[at] ^= 1 << random(8);
            let path = directory.path().join("variant.redb");
            fs::write(&path, &bytes).unwrap();
            fs::write(mark_path(&path), &mark).unwrap();
            let found = open(&path);
            if found == Found::Refused {
                assert!(fs::read(&path).unwrap() == bytes, "byte {at}: refused and changed");
            }
            fs::remove_file(&path).unwrap();
            found
        })
        .collect()
}

#[test]
fn no_flipped_bit_of_a_killed_store_loses_durable_entries_in_silence() {
    let marked = flip_bits(120, |path| match open_store(&url(path)) {
        Ok(store) => look(&store),
        Err(OpenError::RolledBack { .. } | OpenError::Damaged { .. } | OpenError::OtherRedb { .. }) => {
            Found::Refused
        }
        Err(OpenError::NotAStore { .. }) => Found::Refused,
        Err(error) => panic!("{error:?}"),
    });
    let count = |all: &[Found], what| all.iter().filter(|found| **found == what).count();
    println!(
        "refused {}, told {}, whole {}",
        count(&marked, Found::Refused),
        count(&marked, Found::Told),
        count(&marked, Found::Whole)
    );
    assert_eq!(count(&marked, Found::SilentLoss), 0, "{marked:?}");
    assert!(count(&marked, Found::Refused) > 10, "{marked:?}");
    let read_only = flip_bits(60, |path| match open_store_read_only(&url(path)) {
        Ok(store) => look(&store),
        Err(_) => Found::Refused,
    });
    assert_eq!(count(&read_only, Found::SilentLoss), 0, "{read_only:?}");
    // The same without a mark: the test can fail.
    let bare = flip_bits(60, |path| RedbStore::open(path).map_or(Found::Told, |store| look(&store)));
    println!("without a mark, lost in silence: {}", count(&bare, Found::SilentLoss));
    assert!(count(&bare, Found::SilentLoss) > 0, "{bare:?}");
}

#[test]
fn a_mark_says_which_store_and_when() {
    let (_directory, path) = fresh_path();
    store_of(&path, 1);
    let AnyStore::Redb(store) = open_store(&url(&path)).unwrap() else { panic!() };
    let mark: Mark = store.mark().unwrap();
    assert!(mark.time().starts_with("20") && mark.time().ends_with('Z'), "{mark:?}");
    assert_eq!(store.mark_path(), mark_path(&path));
    assert!(store.mark_path().to_string_lossy().ends_with("state.redb.mark"));
}

#[test]
#[ignore = "a measurement"]
fn cost_of_a_mark() {
    use std::time::Instant;
    let (_directory, path) = fresh_path();
    let bare = RedbStore::open(path.with_extension("bare")).unwrap();
    let marked = open_store(&url(&path)).unwrap();
    let stores: [(&str, &dyn SyncStore); 2] = [("bare", &bare), ("marked", &marked)];
    let keys: Vec<[u8; 20]> = (0..4).map(|number| [number; 20]).collect();
    let value = [7; 60];
    let batch: Vec<_> = keys.iter().map(|key| put(key, &value)).collect();
    for (level, calls) in [(Durability::Buffered, 20_000), (Durability::Durable, 200)] {
        let mut best = [f64::MAX; 2];
        for _ in 0..7 {
            for (best, (_, store)) in best.iter_mut().zip(stores) {
                let begun = Instant::now();
                (0..calls).for_each(|_| store.apply(&[], &batch, level).unwrap());
                *best = best.min(begun.elapsed().as_secs_f64() * 1e6 / f64::from(calls));
            }
        }
        println!("{level:?}, 4 puts of 80 bytes: bare {:.3} µs, marked {:.3} µs", best[0], best[1]);
    }
}

/// Writes a mark as a later version might: the same bytes with another digit, and their checksum.
fn of_a_later_form(bytes: &[u8]) -> Vec<u8> {
    let mut later = bytes.to_vec();
    for at in [0, 64] {
        if let Some(slot) = later.get_mut(at..at + 44) {
            slot[3] = b'2';
            let sum = xxhash_rust::xxh64::xxh64(&slot[..36], 0);
            slot[36..].copy_from_slice(&sum.to_be_bytes());
        }
    }
    later
}

#[test]
fn a_mark_of_a_later_form_is_told_from_damage_and_nothing_is_changed() {
    let (_directory, path) = fresh_path();
    let store = open_store(&url(&path)).unwrap();
    write(&store, &[(b"a", b"1")], Durability::Durable).unwrap();
    store.close().unwrap();
    drop(store);
    let mark = fs::read(mark_path(&path)).unwrap();
    let refused = |what: &str| {
        let options = OpenOptions::new();
        for options in [options, options.read_only(true), options.accept_loss(true)] {
            let text = options.open(&url(&path)).map(drop).unwrap_err().to_string();
            assert!(text.contains("newer kvfs") && text.contains("update this one"), "{what}: {text}");
        }
    };
    // Beside the store.
    fs::write(mark_path(&path), of_a_later_form(&mark)).unwrap();
    let before = fs::read(&path).unwrap();
    refused("beside");
    assert!(
        fs::read(mark_path(&path)).unwrap() == of_a_later_form(&mark) && fs::read(&path).unwrap() == before
    );
    // A damaged digit is no later form, and a mark without a whole slot is none.
    let mut damaged = mark.clone();
    (damaged[3], damaged[67]) = (b'2', b'2');
    fs::write(mark_path(&path), damaged).unwrap();
    drop(open_store_read_only(&url(&path)).unwrap());
    // Within the store.
    fs::write(mark_path(&path), &mark).unwrap();
    let store = RedbStore::open(&path).unwrap();
    let own = value_of(&store, b"\x00kvfs-mark").unwrap();
    write(&store, &[(b"\x00kvfs-mark", &of_a_later_form(&own))], Durability::Durable).unwrap();
    store.close().unwrap();
    drop(store);
    refused("within");
}
