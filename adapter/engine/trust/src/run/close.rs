//! Closes slots on both sides.

use super::answers::Check;
use super::runner::Runner;
use crate::store::Fault;
use kvfs::{Error, Mode};

impl Runner {
    pub(super) fn close_file(&mut self, slot: usize) -> Check {
        let Some(file) = self.files[slot].take() else { return Ok(()) };
        let named = self.model.object(file.id).nlink > 0;
        // The file is closed even if its changes could not be stored.
        if let Some(call) = self.closes_fail_at {
            self.store.set_fault(Fault::Unavailable, call, u64::MAX);
        }
        let outcome = self.volume().close(file.descriptor);
        if self.closes_fail_at.is_some() {
            self.store.clear_fault();
        }
        self.model.closed(file.id);
        if !self.hear(outcome).map_err(|error| format!("close: {error:?}"))? {
            return Ok(());
        }
        if self.setup.mode == Mode::Close
            && named
            && let Some(moment) = self.changed.get(&file.id).copied()
        {
            self.last_stored = self.last_stored.max(moment);
            self.changed.retain(|_, at| *at > moment);
        }
        Ok(())
    }

    pub(super) fn close_dir(&mut self, slot: usize) -> Check {
        let Some((descriptor, id)) = self.dirs[slot].take() else { return Ok(()) };
        let outcome = self.volume().close(descriptor);
        self.model.closed(id);
        self.hear(outcome).map(drop).map_err(|error| format!("close: {error:?}"))
    }

    /// Handles the outcome of a close: returns it, or leaves it to the volume to report later.
    /// Returns whether the close succeeded.
    pub(super) fn hear(&mut self, outcome: Result<(), Error>) -> Result<bool, Error> {
        if self.drops {
            let well = outcome.is_ok();
            self.volume().tell_later(outcome);
            return Ok(well);
        }
        outcome.map(|()| true)
    }

    pub(super) fn end_listing(&mut self, slot: usize) -> Check {
        let Some(listing) = self.listings[slot].take() else { return Ok(()) };
        let outcome = self.volume().close_directory(listing.stream);
        self.model.closed(listing.dir);
        self.hear(outcome).map(drop).map_err(|error| format!("close listing: {error:?}"))
    }

    /// Forgets names that were removed or replaced: a listing need not show them any more.
    pub fn watch_listings(&mut self) {
        for listing in self.listings.iter_mut().flatten() {
            let entries = self.model.entries(listing.dir).expect("a directory");
            listing.steady.retain(|name, id| entries.get(name) == Some(id));
        }
    }
}
