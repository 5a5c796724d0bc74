//! Puts `kvfs:store/kv-store` into a wasmtime linker, synchronous or asynchronous.
//!
//! Both kinds share three steps of a call: point into the guest's memory (nothing is copied), ask
//! the store, hand the answer or the error code to the guest.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use wasmtime::component::{Lift, Linker, WasmList};
use wasmtime::{AsContextMut, StoreContextMut};

use crate::wire::{DurabilityIn, EntryOut, ErrorOut, GuardIn, LimitsOut, MutationIn};
use crate::{Calls, Guard, KvView, MAX_BATCH_ENTRIES, Mutation, Store, StoreError, StoreFuture};

/// The name of the interface that the linker helpers define.
pub const INTERFACE: &str = "kvfs:store/kv-store@0.1.0";

/// Most guards in one `apply`. The contract does not count guards. This bound keeps a guest from
/// having the host allocate for a list that no file system needs.
pub const MAX_GUARDS: u32 = 64 * 1024;

/// The result of a call: a value, or an error code of the contract.
type Outcome<T> = (Result<T, ErrorOut>,);
type Values = Vec<Option<bytes::Bytes>>;
type ScanParams = (WasmList<u8>, WasmList<u8>, u32, u32);
type ApplyParams = (WasmList<GuardIn>, WasmList<MutationIn>, DurabilityIn);

/// Adds `kvfs:store/kv-store` to a linker for guests that are called synchronously.
///
/// Each call runs the store on the calling thread.
///
/// # Danger
/// Every component that is instantiated with this linker and imports the interface gets the whole
/// store of its [`KvCtx`](crate::KvCtx), with every volume in it. The linker cannot tell whether a
/// file system stands between the guest and the store. Instantiate what
/// `kvfs_compose::Compose::build` or `kvfs_compose::recompose` has returned, never bytes that
/// somebody else calls composed. Give each guest a [`Namespaced`](crate::Namespaced) store if
/// guests must not reach each other's volumes whoever composed them.
///
/// # Errors
/// The linker already has the interface. A guest's calls trap when the store is asynchronous
/// ([`Store::needs_async`]), panics, or reports a [`StoreError::Fault`].
pub fn add_to_linker<T: KvView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    let mut instance = linker.instance(INTERFACE)?;
    instance.func_wrap("get-limits", |mut cx: StoreContextMut<'_, T>, (): ()| {
        let store = enter(&mut cx, |calls| &mut calls.get_limits);
        answer(now(&*store, || store.limits().wait())?, LimitsOut::from)
    })?;
    instance.func_wrap("get", |mut cx: StoreContextMut<'_, T>, (keys,): (WasmList<WasmList<u8>>,)| {
        let store = enter(&mut cx, |calls| &mut calls.get);
        let Some(keys) = items(&mut cx, &keys, MAX_BATCH_ENTRIES)? else { return too_large() };
        let keys = slices(&cx, &keys);
        answer::<_, Values>(now(&*store, || store.get(&keys).wait())?, |values| values)
    })?;
    instance.func_wrap(
        "scan",
        |mut cx: StoreContextMut<'_, T>, (start, end, entries, bytes): ScanParams| {
            let store = enter(&mut cx, |calls| &mut calls.scan);
            let (start, end) = (start.as_le_slice(&cx), end.as_le_slice(&cx));
            answer(now(&*store, || store.scan(start, end, entries, bytes).wait())?, entries_out)
        },
    )?;
    instance.func_wrap(
        "apply",
        |mut cx: StoreContextMut<'_, T>, (guards, mutations, level): ApplyParams| {
            let store = enter(&mut cx, |calls| &mut calls.apply);
            let Some(batch) = Batch::of(&mut cx, &guards, &mutations)? else { return too_large() };
            let (guards, mutations) = batch.borrow(&cx);
            let outcome = now(&*store, || store.apply(&guards, &mutations, level.into()).wait())?;
            note(&mut cx, outcome.as_ref().err());
            answer(outcome, |()| ())
        },
    )?;
    Ok(())
}

/// Adds `kvfs:store/kv-store` to a linker for guests that are called with `call_async`.
///
/// A guest waits without a thread while the store does. A [`SyncStore`](crate::SyncStore) answers
/// on the calling thread, and occupies it meanwhile.
///
/// # Danger
/// As with [`add_to_linker`]: every component that is instantiated with this linker and imports the
/// interface gets the whole store of its [`KvCtx`](crate::KvCtx), with every volume in it, whoever
/// made the component.
///
/// # Errors
/// The linker already has the interface. A guest's calls trap when the store panics or reports a
/// [`StoreError::Fault`].
pub fn add_to_linker_async<T: KvView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    let mut instance = linker.instance(INTERFACE)?;
    instance.func_wrap_async("get-limits", |mut cx: StoreContextMut<'_, T>, (): ()| {
        Box::new(async move {
            let store = enter(&mut cx, |calls| &mut calls.get_limits);
            answer(later(|| store.limits()).await?, LimitsOut::from)
        })
    })?;
    instance.func_wrap_async(
        "get",
        |mut cx: StoreContextMut<'_, T>, (keys,): (WasmList<WasmList<u8>>,)| {
            Box::new(async move {
                let store = enter(&mut cx, |calls| &mut calls.get);
                let Some(keys) = items(&mut cx, &keys, MAX_BATCH_ENTRIES)? else { return too_large() };
                let keys = slices(&cx, &keys);
                answer::<_, Values>(later(|| store.get(&keys)).await?, |values| values)
            })
        },
    )?;
    instance.func_wrap_async(
        "scan",
        |mut cx: StoreContextMut<'_, T>, (start, end, entries, bytes): ScanParams| {
            Box::new(async move {
                let store = enter(&mut cx, |calls| &mut calls.scan);
                let (start, end) = (start.as_le_slice(&cx), end.as_le_slice(&cx));
                answer(later(|| store.scan(start, end, entries, bytes)).await?, entries_out)
            })
        },
    )?;
    instance.func_wrap_async(
        "apply",
        |mut cx: StoreContextMut<'_, T>, (guards, mutations, level): ApplyParams| {
            Box::new(async move {
                let store = enter(&mut cx, |calls| &mut calls.apply);
                let Some(batch) = Batch::of(&mut cx, &guards, &mutations)? else { return too_large() };
                let (guards, mutations) = batch.borrow(&cx);
                let outcome = later(|| store.apply(&guards, &mutations, level.into())).await?;
                note(&mut cx, outcome.as_ref().err());
                answer(outcome, |()| ())
            })
        },
    )?;
    Ok(())
}

/// Counts the call and clones the store's handle, so that the guest's memory can be borrowed beside
/// it.
fn enter<T: KvView>(cx: &mut StoreContextMut<'_, T>, counter: fn(&mut Calls) -> &mut u64) -> Arc<dyn Store> {
    let kv = cx.data_mut().kv();
    *counter(&mut kv.calls) += 1;
    kv.store.clone()
}

/// Remembers how the last `apply` ended.
fn note<T: KvView>(cx: &mut StoreContextMut<'_, T>, failure: Option<&StoreError>) {
    cx.data_mut().kv().failure = failure.map(ToString::to_string);
}

/// Reads the items of a guest's list, or returns `None` if it is longer than the host takes.
fn items<T: 'static, I: Lift>(
    cx: &mut StoreContextMut<'_, T>,
    list: &WasmList<I>,
    max_items: u32,
) -> wasmtime::Result<Option<Vec<I>>> {
    if list.len() > max_items as usize {
        return Ok(None);
    }
    // Collecting into a result would not know the length, and grow the vector step by step.
    let mut items = Vec::with_capacity(list.len());
    for item in list.iter(cx.as_context_mut())? {
        items.push(item?);
    }
    Ok(Some(items))
}

fn slices<'a, T: 'static>(cx: &'a StoreContextMut<'_, T>, lists: &[WasmList<u8>]) -> Vec<&'a [u8]> {
    lists.iter().map(|list| list.as_le_slice(cx)).collect()
}

/// The parameters of an `apply`, as pointers into the guest's memory.
struct Batch {
    guards: Vec<GuardIn>,
    mutations: Vec<MutationIn>,
}

impl Batch {
    fn of<T: 'static>(
        cx: &mut StoreContextMut<'_, T>,
        guards: &WasmList<GuardIn>,
        mutations: &WasmList<MutationIn>,
    ) -> wasmtime::Result<Option<Self>> {
        let Some(guards) = items(cx, guards, MAX_GUARDS)? else { return Ok(None) };
        let Some(mutations) = items(cx, mutations, MAX_BATCH_ENTRIES)? else { return Ok(None) };
        Ok(Some(Self { guards, mutations }))
    }

    fn borrow<'a, T: 'static>(&self, cx: &'a StoreContextMut<'_, T>) -> (Vec<Guard<'a>>, Vec<Mutation<'a>>) {
        let guards = self.guards.iter().map(|guard| Guard {
            key: guard.key.as_le_slice(cx),
            expected: guard.expected.as_ref().map(|value| value.as_le_slice(cx)),
        });
        let mutations = self.mutations.iter().map(|mutation| match mutation {
            MutationIn::Put(entry) => {
                Mutation::Put { key: entry.key.as_le_slice(cx), value: entry.value.as_le_slice(cx) }
            }
            MutationIn::Delete(key) => Mutation::Delete { key: key.as_le_slice(cx) },
        });
        (guards.collect(), mutations.collect())
    }
}

/// Asks a store that answers on this thread. Its panic becomes a trap of this guest alone.
fn now<R>(
    store: &dyn Store,
    call: impl FnOnce() -> Result<R, StoreError>,
) -> wasmtime::Result<Result<R, StoreError>> {
    if store.needs_async() {
        wasmtime::bail!(
            "the store answers asynchronously, but the linker is synchronous: \
             use kvfs_host::add_to_linker_async, or wrap the store in kvfs_host::BlockOn"
        );
    }
    catch_unwind(AssertUnwindSafe(call)).map_err(panicked)
}

/// Asks a store and waits for its answer. Its panic becomes a trap of this guest alone.
async fn later<'a, R: Unpin>(
    call: impl FnOnce() -> StoreFuture<'a, R>,
) -> wasmtime::Result<Result<R, StoreError>> {
    // A store that answers at once does all of its work here, not when polled.
    let mut answer = catch_unwind(AssertUnwindSafe(call)).map_err(panicked)?;
    std::future::poll_fn(move |cx| {
        let poll = || Pin::new(&mut answer).poll(cx);
        match catch_unwind(AssertUnwindSafe(poll)) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(result)) => Poll::Ready(Ok(result)),
            Err(payload) => Poll::Ready(Err(panicked(payload))),
        }
    })
    .await
}

fn panicked(payload: Box<dyn std::any::Any + Send>) -> wasmtime::Error {
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| text.to_string())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".into());
    StoreError::Fault(format!("the store panicked: {text}")).into()
}

fn answer<A, B>(result: Result<A, StoreError>, lower: impl FnOnce(A) -> B) -> wasmtime::Result<Outcome<B>> {
    match result {
        Ok(value) => Ok((Ok(lower(value)),)),
        Err(error) => Ok((Err(ErrorOut::of(error)?),)),
    }
}

fn too_large<B>() -> wasmtime::Result<Outcome<B>> {
    Ok((Err(ErrorOut::TooLarge),))
}

fn entries_out(entries: Vec<crate::Entry>) -> Vec<EntryOut> {
    entries.into_iter().map(EntryOut::from).collect()
}
