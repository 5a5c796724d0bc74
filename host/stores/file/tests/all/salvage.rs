//! Salvage: everything that can be read of a damaged directory, and nothing else.

use crate::disk::{Disk, SimDirectory};
use kvfs_file_store::{FileStore, Options, Salvaged, StoreError, salvage};
use kvfs_store_rig::{Calls, Changes, Random, State, change};

const OPTIONS: Options = Options {
    min_garbage_bytes: 1 << 20,
    reserve_bytes: 256,
    min_segment_bytes: 1 << 10,
    ..Options::DEFAULT
};

/// A store whose every apply is known, by the segment and the offset of its record.
struct History {
    disk: Disk,
    applies: Vec<Apply>,
}

struct Apply {
    changes: Changes,
    segment: String,
    /// Where its record begins, its values begin, and it ends.
    from: usize,
    values: usize,
    to: usize,
}

fn segments(disk: &Disk) -> Vec<String> {
    disk.names().into_iter().filter(|name| name.ends_with(".kvfs")).collect()
}

fn written(seed: u64, options: Options) -> History {
    let mut random = Random::new(seed);
    let directory = SimDirectory::new(Disk::default());
    let mut applies: Vec<Apply> = Vec::new();
    for _ in 0..2 {
        let mut store = FileStore::open_with(directory.clone(), options).unwrap();
        for _ in 0..25 {
            let changes: Changes = (0..1 + random.below(3))
                .map(|number| {
                    let key = vec![number as u8, random.below(9) as u8];
                    let length = random.below(120) as usize;
                    let value = (0..length).map(|_| random.below(256) as u8).collect();
                    (key, (!random.chance(4)).then_some(value))
                })
                .collect();
            let segment = directory.disk(|disk| segments(disk)).pop().unwrap();
            store.make(&changes, true).unwrap();
            let index: usize = changes.iter().map(|(key, _)| 6 + key.len()).sum();
            let values: usize = changes.iter().map(|(_, value)| value.as_ref().map_or(0, Vec::len)).sum();
            applies.push(Apply { changes, segment, from: 0, values: index, to: values });
        }
    }
    let disk = directory.disk(|disk| disk.after_kill());
    // Records lie behind the start, whose index length is at 32, one after the other.
    let mut end = (String::new(), 0);
    for apply in &mut applies {
        if end.0 != apply.segment {
            let start = disk.content(&apply.segment);
            let index = u32::from_le_bytes(start[32..36].try_into().unwrap()) as usize;
            end = (apply.segment.clone(), 64 + index);
        }
        apply.from = end.1;
        apply.values += apply.from + 64;
        apply.to += apply.values;
        end.1 = apply.to;
    }
    History { disk, applies }
}

impl History {
    /// Returns the state without the applies that `is_lost` names.
    fn state(&self, is_lost: impl Fn(usize) -> bool) -> State {
        let mut state = State::new();
        for (number, apply) in self.applies.iter().enumerate() {
            if !is_lost(number) {
                change(&mut state, &apply.changes);
            }
        }
        state
    }
}

fn salvaged(disk: &Disk) -> (State, Salvaged) {
    let directory = SimDirectory::new(Disk::default());
    let mut to = FileStore::open_with(directory.clone(), OPTIONS).unwrap();
    let report = salvage(&SimDirectory::new(disk.clone()), &mut to).unwrap();
    let found = to.entries(b"", b"").unwrap();
    // All of it is durable.
    let mut random = Random::new(1);
    let crashed = SimDirectory::new(directory.disk(|disk| disk.after_crash(&mut random)));
    assert_eq!(FileStore::open_with(crashed, OPTIONS).unwrap().entries(b"", b"").unwrap(), found);
    (found, report)
}

#[test]
fn without_damage_everything_is_taken_and_nothing_reported() {
    for seed in 0..5 {
        let history = written(seed, OPTIONS);
        assert!(segments(&history.disk).len() > 4);
        let (found, report) = salvaged(&history.disk);
        assert_eq!(found, history.state(|_| false), "seed {seed}");
        assert!(report.is_whole(), "{report:?}");
        assert_eq!(report.records, history.applies.len() as u64);
    }
}

#[test]
fn one_damaged_record_costs_its_own_changes_and_no_others() {
    let history = written(1, OPTIONS);
    let (mut lost, mut doubtful) = (0, 0);
    for (number, apply) in history.applies.iter().enumerate() {
        for at in apply.from..apply.to {
            let mut damaged = history.disk.clone();
            damaged.edit(&apply.segment, |bytes| bytes[at] ^= 1 << (at % 8));
            let what = format!("apply {number}, byte {at} of {}", apply.segment);
            let (found, report) = salvaged(&damaged);
            if at < apply.values {
                assert_eq!(found, history.state(|other| other == number), "{what}");
                assert_eq!((report.lost_parts, report.doubtful_keys), (1, 0), "{what}: {report:?}");
                let part = &report.lost[0];
                assert_eq!(part.file, apply.segment, "{what}");
                assert_eq!((part.from, part.to), (apply.from as u64, apply.to as u64), "{what}");
                lost += 1;
            } else {
                // The value is taken as it is; which one is damaged its own checksum tells.
                let mut expected = history.state(|_| false);
                let changed = found.iter().filter(|(key, value)| expected.get(*key) != Some(value));
                let changed: Vec<_> = changed.map(|(key, _)| key.clone()).collect();
                assert!(changed.len() <= 1, "{what}");
                assert!(changed.iter().all(|key| report.doubtful.contains(key)), "{what}: {report:?}");
                for key in changed {
                    expected.insert(key.clone(), found[&key].clone());
                }
                assert_eq!(found, expected, "{what}");
                assert_eq!(report.lost_parts, 0, "{what}");
                doubtful += 1;
            }
            if at % 16 == 0 {
                opens_or_says_why(&damaged, &what);
            }
        }
    }
    assert!(lost > 3_000 && doubtful > 2_000, "{lost} {doubtful}");
}

fn opens_or_says_why(disk: &Disk, what: &str) {
    match FileStore::open_with(SimDirectory::new(disk.clone()), OPTIONS) {
        Ok(_) | Err(StoreError::Corrupt(_)) => {}
        Err(error) => panic!("{what}: {error}"),
    }
}

#[test]
fn what_is_behind_a_damaged_start_is_taken() {
    let history = written(2, OPTIONS);
    for name in segments(&history.disk) {
        for at in 0..64 + 32 {
            let mut damaged = history.disk.clone();
            damaged.edit(&name, |bytes| bytes[at] ^= 1 << (at % 8));
            let (found, report) = salvaged(&damaged);
            assert_eq!(found, history.state(|_| false), "byte {at} of {name}");
            assert!(!report.is_whole());
        }
    }
}

#[test]
fn a_missing_or_cut_segment_costs_what_it_had() {
    let history = written(3, OPTIONS);
    for name in segments(&history.disk) {
        let mut missing = history.disk.clone();
        missing.forget(&name);
        let (found, report) = salvaged(&missing);
        assert_eq!(
            found,
            history.state(|number| history.applies[number].segment == name),
            "{name} is missing"
        );
        let is_empty = history.applies.iter().all(|apply| apply.segment != name);
        assert!(is_empty || report.lost.iter().any(|lost| lost.file == name), "{report:?}");
        let length = history.disk.content(&name).len();
        for cut in (0..length).step_by(13) {
            for zeros in [false, true] {
                let mut damaged = history.disk.clone();
                damaged.edit(&name, |bytes| {
                    bytes.truncate(cut);
                    bytes.resize(if zeros { length } else { cut }, 0);
                });
                let (found, report) = salvaged(&damaged);
                let is_lost = |number: usize| {
                    let apply: &Apply = &history.applies[number];
                    apply.segment == name && apply.to > cut
                };
                // A record of which only a part of the values is zeros is taken as it is.
                let torn =
                    history.applies.iter().any(|a| a.segment == name && (a.values..a.to).contains(&cut));
                if torn && zeros {
                    assert!(!report.is_whole() || found == history.state(|_| false), "{name} cut at {cut}");
                } else {
                    assert_eq!(found, history.state(is_lost), "{name} cut at {cut}");
                    let any = (0..history.applies.len()).any(is_lost);
                    assert!(!any || !report.is_whole(), "{name} cut at {cut}: {report:?}");
                }
            }
        }
    }
}

#[test]
fn what_a_crash_left_is_no_loss_and_openers_that_take_turns_lose_nothing() {
    let directory = SimDirectory::new(Disk::default());
    let mut store = FileStore::open_with(directory.clone(), OPTIONS).unwrap();
    store.set(&[], &[(b"a", Some(b"1"))], true).unwrap();
    let name = directory.disk(|disk| segments(disk)).pop().unwrap();
    let durable = directory.disk(|disk| disk.content(&name)).len() - 64;
    store.set(&[], &[(b"b", Some(&[7; 50]))], false).unwrap();
    // A record that was torn, behind everything durable.
    let mut torn = directory.disk(|disk| disk.after_kill());
    torn.edit(&name, |bytes| bytes[durable + 70] ^= 1);
    let (found, report) = salvaged(&torn);
    assert_eq!(found, State::from([(b"a".to_vec(), b"1".to_vec())]));
    assert!(report.is_whole(), "{report:?}");

    // Openers that take turns leave a segment each, and each says how much of the others counts.
    let mut newer = FileStore::open_with(directory.clone(), OPTIONS).unwrap();
    for turn in 0..4u8 {
        newer.set(&[], &[(&[b'n', turn], Some(b"1"))], turn == 2).unwrap();
        store.set(&[], &[(&[b'o', turn], Some(b"1"))], turn == 1).unwrap();
    }
    let (found, report) = salvaged(&directory.disk(|disk| disk.after_kill()));
    assert_eq!(found, store.entries(b"", b"").unwrap());
    assert_eq!(found.len(), 10);
    assert!(report.is_whole(), "{report:?}");
}

#[test]
fn collected_segments_do_not_come_back() {
    for seed in 0..20 {
        let mut random = Random::new(seed);
        let directory = SimDirectory::new(Disk::default());
        let options = Options { min_garbage_bytes: 1 << 10, ..OPTIONS };
        let mut store = FileStore::open_with(directory.clone(), options).unwrap();
        let mut most_files = 0;
        for step in 0..300 {
            let key = [random.below(30) as u8];
            let value = [step as u8; 60];
            let value = (!random.chance(3)).then_some(&value[..]);
            store.set(&[], &[(&key, value)], random.chance(5)).unwrap();
            most_files = most_files.max(directory.disk(|disk| segments(disk).len()));
            if step % 10 == 0 {
                let (found, report) = salvaged(&directory.disk(|disk| disk.after_kill()));
                assert_eq!(found, store.entries(b"", b"").unwrap(), "seed {seed}, step {step}");
                assert!(report.is_whole(), "seed {seed}, step {step}: {report:?}");
            }
        }
        let newest = directory.disk(|disk| segments(disk)).pop().unwrap();
        assert!(newest.as_str() > "0000000000000020", "segments were collected: {newest}");
    }
}

#[test]
fn any_damage_ends_in_a_store_and_a_report() {
    let (mut whole, mut damaged, mut unknown) = (0, 0, 0);
    for seed in 0..400 {
        let mut random = Random::new(seed);
        let history = written(seed % 5, OPTIONS);
        let mut disk = history.disk.clone();
        let names = disk.names();
        let mut hit = Vec::new();
        for _ in 0..1 + random.below(6) {
            let name = &names[random.below(names.len() as u64) as usize];
            if !disk.names().contains(name) {
                continue;
            }
            hit.push(name.clone());
            match random.below(8) {
                0 => disk.forget(name),
                kind => disk.edit(name, |bytes| {
                    if bytes.is_empty() {
                        return;
                    }
                    let at = random.below(bytes.len() as u64) as usize;
                    match kind {
                        1 => bytes.truncate(at),
                        2 => bytes[at..].fill(0),
                        3 => bytes.copy_within(at.., at / 2),
                        _ => bytes[at] ^= 1 << random.below(8),
                    }
                }),
            }
        }
        let (found, report) = salvaged(&disk);
        let expected = history.state(|_| false);
        // Nothing else says how much the newest segment had.
        let newest = segments(&history.disk).pop().unwrap();
        let nobody_knows = hit.contains(&newest) && hit.iter().any(|name| name.ends_with(".mark"));
        if report.is_whole() && nobody_knows {
            unknown += 1;
        } else if report.is_whole() {
            // Only names of no meaning, or marks, were damaged.
            assert_eq!(found, expected, "seed {seed}: {hit:?}");
            whole += 1;
        } else {
            damaged += 1;
        }
        let mut values: Vec<_> = history.applies.iter().flat_map(|apply| &apply.changes).collect();
        values.retain(|(key, _)| found.contains_key(key));
        for (key, value) in &found {
            let was_put = values.iter().any(|(of, put)| of == key && put.as_ref() == Some(value));
            assert!(was_put || report.doubtful.contains(key), "seed {seed}: a value that nobody put");
        }
    }
    assert!(damaged > 200 && whole > 10 && unknown < 8, "{damaged} {whole} {unknown}");
}
