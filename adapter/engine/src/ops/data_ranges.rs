//! Tells where a file has data.

use crate::descriptor::Descriptor;
use crate::error::Result;
use crate::volume::Volume;
use std::ops::Range;

impl Volume {
    /// Returns the parts of a file that are no holes, in order, and in whole extents but for the end of
    /// the file. Parts that touch are one. Every other byte is zero.
    ///
    /// # Errors
    /// [`crate::Error::BadDescriptor`] unless open for reading, [`crate::Error::IsDirectory`], and the
    /// store's.
    ///
    /// # Cost
    /// Nothing for a file without holes, else `scan`s over its extents.
    pub fn data_ranges(&mut self, file: &Descriptor) -> Result<Vec<Range<u64>>> {
        let ino = file.readable_file()?;
        let mut ranges = self.begin()?.stretches(ino)?;
        ranges.retain(|range| !range.is_empty());
        Ok(ranges)
    }
}

#[cfg(test)]
mod tests {
    use crate::{Access, At, Clock, Follow, MemoryStore, OpenFlags, Options, Timestamp, Volume};

    struct Noon;

    impl Clock for Noon {
        fn now(&mut self) -> Timestamp {
            Timestamp::default()
        }
    }

    #[test]
    fn holes_are_left_out_whether_they_are_stored_or_not() {
        let store = MemoryStore::default();
        let options = Options { extent_bytes: 4096, inline_bytes: 100, ..Options::default() };
        let mut volume = Volume::open(Box::new(store), Box::new(Noon), options).unwrap();
        let root = volume.root().unwrap();
        let create = OpenFlags { create: true, ..OpenFlags::default() };
        let access = Access { read: true, write: true, ..Access::default() };
        let file = volume.open_at(&root, "f", Follow::No, create, access).unwrap();
        assert_eq!(volume.data_ranges(&file), Ok(vec![]));
        volume.write(&file, At::Offset(0), b"inline").unwrap();
        assert_eq!(volume.data_ranges(&file).unwrap(), [0..6]);
        volume.write(&file, At::Offset(40_960), &[1; 5000]).unwrap();
        volume.set_size(&file, 1 << 40).unwrap();
        let expected = [0..4096, 40_960..49_152];
        assert_eq!(volume.data_ranges(&file).unwrap(), expected);
        volume.sync_all().unwrap();
        assert_eq!(volume.data_ranges(&file).unwrap(), expected);
        volume.set_size(&file, 41_000).unwrap();
        assert_eq!(volume.data_ranges(&file).unwrap(), [0..4096, 40_960..41_000]);
        assert_eq!(volume.data_ranges(&root), Err(crate::Error::IsDirectory));
    }
}
