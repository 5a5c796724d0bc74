//! The stores by name.

mod fjall;
mod lmdb;
mod ours;
mod redb;
mod sabotage;
mod sabotaged;
mod sqlite;

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use kvfs_host::{StoreError, SyncStore};

use crate::{Trial, Tuning};

pub use sabotage::Sabotage;

/// A kind of store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `kvfs_host::RedbStore`, as it is.
    Redb,
    /// redb with values cut so that a value and its key fit a page.
    RedbCut,
    /// As [`Kind::RedbCut`], with quick repair.
    RedbQuick,
    /// As [`Kind::RedbCut`], open for other processes: each apply is durable.
    RedbShared,
    /// SQLite with pages of so many KiB.
    Sqlite(u32),
    /// LMDB. Applies that are not durable leave all syncing to the system.
    Lmdb,
    /// fjall, all values in its tables.
    Fjall,
    /// fjall, large values in files of their own.
    FjallBlobs,
    /// `kvfs_host::FileStore`, together with other openers.
    File,
    /// `kvfs_host::FileStore`, alone.
    FileAlone,
    /// A store that is sabotaged, to show that the torture notices.
    Sabotaged(Sabotage),
}

/// All kinds that are compared, in the order of the table.
pub const ALL: [Kind; 12] = [
    Kind::Redb,
    Kind::RedbCut,
    Kind::RedbQuick,
    Kind::RedbShared,
    Kind::Sqlite(4),
    Kind::Sqlite(16),
    Kind::Sqlite(32),
    Kind::Lmdb,
    Kind::Fjall,
    Kind::FjallBlobs,
    Kind::File,
    Kind::FileAlone,
];

const SABOTAGES: [(Sabotage, &str); 6] = [
    (Sabotage::RollsBack, "sabotaged-rolls-back"),
    (Sabotage::WrongByte, "sabotaged-wrong-byte"),
    (Sabotage::LosesKey, "sabotaged-loses-key"),
    (Sabotage::Panics, "sabotaged-panics"),
    (Sabotage::Aborts, "sabotaged-aborts"),
    (Sabotage::TearsApply, "sabotaged-tears-apply"),
];

impl Kind {
    /// Opens the store in a directory that is there, or makes one.
    ///
    /// # Errors
    /// What the library says.
    pub fn open(self, dir: &Path, tuning: Tuning) -> Result<Box<dyn Trial>, StoreError> {
        match self {
            Self::Redb => ours::redb(dir),
            Self::RedbCut => redb::open(dir, redb::Mode::Cut),
            Self::RedbQuick => redb::open(dir, redb::Mode::Quick),
            Self::RedbShared => redb::open(dir, redb::Mode::Shared),
            Self::Sqlite(page_kib) => sqlite::open(dir, page_kib),
            Self::Lmdb => lmdb::open(dir),
            Self::Fjall => fjall::open(dir, tuning, false),
            Self::FjallBlobs => fjall::open(dir, tuning, true),
            Self::File => ours::file(dir),
            Self::FileAlone => ours::file_alone(dir),
            Self::Sabotaged(sabotage) => sabotaged::open(dir, sabotage),
        }
    }

    /// Opens the store in a directory for reading only, beside a process that may have it open.
    ///
    /// # Errors
    /// What the library says.
    pub fn open_reader(self, dir: &Path, tuning: Tuning) -> Result<Box<dyn SyncStore>, StoreError> {
        match self {
            Self::Redb => ours::redb_reader(dir),
            Self::RedbCut => redb::open_reader(dir, redb::Mode::Cut),
            Self::RedbQuick => redb::open_reader(dir, redb::Mode::Quick),
            Self::RedbShared => redb::open_reader(dir, redb::Mode::Shared),
            Self::Sqlite(_) => sqlite::open_reader(dir),
            Self::Lmdb => lmdb::open_reader(dir),
            Self::Fjall => fjall::open_reader(dir, tuning, false),
            Self::FjallBlobs => fjall::open_reader(dir, tuning, true),
            Self::File | Self::FileAlone => ours::file_reader(dir),
            Self::Sabotaged(sabotage) => sabotaged::open_reader(dir, sabotage),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Redb => "redb",
            Self::RedbCut => "redb-cut",
            Self::RedbQuick => "redb-quick",
            Self::RedbShared => "redb-shared",
            Self::Sqlite(page_kib) => return write!(f, "sqlite-{page_kib}k"),
            Self::Lmdb => "lmdb",
            Self::Fjall => "fjall",
            Self::FjallBlobs => "fjall-blobs",
            Self::File => "file",
            Self::FileAlone => "file-alone",
            Self::Sabotaged(sabotage) => {
                SABOTAGES.iter().find(|(known, _)| known == sabotage).map_or("sabotaged", |(_, name)| name)
            }
        };
        f.write_str(name)
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let sabotaged = SABOTAGES.iter().map(|(sabotage, _)| Self::Sabotaged(*sabotage));
        ALL.into_iter().chain(sabotaged).find(|kind| kind.to_string() == name).ok_or_else(|| {
            let names: Vec<String> = ALL.iter().map(ToString::to_string).collect();
            format!("no store is named `{name}`; there are {}", names.join(", "))
        })
    }
}
