//! Opening a redb file without its checks, to read what is left in a damaged one.

use std::fs::File;
use std::io::{ErrorKind, Read, Result};
use std::ops::Bound;
use std::path::Path;

use redb::{BackendError, ConcurrencyMode, DatabaseError, ReadOnlyDatabase, StorageBackend};

use super::file::{self, Table};
use super::shadow::Shadow;
use crate::OpenError;

/// Bytes of redb's header: 64, and two commit slots.
const HEADER_BYTES: usize = 64 + 2 * SLOT_BYTES;
const SLOT_BYTES: usize = 128;

/// Where a slot has the number of its transaction.
const TRANSACTION_AT: usize = 104;

/// The byte with the flags. The first says which slot counts.
const GOD_BYTE: usize = 9;
const SECOND_SLOT: u8 = 1;
const TWO_PHASE: u8 = 4;

/// Where the sizes of pages and regions are, and those of every file that redb makes.
const GEOMETRY_AT: usize = 12;
const GEOMETRY: [u32; 3] = [4096, 0, 1 << 20];

/// Opens the states that a file has, the newest first, without checking any of them. Those that
/// redb cannot even begin to read are left out. Not a byte of the file changes.
///
/// # Errors
/// [`OpenError::Busy`], and the system's.
pub(super) fn states(path: &Path) -> std::result::Result<Vec<(ReadOnlyDatabase, Table)>, OpenError> {
    let io = |error| OpenError::io(path, error);
    let mut header = [0; HEADER_BYTES];
    match File::open(path).map_err(io)?.read_exact(&mut header) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(Vec::new()),
        read => read.map_err(io)?,
    }
    let transaction = |slot: usize| {
        let number = header.get(64 + slot * SLOT_BYTES + TRANSACTION_AT..)?.first_chunk()?;
        Some(u64::from_le_bytes(*number))
    };
    let newest = usize::from(transaction(1) > transaction(0));
    let mut states = Vec::new();
    for slot in [newest, 1 - newest] {
        let file = File::open(path).map_err(io)?;
        let shadow = Shadow::new(file).map_err(|error| OpenError::of_redb(path, error))?;
        let Some(shadow) = shadow else { return Err(OpenError::Busy { path: path.into() }) };
        let opened = file::trusted(path, || {
            let fail = |error: DatabaseError| OpenError::of_redb(path, error);
            // As after an orderly end, and not shared with anybody.
            let flags = (header[GOD_BYTE] & TWO_PHASE) | if slot == 1 { SECOND_SLOT } else { 0 };
            shadow.write(GOD_BYTE as u64, &[flags]).map_err(|error| OpenError::io(path, error))?;
            let geometry: Vec<u8> = GEOMETRY.iter().flat_map(|number| number.to_le_bytes()).collect();
            shadow.write(GEOMETRY_AT as u64, &geometry).map_err(|error| OpenError::io(path, error))?;
            // A reader beside a writer needs no more of a file than its pages.
            let mut builder = file::builder();
            builder.set_concurrency_mode(ConcurrencyMode::SingleWriter);
            let db = builder.open_read_only_with_backend(Alone(shadow)).map_err(fail)?;
            let table = file::reading(path, &db)?;
            Ok((db, table))
        });
        states.extend(opened.ok());
    }
    Ok(states)
}

/// A file that nobody else has open, as far as redb is told. The shadow holds a real lock.
#[derive(Debug)]
struct Alone(Shadow);

impl StorageBackend for Alone {
    fn len(&self) -> Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<()> {
        self.0.write(offset, data)
    }

    fn close(&self) -> Result<()> {
        self.0.close()
    }

    fn try_lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> std::result::Result<bool, BackendError> {
        Ok(true)
    }

    fn try_lock_shared_range(&self, _: Bound<u64>, _: Bound<u64>) -> std::result::Result<bool, BackendError> {
        Ok(true)
    }

    fn lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> std::result::Result<(), BackendError> {
        Ok(())
    }

    fn lock_shared_range(&self, _: Bound<u64>, _: Bound<u64>) -> std::result::Result<(), BackendError> {
        Ok(())
    }

    fn unlock_range(&self, _: Bound<u64>, _: Bound<u64>) -> std::result::Result<(), BackendError> {
        Ok(())
    }

    fn query_lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> std::result::Result<bool, BackendError> {
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Durability, Mutation, RedbStore, SyncStore};

    #[test]
    fn both_states_of_a_file_are_read_and_its_geometry_is_the_usual_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.redb");
        let store = RedbStore::open(&path).unwrap();
        for value in [b"1", b"2"] {
            store.apply(&[], &[Mutation::Put { key: b"a", value }], Durability::Durable).unwrap();
        }
        let bytes = std::fs::read(&path).unwrap();
        let geometry: Vec<u8> = GEOMETRY.iter().flat_map(|number| number.to_le_bytes()).collect();
        assert_eq!(bytes[GEOMETRY_AT..][..12], geometry);
        assert!(matches!(states(&path), Err(OpenError::Busy { .. })));
        let killed = directory.path().join("killed.redb");
        std::fs::write(&killed, &bytes).unwrap();
        let values: Vec<Vec<u8>> = states(&killed)
            .unwrap()
            .iter()
            .map(|(_, table)| redb::ReadableTable::get(table, &b"a"[..]).unwrap().unwrap().value().to_vec())
            .collect();
        assert_eq!(values, [b"2", b"1"]);
        assert!(std::fs::read(&killed).unwrap() == bytes);
        std::fs::write(&killed, &bytes[..100]).unwrap();
        assert!(states(&killed).unwrap().is_empty());
    }
}
