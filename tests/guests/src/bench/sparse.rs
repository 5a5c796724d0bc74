//! `bench sparse BYTES RANDOM`: a file of holes, in which RANDOM pages are written and read again.

use super::timing::{PAGE_BYTES, Scattered, measure, measure_all, pread, pwrite};
use super::{flags, open};
use crate::wasi::{Context, Descriptor, OpenFlags};

const PAGE: [u8; PAGE_BYTES] = [b's'; PAGE_BYTES];

pub(super) fn run(root: &Descriptor, bytes: u64, random: u64) -> Result<(), String> {
    let file = open(root, "sparse", OpenFlags::CREATE, flags::READ_WRITE)?;
    file.set_size(bytes).context("set-size")?;
    let pages = bytes / PAGE_BYTES as u64;
    let mut scattered = Scattered::new();
    measure("4 KiB pwrite into holes", random, |_| {
        pwrite(&file, &PAGE, scattered.below(pages) * PAGE_BYTES as u64)
    })?;
    measure_all("fsync after them, per write", random, || file.sync().context("sync"))?;
    let mut scattered = Scattered::new();
    measure("4 KiB pread of what was written", random, |_| {
        pread(&file, PAGE_BYTES as u64, scattered.below(pages) * PAGE_BYTES as u64, PAGE[0])
    })?;
    measure("4 KiB pread of holes, mostly", random, |_| {
        let (read, _) =
            file.read(PAGE_BYTES as u64, scattered.below(pages) * PAGE_BYTES as u64).context("read")?;
        if read.len() == PAGE_BYTES { Ok(()) } else { Err(format!("read {} bytes", read.len())) }
    })?;
    drop(file);
    measure("unlink", 1, |_| root.unlink_file_at("sparse").context("unlink sparse"))
}
