//! Several at work on one store, or on one instance of it.

use crate::disk::{Disk, Sealed, entry, open};
use crate::meddling::{At, Meddling};
use kvfs_contract::{Durability, Guard, KvStore, Mutation};
use kvfs_sealed_store::{STORE_HEADER_KEY, SealedStore, now};
use kvfs_store_rig::{Calls, State};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Waker};

fn name(number: usize) -> Vec<u8> {
    entry(5, &format!("{:05}", number * 7919 % 20_011))
}

fn fill(store: &mut impl KvStore, names: usize) -> State {
    let entries: State = (0..names).map(|number| (name(number), vec![7; 33])).collect();
    let all: Vec<_> = entries.iter().map(|(key, value)| (key.clone(), Some(value.clone()))).collect();
    all.chunks(1000).for_each(|some| store.make(some, false).unwrap());
    entries
}

/// Reads a page of directory 5, and checks that it is in order.
fn page<C: kvfs_sealed_store::AsyncKvStore>(
    store: &SealedStore<C>,
    from: &[u8],
    entries: u32,
) -> Vec<(Vec<u8>, Vec<u8>)> {
    let page = now(store.scan(from, &entry(6, ""), entries, 1 << 20)).unwrap();
    assert!(page.is_sorted_by(|a, b| a.key < b.key), "not in order, or twice");
    page.into_iter().map(|entry| (entry.key, entry.value)).collect()
}

fn behind(page: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    [&page.last().expect("a page").0[..], b"\0"].concat()
}

#[test]
fn a_page_that_meets_an_apply_of_names_half_way_has_each_name_once() {
    for stays_under_way in [true, false] {
        let disk = Disk::empty();
        let expected: Vec<_> = fill(&mut open(&disk), 5_000).into_iter().collect();
        let meddling = Meddling::new(&disk);
        let store = Arc::new(meddling.open().unwrap());
        let first = page(&store, &entry(5, ""), 100);
        assert_eq!(first, expected[..100]);
        // Names are read 256 at a time: one call for the first of them, then the apply.
        let (other, below) = (store.clone(), meddling.clone());
        let (send, receive) = std::sync::mpsc::channel();
        meddling.before(At::Get, 2, move || {
            below.hold_applies(true);
            let mut apply = Box::pin(async move {
                let key = entry(5, "00150x");
                let change = [Mutation::Put { key: &key[..], value: b"" }];
                other.apply(&[], &change, Durability::Buffered).await
            });
            assert!(apply.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            // It stays where it is, or is given up: what it did is not known then.
            if stays_under_way {
                send.send(apply).unwrap();
            }
        });
        let second = page(&store, &behind(&first), 1000);
        assert!(meddling.worked());
        meddling.hold_applies(false);
        receive.try_iter().for_each(|apply| now(apply).unwrap());
        assert_eq!(second, expected[100..100 + second.len()]);
        assert!(second.len() > 256);
    }
}

#[test]
fn a_name_added_by_another_instance_is_in_the_next_listing_from_the_start() {
    let disk = Disk::empty();
    let mut store = open(&disk);
    let expected = fill(&mut store, 5_000);
    let first = page(&store, &entry(5, ""), 100);
    page(&store, &behind(&first), 100);
    // Added by another instance, and the directory grows.
    let mut other = open(&disk);
    other.set(&[], &[(&entry(5, "00000a"), Some(b"new"))], false).unwrap();
    let again = page(&store, &entry(5, ""), 100);
    assert!(again.iter().any(|(key, _)| *key == entry(5, "00000a")), "an old listing was used");
    // The same for a page that begins before the directory.
    store.set(&[], &[(b"\x01v\x10", Some(b"an inode"))], false).unwrap();
    other.set(&[], &[(&entry(5, "00000aa"), Some(b"new"))], false).unwrap();
    let from_before = page(&store, b"\x01v\x10", 100);
    assert!(from_before.iter().any(|(key, _)| *key == entry(5, "00000aa")), "an old listing was used");
    other.set(&[], &[(&entry(5, "00000aa"), None)], false).unwrap();
    // It shrinks to less than a page, is listed, and grows again: what was kept of it is old.
    let all: Vec<_> = expected.keys().skip(10).map(|key| (key.clone(), None)).collect();
    all.chunks(1000).for_each(|some| other.make(some, false).unwrap());
    other.set(&[], &[(&[&b"\x01v\x12"[..], b"behind"].concat(), Some(b""))], false).unwrap();
    let few = now(store.scan(&entry(5, ""), b"\x01v\x13", 1000, 1 << 20)).unwrap();
    assert_eq!(few.len(), 12);
    other.set(&[], &[(&entry(5, "00000b"), Some(b"new"))], false).unwrap();
    let next = page(&store, &[&entry(5, "00000a")[..], b"\0"].concat(), 1000);
    assert!(next.len() <= 11 && next[0].0 == entry(5, "00000b"), "an old listing was used");
}

/// Ends threads that wait for it, also when this one panics: the panic would wait for them.
struct Ends(Arc<AtomicBool>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn one_instance_lists_while_threads_change_its_names() {
    let disk = Disk::empty();
    let mut store = open(&disk);
    let expected: Vec<_> = fill(&mut store, 3_000).into_iter().collect();
    let (store, done) = (Arc::new(store), Arc::new(AtomicBool::new(false)));
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let (store, done) = (store.clone(), done.clone());
            scope.spawn(move || {
                let mut step = 0;
                while !done.load(Ordering::Relaxed) {
                    step += 1;
                    // In the same directory and in another one.
                    let keys = [entry(5, &format!("{:05}x{thread}", step % 3000)), entry(7 + thread, "x")];
                    for key in &keys {
                        let change = match step % 2 {
                            0 => Mutation::Put { key: &key[..], value: &b"comes and goes"[..] },
                            _ => Mutation::Delete { key: &key[..] },
                        };
                        now(store.apply(&[], &[change], Durability::Buffered)).unwrap();
                    }
                    std::thread::yield_now();
                }
            });
        }
        let ends = Ends(done.clone());
        for _ in 0..5 {
            let (mut from, mut found) = (entry(5, ""), Vec::new());
            loop {
                let page = page(&store, &from, 400);
                if page.is_empty() {
                    break;
                }
                from = behind(&page);
                found.extend(page.into_iter().filter(|(_, value)| value != b"comes and goes"));
            }
            assert!(found == expected, "names that stay are missing, or twice");
        }
        drop(ends);
    });
}

#[test]
fn an_apply_whose_outcome_is_unknown_leaves_no_wrong_listing() {
    let disk = Disk::empty();
    let mut store = open(&disk);
    let expected = fill(&mut store, 3_000);
    let first = page(&store, &entry(5, ""), 100);
    let gone = expected.keys().nth(150).unwrap().clone();
    let come = [&gone[..], b"x"].concat();
    disk.contents(|contents| contents.loses_answer = true);
    let answer = store.set(&[], &[(&gone, None), (&come, Some(b"new"))], false);
    assert_eq!(answer, Err(kvfs_contract::StoreError::UnknownOutcome));
    let next = page(&store, &behind(&first), 200);
    assert!(next.iter().all(|(key, _)| *key != gone) && next.iter().any(|(key, _)| *key == come));
}

#[test]
fn a_volume_that_another_instance_begins_meanwhile_is_found_and_not_called_damaged() {
    let (superblock, name) = (b"\x01v\0".to_vec(), entry(1, "name"));
    for hidden in [false, true] {
        let disk = Disk::empty();
        let meddling = Meddling::new(&disk);
        let store = meddling.open().unwrap();
        let (other, entries) = (disk.clone(), [superblock.clone(), name.clone()]);
        // The first get is for the volume's key.
        meddling.before(At::Get, 2, move || {
            let pairs: Vec<_> = entries.iter().map(|key| (&key[..], Some(&b"new"[..]))).collect();
            open(&other).set(&[], &pairs, false).unwrap();
        });
        let keys: Vec<&[u8]> = if hidden { vec![&superblock, &name] } else { vec![&superblock] };
        let found = now(store.get(&keys)).unwrap();
        assert!(meddling.worked());
        // Both were written in one apply: a get has both.
        assert!(found.iter().all(|value| value.as_deref() == Some(b"new")), "{found:?}");
    }
    // The same for a guard.
    let disk = Disk::empty();
    let meddling = Meddling::new(&disk);
    let store = meddling.open().unwrap();
    let (other, key) = (disk.clone(), superblock.clone());
    meddling.before(At::Get, 2, move || open(&other).set(&[], &[(&key, Some(b"new"))], false).unwrap());
    let guard = [Guard { key: &superblock[..], expected: Some(&b"new"[..]) }];
    let change = [Mutation::Delete { key: &b"\x01vother"[..] }];
    now(store.apply(&guard, &change, Durability::Buffered)).unwrap();
    assert!(meddling.worked());
}

#[test]
fn two_openers_of_an_empty_store_make_one_sealed_store() {
    for (at, number) in [(At::Get, 1), (At::Scan, 1), (At::Apply, 1)] {
        let disk = Disk::empty();
        let meddling = Meddling::new(&disk);
        let other = disk.clone();
        meddling.before(at, number, move || {
            open(&other).set(&[], &[(b"\x01v\0", Some(b"of the other"))], false).unwrap();
        });
        let store = meddling.open().unwrap_or_else(|error| panic!("{at:?}: {error}"));
        assert!(meddling.worked());
        let found = now(store.get(&[b"\x01v\0"])).unwrap();
        assert_eq!(found, [Some(b"of the other".to_vec())], "{at:?}");
    }
}

#[test]
fn two_writers_that_begin_one_volume_use_one_key() {
    for (at, number) in [(At::Get, 1), (At::Scan, 1), (At::Apply, 1)] {
        let disk = Disk::empty();
        let meddling = Meddling::new(&disk);
        let store = meddling.open().unwrap();
        let other = disk.clone();
        meddling.before(at, number, move || {
            open(&other).set(&[], &[(&entry(1, "theirs"), Some(b"1"))], false).unwrap();
        });
        let key = entry(1, "ours");
        now(store.apply(&[], &[Mutation::Put { key: &key, value: b"2" }], Durability::Buffered)).unwrap();
        assert!(meddling.worked());
        let found = open(&disk).entries(b"", b"").unwrap();
        assert_eq!(found.len(), 2, "{at:?}");
    }
}

/// An apply of another instance, made durable, need not make durable what this one applied before.
#[test]
fn every_key_is_durable_before_another_instance_can_need_it() {
    let disk = Disk::empty();
    disk.contents(|contents| contents.log = Some(Vec::new()));
    let mut store: Sealed = open(&disk);
    store.set(&[], &[(b"\x01v\0", Some(b"1")), (b"\x01w\0", Some(b"1"))], false).unwrap();
    let last = disk.entries();
    let log = disk.contents(|contents| contents.log.take().unwrap());
    assert_eq!(log.len(), 4, "a header, two keys of volumes, and the entries");
    for (step, made) in log.iter().enumerate() {
        let after = log.get(step + 1).map_or(&last, |next| &next.before);
        let added: Vec<_> = after.keys().filter(|key| !made.before.contains_key(*key)).collect();
        let is_key = added.iter().any(|key| **key == STORE_HEADER_KEY || key[0] == 1);
        assert_eq!(made.durable, is_key, "{added:?}");
    }
}
