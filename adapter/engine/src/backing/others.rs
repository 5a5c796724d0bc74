//! A volume whose others change it meanwhile: tools that give it other layers, and openers that take it over.

use super::chain::{self, Chain};
use super::doubt::{Resolved, State};
use super::known::Known;
use super::{Backing, MAX_READS, moving};
use crate::error::{Error, Result};
use crate::store::StoreError;
use crate::stored::record::superblock::Superblock;

impl Backing {
    pub(super) fn sees_now(&mut self) -> Result<bool> {
        let found = self.store.get(&[self.keys.superblock()])?.into_iter().next().flatten();
        self.sees(found.as_deref())
    }

    /// Returns whether the layers that were read are those of the volume, by a superblock that was
    /// read with them or after them. If a tool has given it others, these are read from now on; the
    /// next apply finds out too, and takes them over.
    pub(super) fn sees(&mut self, found: Option<&[u8]>) -> Result<bool> {
        let is_doubtful =
            |state: &State| matches!(state, State::InDoubt(doubt) if Some(doubt.value.as_slice()) == found);
        if found == Some(&self.committed_value)
            || found == self.read_by.as_deref()
            || is_doubtful(&self.state)
        {
            return Ok(true);
        }
        let key = self.keys.superblock().to_vec();
        let mut befores = vec![self.committed.clone()];
        if let State::InDoubt(doubt) = &self.state {
            befores.extend(Superblock::decode(&key, &doubt.value));
        }
        let changed =
            found.and_then(|found| befores.iter().find_map(|before| changed_by_tool(before, &key, found)));
        let Some(changed) = changed else {
            // What it holds may be freed at any moment.
            self.state = State::Fenced;
            return Err(Error::Fenced);
        };
        if let Some(chain) = chain::read_beside_others(&mut *self.store, &changed, &self.keys)? {
            self.go_on_in(&chain, changed.is_top_written());
            self.read_by = found.map(<[u8]>::to_vec);
        }
        Ok(false)
    }

    /// Finds out who changed the superblock, after an apply was refused. Fails in any case.
    #[cold]
    pub(super) fn find_who_came(&mut self) -> Result<()> {
        let key = self.keys.superblock().to_vec();
        for _ in 0..MAX_READS {
            let found = self.store.get(&[&key])?.into_iter().next().flatten();
            if found.as_deref() == Some(&self.committed_value) {
                return Err(Error::Store(StoreError::Conflict));
            }
            let Some(found) =
                found.as_deref().and_then(|found| changed_by_tool(&self.committed, &key, found))
            else {
                self.state = State::Fenced;
                return Err(Error::Fenced);
            };
            if self.take_over_layers(found)? {
                self.moved = true;
                return Err(Error::Store(StoreError::Conflict));
            }
        }
        Err(moving())
    }

    /// Goes on in the layers that the volume has now, after a change that this opener made to them as
    /// a tool does.
    pub(crate) fn follow(&mut self) -> Result<()> {
        let key = self.keys.superblock().to_vec();
        let found = self.store.get(&[&key])?.into_iter().next().flatten();
        if found.as_deref() == Some(&self.committed_value) {
            return Ok(());
        }
        match found.as_deref().and_then(|found| changed_by_tool(&self.committed, &key, found)) {
            // If it has others by now, the next apply finds out.
            Some(changed) => self.take_over_layers(changed).map(drop),
            None => {
                self.state = State::Fenced;
                Err(Error::Fenced)
            }
        }
    }

    /// Returns whether the last apply failed because a tool had changed the volume's layers. They
    /// are taken over: what was refused can be made anew for them.
    pub(crate) fn take_moved(&mut self) -> bool {
        std::mem::take(&mut self.moved)
    }

    /// Goes on in the layers that a tool has given the volume. What is in memory stays true: only
    /// where it lies in the store is another place. Returns whether it did: not if the volume has others
    /// by now.
    fn take_over_layers(&mut self, superblock: Superblock) -> Result<bool> {
        let Some(chain) = chain::read_beside_others(&mut *self.store, &superblock, &self.keys)? else {
            return Ok(false);
        };
        self.go_on_in(&chain, superblock.is_top_written());
        self.committed_value = superblock.encode(self.keys.superblock());
        self.committed = superblock;
        self.read_by = None;
        Ok(true)
    }

    /// Goes on in layers that a tool made, or this opener as one. `top_written`: the top one may hold records.
    fn go_on_in(&mut self, chain: &Chain, top_written: bool) {
        self.set_chain(chain);
        if let Some(known) = &mut self.known {
            known.follow(chain, top_written);
        }
    }

    /// Keeps in mind what it puts into these layers, and into those to come: for the volume's only writer.
    pub(crate) fn know_layers(&mut self, chain: &Chain) {
        let mut known = Known::default();
        known.follow(chain, self.committed.is_top_written());
        self.known = Some(known);
    }

    /// Asks the store for the superblock, which tells whether the doubtful apply took. Until then
    /// nothing in memory may change: what is dirty may be stored.
    pub(crate) fn resolve_doubt(&mut self) -> Result<Resolved> {
        let State::InDoubt(doubt) = &self.state else { return Ok(Resolved::NotApplied) };
        let doubtful = doubt.value.clone();
        let key = self.keys.superblock().to_vec();
        let found = self.store.get(&[&key])?.into_iter().next().flatten();
        let mut took = found.as_deref() == Some(&doubtful);
        let mut did_not = found.as_deref() == Some(&self.committed_value);
        let mut changed = None;
        if !took && !did_not {
            // A tool may have changed the layers since, of the one or the other.
            let change_of = |before: &[u8]| {
                changed_by_tool(&Superblock::decode(&key, before).ok()?, &key, found.as_deref()?)
            };
            let (of_doubtful, of_committed) = (change_of(&doubtful), change_of(&self.committed_value));
            (took, did_not) = (of_doubtful.is_some(), of_committed.is_some());
            changed = of_doubtful.or(of_committed);
        }
        if !took && !did_not {
            self.state = State::Fenced;
            return Err(Error::Fenced);
        }
        // If this fails, the doubt remains, and the store is asked again.
        if let Some(changed) = changed {
            if !self.take_over_layers(changed)? {
                return Err(Error::Store(StoreError::UnknownOutcome));
            }
        } else if took {
            self.committed = Superblock::decode(&key, &doubtful)?;
            self.committed_value = doubtful;
        }
        let State::InDoubt(doubt) = std::mem::replace(&mut self.state, State::Live) else {
            return Ok(Resolved::NotApplied);
        };
        if !took {
            return Ok(Resolved::NotApplied);
        }
        if let Some(settings) = doubt.settings {
            self.settings = settings;
        }
        // It may not be durable.
        self.unsynced = true;
        Ok(Resolved::Applied(doubt.completes))
    }
}

/// Returns the superblock that was found, if it is the one `before` but for its layers: then only a
/// tool has changed it.
fn changed_by_tool(before: &Superblock, key: &[u8], found: &[u8]) -> Option<Superblock> {
    let found = Superblock::decode(key, found).ok()?;
    let change = |superblock: &Superblock| superblock.layers.map_or(0, |layers| layers.change);
    let mut same = before.clone();
    same.set_layers(found.layers);
    (same == found && change(&found) != change(before)).then_some(found)
}
