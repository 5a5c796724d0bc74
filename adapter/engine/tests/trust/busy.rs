//! Changes of a volume whose writer commits all the time: between most of the calls of who changes it.

use crate::fixture::{open_volume, write};
use crate::run::TestClock;
use crate::store::{LARGE, TestStore, Tool};
use kvfs::limits::MAX_LAYERS;
use kvfs::volumes::{self, Taken};
use kvfs::{Descriptor, Error, Options, StoreError, Volume};

fn options() -> Options {
    Options { volume: "v".to_owned(), ..Options::default() }
}

/// A writer that commits between the calls of another user of the store.
struct Writer {
    /// Calls of the other from one commit to the next.
    every: u32,
    opened: Option<(Volume, Descriptor)>,
    calls: u32,
    commits: u32,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} commits", self.commits)
    }
}

impl Tool for Writer {
    fn act(&mut self, _: &TestStore) {
        self.calls += 1;
        if !self.calls.is_multiple_of(self.every) {
            return;
        }
        let Some((volume, root)) = &mut self.opened else { return };
        let root = &*root;
        self.commits += 1;
        let made = volume.create_directory_at(root, &format!("d{}", self.commits));
        match made.and_then(|()| volume.sync_all()) {
            Ok(()) => {}
            // Another opener has the volume now, or it takes no writer any more.
            Err(Error::Fenced | Error::ReadOnly) => self.opened = None,
            Err(error) => panic!("the writer was disturbed: {error:?}"),
        }
    }
}

/// Changes a volume beside a writer that commits before every third call, at each of the places among the
/// calls, and beside one that commits before every call and waits where the store lets it.
fn beside_a_busy_writer(what: &str, change: impl Fn(&mut TestStore) -> Result<(), Error>) {
    in_layers_beside_a_busy_writer(1, what, change);
}

/// As [`beside_a_busy_writer`], with so many layers below the volume's top.
fn in_layers_beside_a_busy_writer(
    layers: usize,
    what: &str,
    change: impl Fn(&mut TestStore) -> Result<(), Error>,
) {
    for (every, shift) in [(3, 0), (3, 1), (3, 2), (1, 0)] {
        let mut store = TestStore::new(LARGE);
        let opened = open_volume(&store, options());
        let mut writer = Writer { every, opened: Some(opened), calls: shift, commits: 0 };
        if let Some((volume, root)) = &mut writer.opened {
            write(volume, root, "file", b"kept");
            volume.sync_all().unwrap();
            let mut clock = TestClock::default();
            volumes::fork(&mut store, &mut clock, "v", "other", Taken::Writable).unwrap();
            write(volume, root, "file", b"kept");
            volume.sync_all().unwrap();
            for number in 1..layers {
                volumes::fork(&mut store, &mut clock, "v", &format!("s{number}"), Taken::ReadOnly).unwrap();
                write(volume, root, "file", b"kept");
                volume.sync_all().unwrap();
            }
        }
        assert_eq!(volumes::info(&mut store, "v").unwrap().layers.len(), layers + 1);
        store.0.borrow_mut().tool = Some(Box::new(writer));
        store.0.borrow_mut().tool_acts_on_reads = true;
        store.0.borrow_mut().tool_can_wait = every == 1;
        let changed = change(&mut store);
        store.0.borrow_mut().tool = None;
        assert_eq!(changed, Ok(()), "{what}, {shift} calls after a commit, of {every}");
        for name in ["v", "other", "new"] {
            match kvfs::fsck(&mut store, name) {
                Ok(report) => assert!(report.is_clean(), "{what}: {name}: {:?}", report.findings),
                Err(Error::NoEntry) => {}
                Err(error) => panic!("{what}: {name}: {error:?}"),
            }
        }
        crate::tools::check_layers(&store).unwrap();
    }
}

#[test]
fn a_busy_writer_keeps_no_tool_and_no_opener_from_a_volume() {
    let clock = TestClock::default;
    beside_a_busy_writer("fork", |store| volumes::fork(store, &mut clock(), "v", "new", Taken::Writable));
    beside_a_busy_writer("snapshot", |store| volumes::fork(store, &mut clock(), "v", "new", Taken::ReadOnly));
    beside_a_busy_writer("rename", |store| volumes::rename(store, &mut clock(), "v", "new"));
    beside_a_busy_writer("restore", |store| volumes::restore(store, &mut clock(), "v", "other"));
    beside_a_busy_writer("remove", |store| volumes::remove(store, "v"));
    beside_a_busy_writer("freeze", |store| volumes::freeze(store, "v"));
    beside_a_busy_writer("settings", |store| kvfs::set_settings(store, "v", &mut |settings| settings));
    beside_a_busy_writer("open", |store| {
        Volume::open(Box::new(store.clone()), Box::new(clock()), options()).map(drop)
    });
}

/// The fork that finds as many layers as there may be merges some of them first.
#[test]
fn a_busy_writer_keeps_no_fork_from_merging_layers() {
    in_layers_beside_a_busy_writer(MAX_LAYERS, "fork", |store| {
        volumes::fork(store, &mut TestClock::default(), "v", "new", Taken::Writable)?;
        let layers = volumes::info(store, "v")?.layers.len();
        assert!(layers < MAX_LAYERS, "still {layers} layers");
        Ok(())
    });
}

#[test]
fn beside_a_writer_that_is_faster_and_cannot_wait_a_tool_gives_up_and_changes_nothing() {
    let mut store = TestStore::new(LARGE);
    let opened = open_volume(&store, options());
    store.0.borrow_mut().tool =
        Some(Box::new(Writer { every: 1, opened: Some(opened), calls: 0, commits: 0 }));
    store.0.borrow_mut().tool_acts_on_reads = true;
    let forked = volumes::fork(&mut store, &mut TestClock::default(), "v", "new", Taken::Writable);
    store.0.borrow_mut().tool = None;
    assert!(matches!(forked, Err(Error::Store(StoreError::Unavailable(_)))), "{forked:?}");
    assert!(kvfs::fsck(&mut store, "v").unwrap().is_clean());
    assert_eq!(kvfs::fsck(&mut store, "new").map(drop), Err(Error::NoEntry));
}
