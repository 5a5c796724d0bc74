//! Directories beyond the cache, against a map: what is read ahead and kept of listings is never
//! older than the last change, whatever was evicted in between.

use crate::fixture::{CREATE, WRITE, open_volume};
use crate::rng::Rng;
use crate::store::{LARGE, TestStore};
use kvfs::{Access, At, CacheLimits, Descriptor, DirStream, Error, Follow, Mode, OpenFlags, Options, Volume};
use std::collections::{BTreeMap, BTreeSet};

const NAMES: u64 = 400;
const STEPS: usize = 4_000;

/// A listing under way: the names that were there throughout, and those that were there at its
/// start.
struct Listing {
    stream: DirStream,
    throughout: BTreeSet<String>,
    at_start: BTreeSet<String>,
    seen: BTreeSet<String>,
}

struct Run {
    volume: Volume,
    dir: Descriptor,
    /// The size of each file.
    files: BTreeMap<String, u64>,
    listing: Option<Listing>,
    rng: Rng,
}

impl Run {
    fn open(store: &TestStore, options: Options, files: BTreeMap<String, u64>, rng: Rng) -> Self {
        let (mut volume, root) = open_volume(store, options);
        match volume.create_directory_at(&root, "many") {
            Ok(()) | Err(Error::Exist) => {}
            Err(error) => panic!("{error}"),
        }
        let flags = OpenFlags { directory: true, ..OpenFlags::default() };
        let access = Access { mutate_directory: true, ..Access::default() };
        let dir = volume.open_at(&root, "many", Follow::No, flags, access).unwrap();
        volume.close(root).unwrap();
        Self { volume, dir, files, listing: None, rng }
    }

    fn name(&mut self) -> String {
        // Names in the order of numbers, and in no order at all.
        let number = self.rng.below(NAMES);
        if self.rng.chance(2) { format!("{number:03}") } else { format!("{:x}", number * 0x9e37_79b9) }
    }

    fn check(&mut self, name: &str) {
        let found = self.volume.stat_at(&self.dir, name, Follow::No).map(|stat| stat.size);
        let expected = self.files.get(name).copied().ok_or(Error::NoEntry);
        assert_eq!(found, expected, "{name}");
    }

    fn append(&mut self, name: &str) {
        let file = self.volume.open_at(&self.dir, name, Follow::No, CREATE, WRITE).unwrap();
        let bytes = vec![7; self.rng.below(300) as usize];
        self.volume.write(&file, At::End, &bytes).unwrap();
        self.volume.close(file).unwrap();
        *self.files.entry(name.to_owned()).or_default() += bytes.len() as u64;
    }

    fn gone(&mut self, name: &str) {
        self.files.remove(name);
        if let Some(listing) = &mut self.listing {
            listing.throughout.remove(name);
        }
    }

    /// Goes on with a listing, or starts one, and mostly looks at each file as everyone does.
    fn list(&mut self, entries: u64) {
        let mut listing = self.listing.take().unwrap_or_else(|| Listing {
            stream: self.volume.read_directory(&self.dir).unwrap(),
            throughout: self.files.keys().cloned().collect(),
            at_start: self.files.keys().cloned().collect(),
            seen: BTreeSet::new(),
        });
        let look = !self.rng.chance(4);
        for _ in 0..entries {
            let Some(entry) = self.volume.next_entry(&mut listing.stream).unwrap() else {
                let missing: Vec<_> = listing.throughout.difference(&listing.seen).collect();
                assert!(missing.is_empty(), "not listed: {missing:?}");
                self.volume.close_directory(listing.stream).unwrap();
                return;
            };
            let name = entry.name.to_string();
            assert!(self.files.contains_key(&name), "{name} is gone, and listed");
            if look {
                self.check(&name);
            }
            if listing.at_start.contains(&name) {
                assert!(listing.seen.insert(name.clone()), "{name} is listed twice");
            }
        }
        self.listing = Some(listing);
    }

    fn step(&mut self) {
        let name = self.name();
        match self.rng.below(12) {
            0..4 => self.append(&name),
            4 => {
                let expected = self.files.contains_key(&name);
                let removed = self.volume.unlink_file_at(&self.dir, &name);
                assert_eq!(removed, if expected { Ok(()) } else { Err(Error::NoEntry) }, "{name}");
                self.gone(&name);
            }
            5 => {
                let (new, expected) = (self.name(), self.files.get(&name).copied());
                let renamed = self.volume.rename_at(&self.dir, &name, &self.dir, &new);
                assert_eq!(renamed.is_ok(), expected.is_some(), "{name} to {new}: {renamed:?}");
                if let Some(size) = expected.filter(|_| name != new) {
                    self.gone(&name);
                    self.files.insert(new, size);
                }
            }
            6..8 => {
                let entries = 1 + self.rng.below(150);
                self.list(entries);
            }
            8 => {
                // In order, from a place on.
                let next: Vec<String> =
                    self.files.range(name..).take(40).map(|(name, _)| name.clone()).collect();
                next.iter().for_each(|name| self.check(name));
            }
            _ => self.check(&name),
        }
    }
}

#[test]
fn what_is_read_ahead_is_never_stale() {
    for (seed, mode) in (0..6).flat_map(|seed| [(seed, Mode::Close), (seed, Mode::Lazy)]) {
        let store = TestStore::new(LARGE);
        // A listing's page is smaller than the directory, as the tables are.
        store.0.borrow_mut().scan_entries_max = 64;
        let cache = CacheLimits { inodes: 60, dentries: 60, inode_bytes: 4096, ..CacheLimits::default() };
        let options = Options { cache, mode, ..Options::default() };
        let (mut files, mut rng) = (BTreeMap::new(), Rng::new(seed));
        // Opened again and again, so that nothing is in memory.
        for _ in 0..4 {
            let mut run = Run::open(&store, options.clone(), files, rng);
            (0..STEPS / 4).for_each(|_| run.step());
            run.list(u64::MAX);
            let all: Vec<String> = run.files.keys().cloned().collect();
            all.iter().for_each(|name| run.check(name));
            run.volume.sync_all().unwrap();
            (files, rng) = (run.files, run.rng);
        }
        assert!(files.len() > 200, "{}", files.len());
    }
}
