//! A directory that is listed, at places that the kernel chooses.
//!
//! A place is the number of entries before it, `.` and `..` included. A volume lists a directory from its
//! start to its end. The kernel often asks again for the end of the last answer, which did not fit the
//! program's buffer, and programs go back to a place. So the last entries are kept. For a place before
//! them the listing starts anew and counts.

use kvfs::{Descriptor, DirEntry, DirStream, Error, Volume};
use std::collections::VecDeque;

/// The entries `.` and `..`.
pub(crate) const DOTS: u64 = 2;

/// Most entries kept before the place of the last answer. Those of the answer itself come on top: it is no
/// larger than the kernel's buffer.
const MAX_KEPT: usize = 1024;

/// An open directory.
#[derive(Debug)]
pub(crate) struct Listing {
    pub(crate) descriptor: Descriptor,
    stream: Option<DirStream>,
    /// The last entries.
    kept: VecDeque<DirEntry>,
    /// The place of the first of them.
    start: u64,
    /// How many of them are before the place of the listing.
    before: usize,
}

impl Listing {
    pub(crate) fn new(descriptor: Descriptor) -> Self {
        Self { descriptor, stream: None, kept: VecDeque::new(), start: DOTS, before: 0 }
    }

    /// Goes to a place. From place 0 on, the directory is listed as it is now.
    ///
    /// # Errors
    /// The volume's.
    pub(crate) fn seek(&mut self, volume: &mut Volume, place: u64) -> Result<(), Error> {
        if place == 0 || place.max(DOTS) < self.start {
            self.rewind(volume)?;
        }
        let wanted = place.max(DOTS);
        while self.start.saturating_add(self.kept.len() as u64) < wanted {
            let Some(entry) = self.pull(volume)? else { break };
            self.kept.push_back(entry);
            if self.kept.len() > MAX_KEPT {
                self.drop_first();
            }
        }
        let before = usize::try_from(wanted.saturating_sub(self.start)).unwrap_or(usize::MAX);
        self.before = before.min(self.kept.len());
        while self.before > MAX_KEPT {
            self.drop_first();
            self.before -= 1;
        }
        Ok(())
    }

    fn drop_first(&mut self) {
        if self.kept.pop_front().is_some() {
            self.start = self.start.saturating_add(1);
        }
    }

    /// Returns the entry `ahead` entries behind the place, `None` at the end.
    ///
    /// # Errors
    /// The volume's.
    pub(crate) fn entry(&mut self, volume: &mut Volume, ahead: usize) -> Result<Option<DirEntry>, Error> {
        if let Some(entry) = self.kept.get(self.before.saturating_add(ahead)) {
            return Ok(Some(entry.clone()));
        }
        let entry = self.pull(volume)?;
        self.kept.extend(entry.clone());
        Ok(entry)
    }

    /// Closes the directory.
    ///
    /// # Errors
    /// The volume's.
    pub(crate) fn close(mut self, volume: &mut Volume) -> Result<(), Error> {
        let ended = self.rewind(volume);
        volume.close(self.descriptor).and(ended)
    }

    fn rewind(&mut self, volume: &mut Volume) -> Result<(), Error> {
        self.kept.clear();
        (self.start, self.before) = (DOTS, 0);
        self.stream.take().map_or(Ok(()), |stream| volume.close_directory(stream))
    }

    fn pull(&mut self, volume: &mut Volume) -> Result<Option<DirEntry>, Error> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => none.insert(volume.read_directory(&self.descriptor)?),
        };
        volume.next_entry(stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kvfs::{Clock, MemoryStore, Options, Timestamp};

    struct Noon;

    impl Clock for Noon {
        fn now(&mut self) -> Timestamp {
            Timestamp::default()
        }
    }

    fn names(listing: &mut Listing, volume: &mut Volume, place: u64, most: usize) -> Vec<String> {
        listing.seek(volume, place).unwrap();
        let mut names = Vec::new();
        while names.len() < most {
            match listing.entry(volume, names.len()).unwrap() {
                Some(entry) => names.push(entry.name.to_string()),
                None => break,
            }
        }
        names
    }

    #[test]
    fn every_place_can_be_listed_from_in_any_order() {
        let store = Box::new(MemoryStore::default());
        let mut volume = Volume::open(store, Box::new(Noon), Options::default()).unwrap();
        let root = volume.root().unwrap();
        let all: Vec<String> = (0..9).map(|number| format!("d{number}")).collect();
        for name in &all {
            volume.create_directory_at(&root, name).unwrap();
        }
        let mut listing = Listing::new(root);
        let whole = names(&mut listing, &mut volume, 0, 100);
        assert_eq!(whole.len(), all.len());
        for (place, most) in
            [(0, 3), (5, 2), (6, 4), (4, 1), (2, 9), (10, 9), (11, 9), (12, 9), (3, 3), (99, 1)]
        {
            let skipped = usize::try_from(place).unwrap().saturating_sub(2).min(whole.len());
            let expected: Vec<String> = whole[skipped..].iter().take(most).cloned().collect();
            assert_eq!(names(&mut listing, &mut volume, place, most), expected, "from {place}");
        }
        listing.close(&mut volume).unwrap();
    }

    #[test]
    fn a_large_directory_can_be_listed_from_every_place() {
        let store = Box::new(MemoryStore::default());
        let mut volume = Volume::open(store, Box::new(Noon), Options::default()).unwrap();
        let root = volume.root().unwrap();
        for number in 0..3000 {
            volume.import_symlink_at("x", &root, &format!("l{number}")).unwrap();
        }
        let mut listing = Listing::new(root);
        let mut whole = names(&mut listing, &mut volume, 0, 40);
        while whole.len() < 3000 {
            let place = whole.len() as u64 + DOTS;
            whole.extend(names(&mut listing, &mut volume, place, 40));
        }
        assert_eq!(names(&mut listing, &mut volume, 3002, 40), [""; 0]);
        for place in [2900, 2901, 1500, 3, 2002, 979, 3001, 3002] {
            let expected = &whole[place - 2..][..(3002 - place).min(40)];
            let found = names(&mut listing, &mut volume, place as u64, 40);
            assert_eq!(found, expected, "from {place}");
            assert!(listing.kept.len() <= MAX_KEPT + 100, "{}", listing.kept.len());
        }
        listing.close(&mut volume).unwrap();
    }

    #[test]
    fn a_page_is_given_again_though_its_entries_were_removed() {
        let store = Box::new(MemoryStore::default());
        let mut volume = Volume::open(store, Box::new(Noon), Options::default()).unwrap();
        let root = volume.root().unwrap();
        for name in ["a", "b", "c", "d"] {
            volume.create_directory_at(&root, name).unwrap();
        }
        let mut listing = Listing::new(volume.root().unwrap());
        let first = names(&mut listing, &mut volume, 0, 3);
        volume.remove_directory_at(&root, &first[0]).unwrap();
        // The program took one entry: the other two are not lost, nor is the last one.
        let rest = names(&mut listing, &mut volume, 3, 9);
        assert_eq!(rest[..2], first[1..]);
        assert_eq!(rest.len(), 3);
        assert_eq!(names(&mut listing, &mut volume, 0, 9).len(), 3);
        listing.close(&mut volume).unwrap();
        volume.close(root).unwrap();
    }
}
