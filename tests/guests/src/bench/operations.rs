//! `bench operations FILES`: each operation on small files and on one file of 4 MiB, all of them in
//! the cache.

use super::timing::{KIB, measure, measure_all};
use super::{flags, open};
use crate::wasi::{Context, Descriptor, DescriptorFlags, ErrorCode, OpenFlags, PathFlags, stream_error};

/// The size of the file for streams and positioned calls.
const BIG_FILE_BYTES: u64 = 4 << 20;

pub(super) fn run(root: &Descriptor, files: u64) -> Result<(), String> {
    root.create_directory_at("bench").context("mkdir bench")?;
    let dir = open(root, "bench", OpenFlags::DIRECTORY, flags::DIRECTORY)?;
    small_files(&dir, files)?;
    big_file(&dir)?;
    remove_small_files(&dir, files)?;
    directories(&dir, files)?;
    root.remove_directory_at("bench").context("rmdir bench")
}

fn small_files(dir: &Descriptor, files: u64) -> Result<(), String> {
    let names: Vec<String> = (0..files).map(|i| format!("file-{i:05}")).collect();
    let missing: Vec<String> = (0..files).map(|i| format!("none-{i:05}")).collect();
    let content = vec![b'x'; KIB];

    measure("create + write 1 KiB + close", files, |i| {
        let flags = OpenFlags::CREATE | OpenFlags::EXCLUSIVE;
        let file = open(dir, &names[i], flags, DescriptorFlags::WRITE)?;
        let stream = file.write_via_stream(0).context("write-via-stream")?;
        stream.blocking_write_and_flush(&content).map_err(stream_error)
    })?;
    measure("stat", files, |i| {
        let stat = dir.stat_at(PathFlags::empty(), &names[i]).context("stat-at")?;
        if stat.size == KIB as u64 { Ok(()) } else { Err(format!("size {}", stat.size)) }
    })?;
    measure("missing name", files, |i| match dir.stat_at(PathFlags::empty(), &missing[i]) {
        Err(ErrorCode::NoEntry) => Ok(()),
        other => Err(format!("missing name: {other:?}")),
    })?;
    measure("missing name, asked again", files, |i| match dir.stat_at(PathFlags::empty(), &missing[i]) {
        Err(ErrorCode::NoEntry) => Ok(()),
        other => Err(format!("missing name: {other:?}")),
    })?;
    measure("open + read 1 KiB + close", files, |i| {
        let file = open(dir, &names[i], OpenFlags::empty(), DescriptorFlags::READ)?;
        let stream = file.read_via_stream(0).context("read-via-stream")?;
        let bytes = stream.blocking_read(4 * KIB as u64).map_err(stream_error)?;
        if bytes.len() == KIB { Ok(()) } else { Err(format!("read {} bytes", bytes.len())) }
    })?;

    measure_all("readdir, per entry", files, || {
        let mut entries = 0;
        let listing = dir.read_directory().context("read-directory")?;
        while listing.read_directory_entry().context("read-directory-entry")?.is_some() {
            entries += 1;
        }
        if entries == files { Ok(()) } else { Err(format!("found {entries} of {files}")) }
    })
}

fn big_file(dir: &Descriptor) -> Result<(), String> {
    let flags = DescriptorFlags::READ | DescriptorFlags::WRITE;
    let file = open(dir, "big", OpenFlags::CREATE, flags)?;
    let small = vec![b'y'; 4 * KIB];
    let large = vec![b'z'; 64 * KIB];
    let small_count = BIG_FILE_BYTES / small.len() as u64;
    let large_count = BIG_FILE_BYTES / large.len() as u64;
    // Far apart, so that neither side can guess the next offset. 389 and the count have no common
    // factor.
    let scattered = |i: usize| (i as u64 * 389 % small_count) * small.len() as u64;

    let stream = file.write_via_stream(0).context("write-via-stream")?;
    measure("4 KiB stream write", small_count, |_| {
        stream.blocking_write_and_flush(&small).map_err(stream_error)
    })?;
    drop(stream);
    let in_order = |i: usize| (i * small.len()) as u64;
    let read = |offset: u64| {
        let (bytes, _) = file.read(small.len() as u64, offset).context("read")?;
        if bytes.len() == small.len() { Ok(()) } else { Err(format!("pread got {} bytes", bytes.len())) }
    };
    let write = |offset: u64| {
        let written = file.write(&small, offset).context("write")?;
        if written == small.len() as u64 { Ok(()) } else { Err(format!("pwrite wrote {written} bytes")) }
    };
    measure("4 KiB pread", small_count, |i| read(in_order(i)))?;
    measure("4 KiB pread, scattered", small_count, |i| read(scattered(i)))?;
    measure("4 KiB pwrite", small_count, |i| write(in_order(i)))?;
    measure("4 KiB pwrite, scattered", small_count, |i| write(scattered(i)))?;
    measure("64 KiB write", large_count, |i| {
        let (mut done, offset) = (0, (i * large.len()) as u64);
        while done < large.len() {
            let written = file.write(&large[done..], offset + done as u64).context("write")?;
            if written == 0 {
                return Err("write took nothing".to_owned());
            }
            done += written as usize;
        }
        Ok(())
    })?;
    let stream = file.read_via_stream(0).context("read-via-stream")?;
    measure("64 KiB stream read", large_count, |_| {
        let mut missing = large.len() as u64;
        while missing > 0 {
            let bytes = stream.blocking_read(missing).map_err(stream_error)?;
            missing -= bytes.len() as u64;
        }
        Ok(())
    })?;
    drop(stream);
    // Syncs what earlier steps left unsynced, so that it does not count here.
    file.sync().context("sync")?;
    measure("4 KiB pwrite + fsync", 200, |i| {
        write(scattered(i))?;
        file.sync().context("sync")
    })?;
    drop(file);
    dir.unlink_file_at("big").context("unlink big")
}

fn remove_small_files(dir: &Descriptor, files: u64) -> Result<(), String> {
    let old: Vec<String> = (0..files).map(|i| format!("file-{i:05}")).collect();
    let new: Vec<String> = (0..files).map(|i| format!("moved-{i:05}")).collect();
    measure("rename", files, |i| dir.rename_at(&old[i], dir, &new[i]).context("rename-at"))?;
    measure("unlink", files, |i| dir.unlink_file_at(&new[i]).context("unlink-file-at"))
}

fn directories(dir: &Descriptor, count: u64) -> Result<(), String> {
    let names: Vec<String> = (0..count).map(|i| format!("dir-{i:05}")).collect();
    measure("mkdir", count, |i| dir.create_directory_at(&names[i]).context("create-directory-at"))?;
    measure("rmdir", count, |i| dir.remove_directory_at(&names[i]).context("remove-directory-at"))
}
