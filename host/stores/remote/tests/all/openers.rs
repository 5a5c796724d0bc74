//! Two openers of one volume, each behind a store that writes behind: the newer one fences the older.

use kvfs::{Access, At, Clock, Error, Follow, Mode, OpenFlags, Options, Timestamp, Volume, fsck};
use kvfs_contract::StoreError;
use kvfs_remote::Pace;
use kvfs_store_rig::Random;

use crate::near::{EAGER, LAZY, Near};
use crate::server::{Map, Server};

struct NoClock;

impl Clock for NoClock {
    fn now(&mut self) -> Timestamp {
        Timestamp { seconds: 1, nanoseconds: 0 }
    }
}

fn options() -> Options {
    Options { volume: "v".to_owned(), mode: Mode::Close, ..Options::default() }
}

fn open(server: &Server, pace: Pace) -> Volume {
    Volume::open(Box::new(Near::new(server.clone(), pace)), Box::new(NoClock), options()).unwrap()
}

fn write(volume: &mut Volume, name: &str) -> Result<(), Error> {
    let root = volume.root()?;
    let create = OpenFlags { create: true, ..OpenFlags::default() };
    let access = Access { write: true, ..Access::default() };
    let file = volume.open_at(&root, name, Follow::Yes, create, access)?;
    volume.write(&file, At::End, name.as_bytes())?;
    volume.close(file)?;
    volume.close(root)
}

fn names(volume: &mut Volume) -> Vec<String> {
    let root = volume.root().unwrap();
    let mut listing = volume.read_directory(&root).unwrap();
    let mut names = Vec::new();
    while let Some(entry) = volume.next_entry(&mut listing).unwrap() {
        names.push(entry.name.to_string());
    }
    names.sort();
    names
}

#[test]
fn the_newer_opener_has_what_was_durable_and_the_older_one_is_told() {
    let (mut lost, mut fenced) = (0, 0);
    for seed in 0..150 {
        let mut random = Random::new(seed);
        let pace = if seed % 2 == 0 { LAZY } else { EAGER };
        let server = Server::new(Map::new());
        let mut older = open(&server, pace);
        let (mut made, mut durable) = (0, 0);
        for _ in 0..random.below(20) {
            write(&mut older, &format!("older {made:02}")).unwrap();
            made += 1;
            if random.chance(4) {
                older.sync_all().unwrap();
                durable = made;
            }
        }
        let mut newer = open(&server, pace);
        let found = names(&mut newer);
        let expected: Vec<_> = (0..made).map(|number| format!("older {number:02}")).collect();
        assert!(expected.starts_with(&found), "seed {seed}: {found:?} is no beginning");
        assert!(found.len() >= durable, "seed {seed}: {found:?}, and {durable} were durable");
        lost += made - found.len();
        // They go on side by side; nothing of the older one counts any more.
        for number in 0..6 {
            write(&mut newer, &format!("newer {number}")).unwrap();
            let _ = write(&mut older, &format!("late {number}"));
            if random.chance(3) {
                newer.sync_all().unwrap();
            }
        }
        // What it had to read before it could store something is refused for the same reason.
        let refused = older.sync_all().expect_err("the older opener was acknowledged");
        let is_refused = match &refused {
            Error::Fenced => true,
            Error::Store(StoreError::Unavailable(why)) => why.contains("another program"),
            _ => false,
        };
        assert!(is_refused, "seed {seed}: {refused:?}");
        fenced += usize::from(refused == Error::Fenced);
        assert!(write(&mut older, "later").is_err(), "seed {seed}");
        newer.sync_all().unwrap();
        let mut all: Vec<_> = (0..6).map(|number| format!("newer {number}")).collect();
        all.extend(found);
        assert_eq!(names(&mut newer), all, "seed {seed}");
        drop((older, newer));
        assert_eq!(names(&mut open(&server, LAZY)), all, "seed {seed}");
        let problems = fsck(&mut Near::new(server, LAZY), "v").unwrap();
        assert!(problems.is_clean(), "seed {seed}: {problems:?}");
    }
    assert!(lost > 50, "an opener that loses nothing shows nothing: {lost}");
    assert!(fenced > 100, "nearly always the engine itself finds out: {fenced}");
}
