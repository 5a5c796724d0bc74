//! Streams. Those that are no file's have no log.

use super::{InputNode, OutputNode};
use crate::adapter::Adapter;
use crate::audit::{self, Flow};
use crate::bindings::exports::wasi::filesystem::types::ErrorCode;
use crate::bindings::exports::wasi::io::poll::Pollable;
use crate::bindings::exports::wasi::io::streams::{
    Guest, GuestInputStream, GuestOutputStream, InputStreamBorrow, StreamError,
};
use crate::errors::StreamFailure;
use crate::root::failure_code;

impl Guest for Adapter {
    type InputStream = InputNode;
    type OutputStream = OutputNode;
}

type StreamResult<T> = Result<T, StreamError>;

fn result_of<T>(outcome: &StreamResult<T>) -> &'static str {
    match outcome {
        Ok(_) => "ok",
        Err(StreamError::Closed) => "closed",
        Err(StreamError::LastOperationFailed(error)) => {
            failure_code(error.get::<StreamFailure>()).unwrap_or(ErrorCode::Io).name()
        }
    }
}

/// Writes a read that moved so many bytes.
pub(super) fn tell_read<T>(
    seen: &Flow,
    op: &'static str,
    outcome: &StreamResult<T>,
    bytes: impl FnOnce(&T) -> u64,
) {
    seen.transfer(op, false, outcome.as_ref().map_or(0, bytes), result_of(outcome));
}

/// Refuses changes that a required log could not tell of.
fn refused() -> StreamResult<()> {
    match audit::refusal() {
        Some(error) => Err(StreamError::LastOperationFailed(StreamFailure::ours(error))),
        None => Ok(()),
    }
}

/// As [`refused`], with an event.
#[inline(never)]
fn tell_refusal(seen: &Flow, op: &'static str) -> StreamResult<()> {
    let outcome = refused();
    if outcome.is_err() {
        seen.transfer(op, true, 0, result_of(&outcome));
    }
    outcome
}

impl InputNode {
    #[inline(always)]
    pub(crate) fn reading<T>(
        &self,
        op: &'static str,
        outcome: StreamResult<T>,
        bytes: impl FnOnce(&T) -> u64,
    ) -> StreamResult<T> {
        if let Some(seen) = &self.seen {
            tell_read(seen, op, &outcome, bytes);
        }
        outcome
    }
}

impl GuestInputStream for InputNode {
    fn read(&self, len: u64) -> StreamResult<Vec<u8>> {
        self.reading("read", self.own.read_some(len, false), |bytes| bytes.len() as u64)
    }

    fn blocking_read(&self, len: u64) -> StreamResult<Vec<u8>> {
        self.reading("read", self.own.read_some(len, true), |bytes| bytes.len() as u64)
    }

    fn skip(&self, len: u64) -> StreamResult<u64> {
        self.reading("skip", self.own.skip_some(len, false), |bytes| *bytes)
    }

    fn blocking_skip(&self, len: u64) -> StreamResult<u64> {
        self.reading("skip", self.own.skip_some(len, true), |bytes| *bytes)
    }

    fn subscribe(&self) -> Pollable {
        self.own.subscribe()
    }
}

impl OutputNode {
    /// Writes so many bytes, or a part of them before a failure.
    #[inline(always)]
    pub(crate) fn writing(
        &self,
        op: &'static str,
        length: u64,
        write: impl FnOnce() -> StreamResult<()>,
    ) -> StreamResult<()> {
        let before = match &self.seen {
            Some(seen) => {
                tell_refusal(seen, op)?;
                self.own.written_bytes()
            }
            None => None,
        };
        let outcome = write();
        if let Some(seen) = &self.seen {
            let written = match (before, self.own.written_bytes()) {
                (Some(before), Some(after)) => after.saturating_sub(before),
                _ if outcome.is_ok() => length,
                // Of a failure of the host, nobody knows.
                _ => 0,
            };
            seen.transfer(op, true, written, result_of(&outcome));
        }
        outcome
    }

    /// Refuses to write if a required log could not tell of it.
    #[cfg(not(feature = "host-mounts"))]
    pub(crate) fn permitted(&self) -> StreamResult<()> {
        if self.seen.is_some() { refused() } else { Ok(()) }
    }

    fn splice_from(&self, source: InputStreamBorrow<'_>, len: u64, wait: bool) -> StreamResult<u64> {
        let source = source.get::<InputNode>();
        if let Some(seen) = &self.seen {
            tell_refusal(seen, "write")?;
        }
        let outcome = self.own.splice_some(&source.own, len, wait);
        if let Some(seen) = &source.seen {
            tell_read(seen, "read", &outcome, |bytes| *bytes);
        }
        if let Some(seen) = &self.seen {
            seen.transfer("write", true, *outcome.as_ref().unwrap_or(&0), result_of(&outcome));
        }
        outcome
    }
}

impl GuestOutputStream for OutputNode {
    fn check_write(&self) -> StreamResult<u64> {
        self.own.check_write()
    }

    fn write(&self, contents: Vec<u8>) -> StreamResult<()> {
        self.writing("write", contents.len() as u64, || self.own.write(&contents))
    }

    fn blocking_write_and_flush(&self, contents: Vec<u8>) -> StreamResult<()> {
        self.writing("write", contents.len() as u64, || self.own.blocking_write_and_flush(&contents))
    }

    fn flush(&self) -> StreamResult<()> {
        self.own.flush()
    }

    fn blocking_flush(&self) -> StreamResult<()> {
        self.own.blocking_flush()
    }

    fn subscribe(&self) -> Pollable {
        self.own.subscribe()
    }

    fn write_zeroes(&self, len: u64) -> StreamResult<()> {
        self.writing("write-zeroes", len, || self.own.write_zeroes(len))
    }

    fn blocking_write_zeroes_and_flush(&self, len: u64) -> StreamResult<()> {
        self.writing("write-zeroes", len, || self.own.blocking_write_zeroes_and_flush(len))
    }

    fn splice(&self, src: InputStreamBorrow<'_>, len: u64) -> StreamResult<u64> {
        self.splice_from(src, len, false)
    }

    fn blocking_splice(&self, src: InputStreamBorrow<'_>, len: u64) -> StreamResult<u64> {
        self.splice_from(src, len, true)
    }
}
