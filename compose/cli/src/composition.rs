//! The options of composition, for `compose` and `run`.

use clap::Args;
use kvfs_compose::{Compose, Link, Mode, Mount};

/// Every option of [`CompositionArgs`], for messages.
pub(crate) const COMPOSITION_OPTIONS: &str = "--link, --mode, --volume, --mount and --share";

// No doc comment: clap would take it for the command's.
#[derive(Args, Clone)]
pub(crate) struct CompositionArgs {
    /// How guest and file system are joined: `component` (the default, takes any guest), or `core`,
    /// which makes a file call a core-wasm call.
    #[arg(long, value_name = "component|core", value_parser = |text: &str| text.parse::<Link>())]
    link: Option<Link>,
    /// When writes are committed: `strict` (each operation), `close` (the default) or `lazy` (the default
    /// with `--provider memory` without a size, which is gone with the program in any case).
    #[arg(long, value_parser = |text: &str| text.parse::<Mode>())]
    mode: Option<Mode>,
    /// The volume to mount where no other is named [default: main].
    #[arg(long)]
    volume: Option<String>,
    /// Mounts a source at a path of the guest; may be given many times.
    ///
    /// SOURCE is one of
    ///
    ///   kv[:VOLUME]                             a volume of the store
    ///   image:DIR-or-TAR                        a tree packed into the result, read-only
    ///   overlay:DIR-or-TAR[:VOLUME]             a packed tree below a volume that takes the changes
    ///   host:PREOPEN[,file=NAME=HOST-PATH ...]  a directory that the host preopens, or named files of it
    ///
    /// A TAR may be compressed with gzip. allow=RIGHTS gives less than all of the rights dir-read, dir-mutate,
    /// file-read and file-write (joined by +, or none), and policy=FILE gives others at single paths: a line such
    /// as `hide **/.env` or `all tmp/**` for each rule, of which the last one that matches decides. Three options bound the content of a volume: max-bytes=SIZE (such
    /// as 64M), max-inodes=NUMBER and max-names=NUMBER; a packed tree below it does not count. After any
    /// source, ro makes it read-only. Without a mount, the volume is at `/`.
    #[arg(
        long,
        verbatim_doc_comment,
        value_name = "PATH=SOURCE[,OPTION ...]",
        value_parser = |text: &str| text.parse::<Mount>()
    )]
    mount: Vec<Mount>,
    /// Lets guest and provider both import a package, such as my:log; may be given many times.
    ///
    /// Otherwise that is refused: the guest could reach the store past the file system. The packages of
    /// WASI 0.2 without state are always allowed. Name wasi:filesystem here if a directory of the host is
    /// mounted and FILE.wasm imports wasi:filesystem too.
    #[arg(long, value_name = "PACKAGE")]
    share: Vec<String>,
}

impl CompositionArgs {
    /// Returns whether any option is given.
    pub(crate) fn is_given(&self) -> bool {
        let Self { link, mode, volume, mount, share } = self;
        link.is_some() || mode.is_some() || volume.is_some() || !mount.is_empty() || !share.is_empty()
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
            "allow=RIGHTS",
            "policy=FILE",
            ", ro makes",
        ] {
            assert!(help.contains(part), "{part}: {help}");
        }
    }
}
