//! Watches a store: no state that an apply leaves may have a secret, in a record or in a file.

use super::masks::Clear;
use crate::ops::Setup;
use crate::run::{Check, TestClock};
use crate::store::{Map, TestStore, tag_of};
use kvfs::{Access, Descriptor, DirEntry, Error, Follow, Kind, OpenFlags, Scope, Scrubbing, Volume};

/// The part of a store's log that was checked.
#[derive(Default)]
pub struct Watch {
    /// The store after the applies that were checked.
    seen: Map,
    checked: usize,
    /// Applies after which all files were read.
    pub looked: usize,
}

impl Watch {
    /// Watches from here on.
    pub fn from_now(store: &TestStore) -> Self {
        let inner = store.0.borrow();
        Self { seen: inner.map.clone(), checked: inner.log.len(), looked: 0 }
    }

    /// Requires that no record of the store has a secret, after each apply since the last check,
    /// and no file that a cut there leaves, if `looks`.
    pub fn check(
        &mut self,
        store: &TestStore,
        setup: &Setup,
        clear: &Clear,
        looks: &mut dyn FnMut() -> bool,
    ) -> Check {
        let log: Vec<_> = store.0.borrow().log[self.checked..].to_vec();
        self.checked += log.len();
        for applied in log {
            for (key, value) in &applied.changes {
                let value = value.as_deref().unwrap_or_default();
                // Records do not tell whether their file is scrubbed.
                let tells = clear.scope == Scope::All || tag_of(key) == 0x11;
                if clear.is_in(key) || (tells && has_secret(clear, tag_of(key), value)) {
                    return Err(format!("a secret in the record of key {}", key.escape_ascii()));
                }
            }
            applied.replay(&mut self.seen);
            if looks() {
                self.looked += 1;
                self.check_files(setup, clear)?;
            }
        }
        Ok(())
    }

    fn check_files(&self, setup: &Setup, clear: &Clear) -> Check {
        let store = TestStore::from_map(self.seen.clone(), setup.limits);
        let (mut volume, root) = open(setup, &store, clear)?;
        for (path, _, bytes) in all_files(&mut volume, &root)? {
            if (clear.scrubs(&path) && clear.is_in(&bytes)) || clear.is_in(path.as_bytes()) {
                return Err(format!("after a cut, {path:?} of {} bytes has a secret", bytes.len()));
            }
        }
        Ok(())
    }
}

/// Returns whether there is a secret in what a record says, leaving out the bytes of its frame.
/// Those of a frame within a journal may precede a secret without its first byte.
fn has_secret(clear: &Clear, tag: u8, value: &[u8]) -> bool {
    let body = value.get(16..).unwrap_or_default();
    match tag {
        0x02 => clear.places(body).any(|at| !matches!(body[..at], [.., 0, 0, 0..0x20])),
        _ => clear.is_in(body),
    }
}

pub fn fail(what: &str, error: Error) -> String {
    format!("{what}: {error:?}")
}

/// Opens a volume with its policy.
pub fn open(setup: &Setup, store: &TestStore, clear: &Clear) -> Result<(Volume, Descriptor), String> {
    let clock = Box::new(TestClock::default());
    let mut volume = setup
        .open(Box::new(store.clone()), clock, setup.options())
        .map_err(|error| fail("opening", error))?;
    if volume.settings().scrubbing.is_none() {
        let mut settings = volume.settings();
        settings.scrubbing = Some(Scrubbing::new([5; 16], &clear.borrowed(), clear.scope.clone()).unwrap());
        volume.set_settings(&settings).map_err(|error| fail("setting the policy", error))?;
    }
    let root = volume.root().map_err(|error| fail("the root", error))?;
    Ok((volume, root))
}

/// Returns all files of the root, each with its inode's number and its bytes.
pub fn all_files(volume: &mut Volume, root: &Descriptor) -> Result<Vec<(String, u64, Vec<u8>)>, String> {
    let failed = |error| fail("reading everything", error);
    let mut stream = volume.read_directory(root).map_err(failed)?;
    let mut names = Vec::new();
    while let Some(DirEntry { name, kind, .. }) = volume.next_entry(&mut stream).map_err(failed)? {
        names.extend((kind == Kind::File).then_some(name));
    }
    volume.close_directory(stream).map_err(failed)?;
    let mut found = Vec::new();
    for name in names {
        let file = volume
            .open_at(root, &name, Follow::No, OpenFlags::default(), Access::default())
            .map_err(failed)?;
        let mut bytes = Vec::new();
        volume.read(&file, 0, 1 << 20, &mut bytes).map_err(failed)?;
        let ino = file.ino().0;
        volume.close(file).map_err(failed)?;
        found.push((name.to_string(), ino, bytes));
    }
    Ok(found)
}
