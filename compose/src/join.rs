//! Joins guest, adapter and provider into a result, by components or by core modules.

use crate::bridge::{HostIo, Io, Job, plan_bridge, plan_envelope};
use crate::check::{Validation, check};
use crate::error::ComposeError;
use crate::graph::{self, HostIoSource, Inputs, Wrapper};
use crate::link::{self, NotLinkable};
use crate::names::InterfaceName;
use crate::options::Link;
use crate::parts::{self, AdapterComponent, Guest, Mark, allows_control};
use crate::provider::{Provider, ProviderComponent};
use crate::report::Report;
use crate::shared;
use crate::types::TypeInfo;
use std::borrow::Cow;
use wit_parser::WorldItem;

/// A result of composing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Composed {
    /// The component.
    pub bytes: Vec<u8>,
    /// The report of what composing did.
    pub report: Report,
}

/// Everything that a result is made of, after reading all files.
pub(crate) struct Ingredients<'a> {
    pub(crate) guest: Guest<'a>,
    /// The adapter's core module.
    pub(crate) adapter: &'a [u8],
    /// The configuration of the file system: lines `key=value`, the mounts among them.
    pub(crate) config: String,
    pub(crate) images: Cow<'a, [u8]>,
    /// True if directories of the host are mounted.
    pub(crate) mounts_host: bool,
    pub(crate) provider: &'a Provider,
    /// Packages that guest and provider may share.
    pub(crate) shared: &'a [String],
    pub(crate) link: Link,
}

impl Ingredients<'_> {
    /// Joins them. The report lacks the store and the mounts.
    pub(crate) fn join(mut self, validation: Validation) -> Result<Composed, ComposeError> {
        shared::check_names(self.shared)?;
        let provider = self.provider.component()?;
        if let Some(ProviderComponent { outline, .. }) = &provider {
            shared::check(&self.guest, self.provider, outline, self.mounts_host, self.shared)?;
        }
        let controls = |import: &&InterfaceName| import.is_volume_control();
        if !allows_control(&self.config)
            && let Some(import) = self.guest.imports.iter().find(controls)
        {
            return Err(ComposeError::AsksForVolumeControl { interface: import.full.clone() });
        }
        let adapter = AdapterComponent::encode(self.adapter, &self.config, &self.images, &self.guest)?;
        // The adapter has a copy now, and images may be large.
        self.images = Cow::default();
        if allows_control(&self.config) && !adapter.exports.iter().any(InterfaceName::is_known_volume_control)
        {
            let reason = "it does not export kvfs:volume/control, which the composition allows the guest";
            return Err(ComposeError::BadAdapter { reason: reason.into() });
        }
        adapter.check_provides(&self.guest)?;
        if self.mounts_host && adapter.host_filesystem().is_empty() {
            let reason =
                "it does not import the host's file system, which a mounted directory of the host needs";
            return Err(ComposeError::BadAdapter { reason: reason.into() });
        }
        let host_filesystem = host_filesystem_imports(&adapter, &self.guest);
        Joining { of: &self, provider, adapter, host_filesystem, validation }.join()
    }
}

/// Ingredients and the components made of them.
struct Joining<'a> {
    of: &'a Ingredients<'a>,
    provider: Option<ProviderComponent<'a>>,
    adapter: AdapterComponent,
    /// The host's file system: the adapter's import, and the name in the result.
    host_filesystem: Vec<(String, String)>,
    validation: Validation,
}

impl Joining<'_> {
    fn join(&self) -> Result<Composed, ComposeError> {
        let guest = &self.of.guest;
        let mut not_linked = None;
        if self.of.link == Link::Core {
            match self.link() {
                Ok(bytes) => {
                    let (bytes, imports) = self.finish(bytes, Link::Core)?;
                    let report = Report::of_linked(guest, &self.adapter, imports, bytes.len());
                    return Ok(Composed { bytes, report });
                }
                Err(why) => not_linked = Some(why.to_string()),
            }
        }
        let host_io =
            HostIo { resolve: &self.adapter.resolve, interfaces: host_io_imports(&self.adapter, guest) };
        let job = |callee, wraps| Job { resolve: &guest.resolve, callee, wraps, host_io: host_io.clone() };
        let bridge = job(Io::Host, plan_bridge(&guest.resolve, guest.world)?);
        let envelope = job(Io::Virtual, plan_envelope(&guest.resolve, guest.world)?);
        let bytes = self.compose(&host_io, &bridge, &envelope)?;
        let (bytes, imports) = self.finish(bytes, Link::Component)?;
        let mut report =
            Report::of_composed(guest, &self.adapter, (&bridge, &envelope), imports, bytes.len());
        report.not_linked = not_linked;
        Ok(Composed { bytes, report })
    }

    fn provider_bytes(&self) -> Option<&[u8]> {
        self.provider.as_ref().map(|provider| &*provider.bytes)
    }

    /// Joins the core modules.
    fn link(&self) -> Result<Vec<u8>, NotLinkable> {
        let guest = &self.of.guest;
        let reach = host_handles_reach(guest)? || !self.host_filesystem.is_empty();
        let host_io = reach.then(|| {
            let names = self.adapter.host_io().into_iter().map(|(_, name)| name.full);
            let imports = host_io_imports(&self.adapter, guest).into_iter().map(|(_, import)| import);
            names.zip(imports).chain(self.host_filesystem.iter().cloned()).collect()
        });
        link::link(&link::Job { guest, adapter: &self.adapter, host_io, provider: self.provider_bytes() })
    }

    /// Joins the components.
    fn compose(
        &self,
        host_io: &HostIo<'_>,
        bridge: &Job<'_>,
        envelope: &Job<'_>,
    ) -> Result<Vec<u8>, ComposeError> {
        let converts_io = bridge.converts_io() || envelope.converts_io();
        let wrapper = |job: &Job<'_>| match job.wraps.is_empty() {
            true => Ok(None),
            false => Wrapper::generate(job).map(Some),
        };
        graph::join(&Inputs {
            guest: &self.of.guest,
            adapter: &self.adapter,
            host_io: if converts_io || !self.host_filesystem.is_empty() {
                let names = self.adapter.host_io().into_iter().map(|(_, name)| name.full);
                let imports = host_io.interfaces.iter().map(|(_, import)| import.clone());
                let mut pairs: Vec<_> = names.zip(imports).collect();
                if self.host_filesystem.is_empty() {
                    HostIoSource::Imports(pairs)
                } else {
                    pairs.extend(self.host_filesystem.iter().cloned());
                    let imports: Vec<String> = pairs.iter().map(|(_, import)| import.clone()).collect();
                    HostIoSource::ImportsWithTypes(pairs, self.adapter.host_types(&imports)?)
                }
            } else {
                HostIoSource::StandIn(self.adapter.no_host_io()?)
            },
            bridge: wrapper(bridge)?,
            envelope: wrapper(envelope)?,
            provider: self.provider_bytes(),
        })
    }

    /// Appends the parts to a result, checks it, and returns it with its imports.
    fn finish(&self, mut bytes: Vec<u8>, link: Link) -> Result<(Vec<u8>, Vec<String>), ComposeError> {
        let Self { of, provider, adapter, host_filesystem, validation } = self;
        let own_provider = self.provider_bytes().filter(|_| of.provider.is_of_its_own());
        let parts = parts::Parts {
            guest: &of.guest.bytes,
            provider: own_provider.unwrap_or_default(),
            images: parts::find_images(&bytes, &adapter.bytes)?,
        };
        let mark = Mark {
            version: env!("CARGO_PKG_VERSION").into(),
            link,
            shared: of.shared.to_vec(),
            config: of.config.clone(),
            provider: parts::provider_lines(of.provider),
        };
        parts::append(&mut bytes, &mark, &parts)?;
        let outline = provider.as_ref().map(|provider| &provider.outline);
        let imports = check(&bytes, &of.guest, outline, host_filesystem, *validation)?;
        Ok((bytes, imports))
    }
}

/// Returns true if the guest gets handles of `wasi:io` from the host.
fn host_handles_reach(guest: &Guest<'_>) -> Result<bool, NotLinkable> {
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
            return Err(NotLinkable::new(format!("{name} has handles of wasi:filesystem")));
        }
        reach |= types.iter().any(|ty| info.mentions_io(ty));
    }
    Ok(reach)
}

/// Names the host's `wasi:io` for a guest: the adapter's interfaces at the guest's version.
fn host_io_imports(adapter: &AdapterComponent, guest: &Guest<'_>) -> Vec<(wit_parser::InterfaceId, String)> {
    // All three have one version, since they use each other's types.
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

/// Names the host's file system for a guest, if the adapter imports it: pairs of the adapter's
/// import and the name in the result. All have one version, since the interfaces use each other's
/// types.
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
