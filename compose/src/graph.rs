//! Joins the parts into one component, with wac.
//!
//! Names are paired here, without the patch version, and every argument is set explicitly. An
//! import that no part answers stays an import, and wac merges the imports of all parts.

use crate::bridge::{BRIDGE_IMPORT, COMMIT, EXPLAIN, Job, virtual_import};
use crate::error::ComposeError;
use crate::names::{InterfaceName, STORE};
use crate::parts::{AdapterComponent, Guest};
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use wac_graph::types::{ItemKind, Package};
use wac_graph::{CompositionGraph, EncodeOptions, NodeId, PackageId};

/// A generated component, with pairs of the import and the export that it wraps.
pub(crate) struct Wrapper {
    pub(crate) bytes: Vec<u8>,
    pub(crate) wraps: Vec<(String, String)>,
    /// True if it exports a `commit` that reports a failure on standard error.
    commits: bool,
}

impl Wrapper {
    pub(crate) fn generate(job: &Job<'_>) -> Result<Self, ComposeError> {
        let wraps = job.wraps.iter().map(|wrap| (wrap.source.clone(), wrap.target.clone())).collect();
        Ok(Self { bytes: crate::bridge::generate(job)?, wraps, commits: job.stderr().is_some() })
    }
}

/// The components to join.
pub(crate) struct Inputs<'a> {
    pub(crate) guest: &'a Guest<'a>,
    pub(crate) adapter: &'a AdapterComponent,
    pub(crate) host_io: HostIoSource,
    pub(crate) bridge: Option<Wrapper>,
    pub(crate) envelope: Option<Wrapper>,
    pub(crate) provider: Option<&'a [u8]>,
}

/// The source of the host's `wasi:io` for the adapter.
pub(crate) enum HostIoSource {
    /// Imports of the result: pairs of the adapter's import and the name in the result.
    Imports(Vec<(String, String)>),
    /// The same with the host's file system among them, and a component that has their types.
    ImportsWithTypes(Vec<(String, String)>, Vec<u8>),
    /// A component without imports that exports `wasi:io` under the adapter's names.
    StandIn(Vec<u8>),
}

/// Encodes the composition of the parts. The result is not validated.
///
/// # Errors
///
/// [`ComposeError::Join`] names the part that does not fit.
pub(crate) fn join(inputs: &Inputs<'_>) -> Result<Vec<u8>, ComposeError> {
    // wac reports most misfits as errors, and panics at others. A guest with unusual types must not
    // end the program.
    catch_unwind(AssertUnwindSafe(|| Joiner::default().join(inputs))).unwrap_or_else(|_| {
        Err(ComposeError::join("the parts", "the composition graph gave up on their types"))
    })
}

#[derive(Default)]
struct Joiner {
    graph: CompositionGraph,
    /// Imports of the result that have a node.
    imports: HashMap<String, NodeId>,
}

impl Joiner {
    fn join(mut self, inputs: &Inputs<'_>) -> Result<Vec<u8>, ComposeError> {
        let bridge = inputs.bridge.as_ref().map(|w| self.register("bridge", &w.bytes)).transpose()?;
        let envelope = inputs.envelope.as_ref().map(|w| self.register("envelope", &w.bytes)).transpose()?;

        let adapter_package = self.register("adapter", &inputs.adapter.bytes)?;
        let adapter = self.graph.instantiate(adapter_package);
        match &inputs.host_io {
            HostIoSource::Imports(names) | HostIoSource::ImportsWithTypes(names, _) => {
                let types = match &inputs.host_io {
                    HostIoSource::ImportsWithTypes(_, bytes) => Some(self.register("host-types", bytes)?),
                    _ => None,
                };
                for (argument, import) in names {
                    // With the adapter's own types wac would take `wasi:io` and `kvfs:host-io` for
                    // two different origins of one type.
                    let typed = [types, bridge, envelope].into_iter().flatten();
                    let kind = typed.into_iter().find_map(|package| self.kind(package, import));
                    let kind = kind.ok_or_else(|| ComposeError::join(import, "no part imports it"))?;
                    let node = self.import(import, kind)?;
                    self.pass(adapter, argument, node)?;
                }
            }
            HostIoSource::StandIn(bytes) => {
                let package = self.register("no-host-io", bytes)?;
                let instance = self.graph.instantiate(package);
                for (_, name) in inputs.adapter.host_io() {
                    let node = self.export_of(instance, &name.full)?;
                    self.pass(adapter, &name.full, node)?;
                }
            }
        }
        if let Some(bytes) = inputs.provider {
            self.provide(adapter_package, adapter, bytes)?;
        }

        let bridge = match (&inputs.bridge, bridge) {
            (Some(wrapper), Some(package)) => {
                let instance = self.graph.instantiate(package);
                self.pass_adapter(package, instance, adapter, inputs.adapter)?;
                self.pass_imports(package, instance)?;
                Some((wrapper, instance))
            }
            _ => None,
        };

        let guest_package = self.register("guest", &inputs.guest.bytes)?;
        let guest = self.graph.instantiate(guest_package);
        for import in &inputs.guest.imports {
            if let Some(node) = self.source_of_import(import, inputs, adapter, bridge)? {
                self.pass(guest, &import.full, node)?;
            }
        }
        self.pass_imports(guest_package, guest)?;

        match (&inputs.envelope, envelope) {
            (Some(wrapper), Some(package)) => {
                let instance = self.graph.instantiate(package);
                if let Some((_, bridge)) = bridge.filter(|(bridge, _)| bridge.commits) {
                    let node = self.export_of(bridge, COMMIT)?;
                    self.pass(instance, COMMIT, node)?;
                }
                self.pass_adapter(package, instance, adapter, inputs.adapter)?;
                for (source, target) in &wrapper.wraps {
                    let node = self.export_of(guest, target)?;
                    self.pass(instance, source, node)?;
                }
                self.pass_imports(package, instance)?;
                for name in self.argument_names(package, instance) {
                    let name = InterfaceName::parse(&name);
                    if let Some(node) = self.source_of_import(&name, inputs, adapter, bridge)? {
                        self.pass(instance, &name.full, node)?;
                    }
                }
                for (_, target) in &wrapper.wraps {
                    self.export(instance, target)?;
                }
            }
            _ => {
                for export in &inputs.guest.exports {
                    self.export(guest, &export.full)?;
                }
            }
        }
        let options = EncodeOptions { define_components: true, validate: false, processor: None };
        self.graph.encode(options).map_err(|e| ComposeError::join("the parts", chain(&e)))
    }

    /// Returns the export that answers an import of the guest, or `None` if the host does.
    fn source_of_import(
        &mut self,
        import: &InterfaceName,
        inputs: &Inputs<'_>,
        adapter: NodeId,
        bridge: Option<(&Wrapper, NodeId)>,
    ) -> Result<Option<NodeId>, ComposeError> {
        // The adapter's other exports are for the bridge and for glue.
        let for_guests =
            |export: &&InterfaceName| export.base.starts_with("wasi:") || export.is_volume_control();
        let mut exports = inputs.adapter.exports.iter().filter(for_guests);
        if let Some(export) = exports.find(|export| export.pairs_with(import)) {
            return self.export_of(adapter, &export.full).map(Some);
        }
        match bridge {
            Some((wrapper, instance)) if wrapper.wraps.iter().any(|(_, target)| *target == import.full) => {
                self.export_of(instance, &import.full).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn register(&mut self, name: &str, bytes: &[u8]) -> Result<PackageId, ComposeError> {
        let package = Package::from_bytes(name, None, bytes, self.graph.types_mut())
            .map_err(|e| ComposeError::join(format!("the {name}"), format!("{e:#}")))?;
        self.graph.register_package(package).map_err(|e| ComposeError::join(format!("the {name}"), chain(&e)))
    }

    /// Returns the type of an import of a package.
    fn kind(&self, package: PackageId, import: &str) -> Option<ItemKind> {
        self.graph.types()[self.graph[package].ty()].imports.get(import).copied()
    }

    /// Lists the imports of a package that have no argument yet.
    fn argument_names(&self, package: PackageId, instance: NodeId) -> Vec<String> {
        let passed: Vec<_> =
            self.graph.get_instantiation_arguments(instance).map(|(name, _)| name.to_owned()).collect();
        let imports = self.graph.types()[self.graph[package].ty()].imports.keys();
        imports.filter(|name| !passed.contains(*name)).cloned().collect()
    }

    fn import(&mut self, name: &str, kind: ItemKind) -> Result<NodeId, ComposeError> {
        let node = self.graph.import(name, kind).map_err(|e| ComposeError::join(name, chain(&e)))?;
        self.imports.insert(name.to_owned(), node);
        Ok(node)
    }

    /// Passes imports of the result that have a node to an instance that imports them by the same
    /// name.
    fn pass_imports(&mut self, package: PackageId, instance: NodeId) -> Result<(), ComposeError> {
        for name in self.argument_names(package, instance) {
            if let Some(node) = self.imports.get(&name).copied() {
                self.pass(instance, &name, node)?;
            }
        }
        Ok(())
    }

    /// Passes the exports of the adapter that a generated component imports and has not been given
    /// yet.
    fn pass_adapter(
        &mut self,
        package: PackageId,
        instance: NodeId,
        adapter: NodeId,
        parts: &AdapterComponent,
    ) -> Result<(), ComposeError> {
        let io = ["error", "poll", "streams"].map(|i| (virtual_import(i), format!("wasi:io/{i}")));
        let bridge = (BRIDGE_IMPORT.to_owned(), "kvfs:adapter/bridge".to_owned());
        let wanted = self.argument_names(package, instance);
        for (argument, base) in io.into_iter().chain([bridge]) {
            if wanted.contains(&argument) {
                let node = self.adapters(adapter, parts, &base)?;
                self.pass(instance, &argument, node)?;
            }
        }
        for function in [COMMIT, EXPLAIN] {
            if wanted.iter().any(|name| name == function) {
                let lifecycle = self.adapters(adapter, parts, "kvfs:adapter/lifecycle")?;
                let node = self.export_of(lifecycle, function)?;
                self.pass(instance, function, node)?;
            }
        }
        Ok(())
    }

    /// Returns an interface that the adapter exports.
    fn adapters(
        &mut self,
        adapter: NodeId,
        parts: &AdapterComponent,
        base: &str,
    ) -> Result<NodeId, ComposeError> {
        let export = parts.exports.iter().find(|export| export.base == base);
        let export = export
            .ok_or_else(|| ComposeError::BadAdapter { reason: format!("it does not export {base}") })?;
        self.export_of(adapter, &export.full)
    }

    /// Gives the adapter the store of a provider.
    fn provide(
        &mut self,
        adapter_package: PackageId,
        adapter: NodeId,
        bytes: &[u8],
    ) -> Result<(), ComposeError> {
        let bad = |reason: String| ComposeError::BadProvider { reason };
        let package = Package::from_bytes("provider", None, bytes, self.graph.types_mut());
        let package = package.map_err(|e| bad(crate::error::one_line(&format!("{e:#}"))))?;
        let package = self.graph.register_package(package).map_err(|e| bad(chain(&e)))?;
        let world = self.graph[package].ty();
        let is_store = |name: &&String| InterfaceName::parse(name).base == STORE;
        let export = self.graph.types()[world].exports.keys().find(is_store).cloned();
        let export = export.ok_or_else(|| bad("it does not export the store".into()))?;
        let argument = self.argument_names(adapter_package, adapter).into_iter().find(|name| is_store(&name));
        let argument =
            argument.ok_or_else(|| ComposeError::BadAdapter { reason: "it imports no store".into() })?;
        let instance = self.graph.instantiate(package);
        self.pass_imports(package, instance)?;
        let node = self.export_of(instance, &export)?;
        self.graph
            .set_instantiation_argument(adapter, &argument, node)
            .map_err(|e| bad(format!("its {export} is another interface than the adapter's: {}", chain(&e))))
    }

    fn export_of(&mut self, instance: NodeId, name: &str) -> Result<NodeId, ComposeError> {
        self.graph.alias_instance_export(instance, name).map_err(|e| ComposeError::join(name, chain(&e)))
    }

    fn pass(&mut self, instance: NodeId, argument: &str, node: NodeId) -> Result<(), ComposeError> {
        self.graph
            .set_instantiation_argument(instance, argument, node)
            .map_err(|e| ComposeError::join(argument, chain(&e)))
    }

    fn export(&mut self, instance: NodeId, name: &str) -> Result<(), ComposeError> {
        let node = self.export_of(instance, name)?;
        self.graph.export(node, name).map_err(|e| ComposeError::join(name, chain(&e)))
    }
}

/// Writes an error with all its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut out = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        out += &format!(": {error}");
        cause = error.source();
    }
    crate::error::one_line(&out)
}
