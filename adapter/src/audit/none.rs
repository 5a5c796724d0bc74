//! No log. The types of what a log knows have no values, so the compiler leaves out every call that
//! would write a line.

use crate::bindings::exports::wasi::filesystem::types::ErrorCode;
use crate::config::Config;
use crate::store::ImportedStore;
use kvfs::{Error, KvStore, Volume};
use kvfs_audit::Line;

type Outcome<T> = Result<T, ErrorCode>;

/// See `seen.rs`.
pub(crate) enum Opened {}

impl Opened {
    pub(crate) fn root() -> Option<Self> {
        None
    }

    pub(crate) fn open(&self, _path: &str, _is_for_changes: bool) -> Self {
        match *self {}
    }

    pub(crate) fn number(&self) -> u64 {
        match *self {}
    }

    pub(crate) fn tell<T>(
        &self,
        _op: (&'static str, bool),
        _path: &str,
        _outcome: &Outcome<T>,
        _more: impl FnMut(&mut Line<'_>, Option<&T>),
    ) {
        match *self {}
    }

    pub(crate) fn write_second(&self, _line: &mut Line<'_>, _path: &str) {
        match *self {}
    }

    pub(crate) fn transfer(&self, _op: &'static str, _is_change: bool, _offset: u64, _moved: Outcome<u64>) {
        match *self {}
    }

    pub(crate) fn flow(&self, _offset: Option<u64>) -> Option<Flow> {
        match *self {}
    }

    pub(crate) fn listed(&self) -> Listed {
        match *self {}
    }
}

/// See `seen.rs`.
pub(crate) enum Flow {}

impl Flow {
    pub(crate) fn transfer(&self, _op: &'static str, _is_change: bool, _bytes: u64, _result: &'static str) {
        match *self {}
    }
}

/// See `seen.rs`.
pub(crate) enum Listed {}

impl Listed {
    pub(crate) fn listed<T>(&self, _entry: &Outcome<Option<T>>) {
        match *self {}
    }
}

/// Returns the store below volumes.
pub(crate) fn store(_: &Config) -> Box<dyn KvStore> {
    Box::new(ImportedStore)
}

pub(crate) fn text(_line: &mut Line<'_>, _key: &str, _text: &str) {}

pub(crate) fn mask(_: &Volume, _: &Config) {}

/// See `seen.rs`.
#[cfg(feature = "volume-control")]
pub(crate) fn control(_op: (&'static str, bool), _of: (&str, &str), _result: &'static str) {}

/// See `seen.rs`.
#[cfg(feature = "volume-control")]
pub(crate) fn refusal_of_control() -> Option<Error> {
    None
}

pub(crate) fn drop_failed(_: &Error) {}

pub(crate) fn settle() {}

pub(crate) fn refusal() -> Option<Error> {
    None
}

pub(crate) fn finish() -> Result<(), ()> {
    Ok(())
}

pub(crate) fn failure() -> Option<String> {
    None
}
