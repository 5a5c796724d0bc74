//! Object stores in memory that log, fail and misbehave, and stores on them.

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt};
use kvfs_slatedb_store::{Config, OpenError, SlateStore};
use kvfs_store_rig::Blocking;
use kvfs_trust::cuts::Mark;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use std::fmt;
use std::sync::{Arc, Mutex};

/// A store and its runtime.
pub(crate) type Store = Blocking<SlateStore>;

/// Opens a store, or says why not.
pub(crate) fn try_open(config: Config) -> std::result::Result<Store, OpenError> {
    Blocking::open(SlateStore::open(config))
}

/// Opens a store.
pub(crate) fn open(config: Config) -> Store {
    try_open(config).unwrap_or_else(|error| panic!("{error}"))
}

/// Returns the configuration of the store at `agents` in an object store.
pub(crate) fn over(objects: &Arc<impl ObjectStore>) -> Config {
    let mut config = Config::over(objects.clone(), "agents", true);
    config.create = true;
    config
}

/// What an object store does wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Faults {
    /// Overwrites what is only to be created.
    pub(crate) ignores_conditions: bool,
    /// Fails each request, as if it were not reached.
    pub(crate) unreachable: bool,
    /// Has no room for another object.
    pub(crate) full: bool,
    /// Makes each put and says that it failed.
    pub(crate) loses_answers: bool,
}

/// One change of an object store: a path with the new object, or none.
pub(crate) type Change = (Path, Option<PutPayload>);

/// An object store in memory that logs its changes and has faults.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    inner: Arc<InMemory>,
    faults: Arc<Mutex<Faults>>,
    log: Arc<Mutex<Vec<Change>>>,
    marks: Arc<Mutex<Marks>>,
}

/// How far a program has come, now and before each change of the log.
#[derive(Clone, Debug, Default)]
pub(crate) struct Marks {
    pub(crate) now: Mark,
    pub(crate) before: Vec<Mark>,
}

impl Objects {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Makes an object store that holds what the first changes of a log made.
    pub(crate) fn after(changes: &[Change]) -> Arc<Self> {
        let objects = Self::new();
        for (path, object) in changes {
            let made = match object {
                Some(object) => {
                    objects.inner.put(path, object.clone()).now_or_never().map(|put| put.map(drop))
                }
                None => objects.inner.delete(path).now_or_never(),
            };
            made.expect("memory answers at once").unwrap();
        }
        objects
    }

    /// Removes the empty objects, by which newer writers keep older ones out.
    pub(crate) fn remove_fences(&self) -> usize {
        let log = self.log();
        let is_fence = |change: &&Change| {
            change.0.as_ref().contains("/wal/")
                && change.1.as_ref().is_some_and(|object| object.content_length() == 0)
        };
        let fences: Vec<_> = log.iter().filter(is_fence).collect();
        for (path, _) in &fences {
            self.inner.delete(path).now_or_never().expect("memory answers at once").unwrap();
        }
        fences.len()
    }

    pub(crate) fn set(&self, faults: Faults) {
        *self.faults.lock().unwrap() = faults;
    }

    pub(crate) fn log(&self) -> Vec<Change> {
        self.log.lock().unwrap().clone()
    }

    /// Looks at the marks.
    pub(crate) fn marks<T>(&self, look: impl FnOnce(&mut Marks) -> T) -> T {
        look(&mut self.marks.lock().unwrap())
    }

    fn faults(&self) -> Faults {
        *self.faults.lock().unwrap()
    }

    fn reach(&self) -> Result<()> {
        if self.faults().unreachable { Err(lost("connection refused")) } else { Ok(()) }
    }
}

fn lost(why: &str) -> Error {
    Error::Generic { store: "memory", source: std::io::Error::other(why.to_owned()).into() }
}

impl fmt::Display for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("memory:")
    }
}

#[async_trait]
impl ObjectStore for Objects {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        mut options: PutOptions,
    ) -> Result<PutResult> {
        self.reach()?;
        let faults = self.faults();
        if faults.full {
            return Err(lost("No space left on device (os error 28)"));
        }
        if faults.ignores_conditions {
            options.mode = PutMode::Overwrite;
        }
        let put = {
            // Held, so that the log has the order of the changes.
            let mut log = self.log.lock().unwrap();
            let put = self.inner.put_opts(location, payload.clone(), options);
            let put = put.now_or_never().expect("memory answers at once")?;
            log.push((location.clone(), Some(payload)));
            self.marks(|marks| marks.before.push(marks.now));
            put
        };
        if faults.loses_answers { Err(lost("connection reset")) } else { Ok(put) }
    }

    async fn put_multipart_opts(
        &self,
        _location: &Path,
        _options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        panic!("the tests' tables are put whole")
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.reach()?;
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let (inner, log, marks) = (self.inner.clone(), self.log.clone(), self.marks.clone());
        let delete = move |location: Result<Path>| {
            let (inner, log, marks) = (inner.clone(), log.clone(), marks.clone());
            async move {
                let location = location?;
                inner.delete(&location).await?;
                let mut log = log.lock().unwrap();
                log.push((location.clone(), None));
                let marks = &mut *marks.lock().unwrap();
                marks.before.push(marks.now);
                Ok(location)
            }
        };
        locations.then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.reach() {
            Ok(()) => self.inner.list(prefix),
            Err(error) => futures_util::stream::once(async { Err(error) }).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.reach()?;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.reach()?;
        self.inner.copy_opts(from, to, options).await
    }
}
