//! A change that a full store refuses is undone in memory, unless the store has it.

use crate::fixture::WRITE;
use crate::full::{FULL, Program};
use crate::store::{Fault, LARGE, Map, SMALL, TINY, TestStore};
use crate::tree;
use kvfs::image::{Image, pack};
use kvfs::{At, Descriptor, Error, Follow, Limits, Mode, OpenFlags, Options, SetTime, Timestamp};

const MODES: [Mode; 3] = [Mode::Strict, Mode::Close, Mode::Lazy];
const EXTENT: u64 = 16 << 10;

impl Program {
    fn open(&mut self, path: &str, sync: bool) -> Result<Descriptor, Error> {
        let access = kvfs::Access { sync, ..WRITE };
        self.volume.open_at(&self.root, path, Follow::No, OpenFlags::default(), access)
    }

    fn write(&mut self, path: &str, sync: bool, at: At, bytes: usize) -> Result<(), Error> {
        let file = self.open(path, sync)?;
        let wrote = self.volume.write(&file, at, &vec![9; bytes]);
        self.drop_file(file);
        wrote.map(drop)
    }

    /// Appends in place, as an adapter that copies nothing.
    fn place(&mut self, path: &str, sync: bool, bytes: usize) -> Result<(), Error> {
        let file = self.open(path, sync)?;
        let placed = self.volume.place(&file, At::End, bytes, |place| place.fill(9));
        let outcome = placed.and_then(|whole| {
            assert!(whole);
            self.volume.placed(&file)
        });
        self.drop_file(file);
        outcome
    }

    fn set_size(&mut self, path: &str, sync: bool, size: u64) -> Result<(), Error> {
        let file = self.open(path, sync)?;
        let outcome = self.volume.set_size(&file, size);
        self.drop_file(file);
        outcome
    }

    fn set_times(&mut self, path: &str) -> Result<(), Error> {
        let time = SetTime::At(Timestamp { seconds: 5, nanoseconds: 0 });
        self.volume.set_times_at(&self.root, path, Follow::No, time, time)
    }

    fn tree(&mut self) -> tree::Tree {
        tree::of_volume(&mut self.volume).unwrap()
    }
}

/// An image with a file of ten extents and some bytes, a small file with a second link, and a
/// directory.
fn image() -> Image {
    let mut program = Program::start(&TestStore::new(LARGE), Mode::Close);
    program.put("below", 10 * EXTENT as usize + 10).unwrap();
    program.put("below-small", 100).unwrap();
    program.mkdir("below-dir").unwrap();
    program.put("below-dir/x", 10).unwrap();
    program
        .volume
        .link_at(&program.root, "below-small", Follow::No, &program.root, "below-dir/link")
        .unwrap();
    program.volume.sync_all().unwrap();
    Image::open(pack(&mut program.store, "v", "tree").unwrap().leak()).unwrap()
}

type Act = fn(&mut Program) -> Result<(), Error>;

/// Changes that are stored at once when the store is known to be full.
const ACTS: [(&str, Act); 18] = [
    ("create", |program| program.create("new").map(|file| program.drop_file(file))),
    ("mkdir", |program| program.mkdir("dir/new")),
    ("symlink", |program| program.volume.symlink_at("target", &program.root, "new")),
    ("link", |program| {
        program.volume.link_at(&program.root, "small", Follow::No, &program.root, "dir/a-longer-name")
    }),
    ("rename", |program| {
        program.volume.rename_at(&program.root, "small", &program.root, "dir/a-longer-name")
    }),
    ("rename of a directory", |program| {
        program.volume.rename_at(&program.root, "dir", &program.root, "a-longer-name")
    }),
    ("create with a long name", |program| program.put(&"n".repeat(200), 1)),
    ("write of a new file", |program| program.put("dir/new", 50_000)),
    ("write into a hole", |program| program.write("holes", false, At::Offset(2 * EXTENT + 5), 50_000)),
    ("write over small bytes", |program| program.write("small", false, At::Offset(0), 10)),
    ("write over large bytes", |program| program.write("large", false, At::Offset(5), 60_000)),
    ("append to a small file", |program| program.write("small", false, At::End, 200_000)),
    ("append to a large file", |program| program.place("large", false, 200_000)),
    ("durable append", |program| program.write("large", true, At::End, 20_000)),
    ("growth to a small file", |program| program.set_size("small", false, 200)),
    ("growth", |program| program.set_size("large", false, 1 << 20)),
    ("durable cut", |program| program.set_size("large", true, 5)),
    ("times", |program| program.set_times("large")),
];

/// The same kind of changes, to files of an image.
const ACTS_ABOVE: [(&str, Act); 11] = [
    ("a byte over the image's", |program| program.write("below", false, At::Offset(0), 1)),
    ("extents over the image's", |program| program.write("below", false, At::Offset(5), 100_000)),
    ("append to the image's", |program| program.write("below", false, At::End, 10)),
    ("over the image's small file", |program| program.write("below-small", false, At::Offset(0), 10)),
    ("cut of an extent of the image", |program| program.set_size("below", false, 3 * EXTENT + 5)),
    ("cut at extents of the image", |program| program.set_size("below", false, 3 * EXTENT)),
    ("cut to nothing", |program| program.set_size("below", false, 0)),
    ("growth of the image's", |program| program.set_size("below", false, 1 << 20)),
    ("times of the image's", |program| program.set_times("below")),
    ("link of the image's", |program| {
        program.volume.link_at(&program.root, "below", Follow::No, &program.root, "below-dir/more")
    }),
    ("rename of the image's", |program| {
        program.volume.rename_at(&program.root, "below-dir", &program.root, "dir/moved")
    }),
];

fn each_act_is_undone(mode: Mode, image: Option<Image>, brought_up: bool) {
    let store = TestStore::new(LARGE);
    let above = image.is_some();
    let mut program = Program::start_on(&store, Options { mode, ..Options::default() }, image);
    program.mkdir("dir").unwrap();
    for (path, bytes) in [("small", 100), ("large", 100_000), ("dir/kept", 10), ("holes", 10)] {
        program.put(path, bytes).unwrap();
    }
    program.set_size("holes", false, 5 * EXTENT).unwrap();
    if brought_up {
        program.write("below", false, At::Offset(EXTENT), 1).unwrap();
    }
    program.volume.sync_all().unwrap();
    // Fills the store until the volume knows that it is full.
    store.set_fault(Fault::QuotaExceeded, 0, u64::MAX);
    program.put("probe", 30_000).ok();
    assert!(program.volume.sync_all().is_err() || mode == Mode::Strict);
    store.clear_fault();
    if program.size("probe").is_ok() {
        program.unlink("probe").unwrap();
    }
    program.volume.sync_all().unwrap();
    let (before, used) = (program.tree(), program.volume.used());
    store.set_fault(Fault::QuotaExceeded, 0, u64::MAX);
    for (name, act) in ACTS.into_iter().chain(ACTS_ABOVE.into_iter().filter(|_| above)) {
        // Twice: the undo must leave the state intact for the next change.
        for _ in 0..2 {
            assert_eq!(act(&mut program), Err(FULL), "{mode:?} {above} {name}");
            assert_eq!(tree::difference(&before, &program.tree()), None, "{mode:?} {above} {name}");
            assert_eq!(program.volume.used(), used, "{mode:?} {above} {name}");
        }
    }
    store.clear_fault();
    // Writing the records shows what memory holds.
    for path in ["small", "large", "dir/kept", "holes", "dir"] {
        program.set_times(path).unwrap();
    }
    assert_eq!(program.volume.used(), used);
    if above {
        for path in ["below", "below-small", "below-dir"] {
            program.set_times(path).unwrap();
        }
    }
    program.volume.sync_all().unwrap();
    program.check();
    let (used, before) = (program.volume.used(), program.tree());
    let mut again = program.again();
    assert_eq!(again.volume.used(), used);
    assert_eq!(tree::difference(&before, &again.tree()), None, "{mode:?} {above}");
}

#[test]
fn an_operation_that_a_full_store_refuses_is_undone() {
    for mode in MODES {
        each_act_is_undone(mode, None, false);
    }
}

#[test]
fn an_operation_that_a_full_store_refuses_above_an_image_is_undone() {
    for (mode, brought_up) in MODES.into_iter().flat_map(|mode| [(mode, false), (mode, true)]) {
        each_act_is_undone(mode, Some(image()), brought_up);
    }
}

/// A durable write meets the first refusal: nothing was dirty, and the volume did not know that the
/// store is full.
#[test]
fn a_durable_write_that_meets_the_first_refusal_is_undone() {
    for mode in MODES {
        let acts: [(&str, Act, u64); 4] = [
            ("append", |program| program.write("log", true, At::End, 20_000), 20_010),
            ("append of small bytes", |program| program.place("log", true, 10), 20),
            ("growth", |program| program.set_size("log", true, 100), 100),
            ("cut", |program| program.set_size("log", true, 5), 5),
        ];
        for (name, act, size) in acts {
            let store = TestStore::new(LARGE);
            let mut program = Program::start(&store, mode);
            program.put("log", 10).unwrap();
            program.volume.sync_all().unwrap();
            let (before, used) = (program.tree(), program.volume.used());
            store.set_fault(Fault::QuotaExceeded, 0, u64::MAX);
            assert_eq!(act(&mut program), Err(FULL), "{mode:?} {name}");
            assert_eq!(tree::difference(&before, &program.tree()), None, "{mode:?} {name}");
            assert_eq!(program.volume.used(), used, "{mode:?} {name}");
            store.clear_fault();
            assert_eq!(act(&mut program), Ok(()), "{mode:?} {name}");
            assert_eq!(program.again().size("log"), Ok(size), "{mode:?} {name}");
        }
    }
}

/// An apply took effect but its answer was lost, and the next ones find no room. The change is in
/// the store, so memory must keep it.
#[test]
fn a_change_that_the_store_has_is_not_undone_when_later_applies_find_no_room() {
    let acts: [(&str, Act); 6] = [
        ("mkdir", |program| program.mkdir("new")),
        ("write", |program| program.write("large", true, At::Offset(0), 60_000)),
        ("append", |program| program.write("small", true, At::End, 60_000)),
        ("rename", |program| program.volume.rename_at(&program.root, "small", &program.root, "dir/new")),
        ("replacement", |program| program.volume.rename_at(&program.root, "small", &program.root, "large")),
        ("unlink", |program| program.unlink("large")),
    ];
    let mut refused = 0;
    for limits in [LARGE, SMALL, Limits { max_batch_entries: 10_000, ..TINY }, TINY] {
        for ((mode, (name, act)), at) in MODES
            .into_iter()
            .flat_map(|mode| acts.map(|act| (mode, act)))
            .flat_map(|act| (0..6).map(move |at| (act, at)))
        {
            let start = || {
                let mut program = Program::start(&TestStore::new(limits), mode);
                program.mkdir("dir").unwrap();
                program.put("small", 100).unwrap();
                program.put("large", 100_000).unwrap();
                program.volume.sync_all().unwrap();
                program
            };
            let mut program = start();
            let (store, before) = (program.store.clone(), program.tree());
            store.set_fault(Fault::UnknownApplied, at, 1);
            store.then_fault(Fault::QuotaExceeded);
            let outcome = act(&mut program);
            store.clear_fault();
            let story = format!("{mode:?} {limits:?} {name} {at}");
            let now = program.tree();
            if outcome.is_err() {
                refused += 1;
                let mut done = start();
                act(&mut done).unwrap();
                let fits = |tree| tree::difference(tree, &now).is_none();
                assert!(fits(&before) || fits(&done.tree()), "{story}: neither done nor not done");
            }
            program.volume.sync_all().unwrap_or_else(|error| panic!("{story}: {error:?}"));
            assert_eq!(tree::difference(&now, &program.tree()), None, "{story}");
            program.check();
            assert_eq!(tree::difference(&now, &program.again().tree()), None, "{story}");
        }
    }
    assert!(refused > 50, "{refused}");
}

/// A file is removed while more garbage waits than a commit allows, some of it the file's own. Its
/// bytes become garbage only with the removal of its name.
#[test]
fn a_file_with_waiting_garbage_is_whole_until_its_removal_is_stored() {
    const LENGTH: u64 = 200 * 512;
    let options = || Options { extent_bytes: 512, inline_bytes: 0, ..Options::default() };
    let store = TestStore::new(LARGE);
    // In mode lazy closes store nothing: each commit would delete some garbage.
    let mut program = Program::start_on(&store, Options { mode: Mode::Lazy, ..options() }, None);
    program.put("x", 2 * LENGTH as usize).unwrap();
    for number in 0..200 {
        program.put(&format!("f{number}"), 70 * 512).unwrap();
    }
    program.volume.sync_all().unwrap();
    program.set_size("x", false, LENGTH).unwrap();
    for number in 0..200 {
        program.set_size(&format!("f{number}"), false, 0).unwrap();
    }
    program.volume.sync_all().unwrap();
    let whole = |program: &mut Program| {
        let mut read = Vec::new();
        let file = program.open("x", false).unwrap();
        program.volume.read(&file, 0, LENGTH as usize, &mut read).unwrap();
        program.drop_file(file);
        read == vec![7; LENGTH as usize]
    };
    drop(program);
    let map: Map = store.0.borrow().map.clone();
    let reaps = map.keys().filter(|key| crate::store::tag_of(key) == 0x30).count();
    assert!(reaps > 150, "{reaps}");

    // Cut at any moment, the file is whole or gone.
    let store = TestStore::from_map(map.clone(), LARGE);
    let mut program = Program::start_on(&store, options(), None);
    let start = store.log_len();
    program.unlink("x").unwrap();
    program.volume.sync_all().unwrap();
    drop(program);
    let log = store.0.borrow().log.clone();
    let mut cut = map.clone();
    let mut there = 0;
    for (index, applied) in log.iter().enumerate() {
        applied.replay(&mut cut);
        if index < start {
            continue;
        }
        let mut program = Program::start_on(&TestStore::from_map(cut.clone(), LARGE), options(), None);
        if program.size("x").is_ok() {
            assert!(whole(&mut program), "after apply {index} of {}", log.len());
            there += 1;
        }
    }
    assert!(there > 10, "{there} applies come before the removal's");

    // Refused at any moment, the removal is undone.
    for at in [0, 1, 5, 50, 100, 500] {
        let store = TestStore::from_map(map.clone(), LARGE);
        let mut program = Program::start_on(&store, Options { mode: Mode::Strict, ..options() }, None);
        store.set_fault(Fault::QuotaExceeded, at, u64::MAX);
        let outcome = program.unlink("x");
        store.clear_fault();
        if outcome == Err(FULL) {
            assert!(whole(&mut program), "{at}");
            assert!(whole(&mut program.again()), "{at}");
        }
    }
}

#[test]
fn a_sync_descriptor_stores_each_write_with_one_apply() {
    for mode in MODES {
        let store = TestStore::new(LARGE);
        let mut program = Program::start(&store, mode);
        program.put("log", 10).unwrap();
        program.volume.sync_all().unwrap();
        let log = program.open("log", true).unwrap();
        store.reset_calls();
        for _ in 0..10 {
            program.volume.write(&log, At::End, b"line").unwrap();
        }
        assert_eq!(store.calls().applies, 10, "{mode:?}");
        assert!(store.0.borrow().log.iter().rev().take(10).all(|applied| applied.durable));
        program.drop_file(log);
    }
}
