//! Buckets of `wasi:keyvalue` in memory. They outlive the instances that use them.
//!
//! Put [`Buckets`] beside a [`ResourceTable`] into the data of a store, and give guests the
//! interface with [`add_to_linker`].

use bindings::wasi::keyvalue::store as wit;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};

#[allow(missing_docs)]
mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit/deps/wasi-keyvalue.wit",
        inline: "package kvfs:check; world keyvalue { import wasi:keyvalue/store@0.2.0-draft; }",
        imports: { default: trappable },
        with: { "wasi:keyvalue/store.bucket": super::Bucket },
    });
}

type Values = HashMap<String, Vec<u8>>;

/// Buckets by name. Opening a name that is not there makes an empty bucket.
#[derive(Clone, Default)]
pub struct Buckets {
    all: Arc<Mutex<HashMap<String, Arc<Mutex<Values>>>>>,
    end: Option<Arc<End>>,
}

/// The call in which an instance is ended.
struct End {
    /// Calls up to and with that call.
    calls_left: AtomicU64,
    /// True if that call takes effect first.
    done: bool,
}

impl Buckets {
    /// Returns the same buckets for an instance that is ended in its call `number`, as a kill
    /// would: after the call has taken effect if `done`, before otherwise.
    pub fn ending_in_call(&self, number: u64, done: bool) -> Self {
        let end = End { calls_left: AtomicU64::new(number), done };
        Self { all: self.all.clone(), end: Some(Arc::new(end)) }
    }

    /// Returns whether an instance was ended by [`Buckets::ending_in_call`].
    pub fn has_ended(&self) -> bool {
        self.end.as_ref().is_some_and(|end| end.calls_left.load(Ordering::Relaxed) == 0)
    }
}

/// An open bucket, in the [`ResourceTable`] of an instance.
pub struct Bucket(Arc<Mutex<Values>>);

/// The buckets that an instance may open, and the table of those that it has open.
pub struct BucketsView<'a> {
    /// The buckets.
    pub buckets: &'a Buckets,
    /// The table.
    pub table: &'a mut ResourceTable,
}

struct HasBuckets;

impl HasData for HasBuckets {
    type Data<'a> = BucketsView<'a>;
}

/// Gives guests `wasi:keyvalue/store`.
///
/// # Errors
///
/// The linker has the interface already.
pub fn add_to_linker<T: 'static>(
    linker: &mut Linker<T>,
    view: fn(&mut T) -> BucketsView<'_>,
) -> wasmtime::Result<()> {
    wit::add_to_linker::<_, HasBuckets>(linker, view)
}

/// The answer of a call. An outer error ends the instance.
type Answer<T> = wasmtime::Result<Result<T, wit::Error>>;

impl BucketsView<'_> {
    fn values<T>(&self, bucket: &Resource<Bucket>, ask: impl FnOnce(&mut Values) -> T) -> Answer<T> {
        let Bucket(values) = self.table.get(bucket)?;
        if let Some(end) = &self.buckets.end {
            let left = end.calls_left.load(Ordering::Relaxed).saturating_sub(1);
            end.calls_left.store(left, Ordering::Relaxed);
            if left == 0 {
                if end.done {
                    let _ = values.lock().map(|mut values| ask(&mut values));
                }
                return Err(wasmtime::Error::msg("the instance is ended"));
            }
        }
        Ok(values.lock().map(|mut values| ask(&mut values)).map_err(|_| poisoned()))
    }
}

fn poisoned() -> wit::Error {
    wit::Error::Other("a thread panicked while it had the bucket".into())
}

impl wit::Host for BucketsView<'_> {
    fn open(&mut self, identifier: String) -> Answer<Resource<Bucket>> {
        let Ok(mut buckets) = self.buckets.all.lock() else { return Ok(Err(poisoned())) };
        let values = buckets.entry(identifier).or_default().clone();
        Ok(Ok(self.table.push(Bucket(values))?))
    }
}

impl wit::HostBucket for BucketsView<'_> {
    fn get(&mut self, bucket: Resource<Bucket>, key: String) -> Answer<Option<Vec<u8>>> {
        self.values(&bucket, |values| values.get(&key).cloned())
    }

    fn set(&mut self, bucket: Resource<Bucket>, key: String, value: Vec<u8>) -> Answer<()> {
        self.values(&bucket, |values| drop(values.insert(key, value)))
    }

    fn delete(&mut self, bucket: Resource<Bucket>, key: String) -> Answer<()> {
        self.values(&bucket, |values| drop(values.remove(&key)))
    }

    fn exists(&mut self, bucket: Resource<Bucket>, key: String) -> Answer<bool> {
        self.values(&bucket, |values| values.contains_key(&key))
    }

    fn list_keys(&mut self, bucket: Resource<Bucket>, _cursor: Option<u64>) -> Answer<wit::KeyResponse> {
        let keys = self.values(&bucket, |values| values.keys().cloned().collect())?;
        Ok(keys.map(|keys| wit::KeyResponse { keys, cursor: None }))
    }

    fn drop(&mut self, bucket: Resource<Bucket>) -> wasmtime::Result<()> {
        self.table.delete(bucket)?;
        Ok(())
    }
}
