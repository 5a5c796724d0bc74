//! Opens a volume for reading only, beside its writer.

use super::checks::{Heads, check_new, check_volume_name, decode_usable};
use super::nothing::Midnight;
use crate::attempts::busy;
use crate::backing::Backing;
use crate::backing::chain::read_beside_others;
use crate::backing::journal_view::read_journal;
use crate::backing::overlay::Lower;
use crate::error::{Error, Result};
use crate::limits::{READDIR_PAGE_BYTES, READDIR_PAGE_ENTRIES};
use crate::options::Options;
use crate::store::KvStore;
use crate::stored::image::Image;
use crate::stored::key::KeySpace;
use crate::stored::record::journal::Changes;
use crate::volume::Volume;
use crate::volume::room::{check_fit, check_limits};

/// How often a volume is read that its writer changes meanwhile.
const MAX_READS: u32 = 16;

impl Volume {
    /// Opens a volume that there is for reading only, on the image below it if it has one. Nothing is
    /// applied to the store, and whoever has the volume open goes on.
    ///
    /// What a writer changes meanwhile may be seen in part, or be taken for damage, unless the store is
    /// one moment's: a snapshot of the volume does not change. Of the options, only the volume's name and
    /// the limits of the cache and of descriptors count.
    ///
    /// # Errors
    /// [`Error::NoEntry`] if there is no such volume, and those of [`Volume::open`] and
    /// [`Volume::open_overlay`].
    ///
    /// # Cost
    /// `get-limits` and one `get`, one more for a volume in layers, and the `scan`s of a journal that was
    /// not put in place.
    pub fn open_read_only(
        mut store: Box<dyn KvStore>,
        image: Option<Image>,
        options: Options,
    ) -> Result<Self> {
        check_volume_name(&options.volume)?;
        let limits = store.limits()?;
        check_limits(&limits)?;
        let keys = KeySpace::new(&options.volume);
        for attempt in 1..=MAX_READS {
            let heads = Heads::read(&mut *store, &keys)?;
            let Some(value) = heads.superblock.clone() else {
                return check_new(&mut *store, &keys).and(Err(Error::NoEntry));
            };
            let superblock = decode_usable(keys.superblock(), &value, image.as_ref().map(Image::id))?;
            let room = check_fit(&superblock, &limits)?;
            let Some(chain) = read_beside_others(&mut *store, &superblock, &keys)? else { continue };
            let mut layered = keys.clone();
            chain.set_in(&mut layered);
            let rest = heads.settings(&keys, &superblock).and_then(|settings| {
                let mut changes = Changes::new();
                if superblock.has_journal() {
                    let entries = READDIR_PAGE_ENTRIES.min(limits.max_batch_entries);
                    let bytes = READDIR_PAGE_BYTES.min(limits.max_batch_bytes);
                    let journal = read_journal(&mut *store, &layered, entries, bytes)?;
                    changes = journal.committed.unwrap_or_default();
                }
                Ok((settings, changes))
            });
            let (settings, changes) = match rest {
                Ok(rest) => rest,
                // The writer may have gone on since the superblock was read.
                Err(Error::Damaged(_)) if attempt < MAX_READS => continue,
                Err(error) => return Err(error),
            };
            let committed = (superblock, value, settings);
            let mut backing = Backing::new(store, limits, keys, image.map(Lower::new), committed);
            backing.set_chain(&chain);
            backing.journal.changes = changes;
            return Ok(Self::new(Box::new(Midnight), options, backing, room).fixed());
        }
        Err(busy())
    }

    /// Makes it a volume that never takes changes.
    pub(super) fn fixed(mut self) -> Self {
        self.backing.unsynced = false;
        (self.read_only, self.is_fixed) = (true, true);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Access, At, Clock, Durability, Entry, Follow, Guard, Limits, MemoryStore, Mode, Mutation, OpenFlags,
        StoreError, Timestamp,
    };

    struct Noon;

    impl Clock for Noon {
        fn now(&mut self) -> Timestamp {
            Timestamp::default()
        }
    }

    fn write(volume: &mut Volume, name: &str, bytes: &[u8]) {
        let root = volume.root().unwrap();
        let create = OpenFlags { create: true, ..OpenFlags::default() };
        let access = Access { write: true, ..Access::default() };
        let file = volume.open_at(&root, name, Follow::No, create, access).unwrap();
        assert_eq!(volume.write(&file, At::End, bytes), Ok(bytes.len()));
        volume.close(file).unwrap();
        volume.close(root).unwrap();
    }

    fn read(volume: &mut Volume, name: &str) -> Result<Vec<u8>> {
        let root = volume.root()?;
        let file = volume.open_at(&root, name, Follow::No, OpenFlags::default(), Access::default());
        volume.close(root)?;
        let file = file?;
        let mut bytes = Vec::new();
        let read = volume.read(&file, 0, 1 << 20, &mut bytes);
        volume.close(file)?;
        read.map(|_| bytes)
    }

    fn look(store: &MemoryStore, name: &str) -> Result<Volume> {
        let options = Options { volume: name.to_owned(), ..Options::default() };
        Volume::open_read_only(Box::new(store.clone()), None, options)
    }

    #[test]
    fn a_reader_applies_nothing_and_the_writer_goes_on() {
        let store = MemoryStore::default();
        assert_eq!(look(&store, "main").err(), Some(Error::NoEntry));
        assert_eq!(look(&store, "").err(), Some(Error::Invalid));
        let mut writer = Volume::open(Box::new(store.clone()), Box::new(Noon), Options::default()).unwrap();
        write(&mut writer, "one", b"1");
        let before = store.dump();
        let mut reader = look(&store, "main").unwrap();
        assert_eq!(read(&mut reader, "one"), Ok(b"1".to_vec()));
        reader.set_read_only(false);
        let root = reader.root().unwrap();
        assert_eq!(reader.create_directory_at(&root, "d"), Err(Error::ReadOnly));
        assert_eq!(reader.unlink_file_at(&root, "one"), Err(Error::ReadOnly));
        reader.close(root).unwrap();
        assert_eq!(reader.sync_all(), Ok(()));
        assert_eq!(store.dump(), before);
        write(&mut writer, "two", b"2");
        assert_eq!(read(&mut look(&store, "main").unwrap(), "two"), Ok(b"2".to_vec()));
    }

    /// A store with small batches, which takes so many more applies.
    struct Cut(MemoryStore, u64);

    impl KvStore for Cut {
        fn limits(&mut self) -> std::result::Result<Limits, StoreError> {
            Ok(Limits::LEAST)
        }

        fn get(&mut self, keys: &[&[u8]]) -> std::result::Result<Vec<Option<Vec<u8>>>, StoreError> {
            self.0.get(keys)
        }

        fn scan(
            &mut self,
            start: &[u8],
            end: &[u8],
            max_entries: u32,
            max_bytes: u32,
        ) -> std::result::Result<Vec<Entry>, StoreError> {
            self.0.scan(start, end, max_entries, max_bytes)
        }

        fn apply(
            &mut self,
            guards: &[Guard<'_>],
            mutations: &[Mutation<'_>],
            level: Durability,
        ) -> std::result::Result<(), StoreError> {
            self.1 = self.1.checked_sub(1).ok_or_else(|| StoreError::Unavailable("cut".to_owned()))?;
            self.0.apply(guards, mutations, level)
        }
    }

    /// Commits go through the journal, and the store is cut off after each apply.
    #[test]
    fn a_journal_that_is_not_in_place_is_read() {
        let mut seen = std::collections::BTreeSet::new();
        for cut in 0..200 {
            let store = MemoryStore::default();
            let open = |cut| {
                let options = Options { mode: Mode::Lazy, ..Options::default() };
                Volume::open(Box::new(Cut(store.clone(), cut)), Box::new(Noon), options).unwrap()
            };
            let mut before = open(u64::MAX);
            write(&mut before, "one", b"1");
            before.sync_all().unwrap();
            let mut writer = open(1 + cut);
            write(&mut writer, "two", &[7; 3000]);
            let whole = writer.sync_all().is_ok();
            let options = Options::default();
            let mut reader = Volume::open_read_only(Box::new(Cut(store.clone(), 0)), None, options).unwrap();
            assert_eq!(read(&mut reader, "one"), Ok(b"1".to_vec()));
            let found = read(&mut reader, "two");
            assert!(found == Ok(vec![7; 3000]) || found == Err(Error::NoEntry), "{cut}: {found:?}");
            seen.insert((reader.backing.journal.changes.is_empty(), found.is_ok()));
            if whole {
                break;
            }
        }
        assert!(seen.contains(&(false, true)), "no journal was read: {seen:?}");
    }
}
