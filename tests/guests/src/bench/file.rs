//! `bench file BYTES RANDOM`: one file of whole MiB, written, read and copied in order, and RANDOM
//! pages of it at random.

use super::timing::{KIB, MIB, PAGE_BYTES, Scattered, measure, measure_all, pread, pwrite};
use super::{flags, open};
use crate::wasi::{Context, Descriptor, DescriptorFlags, OpenFlags, stream_error};

const PIECE_BYTES: u64 = 64 * KIB as u64;
const FILL: u8 = b'z';

pub(super) fn run(root: &Descriptor, bytes: u64, random: u64) -> Result<(), String> {
    let mib = bytes / MIB as u64;
    let file = open(root, "file", OpenFlags::CREATE, flags::READ_WRITE)?;
    let large = vec![FILL; MIB];
    let in_order = |i: usize| (i * MIB) as u64;
    measure("write, per MiB", mib, |i| pwrite(&file, &large, in_order(i)))?;
    measure_all("fsync after it, per MiB", mib, || file.sync().context("sync"))?;
    measure("read, per MiB", mib, |i| pread(&file, MIB as u64, in_order(i), FILL))?;
    measure_all("stream read by 64 KiB, per MiB", mib, || stream_read(&file, bytes))?;
    measure_all("copy by 64 KiB streams, per MiB", mib, || copy(root, &file, bytes))?;
    root.unlink_file_at("copy").context("unlink copy")?;
    random_pages(&file, bytes, random)?;
    drop(file);
    measure("unlink", 1, |_| root.unlink_file_at("file").context("unlink file"))
}

/// Reads and writes pages at random.
fn random_pages(file: &Descriptor, bytes: u64, random: u64) -> Result<(), String> {
    let pages = bytes / PAGE_BYTES as u64;
    let page = [FILL; PAGE_BYTES];
    let mut scattered = Scattered::new();
    measure("4 KiB pread at random", random, |_| {
        pread(file, PAGE_BYTES as u64, scattered.below(pages) * PAGE_BYTES as u64, FILL)
    })?;
    let mut scattered = Scattered::new();
    measure("4 KiB pwrite at random", random, |_| {
        pwrite(file, &page, scattered.below(pages) * PAGE_BYTES as u64)
    })?;
    measure_all("fsync after them, per write", random, || file.sync().context("sync"))
}

fn stream_read(file: &Descriptor, bytes: u64) -> Result<(), String> {
    let stream = file.read_via_stream(0).context("read-via-stream")?;
    let mut missing = bytes;
    while missing > 0 {
        let piece = stream.blocking_read(PIECE_BYTES.min(missing)).map_err(stream_error)?;
        missing -= piece.len() as u64;
    }
    Ok(())
}

/// Copies as a libc does: bytes read by one stream go to the other, which is flushed at the end.
fn copy(root: &Descriptor, file: &Descriptor, bytes: u64) -> Result<(), String> {
    let copy = open(root, "copy", OpenFlags::CREATE, DescriptorFlags::WRITE)?;
    let from = file.read_via_stream(0).context("read-via-stream")?;
    let to = copy.write_via_stream(0).context("write-via-stream")?;
    let mut missing = bytes;
    while missing > 0 {
        let piece = from.blocking_read(PIECE_BYTES.min(missing)).map_err(stream_error)?;
        let mut rest = &piece[..];
        while !rest.is_empty() {
            let room = to.check_write().map_err(stream_error)? as usize;
            if room == 0 {
                to.blocking_flush().map_err(stream_error)?;
                continue;
            }
            let (now, later) = rest.split_at(room.min(rest.len()));
            to.write(now).map_err(stream_error)?;
            rest = later;
        }
        missing -= piece.len() as u64;
    }
    to.blocking_flush().map_err(stream_error)
}
