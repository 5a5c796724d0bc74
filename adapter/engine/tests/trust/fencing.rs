//! Two openers of one volume: the older one can change nothing any more, and reports so.

use crate::fixture::open_volume;
use crate::store::{LARGE, SMALL, TINY, TestStore};
use kvfs::{Access, At, Code, Descriptor, Error, Follow, Mode, OpenFlags, Options, Volume, fsck};

struct Opener {
    volume: Volume,
    root: Descriptor,
    file: Option<Descriptor>,
}

impl Opener {
    fn new(store: &TestStore, mode: Mode) -> Self {
        let options = Options {
            volume: "v".to_owned(),
            mode,
            extent_bytes: 512,
            inline_bytes: 64,
            ..Options::default()
        };
        let (volume, root) = open_volume(store, options);
        Self { volume, root, file: None }
    }

    /// Does one of several changes, and commits.
    fn act(&mut self, turn: usize) -> Result<(), Error> {
        let Self { volume, root, file } = self;
        let root = &*root;
        match turn % 4 {
            0 => volume.create_directory_at(root, &format!("d{turn}"))?,
            1 => {
                if file.is_none() {
                    let flags = OpenFlags { create: true, ..OpenFlags::default() };
                    let access = Access { write: true, ..Access::default() };
                    *file = Some(volume.open_at(root, &format!("f{turn}"), Follow::No, flags, access)?);
                }
                if let Some(file) = file {
                    volume.write(file, At::End, &[7; 10_000])?;
                }
            }
            2 => volume.symlink_at("x", root, &format!("l{turn}"))?,
            _ => volume.rename_at(root, "d0", root, &format!("e{turn}")).or_else(|error| match error {
                Error::NoEntry => Ok(()),
                error => Err(error),
            })?,
        }
        volume.sync_all()
    }
}

/// All interleavings of `count` acts of the older opener with `count` acts of the newer one.
fn interleavings(count: u32) -> impl Iterator<Item = Vec<bool>> {
    (0_u32..1 << (2 * count))
        .filter(move |bits| bits.count_ones() == count)
        .map(move |bits| (0..2 * count).map(|turn| bits >> turn & 1 == 1).collect())
}

#[test]
fn an_older_opener_changes_nothing_and_reports_it() {
    for (limits, mode) in [
        (LARGE, Mode::Close),
        (SMALL, Mode::Close),
        (SMALL, Mode::Lazy),
        (LARGE, Mode::Strict),
        (TINY, Mode::Close),
    ] {
        for before in 0..4 {
            for turns in interleavings(4) {
                let store = TestStore::new(limits);
                let mut older = Opener::new(&store, mode);
                for turn in 0..before {
                    older.act(turn).unwrap();
                }
                let mut newer = Opener::new(&store, mode);
                let (mut refused, mut fenced) = (0, false);
                for (turn, newer_acts) in turns.iter().enumerate() {
                    if *newer_acts {
                        newer.act(turn + 100).unwrap();
                        continue;
                    }
                    let map = store.0.borrow().map.clone();
                    let outcome = older.act(turn + 200);
                    let error = outcome.expect_err("the older opener was acknowledged");
                    // Before it is fenced, it may read records of the newer opener that make no
                    // sense to it.
                    assert!(fenced || matches!(error, Error::Fenced | Error::Damaged(_)), "{error:?}");
                    assert_eq!(error.code(), Code::Io);
                    fenced |= error == Error::Fenced;
                    assert!(store.0.borrow().map == map, "the older opener changed the store");
                    refused += 1;
                }
                assert_eq!((refused, fenced), (4, true));
                assert_eq!(older.volume.sync_all(), Err(Error::Fenced));
                let report = fsck(&mut store.clone(), "v").unwrap();
                assert!(report.is_clean(), "{:#?}", report.findings);
            }
        }
    }
}

#[test]
fn without_guards_the_older_opener_changes_the_store() {
    let store = TestStore::new(LARGE);
    store.0.borrow_mut().sabotage = Some(crate::store::Sabotage::NoGuards);
    let mut older = Opener::new(&store, Mode::Close);
    let mut newer = Opener::new(&store, Mode::Close);
    newer.act(0).unwrap();
    let map = store.0.borrow().map.clone();
    assert!(
        older.act(4).is_ok() && store.0.borrow().map != map,
        "the sabotage works, so the test above can fail"
    );
}
