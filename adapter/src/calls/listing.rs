//! Listings.

use super::ListingNode;
use crate::audit;
use crate::bindings::exports::wasi::filesystem::types::{
    DirectoryEntry, ErrorCode, GuestDirectoryEntryStream,
};

impl GuestDirectoryEntryStream for ListingNode {
    fn read_directory_entry(&self) -> Result<Option<DirectoryEntry>, ErrorCode> {
        let entry = self.own.next();
        if let Some(seen) = &self.seen {
            seen.listed(&entry);
            audit::settle();
        }
        entry
    }
}
