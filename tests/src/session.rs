//! An instance of a component, and the state that the host keeps for it.

use anyhow::Context;
use kvfs_buckets::{Buckets, BucketsView};
use kvfs_host::{KvCtx, KvView, MemoryLimit};
use wasmtime::Store;
use wasmtime::component::{Instance, ResourceTable, Val};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

/// An instance whose exports are called one by one.
pub struct Session {
    pub(crate) store: Store<State>,
    pub(crate) instance: Instance,
}

impl Session {
    /// Calls a function by name and returns its results. The function is in the given exported
    /// interface, or at the top level with `None`.
    ///
    /// # Errors
    ///
    /// No such function, parameters of other types, or a trap.
    pub fn call(
        &mut self,
        interface: Option<&str>,
        function: &str,
        params: &[Val],
    ) -> anyhow::Result<Vec<Val>> {
        let at = interface.map(|name| {
            let export = self.instance.get_export_index(&mut self.store, None, name);
            export.with_context(|| format!("no interface {name}"))
        });
        let at = at.transpose()?;
        let export = self.instance.get_export_index(&mut self.store, at.as_ref(), function);
        let export = export.with_context(|| format!("no function {function}"))?;
        let callee = self.instance.get_func(&mut self.store, export).context("not a function")?;
        let mut results = vec![Val::Bool(false); callee.ty(&self.store).results().len()];
        callee.call(&mut self.store, params, &mut results)?;
        Ok(results)
    }
}

/// The host's ends of the streams that it gave the guest to write to, each with a label.
pub(crate) type Written = Vec<(String, MemoryOutputPipe)>;

/// The host's side of an instance.
pub(crate) struct State {
    pub(crate) wasi: WasiCtx,
    pub(crate) http: WasiHttpCtx,
    pub(crate) table: ResourceTable,
    pub(crate) kv: KvCtx,
    pub(crate) written: Written,
    pub(crate) buckets: Buckets,
    /// Without a bound it only counts.
    pub(crate) memory: MemoryLimit,
}

impl State {
    pub(crate) fn buckets(&mut self) -> BucketsView<'_> {
        BucketsView { buckets: &self.buckets, table: &mut self.table }
    }
}

impl KvView for State {
    fn kv(&mut self) -> &mut KvCtx {
        &mut self.kv
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: Default::default() }
    }
}
