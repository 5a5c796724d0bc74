//! Composes: the builder, and the order of its steps.

use crate::adapter::{ADAPTER, AdapterComponent};
use crate::bridge::{HostIo, Io, Job, Lifecycle, TypeInfo, plan_bridge, plan_envelope};
use crate::check::check;
use crate::configure::{Config, Mode};
use crate::error::ComposeError;
use crate::graph::{HostIoSource, Parts, Wrapper, join};
use crate::guest::{Guest, LINKED_MARK, MARK};
use crate::link::{self, Cannot};
use crate::names::InterfaceName;
use crate::provider::Provider;
use crate::report::{Report, Wrapped};
use std::borrow::Cow;
use wasm_encoder::{ComponentSection, CustomSection};
use wit_parser::WorldItem;

/// How guest and adapter are joined. Both ways behave the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Link {
    /// As components: every file call goes through the runtime, which copies what it passes. Takes any
    /// guest.
    #[default]
    Component,
    /// As core modules in one component: a file call is a core-wasm call, several times faster. A guest
    /// that cannot be joined so is composed; [`Report::not_linked`] says why.
    Core,
}

impl std::str::FromStr for Link {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "component" => Ok(Self::Component),
            "core" => Ok(Self::Core),
            _ => Err("there are `component` and `core`".to_owned()),
        }
    }
}

/// A finished composition.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Composed {
    /// The component.
    pub bytes: Vec<u8>,
    /// What was done.
    pub report: Report,
}

/// Composes a guest with the file system.
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let guest = std::fs::read("python.wasm")?;
/// let composed = kvfs_compose::Compose::new(&guest).build()?;
/// print!("{}", composed.report);
/// std::fs::write("python.kvfs.wasm", composed.bytes)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Compose<'a> {
    guest: &'a [u8],
    adapter: Cow<'a, [u8]>,
    provider: Provider,
    config: Config,
    link: Link,
}

impl<'a> Compose<'a> {
    /// Starts with the bytes of a guest: a component of any WASI 0.2, or a core module for preview1.
    pub fn new(guest: &'a [u8]) -> Self {
        Self {
            guest,
            adapter: Cow::Borrowed(ADAPTER),
            provider: Provider::Host,
            config: Config::default(),
            link: Link::default(),
        }
    }

    /// Uses another core module as the adapter than [`ADAPTER`].
    pub fn adapter(mut self, core_module: impl Into<Cow<'a, [u8]>>) -> Self {
        self.adapter = core_module.into();
        self
    }

    /// Takes the store from `provider` instead of the host.
    pub fn provider(mut self, provider: Provider) -> Self {
        self.provider = provider;
        self
    }

    /// Sets how guest and adapter are joined; [`Link::Component`] unless told.
    pub fn link(mut self, link: Link) -> Self {
        self.link = link;
        self
    }

    /// Sets when writes are committed; [`Mode::Close`] unless told.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.config.mode = Some(mode);
        self
    }

    /// Sets the volume of the store that is mounted; the adapter's default unless told.
    ///
    /// A name has 1 to [`MAX_VOLUME_NAME_BYTES`](crate::MAX_VOLUME_NAME_BYTES) bytes and no control
    /// characters, which [`Compose::build`] checks.
    pub fn volume(mut self, name: impl Into<String>) -> Self {
        self.config.volume = Some(name.into());
        self
    }

    /// Composes.
    ///
    /// The same input gives the same bytes. The result imports no `wasi:filesystem`, nothing that the
    /// guest did not import but the store and the wall clock, and exports what the guest exported.
    ///
    /// # Errors
    ///
    /// One for each thing that can be wrong with the input; see [`ComposeError`].
    ///
    /// # Cost
    ///
    /// Reads the guest without its code, copies it, and validates the result once, which takes most
    /// of the time. For a guest of 32 MB: under a second, and about four times its size in memory.
    pub fn build(self) -> Result<Composed, ComposeError> {
        let config = self.config.text()?;
        let guest = Guest::read(self.guest)?;
        let provider = self.provider.component()?;
        let provider_bytes = provider.as_ref().map(|provider| &*provider.bytes);
        let provider_outline = provider.as_ref().map(|provider| &provider.outline);
        let adapter = AdapterComponent::encode(&self.adapter, &config, &guest)?;
        let mut not_linked = None;
        if self.link == Link::Core {
            match link_parts(&guest, &adapter, provider_bytes) {
                Ok(mut bytes) => {
                    mark(&mut bytes, &config, Link::Core);
                    let imports = check(&bytes, &guest, provider_outline)?;
                    let report = report_linked(&guest, &adapter, imports, bytes.len());
                    return Ok(Composed { bytes, report });
                }
                Err(cannot) => not_linked = Some(cannot.to_string()),
            }
        }

        let host_io = HostIo { resolve: &adapter.resolve, interfaces: host_io_imports(&adapter, &guest) };
        let job = |callee, wraps| Job { resolve: &guest.resolve, callee, wraps, host_io: host_io.clone() };
        let bridge = job(Io::Host, plan_bridge(&guest.resolve, guest.world)?);
        let envelope = job(Io::Virtual, plan_envelope(&guest.resolve, guest.world)?);
        let converts_io = bridge.converts_io() || envelope.converts_io();

        let parts = Parts {
            guest: &guest,
            adapter: &adapter,
            host_io: if converts_io {
                let names = adapter.host_io().into_iter().map(|(_, name)| name.full);
                let imports = host_io.interfaces.iter().map(|(_, import)| import.clone());
                HostIoSource::Imports(names.zip(imports).collect())
            } else {
                HostIoSource::StandIn(adapter.no_host_io()?)
            },
            bridge: if bridge.wraps.is_empty() { None } else { Some(Wrapper::generate(&bridge)?) },
            envelope: if envelope.wraps.is_empty() { None } else { Some(Wrapper::generate(&envelope)?) },
            provider: provider_bytes,
        };
        let mut bytes = join(&parts)?;
        mark(&mut bytes, &config, Link::Component);
        let imports = check(&bytes, &guest, provider_outline)?;
        let mut report = report(&guest, &adapter, &bridge, &envelope, imports, bytes.len());
        report.not_linked = not_linked;
        Ok(Composed { bytes, report })
    }
}

fn link_parts(
    guest: &Guest<'_>,
    adapter: &AdapterComponent,
    provider: Option<&[u8]>,
) -> Result<Vec<u8>, Cannot> {
    let host_io = host_handles_reach(guest)?.then(|| {
        let names = adapter.host_io().into_iter().map(|(_, name)| name.full);
        names.zip(host_io_imports(adapter, guest).into_iter().map(|(_, import)| import)).collect()
    });
    link::link(&link::Job { guest, adapter, host_io, provider })
}

/// Returns true if the guest gets handles of `wasi:io` from elsewhere than the file system.
fn host_handles_reach(guest: &Guest<'_>) -> Result<bool, Cannot> {
    let info = TypeInfo { resolve: &guest.resolve };
    let world = &guest.resolve.worlds[guest.world];
    let mut reach = false;
    for (key, item) in world.imports.iter().chain(&world.exports) {
        let name = InterfaceName::parse(&guest.resolve.name_world_key(key));
        if name.is_wasi02("wasi:io") || name.is_wasi02("wasi:filesystem") {
            continue;
        }
        let types = match item {
            WorldItem::Interface { id, .. } => info.interface_types(*id),
            WorldItem::Function(f) => f.params.iter().map(|p| p.ty).chain(f.result).collect(),
            WorldItem::Type { .. } => continue,
        };
        if types.iter().any(|ty| info.unbridgeable_wasi(ty).is_some()) {
            return Err(Cannot::new(format!("{name} has handles of wasi:filesystem")));
        }
        reach |= types.iter().any(|ty| info.mentions_io(ty));
    }
    Ok(reach)
}

/// Names the host's `wasi:io` for a guest: the adapter's interfaces at the guest's version.
fn host_io_imports(adapter: &AdapterComponent, guest: &Guest<'_>) -> Vec<(wit_parser::InterfaceId, String)> {
    // One version for all three: they use each other's types.
    let version = |name: &InterfaceName| name.version().cloned();
    let newest = guest.imports.iter().filter(|n| n.is_wasi02("wasi:io")).filter_map(version).max();
    let interfaces = adapter.host_io().into_iter();
    interfaces
        .map(|(id, name)| {
            let interface = name.base.rsplit('/').next().unwrap_or_default();
            let base = format!("wasi:io/{interface}");
            let name = match &newest {
                Some(version) => format!("{base}@{version}"),
                None => guest.host_name(&base),
            };
            (id, name)
        })
        .collect()
}

/// Leaves a note in the result by which it is known again.
fn mark(bytes: &mut Vec<u8>, config: &str, link: Link) {
    let link = if link == Link::Core { LINKED_MARK } else { "" };
    let text = format!("version={}\n{link}{config}", env!("CARGO_PKG_VERSION"));
    let section = CustomSection { name: MARK.into(), data: text.into_bytes().into() };
    section.append_to_component(bytes);
}

fn report_linked(
    guest: &Guest<'_>,
    adapter: &AdapterComponent,
    imports: Vec<String>,
    size_bytes: usize,
) -> Report {
    let mut report = Report {
        linked: true,
        was_core_module: guest.was_core,
        imports,
        size_bytes,
        added_bytes: size_bytes.saturating_sub(guest.bytes.len()),
        ..Report::default()
    };
    for import in &guest.imports {
        let list = if adapter.exports.iter().any(|export| export.pairs_with(import)) {
            &mut report.virtualized
        } else if import.is_wasi02("wasi:cli") && import.base == "wasi:cli/exit" {
            &mut report.committing
        } else {
            &mut report.passed_through
        };
        list.push(import.full.clone());
    }
    report.committing.extend(guest.exports.iter().map(|name| name.full.clone()));
    report
}

fn report(
    guest: &Guest<'_>,
    adapter: &AdapterComponent,
    bridge: &Job<'_>,
    envelope: &Job<'_>,
    imports: Vec<String>,
    size_bytes: usize,
) -> Report {
    let mut report = Report {
        was_core_module: guest.was_core,
        imports,
        size_bytes,
        added_bytes: size_bytes.saturating_sub(guest.bytes.len()),
        ..Report::default()
    };
    for import in &guest.imports {
        let wrap = bridge.wraps.iter().find(|wrap| wrap.target == import.full);
        match wrap {
            _ if adapter.exports.iter().any(|export| export.pairs_with(import)) => {
                report.virtualized.push(import.full.clone());
            }
            Some(wrap) if wrap.lifecycle != Lifecycle::Untouched => {
                report.committing.push(import.full.clone());
            }
            Some(wrap) => report.bridged.push(Wrapped {
                interface: import.full.clone(),
                shims: bridge.shim_count(wrap),
                functions: wrap.functions(&guest.resolve).count(),
            }),
            None => report.passed_through.push(import.full.clone()),
        }
    }
    report.committing.extend(envelope.wraps.iter().map(|wrap| wrap.target.clone()));
    report
}
