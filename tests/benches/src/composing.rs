//! What joining CPython with the file system costs, each time in a process of its own, so that the
//! peak of its memory is that of joining.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args;
use kvfs_compose::Link;
use kvfs_tests::guests;

use crate::memory;
use crate::results::Composing;

const HOW: [(&str, Link); 2] = [("composing", Link::Component), ("linking", Link::Core)];

/// What the process that joins is told.
#[derive(Args, Clone, Debug)]
pub struct Joining {
    /// The guest.
    guest: PathBuf,
    /// How.
    how: String,
}

impl Joining {
    /// Joins the guest and prints the result as JSON.
    ///
    /// # Errors
    /// The guest cannot be read or joined.
    pub fn run(&self) -> Result<()> {
        let (name, link) = HOW.iter().find(|(name, _)| *name == self.how).context("no such way to join")?;
        let guest = std::fs::read(&self.guest).with_context(|| self.guest.display().to_string())?;
        let start = Instant::now();
        let joined = guests::joined(&guest, *link)?;
        let told = Composing {
            name: (*name).to_owned(),
            ms: start.elapsed().as_micros() as f64 / 1e3,
            bytes_in: guest.len() as u64,
            bytes_out: joined.len() as u64,
            peak_bytes: memory::peak_bytes(),
        };
        println!("{}", serde_json::to_string(&told)?);
        Ok(())
    }
}

/// Joins a guest in both ways.
///
/// # Errors
/// The child's own words.
pub(crate) fn measure(exe: &Path, guest: &Path) -> Result<Vec<Composing>> {
    let measure = |(name, _): (&str, Link)| {
        let output = Command::new(exe).arg("join").arg(guest).arg(name).output()?;
        if !output.status.success() {
            bail!("{name}: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        serde_json::from_slice(&output.stdout).with_context(|| format!("{name}: reading what it cost"))
    };
    HOW.into_iter().map(measure).collect()
}
