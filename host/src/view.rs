//! The context that an embedder's store data holds for the linker, and the trait that reaches it.

use std::sync::Arc;

use crate::Store;

/// The state of one instance's `kvfs:store`: the store it was given, and counts of its calls.
///
/// The store is the whole namespace that the guest can see. For a part of a larger store, wrap it
/// in [`Namespaced`](crate::Namespaced); for an upper bound, in [`Limited`](crate::Limited).
pub struct KvCtx {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) calls: Calls,
    pub(crate) failure: Option<String>,
}

impl KvCtx {
    /// Makes a context over a store. Several contexts may share one: give each a clone or an `Arc`.
    pub fn new(store: impl Store + 'static) -> Self {
        Self { store: Arc::new(store), calls: Calls::default(), failure: None }
    }

    /// Returns the reason if the guest's last `apply` failed. After the program's end, this tells
    /// why not everything it wrote is stored. The program's result is a failure then, and a guest
    /// that has standard error has written the reason there.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// Returns the counts of the guest's calls so far.
    pub fn calls(&self) -> Calls {
        self.calls
    }
}

impl std::fmt::Debug for KvCtx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KvCtx").field("calls", &self.calls).finish_non_exhaustive()
    }
}

/// Counts of a guest's calls, refused ones included, to hold a budget of calls against.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Calls {
    /// Calls of `get-limits`.
    pub get_limits: u64,
    /// Calls of `get`.
    pub get: u64,
    /// Calls of `scan`.
    pub scan: u64,
    /// Calls of `apply`.
    pub apply: u64,
}

impl Calls {
    /// Returns the calls of all four functions together.
    pub fn total(&self) -> u64 {
        self.get_limits + self.get + self.scan + self.apply
    }
}

/// Gives the linker the [`KvCtx`] inside the `T` of an embedder's [`wasmtime::Store<T>`].
///
/// ```
/// use kvfs_host::{KvCtx, KvView, MemoryStore};
///
/// struct State {
///     kv: KvCtx,
/// }
///
/// impl KvView for State {
///     fn kv(&mut self) -> &mut KvCtx {
///         &mut self.kv
///     }
/// }
///
/// let state = State { kv: KvCtx::new(MemoryStore::new()) };
/// ```
pub trait KvView: Send {
    /// Returns the context of the instance.
    fn kv(&mut self) -> &mut KvCtx;
}
