//! A store in front of another one, which answers what frozen layers hold.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use kvfs::frozen::{self, Record};
use kvfs_contract::{AsyncKvStore, Durability, Entry, Guard, Limits, Mutation, StoreError};

use crate::answer::Answer;
use crate::layer_cache::LayerCache;
use crate::learned::{Learned, Status, Waiting};
use crate::name::{Layer, StoreId};
use crate::plan::Plan;

/// How long a volume's superblock vouches for answers from the cache, unless
/// [`LayerView::recheck_after`] says otherwise: so long it may take until an instance whose volume was
/// taken over, restored or removed by another program notices that without asking for anything else.
pub const MAX_UNCHECKED: Duration = Duration::from_secs(1);

/// A store in front of another one, with the same contents. What frozen layers hold is answered from a
/// [`LayerCache`], and the store is asked for the rest.
///
/// One view is made for each store that is opened, and may serve several volumes and instances. It must
/// see every call of these, and lie above whatever seals the store.
///
/// # Consistency
/// As that of the store, but for one thing: while all records of a question are known, the superblock
/// that is asked for with them is the one of up to [`MAX_UNCHECKED`] ago, unless an apply through this
/// view has changed it since. The file system takes that for a sign that its layers are still those
/// that it knows, and frozen layers are the same for ever. So what it reads is true of the moment of
/// that superblock. Whatever it applies is guarded as always.
///
/// # Cost
/// A read of records that are all known takes no call of the store. Otherwise it takes the one call that
/// it takes without the view, with fewer keys, and the headers of the layers that are asked.
#[derive(Debug)]
pub struct LayerView<S> {
    store: S,
    cache: LayerCache,
    id: StoreId,
    recheck: Duration,
    in_memory_alone: bool,
    limits: OnceLock<Limits>,
    learned: Mutex<Learned>,
}

/// A call that is answered, or what is left of it to ask.
#[derive(Debug)]
pub enum Begun {
    /// It took no call of the store.
    Done(Result<Vec<Option<Bytes>>, StoreError>),
    /// The store must be asked: see [`LayerView::go_on`].
    Ask(Asking),
}

/// What is left to ask of a `get`.
#[derive(Debug)]
pub struct Asking(Plan);

impl<S> LayerView<S> {
    /// Puts the cache in front of a store. `place` names the store, and must be another name for each
    /// store that others can write to: its URL, and the namespace in it.
    pub fn new(store: S, cache: LayerCache, place: &str) -> Self {
        Self {
            store,
            cache,
            id: StoreId::of(place),
            recheck: MAX_UNCHECKED,
            in_memory_alone: false,
            limits: OnceLock::new(),
            learned: Mutex::default(),
        }
    }

    /// Sets how long a superblock vouches for answers from the cache: see [`MAX_UNCHECKED`]. With zero,
    /// each read asks the store for it.
    pub fn recheck_after(self, recheck: Duration) -> Self {
        Self { recheck, ..self }
    }

    /// Keeps nothing of this store on disk. For a store that is sealed: the view sees what is in it in
    /// clear.
    pub fn in_memory_alone(self) -> Self {
        Self { in_memory_alone: true, ..self }
    }

    /// Returns the store behind the view.
    pub fn inner(&self) -> &S {
        &self.store
    }

    /// Returns the cache.
    pub fn cache(&self) -> &LayerCache {
        &self.cache
    }

    /// Begins a `get`, without a call of the store.
    pub fn begin_get(&self, keys: &[&[u8]]) -> Begun {
        let plan = Plan::of(&mut self.learned(), &self.cache, |stamp| self.layer(stamp), self.recheck, keys);
        if plan.asked.is_empty() { Begun::Done(plan.finish()) } else { Begun::Ask(Asking(plan)) }
    }

    /// Returns a page of a scan, if it is known.
    pub fn known_page(
        &self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Option<Vec<Entry<Bytes>>> {
        let layer = frozen::layer_of_range(start, end)?;
        let mut learned = self.learned();
        let page = match learned.status(layer)? {
            Status::Frozen(stamp) => {
                let layer = self.layer(stamp);
                match self.cache.get(&layer, &layer.name_of_scan(start, end, max_entries, max_bytes))? {
                    Answer::Page(entries) => entries.to_vec(),
                    Answer::Absent | Answer::Value(_) => return None,
                }
            }
            Status::Changing if learned.top_keys(layer)?.lacks_all(start, end) => Vec::new(),
            Status::Changing => return None,
        };
        learned.has_scanned = true;
        Some(page)
    }

    fn layer(&self, stamp: frozen::Stamp) -> Layer {
        Layer { store: self.id, stamp, on_disk: !self.in_memory_alone }
    }

    fn learned(&self) -> MutexGuard<'_, Learned> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: AsyncKvStore<Bytes = Bytes>> LayerView<S> {
    /// Asks the store for the rest of a `get` of these keys.
    ///
    /// # Errors
    /// The store's.
    pub async fn go_on(
        &self,
        keys: &[&[u8]],
        Asking(mut plan): Asking,
    ) -> Result<Vec<Option<Bytes>>, StoreError> {
        let asked: Vec<&[u8]> = plan.asked.iter().filter_map(|at| keys.get(*at).copied()).collect();
        if !plan.headers.is_empty() {
            let most = self.most_entries().await? as usize;
            plan.headers.truncate(most.saturating_sub(asked.len()));
        }
        let headers: Vec<Vec<u8>> = plan.headers.iter().map(|layer| frozen::header_key(layer)).collect();
        let batch: Vec<&[u8]> = headers.iter().map(Vec::as_slice).chain(asked.iter().copied()).collect();
        let mut values = match self.store.get(&batch).await {
            // The headers may be what made the answer too large.
            Err(StoreError::TooLarge) if !headers.is_empty() => {
                plan.headers.clear();
                self.store.get(&asked).await?
            }
            answer => answer?,
        };
        if values.len() != plan.headers.len() + asked.len() {
            return Err(StoreError::Fault("the store's answer is not one value for each key".into()));
        }
        let found = values.split_off(plan.headers.len());
        self.learn(keys, &plan, &headers, &values, &found);
        for (at, value) in plan.asked.iter().zip(found) {
            if let Some(place) = plan.answers.get_mut(*at) {
                *place = Some(value);
            }
        }
        plan.finish()
    }

    /// Takes note of what the store answered: of headers, and of the keys that were asked for.
    fn learn(
        &self,
        keys: &[&[u8]],
        plan: &Plan,
        header_keys: &[Vec<u8>],
        headers: &[Option<Bytes>],
        found: &[Option<Bytes>],
    ) {
        let stamps: Vec<(&[u8], Option<frozen::Stamp>)> = plan
            .headers
            .iter()
            .zip(header_keys.iter().zip(headers))
            .map(|(layer, (key, header))| {
                let stamp = header.as_deref().and_then(|header| frozen::stamp(key, header));
                (layer.as_slice(), stamp)
            })
            .collect();
        let stamp_of = |layer: &[u8]| stamps.iter().find(|(other, _)| *other == layer)?.1;
        let mut learned = self.learned();
        let (mut reads_layers, mut reads_superblock) = (false, false);
        for (at, value) in plan.asked.iter().zip(found) {
            let Some(key) = keys.get(*at) else { continue };
            match frozen::record(key) {
                Record::Superblock => {
                    reads_superblock = true;
                    let version = plan.before.versions.iter().find(|(place, _)| place == at);
                    let version = version.and_then(|(_, version)| *version);
                    let before = (version, plan.before.reads, plan.before.begun);
                    learned.saw_superblock(key, value.as_deref(), before);
                }
                Record::InLayer(layer) => {
                    reads_layers = true;
                    let is_sound = value.as_deref().is_none_or(|value| frozen::is_sound(key, value));
                    if let Some(stamp) = stamp_of(layer).filter(|_| is_sound) {
                        let layer = self.layer(stamp);
                        self.cache.insert(&layer, layer.name_of(key), Answer::of(value.as_deref()));
                    }
                }
                Record::Header(_) => {
                    // Whoever reads the header of a top is about to read in the layers below: they may
                    // be others than those that had these names before.
                    let below = value.as_deref().and_then(|header| frozen::below_top(key, header));
                    below.unwrap_or_default().iter().for_each(|layer| learned.forget_layer(layer));
                }
                _ => {}
            }
        }
        if reads_layers && !reads_superblock {
            learned.reads += 1;
        }
        if learned.generation == plan.before.generation {
            for (layer, stamp) in &stamps {
                learned.set_status(layer, stamp.map_or(Status::Changing, Status::Frozen));
            }
        }
        // A header that was read before a page, or beside it, says nothing of it.
        let is_read = |page: &Waiting| {
            page.read <= plan.before.reads && stamps.iter().any(|(layer, _)| *layer == page.layer)
        };
        for page in learned.take_waiting(is_read) {
            if stamp_of(&page.layer) == Some(page.stamp) {
                self.cache.insert(&self.layer(page.stamp), page.name, Answer::of_page(&page.entries));
            }
        }
    }

    /// Most keys of a `get` of the store.
    async fn most_entries(&self) -> Result<u32, StoreError> {
        Ok(match self.limits.get() {
            Some(limits) => limits.max_batch_entries,
            None => AsyncKvStore::limits(self).await?.max_batch_entries,
        })
    }
}

impl<S: AsyncKvStore<Bytes = Bytes>> AsyncKvStore for LayerView<S> {
    type Bytes = Bytes;

    async fn limits(&self) -> Result<Limits, StoreError> {
        let limits = self.store.limits().await?;
        Ok(*self.limits.get_or_init(|| limits))
    }

    async fn get<'a>(&'a self, keys: &'a [&'a [u8]]) -> Result<Vec<Option<Bytes>>, StoreError> {
        match self.begin_get(keys) {
            Begun::Done(answer) => answer,
            Begun::Ask(asking) => self.go_on(keys, asking).await,
        }
    }

    async fn scan<'a>(
        &'a self,
        start: &'a [u8],
        end: &'a [u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry<Bytes>>, StoreError> {
        if let Some(page) = self.known_page(start, end, max_entries, max_bytes) {
            return Ok(page);
        }
        let layer = frozen::layer_of_range(start, end);
        let before = layer.and_then(|layer| self.learned().status(layer));
        let entries = self.store.scan(start, end, max_entries, max_bytes).await?;
        let mut learned = self.learned();
        learned.reads += 1;
        if let (Some(layer), Some(Status::Frozen(stamp))) = (layer, before) {
            let is_sound = entries.iter().all(|entry| frozen::is_sound(&entry.key, &entry.value));
            if is_sound {
                let name = self.layer(stamp).name_of_scan(start, end, max_entries, max_bytes);
                let (layer, entries, read) = (layer.to_vec(), entries.clone(), learned.reads);
                learned.wait(Waiting { layer, stamp, name, entries, read });
            }
        }
        Ok(entries)
    }

    async fn apply<'a>(
        &'a self,
        guards: &'a [Guard<&'a [u8]>],
        mutations: &'a [Mutation<&'a [u8]>],
        level: Durability,
    ) -> Result<(), StoreError> {
        let applying = self.learned().begin_apply(mutations);
        let mut ended = Ended { view: self, applying: Some(applying), guards, mutations };
        let outcome = self.store.apply(guards, mutations, level).await;
        ended.end(&outcome);
        outcome
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.store.close().await
    }
}

/// Takes note of the end of an apply, also of one whose caller gave up: that one has an unknown outcome.
struct Ended<'a, S> {
    view: &'a LayerView<S>,
    applying: Option<crate::learned::Applying>,
    guards: &'a [Guard<&'a [u8]>],
    mutations: &'a [Mutation<&'a [u8]>],
}

impl<S> Ended<'_, S> {
    fn end(&mut self, outcome: &Result<(), StoreError>) {
        if let Some(applying) = self.applying.take() {
            self.view.learned().end_apply(applying, self.guards, self.mutations, outcome);
        }
    }
}

impl<S> Drop for Ended<'_, S> {
    fn drop(&mut self) {
        self.end(&Err(StoreError::UnknownOutcome));
    }
}
