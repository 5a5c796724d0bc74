//! LMDB by heed: a tree in one file that is mapped into memory.

use std::path::Path;
use std::sync::Mutex;

use bytes::Bytes;
use heed::types::Bytes as Raw;
use heed::{CommitOrAbort, Database, Env, EnvFlags, EnvOpenOptions, MdbError, RoTxn, WithoutTls};
use kvfs_contract::{ScanBudget, gather, key_range};
use kvfs_host::{Durability, Entry, Guard, Limits, Mutation, StoreError, SyncStore};

use crate::Trial;
use crate::trial::{LIMITS, hold, io_error, lock, stored_key};

/// Addresses that the file may grow into. LMDB needs to know beforehand.
const MAP_BYTES: usize = 64 << 30;

type Entries = Database<'static, Raw, Raw>;

struct Lmdb {
    entries: Entries,
    env: Env<WithoutTls>,
    /// LMDB's lock is a process's, and one thread's at a time.
    writer: Mutex<()>,
}

struct Reader {
    entries: Entries,
    env: Env<WithoutTls>,
}

pub(super) fn open(dir: &Path) -> Result<Box<dyn Trial>, StoreError> {
    // Without it each apply would wait for the disk. A crash of the machine can then leave a file
    // that is no tree any more: the system may write the root before what it points to.
    let env = environment(dir, EnvFlags::NO_SYNC)?;
    let entries = env
        .create_databases_and_commit(env.write_txn().map_err(error)?, |opener, transaction| {
            opener.create_database::<Raw, Raw>(transaction, None).map(CommitOrAbort::<_, ()>::Commit)
        })
        .map_err(error)?
        .unwrap_commit();
    Ok(Box::new(Lmdb { entries, env, writer: Mutex::new(()) }))
}

pub(super) fn open_reader(dir: &Path) -> Result<Box<dyn SyncStore>, StoreError> {
    let env = environment(dir, EnvFlags::READ_ONLY)?;
    let entries = env
        .open_databases_and_commit(env.clone().read_txn().map_err(error)?, |opener, transaction| {
            opener.open_database::<Raw, Raw>(transaction, None).map(CommitOrAbort::<_, ()>::Commit)
        })
        .map_err(error)?
        .unwrap_commit()
        .ok_or_else(|| StoreError::Corrupt("no table of entries".into()))?;
    Ok(Box::new(Reader { entries, env }))
}

#[allow(unsafe_code, reason = "a mapped file must not be changed by others, which no program can promise")]
fn environment(dir: &Path, flags: EnvFlags) -> Result<Env<WithoutTls>, StoreError> {
    let mut options = EnvOpenOptions::new().read_txn_without_tls();
    options.map_size(MAP_BYTES);
    // SAFETY: the trial changes the files only while nothing has them open.
    unsafe { options.flags(flags).open(dir) }.map_err(error)
}

fn value(entries: &Entries, transaction: &RoTxn<'_>, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
    let found = entries.get(transaction, &stored_key(key)).map_err(error)?;
    Ok(found.map(Bytes::copy_from_slice))
}

fn get(entries: &Entries, env: &Env<WithoutTls>, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, StoreError> {
    LIMITS.check_get(keys)?;
    let transaction = env.read_txn().map_err(error)?;
    gather(keys, |key| value(entries, &transaction, key))
}

fn scan(
    entries: &Entries,
    env: &Env<WithoutTls>,
    start: &[u8],
    end: &[u8],
    mut budget: ScanBudget,
) -> Result<Vec<Entry>, StoreError> {
    let Some((from, to)) = key_range(start, end) else { return Ok(Vec::new()) };
    let (from, to) = (from.map(stored_key), to.map(stored_key));
    let range = (from.as_ref().map(Vec::as_slice), to.as_ref().map(Vec::as_slice));
    let transaction = env.read_txn().map_err(error)?;
    let mut page = Vec::new();
    for entry in entries.range(&transaction, &range).map_err(error)? {
        let (key, value) = entry.map_err(error)?;
        let key = key.get(1..).ok_or_else(|| StoreError::Corrupt("an empty key".into()))?;
        if !budget.take(key.len() + value.len()) {
            break;
        }
        page.push(Entry { key: Bytes::copy_from_slice(key), value: Bytes::copy_from_slice(value) });
    }
    Ok(page)
}

impl SyncStore for Lmdb {
    fn limits(&self) -> Result<Limits, StoreError> {
        Ok(LIMITS)
    }

    fn get(&self, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, StoreError> {
        get(&self.entries, &self.env, keys)
    }

    fn scan(&self, start: &[u8], end: &[u8], entries: u32, bytes: u32) -> Result<Vec<Entry>, StoreError> {
        scan(&self.entries, &self.env, start, end, ScanBudget::new(entries, bytes))
    }

    fn apply(
        &self,
        guards: &[Guard<'_>],
        mutations: &[Mutation<'_>],
        level: Durability,
    ) -> Result<(), StoreError> {
        LIMITS.check_apply(guards, mutations)?;
        let _writing = lock(&self.writer);
        let mut transaction = self.env.write_txn().map_err(error)?;
        hold(guards, |key| value(&self.entries, &transaction, key))?;
        for mutation in mutations {
            let key = stored_key(mutation.key());
            match mutation.value() {
                Some(value) => self.entries.put(&mut transaction, &key, value).map_err(error)?,
                None => drop(self.entries.delete(&mut transaction, &key).map_err(error)?),
            }
        }
        transaction.commit().map_err(error)?;
        if level == Durability::Durable {
            self.env.force_sync().map_err(error)?;
        }
        Ok(())
    }
}

impl Trial for Lmdb {
    fn close(self: Box<Self>) -> Result<(), StoreError> {
        self.env.force_sync().map_err(error)?;
        self.env.prepare_for_closing().wait();
        Ok(())
    }
}

impl SyncStore for Reader {
    fn limits(&self) -> Result<Limits, StoreError> {
        Ok(LIMITS)
    }

    fn get(&self, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, StoreError> {
        get(&self.entries, &self.env, keys)
    }

    fn scan(&self, start: &[u8], end: &[u8], entries: u32, bytes: u32) -> Result<Vec<Entry>, StoreError> {
        scan(&self.entries, &self.env, start, end, ScanBudget::new(entries, bytes))
    }

    fn apply(&self, _: &[Guard<'_>], _: &[Mutation<'_>], _: Durability) -> Result<(), StoreError> {
        Err(StoreError::ReadOnly)
    }
}

fn error(error: heed::Error) -> StoreError {
    match &error {
        heed::Error::Io(system) => io_error(system),
        heed::Error::Mdb(MdbError::MapFull) => StoreError::QuotaExceeded,
        heed::Error::Mdb(
            MdbError::Corrupted | MdbError::PageNotFound | MdbError::Invalid | MdbError::Panic,
        ) => StoreError::Corrupt(error.to_string()),
        _ => StoreError::Unavailable(error.to_string()),
    }
}
