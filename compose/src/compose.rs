//! Composes: the builder, and the order of its steps.

use crate::adapter::{ADAPTER, ADAPTER_WITH_HOST, AdapterComponent};
use crate::bridge::{HostIo, Io, Job, Lifecycle, TypeInfo, plan_bridge, plan_envelope};
use crate::check::check;
use crate::configure::{Config, Mode};
use crate::error::ComposeError;
use crate::graph::{HostIoSource, Parts, Wrapper, join};
use crate::guest::{Guest, LINKED_MARK, MARK};
use crate::link::{self, Cannot};
use crate::mounts::{Mount, MountError, MountSource, Packing, plan};
use crate::names::InterfaceName;
use crate::provider::{DEFAULT_FILE_PATH, Provider};
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
    adapter: Option<Cow<'a, [u8]>>,
    provider: Provider,
    config: Config,
    mounts: Vec<Mount>,
    progress: Progress<'a>,
    link: Link,
}

/// Who is told how far packing has come.
#[derive(Clone, Copy)]
struct Progress<'a>(&'a dyn Fn(Packing<'_>));

impl std::fmt::Debug for Progress<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Progress")
    }
}

impl<'a> Compose<'a> {
    /// Starts with the bytes of a guest: a component of any WASI 0.2, or a core module for preview1.
    pub fn new(guest: &'a [u8]) -> Self {
        Self {
            guest,
            adapter: None,
            provider: Provider::Host,
            config: Config::default(),
            mounts: Vec::new(),
            progress: Progress(&|_| {}),
            link: Link::default(),
        }
    }

    /// Uses another core module as the adapter than [`ADAPTER`], or [`ADAPTER_WITH_HOST`] for mounts of
    /// directories of the host.
    pub fn adapter(mut self, core_module: impl Into<Cow<'a, [u8]>>) -> Self {
        self.adapter = Some(core_module.into());
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

    /// Sets when writes are committed; [`Mode::Close`] unless told, and [`Mode::Lazy`] with
    /// [`Provider::Memory`] of no certain size, which is gone with the instance in any case.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.config.mode = Some(mode);
        self
    }

    /// Sets the volume of the store that is mounted where no other is named; `main` unless told.
    ///
    /// A name has 1 to [`MAX_VOLUME_NAME_BYTES`](crate::MAX_VOLUME_NAME_BYTES) bytes and no control
    /// characters, which [`Compose::build`] checks.
    pub fn volume(mut self, name: impl Into<String>) -> Self {
        self.config.volume = Some(name.into());
        self
    }

    /// Adds a mount. Without any, the volume of the store is the root; with some but none at `/`, the root is
    /// an empty directory in which they lie, and which nobody can change.
    ///
    /// Trees are read by [`Compose::build`], which also checks all mounts together. A mount inside another one
    /// lies on a directory of it, which is made if it is not there.
    ///
    /// ```no_run
    /// use kvfs_compose::{Compose, Mount, MountSource};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let guest = std::fs::read("server.wasm")?;
    /// let site = MountSource::Image { tree: "dist/site.tar.gz".into() };
    /// let composed = Compose::new(&guest)
    ///     .mount("/=kv".parse()?)
    ///     .mount(Mount::new("/srv/www", site))
    ///     .build()?;
    /// for mounted in &composed.report.mounted {
    ///     println!("{mounted}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn mount(mut self, mount: Mount) -> Self {
        self.mounts.push(mount);
        self
    }

    /// Has `progress` called before and after everything that is packed.
    pub fn on_packing(mut self, progress: &'a dyn Fn(Packing<'_>)) -> Self {
        self.progress = Progress(progress);
        self
    }

    /// Composes.
    ///
    /// The same input gives the same bytes; of a tree, its names, contents, links and times of modification
    /// count. The result imports no `wasi:filesystem` (but for directories of the host that are
    /// mounted, and the provider `file`), nothing that the
    /// guest did not import but the store and the wall clock, and exports what the guest exported.
    ///
    /// # Errors
    ///
    /// One for each thing that can be wrong with the input; see [`ComposeError`].
    ///
    /// # Cost
    ///
    /// Reads the guest without its code, copies it, and validates the result once, which takes most
    /// of the time. For a guest of 32 MB: under a second, and about four times its size in memory. A tree
    /// that is packed is read once, and takes about six times its size in memory.
    pub fn build(self) -> Result<Composed, ComposeError> {
        let mut config = self.config().text()?;
        let guest = Guest::read(self.guest)?;
        self.check_store_is_hidden()?;
        let plan = plan(&self.mounts, self.config.volume(), self.progress.0)?;
        config += &plan.lines;
        let provider = self.provider.component()?;
        let provider_bytes = provider.as_ref().map(|provider| &*provider.bytes);
        let provider_outline = provider.as_ref().map(|provider| &provider.outline);
        let own = if plan.host { ADAPTER_WITH_HOST } else { ADAPTER };
        let core = self.adapter.as_deref().unwrap_or(own);
        let adapter = AdapterComponent::encode(core, &config, &plan.images, &guest)?;
        drop(plan.images);
        adapter.check_provides(&guest)?;
        if plan.host && adapter.host_filesystem().is_empty() {
            let reason = "it does not import the host's file system, of which a directory is to be mounted";
            return Err(ComposeError::BadAdapter { reason: reason.into() });
        }
        let host_filesystem = host_filesystem_imports(&adapter, &guest);
        let mut not_linked = None;
        if self.link == Link::Core {
            match link_parts(&guest, &adapter, &host_filesystem, provider_bytes) {
                Ok(mut bytes) => {
                    mark(&mut bytes, &config, Link::Core);
                    let imports = check(&bytes, &guest, provider_outline, &host_filesystem)?;
                    let mut report = report_linked(&guest, &adapter, imports, bytes.len());
                    (report.store, report.mounted) = (self.provider.to_string(), plan.mounted);
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
            host_io: if converts_io || !host_filesystem.is_empty() {
                let names = adapter.host_io().into_iter().map(|(_, name)| name.full);
                let imports = host_io.interfaces.iter().map(|(_, import)| import.clone());
                let mut pairs: Vec<_> = names.zip(imports).collect();
                if host_filesystem.is_empty() {
                    HostIoSource::Imports(pairs)
                } else {
                    pairs.extend(host_filesystem.iter().cloned());
                    let imports: Vec<String> = pairs.iter().map(|(_, import)| import.clone()).collect();
                    HostIoSource::ImportsWithTypes(pairs, adapter.host_types(&imports)?)
                }
            } else {
                HostIoSource::StandIn(adapter.no_host_io()?)
            },
            bridge: if bridge.wraps.is_empty() { None } else { Some(Wrapper::generate(&bridge)?) },
            envelope: if envelope.wraps.is_empty() { None } else { Some(Wrapper::generate(&envelope)?) },
            provider: provider_bytes,
        };
        let mut bytes = join(&parts)?;
        mark(&mut bytes, &config, Link::Component);
        let imports = check(&bytes, &guest, provider_outline, &host_filesystem)?;
        let mut report = report(&guest, &adapter, &bridge, &envelope, imports, bytes.len());
        report.not_linked = not_linked;
        (report.store, report.mounted) = (self.provider.to_string(), plan.mounted);
        Ok(Composed { bytes, report })
    }

    /// What is fixed, with what follows from the provider.
    fn config(&self) -> Config {
        let mut config = self.config.clone();
        // It goes when the file system's own memory goes: what is there sooner is not safer. One that has a size
        // is to say at the close of a file that it is full.
        if matches!(self.provider, Provider::Memory { size_bytes: None }) {
            config.mode.get_or_insert(Mode::Lazy);
        }
        config
    }

    /// Fails if a directory is mounted in which the provider has its store.
    fn check_store_is_hidden(&self) -> Result<(), MountError> {
        let Provider::File { path } = &self.provider else { return Ok(()) };
        let store = path.as_deref().unwrap_or(DEFAULT_FILE_PATH);
        let over =
            |mount: &&Mount| matches!(&mount.source, MountSource::Host { preopen, .. } if preopen == store);
        self.mounts.iter().find(over).map_or(Ok(()), |mount| {
            Err(MountError::OverStore { path: mount.path.clone(), preopen: store.to_owned() })
        })
    }
}

fn link_parts(
    guest: &Guest<'_>,
    adapter: &AdapterComponent,
    host_filesystem: &[(String, String)],
    provider: Option<&[u8]>,
) -> Result<Vec<u8>, Cannot> {
    let reach = host_handles_reach(guest)? || !host_filesystem.is_empty();
    let host_io = reach.then(|| {
        let names = adapter.host_io().into_iter().map(|(_, name)| name.full);
        let imports = host_io_imports(adapter, guest).into_iter().map(|(_, import)| import);
        names.zip(imports).chain(host_filesystem.iter().cloned()).collect()
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

/// Names the host's file system for a guest, if the adapter imports it: its import, and the name in the
/// result. One version for all, as the interfaces use each other's types.
fn host_filesystem_imports(adapter: &AdapterComponent, guest: &Guest<'_>) -> Vec<(String, String)> {
    let types = InterfaceName::parse(&guest.host_name("wasi:filesystem/types"));
    let version = types.version().map(|version| format!("@{version}")).unwrap_or_default();
    let names = adapter.host_filesystem().into_iter().map(|(_, name)| {
        let interface = name.base.rsplit('/').next().unwrap_or_default();
        let import = format!("wasi:filesystem/{interface}{version}");
        (name.full, import)
    });
    names.collect()
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
