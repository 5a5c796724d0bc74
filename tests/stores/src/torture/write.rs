//! Writes a history: the part of a process that is killed.

use std::io::{self, Write};
use std::ops::RangeInclusive;
use std::path::Path;

use anyhow::Result;

use crate::content::History;
use crate::{Kind, Tuning};

/// Writes the applies `numbers` of a history, and each one's number to `acknowledged` once the
/// store has acknowledged it.
pub(super) fn write(
    kind: Kind,
    dir: &Path,
    tuning: Tuning,
    history: &History,
    numbers: RangeInclusive<u64>,
    mut acknowledged: impl Write,
) -> Result<()> {
    let store = kind.open(dir, tuning)?;
    for number in numbers {
        let level = History::level(number);
        history.mutations(number, |mutations| store.apply(&[], mutations, level))?;
        acknowledged.write_all(&number.to_le_bytes())?;
        acknowledged.flush()?;
    }
    store.close()?;
    Ok(())
}

/// Reads what [`write`] acknowledged, until the process ends. `heard` is told each number.
pub(super) fn acknowledged(
    mut from: impl io::Read,
    mut heard: impl FnMut(u64) -> io::Result<()>,
) -> io::Result<()> {
    let mut number = [0; 8];
    loop {
        match from.read_exact(&mut number) {
            Ok(()) => heard(u64::from_le_bytes(number))?,
            // A kill can cut the last number.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}
