//! What is known of a volume as a whole.

use std::time::Instant;

use bytes::Bytes;
use kvfs::frozen::{self, Top};

use crate::top_keys::TopKeys;

/// A volume whose superblock was read or written.
#[derive(Debug)]
pub(crate) struct Volume {
    /// Another one after each begin and end of an apply that changes the superblock: what was read
    /// meanwhile may be older than what is known.
    pub(crate) version: u64,
    /// Applies under way that change the superblock.
    pub(crate) in_flight: u32,
    /// The superblock, and since when the store is known to have it.
    pub(crate) superblock: Option<(Bytes, Instant)>,
    /// How many reads of layers are covered by the last look at the superblock.
    pub(crate) checked: u64,
    /// The top layer, if it was empty when the superblock was seen first.
    pub(crate) top: Option<TopKeys>,
}

impl Volume {
    pub(crate) fn new(version: u64) -> Self {
        Self { version, in_flight: 0, superblock: None, checked: 0, top: None }
    }

    /// Takes note of a superblock that the store had after `begun`.
    ///
    /// `follows` says that it came to be from the one that is known, by a writer whose changes are all
    /// known.
    pub(crate) fn saw(&mut self, key: &[u8], superblock: &[u8], begun: Instant, follows: bool) {
        let is_known = self.superblock.as_ref().is_some_and(|(known, _)| *known == superblock);
        if !is_known {
            let top = frozen::top(key, superblock);
            let stays = |keys: &TopKeys| follows && top.as_ref().is_some_and(|top| top.layer == keys.layer);
            if !self.top.as_ref().is_some_and(stays) {
                self.top = top.filter(|top| !top.is_written).map(|Top { layer, .. }| TopKeys::none(layer));
            }
        }
        let superblock = match self.superblock.take() {
            Some((known, _)) if is_known => known,
            _ => Bytes::copy_from_slice(superblock),
        };
        self.superblock = Some((superblock, begun));
    }

    /// Forgets what others may have changed.
    pub(crate) fn forget(&mut self) {
        self.superblock = None;
        self.top = None;
    }
}
