//! The options of composition, for `compose` and `run`.

use clap::Args;
use kvfs_compose::{Audit, ByteSize, Compose, InstanceLimits, Link, Mode, Mount};

/// Every option of [`CompositionArgs`], for messages.
pub(crate) const COMPOSITION_OPTIONS: &str = "--link, --mode, --volume, --mount, --audit, --allow-volume-control, --share, --max-descriptors, \
     --cache-size and --dirty-size";

// No doc comment: clap would take it for the command's.
#[derive(Args, Clone)]
pub(crate) struct CompositionArgs {
    /// How guest and file system are joined: `component` (the default, takes any guest), or `core`,
    /// which makes a file call a core-wasm call.
    #[arg(long, value_name = "component|core", value_parser = |text: &str| text.parse::<Link>())]
    link: Option<Link>,
    /// When writes are committed: `strict` (each operation), `close` (the default) or `lazy` (the
    /// default with `--provider memory` without a size, which is gone with the program anyway).
    #[arg(long, value_parser = |text: &str| text.parse::<Mode>())]
    mode: Option<Mode>,
    /// The volume to mount where no other is named [default: main].
    #[arg(long)]
    volume: Option<String>,
    /// Bounds the descriptors, streams and listings that the guest may have open at once, over all
    /// mounts: 16 to 65536 [default: 65536].
    #[arg(long, value_name = "NUMBER")]
    max_descriptors: Option<u32>,
    /// Bounds what the file system caches, over all volumes: 1M to 1G [default: 64M].
    #[arg(long, value_name = "SIZE", value_parser = |text: &str| text.parse::<ByteSize>())]
    cache_size: Option<ByteSize>,
    /// Bounds the file data that waits for a commit, over all volumes: 64K to 256M [default: 8M, or
    /// half of a smaller cache].
    #[arg(long, value_name = "SIZE", value_parser = |text: &str| text.parse::<ByteSize>())]
    dirty_size: Option<ByteSize>,
    /// Mounts a source at a path of the guest; may be given many times.
    ///
    /// SOURCE is one of
    ///
    ///   kv[:VOLUME]                             a volume of the store
    ///   image:DIR-or-TAR                        a tree packed into the result, read-only
    ///   overlay:DIR-or-TAR[:VOLUME]             a packed tree below a volume that takes the changes
    ///   host:PREOPEN[,file=NAME=HOST-PATH ...]  a directory that the host preopens, or named files of it
    ///
    /// A TAR may be compressed with gzip. allow=RIGHTS gives less than all of the rights dir-read,
    /// dir-mutate, file-read and file-write (joined by +, or none), and policy=FILE gives others at
    /// single paths: a line such as `hide **/.env` or `all tmp/**` for each rule, of which the last
    /// one that matches decides. Four options bound the content of a volume: max-bytes=SIZE (such
    /// as 64M), max-inodes=NUMBER, max-names=NUMBER and max-file-bytes=SIZE for each file; a packed
    /// tree below it does not count, and where `kvfs settings` has set a limit too, the smaller
    /// counts. extent-size=SIZE (4K to 1M, by default 16K) is that of a volume that is made: 4K
    /// suits databases, 64K large files that are only read or written from end to end. cache=SIZE (1M
    /// to --cache-size) bounds what is cached of any source but host, so that what streams through one
    /// mount leaves the cache to the others. After any source, ro makes it read-only. Without a
    /// mount, the volume is at `/`.
    #[arg(
        long,
        verbatim_doc_comment,
        value_name = "PATH=SOURCE[,OPTION ...]",
        value_parser = |text: &str| text.parse::<Mount>()
    )]
    mount: Vec<Mount>,
    /// Keeps an audit log of what the guest does to files: `changes`, or `all` calls.
    ///
    /// The lines go into the store, beside the volumes, and `kvfs audit` shows them; `volume=NAME`
    /// writes them to files of a volume that no mount shows. A run writes at most max-bytes=SIZE
    /// [default: 256M]. With `required`, nothing is changed that cannot be logged. Events without a
    /// line are counted.
    #[arg(
        long,
        value_name = "changes|all[,max-bytes=SIZE][,volume=NAME][,required]",
        value_parser = |text: &str| text.parse::<Audit>()
    )]
    pub(crate) audit: Option<Audit>,
    /// Lets the guest make snapshots and forks of the volumes that it mounts, restore them and see what
    /// changed since, by kvfs:volume/control: at most NUMBER of each volume, 1 to 1024 [default: 64].
    ///
    /// They are volumes of the store, named VOLUME@NAME, which `kvfs volume list` shows. The limits of a
    /// volume count for each of them alone. Without this option, a guest that imports the interface is
    /// refused.
    #[arg(
        long,
        value_name = "NUMBER",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "64"
    )]
    allow_volume_control: Option<u32>,
    /// Lets guest and provider both import a package, such as my:log; may be given many times.
    ///
    /// Otherwise that is refused: the guest could reach the store past the file system. The
    /// packages of WASI 0.2 without state are always allowed. Name wasi:filesystem here if a
    /// directory of the host is mounted and FILE.wasm imports wasi:filesystem too.
    #[arg(long, value_name = "PACKAGE")]
    share: Vec<String>,
}

impl CompositionArgs {
    /// Returns whether any option is given.
    pub(crate) fn is_given(&self) -> bool {
        let Self { link, mode, volume, max_descriptors, cache_size, dirty_size, mount, audit, share, .. } =
            self;
        let limits = max_descriptors.is_some() || cache_size.is_some() || dirty_size.is_some();
        let named = !mount.is_empty() || !share.is_empty() || audit.is_some();
        let named = named || self.allow_volume_control.is_some();
        link.is_some() || mode.is_some() || volume.is_some() || limits || named
    }

    /// Starts composing a guest with these options.
    pub(crate) fn composer<'a>(&self, guest: &'a [u8]) -> Compose<'a> {
        let mut compose = Compose::new(guest);
        if let Some(mode) = self.mode {
            compose = compose.mode(mode);
        }
        if let Some(link) = self.link {
            compose = compose.link(link);
        }
        if let Some(volume) = &self.volume {
            compose = compose.volume(volume);
        }
        if let Some(audit) = &self.audit {
            compose = compose.audit(audit.clone());
        }
        if let Some(volumes) = self.allow_volume_control {
            compose = compose.allow_volume_control(volumes);
        }
        let mut limits = InstanceLimits::default();
        limits.max_descriptors = self.max_descriptors;
        limits.max_cached_bytes = self.cache_size.map(|size| size.0);
        limits.max_dirty_bytes = self.dirty_size.map(|size| size.0);
        compose = compose.instance_limits(limits);
        compose = self.share.iter().fold(compose, Compose::share);
        self.mount.iter().cloned().fold(compose, Compose::mount)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_of_a_mount_names_all_that_a_mount_takes() {
        let help = CompositionArgs::augment_args(clap::Command::new("kvfs")).render_long_help().to_string();
        for part in [
            "kv[:VOLUME]",
            "image:DIR",
            "overlay:DIR",
            "host:PREOPEN",
            "file=NAME",
            "max-bytes=",
            "max-inodes=",
            "max-names=",
            "max-file-bytes=",
            "extent-size=",
            "cache=SIZE",
            "allow=RIGHTS",
            "policy=FILE",
            ", ro makes",
        ] {
            assert!(help.contains(part), "{part}: {help}");
        }
    }
}
