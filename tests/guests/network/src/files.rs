//! The file steps that all programs share.

use crate::bindings::wasi::filesystem::preopens::get_directories;
use crate::bindings::wasi::filesystem::types::{Descriptor, DescriptorFlags, OpenFlags, PathFlags};
use crate::bindings::wasi::io::streams::{InputStream, OutputStream, StreamError};
use crate::{Outcome, Step};

/// The number of bytes that one splice asks for.
const PIECE_BYTES: u64 = 64 << 10;

/// Makes an empty file, or opens an existing one unchanged.
pub(crate) fn open(path: &str) -> Outcome<Descriptor> {
    let (root, _) = get_directories().into_iter().next().ok_or("no preopen")?;
    let flags = DescriptorFlags::READ | DescriptorFlags::WRITE;
    root.open_at(PathFlags::empty(), path, OpenFlags::CREATE, flags).step(path)
}

/// Makes a file whose bytes differ from position to position.
pub(crate) fn make(path: &str, size: usize) -> Outcome<Descriptor> {
    let file = open(path)?;
    let bytes: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
    let mut done = 0;
    while done < bytes.len() {
        let end = bytes.len().min(done + (64 << 10));
        done += file.write(&bytes[done..end], done as u64).step("write")? as usize;
    }
    Ok(file)
}

/// Reads all bytes of an open file.
pub(crate) fn bytes_of(file: &Descriptor) -> Outcome<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        let (bytes, _) = file.read(1 << 16, all.len() as u64).step("read")?;
        if bytes.is_empty() {
            return Ok(all);
        }
        all.extend(bytes);
    }
}

/// Returns a file's size in bytes and its checksum (FNV-1a).
pub(crate) fn sum_of(file: &Descriptor) -> Outcome<(usize, String)> {
    let bytes = bytes_of(file)?;
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325, step);
    Ok((bytes.len(), format!("{hash:016x}")))
}

/// Why a stream ended early.
pub(crate) enum Cut {
    /// The output takes no more.
    Closed,
    /// An operation failed.
    Failed(crate::bindings::wasi::io::error::Error),
}

/// Splices until the input ends; returns the bytes copied, and what cut it short, if anything did.
pub(crate) fn splice_all(from: &InputStream, to: &OutputStream) -> (u64, Option<Cut>) {
    let mut moved = 0;
    loop {
        match to.blocking_splice(from, PIECE_BYTES) {
            Ok(count) => moved += count,
            // Either stream may be closed; the input is asked whether it is the one.
            Err(StreamError::Closed) => match from.read(1) {
                Err(StreamError::Closed) => return (moved, None),
                _ => return (moved, Some(Cut::Closed)),
            },
            Err(StreamError::LastOperationFailed(error)) => return (moved, Some(Cut::Failed(error))),
        }
        if let Err(StreamError::LastOperationFailed(error)) = to.blocking_flush() {
            return (moved, Some(Cut::Failed(error)));
        }
    }
}

/// Copies a stream into a file, from its start, and returns the number of bytes.
pub(crate) fn keep(from: &InputStream, file: &Descriptor) -> Outcome<u64> {
    let to = file.write_via_stream(0).step("write-via-stream")?;
    whole(splice_all(from, &to))
}

/// Copies a file to a stream and returns the number of bytes.
pub(crate) fn send(file: &Descriptor, to: &OutputStream) -> Outcome<u64> {
    let from = file.read_via_stream(0).step("read-via-stream")?;
    whole(splice_all(&from, to))
}

fn whole((moved, cut): (u64, Option<Cut>)) -> Outcome<u64> {
    match cut {
        None => Ok(moved),
        Some(Cut::Closed) => Err(format!("closed after {moved} bytes")),
        Some(Cut::Failed(error)) => Err(format!("after {moved} bytes: {}", error.to_debug_string())),
    }
}
