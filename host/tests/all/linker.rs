//! The linker, through a guest component (`guest.wat`): values, error codes, traps, both ways to call.

use std::sync::{Arc, LazyLock, Mutex};

use kvfs_host::{
    BlockOn, Bytes, Durability, Entry, Guard, KvCtx, KvView, Limited, Limits, MAX_BATCH_ENTRIES,
    MAX_SCAN_ENTRIES, MAX_VALUE_BYTES, MemoryStore, Mutation, Namespaced, Quota, StoreError, SyncStore,
    add_to_linker, add_to_linker_async,
};
use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Store as Wasm};

struct State {
    kv: KvCtx,
}

impl KvView for State {
    fn kv(&mut self) -> &mut KvCtx {
        &mut self.kv
    }
}

static GUEST: LazyLock<Component> = LazyLock::new(|| {
    Component::new(&Engine::default(), wat::parse_str(include_str!("guest.wat")).unwrap()).unwrap()
});

/// A guest and the numbers of its error codes: 1 + the case's place in the WIT.
struct Guest {
    wasm: Wasm<State>,
    instance: wasmtime::component::Instance,
}

const CONFLICT: u32 = 1;
const TOO_LARGE: u32 = 4;

impl Guest {
    fn new(store: impl kvfs_host::Store + 'static) -> Self {
        let mut linker = Linker::new(GUEST.engine());
        add_to_linker(&mut linker).unwrap();
        let mut wasm = Wasm::new(GUEST.engine(), State { kv: KvCtx::new(store) });
        let instance = linker.instantiate(&mut wasm, &GUEST).unwrap();
        Self { wasm, instance }
    }

    fn get_limits(&mut self) -> wasmtime::Result<u32> {
        let call = self.instance.get_typed_func::<(), (u32,)>(&mut self.wasm, "get-limits")?;
        Ok(call.call(&mut self.wasm, ())?.0)
    }

    fn get(&mut self, count: u32, number: u32) -> wasmtime::Result<i32> {
        let call = self.instance.get_typed_func::<(u32, u32, u32), (i32,)>(&mut self.wasm, "get")?;
        Ok(call.call(&mut self.wasm, (1, count, number))?.0)
    }

    fn scan(&mut self, entries: u32, bytes: u32) -> wasmtime::Result<i32> {
        let call = self.instance.get_typed_func::<(u32, u32, u32), (i32,)>(&mut self.wasm, "scan")?;
        Ok(call.call(&mut self.wasm, (1, entries, bytes))?.0)
    }

    fn put(&mut self, count: u32, number: u32, len: u32, guarded: bool) -> wasmtime::Result<u32> {
        type Params = (u32, u32, u32, u32, u32, u32);
        let call = self.instance.get_typed_func::<Params, (u32,)>(&mut self.wasm, "put")?;
        Ok(call.call(&mut self.wasm, (1, count, number, len, guarded.into(), 0))?.0)
    }

    fn delete(&mut self, number: u32) -> wasmtime::Result<u32> {
        let call = self.instance.get_typed_func::<(u32,), (u32,)>(&mut self.wasm, "delete")?;
        Ok(call.call(&mut self.wasm, (number,))?.0)
    }
}

fn key(number: u32) -> Vec<u8> {
    [&[b'k'; 16][..], &number.to_be_bytes()].concat()
}

#[test]
fn a_guest_reads_and_writes_the_store() {
    let store = MemoryStore::new();
    let mut guest = Guest::new(store.clone());
    assert_eq!(guest.get_limits().unwrap(), MAX_BATCH_ENTRIES);
    assert_eq!(guest.get(1, 7).unwrap(), -1000);
    assert_eq!(guest.put(5, 7, 300, false).unwrap(), 0);
    assert_eq!(guest.get(5, 7).unwrap(), 300);
    assert_eq!(guest.scan(100, 1_000_000).unwrap(), 5);
    assert_eq!(guest.scan(2, 1_000_000).unwrap(), 2);
    assert_eq!(crate::value_of(&store, &key(11)).unwrap(), vec![b'v'; 300]);
    assert_eq!(guest.delete(7).unwrap(), 0);
    assert_eq!(guest.get(1, 7).unwrap(), -1000);
    let calls = guest.wasm.data().kv.calls();
    assert_eq!((calls.get_limits, calls.get, calls.scan, calls.apply), (1, 3, 2, 2));
    assert_eq!(calls.total(), 8);
}

#[test]
fn what_a_guest_wrote_outlives_it() {
    let store = MemoryStore::new();
    assert_eq!(Guest::new(store.clone()).put(1, 1, 10, false).unwrap(), 0);
    assert_eq!(Guest::new(store).get(1, 1).unwrap(), 10);
}

#[test]
fn guards_reach_the_store() {
    let mut guest = Guest::new(MemoryStore::new());
    assert_eq!(guest.put(1, 1, 10, true).unwrap(), 0);
    assert_eq!(guest.put(1, 1, 20, true).unwrap(), CONFLICT);
    assert_eq!(guest.get(1, 1).unwrap(), 10);
}

#[test]
fn lists_over_the_limits_are_an_error_code() {
    let mut guest = Guest::new(MemoryStore::new());
    assert_eq!(guest.put(1, 1, MAX_VALUE_BYTES, false).unwrap(), 0);
    assert_eq!(guest.put(1, 1, MAX_VALUE_BYTES + 1, false).unwrap(), TOO_LARGE);
    assert_eq!(guest.put(MAX_BATCH_ENTRIES, 1, 1, false).unwrap(), 0);
    assert_eq!(guest.put(MAX_BATCH_ENTRIES + 1, 1, 1, false).unwrap(), TOO_LARGE);
    assert_eq!(guest.get(MAX_BATCH_ENTRIES, 1).unwrap(), 1);
    assert_eq!(guest.get(MAX_BATCH_ENTRIES + 1, 1).unwrap(), -1 - TOO_LARGE as i32);
    // As many as there are, but never more than the host's own bound.
    assert_eq!(guest.scan(u32::MAX, u32::MAX).unwrap(), MAX_SCAN_ENTRIES as i32);
}

/// Fails each call with what it was told to, or panics.
struct Failing(Mutex<Box<dyn FnMut() -> StoreError + Send>>);

impl Failing {
    fn with(error: impl FnMut() -> StoreError + Send + 'static) -> Self {
        Self(Mutex::new(Box::new(error)))
    }
    fn error(&self) -> StoreError {
        let mut error = self.0.lock().unwrap();
        error()
    }
}

impl SyncStore for Failing {
    fn limits(&self) -> Result<Limits, StoreError> {
        Err(self.error())
    }
    fn get(&self, _: &[&[u8]]) -> Result<Vec<Option<Bytes>>, StoreError> {
        Err(self.error())
    }
    fn scan(&self, _: &[u8], _: &[u8], _: u32, _: u32) -> Result<Vec<Entry>, StoreError> {
        Err(self.error())
    }
    fn apply(&self, _: &[Guard<'_>], _: &[Mutation<'_>], _: Durability) -> Result<(), StoreError> {
        Err(self.error())
    }
}

#[test]
fn each_error_has_its_code() {
    let errors: [fn() -> StoreError; 9] = [
        || StoreError::Conflict,
        || StoreError::UnknownOutcome,
        || StoreError::Unavailable("later".into()),
        || StoreError::TooLarge,
        || StoreError::QuotaExceeded,
        || StoreError::ReadOnly,
        || StoreError::AccessDenied,
        || StoreError::Corrupt("here".into()),
        || StoreError::Other("words".into()),
    ];
    for (case, error) in errors.into_iter().enumerate() {
        let mut guest = Guest::new(Failing::with(error));
        let code = case as u32 + 1;
        assert_eq!(guest.put(1, 1, 1, false).unwrap(), code, "{}", error());
        assert_eq!(guest.get(1, 1).unwrap(), -1 - code as i32, "{}", error());
        assert_eq!(guest.scan(1, 1).unwrap(), -1 - code as i32, "{}", error());
    }
}

fn trap_of(store: impl kvfs_host::Store + 'static) -> String {
    format!("{:#}", Guest::new(store).put(1, 1, 1, false).unwrap_err())
}

#[test]
fn a_fault_of_the_host_traps_and_says_why() {
    let text = trap_of(Failing::with(|| StoreError::Fault("a cable is loose".into())));
    assert!(text.contains("a cable is loose"), "{text}");
}

#[test]
fn a_panic_of_the_store_traps_the_guest_alone() {
    let store = Arc::new(Failing::with(|| panic!("lost the plot")));
    let text = trap_of(store.clone());
    assert!(text.contains("the store panicked: lost the plot"), "{text}");
    // The panic poisoned the store's lock: the next guest meets that, as a trap too.
    let text = trap_of(store);
    assert!(text.contains("the store panicked"), "{text}");
    // The host lives on.
    assert_eq!(Guest::new(MemoryStore::new()).put(1, 1, 1, false).unwrap(), 0);
}

#[test]
fn an_asynchronous_store_is_refused_by_the_synchronous_linker() {
    let text = trap_of(crate::stores::slow());
    assert!(text.contains("add_to_linker_async"), "{text}");
    let text = trap_of(Namespaced::new(crate::stores::slow(), *b"ns"));
    assert!(text.contains("add_to_linker_async"), "{text}");
    // Said to be waited for, it works.
    assert_eq!(Guest::new(BlockOn(crate::stores::slow())).put(1, 1, 1, false).unwrap(), 0);
}

fn run_async<R>(store: impl kvfs_host::Store + 'static, call: impl AsyncFnOnce(&mut Guest) -> R) -> R {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut linker = Linker::new(GUEST.engine());
        add_to_linker_async(&mut linker).unwrap();
        let mut wasm = Wasm::new(GUEST.engine(), State { kv: KvCtx::new(store) });
        let instance = linker.instantiate_async(&mut wasm, &GUEST).await.unwrap();
        call(&mut Guest { wasm, instance }).await
    })
}

async fn put_async(guest: &mut Guest, guarded: bool) -> wasmtime::Result<u32> {
    type Params = (u32, u32, u32, u32, u32, u32);
    let call = guest.instance.get_typed_func::<Params, (u32,)>(&mut guest.wasm, "put")?;
    Ok(call.call_async(&mut guest.wasm, (3, 4, 7, 100, guarded.into(), 1)).await?.0)
}

async fn three(guest: &mut Guest, name: &str, params: (u32, u32, u32)) -> wasmtime::Result<i32> {
    let call = guest.instance.get_typed_func::<(u32, u32, u32), (i32,)>(&mut guest.wasm, name)?;
    Ok(call.call_async(&mut guest.wasm, params).await?.0)
}

async fn converse(guest: &mut Guest) {
    assert_eq!(put_async(guest, false).await.unwrap(), 0);
    assert_eq!(put_async(guest, true).await.unwrap(), CONFLICT);
    assert_eq!(three(guest, "get", (2, 4, 7)).await.unwrap(), 100);
    assert_eq!(three(guest, "scan", (2, 3, 10_000)).await.unwrap(), 3);
    let limits = guest.instance.get_typed_func::<(), (u32,)>(&mut guest.wasm, "get-limits").unwrap();
    assert_eq!(limits.call_async(&mut guest.wasm, ()).await.unwrap().0, MAX_BATCH_ENTRIES);
}

#[test]
fn the_asynchronous_linker_takes_every_store() {
    run_async(crate::stores::slow(), converse);
    run_async(MemoryStore::new(), converse);
    let stack = Limited::new(Namespaced::new(MemoryStore::new(), *b""), Quota::total_bytes(1000));
    run_async(stack, converse);
}

#[test]
fn faults_trap_in_the_asynchronous_linker_too() {
    let text = run_async(Failing::with(|| panic!("lost the plot")), async |guest: &mut Guest| {
        format!("{:#}", put_async(guest, false).await.unwrap_err())
    });
    assert!(text.contains("the store panicked: lost the plot"), "{text}");
}

#[test]
fn a_quota_reaches_the_guest() {
    let mut guest = Guest::new(Limited::new(MemoryStore::new(), Quota::total_bytes(1000)));
    assert_eq!(guest.put(10, 1, 80, false).unwrap(), 0);
    assert_eq!(guest.put(1, 20, 0, false).unwrap(), 5);
    assert_eq!(guest.delete(1).unwrap(), 0);
    assert_eq!(guest.put(1, 20, 80, false).unwrap(), 0);
}
