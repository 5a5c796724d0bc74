//! The cache that all views of a host share.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::answer::Answer;
use crate::disk::Disk;
use crate::name::{LAYER_BYTES, Layer};

/// Memory that holds what a CPython program imports, several times.
pub const DEFAULT_MEMORY_BYTES: u64 = 64 << 20;

/// Bytes of a usual answer, from which the cache's tables get their first size.
const USUAL_ANSWER_BYTES: u64 = 1024;

/// Answers of frozen layers, in memory and perhaps on disk. A clone is another handle on the same cache.
///
/// It may be shared by any number of views, of any number of stores.
#[derive(Clone)]
pub struct LayerCache {
    shared: Arc<Shared>,
}

struct Shared {
    memory: Cache<Box<[u8]>, Answer, ByBytes>,
    max_bytes: u64,
    hits: AtomicU64,
    misses: AtomicU64,
    kept: AtomicU64,
    disk_hits: AtomicU64,
    disk: Option<Mutex<Disk>>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(disk) = &mut self.disk {
            disk.get_mut().unwrap_or_else(PoisonError::into_inner).flush();
        }
    }
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<Box<[u8]>, Answer> for ByBytes {
    fn weight(&self, name: &Box<[u8]>, answer: &Answer) -> u64 {
        answer.weight(name.len())
    }
}

/// What a cache has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Questions to frozen layers that were answered from the cache, one for each key and each page.
    pub hits: u64,
    /// Questions to frozen layers for which a store was asked.
    pub misses: u64,
    /// Answers that were taken into the cache.
    pub kept: u64,
    /// How many of the hits were read from disk.
    pub disk_hits: u64,
    /// Answers that are in memory now.
    pub answers: u64,
    /// Bytes of memory that they take.
    pub memory_bytes: u64,
}

impl LayerCache {
    /// Makes a cache that holds about `max_bytes` in memory, its own tables included.
    pub fn new(max_bytes: u64) -> Self {
        Self::with(max_bytes, None)
    }

    /// Keeps answers in files of a directory too, of about `max_bytes` together. The next program on
    /// this host finds them there, and others may use the directory at the same time.
    ///
    /// Files are checked when they are read, and written whole: whoever is killed, or cuts or changes
    /// them, costs what was in them. What cannot be written is not kept, and no read fails for it: see
    /// [`LayerCache::trouble`]. What is written waits for up to 1 MiB more, or for [`LayerCache::flush`].
    ///
    /// # Errors
    /// A directory that cannot be made or read, or that others may write to. They could change what
    /// guests read.
    pub fn on_disk(self, directory: impl AsRef<Path>, max_bytes: u64) -> io::Result<Self> {
        let disk = Disk::open(directory.as_ref(), max_bytes)?;
        Ok(Self::with(self.max_bytes(), Some(Mutex::new(disk))))
    }

    fn with(max_bytes: u64, disk: Option<Mutex<Disk>>) -> Self {
        let answers = usize::try_from(max_bytes / USUAL_ANSWER_BYTES).unwrap_or(usize::MAX);
        let memory = Cache::with_weighter(answers.clamp(16, 1 << 20), max_bytes, ByBytes);
        let zero = AtomicU64::default;
        let (hits, misses, kept, disk_hits) = (zero(), zero(), zero(), zero());
        Self { shared: Arc::new(Shared { memory, max_bytes, hits, misses, kept, disk_hits, disk }) }
    }

    /// Writes what waits to be written to the directory. The last handle does so when it is dropped.
    pub fn flush(&self) {
        if let Some(mut disk) = self.lock() {
            disk.flush();
        }
    }

    /// Returns what went wrong with the directory, in one line, if anything did.
    pub fn trouble(&self) -> Option<String> {
        self.lock()?.trouble()
    }

    fn lock(&self) -> Option<MutexGuard<'_, Disk>> {
        self.shared.disk.as_ref().map(|disk| disk.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The files, for answers of a layer that may be kept there.
    fn disk(&self, layer: &Layer) -> Option<MutexGuard<'_, Disk>> {
        if layer.on_disk { self.lock() } else { None }
    }

    /// Returns what the cache has done so far, for all its views together.
    pub fn counts(&self) -> Counts {
        let Shared { memory, hits, misses, kept, disk_hits, .. } = &*self.shared;
        Counts {
            hits: hits.load(Ordering::Relaxed),
            misses: misses.load(Ordering::Relaxed),
            kept: kept.load(Ordering::Relaxed),
            disk_hits: disk_hits.load(Ordering::Relaxed),
            answers: memory.len() as u64,
            memory_bytes: memory.weight(),
        }
    }

    /// Returns how many bytes it may hold in memory.
    pub fn max_bytes(&self) -> u64 {
        self.shared.max_bytes
    }

    /// Looks for the answer of this name.
    pub(crate) fn get(&self, layer: &Layer, name: &[u8]) -> Option<Answer> {
        let found = self.shared.memory.get(name).or_else(|| {
            let answer = self.disk(layer)?.get(layer, name.get(LAYER_BYTES..)?)?;
            self.shared.disk_hits.fetch_add(1, Ordering::Relaxed);
            self.shared.memory.insert(name.into(), answer.clone());
            Some(answer)
        });
        let count = if found.is_some() { &self.shared.hits } else { &self.shared.misses };
        count.fetch_add(1, Ordering::Relaxed);
        found
    }

    /// Keeps an answer of a layer.
    pub(crate) fn insert(&self, layer: &Layer, name: Vec<u8>, answer: Answer) {
        if let (Some(mut disk), Some(question)) = (self.disk(layer), name.get(LAYER_BYTES..)) {
            disk.insert(layer, question, &answer);
        }
        self.shared.kept.fetch_add(1, Ordering::Relaxed);
        self.shared.memory.insert(name.into(), answer);
    }
}

impl fmt::Debug for LayerCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LayerCache").field("counts", &self.counts()).finish()
    }
}
