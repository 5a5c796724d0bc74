//! The builder of a composition.

use crate::audit::Audit;
use crate::check::Validation;
use crate::error::ComposeError;
use crate::instance::InstanceLimits;
use crate::join::{Composed, Ingredients};
use crate::mounts::{Mount, Packing, plan};
use crate::options::{Config, Link, Mode};
use crate::parts::{Guest, adapter_for};
use crate::provider::Provider;
use crate::shared;
use crate::wasm::embed::config_version;
use std::borrow::Cow;

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
    audit: Option<Audit>,
    mounts: Vec<Mount>,
    shared: Vec<String>,
    progress: Progress<'a>,
    link: Link,
}

/// The callback of [`Compose::on_packing`].
#[derive(Clone, Copy)]
struct Progress<'a>(&'a dyn Fn(Packing<'_>));

impl std::fmt::Debug for Progress<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Progress")
    }
}

impl<'a> Compose<'a> {
    /// Starts with the bytes of a guest: a component of any WASI 0.2, or a core module for
    /// preview1.
    pub fn new(guest: &'a [u8]) -> Self {
        Self {
            guest,
            adapter: None,
            provider: Provider::Host,
            config: Config::default(),
            audit: None,
            mounts: Vec::new(),
            shared: Vec::new(),
            progress: Progress(&|_| {}),
            link: Link::default(),
        }
    }

    /// Uses another core module as the adapter. The default is [`ADAPTER`](crate::ADAPTER), or the
    /// one with what the composition uses: an audit log, mounts of directories of the host, control of
    /// volumes.
    pub fn adapter(mut self, core_module: impl Into<Cow<'a, [u8]>>) -> Self {
        self.adapter = Some(core_module.into());
        self
    }

    /// Takes the store from `provider` instead of the host.
    pub fn provider(mut self, provider: Provider) -> Self {
        self.provider = provider;
        self
    }

    /// Sets how guest and adapter are joined; [`Link::Component`] by default.
    pub fn link(mut self, link: Link) -> Self {
        self.link = link;
        self
    }

    /// Sets when writes are committed; [`Mode::Close`] by default, and [`Mode::Lazy`] with
    /// [`Provider::Memory`] without a size, which is gone with the instance in any case.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.config.mode = Some(mode);
        self
    }

    /// Sets the volume for mounts that name none; `main` by default.
    ///
    /// A name has 1 to [`MAX_VOLUME_NAME_BYTES`](crate::MAX_VOLUME_NAME_BYTES) bytes and no control
    /// characters, which [`Compose::build`] checks.
    pub fn volume(mut self, name: impl Into<String>) -> Self {
        self.config.volume = Some(name.into());
        self
    }

    /// Keeps an audit log; none by default.
    ///
    /// # Cost
    ///
    /// None without a log. See `adapter/AUDIT.md` for that of a log.
    pub fn audit(mut self, audit: Audit) -> Self {
        self.audit = Some(audit);
        self
    }

    /// Lets the guest make snapshots and forks of the volumes that it mounts, by `kvfs:volume/control`:
    /// at most `max_volumes` of each, 1 to [`MAX_OWN_VOLUMES`](crate::MAX_OWN_VOLUMES), which
    /// [`Compose::build`] checks. [`DEFAULT_OWN_VOLUMES`](crate::DEFAULT_OWN_VOLUMES) suits most guests.
    ///
    /// Without this, a guest that imports the interface is refused, and the file system in the result
    /// has no code for it. `SECURITY.md` says what such a guest can do at most, and what it may store
    /// beyond the limits of its mounts.
    pub fn allow_volume_control(mut self, max_volumes: u32) -> Self {
        self.config.own_volumes = Some(max_volumes);
        self
    }

    /// Sets what the file system of one instance may hold, all its volumes together.
    /// [`Compose::build`] checks the limits.
    pub fn instance_limits(mut self, limits: InstanceLimits) -> Self {
        self.config.limits = limits;
        self
    }

    /// Adds a mount. Without mounts, the volume of the store is the root. With mounts and none at
    /// `/`, the root is a read-only directory that holds only mountpoints.
    ///
    /// [`Compose::build`] reads the trees and checks all mounts together. A mount inside another
    /// one lies on a directory of it, which is made if missing.
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

    /// Lets guest and provider both import a package, such as `my:log`, or `wasi:filesystem` if a
    /// directory of the host is mounted. Otherwise that is refused: the provider may keep the store
    /// there, and the guest could reach it past the file system. The packages of WASI 0.2 without
    /// state (`io`, `clocks`, `random`, `cli`, `sockets`, `http`) are always allowed.
    ///
    /// Name the package without its version. [`Compose::build`] checks the name.
    pub fn share(mut self, package: impl Into<String>) -> Self {
        self.shared.push(package.into());
        self
    }

    /// Calls `progress` before and after every entry that is packed.
    pub fn on_packing(mut self, progress: &'a dyn Fn(Packing<'_>)) -> Self {
        self.progress = Progress(progress);
        self
    }

    /// Composes.
    ///
    /// The same input gives the same bytes. Of a tree, names, contents, links and times of
    /// modification are input. The result exports what the guest exports. It imports no
    /// `wasi:filesystem` (except for mounted directories of the host and the provider `file`), and
    /// beside the imports of the guest only the store and the wall clock.
    ///
    /// # Errors
    ///
    /// See [`ComposeError`].
    ///
    /// # Cost
    ///
    /// Reads the guest without its code, copies it, and validates the result once, which takes most
    /// of the time. A guest of 32 MB takes under a second, and about four times its size in memory.
    /// A packed tree is read once, and takes about six times its size in memory.
    pub fn build(self) -> Result<Composed, ComposeError> {
        let mut config = self.config().text()?;
        let guest = Guest::read(self.guest)?;
        let provider = self.provider.clone().by_name();
        shared::check_store_directory(&provider, &self.mounts)?;
        self.mounts.iter().try_for_each(|mount| mount.check_cache_within(&self.config.limits))?;
        let plan = plan(&self.mounts, self.config.volume(), self.progress.0)?;
        config += &plan.lines;
        if let Some(audit) = &self.audit {
            config += &audit.line(|name| plan.volumes.iter().any(|volume| volume == name))?;
        }
        let own = adapter_for(plan.host, &config);
        let adapter = self.adapter.as_deref().unwrap_or(own);
        if self.audit.is_some() {
            check_keeps_log(adapter)?;
        }
        let joined = Ingredients {
            guest,
            adapter,
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

    /// Returns the options, with the default mode for the provider.
    fn config(&self) -> Config {
        let mut config = self.config.clone();
        // A store in memory goes when the file system's own memory goes, so that an early commit
        // makes nothing safer. With a size it may be full, and the close of a file has to say so.
        if matches!(self.provider, Provider::Memory { size_bytes: None }) {
            config.mode.get_or_insert(Mode::Lazy);
        }
        config
    }
}

/// The version of the configuration that has the key `audit`. Adapters before it ignore the key.
const AUDIT_VERSION: u32 = 1;

fn check_keeps_log(adapter: &[u8]) -> Result<(), ComposeError> {
    let (found, needed) = (config_version(adapter)?, AUDIT_VERSION);
    if found < needed { Err(ComposeError::OldAdapter { found, needed }) } else { Ok(()) }
}
