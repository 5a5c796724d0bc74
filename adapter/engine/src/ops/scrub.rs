//! Writes to scrubbed files: no secret gets into one, whole or in pieces.
//!
//! A secret can be completed by a write on either side of what is there already. So a write looks
//! at as many bytes before and behind its place as a secret may have, and masks those too that
//! belong to a secret which it would complete.

use super::write::At;
use crate::error::Result;
use crate::limits::MAX_FILE_BYTES;
use crate::types::{InodeNo, Kind};
use crate::volume::Volume;
use std::ops::Range;

/// Bytes that are looked through at once, in a file that is older than the policy: the largest
/// extent, so that no extent is written while a part of it was not looked at.
const STEP_BYTES: usize = 1 << 20;

impl Volume {
    /// As [`Volume::write`], for a scrubbed file. `data` is no longer than one write takes.
    pub(super) fn write_scrubbed(&mut self, ino: InodeNo, sync: bool, at: At, data: &[u8]) -> Result<usize> {
        self.look_through(ino)?;
        let size = self.begin()?.inode(ino)?.size;
        let offset = match at {
            At::Offset(offset) => offset,
            At::End => size,
        };
        let masked = self.begin()?.mask_write(ino, offset, data)?;
        let (bytes, before) = masked.with_neighbours();
        let start = offset.saturating_sub(before as u64);
        let mut done = 0;
        while let Some(rest) = bytes.get(done..).filter(|rest| !rest.is_empty()) {
            match self.write_piece(ino, sync, At::Offset(start.saturating_add(done as u64)), rest) {
                Ok(length) => done += length,
                Err(error) if done <= before => return Err(error),
                // Some bytes are written: the next call reports the error, if it lasts.
                Err(_) => break,
            }
        }
        Ok(done.saturating_sub(before).min(data.len()))
    }

    /// Masks the secrets of a file that was not scrubbed so far, or of which it is not known: it is
    /// older than the policy, or the image's. Afterwards it has none.
    ///
    /// A cut leaves the file masked up to some place. Whoever writes to it next looks through it
    /// from the start.
    ///
    /// # Cost
    /// Nothing for a file that was looked through before. Otherwise the file is read, and its
    /// secrets are written over.
    pub(crate) fn look_through(&mut self, ino: InodeNo) -> Result<()> {
        let number = self.scrubbing_number();
        let mut txn = self.begin()?;
        let inode = txn.inode(ino)?;
        if inode.kind != Kind::File || inode.clean_of == number {
            return Ok(());
        }
        for stretch in txn.stretches(ino)? {
            self.mask_stretch(ino, stretch)?;
        }
        if let Some(node) = self.cache.node_mut(ino) {
            // It is stored with the next change. Without one it is found out again.
            node.inode.clean_of = number;
        }
        Ok(())
    }

    /// Masks the secrets in a part of a file, step by step.
    fn mask_stretch(&mut self, ino: InodeNo, stretch: Range<u64>) -> Result<()> {
        // The end of the step before: as it was, because secrets may overlap, and as it is now.
        let (mut before, mut masked) = (Vec::new(), Vec::new());
        let mut at = stretch.start;
        while at < stretch.end {
            let start = at.saturating_sub(before.len() as u64);
            let length = STEP_BYTES.min(usize::try_from(stretch.end - at).unwrap_or(STEP_BYTES));
            let mut bytes = before;
            self.begin()?.peek(ino, at, length, &mut bytes)?;
            masked.extend_from_slice(bytes.get(masked.len()..).unwrap_or_default());
            let Some(secrets) = self.scrubbing.as_ref().map(|scrubbing| scrubbing.secrets()) else { break };
            let (found, kept) = (secrets.mask_as(&bytes, &mut masked), bytes.len().min(secrets.reach()));
            if let Some(found) = found {
                let mut at = start.saturating_add(found.start as u64);
                let mut rest = masked.get(found).unwrap_or_default();
                while !rest.is_empty() {
                    // The volume's limit may be younger than the file, which does not grow.
                    let length =
                        self.write_piece_below(MAX_FILE_BYTES, (ino, false), At::Offset(at), rest)?;
                    at = at.saturating_add(length as u64);
                    rest = rest.get(length..).unwrap_or_default();
                }
            }
            masked.drain(..masked.len() - kept);
            bytes.drain(..bytes.len() - kept);
            before = bytes;
            at = at.saturating_add(length as u64);
        }
        Ok(())
    }
}
