//! Many lines for standard output, written some at a time.

use crate::terminal::Output;
use anyhow::{Context, Result};
use kvfs_compose::Visible;
use std::fmt::Display;
use std::io::{ErrorKind, Write};
use std::ops::ControlFlow;

/// Bytes that are written at once.
const WRITTEN_BYTES: usize = 64 << 10;

/// Lines for standard output. What a terminal acts on is escaped. [`ControlFlow::Break`] tells that nobody
/// reads any more.
#[derive(Default)]
pub(crate) struct Lines(Vec<u8>);

impl Lines {
    /// Adds a line.
    pub(crate) fn line(&mut self, line: impl Display) -> Result<ControlFlow<()>> {
        writeln!(self.0, "{}", Visible(line))?;
        self.some()
    }

    /// Adds a line whose names are escaped already, and may be in colours.
    pub(crate) fn shown(&mut self, line: &str) -> Result<ControlFlow<()>> {
        self.0.extend_from_slice(line.as_bytes());
        self.0.push(b'\n');
        self.some()
    }

    /// Adds a line of a number, a tab and a text without one.
    pub(crate) fn counted(&mut self, number: impl Display, text: impl Display) -> Result<ControlFlow<()>> {
        writeln!(self.0, "{number}\t{}", Visible(text))?;
        self.some()
    }

    /// Adds a text as it is, for programs, with a zero byte behind it.
    pub(crate) fn null_ended(&mut self, text: &str) -> Result<ControlFlow<()>> {
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(0);
        self.some()
    }

    /// Writes what was added.
    pub(crate) fn flush(&mut self) -> Result<ControlFlow<()>> {
        match Output.write_all(&std::mem::take(&mut self.0)) {
            Ok(()) => Ok(ControlFlow::Continue(())),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(ControlFlow::Break(())),
            Err(error) => Err(error).context("cannot write to standard output"),
        }
    }

    fn some(&mut self) -> Result<ControlFlow<()>> {
        if self.0.len() < WRITTEN_BYTES { Ok(ControlFlow::Continue(())) } else { self.flush() }
    }
}
