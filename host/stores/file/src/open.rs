//! Opens a directory: claims the next epoch, takes the store from older openers, and reads what they
//! left.

use crate::chain::{Older, Read, read_chain};
use crate::directory::{Directory, File, IoError};
use crate::known::{Known, Tail};
use crate::lease::{Lease, names, next_epoch, remove};
use crate::list::List;
use crate::log::{Log, Retired, State, list};
use crate::mark::{Marker, check, read_marks};
use crate::names::{Name, lease_name, segment_name};
use crate::options::Options;
use crate::own::{NotBegun, Own};
use crate::record::{Builder, HEADER_BYTES};
use crate::reserve;
use crate::salt::Salt;
use crate::small::Small;
use crate::table::Cache;
use crate::usage::Used;
use kvfs_contract::StoreError;

/// How often opening starts anew because another program opened the store at the same time.
const MAX_ATTEMPTS: u32 = 16;

/// How often an opener waits for another one that is about to begin, and how often for all that come
/// one after another. One that was killed meanwhile never begins.
const MAX_WAITS_FOR_ONE: u32 = 14;
const MAX_WAITS: u32 = 64;

/// The result of an attempt to open.
enum Attempt<T> {
    Done(T),
    /// A newer opener came between.
    Overtaken,
}

/// An open store.
pub(crate) struct Taken<D: Directory> {
    pub(crate) log: Log<D>,
    /// Changes for the index that the opener has from its last turn; the log's own is empty unless there
    /// are none.
    pub(crate) tails: Vec<Tail>,
}

/// Takes the store, from another opener if there is one. `known` is what the opener knows from its
/// last turn.
///
/// Another opener that has claimed an epoch, and not begun its segment, is let go first: it reads more
/// than one that only takes another turn. It is waited for no longer than an opening mostly takes. One that
/// needs longer, and so is overtaken, reads only what was appended since when it tries again: otherwise it
/// would never be done beside one that writes all the time.
pub(crate) fn take<D: Directory + Clone>(
    directory: &D,
    options: Options,
    known: Option<&Known>,
) -> Result<Taken<D>, StoreError> {
    let mut left = None;
    let mut attempt = || attempt(directory, options, known, &mut left);
    for number in 0..MAX_ATTEMPTS {
        let_begin(directory)?;
        let mut attempted = attempt();
        if matches!(attempted, Err(StoreError::QuotaExceeded)) {
            attempted = reserve::without(directory, options.reserve_bytes, &mut attempt);
        }
        if let Attempt::Done(taken) = attempted? {
            return Ok(*taken);
        }
        directory.pause(number);
    }
    Err(StoreError::Unavailable(
        "other programs keep opening the store; try again when it is less busy".into(),
    ))
}

/// Waits for those who are about to begin a segment, as long as that may take.
fn let_begin<D: Directory>(directory: &D) -> Result<(), StoreError> {
    let (mut awaited, mut waits) = (None, 0);
    for _ in 0..MAX_WAITS {
        let names = names(directory)?;
        let newest_lease =
            names.iter().filter(|name| matches!(name, Name::Lease(_))).map(|name| name.epoch()).max();
        let newest_segment = names.iter().copied().filter_map(Name::segment).max();
        let Some(claimed) = newest_lease.filter(|&lease| Some(lease) > newest_segment) else { break };
        if awaited != Some(claimed) {
            (awaited, waits) = (Some(claimed), 0);
        } else if waits == MAX_WAITS_FOR_ONE {
            break;
        }
        directory.pause(waits);
        waits += 1;
    }
    Ok(())
}

/// Tries to take the store. `left` is what an attempt before had read when it was overtaken.
fn attempt<D: Directory + Clone>(
    directory: &D,
    options: Options,
    known: Option<&Known>,
    left: &mut Option<Read<D::File>>,
) -> Result<Attempt<Box<Taken<D>>>, StoreError> {
    let epoch = next_epoch(directory)?;
    let Some(lease) = Lease::claim(directory, epoch)? else { return Ok(Attempt::Overtaken) };
    let opened = attempt_with(directory, options, lease, known, left);
    if opened.is_err() {
        // Nobody misses the lease: it only kept others from this attempt.
        let _ = remove(directory, &lease_name(epoch));
    }
    opened
}

/// Opens with a lease of its own.
fn attempt_with<D: Directory + Clone>(
    directory: &D,
    options: Options,
    lease: Lease<D::File>,
    known: Option<&Known>,
    left: &mut Option<Read<D::File>>,
) -> Result<Attempt<Box<Taken<D>>>, StoreError> {
    let epoch = lease.epoch;
    lease.revoke_older(directory)?;

    // Segments are read only now, when their writers acknowledge nothing any more.
    let names = names(directory)?;
    let mut segments: Vec<u64> = names.iter().copied().filter_map(Name::segment).collect();
    segments.sort_unstable();
    if segments.last().is_some_and(|&last| last >= epoch) {
        return Ok(Attempt::Overtaken);
    }
    let marks = read_marks(directory, &names)?;
    let cache = Cache::new(options.max_cache_bytes);
    let known_from_left = left.as_ref().and_then(Read::known);
    let known = known_from_left.as_ref().or(known);
    let read = read_chain(directory, &segments, &marks, &cache, known).and_then(|read| {
        if !options.accept_loss {
            check(&marks, &read.accepted())?;
        }
        Ok(read)
    });
    let read = match read {
        Ok(read) if known_from_left.is_some() => read.behind(left.take()),
        Ok(read) => read,
        // A newer opener may have removed the missing file.
        Err(_) if !lease.is_held()? => return Ok(Attempt::Overtaken),
        Err(error) => return Err(error),
    };
    if let Some(last) = read.older.last() {
        settle_end(last)?;
    }
    let older = read.older.iter().map(Older::part);
    let collected = read.collected.clone();
    let list = List { collected: collected.clone(), ..list(older, &read.covered, read.tables()) };
    let own = match Own::begin(directory, lease, &list, 0) {
        Ok(own) => own,
        Err(NotBegun::Exists) => {
            *left = Some(read);
            return Ok(Attempt::Overtaken);
        }
        Err(NotBegun::Undone(error) | NotBegun::Unknown(error)) => return Err(error),
    };
    if !own.lease.is_held()? {
        *left = Some(read);
        return Ok(Attempt::Overtaken);
    }
    if read.older.last().is_some_and(|last| last.salt == Salt::NONE) {
        // If a crash tore the first start with a salt, its segment would look like the older ones.
        own.file.sync().map_err(|error| error.at(&segment_name(epoch)))?;
    }
    let mut marker = Marker::new(&names);
    if options.accept_loss && check(&marks, &read.accepted()).is_err() {
        marker.forget(directory)?;
    }
    // Openers from here on find the start above and build on the segments it lists. The others go
    // once the start is durable: a crash that loses it may make one of them count again.
    let counts = |name: &Name| match *name {
        Name::Segment(epoch) => list.segments.iter().any(|listed| listed.epoch == epoch),
        Name::Table(epoch) => list.tables.iter().any(|listed| listed.epoch == epoch),
        Name::Lease(_) | Name::Mark(_) => true,
    };
    let retired = names.into_iter().filter(|name| !counts(name));
    let retired = retired.map(|name| Retired { name, bytes: 0 }).collect();
    let mut index = read.index;
    index.usage.enter(own.lease.epoch, Used::default());
    let [seed, _] = own.salt.to_numbers();
    index.small = Small::seeded(seed);
    let log = Log {
        directory: directory.clone(),
        own,
        marker,
        older: read.older,
        behind: None,
        retired,
        unused: Vec::new(),
        collected,
        new_names: true,
        index,
        covered: read.covered,
        replay_bytes: read.replay_bytes,
        rebuilt: u64::from(read.rebuilt),
        state: State::Writable,
        collect_at_bytes: 0,
        collect_at_activity: 0,
        appended_bytes: 0,
        roll_at_bytes: 0,
        checkpoint_at_bytes: 0,
        checkpoint_retry_bytes: 0,
        stays: Vec::new(),
        in_turns: false,
        moving: None,
        making: None,
        emptied: Vec::new(),
        reserve_bytes: options.reserve_bytes,
        reserve_is_kept: false,
        builder: Builder::new(),
        full_until_live_bytes: None,
        // A loss later on, which a turn taken back would find, was accepted by nobody.
        options: Options { accept_loss: false, ..options },
    };
    Ok(Attempt::Done(Box::new(Taken { log, tails: read.tails })))
}

/// Makes what lies behind the end of the newest segment stay as it was read. A record that was
/// written there and taken back would otherwise count again after a crash that keeps the one write
/// and loses the other, behind everything that is built on the segment now.
fn settle_end<F: File>(last: &Older<F>) -> Result<(), StoreError> {
    let at = |error: IoError| error.at(&segment_name(last.epoch));
    let size = last.file.status().map_err(at)?.size_bytes;
    let is_note =
        last.durable_bytes == last.accepted_bytes && size <= last.accepted_bytes + HEADER_BYTES as u64;
    if size > last.accepted_bytes && !is_note { last.file.sync().map_err(at) } else { Ok(()) }
}
