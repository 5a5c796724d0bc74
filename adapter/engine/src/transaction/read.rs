//! Reads the bytes of files.

use super::extents::{Part, parts, to_usize};
use super::txn::Txn;
use crate::bytes::{Sink, copy_out};
use crate::error::{Error, Result};
use crate::stored::record::inode::Content;
use crate::types::InodeNo;

impl Txn<'_> {
    /// Gives up to `length` bytes from `offset` on to `sink`, less only at the end of the file.
    pub(crate) fn read(
        &mut self,
        ino: InodeNo,
        offset: u64,
        length: usize,
        sink: &mut impl Sink,
    ) -> Result<()> {
        let extent_bytes = self.volume.backing.extent_bytes();
        let inode = self.inode(ino)?;
        let end = inode.size.min(offset.saturating_add(length as u64));
        if offset >= end {
            return Ok(());
        }
        sink.expect(to_usize(end - offset));
        if let Content::Inline(bytes) = &inode.content {
            copy_out(bytes, to_usize(offset), to_usize(end - offset), sink);
            return Ok(());
        }
        let (first, last) = (offset / extent_bytes, (end - 1) / extent_bytes);
        self.load_extents(ino, first, last, true)?;
        let Some(node) = self.volume.cache.node_mut(ino) else { return Ok(()) };
        for Part { index, within, length } in parts(offset, end, extent_bytes) {
            // Loaded above: nothing is evicted during an operation.
            let extent = node.used_extent(index).ok_or(Error::damaged("extent", ino.0, "not in memory"))?;
            copy_out(extent.data(), within, length, sink);
        }
        Ok(())
    }
}
