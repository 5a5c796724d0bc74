//! Composes: the builder, and the order of its steps.

use crate::adapter::{ADAPTER, ADAPTER_WITH_HOST, AdapterComponent};
use crate::bridge::{HostIo, Io, Job, Lifecycle, TypeInfo, plan_bridge, plan_envelope};
use crate::check::check;
use crate::configure::{Config, Mode};
use crate::error::ComposeError;
use crate::graph::{HostIoSource, Parts, Wrapper, join};
use crate::guest::Guest;
use crate::link::{self, Cannot};
use crate::mounts::{Mount, Packing, plan};
use crate::names::InterfaceName;
use crate::parts::{self, Mark};
use crate::provider::Provider;
use crate::report::{Report, Wrapped};
use crate::shared;
use std::borrow::Cow;
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
    shared: Vec<String>,
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
            shared: Vec::new(),
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

    /// Lets guest and provider both import a package, such as `my:log`, or `wasi:filesystem` where a directory of the host is
    /// mounted. Otherwise that is refused: the provider may keep the store there, and the guest would reach it past the file
    /// system. The parts of WASI 0.2 that keep nothing (`io`, `clocks`, `random`, `cli`, `sockets`, `http`) need no
    /// leave.
    ///
    /// A package has no version here. [`Compose::build`] checks that it is the name of one.
    pub fn share(mut self, package: impl Into<String>) -> Self {
        self.shared.push(package.into());
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
        let provider = self.provider.clone().by_name();
        shared::check_store_directory(&provider, &self.mounts)?;
        let plan = plan(&self.mounts, self.config.volume(), self.progress.0)?;
        config += &plan.lines;
        let own = if plan.host { ADAPTER_WITH_HOST } else { ADAPTER };
        let joined = Ingredients {
            guest,
            adapter: self.adapter.as_deref().unwrap_or(own),
            config,
            images: Cow::Owned(plan.images),
            mounts_host: plan.host,
            provider: &provider,
            shared: &self.shared,
            link: self.link,
        };
        let mut composed = joined.join(Validation::Now)?;
        (composed.report.store, composed.report.mounted) = (self.provider.to_string(), plan.mounted);
        Ok(composed)
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
}

/// When a result is validated.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Validation {
    Now,
    /// By the runtime that compiles it.
    Later,
}

/// All that a result is made of, with everything read that lies in files.
pub(crate) struct Ingredients<'a> {
    pub(crate) guest: Guest<'a>,
    /// The adapter's core module.
    pub(crate) adapter: &'a [u8],
    /// The configuration of the file system: lines `key=value`, the mounts among them.
    pub(crate) config: String,
    pub(crate) images: Cow<'a, [u8]>,
    /// Whether directories of the host are mounted.
    pub(crate) mounts_host: bool,
    pub(crate) provider: &'a Provider,
    /// Packages that guest and provider may share.
    pub(crate) shared: &'a [String],
    pub(crate) link: Link,
}

impl Ingredients<'_> {
    /// Joins them. The report does not say where the store is and what is mounted.
    pub(crate) fn join(self, validation: Validation) -> Result<Composed, ComposeError> {
        let Self { guest, config, images, mounts_host, .. } = self;
        shared::check_names(self.shared)?;
        let provider = self.provider.component()?;
        let provider_bytes = provider.as_ref().map(|provider| &*provider.bytes);
        let provider_outline = provider.as_ref().map(|provider| &provider.outline);
        if let Some(outline) = provider_outline {
            shared::check(&guest, self.provider, outline, mounts_host, self.shared)?;
        }
        let adapter = AdapterComponent::encode(self.adapter, &config, &images, &guest)?;
        drop(images);
        adapter.check_provides(&guest)?;
        if mounts_host && adapter.host_filesystem().is_empty() {
            let reason = "it does not import the host's file system, of which a directory is to be mounted";
            return Err(ComposeError::BadAdapter { reason: reason.into() });
        }
        let host_filesystem = host_filesystem_imports(&adapter, &guest);
        let own_provider = provider_bytes.filter(|_| self.provider.is_of_its_own()).unwrap_or_default();
        let finish = |mut bytes: Vec<u8>, link| {
            let parts = parts::Parts {
                guest: &guest.bytes,
                provider: own_provider,
                images: parts::find_images(&bytes, &adapter)?,
            };
            let mark = Mark {
                version: env!("CARGO_PKG_VERSION").into(),
                link,
                shared: self.shared.to_vec(),
                config: config.clone(),
                provider: parts::provider_lines(self.provider),
            };
            parts::append(&mut bytes, &mark, &parts)?;
            let imports = check(&bytes, &guest, provider_outline, &host_filesystem, validation)?;
            Ok::<_, ComposeError>((bytes, imports))
        };
        let mut not_linked = None;
        if self.link == Link::Core {
            match link_parts(&guest, &adapter, &host_filesystem, provider_bytes) {
                Ok(bytes) => {
                    let (bytes, imports) = finish(bytes, Link::Core)?;
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
        let (bytes, imports) = finish(join(&parts)?, Link::Component)?;
        let mut report = report(&guest, &adapter, &bridge, &envelope, imports, bytes.len());
        report.not_linked = not_linked;
        Ok(Composed { bytes, report })
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
