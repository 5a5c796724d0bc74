//! A volume: one file-system tree in a store. Opening, formatting, and what all operations share.

pub(crate) mod mountpoints;
pub(crate) mod room;

use crate::backing::batch::Batch;
use crate::backing::journal_view::Changes;
use crate::backing::overlay::{Lower, Midnight, NoStore};
use crate::cache::{Cache, CacheLimits};
use crate::error::{Error, OtherImage, Result};
use crate::limits;
use crate::quota::Quota;
use crate::store::{Durability, Guard, KvStore, Limits, Mutation, StoreError};
use crate::stored::image::{Image, ImageId};
use crate::stored::key::{KeySpace, tag};
use crate::stored::record::inode::{Content, Inode};
use crate::stored::record::reap;
use crate::stored::record::superblock::Superblock;
use crate::storing::commit::Doubt;
use crate::storing::unstored::Unstored;
use crate::transaction::txn::ReadSet;
use crate::types::{Clock, InodeNo, Kind};
use crate::volume::mountpoints::Mountpoints;
use crate::volume::room::{Room, check_fit, check_limits, fitting_sizes};
use std::collections::VecDeque;
use xxhash_rust::xxh64::xxh64;

/// When changes are handed to the store. See SEMANTICS for what a kill and a crash lose in each mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Every operation that changes something is durable when it returns.
    Strict,
    /// A file's bytes are in the store when it is closed, a change of names when it returns.
    #[default]
    Close,
    /// Changes gather until a sync, the end of the program, or a limit of size or age.
    Lazy,
}

/// The volume that is used where none is named.
pub const DEFAULT_VOLUME: &str = "main";

/// How to open a volume.
#[derive(Debug, Clone)]
pub struct Options {
    /// The volume's name in its store, 1 to 255 bytes.
    pub volume: String,
    /// When changes are handed to the store.
    pub mode: Mode,
    /// What may stay in memory.
    pub cache: CacheLimits,
    /// Bytes of file data that may wait in memory before they are handed to the store.
    pub dirty_bytes_max: usize,
    /// How long a change may wait before a later change takes it to the store, in nanoseconds.
    pub dirty_age_max_nanoseconds: u64,
    /// Extent size of a volume that is made by opening it; a power of two from 512 to 1 MiB.
    pub extent_bytes: u32,
    /// Files up to this size lie in their inode's record, in a volume that is made by opening it; no
    /// more than an extent.
    pub inline_bytes: u32,
    /// What the volume may hold from now on; `None` leaves it as it is, and a new volume without limits.
    pub quota: Option<Quota>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            volume: DEFAULT_VOLUME.to_owned(),
            mode: Mode::default(),
            cache: CacheLimits::default(),
            dirty_bytes_max: 8 << 20,
            dirty_age_max_nanoseconds: 1_000_000_000,
            extent_bytes: 32 << 10,
            inline_bytes: 4 << 10,
            quota: None,
        }
    }
}

/// An open volume.
///
/// One thread uses it; its operations are the methods in `ops`. Dropping it without
/// [`Volume::sync_all`] is what a kill does: see [`Mode`].
pub struct Volume {
    pub(crate) store: Box<dyn KvStore>,
    pub(crate) clock: Box<dyn Clock>,
    pub(crate) options: Options,
    pub(crate) limits: Limits,
    pub(crate) room: Room,
    pub(crate) keys: KeySpace,
    /// The image that the volume lies on, or that it is.
    pub(crate) lower: Option<Lower>,
    /// Directories on which something else is mounted.
    pub(crate) mountpoints: Mountpoints,
    /// Takes no changes, by what it is or because the caller wants none now.
    pub(crate) read_only: bool,
    /// The superblock as it will be with the next commit.
    pub(crate) superblock: Superblock,
    /// The superblock as it is in the store, decoded and to the byte.
    pub(crate) committed: Superblock,
    pub(crate) committed_value: Vec<u8>,
    pub(crate) cache: Cache,
    /// Memory for commits.
    pub(crate) batch: Batch,
    /// What a committed journal changes that is not in place yet: readers see it so.
    pub(crate) journalled: Changes,
    /// Keys of a journal's parts that may be in the store.
    pub(crate) journal_parts: Vec<Vec<u8>>,
    /// Removals that are dirty.
    pub(crate) removals: u32,
    /// A write has made room in this file, at this moment, and waits for its bytes.
    pub(crate) placing: Option<(InodeNo, crate::types::Timestamp)>,
    pub(crate) state: State,
    /// What a commit that failed means for later operations.
    pub(crate) unstored: Unstored,
    /// Something was applied that no durable apply has covered yet.
    pub(crate) unsynced: bool,
    /// When the oldest change that is not stored was made.
    pub(crate) dirty_since: Option<crate::types::Timestamp>,
    /// Inodes without a name that are not open: a former opener left them, or there was no room to
    /// remove them with their last close.
    pub(crate) orphans: VecDeque<InodeNo>,
    /// Where the former opener's go on, behind those in `orphans`.
    pub(crate) orphans_from: Option<Vec<u8>>,
    pub(crate) open_descriptors: u32,
    /// Names that listings hold.
    pub(crate) snapshot_entries: usize,
    pub(crate) reads: ReadSet,
}

/// What a volume is opened with, checked.
struct Parts {
    store: Box<dyn KvStore>,
    clock: Box<dyn Clock>,
    options: Options,
    limits: Limits,
    room: Room,
    keys: KeySpace,
}

/// Whether the volume can be used.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum State {
    Live,
    /// An apply may have been applied.
    InDoubt(Doubt),
    /// Another opener has raised the epoch.
    Fenced,
}

/// Attempts at opening against others that open at the same time.
const OPEN_ATTEMPTS: u32 = 16;

impl Volume {
    /// Opens a volume, and makes an empty one if the store has none of this name.
    ///
    /// The opener becomes the volume's one writer: whoever opened it before can store nothing any
    /// more, and is told so.
    ///
    /// # Cost
    /// Four store calls, whatever the volume holds: `get-limits`, `get`, `apply`, `scan`. One more `get` to
    /// make a volume, and more if the former opener was cut off in a commit that went through the journal. Once, a
    /// volume of format minor 2 or older is recounted: one `apply` more, and `scan`s over all its names.
    ///
    /// # Durability
    /// None of its own: the new epoch is buffered, and durable with the first durable commit.
    ///
    /// # Errors
    /// [`Error::Format`] for a volume that this version cannot use, [`Error::StoreLimits`] for a store
    /// that cannot carry it, [`Error::Invalid`] for a bad name, and what the store says.
    pub fn open(store: Box<dyn KvStore>, clock: Box<dyn Clock>, options: Options) -> Result<Volume> {
        Volume::open_above(store, clock, None, options)
    }

    /// Opens a volume that lies on an image, and makes one if the store has none of this name: at first it
    /// holds what the image holds, and all changes go to the store. The options' sizes are the image's.
    ///
    /// A volume can only be opened with the image that it was made on.
    ///
    /// # Cost
    /// As [`Volume::open`]; a call less as long as nothing was written to the volume. Reading what lies in the
    /// image costs no call as long as that is so, and one `get` where something else was written.
    ///
    /// # Errors
    /// As [`Volume::open`], and [`Error::OtherImage`] for a volume that was made on another image, or on none;
    /// [`Error::Format`] for an image that was packed for a volume of another name.
    pub fn open_overlay(
        store: Box<dyn KvStore>,
        clock: Box<dyn Clock>,
        image: Image,
        options: Options,
    ) -> Result<Volume> {
        Volume::open_above(store, clock, Some(image), options)
    }

    /// Opens an image alone: a volume that takes no changes and has no store. Of the options only the cache's
    /// are of use.
    ///
    /// # Cost
    /// No store call, ever.
    ///
    /// # Errors
    /// [`Error::Damaged`] and [`Error::Format`].
    pub fn open_image(mut image: Image, mut options: Options) -> Result<Volume> {
        image.volume().clone_into(&mut options.volume);
        check_volume_name(&options.volume)?;
        let keys = KeySpace::new(&options.volume);
        let (superblock, value) = image.superblock_value()?;
        let limits = NoStore.limits()?;
        let room = check_fit(&superblock, &limits)?;
        let lower = Some(Lower::new(image, keys.clone()));
        let parts =
            Parts { store: Box::new(NoStore), clock: Box::new(Midnight), options, limits, room, keys };
        let mut volume = Volume::assemble(parts, lower, superblock, value.to_vec());
        (volume.read_only, volume.unsynced) = (true, false);
        Ok(volume)
    }

    fn open_above(
        mut store: Box<dyn KvStore>,
        mut clock: Box<dyn Clock>,
        mut image: Option<Image>,
        options: Options,
    ) -> Result<Volume> {
        check_volume_name(&options.volume)?;
        let limits = store.limits()?;
        check_limits(&limits)?;
        let keys = KeySpace::new(&options.volume);
        let (superblock, value) =
            take_over(&mut *store, &mut *clock, &keys, &options, &limits, image.as_mut())?;
        let room = check_fit(&superblock, &limits)?;
        let lower = image.map(|image| Lower::new(image, keys.clone()));
        let parts = Parts { store, clock, options, limits, room, keys };
        let mut volume = Volume::assemble(parts, lower, superblock, value);
        volume.recover_journal()?;
        volume.load_pending()?;
        volume.recount()?;
        Ok(volume)
    }

    fn assemble(
        parts: Parts,
        lower: Option<Lower>,
        superblock: Superblock,
        committed_value: Vec<u8>,
    ) -> Volume {
        let Parts { store, clock, options, limits, room, keys } = parts;
        Volume {
            cache: Cache::new(options.cache),
            batch: Batch::default(),
            journalled: Changes::new(),
            journal_parts: Vec::new(),
            removals: 0,
            placing: None,
            store,
            clock,
            options,
            limits,
            room,
            keys,
            lower,
            mountpoints: Mountpoints::default(),
            read_only: false,
            committed: superblock.clone(),
            superblock,
            committed_value,
            state: State::Live,
            unstored: Unstored::default(),
            unsynced: true,
            dirty_since: None,
            orphans: VecDeque::new(),
            orphans_from: None,
            open_descriptors: 0,
            snapshot_entries: 0,
            reads: ReadSet::default(),
        }
    }

    /// Reads which garbage former openers left, and which orphans, as far as they come along.
    fn load_pending(&mut self) -> Result<()> {
        let (mut start, _) = self.keys.pending_range();
        // Garbage must be known in full before a file grows over it, and a short page need not be the
        // last; orphans, which come behind it, may wait.
        while let Some(next) = self.load_pending_page(&start)? {
            start = next;
            if !self.orphans.is_empty() {
                self.orphans_from = Some(start);
                break;
            }
        }
        for reap in self.cache.reaps.values_mut() {
            (reap.stored, reap.dirty) = (true, false);
        }
        self.cache.dirty.reaps = 0;
        Ok(())
    }

    /// Returns where the next page starts, `None` if this one was empty.
    fn load_pending_page(&mut self, start: &[u8]) -> Result<Option<Vec<u8>>> {
        let (_, end) = self.keys.pending_range();
        let entries = self.scan(start, &end, self.page_entries(), self.page_bytes())?;
        for entry in &entries {
            let (tag, ino) = self
                .keys
                .split(&entry.key)
                .and_then(|(tag, rest)| Some((tag, InodeNo(u64::from_be_bytes(rest.try_into().ok()?)))))
                .ok_or(Error::damaged("reap or orphan key", 0, "malformed"))?;
            if tag == tag::REAP {
                let found = reap::decode(&entry.key, ino, &entry.value)?;
                self.cache.add_reap(ino, found.from, found.to);
            } else {
                reap::decode_orphan(&entry.key, ino, &entry.value)?;
                self.orphans.push_back(ino);
            }
        }
        Ok(entries.last().map(|last| [last.key.as_slice(), &[0]].concat()))
    }

    /// Reads the next orphans that a former opener left, once those known are removed. What fails is
    /// left to the next opener.
    pub(crate) fn load_more_orphans(&mut self) {
        if self.orphans.is_empty()
            && let Some(start) = self.orphans_from.take()
        {
            self.orphans_from = self.load_pending_page(&start).unwrap_or_default();
        }
    }

    /// Entries that one scan may ask for.
    pub(crate) fn page_entries(&self) -> u32 {
        limits::READDIR_PAGE_ENTRIES.min(self.limits.max_batch_entries)
    }

    /// Bytes that one scan may ask for.
    pub(crate) fn page_bytes(&self) -> u32 {
        limits::READDIR_PAGE_BYTES.min(self.limits.max_batch_bytes)
    }

    pub(crate) fn extent_bytes(&self) -> u64 {
        u64::from(self.committed.extent_bytes)
    }

    pub(crate) fn inline_bytes(&self) -> u64 {
        u64::from(self.committed.inline_bytes)
    }

    /// Refuses or takes changes from now on, but for those already made, which are still stored. An image
    /// never takes any.
    pub fn set_read_only(&mut self, read_only: bool) {
        self.read_only = read_only || (self.lower.is_some() && self.committed.lower.is_none());
    }

    /// The name this volume has in its store.
    pub fn name(&self) -> &str {
        &self.options.volume
    }

    /// An identity that no other volume has.
    pub fn uuid(&self) -> [u8; 16] {
        self.committed.uuid
    }

    /// Inodes, directory entries and bytes of files that are in memory now.
    pub fn memory(&self) -> (usize, usize, usize) {
        self.cache.usage()
    }
}

/// Fails unless a volume can have this name.
pub(crate) fn check_volume_name(name: &str) -> Result<()> {
    if name.is_empty() || name.len() > limits::VOLUME_NAME_BYTES_MAX || name.contains('\0') {
        return Err(Error::Invalid);
    }
    Ok(())
}

/// Looks whether a store holds a volume of this name that [`Volume::open`] can use, and changes nothing.
///
/// Returns false if it holds none: opening would make one.
///
/// # Errors
/// As [`Volume::open`].
///
/// # Cost
/// Two store calls, `get-limits` and `get`, and one more `get` if there is none.
pub fn probe(store: &mut dyn KvStore, volume: &str) -> Result<bool> {
    look_at(store, volume, None)
}

/// As [`probe`], for a volume that is to be opened with an image.
///
/// # Errors
/// As [`Volume::open_overlay`].
pub fn probe_overlay(store: &mut dyn KvStore, volume: &str, image: &Image) -> Result<bool> {
    check_same_name(image, volume)?;
    look_at(store, volume, Some(image.id()))
}

fn look_at(store: &mut dyn KvStore, volume: &str, image: Option<&ImageId>) -> Result<bool> {
    check_volume_name(volume)?;
    let limits = store.limits()?;
    check_limits(&limits)?;
    let keys = KeySpace::new(volume);
    let key = keys.superblock();
    match store.get(&[key])?.into_iter().next().flatten() {
        Some(value) => check_fit(&decode_usable(key, &value, image)?, &limits).map(|_| true),
        None => check_new(store, &keys).map(|()| false),
    }
}

/// Fails if there is a volume that has lost its superblock: making a new one would bury what is left.
fn check_new(store: &mut dyn KvStore, keys: &KeySpace) -> Result<()> {
    let mut root = Vec::new();
    keys.inode(InodeNo::ROOT, &mut root);
    match store.get(&[&root])?.into_iter().next().flatten() {
        Some(_) => {
            Err(Error::damaged("superblock", 0, "missing, though there is a root; a repair can make it"))
        }
        None => Ok(()),
    }
}

/// Decodes a superblock and refuses one that this version cannot write to, or not with this image.
fn decode_usable(key: &[u8], value: &[u8], image: Option<&ImageId>) -> Result<Superblock> {
    let superblock = Superblock::decode(key, value)?;
    check_usable(&superblock, image).map(|()| superblock)
}

/// Refuses an image that was packed for a volume of another name: its checksums cover the name.
pub(crate) fn check_same_name(image: &Image, volume: &str) -> Result<()> {
    if image.volume() == volume {
        return Ok(());
    }
    Err(Error::Format("the image was packed for a volume of another name; pack it for this one"))
}

/// Refuses a volume that lies on another image than this one.
pub(crate) fn check_image(superblock: &Superblock, image: Option<&ImageId>) -> Result<()> {
    let recorded = superblock.lower.as_ref().map(|lower| &lower.image);
    // The name is for people alone.
    if recorded.map(|image| image.digest) != image.map(|image| image.digest) {
        let (recorded, given) = (recorded.cloned(), image.cloned());
        return Err(Error::OtherImage(Box::new(OtherImage { recorded, given })));
    }
    Ok(())
}

/// Refuses a volume that this version cannot write to, or not with this image.
pub(crate) fn check_usable(superblock: &Superblock, image: Option<&ImageId>) -> Result<()> {
    check_image(superblock, image)?;
    if superblock.frozen {
        return Err(Error::Format("it is frozen: an image that others lie on takes no writer"));
    }
    Ok(())
}

/// Becomes the one writer: raises the epoch of the volume there is, or makes one.
fn take_over(
    store: &mut dyn KvStore,
    clock: &mut dyn Clock,
    keys: &KeySpace,
    options: &Options,
    limits: &Limits,
    mut image: Option<&mut Image>,
) -> Result<(Superblock, Vec<u8>)> {
    if let Some(image) = &image {
        check_same_name(image, &options.volume)?;
    }
    let key = keys.superblock().to_vec();
    for _ in 0..OPEN_ATTEMPTS {
        let found = store.get(&[&key])?.into_iter().next().flatten();
        let (mut superblock, root) = match &found {
            Some(value) => {
                let mut superblock = decode_usable(&key, value, image.as_deref().map(Image::id))?;
                // Whoever has the volume now keeps it if this opener cannot use it.
                check_fit(&superblock, limits)?;
                superblock.take_over();
                (superblock, None)
            }
            None => {
                check_new(store, keys)?;
                let now = clock.now();
                let uuid = make_uuid(options, now);
                if let Some(image) = &mut image {
                    let superblock = image.superblock()?.above(image.id().clone(), uuid);
                    check_fit(&superblock, limits)?;
                    (superblock, None)
                } else {
                    let (extent_bytes, inline_bytes) = fitting_sizes(options, limits);
                    let superblock = Superblock::new(uuid, extent_bytes, inline_bytes);
                    let root = Inode::new(Kind::Directory, InodeNo::ROOT, now, Content::None);
                    let (mut key, mut value) = (Vec::new(), Vec::new());
                    keys.inode(InodeNo::ROOT, &mut key);
                    root.encode(&key, &mut value);
                    (superblock, Some((key, value)))
                }
            }
        };
        if let Some(quota) = options.quota {
            quota.put_into(&mut superblock);
        }
        let value = superblock.encode(&key);
        let mut mutations = vec![Mutation::Put { key: &key, value: &value }];
        if let Some((key, value)) = &root {
            mutations.push(Mutation::Put { key, value });
        }
        let guard = Guard { key: &key, expected: found.as_deref() };
        match store.apply(&[guard], &mutations, Durability::Buffered) {
            Ok(()) => return Ok((superblock, value)),
            // Another opener was faster, or this one without knowing: look again.
            Err(StoreError::Conflict | StoreError::UnknownOutcome) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Error::Store(StoreError::Unavailable("others keep opening the volume".to_owned())))
}

/// The engine has no randomness: the name and the time of making tell volumes apart.
pub(crate) fn make_uuid(options: &Options, now: crate::types::Timestamp) -> [u8; 16] {
    let mut text = options.volume.clone().into_bytes();
    text.extend_from_slice(&now.seconds.to_be_bytes());
    text.extend_from_slice(&now.nanoseconds.to_be_bytes());
    let mut uuid = [0; 16];
    for (half, seed) in uuid.chunks_exact_mut(8).zip([1, 2]) {
        half.copy_from_slice(&xxh64(&text, seed).to_be_bytes());
    }
    uuid
}
