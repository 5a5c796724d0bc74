//! Lists directories.

use crate::cache::Names;
use crate::descriptor::Descriptor;
use crate::error::Result;
use crate::limits::{READDIR_PAGE_BYTES, READDIR_PAGE_ENTRIES};
use crate::load;
use crate::place::Place;
use crate::policy::Rights;
use crate::sort::sorted;
use crate::types::{Dentry, InodeNo, Kind};
use crate::volume::Volume;
use std::rc::Rc;

/// Most names that one listing holds from its start on instead of reading pages.
const MAX_SNAPSHOT_ENTRIES: usize = 4096;

/// Entries of a page when the listings hold that many.
const SMALL_PAGE_ENTRIES: u32 = 16;

/// An entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirEntry {
    /// Its name.
    pub name: Rc<str>,
    /// The kind of what it names.
    pub kind: Kind,
    /// The inode it names.
    pub ino: InodeNo,
}

/// A listing under way. Give it to [`Volume::close_directory`].
#[derive(Debug)]
#[must_use = "a listing that is not closed keeps its directory open"]
pub struct DirStream {
    directory: Descriptor,
    source: Source,
}

#[derive(Debug)]
enum Source {
    /// The names at the start, of a directory that was completely in memory, and the directory's
    /// generation then.
    Snapshot { names: Vec<(Rc<str>, Dentry)>, next: usize, generation: u64 },
    /// Pages from the store, in byte order of names.
    Pages(Pages),
}

#[derive(Debug)]
struct Pages {
    page: Names,
    /// The next entry of the page.
    next: usize,
    last: bool,
    /// Entries on the pages so far. When they reach the directory's count, the page is the last
    /// one, if the directory did not change since the start. `u64::MAX`, which is no count, after a
    /// page was read while changes could not be stored.
    seen: u64,
    /// The directory's generation at the start.
    generation: u64,
    /// The directory's generation when `page` was read.
    page_generation: u64,
    /// All pages so far were noted in memory, which was trimmed so many times before.
    learned: bool,
    trims: u64,
}

impl Volume {
    /// Starts listing a directory. `.` and `..` are not listed.
    ///
    /// Names that the policy hides do not appear. Other names present throughout appear once.
    /// Removed names may appear before they are removed. New names do not appear, unless they
    /// replace a name that was there. So a listing always ends, with no more entries than there
    /// were at its start.
    ///
    /// # Errors
    /// [`crate::Error::NotDirectory`], [`crate::Error::NotPermitted`] if the policy does not let it
    /// be listed.
    ///
    /// # Cost
    /// Nothing for a small directory that is completely in memory, now or later. Otherwise one
    /// `scan` for each page of up to 1,024 entries and 256 KiB, as the listing goes on, and one
    /// `apply` before a page if there are unstored changes. Inodes are not read.
    pub fn read_directory(&mut self, directory: &Descriptor) -> Result<DirStream> {
        let dir = directory.directory()?;
        let mut txn = self.begin()?;
        txn.check_right(txn.volume.places.get(directory.place), Rights::DIR_READ)?;
        let generation = txn.inode(dir)?.generation;
        let directory = self.reopen(directory)?;
        let room =
            self.allowed.held_entries().saturating_sub(self.snapshot_entries).min(MAX_SNAPSHOT_ENTRIES);
        let known = self.cache.node(dir).and_then(|node| node.dir.as_ref());
        let source = match known.filter(|known| known.complete && known.slots.len() <= room) {
            Some(known) => {
                let existing = known.slots.iter().filter_map(|(name, slot)| Some((name, slot.entry?)));
                let names: Vec<_> = existing.map(|(name, entry)| (Rc::clone(name), entry)).collect();
                self.snapshot_entries += names.len();
                self.cache.ahead.follow(names.iter().map(|(_, entry)| entry.ino));
                Source::Snapshot { names, next: 0, generation }
            }
            None => {
                let trims = self.cache.dentry_trims();
                Source::Pages(Pages {
                    page: Names::default(),
                    learned: true,
                    next: 0,
                    last: false,
                    seen: 0,
                    generation,
                    page_generation: generation,
                    trims,
                })
            }
        };
        self.open_listings = self.open_listings.saturating_add(1);
        Ok(DirStream { directory, source })
    }

    /// Returns the next entry of a listing, `None` at its end.
    ///
    /// # Errors
    /// The store's, and [`crate::Error::Damaged`]. The listing stays where it is and can be tried
    /// again.
    ///
    /// # Cost
    /// See [`Volume::read_directory`].
    pub fn next_entry(&mut self, stream: &mut DirStream) -> Result<Option<DirEntry>> {
        let (dir, place) = (stream.directory.ino, self.places.get(stream.directory.place));
        loop {
            match &mut stream.source {
                Source::Snapshot { names, next, generation } => {
                    let Some((name, entry)) = names.get(*next).cloned() else { return Ok(None) };
                    let entry = self.still(dir, &name, entry, *generation)?;
                    *next += 1;
                    if let Some(entry) = self.shown(place, name, entry) {
                        return Ok(Some(entry));
                    }
                }
                Source::Pages(pages) => {
                    if let Some((name, entry)) = pages.page.get(pages.next).cloned() {
                        let entry = self.still(dir, &name, entry, pages.page_generation)?;
                        pages.next += 1;
                        // Leave out entries younger than the listing: a guest that renames each
                        // entry to behind its place would never reach the end.
                        let entry = entry.filter(|entry| entry.born <= pages.generation);
                        match self.shown(place, name, entry) {
                            Some(entry) => return Ok(Some(entry)),
                            None => continue,
                        }
                    }
                    if pages.last {
                        return Ok(None);
                    }
                    self.next_page(dir, pages)?;
                }
            }
        }
    }

    /// Returns the entry that a name has now, if it was `entry` at a generation of the directory.
    fn still(&mut self, dir: InodeNo, name: &str, entry: Dentry, generation: u64) -> Result<Option<Dentry>> {
        self.backing.check_alive()?;
        match self.cache.node(dir) {
            Some(node) if node.inode.generation == generation => Ok(Some(entry)),
            _ => self.begin()?.lookup(dir, name),
        }
    }

    /// Returns the entry that a listing shows of a name, if any.
    fn shown(&self, place: Place, name: Rc<str>, entry: Option<Dentry>) -> Option<DirEntry> {
        let Dentry { kind, ino, .. } = entry.filter(|_| !self.is_hidden_name(place, &name))?;
        Some(DirEntry { name, kind, ino })
    }

    fn next_page(&mut self, dir: InodeNo, pages: &mut Pages) -> Result<()> {
        let generation = self.begin()?.inode(dir)?.generation;
        let stored_whole = self.cache.dirty.is_empty() || self.commit_for_a_look();
        self.backing.check_alive()?;
        // Many listings at once share the memory: each then gets small pages.
        let others = self.snapshot_entries.saturating_sub(pages.page.len());
        let full = others + READDIR_PAGE_ENTRIES as usize > self.allowed.held_entries();
        let max_entries = if full { SMALL_PAGE_ENTRIES } else { READDIR_PAGE_ENTRIES };
        let load::Page { names: found, learned } = load::names(
            &mut self.backing,
            &mut self.cache,
            dir,
            pages.page.last().map(|(name, _)| &**name),
            max_entries,
            READDIR_PAGE_BYTES,
        )?;
        // The store is out of date if the commit failed: each name is then looked up.
        pages.page_generation = if stored_whole { generation } else { generation.wrapping_sub(1) };
        // From then on the count does not tell the end either: a later commit may remove names of
        // this page from the store.
        pages.seen = if stored_whole { pages.seen.saturating_add(found.len() as u64) } else { u64::MAX };
        let stored = self.cache.node(dir).map(|node| node.stored_size);
        let all = stored_whole && generation == pages.generation && stored == Some(pages.seen);
        pages.last = found.is_empty() || all;
        let more = if stored_whole { Vec::new() } else { self.dirty_names(dir, pages, found.last()) };
        pages.learned &= learned;
        let mut page = found;
        if !more.is_empty() {
            let mut merged: Vec<_> = page.iter().cloned().collect();
            // The names of the store are in order.
            let is_new = |name: &str| page.binary_search_by(|(known, _)| (**known).cmp(name)).is_err();
            let new: Vec<_> = more.into_iter().filter(|(name, _)| is_new(name)).collect();
            merged.extend(new);
            merged = sorted(merged);
            if merged.len() > max_entries as usize {
                merged.truncate(max_entries as usize);
                pages.last = false;
            }
            page = Rc::new(merged);
        }
        self.snapshot_entries = others + page.len();
        self.cache.ahead.follow(page.iter().map(|(_, entry)| entry.ino));
        (pages.page, pages.next) = (page, 0);
        // Every name was seen, and none was evicted since: the directory is known completely.
        if pages.last
            && pages.learned
            && self.cache.dentry_trims() == pages.trims
            && let Some(known) = self.cache.dir_mut(dir)
        {
            known.complete = true;
        }
        Ok(())
    }

    /// Dirty names that belong on a page that ends with `last`, or on the last page.
    fn dirty_names(
        &self,
        dir: InodeNo,
        pages: &Pages,
        last: Option<&(Rc<str>, Dentry)>,
    ) -> Vec<(Rc<str>, Dentry)> {
        let known = self.cache.node(dir).and_then(|node| node.dir.as_ref());
        let Some(known) = known else { return Vec::new() };
        let inside = |name: &str| {
            pages.page.last().is_none_or(|(after, _)| name > &**after)
                && last.is_none_or(|(last, _)| name <= &**last)
        };
        let new = known.slots.iter().filter(|(name, slot)| slot.dirty && inside(name));
        new.filter_map(|(name, slot)| Some((Rc::clone(name), slot.entry?))).collect()
    }

    /// Ends a listing.
    ///
    /// # Errors
    /// Those of [`Volume::close_stream`].
    pub fn close_directory(&mut self, stream: DirStream) -> Result<()> {
        let held = match &stream.source {
            Source::Snapshot { names, .. } => names.len(),
            Source::Pages(pages) => pages.page.len(),
        };
        self.snapshot_entries = self.snapshot_entries.saturating_sub(held);
        self.open_listings = self.open_listings.saturating_sub(1);
        self.close_stream(stream.directory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::descriptor::Access;
    use crate::memory::MemoryStore;
    use crate::ops::open::OpenFlags;
    use crate::options::{Mode, Options};
    use crate::store::{Durability, Entry, Guard, KvStore, Limits, Mutation, StoreError};
    use crate::types::{Clock, Timestamp};
    use crate::walking::path::Follow;
    use std::cell::Cell;

    struct Noon;

    impl Clock for Noon {
        fn now(&mut self) -> Timestamp {
            Timestamp::default()
        }
    }

    /// Refuses every apply while its flag is set.
    #[derive(Clone, Default)]
    struct Refusing(MemoryStore, Rc<Cell<bool>>);

    impl KvStore for Refusing {
        fn limits(&mut self) -> std::result::Result<Limits, StoreError> {
            self.0.limits()
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
            if self.1.get() { Err(StoreError::ReadOnly) } else { self.0.apply(guards, mutations, level) }
        }
    }

    #[test]
    fn a_page_holds_no_more_names_when_those_in_memory_cannot_be_stored() {
        const STORED: usize = 5000;
        const DIRTY: usize = 1500;
        let store = Refusing::default();
        let open = |mode| {
            let options = Options { mode, ..Options::default() };
            Volume::open(Box::new(store.clone()), Box::new(Noon), options).unwrap()
        };
        let create = |volume: &mut Volume, name: &str| {
            let root = volume.root().unwrap();
            let flags = OpenFlags { create: true, directory: false, exclusive: false, truncate: false };
            let access = Access { read: true, write: true, mutate_directory: false, sync: false };
            let file = volume.open_at(&root, name, Follow::No, flags, access).unwrap();
            volume.close_stream(file).unwrap();
            volume.close(root).unwrap();
        };
        let mut volume = open(Mode::Lazy);
        for number in 0..STORED {
            create(&mut volume, &format!("s{number:04}"));
        }
        volume.sync_all().unwrap();
        drop(volume);
        let mut volume = open(Mode::Lazy);
        store.1.set(true);
        for number in 0..DIRTY {
            create(&mut volume, &format!("a{number:04}"));
        }
        let root = volume.root().unwrap();
        let mut stream = volume.read_directory(&root).unwrap();
        let mut listed = 0;
        while volume.next_entry(&mut stream).unwrap().is_some() {
            listed += 1;
            let Source::Pages(pages) = &stream.source else { panic!("known whole") };
            assert!(pages.page.len() <= READDIR_PAGE_ENTRIES as usize, "{}", pages.page.len());
        }
        volume.close_directory(stream).unwrap();
        volume.close(root).unwrap();
        assert_eq!(listed, STORED + DIRTY);
    }
}
