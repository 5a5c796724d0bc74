//! A fork of a volume, for one run of a guest.

use super::args::RunArgs;
use crate::mounted::MountedVolume;
use crate::terminal::{one_line, warn};
use crate::volume_error::explain;
use anyhow::{Context, Result, bail};
use kvfs_host::{Aliased, AnyStore, Volumes, VolumesError};
use std::time::{SystemTime, UNIX_EPOCH};

/// The longest part of a volume's name in that of its fork.
const MAX_NAMED_BYTES: usize = 200;

/// Records that are freed after a run at most. The next one, or `kvfs volume gc`, frees the rest.
const MAX_FREED_RECORDS: u64 = 100_000;

/// A fork in the place of a volume that the guest mounts.
pub(super) struct Fork {
    volumes: Volumes<AnyStore>,
    name: String,
    /// The name that the guest knows.
    shown: String,
    keep: bool,
}

impl Fork {
    /// Makes the fork that the arguments ask for, if they do.
    pub(super) fn make(args: &RunArgs, mounted: &[MountedVolume], store: &AnyStore) -> Result<Option<Self>> {
        let Some(of) = &args.fork_of else { return Ok(None) };
        let shown = match mounted {
            [] => {
                bail!("it mounts no volume of the store, whose place a fork could take; leave --fork-of out")
            }
            [only] => only.name.clone(),
            all if all.iter().any(|volume| volume.name == *of) => of.clone(),
            all => {
                let names: Vec<&str> = all.iter().map(|volume| volume.name.as_str()).collect();
                bail!(
                    "it mounts several volumes, and none is `{of}`; --fork-of takes one of {}",
                    names.join(", ")
                )
            }
        };
        let volumes = Volumes::new(store.clone());
        let name = args.keep.clone().unwrap_or_else(|| name_for_run(of));
        volumes.fork(of, &name).map_err(|error| explain(&args.store, &volumes, error))?;
        Ok(Some(Self { volumes, name, shown, keep: args.keep.is_some() }))
    }

    /// The store in which the guest finds the fork under the name that it knows.
    pub(super) fn view(&self, store: AnyStore) -> Result<Aliased<AnyStore>> {
        Aliased::new(store, &self.name, &self.shown).context("a name is too long")
    }

    /// Removes the fork, unless it is kept.
    pub(super) fn end(self) {
        let removed = || -> Result<(), VolumesError> {
            self.volumes.remove(&self.name)?;
            self.volumes.collect(MAX_FREED_RECORDS).map(drop)
        };
        if !self.keep
            && let Err(error) = removed()
        {
            warn(format_args!(
                "the fork `{}` is not removed whole: {}; `kvfs volume rm` removes it, and `kvfs volume gc` frees \
                 what is left",
                self.name,
                one_line(&error.to_string())
            ));
        }
    }
}

/// The name of a fork that is to go: it tells where it came from.
fn name_for_run(of: &str) -> String {
    let mut end = of.len().min(MAX_NAMED_BYTES);
    while !of.is_char_boundary(end) {
        end -= 1;
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{}.run-{}-{:x}", &of[..end], std::process::id(), now.as_nanos())
}
