//! A fork of a volume, for one run of a guest.

use super::args::RunArgs;
use crate::mounted::MountedVolume;
use crate::store_url::StoreUrl;
use crate::terminal::{one_line, warn, warn_with};
use crate::volume_error::explain;
use anyhow::{Context, Result, bail};
use kvfs::image::Image;
use kvfs::volumes::{Doing, Outcome};
use kvfs_host::{Aliased, AnyStore, Volumes, VolumesError};
use std::time::{SystemTime, UNIX_EPOCH};

/// The longest part of a volume's name in that of its fork.
const MAX_NAMED_BYTES: usize = 200;

/// Records that are freed after a run at most. The next one, or `kvfs volume gc`, frees the rest.
const MAX_FREED_RECORDS: u64 = 100_000;

/// Conflicts that are told at the end of a run at most; `kvfs volume merge --dry-run` lists all of them.
const MAX_TOLD_CONFLICTS: usize = 20;

/// A fork in the place of a volume that the guest mounts.
pub(super) struct Fork {
    volumes: Volumes<AnyStore>,
    name: String,
    /// The name that the guest knows.
    shown: String,
    keep: bool,
    /// The volume that it is to be merged into, and the image below both.
    merge: Option<(String, Option<Image>)>,
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
        let image =
            mounted.iter().find(|volume| volume.name == shown).and_then(|volume| volume.image.clone());
        let merge = args.merge.then(|| (of.clone(), image));
        Ok(Some(Self { volumes, name, shown, keep: args.keep.is_some(), merge }))
    }

    /// The store in which the guest finds the fork under the name that it knows.
    pub(super) fn view(&self, store: AnyStore) -> Result<Aliased<AnyStore>> {
        Aliased::new(store, &self.name, &self.shown).context("a name is too long")
    }

    /// Merges the fork, if that is asked for and the guest `succeeded`, and removes it, unless it is kept.
    /// Returns whether all is done that was asked for.
    pub(super) fn end(mut self, store: &StoreUrl, succeeded: bool) -> bool {
        let merged = match self.merge.take() {
            None => true,
            Some((into, _)) if !succeeded => {
                warn(format_args!(
                    "the guest failed, so its changes are not merged into `{into}`; they are in the volume `{}`",
                    self.name
                ));
                false
            }
            Some((into, image)) => self.merge_into(store, &into, image.as_ref()),
        };
        self.keep |= !merged;
        self.remove();
        merged
    }

    fn merge_into(&self, store: &StoreUrl, into: &str, image: Option<&Image>) -> bool {
        let name = &self.name;
        match self.volumes.merge(name, into, image, Doing::Merge, |_| None) {
            Ok(Outcome::Merged(_)) => true,
            Ok(Outcome::Conflicts(conflicts)) => {
                let told = conflicts.iter().take(MAX_TOLD_CONFLICTS);
                let more = conflicts.len().saturating_sub(MAX_TOLD_CONFLICTS);
                warn_with(
                    format_args!(
                        "nothing is merged into `{into}`: both it and the guest have changed the same; the guest's \
                         changes are in the volume `{name}`, and `kvfs volume merge` with --ours or --theirs \
                         merges them"
                    ),
                    told.map(|conflict| format!("{}  {}", conflict.kind.word(), conflict.path))
                        .chain((more > 0).then(|| format!("and {more} more"))),
                );
                false
            }
            Err(error) => {
                let error = explain(store, &self.volumes, error);
                warn(format_args!(
                    "the guest's changes are not merged into `{into}`: {}; they are in the volume `{name}`",
                    one_line(&format!("{error:#}"))
                ));
                false
            }
        }
    }

    /// Removes the fork, unless it is kept.
    fn remove(self) {
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
