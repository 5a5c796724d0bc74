//! `bench fill FILES BYTES` makes a directory and a file; `bench cold FILES BYTES RANDOM`, in a
//! process of its own, uses them for the first time.

use super::directory::{create, list, read, stat};
use super::timing::{MIB, Name, PAGE_BYTES, Scattered, measure, measure_all, pread, pwrite};
use super::{flags, open};
use crate::wasi::{Context, Descriptor, DescriptorFlags, OpenFlags};

const FILL: u8 = b'c';

pub(super) fn fill(root: &Descriptor, files: u64, bytes: u64) -> Result<(), String> {
    create(root, files)?;
    let file = open(root, "file", OpenFlags::CREATE, flags::READ_WRITE)?;
    let large = vec![FILL; MIB];
    for mib in 0..bytes / MIB as u64 {
        pwrite(&file, &large, mib * MIB as u64)?;
    }
    file.sync().context("sync")
}

pub(super) fn run(root: &Descriptor, files: u64, bytes: u64, random: u64) -> Result<(), String> {
    let mut name = Name::new("file");
    let mut dir = None;
    measure("first open of the directory", 1, |_| {
        dir = Some(open(root, "directory", OpenFlags::DIRECTORY, flags::DIRECTORY)?);
        Ok(())
    })?;
    let dir = dir.ok_or("the directory is not open")?;
    measure("first stat", 1, |_| stat(&dir, name.of(files / 2)))?;
    measure("first open + read 100 B + close", 1, |_| read(&dir, name.of(files / 3)))?;
    let mut scattered = Scattered::new();
    measure("stat at random", random, |_| stat(&dir, name.of(scattered.below(files))))?;
    measure_all("readdir, per entry", files, || list(&dir, files, |_| Ok(())))?;
    let file = open(root, "file", OpenFlags::empty(), DescriptorFlags::READ)?;
    let pages = bytes / PAGE_BYTES as u64;
    measure("first 4 KiB pread", 1, |_| pread(&file, PAGE_BYTES as u64, 0, FILL))?;
    measure("4 KiB pread at random", random, |_| {
        pread(&file, PAGE_BYTES as u64, scattered.below(pages) * PAGE_BYTES as u64, FILL)
    })?;
    let mib = bytes / MIB as u64;
    measure("read, per MiB", mib, |i| pread(&file, MIB as u64, (i * MIB) as u64, FILL))
}
