//! Closes descriptors.

use crate::descriptor::Descriptor;
use crate::error::Result;
use crate::options::Mode;
use crate::store::Durability;
use crate::types::{InodeNo, Kind};
use crate::volume::Volume;

impl Volume {
    /// Closes a descriptor. In mode `close`, a changed file is in the store when this returns.
    ///
    /// # Errors
    /// The commit's. The descriptor is closed all the same, and the changes stay dirty: the next
    /// commit carries them. A caller that cannot report the error passes it to
    /// [`Volume::tell_later`].
    ///
    /// # Cost
    /// One `apply` if the file has unstored changes, else nothing.
    pub fn close(&mut self, descriptor: Descriptor) -> Result<()> {
        let changed = self.release(&descriptor);
        if changed && self.options.mode == Mode::Close { self.commit(Durability::Buffered) } else { Ok(()) }
    }

    /// Closes a descriptor of [`Volume::reopen`]. Unlike [`Volume::close`], it stores the file only
    /// if this was its last descriptor: libc makes and drops a stream for each seek.
    ///
    /// # Errors
    /// As [`Volume::close`].
    pub fn close_stream(&mut self, descriptor: Descriptor) -> Result<()> {
        let last = self.cache.node(descriptor.ino).is_some_and(|node| node.open == 1);
        let changed = self.release(&descriptor);
        if changed && last && self.options.mode == Mode::Close {
            self.commit(Durability::Buffered)
        } else {
            Ok(())
        }
    }

    /// Returns whether the file has unstored changes.
    fn release(&mut self, descriptor: &Descriptor) -> bool {
        self.open_descriptors = self.open_descriptors.saturating_sub(1);
        self.places.forget(descriptor.place);
        let Some(node) = self.cache.node_mut(descriptor.ino) else { return false };
        node.open = node.open.saturating_sub(1);
        if node.inode.nlink == 0 {
            if node.open == 0 {
                self.remove_or_queue(descriptor.ino);
            }
            return false;
        }
        descriptor.kind == Kind::File && (node.dirty || node.dirty_extents > 0)
    }

    /// Removes an inode after its last close. If there is no room, a later commit does: a close
    /// must not fail for it.
    fn remove_or_queue(&mut self, ino: InodeNo) {
        if self.room.fits_removal(&self.cache.dirty) && self.backing.is_live() {
            self.destroy(ino)
        } else {
            self.orphans.queue.push_back(ino)
        }
    }
}
