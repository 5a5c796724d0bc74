//! Common fixtures: an opened volume, and files in it.

use crate::run::TestClock;
use crate::store::TestStore;
use kvfs::{Access, At, Descriptor, Error, Follow, OpenFlags, Options, Volume};

pub const CREATE: OpenFlags = OpenFlags { create: true, directory: false, exclusive: false, truncate: false };
pub const WRITE: Access = Access { read: true, write: true, mutate_directory: false, sync: false };

/// Opens a volume and its root.
pub fn open_volume(store: &TestStore, options: Options) -> (Volume, Descriptor) {
    let mut volume = Volume::open(Box::new(store.clone()), Box::new(TestClock::default()), options).unwrap();
    let root = volume.root().unwrap();
    (volume, root)
}

/// Opens a file for reading and writing, creating it if it is missing.
pub fn create(volume: &mut Volume, root: &Descriptor, path: &str) -> Descriptor {
    volume.open_at(root, path, Follow::No, CREATE, WRITE).unwrap()
}

/// Writes `data` at the start of a file, creating it if it is missing.
pub fn write(volume: &mut Volume, root: &Descriptor, path: &str, data: &[u8]) {
    let file = create(volume, root, path);
    assert_eq!(volume.write(&file, At::Offset(0), data), Ok(data.len()));
    volume.close(file).unwrap();
}

/// Reads up to 1 MiB of a file.
pub fn read(volume: &mut Volume, root: &Descriptor, path: &str) -> Result<Vec<u8>, Error> {
    let file = volume.open_at(root, path, Follow::No, OpenFlags::default(), Access::default())?;
    let mut bytes = Vec::new();
    let outcome = volume.read(&file, 0, 1 << 20, &mut bytes);
    volume.close(file)?;
    outcome.map(|_| bytes)
}
