//! The volumes of a store as wholes.

use std::time::{SystemTime, UNIX_EPOCH};

use kvfs::image::Image;
use kvfs::volumes::{self, Collected, Conflict, Difference, Doing, Outcome, Side, Taken, VolumeInfo};
use kvfs::{Clock, Error, Options, StoreError, Timestamp, Volume};

use crate::{EngineStore, SyncStore, VolumesError};

/// The volumes of a store: made, forked, restored, renamed and removed, while guests use them or not.
///
/// A fork or a snapshot is one durable apply of a few records, whatever the volume holds. A guest that
/// writes to the volume is not disturbed, if it runs in this process on a handle of the same store, or
/// if the store lets several processes write. The fork holds what the guest has handed to the store,
/// as a kill at this moment would leave it.
///
/// ```
/// use kvfs_host::{MemoryStore, Volumes};
///
/// # fn main() -> Result<(), kvfs_host::VolumesError> {
/// let volumes = Volumes::new(MemoryStore::new());
/// volumes.create("main")?;
/// volumes.snapshot("main", "before")?;
/// // A guest works on `main` here, and its work is not wanted.
/// volumes.restore("main", "before")?;
/// volumes.remove("before")?;
/// while !volumes.collect(10_000)?.done {}
/// assert_eq!(volumes.names()?, ["main"]);
/// # Ok(())
/// # }
/// ```
///
/// # In asynchronous hosts
/// The functions wait for the store on the calling thread. In an asynchronous host, call them on a
/// thread for such work; a store that needs an executor is wrapped in [`BlockOn`](crate::BlockOn).
///
/// ```
/// use kvfs_host::{BlockOn, MemoryStore, Volumes};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let volumes = Volumes::new(BlockOn(MemoryStore::new()));
/// let there = volumes.clone();
/// tokio::task::spawn_blocking(move || there.create("main")).await??;
/// assert!(volumes.info("main")?.used.inodes > 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Volumes<S> {
    store: S,
}

/// The time of this machine, for volumes that a host opens or changes.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&mut self) -> Timestamp {
        // A clock before 1970 was never set.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        Timestamp { seconds, nanoseconds: now.subsec_nanos() }
    }
}

impl<S: SyncStore + Clone + 'static> Volumes<S> {
    /// Takes a handle of a store. A clone of it is made for each call.
    pub fn new(store: S) -> Self {
        Self { store }
    }

    #[cfg(feature = "files")]
    pub(crate) fn handle(&self) -> S {
        self.store.clone()
    }

    fn engine(&self) -> EngineStore<S> {
        EngineStore(self.store.clone())
    }

    /// Calls `each` with every volume, in the order of the lengths of their names and then of their
    /// bytes. A volume whose superblock cannot be read comes as an error beside its name. An error of
    /// `each` ends the list and is returned.
    ///
    /// # Errors
    /// [`VolumesError::Store`].
    ///
    /// # Cost
    /// That of [`kvfs::volumes::list`]. Memory does not grow with the number of volumes.
    pub fn list<E: From<VolumesError>>(
        &self,
        mut each: impl FnMut(&str, Result<VolumeInfo, VolumesError>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut failed = None;
        let listed = volumes::list(&mut self.engine(), &mut |name, info| {
            let info = info.map_err(|error| VolumesError::of("read", name, error));
            each(name, info).map_err(|error| {
                failed = Some(error);
                // Ends the list; nobody sees it.
                Error::Store(StoreError::Other(String::new()))
            })
        });
        match (failed, listed) {
            (Some(error), _) => Err(error),
            (None, listed) => Ok(listed.map_err(VolumesError::of_store)?),
        }
    }

    /// Returns the names of all volumes, in the order of [`Volumes::list`].
    ///
    /// # Errors
    /// [`VolumesError::Store`].
    pub fn names(&self) -> Result<Vec<String>, VolumesError> {
        let mut names = Vec::new();
        self.list(|name, _| {
            names.push(name.to_owned());
            Ok::<(), VolumesError>(())
        })?;
        Ok(names)
    }

    /// Returns what is known of one volume without opening it.
    ///
    /// # Errors
    /// [`VolumesError::Missing`], [`VolumesError::Name`], and [`VolumesError::Failed`] for one that
    /// cannot be read.
    ///
    /// # Cost
    /// Two `get`s.
    pub fn info(&self, volume: &str) -> Result<VolumeInfo, VolumesError> {
        volumes::info(&mut self.engine(), volume).map_err(|error| VolumesError::of("read", volume, error))
    }

    /// Makes an empty volume.
    ///
    /// # Durability
    /// Durable when it returns.
    ///
    /// # Errors
    /// [`VolumesError::Taken`], [`VolumesError::Name`], and [`VolumesError::Failed`].
    pub fn create(&self, volume: &str) -> Result<(), VolumesError> {
        match volumes::info(&mut self.engine(), volume) {
            Err(Error::NoEntry) => {}
            // Of an old format, or damaged: it is there.
            Ok(_) | Err(Error::Format(_)) => return Err(VolumesError::Taken { name: volume.to_owned() }),
            Err(error) => return Err(VolumesError::of("make", volume, error)),
        }
        let mut made = self.open(Options { volume: volume.to_owned(), ..Options::default() })?;
        made.sync_all().map_err(|error| VolumesError::of("make", volume, error))
    }

    /// Opens a volume without a guest, and makes an empty one if there is none of this name.
    ///
    /// Whoever had the volume open can store nothing any more.
    ///
    /// # Errors
    /// [`VolumesError::Name`] and [`VolumesError::Failed`].
    pub fn open(&self, options: Options) -> Result<Volume, VolumesError> {
        let name = options.volume.clone();
        let opened = Volume::open(Box::new(self.engine()), Box::new(SystemClock), options);
        opened.map_err(|error| VolumesError::of("open", &name, error))
    }

    /// As [`Volumes::open`], for a volume that lies on an image. A new one holds what the image holds:
    /// [`Volume::open_overlay`].
    ///
    /// # Errors
    /// As those of [`Volumes::open`]; [`VolumesError::Failed`] with [`Error::OtherImage`] for a volume that
    /// was made on another image, or on none.
    pub fn open_overlay(&self, options: Options, image: Image) -> Result<Volume, VolumesError> {
        let name = options.volume.clone();
        let opened = Volume::open_overlay(Box::new(self.engine()), Box::new(SystemClock), image, options);
        opened.map_err(|error| VolumesError::of("open", &name, error))
    }

    /// Makes the volume `to` with what `from` holds now: [`kvfs::volumes::fork`].
    ///
    /// # Durability
    /// Durable when it returns, with all that was applied before.
    ///
    /// # Errors
    /// [`VolumesError::Missing`] and [`VolumesError::Taken`], [`VolumesError::Name`], and
    /// [`VolumesError::Failed`]. Nothing has changed then.
    ///
    /// # Cost
    /// Four `get`s, one `get-limits` and one `apply`, whatever the volume holds.
    pub fn fork(&self, from: &str, to: &str) -> Result<(), VolumesError> {
        self.fork_as(from, to, Taken::Writable)
    }

    /// Makes the volume `to` with what `from` holds now, which takes no writer until it is thawed.
    ///
    /// Durability, errors and cost are those of [`Volumes::fork`].
    ///
    /// # Errors
    /// As there.
    pub fn snapshot(&self, from: &str, to: &str) -> Result<(), VolumesError> {
        self.fork_as(from, to, Taken::ReadOnly)
    }

    fn fork_as(&self, from: &str, to: &str, taken: Taken) -> Result<(), VolumesError> {
        volumes::fork(&mut self.engine(), &mut SystemClock, from, to, taken).map_err(|error| match error {
            Error::Exist => VolumesError::Taken { name: to.to_owned() },
            Error::Invalid if !VolumesError::can_be_name(from) => {
                VolumesError::Name { name: from.to_owned() }
            }
            Error::Invalid => VolumesError::Name { name: to.to_owned() },
            error => VolumesError::of("fork", from, error),
        })
    }

    /// Gives a volume the files that `from` holds now, usually a snapshot of it. Whoever has the
    /// volume open can store nothing any more: [`kvfs::volumes::restore`].
    ///
    /// # Durability
    /// Durable when it returns.
    ///
    /// # Errors
    /// [`VolumesError::Missing`], [`VolumesError::Frozen`], [`VolumesError::Same`], and
    /// [`VolumesError::Failed`]. Nothing has changed then.
    ///
    /// # Cost
    /// Five `get`s, one `get-limits` and one `apply`, whatever the volumes hold.
    pub fn restore(&self, volume: &str, from: &str) -> Result<(), VolumesError> {
        if volume == from {
            return Err(VolumesError::Same { name: volume.to_owned() });
        }
        let restored = volumes::restore(&mut self.engine(), &mut SystemClock, volume, from);
        restored.map_err(|error| match error {
            Error::NoEntry if self.info(volume).is_ok() => VolumesError::Missing { name: from.to_owned() },
            error => VolumesError::of("restore", volume, error),
        })
    }

    /// Gives a volume another name. Whoever has it open can store nothing any more.
    ///
    /// # Durability
    /// Durable when it returns.
    ///
    /// # Errors
    /// As those of [`Volumes::fork`].
    ///
    /// # Cost
    /// As that of [`Volumes::fork`].
    pub fn rename(&self, from: &str, to: &str) -> Result<(), VolumesError> {
        volumes::rename(&mut self.engine(), &mut SystemClock, from, to).map_err(|error| match error {
            Error::Exist => VolumesError::Taken { name: to.to_owned() },
            Error::Invalid if VolumesError::can_be_name(from) => VolumesError::Name { name: to.to_owned() },
            error => VolumesError::of("rename", from, error),
        })
    }

    /// Removes a volume, at once or not at all. What only it used is freed by [`Volumes::collect`];
    /// what others stand on stays. Whoever has it open can store nothing any more.
    ///
    /// # Durability
    /// Durable when it returns.
    ///
    /// # Errors
    /// [`VolumesError::Missing`], [`VolumesError::Name`] and [`VolumesError::Failed`].
    ///
    /// # Cost
    /// Three `get`s, one `get-limits` and one `apply`, whatever the volume holds.
    pub fn remove(&self, volume: &str) -> Result<(), VolumesError> {
        volumes::remove(&mut self.engine(), volume).map_err(|error| VolumesError::of("remove", volume, error))
    }

    /// Lets a volume take no writer any more. Whoever has it open can store nothing any more.
    ///
    /// # Durability
    /// Durable when it returns.
    ///
    /// # Errors
    /// As those of [`Volumes::remove`].
    ///
    /// # Cost
    /// Two `get`s, one `get-limits` and one `apply`.
    pub fn freeze(&self, volume: &str) -> Result<(), VolumesError> {
        volumes::freeze(&mut self.engine(), volume).map_err(|error| VolumesError::of("freeze", volume, error))
    }

    /// Lets a frozen volume, or a snapshot, take writers again.
    ///
    /// Durability, errors and cost are those of [`Volumes::freeze`].
    ///
    /// # Errors
    /// As there.
    pub fn thaw(&self, volume: &str) -> Result<(), VolumesError> {
        volumes::thaw(&mut self.engine(), volume).map_err(|error| VolumesError::of("thaw", volume, error))
    }

    /// Lets a volume share no layers with others: what it shares is copied. A writer is not disturbed.
    ///
    /// # Durability
    /// Durable when it returns. After a kill the volume is as before; what was copied is garbage.
    ///
    /// # Errors
    /// As those of [`Volumes::remove`].
    ///
    /// # Cost
    /// Reads everything below the top layer, and writes it once.
    pub fn flatten(&self, volume: &str) -> Result<(), VolumesError> {
        volumes::flatten(&mut self.engine(), &mut SystemClock, volume)
            .map_err(|error| VolumesError::of("flatten", volume, error))
    }

    /// Returns what differs from volume `first` to volume `second`, in the order of the paths:
    /// [`kvfs::volumes::diff`]. `image` is the one that both lie on, if they do. What a writer changes
    /// meanwhile may be found in part; snapshots do not change.
    ///
    /// # Errors
    /// [`VolumesError::Missing`], [`VolumesError::Name`], [`VolumesError::OtherImages`], and
    /// [`VolumesError::Failed`]: for a volume that cannot be read, and for one that lies on another image
    /// than `image`, with [`Error::OtherImage`] as its source.
    ///
    /// # Cost
    /// That of [`kvfs::volumes::diff`]: it grows with what the two do not share.
    pub fn diff(
        &self,
        first: &str,
        second: &str,
        image: Option<&Image>,
    ) -> Result<Vec<Difference>, VolumesError> {
        let found = volumes::diff(&mut self.engine(), first, second, image);
        found.map_err(|error| {
            let (one, other) = match (self.info(first), self.info(second)) {
                (Err(error), _) | (_, Err(error)) => return error,
                (Ok(one), Ok(other)) => (one.image, other.image),
            };
            let is_other = matches!(&error, Error::OtherImage(_));
            if is_other && one != other {
                return VolumesError::OtherImages { first: first.to_owned(), second: second.to_owned() };
            }
            VolumesError::of("compare", first, error)
        })
    }

    /// Merges into volume `into` what changed in `from` since both were the same: [`kvfs::volumes::merge`].
    /// `image` is the one that both lie on, if they do; `resolve` says whose change is kept where both
    /// changed the same. Whoever has `into` open can store nothing any more, if anything was merged.
    ///
    /// ```
    /// use kvfs::volumes::{Doing, Outcome};
    /// use kvfs_host::{MemoryStore, Volumes};
    ///
    /// # fn main() -> Result<(), kvfs_host::VolumesError> {
    /// let volumes = Volumes::new(MemoryStore::new());
    /// volumes.create("main")?;
    /// volumes.fork("main", "try")?;
    /// // A guest works on `try` here.
    /// match volumes.merge("try", "main", None, Doing::Merge, |_| None)? {
    ///     Outcome::Merged(merged) => println!("{} files changed", merged.changed),
    ///     Outcome::Conflicts(conflicts) => println!("{conflicts:?}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Durability
    /// Whole and durable when it returns, or nothing.
    ///
    /// # Errors
    /// [`VolumesError::Missing`], [`VolumesError::Name`], [`VolumesError::Same`],
    /// [`VolumesError::Frozen`], [`VolumesError::Unrelated`], and [`VolumesError::Failed`]. Nothing has
    /// changed then.
    ///
    /// # Cost
    /// That of [`kvfs::volumes::merge`]: it grows with what the two do not share.
    pub fn merge(
        &self,
        from: &str,
        into: &str,
        image: Option<&Image>,
        doing: Doing,
        mut resolve: impl FnMut(&Conflict) -> Option<Side>,
    ) -> Result<Outcome, VolumesError> {
        if from == into {
            return Err(VolumesError::Same { name: into.to_owned() });
        }
        let store = &mut self.engine();
        let outcome = volumes::merge(store, &mut SystemClock, from, into, image, doing, &mut resolve);
        outcome.map_err(|error| match error {
            Error::NoEntry if self.info(into).is_ok() => VolumesError::Missing { name: from.to_owned() },
            Error::Unrelated => VolumesError::Unrelated { from: from.to_owned(), into: into.to_owned() },
            error => VolumesError::of("merge into", into, error),
        })
    }

    /// Frees what removed and restored volumes have left: up to about `max_records` records. After a
    /// kill, calling it again goes on. It can run beside guests and others.
    ///
    /// # Durability
    /// None of its own: buffered.
    ///
    /// # Errors
    /// [`VolumesError::Store`]. What was freed stays freed.
    ///
    /// # Cost
    /// One `scan` if there is nothing to free, else about two calls for each 1,024 records.
    pub fn collect(&self, max_records: u64) -> Result<Collected, VolumesError> {
        volumes::collect_garbage(&mut self.engine(), max_records).map_err(VolumesError::of_store)
    }
}
