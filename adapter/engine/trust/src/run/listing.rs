//! Lists directories on both sides, in one go or step by step while they change.

use super::runner::Runner;
use super::slots::{Listing, at_dir, opened};
use crate::model::Id;
use crate::tree;
use std::collections::BTreeSet;

impl Runner {
    pub(super) fn list(&mut self, slot: usize) -> Result<bool, String> {
        let (descriptor, id) = at_dir!(self, slot);
        let found = tree::list(opened(&mut self.volume), descriptor);
        let found = found.map_err(|error| format!("listing: {error:?}"))?;
        let entries = self.model.entries(id).expect("a directory");
        let kind = |id: Id| self.model.object(id).kind();
        let expected: Vec<_> = entries.iter().map(|(name, id)| (name.clone(), kind(*id), *id)).collect();
        if found == expected { Ok(true) } else { Err(format!("listed {found:?}, expected {expected:?}")) }
    }

    pub(super) fn start_listing(&mut self, dir: usize, slot: usize) -> Result<bool, String> {
        self.end_listing(slot)?;
        let (descriptor, id) = at_dir!(self, dir);
        let stream = opened(&mut self.volume).read_directory(descriptor);
        let stream = stream.map_err(|error| format!("listing: {error:?}"))?;
        self.model.opened(id);
        let steady = self.model.entries(id).expect("a directory").clone();
        self.listings[slot] = Some(Listing { stream, dir: id, steady, seen: BTreeSet::new() });
        Ok(true)
    }

    pub(super) fn go_on_listing(&mut self, slot: usize, count: usize) -> Result<bool, String> {
        for _ in 0..count {
            let Some(listing) = &mut self.listings[slot] else { return Ok(false) };
            let entry = opened(&mut self.volume).next_entry(&mut listing.stream);
            match entry.map_err(|error| format!("listing: {error:?}"))? {
                Some(entry) => {
                    let entries = self.model.entries(listing.dir).expect("a directory");
                    if entries.get(&*entry.name) != Some(&entry.ino.0) {
                        return Err(format!("listed {entry:?}, which is not there now"));
                    }
                    if !listing.seen.insert(entry.name.to_string()) {
                        return Err(format!("listed {entry:?} twice"));
                    }
                }
                None => {
                    let missed = listing.steady.keys().find(|name| !listing.seen.contains(*name));
                    if let Some(missed) = missed {
                        return Err(format!("did not list {missed:?}"));
                    }
                    self.end_listing(slot)?;
                }
            }
        }
        Ok(true)
    }
}
