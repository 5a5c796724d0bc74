//! Lines as files of a volume that no mount shows.

use super::run::{MAX_SAME_TIME, begin_run};
use crate::clock::WallClock;
use crate::store::ImportedStore;
use kvfs::{Access, At, Descriptor, Durability, Error, Follow, Mode, OpenFlags, Options, Result, Volume};
use kvfs_audit::{Log, RunId};

/// Size from which on another file is begun.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// The files of this run: `audit-RUN-NUMBER.jsonl` in the root.
pub(super) struct Files {
    options: Options,
    /// `None` before the first line.
    volume: Option<Volume>,
    run: Option<RunId>,
    number: u64,
    /// Bytes of the file of this number.
    written_bytes: u64,
    /// Whether the volume has something that the store has not, or not durably.
    is_unsynced: bool,
    /// Whether the volume has lines that the store has refused.
    is_refused: bool,
}

impl Files {
    pub(super) fn new(volume: &str, options: Options) -> Self {
        // Each close stores, whatever the guest's own volumes do.
        let options = Options { volume: volume.to_owned(), quota: None, mode: Mode::Close, ..options };
        let (is_unsynced, is_refused) = (false, false);
        Self { options, volume: None, run: None, number: 0, written_bytes: 0, is_unsynced, is_refused }
    }

    /// Writes all lines that wait, and stores them at this level.
    pub(super) fn put(&mut self, log: &mut Log, level: Durability) -> Result<()> {
        if log.is_empty() && !self.is_unsynced {
            return Ok(());
        }
        let mut volume = match self.volume.take() {
            Some(volume) => volume,
            None => Volume::open(Box::new(ImportedStore), Box::new(WallClock), self.options.clone())?,
        };
        let must_sync = self.is_refused || level == Durability::Durable;
        let written = self.write(&mut volume, log);
        // Lines that the log has handed over and the store has refused are tried again here: nothing
        // else would find out whether the store takes them now.
        let outcome = written.and_then(|()| if must_sync { volume.sync_all() } else { Ok(()) });
        self.is_refused = outcome.is_err();
        self.is_unsynced = outcome.is_err() || !must_sync;
        // An opener that came later has taken it over: no call of this one succeeds any more.
        self.volume = Some(volume);
        outcome
    }

    fn write(&mut self, volume: &mut Volume, log: &mut Log) -> Result<()> {
        if log.is_empty() {
            return Ok(());
        }
        if self.written_bytes >= MAX_FILE_BYTES {
            self.number = self.number.saturating_add(1);
            self.written_bytes = 0;
        }
        let file = self.open(volume)?;
        let mut outcome = Ok(());
        // One write takes all: the log waits with less than the most bytes of a write. It takes less
        // if the store or a limit is in the way, and the next one says which.
        while outcome.is_ok() && !log.is_empty() {
            outcome = volume.write(&file, At::End, log.lines()).map(|bytes| {
                // The volume has them now, and stores them with a later commit if this one fails.
                log.forget(bytes);
                self.written_bytes = self.written_bytes.saturating_add(bytes as u64);
            });
        }
        let closed = volume.close(file);
        outcome.and(closed)
    }

    fn open(&mut self, volume: &mut Volume) -> Result<Descriptor> {
        let root = volume.root()?;
        let access = Access { write: true, ..Access::default() };
        let mut open = |run: RunId, number: u64, exclusive: bool| {
            let flags = OpenFlags { create: true, exclusive, ..OpenFlags::default() };
            volume.open_at(&root, &format!("audit-{run}-{number}.jsonl"), Follow::No, flags, access)
        };
        let file = match self.run {
            Some(run) => open(run, self.number, false),
            // The first file must be new: another run may have begun at the same nanosecond.
            None => (0..MAX_SAME_TIME)
                .find_map(|attempt| {
                    let run = begin_run(attempt);
                    match open(run, self.number, true) {
                        Err(Error::Exist) => None,
                        file => {
                            self.run = Some(run);
                            Some(file)
                        }
                    }
                })
                .unwrap_or(Err(Error::Exist)),
        };
        volume.close(root)?;
        file
    }
}
