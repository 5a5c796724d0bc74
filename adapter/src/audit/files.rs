//! Lines as files of a volume that no mount shows.

use super::run::{begin_other_run, begin_run};
use crate::clock::WallClock;
use crate::store::ImportedStore;
use kvfs::{Access, At, Descriptor, Durability, Error, Follow, Mode, OpenFlags, Options, Result, Volume};
use kvfs_audit::{Log, RunId, whole_lines};

/// Most bytes of a file, unless the volume takes no file as large.
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

    /// Writes all lines that wait, to files of whole lines. Only a line that is longer than a file
    /// may be goes on in the next one.
    fn write(&mut self, volume: &mut Volume, log: &mut Log) -> Result<()> {
        let most = volume.quota().file_bytes.unwrap_or(u64::MAX).clamp(1, MAX_FILE_BYTES);
        while !log.is_empty() {
            let room = usize::try_from(most.saturating_sub(self.written_bytes)).unwrap_or(usize::MAX);
            let bytes = match whole_lines(log.lines(), room) {
                0 if self.written_bytes == 0 => room.min(log.lines().len()),
                bytes => bytes,
            };
            if bytes == 0 {
                self.number = self.number.saturating_add(1);
                self.written_bytes = 0;
                continue;
            }
            self.append(volume, log, bytes)?;
        }
        Ok(())
    }

    /// Writes so many bytes of lines to the file of this number.
    fn append(&mut self, volume: &mut Volume, log: &mut Log, mut bytes: usize) -> Result<()> {
        let file = self.open(volume)?;
        let mut outcome = Ok(());
        // One write takes all: the log waits with less than the most bytes of a write. It takes less
        // if the store or a limit is in the way, and the next one says which.
        while outcome.is_ok() && bytes > 0 {
            let lines = log.lines().get(..bytes).unwrap_or_default();
            outcome = volume.write(&file, At::End, lines).map(|taken| {
                // The volume has them now, and stores them with a later commit if this one fails.
                log.forget(taken);
                bytes = bytes.saturating_sub(taken);
                self.written_bytes = self.written_bytes.saturating_add(taken as u64);
            });
        }
        let closed = volume.close(file);
        outcome.and(closed)
    }

    fn open(&mut self, volume: &mut Volume) -> Result<Descriptor> {
        let root = volume.root()?;
        let file = self.open_in(volume, &root);
        volume.close(root)?;
        file
    }

    fn open_in(&mut self, volume: &mut Volume, root: &Descriptor) -> Result<Descriptor> {
        let access = Access { write: true, ..Access::default() };
        let open = |volume: &mut Volume, run: RunId, number: u64, exclusive: bool| {
            let flags = OpenFlags { create: true, exclusive, ..OpenFlags::default() };
            volume.open_at(root, &name(run, number), Follow::No, flags, access)
        };
        if let Some(run) = self.run {
            return open(volume, run, self.number, false);
        }
        // The first file must be new: another run may have begun at the same nanosecond.
        let mut run = begin_run();
        let file = match open(volume, run, self.number, true) {
            Err(Error::Exist) => {
                run =
                    begin_other_run(|run| match volume.stat_at(root, &name(run, self.number), Follow::No) {
                        Err(Error::NoEntry) => Ok(false),
                        found => found.map(|_| true),
                    })?;
                open(volume, run, self.number, true)
            }
            file => file,
        };
        if file.is_ok() {
            self.run = Some(run);
        }
        file
    }
}

fn name(run: RunId, number: u64) -> String {
    format!("audit-{run}-{number}.jsonl")
}
