//! `bench directory FILES RANDOM`: one directory of FILES small files, listed and looked up whole,
//! and RANDOM of them at random.

use super::timing::{Name, Scattered, measure, measure_all};
use super::{flags, open};
use crate::wasi::{Context, Descriptor, DescriptorFlags, ErrorCode, OpenFlags, PathFlags, stream_error};

/// Small enough to lie beside the file's attributes, as most files of a large directory could.
pub(super) const CONTENT: &[u8] = &[b'x'; 100];

pub(super) fn run(root: &Descriptor, files: u64, random: u64) -> Result<(), String> {
    let dir = create(root, files)?;
    measure_all("readdir, per entry", files, || list(&dir, files, |_| Ok(())))?;
    measure_all("readdir + stat of each, per entry", files, || list(&dir, files, |name| stat(&dir, name)))?;
    let mut name = Name::new("file");
    measure("stat in order", files, |i| stat(&dir, name.of(i as u64)))?;
    let mut scattered = Scattered::new();
    measure("stat at random", random, |_| stat(&dir, name.of(scattered.below(files))))?;
    let mut missing = Name::new("none");
    measure("missing name", random, |_| {
        match dir.stat_at(PathFlags::empty(), missing.of(scattered.below(files))) {
            Err(ErrorCode::NoEntry) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })?;
    measure("open + read 100 B + close at random", random, |_| read(&dir, name.of(scattered.below(files))))?;
    let mut moved = Name::new("moved");
    let renamed = random.min(files);
    measure("rename", renamed, |i| {
        dir.rename_at(name.of(i as u64), &dir, moved.of(i as u64)).context("rename-at")
    })?;
    measure("unlink", files, |i| {
        let i = i as u64;
        dir.unlink_file_at(if i < renamed { moved.of(i) } else { name.of(i) }).context("unlink-file-at")
    })?;
    drop(dir);
    root.remove_directory_at("directory").context("rmdir directory")
}

/// Makes the directory and its files.
pub(super) fn create(root: &Descriptor, files: u64) -> Result<Descriptor, String> {
    root.create_directory_at("directory").context("mkdir directory")?;
    let dir = open(root, "directory", OpenFlags::DIRECTORY, flags::DIRECTORY)?;
    let mut name = Name::new("file");
    measure("create + write 100 B + close", files, |i| {
        let create = OpenFlags::CREATE | OpenFlags::EXCLUSIVE;
        let file = open(&dir, name.of(i as u64), create, DescriptorFlags::WRITE)?;
        let stream = file.write_via_stream(0).context("write-via-stream")?;
        stream.blocking_write_and_flush(CONTENT).map_err(stream_error)
    })?;
    Ok(dir)
}

/// Lists a directory and passes each name on.
pub(super) fn list(
    dir: &Descriptor,
    files: u64,
    mut each: impl FnMut(&str) -> Result<(), String>,
) -> Result<(), String> {
    let mut entries = 0;
    let listing = dir.read_directory().context("read-directory")?;
    while let Some(entry) = listing.read_directory_entry().context("read-directory-entry")? {
        each(&entry.name)?;
        entries += 1;
    }
    if entries == files { Ok(()) } else { Err(format!("found {entries} of {files}")) }
}

pub(super) fn stat(dir: &Descriptor, name: &str) -> Result<(), String> {
    let stat = dir.stat_at(PathFlags::empty(), name).context("stat-at")?;
    if stat.size == CONTENT.len() as u64 { Ok(()) } else { Err(format!("{name}: size {}", stat.size)) }
}

pub(super) fn read(dir: &Descriptor, name: &str) -> Result<(), String> {
    let file = open(dir, name, OpenFlags::empty(), DescriptorFlags::READ)?;
    let stream = file.read_via_stream(0).context("read-via-stream")?;
    let bytes = stream.blocking_read(4096).map_err(stream_error)?;
    if bytes == CONTENT { Ok(()) } else { Err(format!("{name}: {} bytes", bytes.len())) }
}
