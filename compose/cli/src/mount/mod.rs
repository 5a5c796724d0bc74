//! `kvfs mount`.

mod below;
mod interrupt;

use crate::image::ImageArgs;
use crate::sealing::KeyArgs;
use crate::store_url::StoreUrl;
use crate::terminal::{say, warn};
use crate::volume_error::explain;
use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use kvfs::{Mode, Options, Volume};
use kvfs_host::{AnyStore, EngineStore, Volumes, VolumesError};
use kvfs_mount::{MountOptions, Session, mount as mount_on};
use std::path::PathBuf;

/// Mounts a volume on a directory of this machine, for every program. Needs Linux with FUSE.
///
/// The command stays until an interrupt, SIGTERM or `umount DIR`, and then makes everything durable. A
/// volume that there is not is made. While it is mounted no guest may be running on it, unless with
/// --read-only: whoever opens it last is its only writer, and the other one fails. A file is in the store
/// when it is closed, and durable with fsync or after 5 seconds. Owners, permissions and extended
/// attributes are not kept; devices, pipes and names that are not UTF-8 are refused.
#[derive(Args)]
pub(crate) struct MountArgs {
    /// The store, such as `file:DIR`. It may not lie below the directory that is mounted on.
    #[arg(long, value_name = "URL")]
    store: StoreUrl,
    #[command(flatten)]
    key: KeyArgs,
    /// The volume of the store.
    #[arg(long, default_value = kvfs::DEFAULT_VOLUME)]
    volume: String,
    #[command(flatten)]
    image: ImageArgs,
    /// Changes nothing, and goes beside a guest that runs on the volume. What the guest changes from then on
    /// is seen in part: mount a snapshot to see one moment.
    #[arg(long)]
    read_only: bool,
    /// Lets other users in, as far as the permissions do. Others than root need `user_allow_other` in
    /// /etc/fuse.conf for it.
    #[arg(long)]
    allow_other: bool,
    /// The same as options of `mount`, with commas between them: `-o ro,allow_other`. The kernel always checks
    /// permissions, and never takes devices or `setuid` bits from a volume.
    #[arg(short = 'o', value_name = "OPTION", value_delimiter = ',', value_enum)]
    options: Vec<MountOption>,
    /// The permissions of all files, such as 755 to run programs of the volume.
    #[arg(long, value_name = "OCTAL", default_value = "644", value_parser = permissions)]
    file_mode: u16,
    /// The permissions of all directories.
    #[arg(long, value_name = "OCTAL", default_value = "755", value_parser = permissions)]
    directory_mode: u16,
    /// The directory that is mounted on.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// An option of `mount` that a volume has a use for.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum MountOption {
    /// As --read-only.
    Ro,
    /// Not as --read-only, as without an option.
    Rw,
    /// As --allow-other.
    AllowOther,
    /// Is so in any case.
    DefaultPermissions,
    /// Is so in any case.
    Nosuid,
    /// Is so in any case.
    Nodev,
}

impl MountArgs {
    fn is_read_only(&self) -> bool {
        // As for `mount`, the last word counts.
        let last = self.options.iter().rfind(|option| matches!(option, MountOption::Ro | MountOption::Rw));
        self.read_only || last == Some(&MountOption::Ro)
    }

    fn lets_others_in(&self) -> bool {
        self.allow_other || self.options.contains(&MountOption::AllowOther)
    }
}

fn permissions(text: &str) -> Result<u16, String> {
    match u16::from_str_radix(text, 8) {
        Ok(mode @ 0..=0o777) => Ok(mode),
        _ => Err("permissions are three octal digits, such as 644".to_owned()),
    }
}

pub(crate) fn mount(args: &MountArgs) -> Result<()> {
    below::refuse(&args.store, &args.directory)?;
    let interrupts = interrupt::watch()?;
    let store = if args.is_read_only() {
        args.key.open_read_only(&args.store)?
    } else {
        args.key.open(&args.store)?
    };
    let ended = start(args, store.clone()).and_then(|session| {
        let (volume, directory) = (&args.volume, session.directory().display().to_string());
        let how = if session.is_read_only() { " for reading only" } else { "" };
        say([format!(
            "{}: volume `{volume}` is mounted on {directory}{how}; an interrupt unmounts it",
            args.store
        )])?;
        interrupts.unmount_by(session.unmounter());
        session.wait().with_context(|| args.store.to_string())
    });
    let closed = args.store.closed(store.close(), "the changes");
    ended.and(closed)
}

fn start(args: &MountArgs, store: AnyStore) -> Result<Session> {
    let volumes = Volumes::new(store.clone());
    let explained = |error| explain(&args.store, &volumes, error);
    let image = args.image.read()?.of(&args.store, &volumes, &args.volume)?;
    match (volumes.info(&args.volume), &image) {
        // Opening it makes it.
        (Err(VolumesError::Missing { .. }), Some(_)) if !args.is_read_only() => {}
        (Err(VolumesError::Missing { .. }), None) if !args.is_read_only() => {
            volumes.create(&args.volume).map_err(explained)?;
        }
        (info, _) => info.map(drop).map_err(explained)?,
    }
    let options = MountOptions {
        read_only: args.is_read_only(),
        name: format!("kvfs:{}", args.volume),
        file_mode: args.file_mode,
        directory_mode: args.directory_mode,
        allow_other: args.lets_others_in(),
        tell: Box::new(|text: &str| warn(text)),
        ..MountOptions::default()
    };
    let (volume, read_only) = (args.volume.clone(), args.is_read_only());
    let session = mount_on(&args.directory, options, move || -> Result<Volume> {
        let options = Options { volume, mode: Mode::Close, ..Options::default() };
        Ok(match (read_only, image) {
            (true, image) => Volume::open_read_only(Box::new(EngineStore(store)), image, options)?,
            (false, Some(image)) => Volumes::new(store).open_overlay(options, image)?,
            (false, None) => Volumes::new(store).open(options)?,
        })
    });
    session.with_context(|| args.store.to_string())
}
