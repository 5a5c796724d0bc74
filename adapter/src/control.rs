//! `kvfs:volume/control`: snapshots and forks that the guest asks for.

use crate::adapter::Adapter;
use crate::audit;
use crate::bindings::exports::kvfs::volume::control::{
    Aspects, Change, Difference, Entry, Error, Guest, Kind, Page, Renaming,
};
use crate::codes::to_code;
use crate::config;
use crate::table;
use kvfs::own::{self, OwnError};
use kvfs::volumes::{self, Changed, What};
use kvfs::{Code, Mounts};
use std::cell::RefCell;

/// Most differences of one answer.
const MAX_PAGE_DIFFERENCES: usize = 1024;

/// Differences that were found, and not all told yet.
struct Found {
    mount: String,
    since: String,
    differences: Vec<volumes::Difference>,
}

thread_local! {
    static FOUND: RefCell<Option<Found>> = const { RefCell::new(None) };
}

/// Makes a call, with an event for the audit log.
fn call<T>(
    (op, is_change): (&'static str, bool),
    (mount, name): (&str, &str),
    call: impl FnOnce(&mut Mounts) -> Result<T, OwnError>,
) -> Result<T, Error> {
    let refused = if is_change { audit::refusal_of_control() } else { None };
    let outcome = match refused {
        Some(error) => Err(OwnError::Failed(error)),
        // What the call itself says is kept beside what the table says.
        None => match table::with(|mounts| Ok(call(mounts))) {
            Ok(outcome) => outcome,
            Err(error) => Err(OwnError::Failed(error)),
        },
    };
    let result = outcome.as_ref().map_or_else(word, |_| "ok");
    audit::control((op, is_change), (mount, name), result);
    outcome.map_err(|error| to_error(&error))
}

/// The result of a call that failed, as the log has it.
fn word(error: &OwnError) -> &'static str {
    match error {
        OwnError::NoMount => "no-mount",
        OwnError::NoVolume => "no-volume",
        OwnError::HasRules => "not-permitted",
        OwnError::Name => "bad-name",
        OwnError::TooMany => "too-many",
        OwnError::TooDifferent => "too-different",
        OwnError::Open => "busy",
        OwnError::Failed(error) => to_code(error).name(),
        _ => "failed",
    }
}

fn to_error(error: &OwnError) -> Error {
    match error {
        OwnError::NoMount => Error::NoMount,
        OwnError::NoVolume => Error::NoVolume,
        OwnError::HasRules => Error::NotPermitted,
        OwnError::Name => Error::BadName,
        OwnError::TooMany => Error::TooMany,
        OwnError::TooDifferent => Error::TooDifferent,
        OwnError::Open => Error::Busy,
        OwnError::Failed(kvfs::Error::Fenced) => Error::Replaced,
        OwnError::Failed(failed) => match failed.code() {
            Code::NoEntry => Error::NoEntry,
            Code::Exist => Error::Exist,
            Code::ReadOnly => Error::ReadOnly,
            Code::InsufficientSpace | Code::Quota => Error::InsufficientSpace,
            _ => Error::Failed(failed.to_string()),
        },
        other => Error::Failed(other.to_string()),
    }
}

/// How many snapshots and forks a volume may have.
fn max_volumes() -> u32 {
    config::get().map_or(0, |config| config.max_own_volumes)
}

impl Guest for Adapter {
    fn commit(mount: String) -> Result<(), Error> {
        call(("volume-commit", false), (&mount, ""), |mounts| own::commit(mounts, &mount))
    }

    fn snapshot(mount: String, name: String) -> Result<(), Error> {
        let take = |mounts: &mut Mounts| own::snapshot(mounts, &mount, &name, max_volumes());
        call(("volume-snapshot", true), (&mount, &name), take)
    }

    fn fork(mount: String, name: String) -> Result<(), Error> {
        let take = |mounts: &mut Mounts| own::fork(mounts, &mount, &name, max_volumes());
        call(("volume-fork", true), (&mount, &name), take)
    }

    fn restore(mount: String, name: String) -> Result<(), Error> {
        call(("volume-restore", true), (&mount, &name), |mounts| own::restore(mounts, &mount, &name))
    }

    fn remove(mount: String, name: String) -> Result<(), Error> {
        call(("volume-remove", true), (&mount, &name), |mounts| own::remove(mounts, &mount, &name))
    }

    fn entries(mount: String) -> Result<Vec<Entry>, Error> {
        let found = call(("volume-entries", false), (&mount, ""), |mounts| own::entries(mounts, &mount))?;
        let entry = |own: own::OwnVolume| Entry {
            name: own.name,
            writable: own.writable,
            used_bytes: own.used_bytes,
        };
        Ok(found.into_iter().map(entry).collect())
    }

    fn diff(mount: String, since: String, start: u64) -> Result<Page, Error> {
        // Until it is told whole, it is kept: comparing anew for each page would cost the square.
        let kept = FOUND.take().filter(|found| start > 0 && found.mount == mount && found.since == since);
        let found = match kept {
            Some(found) => found,
            None => {
                let differences = call(("volume-diff", false), (&mount, &since), |mounts| {
                    own::diff(mounts, &mount, &since)
                })?;
                Found { mount, since, differences }
            }
        };
        let start = usize::try_from(start).unwrap_or(usize::MAX);
        let rest = found.differences.get(start..).unwrap_or_default();
        let (told, more) = rest.split_at_checked(MAX_PAGE_DIFFERENCES).unwrap_or((rest, &[]));
        let page = Page { differences: told.iter().map(to_difference).collect(), more: !more.is_empty() };
        if page.more {
            FOUND.set(Some(found));
        }
        Ok(page)
    }
}

fn to_difference(found: &volumes::Difference) -> Difference {
    let kind = match found.kind {
        kvfs::Kind::File => Kind::File,
        kvfs::Kind::Directory => Kind::Directory,
        kvfs::Kind::Symlink => Kind::SymbolicLink,
    };
    let change = match &found.change {
        Changed::Added => Change::Added,
        Changed::Removed => Change::Removed,
        Changed::Modified(what) => Change::Modified(to_aspects(*what)),
        Changed::Renamed { from, also } => {
            Change::Renamed(Renaming { old_path: from.clone(), also: to_aspects(*also) })
        }
    };
    Difference { path: found.path.clone(), kind, change }
}

fn to_aspects(what: What) -> Aspects {
    let all = [
        (what.kind, Aspects::KIND),
        (what.bytes, Aspects::BYTES),
        (what.times, Aspects::TIMES),
        (what.links, Aspects::LINKS),
    ];
    all.into_iter().filter(|(differs, _)| *differs).fold(Aspects::empty(), |all, (_, one)| all | one)
}
