//! Reading a store of which some values do not open.
//!
//! A check or a repair of a volume must go on behind a damaged value. The file system has checks of
//! its own for damaged records, so a value that does not open is handed out as an empty one, which
//! no record is. It is never handed out as it is: whoever wrote it may have written it so that the
//! file system's checksum, which needs no key, takes it for a record.

use crate::layout::{NAME_TAG_BYTES, split};
use kvfs_contract::StoreError;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// Most damaged values of which a salvage keeps track.
const MAX_DAMAGED: usize = 1 << 20;

/// The beginning of what stands for a name that does not open. No file has a `/` in its name.
const NO_NAME: &[u8] = b"/does-not-open/";

/// The values that did not open so far.
#[derive(Default)]
pub(crate) struct Damaged {
    located: BTreeSet<Vec<u8>>,
    /// Where entries whose name does not open lie, by the key that they were handed out under.
    nameless: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Damaged {
    /// Returns how many values did not open.
    pub(crate) fn count(&self) -> usize {
        self.located.len()
    }

    /// Notes a value that does not open, and returns the key to hand it out under. `key` is the
    /// stored one without the byte before it.
    ///
    /// # Errors
    /// `error` if there are too many.
    pub(crate) fn note(
        &mut self,
        located: &[u8],
        key: &[u8],
        error: StoreError,
    ) -> Result<Vec<u8>, StoreError> {
        if self.located.len() >= MAX_DAMAGED && !self.located.contains(located) {
            return Err(error);
        }
        self.located.insert(located.to_vec());
        let Some((group, tag)) = split(key) else { return Ok(key.to_vec()) };
        let stand_in = if tag.len() == NAME_TAG_BYTES {
            hex(tag)
        } else {
            // Not the length of a tag: the key below is damaged, too.
            hex(&Sha256::digest(located))
        };
        let handed_out = [group, NO_NAME, stand_in.as_bytes()].concat();
        self.nameless.insert(handed_out.clone(), located.to_vec());
        Ok(handed_out)
    }

    /// Returns where an entry lies that was handed out under a key that is not its own.
    pub(crate) fn located(&self, key: &[u8]) -> Option<&Vec<u8>> {
        self.nameless.get(key)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
