//! A disk in memory that keeps apart what is durable, stops at any call, and serves threads in
//! turns.

use kvfs_file_store::{Directory, File, IoError, IoKind, Listed, Status};
use kvfs_store_rig::{Handle, Random};
use kvfs_trust::cuts::Mark;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

#[derive(Clone, Default)]
struct Inode {
    durable: Vec<u8>,
    /// Changes since the last sync, in order.
    pending: Vec<Change>,
}

/// A change of a file.
#[derive(Clone)]
enum Change {
    Write(usize, Vec<u8>),
    Cut(usize),
}

impl Inode {
    fn content(&self) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        for change in &self.pending {
            match change {
                Change::Write(offset, part) => put(&mut bytes, *offset, part),
                Change::Cut(size) => bytes.truncate(*size),
            }
        }
        bytes
    }
}

fn put(bytes: &mut Vec<u8>, offset: usize, part: &[u8]) {
    if bytes.len() < offset + part.len() {
        bytes.resize(offset + part.len(), 0);
    }
    bytes[offset..offset + part.len()].copy_from_slice(part);
}

/// Applies that are made honestly before any promise is broken.
pub(crate) const LIES_AFTER: usize = 4;

/// The contents of the disk.
#[derive(Clone, Default)]
pub(crate) struct Disk {
    inodes: Vec<Arc<Inode>>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    /// Calls that change something until the power goes.
    pub(crate) calls_left: Option<u64>,
    pub(crate) calls: u64,
    /// Syncs so far, of files and of names.
    pub(crate) syncs: u64,
    /// Calls of this kind fail with this kind of error.
    pub(crate) fail: Option<(&'static str, IoKind)>,
    /// Calls that may need room so far: creations, writes, cuts and syncs.
    pub(crate) growing_calls: u64,
    /// Of those, the ones that find none. A write leaves so many eighths of its bytes.
    pub(crate) no_room: Option<(Range<u64>, usize)>,
    /// The kinds of the calls that found none.
    pub(crate) found_no_room: Vec<&'static str>,
    /// Nobody is told the status of a file after more calls than that.
    pub(crate) no_status_after: Option<u64>,
    /// Reads until all further ones fail.
    pub(crate) reads_left: Option<u64>,
    /// Files of which no read succeeds.
    unreadable: BTreeSet<usize>,
    /// No file can be cut.
    pub(crate) cuts_nothing: bool,
    /// The system does not tell how many names a file has.
    pub(crate) tells_no_names: bool,
    /// The most bytes that all files together may have.
    pub(crate) capacity_bytes: Option<usize>,
    /// Bytes that were read so far.
    pub(crate) read_bytes: u64,
    /// Bytes that were to be written so far.
    pub(crate) written_bytes: u64,
    /// The state of the source of random bytes.
    random: u128,
    /// Names of directories.
    pub(crate) directories: BTreeSet<String>,
    /// Once more than [`LIES_AFTER`] applies have begun, calls of this kind do nothing and report
    /// success; of writes, every ninth.
    pub(crate) lies: Option<&'static str>,
    /// The progress of the run that makes the calls.
    pub(crate) mark: Mark,
    /// The disk before each call that changes something, if it is kept.
    pub(crate) cuts: Option<Vec<Cut>>,
}

/// A disk before a call.
#[derive(Clone)]
pub(crate) struct Cut {
    pub(crate) disk: Disk,
    pub(crate) mark: Mark,
    /// The call, if it can be done in part.
    write: Option<(usize, usize, Vec<u8>)>,
}

impl Cut {
    /// Returns the disk with a part of the call's write, if the call writes.
    pub(crate) fn torn(&self, random: &mut Random) -> Option<Disk> {
        let (inode, offset, bytes) = self.write.as_ref()?;
        let part = bytes[..random.below(1 + bytes.len() as u64) as usize].to_vec();
        let mut disk = self.disk.clone();
        Arc::make_mut(&mut disk.inodes[*inode]).pending.push(Change::Write(*offset, part));
        Some(disk)
    }
}

impl Disk {
    /// Returns the disk after a kill of the process: nothing is lost.
    pub(crate) fn after_kill(&self) -> Self {
        Self {
            calls_left: None,
            calls: 0,
            fail: None,
            growing_calls: 0,
            no_room: None,
            found_no_room: Vec::new(),
            lies: None,
            reads_left: None,
            no_status_after: None,
            mark: Mark::default(),
            cuts: None,
            ..self.clone()
        }
    }

    /// Returns the disk after a crash of the machine: any part of what was not durable is there,
    /// sector by sector and name by name.
    pub(crate) fn after_crash(&self, random: &mut Random) -> Self {
        const SECTOR_BYTES: usize = 64;
        let mut disk = self.after_kill();
        for inode in disk.inodes.iter_mut().filter(|inode| !inode.pending.is_empty()) {
            let inode = Arc::make_mut(inode);
            // All of a file, nothing, what was written first, or any part of each write.
            let mode = random.below(5);
            let pending = std::mem::take(&mut inode.pending);
            let first = random.below(1 + pending.len() as u64) as usize;
            for (number, change) in pending.into_iter().enumerate() {
                let keep = match mode {
                    0 => 0,
                    1 => 2,
                    2 if number < first => 0,
                    _ => random.below(3),
                };
                let (offset, part) = match change {
                    Change::Write(offset, part) => (offset, part),
                    Change::Cut(size) => {
                        if keep == 0 || keep == 1 && random.chance(2) {
                            inode.durable.truncate(size);
                        }
                        continue;
                    }
                };
                for (number, sector) in part.chunks(SECTOR_BYTES).enumerate() {
                    if keep == 0 || keep == 1 && random.chance(2) {
                        put(&mut inode.durable, offset + number * SECTOR_BYTES, sector);
                    }
                }
            }
        }
        let mut names = BTreeMap::new();
        let all: Vec<_> = self.names.keys().chain(self.durable_names.keys()).cloned().collect();
        let lost_one_in = 2 + random.below(8);
        for name in all {
            let from = if random.chance(lost_one_in) { &self.durable_names } else { &self.names };
            if let Some(inode) = from.get(&name) {
                names.insert(name, *inode);
            }
        }
        disk.names = names.clone();
        disk.durable_names = names;
        disk
    }

    /// Returns the disk after a crash that loses all names that are not durable, and of each file the
    /// last writes that are not.
    pub(crate) fn after_losing(&self, writes: usize) -> Self {
        let mut disk = self.after_kill();
        disk.names.clone_from(&disk.durable_names);
        for inode in &mut disk.inodes {
            let kept = inode.pending.len().saturating_sub(writes);
            Arc::make_mut(inode).pending.truncate(kept);
        }
        disk
    }

    /// Makes a file, as another program does.
    pub(crate) fn put_file(&mut self, name: &str, bytes: &[u8]) {
        self.names.insert(name.into(), self.inodes.len());
        self.inodes.push(Arc::new(Inode { durable: bytes.to_vec(), pending: Vec::new() }));
    }

    /// Changes the bytes of a file, as a failing disk does.
    pub(crate) fn edit(&mut self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let inode = &mut self.inodes[self.names[name]];
        let mut bytes = inode.content();
        change(&mut bytes);
        *inode = Arc::new(Inode { durable: bytes, pending: Vec::new() });
    }

    /// Makes each read of a file fail, as a disk does that finds a sector damaged itself.
    pub(crate) fn make_unreadable(&mut self, name: &str) {
        self.unreadable.insert(self.names[name]);
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.names.keys().cloned().collect()
    }

    pub(crate) fn content(&self, name: &str) -> Vec<u8> {
        self.inodes[self.names[name]].content()
    }

    pub(crate) fn forget(&mut self, name: &str) {
        self.names.remove(name);
    }

    /// Returns how many bytes fit into a file from an offset on.
    fn room(&self, inode: usize, offset: usize) -> usize {
        let Some(capacity) = self.capacity_bytes else { return usize::MAX };
        let used: usize = self.names.values().map(|&inode| self.inodes[inode].content().len()).sum();
        (self.inodes[inode].content().len() + capacity).saturating_sub(used + offset)
    }

    /// Counts a call that may need room. Returns an error if it finds none.
    fn grow(&mut self, kind: &'static str) -> Result<(), IoError> {
        let number = self.growing_calls;
        self.growing_calls += 1;
        if !self.no_room.as_ref().is_some_and(|(calls, _)| calls.contains(&number)) {
            return Ok(());
        }
        self.found_no_room.push(kind);
        Err(IoError::new(IoKind::NoSpace, format!("no room for {kind}")))
    }

    /// Counts a changing call. Returns false if the power goes in the middle of it.
    fn step(&mut self, kind: &'static str) -> Result<bool, IoError> {
        if let Some((failing, error)) = self.fail
            && failing == kind
        {
            return Err(IoError::new(error, "this call fails"));
        }
        self.calls += 1;
        self.syncs += u64::from(kind == "sync");
        self.keep_cut();
        match &mut self.calls_left {
            None => Ok(true),
            Some(0) => Err(IoError::new(IoKind::Other, "the power is gone")),
            Some(left) => {
                *left -= 1;
                Ok(*left > 0)
            }
        }
    }

    /// Keeps a copy of the disk, if copies are wanted.
    pub(crate) fn keep_cut(&mut self) {
        if let Some(mut cuts) = self.cuts.take() {
            cuts.push(Cut { disk: self.after_kill(), mark: self.mark, write: None });
            self.cuts = Some(cuts);
        }
    }

    fn lies(&self, kind: &'static str) -> bool {
        self.lies == Some(kind) && self.mark.begun > LIES_AFTER
    }

    fn alive(&self) -> Result<(), IoError> {
        match self.calls_left {
            Some(0) => Err(IoError::new(IoKind::Other, "the power is gone")),
            _ => Ok(()),
        }
    }
}

/// A directory on the disk.
#[derive(Clone)]
pub(crate) struct SimDirectory(pub(crate) Handle<Disk>);

impl SimDirectory {
    pub(crate) fn new(disk: Disk) -> Self {
        Self(Handle::new(disk))
    }

    pub(crate) fn disk<T>(&self, look: impl FnOnce(&mut Disk) -> T) -> T {
        self.0.look(look)
    }
}

/// Makes handles on a disk for threads that take turns.
pub(crate) fn taking_turns(disk: Disk, threads: usize, seed: u64) -> Vec<Handle<Disk>> {
    Handle::taking_turns(disk, threads, seed, [1, 5, 20, 80][seed as usize % 4])
}

impl Directory for SimDirectory {
    type File = SimFile;

    fn list(&self) -> Result<Vec<Listed>, IoError> {
        self.0.call(|disk| {
            disk.alive()?;
            let files = disk.names.keys().map(|name| (name, true));
            let all = files.chain(disk.directories.iter().map(|name| (name, false)));
            Ok(all.map(|(name, is_file)| Listed { name: name.clone(), is_file }).collect())
        })
    }

    fn create(&self, name: &str) -> Result<SimFile, IoError> {
        self.0
            .call(|disk| {
                if disk.names.contains_key(name) || disk.directories.contains(name) {
                    return Err(IoError::new(IoKind::Exists, "exists"));
                }
                disk.grow("create")?;
                let whole = disk.step("create")?;
                let inode = disk.inodes.len();
                disk.inodes.push(Arc::default());
                disk.names.insert(name.into(), inode);
                if whole { Ok(inode) } else { Err(IoError::new(IoKind::Other, "the power is gone")) }
            })
            .map(|inode| SimFile { directory: self.clone(), inode })
    }

    fn open(&self, name: &str) -> Result<SimFile, IoError> {
        let inode = self.0.call(|disk| {
            disk.alive()?;
            disk.names.get(name).copied().ok_or_else(|| IoError::new(IoKind::NotFound, "no such name"))
        })?;
        Ok(SimFile { directory: self.clone(), inode })
    }

    fn open_for_writing(&self, name: &str) -> Result<SimFile, IoError> {
        self.open(name)
    }

    fn remove(&self, name: &str) -> Result<(), IoError> {
        self.0.call(|disk| {
            let whole = disk.step("remove")?;
            match disk.names.remove(name) {
                None => Err(IoError::new(IoKind::NotFound, "no such name")),
                Some(_) if whole => Ok(()),
                Some(_) => Err(IoError::new(IoKind::Other, "the power is gone")),
            }
        })
    }

    fn random(&self) -> Result<[u8; 16], IoError> {
        let number = self.0.look(|disk| {
            disk.random = disk.random.wrapping_add(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
            disk.random
        });
        Ok((number ^ number >> 59).wrapping_mul(0xDA94_2042_E4DD_58B5_2360_ED05_1FC6_5DA4).to_le_bytes())
    }

    fn sync(&self) -> Result<(), IoError> {
        self.0.call(|disk| {
            // Without power nothing was promised.
            if disk.lies("sync names") {
                return Ok(());
            }
            disk.grow("sync names")?;
            if disk.step("sync")? {
                disk.durable_names = disk.names.clone();
                return Ok(());
            }
            Err(IoError::new(IoKind::Other, "the power is gone"))
        })
    }
}

pub(crate) struct SimFile {
    directory: SimDirectory,
    inode: usize,
}

impl File for SimFile {
    fn status(&self) -> Result<Status, IoError> {
        self.directory.0.call(|disk| {
            disk.alive()?;
            if disk.no_status_after.is_some_and(|calls| disk.calls > calls) {
                return Err(IoError::new(IoKind::Other, "this call fails"));
            }
            let names = match disk.tells_no_names {
                true => 0,
                false => disk.names.values().filter(|&&inode| inode == self.inode).count(),
            };
            let size_bytes = disk.inodes[self.inode].content().len() as u64;
            Ok(Status { size_bytes, names: names as u64 })
        })
    }

    fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>, IoError> {
        self.directory.0.call(|disk| {
            disk.alive()?;
            let no_more = disk.reads_left == Some(0);
            disk.reads_left = disk.reads_left.map(|left| left.saturating_sub(1));
            if no_more || disk.unreadable.contains(&self.inode) {
                return Err(IoError::new(IoKind::Other, "the disk cannot read this"));
            }
            let content = disk.inodes[self.inode].content();
            let start = (offset as usize).min(content.len());
            let part = content[start..(start + length).min(content.len())].to_vec();
            disk.read_bytes += part.len() as u64;
            Ok(part)
        })
    }

    fn cut(&self, size_bytes: u64) -> Result<(), IoError> {
        self.directory.0.call(|disk| {
            if disk.cuts_nothing {
                return Err(IoError::new(IoKind::Other, "this system cuts no files"));
            }
            disk.grow("cut")?;
            if disk.step("cut")? {
                Arc::make_mut(&mut disk.inodes[self.inode]).pending.push(Change::Cut(size_bytes as usize));
                return Ok(());
            }
            Err(IoError::new(IoKind::Other, "the power is gone"))
        })
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), IoError> {
        self.directory.0.call(|disk| {
            disk.written_bytes += bytes.len() as u64;
            if let Some(("write half", error)) = disk.fail {
                let half = bytes[..bytes.len() / 2].to_vec();
                Arc::make_mut(&mut disk.inodes[self.inode])
                    .pending
                    .push(Change::Write(offset as usize, half));
                return Err(IoError::new(error, "this call fails"));
            }
            let room = disk.room(self.inode, offset as usize);
            if room < bytes.len() {
                Arc::make_mut(&mut disk.inodes[self.inode])
                    .pending
                    .push(Change::Write(offset as usize, bytes[..room].to_vec()));
                return Err(IoError::new(IoKind::NoSpace, "the disk is full"));
            }
            if let Err(error) = disk.grow("write") {
                let eighths = disk.no_room.as_ref().map_or(0, |(_, eighths)| *eighths);
                let part = bytes[..bytes.len() * eighths / 8].to_vec();
                if !part.is_empty() {
                    let inode = Arc::make_mut(&mut disk.inodes[self.inode]);
                    inode.pending.push(Change::Write(offset as usize, part));
                }
                return Err(error);
            }
            let whole = disk.step("write")?;
            if disk.lies("write") && disk.calls.is_multiple_of(9) {
                return Ok(());
            }
            if let Some(cut) = disk.cuts.as_mut().and_then(|cuts| cuts.last_mut()) {
                cut.write = Some((self.inode, offset as usize, bytes.to_vec()));
            }
            // Any part may be there when the power goes; the number of the call decides how much.
            let part = if whole { bytes.len() } else { bytes.len() * (disk.calls as usize % 4) / 3 };
            let part = bytes[..part.min(bytes.len())].to_vec();
            Arc::make_mut(&mut disk.inodes[self.inode]).pending.push(Change::Write(offset as usize, part));
            if whole { Ok(()) } else { Err(IoError::new(IoKind::Other, "the power is gone")) }
        })
    }

    fn sync(&self) -> Result<(), IoError> {
        self.directory.0.call(|disk| {
            if disk.lies("sync") {
                return Ok(());
            }
            disk.grow("sync")?;
            if disk.step("sync")? {
                let inode = &mut disk.inodes[self.inode];
                *inode = Arc::new(Inode { durable: inode.content(), pending: Vec::new() });
                return Ok(());
            }
            Err(IoError::new(IoKind::Other, "the power is gone"))
        })
    }
}
