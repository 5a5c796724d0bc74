//! The two places where lines go.

use super::files::Files;
use super::records::Records;
use kvfs::{Durability, Error, Options, Result};
use kvfs_audit::{Log, Settings};

/// Where lines go.
pub(super) enum Sink {
    Records(Records),
    Files(Box<Files>),
}

impl Sink {
    pub(super) fn new(settings: &Settings, options: Options) -> Self {
        match &settings.volume {
            Some(name) => Self::Files(Box::new(Files::new(name, options))),
            None => Self::Records(Records::new()),
        }
    }

    /// Stores all lines that wait, and everything before them, at this level.
    pub(super) fn put(&mut self, log: &mut Log, level: Durability) -> Result<()> {
        match self {
            Self::Records(records) => records.put(log, level).map_err(Error::Store),
            Self::Files(files) => files.put(log, level),
        }
    }

    /// Notes that a durable call of a volume has followed, which made all before durable.
    pub(super) fn synced(&mut self) {
        if let Self::Records(records) = self {
            records.synced();
        }
    }

    /// Bytes of lines that wait here.
    pub(super) fn waiting_bytes(&self) -> usize {
        match self {
            Self::Records(records) => records.waiting_bytes(),
            Self::Files(_) => 0,
        }
    }
}
