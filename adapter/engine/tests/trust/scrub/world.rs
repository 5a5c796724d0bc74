//! A volume with a policy beside the files that it must show, and every state that its store goes
//! through.

use super::masks::Clear;
use super::watch::{Watch, all_files, fail, open};
use crate::fixture::{CREATE, WRITE};
use crate::ops::Setup;
use crate::rng::Rng;
use crate::run::{Check, TestClock};
use crate::store::TestStore;
use kvfs::{At, Descriptor, Error, Follow, OpenFlags, Volume};
use std::collections::BTreeMap;

/// A file as it must be.
#[derive(Debug, Clone)]
struct File {
    bytes: Vec<u8>,
    scrubbed: bool,
    /// It is older than the policy, or the image's, and may still have secrets.
    is_old: bool,
}

/// A file, by the numbers of this test: hard links share one.
type Id = usize;

pub struct World {
    pub setup: Setup,
    pub clear: Clear,
    pub store: TestStore,
    pub volume: Volume,
    pub root: Descriptor,
    files: Vec<File>,
    /// The names of files, as they must be in the store.
    names: BTreeMap<String, Id>,
    open: Vec<(Descriptor, Id)>,
    /// Secrets that are written piece by piece: where each starts in its file.
    plans: Vec<(Id, u64, usize)>,
    pub watch: Watch,
    pub masked: usize,
    /// There were files before the policy.
    is_old: bool,
}

impl World {
    /// Starts with a new volume, or with files that are older than the policy.
    pub fn new(setup: Setup, clear: Clear, rng: &mut Rng) -> Result<Self, String> {
        let store = TestStore::new(setup.limits);
        let is_old = setup.base.is_some() || rng.chance(3);
        if setup.base.is_none() && is_old {
            let opened = setup.open(Box::new(store.clone()), Box::new(TestClock::default()), setup.options());
            write_old(opened.map_err(|error| fail("opening", error))?, &clear, rng)
                .map_err(|error| fail("old files", error))?;
        }
        let (volume, root) = open(&setup, &store, &clear)?;
        let watch = if is_old { Watch::from_now(&store) } else { Watch::default() };
        let mut world = Self {
            setup,
            clear,
            store,
            volume,
            root,
            files: Vec::new(),
            names: BTreeMap::new(),
            open: Vec::new(),
            plans: Vec::new(),
            watch,
            masked: 0,
            is_old,
        };
        world.adopt(is_old)?;
        Ok(world)
    }

    /// Takes the files that the volume shows for those that it must show.
    fn adopt(&mut self, is_old: bool) -> Check {
        (self.files, self.names) = (Vec::new(), BTreeMap::new());
        self.open.clear();
        self.plans.clear();
        let mut ids = BTreeMap::new();
        for (path, ino, bytes) in all_files(&mut self.volume, &self.root)? {
            let id = *ids.entry(ino).or_insert_with(|| {
                let scrubbed = self.clear.scrubs(&path);
                self.files.push(File { is_old: is_old && self.clear.is_in(&bytes), bytes, scrubbed });
                self.files.len() - 1
            });
            self.names.insert(path, id);
        }
        Ok(())
    }

    /// Does something random, and checks all that it must leave.
    pub fn step(&mut self, rng: &mut Rng) -> Check {
        match rng.below(100) {
            0..=51 => self.write(rng)?,
            52..=58 => self.resize(rng)?,
            59..=65 => self.open_some(rng)?,
            66..=72 => self.close_some(rng)?,
            73..=78 => self.rename(rng)?,
            79..=82 => self.link(rng)?,
            83..=86 => self.unlink(rng)?,
            87..=89 => self.make_link(rng)?,
            90..=91 => self.make_directory(rng)?,
            92..=94 => self.volume.sync_all().map_err(|error| fail("sync", error))?,
            95 => self.touch(rng)?,
            _ => self.reopen(rng)?,
        }
        self.check_store(rng)
    }

    fn text(&self, rng: &mut Rng) -> Vec<u8> {
        text(&self.clear, rng)
    }

    /// Writes at random, or the next part of a secret that is written in random parts.
    fn write(&mut self, rng: &mut Rng) -> Check {
        if self.open.is_empty() {
            return self.open_some(rng);
        }
        let which = rng.below(self.open.len() as u64) as usize;
        let id = self.open[which].1;
        let size = self.files[id].bytes.len() as u64;
        let plan = self.plans.iter().copied().find(|(of, ..)| *of == id).filter(|_| !rng.chance(3));
        let (at, data) = match plan {
            Some((_, start, secret)) => {
                let secret = &self.clear.secrets[secret];
                let from = rng.below(secret.len() as u64);
                let to = from + 1 + rng.below(secret.len() as u64 - from);
                (At::Offset(start + from), secret[from as usize..to as usize].to_vec())
            }
            None if rng.chance(3) => (At::End, self.text(rng)),
            None => (At::Offset(rng.below(size + 40)), self.text(rng)),
        };
        if rng.chance(6) {
            self.plans.retain(|(of, ..)| *of != id);
            let secret = rng.below(self.clear.secrets.len() as u64) as usize;
            self.plans.push((id, rng.below(size + 600), secret));
        }
        self.write_at(which, at, &data)
    }

    fn write_at(&mut self, which: usize, at: At, data: &[u8]) -> Check {
        let (file, id) = (&self.open[which].0, self.open[which].1);
        let taken = self.volume.write(file, at, data).map_err(|error| fail("write", error))?;
        if taken != data.len() {
            return Err(format!("{taken} of {} bytes were written", data.len()));
        }
        let before = self.masked_if_old(id);
        let bytes = &mut self.files[id].bytes;
        *bytes = before;
        let offset = match at {
            At::End => bytes.len(),
            At::Offset(offset) => offset as usize,
        };
        if bytes.len() < offset + data.len() {
            bytes.resize(offset + data.len(), 0);
        }
        bytes[offset..offset + data.len()].copy_from_slice(data);
        if self.files[id].scrubbed {
            let masked = self.clear.mask(&self.files[id].bytes);
            self.masked += usize::from(masked != self.files[id].bytes);
            self.files[id].bytes = masked;
        }
        self.check_file(which)
    }

    /// The bytes of a file before a write: an old one is looked through first.
    fn masked_if_old(&mut self, id: Id) -> Vec<u8> {
        let file = &mut self.files[id];
        if file.scrubbed && std::mem::take(&mut file.is_old) {
            return self.clear.mask(&file.bytes);
        }
        file.bytes.clone()
    }

    fn check_file(&mut self, which: usize) -> Check {
        let (file, id) = (&self.open[which].0, self.open[which].1);
        let mut found = Vec::new();
        let is_old = self.files[id].is_old;
        let expected = &mut self.files[id].bytes;
        self.volume
            .read(file, 0, expected.len() + 1, &mut found)
            .map_err(|error| fail("reading back", error))?;
        if found == *expected {
            return Ok(());
        }
        // A store that takes a write in parts shows states between them, and a secret is masked in
        // each of them.
        let only_masked = |(found, expected): (&u8, &u8)| found == expected || *found == b'*';
        let in_parts = self.setup.limits.max_batch_bytes < 1 << 20;
        // A change of an old file's metadata may have masked it.
        if (in_parts || is_old)
            && found.len() == expected.len()
            && found.iter().zip(&*expected).all(only_masked)
        {
            *expected = found;
            return Ok(());
        }
        let at = found.iter().zip(&*expected).position(|(found, expected)| found != expected);
        Err(format!("a file of {} bytes, {} expected, differs at {at:?}", found.len(), expected.len()))
    }

    fn resize(&mut self, rng: &mut Rng) -> Check {
        if self.open.is_empty() {
            return Ok(());
        }
        let which = rng.below(self.open.len() as u64) as usize;
        let (file, id) = (&self.open[which].0, self.open[which].1);
        let size = rng.below(self.files[id].bytes.len() as u64 * 5 / 4 + 10);
        self.volume.set_size(file, size).map_err(|error| fail("set-size", error))?;
        self.files[id].bytes = self.masked_if_old(id);
        self.files[id].bytes.resize(size as usize, 0);
        self.check_file(which)
    }

    /// A name, sometimes with a secret in it, and what it must become.
    fn name(&self, rng: &mut Rng) -> (String, String) {
        let plain = format!("{}-{}", if rng.chance(3) { "open" } else { "file" }, rng.below(5));
        let secret = &self.clear.secrets[rng.below(self.clear.secrets.len() as u64) as usize];
        let secret = String::from_utf8_lossy(secret).into_owned();
        let name = match rng.below(4) {
            0 if secret.len() < 200 => format!("{plain}{secret}"),
            1 if secret.len() < 200 => format!("{}-{plain}", &secret[1..]),
            _ => plain,
        };
        let masked = String::from_utf8(self.clear.mask(name.as_bytes())).unwrap();
        (name, masked)
    }

    fn open_some(&mut self, rng: &mut Rng) -> Check {
        let (name, masked) = self.name(rng);
        let flags = OpenFlags { truncate: rng.chance(8), ..CREATE };
        let file = self
            .volume
            .open_at(&self.root, &name, Follow::No, flags, WRITE)
            .map_err(|error| fail("open", error))?;
        let scrubbed = self.clear.scrubs(&masked);
        let id = *self.names.entry(masked).or_insert_with(|| {
            self.files.push(File { bytes: Vec::new(), scrubbed, is_old: false });
            self.files.len() - 1
        });
        if flags.truncate {
            self.files[id].bytes.clear();
        }
        self.open.push((file, id));
        self.check_file(self.open.len() - 1)
    }

    fn close_some(&mut self, rng: &mut Rng) -> Check {
        if self.open.is_empty() {
            return Ok(());
        }
        let which = rng.below(self.open.len() as u64) as usize;
        self.check_file(which)?;
        let (file, _) = self.open.swap_remove(which);
        self.volume.close(file).map_err(|error| fail("close", error))
    }

    fn rename(&mut self, rng: &mut Rng) -> Check {
        let ((old, masked_old), (new, masked_new)) = (self.name(rng), self.name(rng));
        let outcome = self.volume.rename_at(&self.root, &old, &self.root, &new);
        let Some(id) = self.names.get(&masked_old).copied() else {
            return expect(outcome, Error::NoEntry);
        };
        let scrubbed = self.clear.scrubs(&masked_new);
        let names = self.names.values().filter(|other| **other == id).count();
        if scrubbed != self.clear.scrubs(&masked_old) && names > 1 && self.names.get(&masked_new) != Some(&id)
        {
            return expect(outcome, Error::CrossDevice);
        }
        outcome.map_err(|error| fail("rename", error))?;
        // Two names of one file stay as they are.
        if self.names.get(&masked_new) != Some(&id) {
            self.names.remove(&masked_old);
            if scrubbed && !std::mem::replace(&mut self.files[id].scrubbed, scrubbed) {
                self.files[id].is_old = false;
                self.files[id].bytes = self.clear.mask(&self.files[id].bytes);
            }
            self.files[id].scrubbed = scrubbed;
            self.names.insert(masked_new, id);
        }
        Ok(())
    }

    fn link(&mut self, rng: &mut Rng) -> Check {
        let ((old, masked_old), (new, masked_new)) = (self.name(rng), self.name(rng));
        let outcome = self.volume.link_at(&self.root, &old, Follow::No, &self.root, &new);
        match self.names.get(&masked_old).copied() {
            None => expect(outcome, Error::NoEntry),
            Some(_) if self.names.contains_key(&masked_new) => expect(outcome, Error::Exist),
            Some(_) if self.clear.scrubs(&masked_old) != self.clear.scrubs(&masked_new) => {
                expect(outcome, Error::CrossDevice)
            }
            Some(id) => {
                self.names.insert(masked_new, id);
                outcome.map_err(|error| fail("link", error))
            }
        }
    }

    fn unlink(&mut self, rng: &mut Rng) -> Check {
        let (name, masked) = self.name(rng);
        let outcome = self.volume.unlink_file_at(&self.root, &name);
        match self.names.remove(&masked) {
            None => expect(outcome, Error::NoEntry),
            Some(_) => outcome.map_err(|error| fail("unlink", error)),
        }
    }

    fn touch(&mut self, rng: &mut Rng) -> Check {
        let (name, masked) = self.name(rng);
        let (at, keep) = (kvfs::SetTime::Now, kvfs::SetTime::Keep);
        let outcome = self.volume.set_times_at(&self.root, &name, Follow::No, at, keep);
        match self.names.get(&masked) {
            None => expect(outcome, Error::NoEntry),
            Some(_) => outcome.map_err(|error| fail("set-times", error)),
        }
    }

    /// Makes a symbolic link and removes it: its target is masked in between.
    fn make_link(&mut self, rng: &mut Rng) -> Check {
        let target = String::from_utf8(self.text(rng).into_iter().filter(|byte| *byte != 0).collect());
        let Some(target) = target.ok().filter(|target| (1..400).contains(&target.len())) else {
            return Ok(());
        };
        // A kill may have brought it back.
        let _ = self.volume.unlink_file_at(&self.root, "link");
        self.volume.symlink_at(&target, &self.root, "link").map_err(|error| fail("symlink", error))?;
        let found = self.volume.readlink_at(&self.root, "link").map_err(|error| fail("readlink", error))?;
        let expected = self.clear.mask(target.as_bytes());
        if found.as_bytes() != expected {
            return Err(format!("the target {target:?} became {found:?}"));
        }
        self.check_store(rng)?;
        self.volume.unlink_file_at(&self.root, "link").map_err(|error| fail("unlink", error))
    }

    /// Makes a directory with a secret as its name, finds it under that name, and removes it.
    fn make_directory(&mut self, rng: &mut Rng) -> Check {
        let secret = &self.clear.secrets[0];
        let name = format!("d-{}", String::from_utf8_lossy(secret));
        let path = format!("{name}/in it");
        // A kill may have brought them back.
        let _ = self.volume.unlink_file_at(&self.root, &path);
        let _ = self.volume.remove_directory_at(&self.root, &name);
        self.volume.create_directory_at(&self.root, &name).map_err(|error| fail("mkdir", error))?;
        let file = self
            .volume
            .open_at(&self.root, &path, Follow::No, CREATE, WRITE)
            .map_err(|error| fail("open below", error))?;
        self.volume.close(file).map_err(|error| fail("close below", error))?;
        self.check_store(rng)?;
        self.volume.unlink_file_at(&self.root, &path).map_err(|error| fail("unlink below", error))?;
        self.volume.remove_directory_at(&self.root, &name).map_err(|error| fail("rmdir", error))
    }

    /// Ends the program, with a sync or by a kill, and starts it again.
    fn reopen(&mut self, rng: &mut Rng) -> Check {
        let synced = rng.chance(2);
        if synced {
            for (file, _) in std::mem::take(&mut self.open) {
                self.volume.close(file).map_err(|error| fail("close", error))?;
            }
            self.volume.sync_all().map_err(|error| fail("sync", error))?;
        }
        (self.volume, self.root) = open(&self.setup, &self.store, &self.clear)?;
        let (files, names) = (self.files.clone(), self.names.clone());
        self.adopt(self.is_old)?;
        if synced && !self.is_old {
            let by_name = |files: &[File], names: &BTreeMap<String, Id>| -> BTreeMap<String, Vec<u8>> {
                names.iter().map(|(name, id)| (name.clone(), files[*id].bytes.clone())).collect()
            };
            if by_name(&files, &names) != by_name(&self.files, &self.names) {
                return Err("a sync and another opening changed files".to_owned());
            }
        }
        Ok(())
    }

    fn check_store(&mut self, rng: &mut Rng) -> Check {
        let is_old = self.is_old;
        self.watch.check(&self.store, &self.setup, &self.clear, &mut || !is_old && rng.chance(2))
    }
}

fn expect(outcome: Result<(), Error>, expected: Error) -> Check {
    if outcome == Err(expected.clone()) { Ok(()) } else { Err(format!("{outcome:?}, not {expected:?}")) }
}

/// A secret, a part of one, or other bytes.
fn text(clear: &Clear, rng: &mut Rng) -> Vec<u8> {
    let secret = clear.secrets[rng.below(clear.secrets.len() as u64) as usize].clone();
    let length = secret.len() as u64;
    let cut = |rng: &mut Rng| {
        let from = rng.below(length);
        (from as usize, (from + 1 + rng.below(length - from)) as usize)
    };
    match rng.below(9) {
        0 => secret,
        1 | 2 => secret[..cut(rng).1].to_vec(),
        3 | 4 => secret[cut(rng).0..].to_vec(),
        5 => {
            let (from, to) = cut(rng);
            secret[from..to].to_vec()
        }
        6 => [text(clear, rng), text(clear, rng)].concat(),
        7 => vec![0; rng.below(700) as usize + 1],
        _ => (0..rng.below(1500) + 1).map(|_| b"abcd"[rng.below(4) as usize]).collect(),
    }
}

/// Makes files with secrets in them, some large, some sparse, one with two names.
pub fn write_old(mut volume: Volume, clear: &Clear, rng: &mut Rng) -> Result<(), Error> {
    let root = volume.root()?;
    for number in 0..3 {
        for prefix in ["file", "open"] {
            let name = format!("{prefix}-{number}");
            let file = volume.open_at(&root, &name, Follow::No, CREATE, WRITE)?;
            for _ in 0..rng.below(6) {
                let at = rng.below(12_000) * rng.below(2);
                volume.write(&file, At::Offset(at), &text(clear, rng))?;
                volume.write(&file, At::End, &text(clear, rng))?;
            }
            volume.close(file)?;
            if rng.chance(2) {
                volume.link_at(&root, &name, Follow::No, &root, &format!("{prefix}-{}", number + 2)).ok();
            }
        }
    }
    volume.close(root)?;
    volume.sync_all()
}
