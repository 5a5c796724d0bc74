//! The configuration, fixed when the component was composed: how volumes are opened and where they
//! are mounted.

use kvfs::{CacheLimits, Error, Mode, MountSpec, Mounted, Options, Policy, Quota, Result};
#[cfg(feature = "audit")]
use kvfs_audit::Settings;
use std::cell::OnceCell;
use std::ops::Range;
use std::rc::Rc;
use std::str::FromStr;

/// The source of a mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// A volume of the store.
    Kv { volume: String },
    /// An image alone, by its range in the blob.
    Image { image: Range<usize> },
    /// A volume of the store above an image.
    Overlay { image: Range<usize>, volume: String },
}

/// The configuration, read.
#[derive(Default)]
pub(crate) struct Config {
    pub(crate) options: Options,
    /// Volumes, by the numbers in `mounts`.
    pub(crate) sources: Vec<Source>,
    pub(crate) mounts: Vec<MountSpec>,
    /// This component's limits on volumes.
    limits: Vec<VolumeLimits>,
    /// The ceilings in the cache, with the number of the volume.
    caches: Vec<(usize, CacheLimits)>,
    /// The most snapshots and forks that the guest may have of each volume.
    #[cfg(feature = "volume-control")]
    pub(crate) max_own_volumes: u32,
    /// The audit log; `None` if there is none.
    #[cfg(feature = "audit")]
    pub(crate) audit: Option<Settings>,
    /// The mounts of directories of the host, which are among `mounts` too.
    #[cfg(feature = "host-mounts")]
    pub(crate) hosts: Vec<HostSpec>,
}

/// Limits on a volume, beside those that were set for it, and the size of its extents if this
/// component makes it.
struct VolumeLimits {
    volume: String,
    quota: Quota,
    extent_bytes: u32,
}

/// A mount of a directory of the host.
#[cfg(feature = "host-mounts")]
pub(crate) struct HostSpec {
    pub(crate) path: String,
    pub(crate) read_only: bool,
    pub(crate) preopen: String,
    /// The visible files, by name, with their paths there. If empty, everything is visible.
    pub(crate) files: Vec<(String, String)>,
}

thread_local! {
    static CONFIG: OnceCell<Result<&'static Config>> = const { OnceCell::new() };
}

/// Returns the configuration, which is read once: the log, the table of mounts and directories of
/// the host all ask for it.
///
/// # Errors
/// [`Error::Format`] for a mount that cannot be read: ignoring it would show another tree.
pub(crate) fn get() -> Result<&'static Config> {
    // Never dropped: components end without dropping.
    let leak = |config| &*Box::leak(Box::new(config));
    CONFIG.with(|config| config.get_or_init(|| read().map(leak)).clone())
}

/// Reads the configuration. Composition has checked the lines. Keys that only a later version knows
/// are ignored.
fn read() -> Result<Config> {
    let mut config = Config::default();
    for line in kvfs_wasm_config::text().lines() {
        match line.split_once('=') {
            Some(("mode", "strict")) => config.options.mode = Mode::Strict,
            Some(("mode", "close")) => config.options.mode = Mode::Close,
            Some(("mode", "lazy")) => config.options.mode = Mode::Lazy,
            Some(("volume", name)) => name.clone_into(&mut config.options.volume),
            Some(("max-descriptors", number)) => {
                config.options.max_open_descriptors = limit(number)?;
                #[cfg(feature = "host-mounts")]
                crate::host_slot::allow(config.options.max_open_descriptors);
            }
            Some(("max-cached-bytes", number)) => {
                config.options.cache = CacheLimits::of_bytes(limit(number)?)
            }
            Some(("max-dirty-bytes", number)) => config.options.max_dirty_bytes = limit(number)?,
            Some(("mount", mount)) => {
                let known = config.mount(mount);
                known.ok_or(Error::Format("a mount is of a kind that this adapter does not know"))?;
            }
            Some(("rule", rule)) => {
                let read = config.rule(rule);
                read.ok_or(Error::Format("a rule of a mount cannot be read"))?;
            }
            Some(("cache", bytes)) => {
                let Some(&MountSpec { mounted: Mounted::Volume(number), .. }) = config.mounts.last() else {
                    return Err(Error::Format("a size of a cache is of no mount that is cached"));
                };
                config.caches.push((number, CacheLimits::of_bytes(limit(bytes)?)));
            }
            Some(("limits", limits)) => {
                let read = config.limits(limits);
                read.ok_or(Error::Format("the limits of a volume cannot be read"))?;
            }
            #[cfg(feature = "volume-control")]
            Some(("volume-control", number)) => config.max_own_volumes = limit(number)?,
            #[cfg(not(feature = "audit"))]
            Some(("audit", _)) => {
                let why = "the configuration asks for an audit log, which this adapter cannot keep";
                return Err(Error::Format(why));
            }
            #[cfg(feature = "audit")]
            Some(("audit", settings)) => {
                // Without the log that was asked for, nothing may work.
                let read = settings.parse();
                config.audit =
                    Some(read.map_err(|_| Error::Format("the settings of the audit log cannot be read"))?);
            }
            _ => {}
        }
    }
    if config.mounts.is_empty() {
        let volume = config.options.volume.clone();
        config.add("/", false, None, Source::Kv { volume });
    }
    Ok(config)
}

impl Config {
    /// Adds a mount from its line: its path, `ro` or `rw`, and its source, separated by tabs.
    ///
    /// With a policy it has `ro:RIGHTS` or `rw:RIGHTS`, which an adapter that knows no policies
    /// refuses. The rules follow on lines of their own.
    fn mount(&mut self, text: &str) -> Option<()> {
        let mut fields = text.split('\t');
        let (path, access, source) = (fields.next()?, fields.next()?, fields.next()?);
        let (access, policy) = match access.split_once(':') {
            Some((access, rights)) => (access, Some(Rc::new(Policy::new(rights.parse().ok()?)))),
            None => (access, None),
        };
        let read_only = match access {
            "ro" => true,
            "rw" => false,
            _ => return None,
        };
        let (kind, rest) = source.split_once(':')?;
        #[cfg(feature = "host-mounts")]
        if kind == "host" {
            let file = |field: &str| field.split_once('=').map(|(name, at)| (name.to_owned(), at.to_owned()));
            let files = fields.map(file).collect::<Option<_>>()?;
            let (path, preopen) = (path.to_owned(), rest.to_owned());
            let mounted = Mounted::Elsewhere;
            self.mounts.push(MountSpec { path: path.clone(), mounted, read_only, policy });
            self.hosts.push(HostSpec { path, read_only, preopen, files });
            return Some(());
        }
        let source = match kind {
            "kv" => Source::Kv { volume: rest.to_owned() },
            "image" => {
                let (offset, length) = rest.split_once(':')?;
                Source::Image { image: range(offset, length)? }
            }
            "overlay" => {
                let mut parts = rest.splitn(3, ':');
                let image = range(parts.next()?, parts.next()?)?;
                Source::Overlay { image, volume: parts.next()?.to_owned() }
            }
            _ => return None,
        };
        self.add(path, read_only, policy, source);
        Some(())
    }

    /// Adds a rule to the policy of the mount before it.
    fn rule(&mut self, text: &str) -> Option<()> {
        let policy = self.mounts.last_mut()?.policy.as_mut()?;
        Rc::get_mut(policy)?.add_line(text).ok()
    }

    /// Adds a quota from its line: the volume's name, `extent:` and the size of extents if that is
    /// given, `file:` and the largest file if that is limited, bytes, inodes and names, separated by
    /// tabs, `-` for no limit.
    fn limits(&mut self, text: &str) -> Option<()> {
        let mut fields = text.split('\t');
        let (volume, mut bytes) = (fields.next()?, fields.next()?);
        let (mut extent_bytes, mut file_bytes) = (self.options.extent_bytes, None);
        if let Some(size) = bytes.strip_prefix("extent:") {
            (extent_bytes, bytes) = (size.parse().ok()?, fields.next()?);
        }
        if let Some(largest) = bytes.strip_prefix("file:") {
            (file_bytes, bytes) = (Some(largest.parse().ok()?), fields.next()?);
        }
        let (inodes, names) = (fields.next()?, fields.next()?);
        let number = |text: &str| if text == "-" { Some(None) } else { text.parse().ok().map(Some) };
        let (bytes, inodes, names) = (number(bytes)?, number(inodes)?, number(names)?);
        let quota = Quota { bytes, inodes, names, file_bytes };
        self.limits.push(VolumeLimits { volume: volume.to_owned(), quota, extent_bytes });
        Some(())
    }

    /// Returns the options for a volume by its number: those of all, with this component's limits
    /// on it.
    pub(crate) fn options(&self, number: usize) -> Options {
        let mut options = self.options.clone();
        let ceiling = self.caches.iter().find(|(of, _)| *of == number);
        options.own_cache = ceiling.map(|(_, cache)| *cache);
        if let Some(Source::Kv { volume } | Source::Overlay { volume, .. }) = self.sources.get(number) {
            options.volume.clone_from(volume);
            if let Some(limits) = self.limits.iter().find(|limits| limits.volume == *volume) {
                (options.own_quota, options.extent_bytes) = (limits.quota, limits.extent_bytes);
            }
        }
        options
    }

    /// Adds a mount. A source that is mounted twice is one volume.
    fn add(&mut self, path: &str, read_only: bool, policy: Option<Rc<Policy>>, source: Source) {
        let volume = self.sources.iter().position(|known| *known == source).unwrap_or_else(|| {
            self.sources.push(source);
            self.sources.len() - 1
        });
        let mounted = Mounted::Volume(volume);
        self.mounts.push(MountSpec { path: path.to_owned(), mounted, read_only, policy });
    }
}

/// Reads a limit of the instance.
fn limit<T: FromStr>(number: &str) -> Result<T> {
    number.parse().map_err(|_| Error::Format("a limit of the instance is no number"))
}

fn range(offset: &str, length: &str) -> Option<Range<usize>> {
    let start: usize = offset.parse().ok()?;
    Some(start..start.checked_add(length.parse().ok()?)?)
}
