//! Guests, joined with the file system for each way, as files that the processes read.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use kvfs_compose::{Audit, AuditLevel, Compose, Link, Mode, Provider};
use kvfs_tests::guests;

use crate::way::{Files, Inside, Join, Way};
use crate::workload::Guest;

/// Makes each component when it is first asked for.
pub(crate) struct Components<'d> {
    dir: &'d Path,
}

impl<'d> Components<'d> {
    /// Keeps components in a directory.
    pub(crate) fn new(dir: &'d Path) -> Self {
        Self { dir }
    }

    /// Returns the file of a guest that nothing is joined with.
    ///
    /// # Errors
    /// The guest does not build: run `make setup`.
    pub(crate) fn bare(&self, guest: Guest) -> Result<PathBuf> {
        self.file(&format!("{guest}.wasm"), || bytes_of(guest))
    }

    /// Returns the file of a guest for a way; none for a way without a guest.
    ///
    /// # Errors
    /// The guest does not build, or is not joined.
    pub(crate) fn of(&self, guest: Guest, way: &Way) -> Result<Option<PathBuf>> {
        let build = |compose: fn(Compose<'_>) -> Compose<'_>| self.joined(guest, way, compose).map(Some);
        match way.files {
            Files::Native(_) => Ok(None),
            Files::Host(_) | Files::Library(_) => self.bare(guest).map(Some),
            Files::Store(Join::Composed, _) => build(|compose| compose.link(Link::Component)),
            Files::Store(Join::Linked | Join::Snapshots, _) => build(|compose| compose.link(Link::Core)),
            Files::Store(Join::Lazy, _) => build(|compose| compose.link(Link::Core).mode(Mode::Lazy)),
            Files::Store(Join::Audited, _) => {
                build(|compose| compose.link(Link::Core).audit(Audit::new(AuditLevel::All)))
            }
            Files::Provider(link, inside, mode) => self
                .joined(guest, way, |compose| {
                    let compose = compose.link(link).provider(provider(inside));
                    if let Some(mode) = mode { compose.mode(mode) } else { compose }
                })
                .map(Some),
        }
    }

    fn joined(
        &self,
        guest: Guest,
        way: &Way,
        join: impl FnOnce(Compose<'_>) -> Compose<'_>,
    ) -> Result<PathBuf> {
        let name = match way.files {
            // One for all stores.
            Files::Store(Join::Snapshots, _) => format!("{guest}-{:?}.wasm", Join::Linked),
            Files::Store(how, _) => format!("{guest}-{how:?}.wasm"),
            _ => format!("{guest}-{}.wasm", way.name.replace('/', "-")),
        };
        self.file(&name, || {
            let bare = bytes_of(guest)?;
            let composed = join(Compose::new(&bare)).build().context("joining the guest")?;
            match composed.report.not_linked {
                Some(reason) => bail!("the guest is not linked: {reason}"),
                None => Ok(composed.bytes),
            }
        })
    }

    fn file(&self, name: &str, make: impl FnOnce() -> Result<Vec<u8>>) -> Result<PathBuf> {
        let path = self.dir.join(name);
        if !path.exists() {
            let bytes = make().with_context(|| format!("making {name}"))?;
            fs::write(&path, bytes).with_context(|| path.display().to_string())?;
        }
        Ok(path)
    }
}

fn bytes_of(guest: Guest) -> Result<Vec<u8>> {
    match guest {
        Guest::Rust => Ok(guests::rust()?.to_vec()),
        Guest::Python => Ok(fs::read(guests::python()?)?),
    }
}

fn provider(inside: Inside) -> Provider {
    match inside {
        Inside::Memory => Provider::Memory { size_bytes: None },
        Inside::File => Provider::File { path: None, accept_loss: false },
        Inside::Bucket => Provider::Keyvalue { bucket: None },
    }
}
