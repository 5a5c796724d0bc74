//! The dirty state of a volume, beside what the cache marks.

use crate::limits::MAX_FILE_BYTES;
use crate::stored::record::settings::SettingsRecord;
use crate::stored::record::superblock::Superblock;
use crate::types::{InodeNo, Timestamp};

/// The state that waits for the next commit, and the failure of the last one, if it failed.
pub(crate) struct Pending {
    /// The superblock of the next commit.
    pub(crate) superblock: Superblock,
    /// The largest file of the volume, in bytes, stored or not.
    pub(crate) max_file_bytes: u64,
    /// The number of dirty removals.
    pub(crate) removals: u32,
    /// The time of the oldest dirty change.
    pub(crate) since: Option<Timestamp>,
    /// The file of a write that waits for its bytes, and the time of the write.
    pub(crate) placing: Option<(InodeNo, Timestamp)>,
    /// The store was full at a commit, and no write was stored since.
    pub(crate) full: bool,
    /// The last commit failed, and no caller has been told.
    pub(crate) untold: bool,
}

impl Pending {
    /// Makes the state with nothing dirty: the next superblock is the stored one.
    pub(crate) fn nothing(superblock: Superblock, settings: &SettingsRecord) -> Self {
        let max_file_bytes = settings.max_file_bytes().unwrap_or(MAX_FILE_BYTES);
        Self {
            superblock,
            max_file_bytes,
            removals: 0,
            since: None,
            placing: None,
            full: false,
            untold: false,
        }
    }
}
