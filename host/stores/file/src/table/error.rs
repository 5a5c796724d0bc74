//! Why a table could not be read or built.

use crate::directory::IoError;
use crate::names::table_name;
use kvfs_contract::StoreError;
use std::fmt;

/// Why a table could not be read or built.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum TableError {
    /// Its bytes are not those that were built. The segments still say everything, so the table can
    /// be built anew.
    Damaged {
        /// The number in the table's name.
        number: u64,
        /// The offset of the block that is damaged.
        at: u64,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The file could not be read or written.
    Io { number: u64, source: IoError },
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged { number, at, why } => {
                write!(f, "{} is damaged at byte {at}: {why}", table_name(*number))
            }
            Self::Io { number, .. } => write!(f, "cannot read or write {}", table_name(*number)),
        }
    }
}

impl std::error::Error for TableError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Damaged { .. } => None,
            Self::Io { source, .. } => Some(source),
        }
    }
}

impl From<TableError> for StoreError {
    fn from(error: TableError) -> Self {
        match error {
            TableError::Damaged { .. } => Self::Corrupt(error.to_string()),
            TableError::Io { number, source } => source.at(&table_name(number)),
        }
    }
}
