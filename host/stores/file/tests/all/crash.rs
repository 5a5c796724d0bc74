//! Cut at every call, then killed or crashed, again and again on what is left.

use crate::disk::{Disk, SimDirectory};
use kvfs_file_store::{FileStore, IoKind, Options, StoreError};
use kvfs_store_rig::{Calls, Changes, Known, Random, State};

/// Small enough that a few hundred applies begin and collect many segments.
const OPTIONS: Options = Options {
    min_garbage_bytes: 1 << 10,
    reserve_bytes: 256,
    min_segment_bytes: 2 << 10,
    max_recent_changes: 40,
    max_cache_bytes: 4 << 10,
    ..Options::DEFAULT
};

fn changes(random: &mut Random) -> Changes {
    (0..random.below(5))
        .map(|_| {
            let key = vec![b'k'; 1 + random.below(12) as usize];
            let value = vec![random.below(256) as u8; [0, 3, 200, 900][random.below(4) as usize]];
            (key, (!random.chance(4)).then_some(value))
        })
        .collect()
}

/// Works until the power goes.
fn work(store: &mut FileStore<SimDirectory>, known: &mut Known, random: &mut Random, applies: usize) {
    known.work(store, random, applies, Some(6), changes);
}

fn open(disk: Disk, what: &str) -> (FileStore<SimDirectory>, SimDirectory) {
    let directory = SimDirectory::new(disk);
    let store = FileStore::open_with(directory.clone(), OPTIONS);
    (store.unwrap_or_else(|error| panic!("{what}: {error}")), directory)
}

#[test]
fn nothing_acknowledged_is_lost_wherever_the_power_goes() {
    let (mut cuts, mut rounds) = (0, 0);
    for seed in 0..12 {
        for cut in 1.. {
            let mut random = Random::new(seed);
            let mut disk = Disk::default();
            let mut known = Known::certain(State::new());
            let mut finished = false;
            // The first cut is everywhere; later cuts hit openings and compactions of the rest.
            for round in 0..4 {
                rounds += 1;
                disk.calls_left = Some(if round == 0 { cut } else { 1 + random.below(60) });
                let directory = SimDirectory::new(disk);
                if let Ok(mut store) = FileStore::open_with(directory.clone(), OPTIONS) {
                    work(&mut store, &mut known, &mut random, 60);
                    finished |= round == 0 && directory.disk(|disk| disk.calls_left != Some(0));
                }
                let what = format!("seed {seed}, cut {cut}, round {round}");
                let (mut store, looked_at) = open(directory.disk(|disk| disk.after_kill()), &what);
                known.check_killed(&mut store, &what);
                let what = format!("{what}, crash");
                let (mut store, crashed) = open(directory.disk(|disk| disk.after_crash(&mut random)), &what);
                known.check_crashed(&mut store, &what);
                // Goes on from one of the two, as the opener that checked it left it.
                let next = if random.chance(2) { looked_at } else { crashed };
                disk = next.disk(|disk| disk.after_kill());
                let directory = SimDirectory::new(disk);
                let mut store = FileStore::open_with(directory.clone(), OPTIONS).unwrap();
                // What was found becomes certain by a durable apply, also if it changes nothing.
                store.set(&[], &[], true).unwrap();
                known = Known::certain(store.entries(b"", b"").unwrap());
                disk = directory.disk(|disk| disk.after_kill());
            }
            cuts += 1;
            if finished {
                break;
            }
        }
    }
    assert!(cuts > 900 && rounds > 3600, "only {cuts} cuts in {rounds} rounds");
}

#[test]
fn openers_in_a_row_leave_few_files_and_no_garbage_without_bound() {
    const OPTIONS_OF_OPENERS: Options =
        Options { min_garbage_bytes: 8 << 10, min_segment_bytes: 16 << 10, ..OPTIONS };
    let mut disk = Disk::default();
    let mut random = Random::new(7);
    let mut state = State::new();
    for opening in 0..100 {
        let directory = SimDirectory::new(disk);
        let mut store = FileStore::open_with(directory.clone(), OPTIONS_OF_OPENERS).unwrap();
        assert_eq!(store.entries(b"", b"").unwrap(), state, "opening {opening}");
        let mut known = Known::certain(state);
        work(&mut store, &mut known, &mut random, 30);
        state = known.last();
        assert!(store.size_bytes() < 64 << 10, "{} bytes at opening {opening}", store.size_bytes());
        disk = directory.disk(|disk| disk.after_kill());
        // 16 short segments, 8 that count no more, and those in use.
        assert!(disk.names().len() < 32, "{:?}", disk.names());
    }
}

#[test]
fn a_full_disk_changes_nothing_and_is_left_behind() {
    for kind in ["write", "write half"] {
        let directory = SimDirectory::new(Disk::default());
        let mut store = FileStore::open_with(directory.clone(), OPTIONS).unwrap();
        store.set(&[], &[(b"a", Some(b"1"))], false).unwrap();
        directory.disk(|disk| disk.fail = Some((kind, IoKind::NoSpace)));
        let full = store.set(&[], &[(b"a", Some(b"2")), (b"b", Some(b"2"))], true);
        assert_eq!(full, Err(StoreError::QuotaExceeded));
        assert_eq!(store.value_of(b"a").unwrap().as_deref(), Some(&b"1"[..]));
        directory.disk(|disk| disk.fail = None);
        store.set(&[(b"a", Some(b"1"))], &[(b"c", Some(b"3"))], true).unwrap();
        let again = SimDirectory::new(directory.disk(|disk| disk.after_kill()));
        let mut store = FileStore::open_with(again, OPTIONS).unwrap();
        let expected = [(b"a".to_vec(), b"1".to_vec()), (b"c".to_vec(), b"3".to_vec())];
        assert_eq!(store.entries(b"", b"").unwrap(), State::from(expected), "{kind}");
    }
}

#[test]
fn after_a_failed_sync_nothing_is_acknowledged_any_more() {
    let directory = SimDirectory::new(Disk::default());
    let mut store = FileStore::open_with(directory.clone(), OPTIONS).unwrap();
    directory.disk(|disk| disk.fail = Some(("sync", IoKind::Other)));
    assert_eq!(store.set(&[], &[(b"a", Some(b"1"))], true), Err(StoreError::UnknownOutcome));
    directory.disk(|disk| disk.fail = None);
    for durable in [false, true] {
        let result = store.set(&[], &[(b"b", Some(b"1"))], durable);
        assert!(matches!(result, Err(StoreError::Unavailable(_))), "{result:?}");
    }
}
