//! `kvfs inspect`.

use super::{Busy, read, say};
use anyhow::{Context, Result};
use kvfs_compose::Visible;
use std::path::Path;

pub(crate) fn inspect(path: &Path) -> Result<()> {
    let bytes = read(path)?;
    let busy = Busy::new("validating");
    let found = kvfs_compose::inspect(&bytes).with_context(|| path.display().to_string())?;
    drop(busy);
    say(format!("{}: {found}", Visible(path.display())).lines())
}
