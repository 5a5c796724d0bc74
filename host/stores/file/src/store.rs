//! The open store and its calls.

use crate::behind;
use crate::checkpoint;
use crate::collect;
use crate::directory::Directory;
use crate::gradual;
use crate::log::{Log, State};
use crate::open;
use crate::options::Options;
use crate::remedy::with_remedy;
use crate::roll;
use crate::turn::{self, Fate};
use kvfs_contract::{Durability, Entry, Guard, KvStore, Limits, Mutation, ScanBudget, StoreError, gather};
use std::fmt;

/// What an opening after an orderly end may have to replay, about.
const MAX_REPLAY_AT_END_BYTES: u64 = 256 << 10;

/// How often a change is tried again because another opener took the store meanwhile.
const MAX_TURNS: u32 = 16;

/// How often a change that finds no room collects and is tried again. Once is nearly always enough:
/// a second time, another program took the room.
const MAX_ROUNDS_FOR_ROOM: u32 = 4;

const LIMITS: Limits = Limits::standard(true);

/// A key-value store in a directory.
///
/// [`KvStore`] is its contract. The functions below have no limits but those of the format: keys of
/// 64 KiB, and 16 MiB for a value and for all changes of one call.
///
/// # Several at once
///
/// Programs take turns: whoever changes something takes the store from the others, with everything
/// that was acknowledged to them. Guards are checked against that. Reads take no turn, and see all
/// that was acknowledged before they began.
pub struct FileStore<D: Directory>(pub(crate) Log<D>);

impl<D: Directory + Clone> FileStore<D> {
    /// Opens the store in a directory, or makes one where there is none.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] if something durable is missing; nothing but leases has changed
    /// then.
    ///
    /// # Cost
    ///
    /// Opens each segment and table, and reads the keys that no table has, and the values that were
    /// not durable.
    pub fn open(directory: D) -> Result<Self, StoreError> {
        Self::open_with(directory, Options::default())
    }

    /// As [`FileStore::open`], with other options.
    ///
    /// # Errors
    ///
    /// As [`FileStore::open`].
    pub fn open_with(directory: D, options: Options) -> Result<Self, StoreError> {
        let mut log = open::take(&directory, options, None)?.log;
        roll::keep_reserve(&mut log);
        gradual::at_opening(&mut log);
        collect::at_opening(&mut log);
        Ok(Self(log))
    }

    /// Returns the value of a key.
    ///
    /// # Cost
    ///
    /// One look at the lease, or two behind another opener, with reads of what that one appended. One
    /// read of a file; none for a small value that was used before. For a key without recent
    /// changes, also a read of each table until one has it, unless the blocks are in memory.
    pub fn value(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.catch_up()?;
        self.value_of(key)
    }

    /// Takes in what others did, if the store is had together with them.
    fn catch_up(&mut self) -> Result<(), StoreError> {
        if self.0.options.alone { Ok(()) } else { behind::catch_up(&mut self.0) }
    }

    fn value_of(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        if let Some(value) = self.0.index.small.get(key) {
            return Ok(Some(value.to_vec()));
        }
        self.ask(|log| {
            let Some(location) = log.index.find(key)? else { return Ok(None) };
            let value = log.read(&location)?;
            log.index.small.keep(key, &value);
            Ok(Some(value))
        })
    }

    /// Returns entries with `start <= key < end` in order while `take` accepts the sum of the
    /// lengths of key and value; an empty `end` is the end of the store.
    ///
    /// # Cost
    ///
    /// As [`FileStore::value`] for each entry.
    pub fn page(
        &mut self,
        start: &[u8],
        end: &[u8],
        mut take: impl FnMut(usize) -> bool,
    ) -> Result<Vec<Entry<Vec<u8>>>, StoreError> {
        self.catch_up()?;
        let (mut page, mut next, mut done) = (Vec::new(), start.to_vec(), false);
        self.ask(|log| {
            // Goes on behind what was taken if the index was made anew meanwhile.
            let from = next.clone();
            for found in log.index.range(&from, end)? {
                let (key, location) = found?;
                done = done || !take(key.len() + location.length as usize);
                if done {
                    break;
                }
                let value = match log.index.small.peek(&key) {
                    Some(value) => value.to_vec(),
                    None => log.read(&location)?,
                };
                next.clone_from(&key);
                next.push(0);
                page.push(Entry { key, value });
            }
            Ok(())
        })?;
        Ok(page)
    }

    /// Asks, and asks once more if a table turned out damaged: the segments have all of it.
    fn ask<T>(&mut self, mut ask: impl FnMut(&mut Log<D>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        if self.0.index.is_damaged() {
            checkpoint::rebuild(&mut self.0)?;
        }
        match ask(&mut self.0) {
            // Nothing was changed: locations are found before anything is written.
            Err(_) if self.0.index.is_damaged() => {
                checkpoint::rebuild(&mut self.0)?;
                ask(&mut self.0)
            }
            result => result,
        }
    }

    /// Applies all mutations if all guards hold, or changes nothing. Without mutations and at level
    /// [`Durability::Durable`] it makes everything applied before durable.
    ///
    /// # Durability
    ///
    /// Everything acknowledged survives the end of the process. A crash of the machine loses at
    /// most a suffix after the last durable apply.
    ///
    /// # Errors
    ///
    /// After [`StoreError::UnknownOutcome`] the call may have been applied; after any other error
    /// it was not. [`StoreError::Unavailable`] if other openers change the store again and again
    /// meanwhile. On a full disk, a call that removes more bytes than it puts works as long as
    /// there is a reserve.
    ///
    /// # Cost
    ///
    /// One write and two looks at the lease; if durable, also a sync of each file that is not yet
    /// durable, and a write of 64 bytes that nobody waits for. Looks up each key. A call may end with
    /// a step of a checkpoint, in proportion to what was changed, or with copies of values to free the
    /// space of others: 128 KiB, or four times what the call wrote.
    pub fn change(
        &mut self,
        guards: &[Guard<&[u8]>],
        mutations: &[Mutation<&[u8]>],
        level: Durability,
    ) -> Result<(), StoreError> {
        let appended_before = self.0.appended_bytes;
        if !guards.is_empty() || !mutations.is_empty() {
            self.in_turn_with_room(guards, mutations)?;
        } else if let State::Broken(why) = &self.0.state {
            return Err(StoreError::Unavailable(why.clone()));
        } else {
            // What others did before this call becomes durable too.
            self.catch_up()?;
        }
        if level == Durability::Durable {
            self.0.sync()?;
        }
        if !self.0.is_writable() {
            return Ok(());
        }
        gradual::if_due(&mut self.0);
        roll::if_due(&mut self.0);
        let written_bytes = self.0.appended_bytes.saturating_sub(appended_before);
        collect::if_due(&mut self.0, written_bytes);
        // A failure takes the right to write; the next call says so.
        let _ = collect::drop_retired_if_due(&mut self.0);
        Ok(())
    }

    /// As [`Self::in_turn`], and collects what was removed before as long as there is no room and
    /// that makes some.
    fn in_turn_with_room(
        &mut self,
        guards: &[Guard<&[u8]>],
        mutations: &[Mutation<&[u8]>],
    ) -> Result<(), StoreError> {
        let bytes = mutations.iter().map(Mutation::size_bytes).sum::<usize>() as u64;
        for _ in 0..MAX_ROUNDS_FOR_ROOM {
            match self.in_turn(guards, mutations) {
                Err(StoreError::QuotaExceeded) if collect::made_room(&mut self.0, bytes) => {}
                done => return done,
            }
        }
        self.in_turn(guards, mutations)
    }

    /// Checks the guards and appends when it is this opener's turn, and makes it so.
    fn in_turn(&mut self, guards: &[Guard<&[u8]>], mutations: &[Mutation<&[u8]>]) -> Result<(), StoreError> {
        for number in 0..MAX_TURNS {
            match self.0.state {
                State::Writable => {}
                State::Broken(ref why) => return Err(StoreError::Unavailable(why.clone())),
                State::Fenced(doubtful) => {
                    // The record in doubt is this call's unless an earlier call said so already.
                    let in_doubt = number > 0 && doubtful.is_some();
                    if self.0.options.alone && !in_doubt {
                        return Err(StoreError::Unavailable("another program has opened the store".into()));
                    } else if self.0.options.alone {
                        return Err(StoreError::UnknownOutcome);
                    }
                    match turn::take_back(&mut self.0) {
                        Ok(Some(Fate::Counts)) if in_doubt => return Ok(()),
                        Ok(Some(Fate::Unknown)) if in_doubt => return Err(StoreError::UnknownOutcome),
                        Err(_) if in_doubt => return Err(StoreError::UnknownOutcome),
                        Err(error) => return Err(error),
                        Ok(_) => {}
                    }
                }
            }
            let result = self.ask(|log| attempt(log, guards, mutations));
            if !matches!(self.0.state, State::Fenced(_)) {
                return result;
            }
            self.0.directory.pause(number);
        }
        Err(match self.0.state {
            State::Fenced(Some(_)) => StoreError::UnknownOutcome,
            _ => StoreError::Unavailable("other programs keep changing the store; try again".into()),
        })
    }

    /// Makes everything durable, with less garbage, and with a checkpoint if the next opening gains
    /// by it. The store can be used on.
    ///
    /// # Cost
    ///
    /// Up to eight copies of a segment, the table of a checkpoint, and the syncs.
    ///
    /// # Errors
    ///
    /// As [`FileStore::change`].
    pub fn end(&mut self) -> Result<(), StoreError> {
        if self.0.is_writable() && !self.0.index.is_damaged() {
            gradual::finish(&mut self.0);
            collect::at_end(&mut self.0);
        }
        let replays_much = self.0.replay_bytes > MAX_REPLAY_AT_END_BYTES && self.0.index.recent_changes() > 0;
        if replays_much && self.0.is_writable() {
            // Without it the next opening takes longer, and is as good.
            let _ = checkpoint::checkpoint(&mut self.0);
        }
        self.change(&[], &[], Durability::Durable)
    }

    /// Returns whether no other opener has taken the store since.
    ///
    /// # Errors
    ///
    /// The directory's.
    pub fn is_held(&self) -> Result<bool, StoreError> {
        self.0.own.lease.is_held()
    }

    /// Returns the bytes of all segments of the store.
    pub fn size_bytes(&self) -> u64 {
        self.0.size_bytes()
    }

    /// Returns how often the index was made anew because a table was missing or damaged. That takes
    /// long and loses nothing.
    pub fn rebuilt(&self) -> u64 {
        self.0.rebuilt
    }
}

/// Checks the guards and appends. Another opener may have the store instead: the state says so then,
/// and the result means nothing.
fn attempt<D: Directory>(
    log: &mut Log<D>,
    guards: &[Guard<&[u8]>],
    mutations: &[Mutation<&[u8]>],
) -> Result<(), StoreError> {
    let mut all_hold = true;
    for guard in guards {
        all_hold = all_hold && holds(log, guard)?;
    }
    if all_hold && !mutations.is_empty() {
        return log.append(mutations);
    }
    // What was compared is the store's state as long as nobody else has taken it.
    if !log.own.lease.is_held()? {
        log.state = State::Fenced(None);
    }
    if all_hold { Ok(()) } else { Err(StoreError::Conflict) }
}

fn holds<D: Directory>(log: &mut Log<D>, guard: &Guard<&[u8]>) -> Result<bool, StoreError> {
    if let Some(value) = log.index.small.get(guard.key) {
        return Ok(guard.holds(Some(value)));
    }
    match (log.index.find(guard.key)?, guard.expected) {
        (None, None) => Ok(true),
        // A read is needed only if the lengths are equal.
        (Some(location), Some(expected)) if location.length as usize == expected.len() => {
            let value = log.read(&location)?;
            log.index.small.keep(guard.key, &value);
            Ok(guard.holds(Some(&value)))
        }
        _ => Ok(false),
    }
}

impl<D: Directory + Clone> KvStore for FileStore<D> {
    fn limits(&mut self) -> Result<Limits, StoreError> {
        Ok(LIMITS)
    }

    fn get(&mut self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        LIMITS.check_get(keys)?;
        self.catch_up().map_err(with_remedy)?;
        gather(keys, |key| self.value_of(key)).map_err(with_remedy)
    }

    fn scan(
        &mut self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry<Vec<u8>>>, StoreError> {
        let mut page = ScanBudget::new(max_entries, max_bytes);
        self.page(start, end, |entry_bytes| page.take(entry_bytes)).map_err(with_remedy)
    }

    fn apply(
        &mut self,
        guards: &[Guard<&[u8]>],
        mutations: &[Mutation<&[u8]>],
        level: Durability,
    ) -> Result<(), StoreError> {
        LIMITS.check_apply(guards, mutations)?;
        self.change(guards, mutations, level).map_err(with_remedy)
    }
}

impl<D: Directory + fmt::Debug> fmt::Debug for FileStore<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileStore").field("directory", &self.0.directory).finish_non_exhaustive()
    }
}
