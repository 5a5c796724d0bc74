//! Runs operations on the engine and on the reference side by side, and keeps what a crash check needs.

mod clock;
mod direct;
mod finish;
mod look;

pub use clock::{TestClock, time};

use crate::model::{Answer, Id, Layout, Model, ROOT};
use crate::ops::{DIRS, FILES, LISTINGS, Op, Setup};
use crate::store::{Fault, TestStore};
use crate::tree;
use kvfs::{Access, At, Code, Descriptor, DirStream, Error, Follow, Mode, OpenFlags, Volume};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// What a moment of a run left behind.
#[derive(Debug, Clone)]
pub struct Moment {
    /// The reference behind the operation.
    pub model: Model,
    /// Applies in the store's log behind the operation.
    pub applies: usize,
    /// The moment that the store must hold from here on, whatever is killed: its index.
    pub stored: usize,
    /// The moment that the store must hold whatever crashes: not a later one.
    pub durable: usize,
    /// The bytes that the operation wrote.
    pub wrote: Option<(Id, u64, Vec<u8>)>,
}

struct OpenFile {
    descriptor: Descriptor,
    id: Id,
    access: Access,
}

struct Listing {
    stream: DirStream,
    dir: Id,
    /// Names that were there all the time, with what they name.
    steady: BTreeMap<String, Id>,
    seen: BTreeSet<String>,
}

pub struct Runner {
    pub setup: Setup,
    pub store: TestStore,
    pub clock: TestClock,
    volume: Option<Volume>,
    pub model: Model,
    start_seconds: i64,
    files: [Option<OpenFile>; FILES],
    dirs: [Option<(Descriptor, Id)>; DIRS],
    listings: [Option<Listing>; LISTINGS],
    /// Whether moments are kept.
    keep: bool,
    pub moments: Vec<Moment>,
    /// The last moment that changed each file's content or times, if it was not known to be stored.
    changed: BTreeMap<Id, usize>,
    last_stored: usize,
    last_durable: usize,
    /// What is closed is dropped: that it could not be stored is for the volume to tell later.
    pub drops: bool,
    /// With it, the store fails this many calls into every close of a file that would be stored.
    pub closes_fail_at: Option<u64>,
    /// The volume was opened more than once: files that were open without a name may wait to be removed.
    restarted: bool,
}

pub type Check = Result<(), String>;

pub fn code<T>(outcome: &Result<T, Error>) -> Answer<()> {
    outcome.as_ref().map(drop).map_err(Error::code)
}

/// Bytes that tell where they were written and by which write.
pub fn pattern(offset: u64, length: usize, fill: u8) -> Vec<u8> {
    (0..length as u64).map(|at| fill.wrapping_add(((offset.wrapping_add(at)) % 7) as u8) | 1).collect()
}

impl Runner {
    pub fn new(setup: &Setup, store: TestStore, keep: bool) -> Result<Runner, String> {
        match &setup.base {
            Some(base) => Runner::going_on(setup, store, base.model.clone(), base.seconds, keep),
            None => Runner::going_on(setup, store, Model::new(time(0)), 0, keep),
        }
    }

    /// A run on a volume that is there, which looks as the model says; its clock starts at `start_seconds`,
    /// behind every time in it.
    pub fn going_on(
        setup: &Setup,
        store: TestStore,
        mut model: Model,
        start_seconds: i64,
        keep: bool,
    ) -> Result<Runner, String> {
        model.target_bytes_max = 4095.min(setup.extent_bytes as usize);
        let clock = TestClock(Rc::new(Cell::new(start_seconds)));
        store.0.borrow_mut().scan_entries_max = setup.scan_entries_max;
        let mut runner = Runner {
            setup: setup.clone(),
            clock,
            volume: None,
            model,
            start_seconds,
            files: [const { None }; FILES],
            dirs: [const { None }; DIRS],
            listings: [const { None }; LISTINGS],
            keep,
            moments: Vec::new(),
            changed: BTreeMap::new(),
            last_stored: 0,
            last_durable: 0,
            drops: false,
            closes_fail_at: None,
            restarted: false,
            store,
        };
        runner.model.layout = Layout {
            extent_bytes: u64::from(setup.extent_bytes),
            inline_bytes: u64::from(setup.inline_bytes.min(setup.extent_bytes)),
        };
        runner.open().map_err(|error| format!("opening: {error:?}"))?;
        runner.keep_moment(None);
        Ok(runner)
    }

    fn open(&mut self) -> Result<(), Error> {
        let (store, clock) = (Box::new(self.store.clone()), Box::new(self.clock.clone()));
        let mut volume = self.setup.open(store, clock, self.setup.options())?;
        self.dirs[0] = Some((volume.root()?, ROOT));
        self.model.opened(ROOT);
        self.model.quota = volume.quota();
        self.volume = Some(volume);
        Ok(())
    }

    pub fn volume(&mut self) -> &mut Volume {
        self.volume.as_mut().expect("open")
    }

    fn keep_moment(&mut self, wrote: Option<(Id, u64, Vec<u8>)>) {
        if self.keep {
            let model = self.model.clone();
            let applies = self.store.log_len();
            self.moments.push(Moment {
                model,
                applies,
                stored: self.last_stored,
                durable: self.last_durable,
                wrote,
            });
        }
    }

    /// Does one operation on both sides and compares the answers.
    /// Returns whether it succeeded.
    pub fn step(&mut self, index: usize, op: &Op) -> Result<bool, String> {
        let seconds = self.start_seconds + index as i64 + 1;
        self.clock.0.set(seconds);
        self.model.now = time(seconds);
        let moment = index + 1;
        let mut wrote = None;
        let failed = self.store.0.borrow().faults_injected;
        let outcome = self.apply(op, moment, &mut wrote);
        let outcome = outcome.map_err(|what| format!("operation {index} {op:?}: {what}"))?;
        self.watch_listings();
        // What the store failed in promises nothing here: it may wait.
        if self.store.0.borrow().faults_injected == failed {
            self.acknowledge(op, outcome, moment)
                .map_err(|what| format!("operation {index} {op:?}: {what}"))?;
        }
        self.keep_moment(wrote);
        Ok(outcome)
    }

    /// Notes what the engine has promised to be stored by answering so.
    fn acknowledge(&mut self, op: &Op, ok: bool, moment: usize) -> Check {
        let names = matches!(
            op,
            Op::Mkdir { .. }
                | Op::Rename { .. }
                | Op::Link { .. }
                | Op::Symlink { .. }
                | Op::SetTimesAt { .. }
        );
        if !ok {
            return Ok(());
        }
        let changed = self.changed_now();
        match (op, self.setup.mode) {
            (Op::Sync, _) => return self.now_durable(moment),
            (_, Mode::Strict) if changed && !matches!(op, Op::Reopen) => return self.now_durable(moment),
            (Op::Reopen, _) | (_, Mode::Strict) => self.now_stored(moment),
            // An operation that found nothing to do stores nothing.
            (_, Mode::Close) if names && changed => self.now_stored(moment),
            _ => {}
        }
        Ok(())
    }

    fn changed_now(&self) -> bool {
        let now = self.model.now;
        self.model.objects.values().any(|object| object.ctime == now)
    }

    /// Behind what was acknowledged as durable nothing may wait that a crash could lose.
    fn now_durable(&mut self, moment: usize) -> Check {
        self.now_stored(moment);
        self.last_durable = self.last_durable.max(moment);
        match self.store.0.borrow().log.iter().rev().find(|applied| !applied.settles) {
            Some(last) if !last.durable => {
                Err("acknowledged as durable, but an apply is only buffered".to_owned())
            }
            _ => Ok(()),
        }
    }

    fn now_stored(&mut self, moment: usize) {
        self.last_stored = self.last_stored.max(moment);
        self.changed.clear();
    }

    fn same<T>(engine: &Result<T, Error>, model: &Answer<()>) -> Result<bool, String> {
        let found = code(engine);
        if found == *model {
            Ok(found.is_ok())
        } else {
            let error = engine.as_ref().err();
            Err(format!("the engine says {found:?} ({error:?}), the reference {model:?}"))
        }
    }

    /// The reference has opened what the engine could not: nothing is open then.
    fn undo_open(&mut self, engine: &Result<Descriptor, Error>, model: Answer<Id>) {
        if let (Err(_), Ok(id)) = (engine, model) {
            self.model.closed(id);
        }
    }

    fn close_file(&mut self, slot: usize) -> Check {
        let Some(file) = self.files[slot].take() else { return Ok(()) };
        let named = self.model.object(file.id).nlink > 0;
        // It is closed, also if its changes could not be stored.
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

    fn close_dir(&mut self, slot: usize) -> Check {
        let Some((descriptor, id)) = self.dirs[slot].take() else { return Ok(()) };
        let outcome = self.volume().close(descriptor);
        self.model.closed(id);
        self.hear(outcome).map(drop).map_err(|error| format!("close: {error:?}"))
    }

    /// Listens to what a close says, or leaves it to the volume. Returns whether it went well.
    fn hear(&mut self, outcome: Result<(), Error>) -> Result<bool, Error> {
        if self.drops {
            let well = outcome.is_ok();
            self.volume().tell_later(outcome);
            return Ok(well);
        }
        outcome.map(|()| true)
    }

    fn end_listing(&mut self, slot: usize) -> Check {
        let Some(listing) = self.listings[slot].take() else { return Ok(()) };
        let outcome = self.volume().close_directory(listing.stream);
        self.model.closed(listing.dir);
        self.hear(outcome).map(drop).map_err(|error| format!("close listing: {error:?}"))
    }

    /// Takes names that have gone or changed off the lists of those that must be listed.
    pub fn watch_listings(&mut self) {
        for listing in self.listings.iter_mut().flatten() {
            let entries = self.model.entries(listing.dir).expect("a directory");
            listing.steady.retain(|name, id| entries.get(name) == Some(id));
        }
    }

    /// The directory that is open in a slot.
    pub fn dir(&self, slot: usize) -> Option<Id> {
        self.dirs[slot].as_ref().map(|(_, id)| *id)
    }

    /// Returns whether the operation succeeded, on both sides.
    fn apply(
        &mut self,
        op: &Op,
        moment: usize,
        wrote: &mut Option<(Id, u64, Vec<u8>)>,
    ) -> Result<bool, String> {
        // Borrows one field of each, so that both sides can be used at once.
        macro_rules! at_dir {
            ($slot:expr) => {
                match (&self.dirs[*$slot], self.dir(*$slot)) {
                    (Some((descriptor, _)), Some(id)) => (descriptor, id),
                    _ => return Ok(false),
                }
            };
        }
        macro_rules! at_file {
            ($slot:expr) => {
                match &self.files[*$slot] {
                    Some(file) => file,
                    None => return Ok(false),
                }
            };
        }
        match op {
            Op::Open { path, follow, flags, access, slot, dir } => {
                self.close_file(*slot)?;
                let (descriptor, base) = at_dir!(dir);
                let volume = self.volume.as_mut().expect("open");
                let next = self.model.next;
                let engine = volume.open_at(descriptor, path, *follow, *flags, *access);
                let model = self.model.open_at(base, path, *follow, *flags, *access);
                self.undo_open(&engine, model);
                Runner::same(&engine, &model.map(drop))?;
                let (Ok(descriptor), Ok(id)) = (engine, model) else { return Ok(false) };
                if descriptor.ino().0 != id || descriptor.kind() != self.model.object(id).kind() {
                    return Err(format!("opened {descriptor:?}, the reference {id}"));
                }
                if id >= next || self.model.object(id).mtime == self.model.now {
                    self.changed.insert(id, moment);
                }
                // A directory in a slot for files can be looked at and closed, as a guest may do.
                self.files[*slot] = Some(OpenFile { descriptor, id, access: *access });
                Ok(true)
            }
            Op::Close { slot } => self.close_file(*slot).map(|()| true),
            Op::OpenDir { dir, path, slot } => {
                let (descriptor, base) = at_dir!(dir);
                let volume = self.volume.as_mut().expect("open");
                let flags = OpenFlags { directory: true, ..OpenFlags::default() };
                let engine = volume.open_at(descriptor, path, Follow::Yes, flags, Access::default());
                let model = self.model.open_at(base, path, Follow::Yes, flags, Access::default());
                self.undo_open(&engine, model);
                Runner::same(&engine, &model.map(drop))?;
                let (Ok(descriptor), Ok(id)) = (engine, model) else { return Ok(false) };
                self.close_dir(*slot)?;
                self.dirs[*slot] = Some((descriptor, id));
                Ok(true)
            }
            Op::CloseDir { slot } => self.close_dir(*slot).map(|()| true),
            Op::Stream { slot } => {
                let file = at_file!(slot);
                let volume = self.volume.as_mut().expect("open");
                let again = volume.reopen(&file.descriptor).map_err(|error| format!("{error:?}"))?;
                volume.close_stream(again).map_err(|error| format!("{error:?}"))?;
                Ok(true)
            }
            Op::Write { slot, at, length, fill } => {
                let file = at_file!(slot);
                let start = match at {
                    At::Offset(offset) => *offset,
                    At::End => self.model.object(file.id).size(),
                };
                let data = pattern(start, *length, *fill);
                let volume = self.volume.as_mut().expect("open");
                let engine = direct::write(volume, &file.descriptor, *at, &data, *fill);
                // Directories are never open for writing.
                let model = match file.access.write {
                    false => Err(Code::BadDescriptor),
                    true => self.model.write(file.id, *at, &data),
                };
                let ok = Runner::same(&engine, &model.map(drop))?;
                if ok && engine != Ok(data.len()) {
                    return Err(format!("wrote {engine:?} bytes, not {}", data.len()));
                }
                if ok && !data.is_empty() {
                    self.changed.insert(file.id, moment);
                    *wrote = Some((file.id, start, data));
                    if file.access.sync {
                        self.now_durable(moment)?;
                    }
                }
                Ok(ok)
            }
            Op::Read { slot, offset, length } => {
                let file = at_file!(slot);
                let volume = self.volume.as_mut().expect("open");
                let mut bytes = vec![1, 2, 3];
                let engine = direct::read(volume, &file.descriptor, *offset, *length, &mut bytes);
                let model = match self.model.object(file.id).kind() {
                    kvfs::Kind::Directory => Err(Code::IsDirectory),
                    _ if !file.access.read && file.access.write => Err(Code::BadDescriptor),
                    _ => Ok(()),
                };
                let ok = Runner::same(&engine, &model)?;
                if ok {
                    let expected = self.model.read(file.id, *offset, *length as u64);
                    if bytes.get(3..) != Some(&expected[..]) || engine != Ok(expected.len()) {
                        let at = expected.iter().zip(&bytes[3..]).position(|(a, b)| a != b);
                        return Err(format!(
                            "read {engine:?}, expected {}; differs at {at:?}",
                            expected.len()
                        ));
                    }
                }
                Ok(ok)
            }
            Op::SetSize { slot, size } => {
                let file = at_file!(slot);
                let volume = self.volume.as_mut().expect("open");
                let engine = volume.set_size(&file.descriptor, *size);
                let model = match self.model.object(file.id).kind() {
                    kvfs::Kind::Directory => Err(Code::BadDescriptor),
                    _ if !file.access.write => Err(Code::Invalid),
                    _ => self.model.set_size(file.id, *size),
                };
                let ok = Runner::same(&engine, &model)?;
                if ok {
                    self.changed.insert(file.id, moment);
                    if file.access.sync {
                        self.now_durable(moment)?;
                    }
                }
                Ok(ok)
            }
            Op::Stat { slot } => {
                let file = at_file!(slot);
                let volume = self.volume.as_mut().expect("open");
                let stat = volume.stat(&file.descriptor);
                let hash = volume.metadata_hash(&file.descriptor);
                if hash.as_ref().map(|hash| hash.lower) != Ok(file.id) {
                    return Err(format!("hash {hash:?}"));
                }
                self.check_stat(stat, Ok(file.id))
            }
            Op::StatDir { slot } => {
                let (descriptor, id) = at_dir!(slot);
                let stat = self.volume.as_mut().expect("open").stat(descriptor);
                self.check_stat(stat, Ok(id))
            }
            Op::StatAt { dir, path, follow } => {
                let (descriptor, id) = at_dir!(dir);
                let stat = self.volume.as_mut().expect("open").stat_at(descriptor, path, *follow);
                self.check_stat(stat, self.model.stat_at(id, path, *follow))
            }
            Op::Mkdir { dir, path } => {
                let (descriptor, id) = at_dir!(dir);
                let engine = self.volume.as_mut().expect("open").create_directory_at(descriptor, path);
                Runner::same(&engine, &self.model.mkdir(id, path))
            }
            Op::Rmdir { dir, path } => {
                let (descriptor, id) = at_dir!(dir);
                let engine = self.volume.as_mut().expect("open").remove_directory_at(descriptor, path);
                Runner::same(&engine, &self.model.rmdir(id, path))
            }
            Op::Unlink { dir, path } => {
                let (descriptor, id) = at_dir!(dir);
                let engine = self.volume.as_mut().expect("open").unlink_file_at(descriptor, path);
                Runner::same(&engine, &self.model.unlink(id, path))
            }
            Op::Rename { old, new } => {
                let ((from, from_id), (to, to_id)) = (at_dir!(&old.0), at_dir!(&new.0));
                let engine = self.volume.as_mut().expect("open").rename_at(from, &old.1, to, &new.1);
                Runner::same(&engine, &self.model.rename((from_id, &old.1), (to_id, &new.1)))
            }
            Op::Link { old, follow, new } => {
                let ((from, from_id), (to, to_id)) = (at_dir!(&old.0), at_dir!(&new.0));
                let engine = self.volume.as_mut().expect("open").link_at(from, &old.1, *follow, to, &new.1);
                Runner::same(&engine, &self.model.link((from_id, &old.1), *follow, (to_id, &new.1)))
            }
            Op::Symlink { target, dir, path } => {
                let (descriptor, id) = at_dir!(dir);
                let target = target.replace('\0', "");
                let engine = self.volume.as_mut().expect("open").symlink_at(&target, descriptor, path);
                Runner::same(&engine, &self.model.symlink(&target, id, path))
            }
            Op::Readlink { dir, path } => {
                let (descriptor, id) = at_dir!(dir);
                let engine = self.volume.as_mut().expect("open").readlink_at(descriptor, path);
                let model = self.model.readlink(id, path);
                let ok = Runner::same(&engine, &model.clone().map(drop))?;
                if ok && engine.ok() != model.clone().ok() {
                    return Err(format!("another target than {model:?}"));
                }
                Ok(ok)
            }
            Op::SetTimes { slot, atime, mtime } => {
                let file = at_file!(slot);
                let engine = self.volume.as_mut().expect("open").set_times(&file.descriptor, *atime, *mtime);
                let ok = Runner::same(&engine, &self.model.set_times(file.id, *atime, *mtime))?;
                // Keeping both times changes nothing that a close would have to store.
                let object = self.model.object(file.id);
                if ok && object.kind() == kvfs::Kind::File && object.ctime == self.model.now {
                    self.changed.insert(file.id, moment);
                }
                Ok(ok)
            }
            Op::SetTimesAt { dir, path, follow, atime, mtime } => {
                let (descriptor, id) = at_dir!(dir);
                let volume = self.volume.as_mut().expect("open");
                let engine = volume.set_times_at(descriptor, path, *follow, *atime, *mtime);
                let model = self.model.stat_at(id, path, *follow);
                let model = model.and_then(|id| self.model.set_times(id, *atime, *mtime));
                Runner::same(&engine, &model)
            }
            Op::List { slot } => {
                let (descriptor, id) = at_dir!(slot);
                let found = tree::list(self.volume.as_mut().expect("open"), descriptor);
                let found = found.map_err(|error| format!("listing: {error:?}"))?;
                let entries = self.model.entries(id).expect("a directory");
                let kind = |id: Id| self.model.object(id).kind();
                let expected: Vec<_> =
                    entries.iter().map(|(name, id)| (name.clone(), kind(*id), *id)).collect();
                if found == expected {
                    Ok(true)
                } else {
                    Err(format!("listed {found:?}, expected {expected:?}"))
                }
            }
            Op::ListStart { dir, slot } => {
                self.end_listing(*slot)?;
                let (descriptor, id) = at_dir!(dir);
                let stream = self.volume.as_mut().expect("open").read_directory(descriptor);
                let stream = stream.map_err(|error| format!("listing: {error:?}"))?;
                self.model.opened(id);
                let steady = self.model.entries(id).expect("a directory").clone();
                self.listings[*slot] = Some(Listing { stream, dir: id, steady, seen: BTreeSet::new() });
                Ok(true)
            }
            Op::ListNext { slot, count } => {
                for _ in 0..*count {
                    let Some(listing) = &mut self.listings[*slot] else { return Ok(false) };
                    let entry = self.volume.as_mut().expect("open").next_entry(&mut listing.stream);
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
                            self.end_listing(*slot)?;
                        }
                    }
                }
                Ok(true)
            }
            Op::ListEnd { slot } => self.end_listing(*slot).map(|()| true),
            Op::SetQuota { quota } => {
                if self.setup.quota.is_some() {
                    let outcome = self.volume().set_quota(*quota);
                    outcome.map_err(|error| format!("setting the quota: {error:?}"))?;
                    self.model.quota = *quota;
                }
                Ok(true)
            }
            Op::Sync => {
                let outcome = self.volume().sync_all();
                outcome.map(|()| true).map_err(|error| format!("sync: {error:?}"))
            }
            Op::Reopen => {
                // What is open without a name is in use until an opener has removed it.
                if self.setup.quota.is_some() {
                    (0..LISTINGS).try_for_each(|slot| self.end_listing(slot))?;
                    (0..FILES).try_for_each(|slot| self.close_file(slot))?;
                    (1..DIRS).try_for_each(|slot| self.close_dir(slot))?;
                }
                self.volume().sync_all().map_err(|error| format!("sync: {error:?}"))?;
                self.now_durable(moment)?;
                self.check_fsck()?;
                self.restart()?;
                Ok(true)
            }
        }
    }

    /// Forgets the volume and everything open, as a kill does, and opens it again.
    pub fn restart(&mut self) -> Check {
        self.files = [const { None }; FILES];
        self.dirs = [const { None }; DIRS];
        self.listings = [const { None }; LISTINGS];
        self.volume = None;
        self.model.close_all();
        self.restarted = true;
        self.store.reopen().map_err(|error| format!("opening the store again: {error:?}"))?;
        self.open().map_err(|error| format!("opening again: {error:?}"))
    }
}

/// Runs a whole sequence.
pub fn run(setup: &Setup, ops: &[Op]) -> Check {
    let mut runner = Runner::new(setup, TestStore::new(setup.limits), false)?;
    for (index, op) in ops.iter().enumerate() {
        runner.step(index, op)?;
    }
    runner.finish()
}
