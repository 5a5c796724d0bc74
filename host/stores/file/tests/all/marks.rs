//! What was durable and is gone is noticed, however cleanly it went.

use crate::disk::{Disk, SimDirectory, taking_turns};
use kvfs_file_store::{Directory, File, FileReader, FileStore, IoKind, Options, StoreError};
use kvfs_store_rig::{Calls, Handle, Random, State};

const OPTIONS: Options = Options {
    min_garbage_bytes: 1 << 10,
    reserve_bytes: 256,
    min_segment_bytes: 1 << 10,
    ..Options::DEFAULT
};
const ACCEPTING: Options = Options { accept_loss: true, ..OPTIONS };

const STEPS: u8 = 40;

/// The disk of a store that got a key a step in several segments, all durable at the end.
fn written() -> Disk {
    let directory = SimDirectory::new(Disk::default());
    let options = Options { min_garbage_bytes: 1 << 20, ..OPTIONS };
    let mut store = FileStore::open_with(directory.clone(), options).unwrap();
    for step in 0..STEPS {
        store.set(&[], &[(&[step], Some(&[step; 100]))], step % 3 == 0).unwrap();
    }
    // A segment that was begun after the last sync has no mark. The newest one has two here.
    for _ in 0..40 {
        store.set(&[], &[(&[STEPS - 1], Some(&[STEPS; 100]))], true).unwrap();
        let disk = directory.disk(|disk| disk.after_kill());
        let (segments, marks) = (ending(&disk, ".kvfs"), ending(&disk, ".mark"));
        let mark = segments.last().unwrap().replace(".kvfs", ".mark");
        if marks.contains(&mark) && disk.content(&mark).len() == 128 {
            return disk;
        }
    }
    panic!("no segment has two marks");
}

fn ending(disk: &Disk, end: &str) -> Vec<String> {
    disk.names().into_iter().filter(|name| name.ends_with(end)).collect()
}

fn open(disk: &Disk, options: Options) -> Result<State, StoreError> {
    FileStore::open_with(SimDirectory::new(disk.clone()), options)?.entries(b"", b"")
}

fn read(disk: &Disk, options: Options) -> Result<Option<usize>, StoreError> {
    let reader = FileReader::open_with(&SimDirectory::new(disk.clone()), options)?;
    reader.map(|reader| reader.page(b"", b"", |_| true).map(|page| page.len())).transpose()
}

/// Checks that nobody opens the disk unless the loss is accepted. Returns what is there then.
fn is_lost(disk: &Disk, name: &str) -> State {
    for error in [open(disk, OPTIONS).map(|_| ()), read(disk, OPTIONS).map(|_| ())] {
        match error {
            Err(StoreError::Corrupt(text)) => assert!(text.contains(name), "{text}"),
            other => panic!("{name}: {other:?}"),
        }
    }
    let reader = read(disk, ACCEPTING).unwrap().unwrap_or(0);
    let directory = SimDirectory::new(disk.clone());
    let mut store = FileStore::open_with(directory.clone(), ACCEPTING).unwrap();
    let found = store.entries(b"", b"").unwrap();
    assert_eq!(found.len(), reader);
    store.set(&[], &[(b"new", Some(b"1"))], false).unwrap();
    drop(store);
    // From then on it counts as it is, also after a kill before anything else was durable.
    let after = directory.disk(|disk| disk.after_kill());
    assert_eq!(open(&after, OPTIONS).unwrap().len(), found.len() + 1);
    assert_eq!(read(&after, OPTIONS), Ok(Some(found.len() + 1)));
    found
}

#[test]
fn a_newest_segment_that_is_cut_off_before_its_note_is_an_error() {
    let whole = written();
    let name = ending(&whole, ".kvfs").pop().unwrap();
    let length = whole.content(&name).len();
    let mut before = usize::from(STEPS);
    // From the last byte of a record on: without the note itself nothing is lost.
    for cut in (0..length - 64).rev() {
        let mut damaged = whole.clone();
        damaged.edit(&name, |bytes| bytes.truncate(cut));
        if cut % 7 == 0 {
            damaged.edit(&name, |bytes| bytes.resize(length, 0));
        }
        let found = is_lost(&damaged, &name).len();
        assert!(found <= before, "{cut} bytes: {found} keys");
        before = found;
    }
    assert!(before < usize::from(STEPS) && before > 0);
    for cut in length - 64..length {
        let mut torn = whole.clone();
        torn.edit(&name, |bytes| bytes.truncate(cut));
        assert_eq!(open(&torn, OPTIONS).unwrap().len(), usize::from(STEPS), "{cut} bytes");
    }
}

#[test]
fn a_directory_without_its_newest_segments_is_an_error() {
    let whole = written();
    let names = ending(&whole, ".kvfs");
    assert!(names.len() > 3, "{names:?}");
    let mut damaged = whole.clone();
    let mut before = usize::from(STEPS);
    for name in names.iter().rev() {
        damaged.forget(name);
        let found = is_lost(&damaged, names.last().unwrap()).len();
        assert!(found < before || found == 0);
        before = found;
    }
    assert_eq!(before, 0, "without any segment it is no new store, unless the loss is accepted");
}

#[test]
fn an_older_state_of_the_files_beside_a_newer_mark_is_an_error() {
    let directory = SimDirectory::new(Disk::default());
    let mut store = FileStore::open_with(directory.clone(), OPTIONS).unwrap();
    store.set(&[], &[(b"a", Some(b"1"))], true).unwrap();
    let older = directory.disk(|disk| disk.after_kill());
    for step in 0..STEPS {
        store.set(&[], &[(b"b", Some(&[step; 100]))], true).unwrap();
    }
    let newer = directory.disk(|disk| disk.after_kill());
    let mark = ending(&newer, ".mark").pop().unwrap();
    let mut put_back = older.clone();
    let beside = SimDirectory::new(put_back.clone());
    if !older.names().contains(&mark) {
        beside.create(&mark).unwrap();
        put_back = beside.disk(|disk| disk.after_kill());
    }
    put_back.edit(&mark, |bytes| *bytes = newer.content(&mark));
    assert_eq!(
        is_lost(&put_back, &mark.replace(".mark", ".kvfs")),
        State::from([(b"a".into(), b"1".into())])
    );
    assert_eq!(open(&older, OPTIONS).unwrap().len(), 1, "a copy with its own marks is a store");
}

#[test]
fn a_mark_that_is_gone_or_damaged_costs_nothing() {
    let whole = written();
    let marks = ending(&whole, ".mark");
    assert_eq!(marks.len(), 1, "older marks go");
    let name = &marks[0];
    let mut gone = whole.clone();
    gone.forget(name);
    assert_eq!(open(&gone, OPTIONS).unwrap().len(), usize::from(STEPS));
    for bit in 0..whole.content(name).len() * 8 {
        let mut damaged = whole.clone();
        damaged.edit(name, |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
        assert_eq!(open(&damaged, OPTIONS).unwrap().len(), usize::from(STEPS), "bit {bit}");
    }
}

#[test]
fn a_torn_mark_leaves_the_one_before_it() {
    let whole = written();
    let mark = ending(&whole, ".mark").pop().unwrap();
    let segment = ending(&whole, ".kvfs").pop().unwrap();
    let slots = whole.content(&mark);
    assert_eq!(slots.len(), 128, "two slots were in use");
    let durable = |slot: usize| u64::from_le_bytes(slots[64 * slot + 16..][..8].try_into().unwrap());
    let older = usize::from(durable(0) > durable(1));
    let mut torn = whole.clone();
    torn.edit(&mark, |bytes| bytes[64 * (1 - older)..][..64].fill(0xa5));
    assert_eq!(open(&torn, OPTIONS).unwrap().len(), usize::from(STEPS));
    torn.edit(&segment, |bytes| bytes.truncate(durable(older) as usize - 1));
    is_lost(&torn, &segment);
}

#[test]
fn collected_segments_leave_marks_that_hold() {
    let directory = SimDirectory::new(Disk::default());
    let mut store = FileStore::open_with(directory.clone(), OPTIONS).unwrap();
    let mut random = Random::new(1);
    let mut marks = Vec::new();
    for step in 0..600 {
        let key = [random.below(8) as u8];
        store.set(&[], &[(&key, Some(&[step as u8; 100]))], random.chance(4)).unwrap();
        let disk = directory.disk(|disk| disk.after_kill());
        // Marks that a crash kept though they were removed are as true.
        for name in ending(&disk, ".mark") {
            if !marks.iter().any(|(known, _)| *known == name) {
                marks.push((name.clone(), disk.content(&name)));
            }
        }
    }
    assert!(marks.len() > 10, "{} marks", marks.len());
    let expected = store.entries(b"", b"").unwrap();
    let disk = directory.disk(|disk| disk.after_kill());
    let kept = SimDirectory::new(disk);
    for (name, content) in &marks {
        if let Ok(file) = kept.create(name) {
            file.write(0, content).unwrap();
        }
    }
    let kept = kept.disk(|disk| disk.after_kill());
    assert_eq!(open(&kept, OPTIONS).unwrap(), expected);
    assert_eq!(read(&kept, OPTIONS), Ok(Some(expected.len())));
}

#[test]
fn on_a_full_disk_a_durable_apply_needs_no_mark() {
    for kind in ["create", "write half"] {
        let directory = SimDirectory::new(Disk::default());
        let mut store = FileStore::open_with(directory.clone(), OPTIONS).unwrap();
        store.set(&[], &[(b"a", Some(b"1"))], false).unwrap();
        directory.disk(|disk| disk.fail = Some((kind, IoKind::NoSpace)));
        assert_eq!(store.set(&[], &[], true), Ok(()), "{kind}");
        directory.disk(|disk| disk.fail = None);
        store.set(&[], &[(b"b", Some(b"1"))], true).unwrap();
        let disk = directory.disk(|disk| disk.after_kill());
        assert_eq!(open(&disk, OPTIONS).unwrap().len(), 2);
        let mut lost = disk.clone();
        lost.forget(&ending(&disk, ".kvfs")[0]);
        is_lost(&lost, &ending(&disk, ".kvfs")[0]);
    }
}

#[test]
fn a_reader_beside_a_writer_takes_no_mark_for_a_loss() {
    let mut found = 0;
    for seed in 0..30 {
        let handles = taking_turns(Disk::default(), 2, seed);
        let opened = Handle::run_all(&handles, &format!("seed {seed}"), |handle, thread| {
            let directory = SimDirectory(handle.clone());
            if thread == 0 {
                let mut store = FileStore::open_with(directory, OPTIONS).unwrap();
                for step in 0..60u8 {
                    store.set(&[], &[(&[step % 9], Some(&[step; 100]))], step % 3 == 0).unwrap();
                }
                return 0;
            }
            let open = |_: &i32| match FileReader::open_with(&directory, OPTIONS) {
                Ok(found) => found.is_some(),
                // It gives up where files keep changing.
                Err(StoreError::Unavailable(_)) => false,
                Err(error) => panic!("seed {seed}: {error}"),
            };
            (0..30).filter(open).count()
        });
        found += opened[1];
    }
    assert!(found > 500, "a reader found a store {found} times");
}
