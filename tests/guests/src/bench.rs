//! `bench FILES`: the cost of each operation, timed inside the guest so that its start does not
//! count.
//!
//! Prints one line per operation: name, tab, number of operations, tab, nanoseconds for all of
//! them.

use crate::wasi::{
    Context, Descriptor, DescriptorFlags, ErrorCode, OpenFlags, PathFlags, now_nanoseconds, print, root,
    stream_error,
};

const KIB: usize = 1024;
/// The size of the file for streams and positioned calls.
const BIG_FILE_BYTES: u64 = 4 << 20;

pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    let files: u64 = match arguments.first() {
        Some(number) => number.parse().map_err(|_| format!("not a number: {number}"))?,
        None => 2000,
    };
    let root = root()?;
    root.create_directory_at("bench").context("mkdir bench")?;
    let flags = DescriptorFlags::READ | DescriptorFlags::MUTATE_DIRECTORY;
    let dir = open(&root, "bench", OpenFlags::DIRECTORY, flags)?;
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

    let start = now_nanoseconds();
    let mut entries = 0;
    let listing = dir.read_directory().context("read-directory")?;
    while listing.read_directory_entry().context("read-directory-entry")?.is_some() {
        entries += 1;
    }
    report("readdir, per entry", entries, now_nanoseconds() - start)?;
    if entries == files { Ok(()) } else { Err(format!("readdir found {entries} of {files}")) }
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

fn open(dir: &Descriptor, name: &str, open: OpenFlags, flags: DescriptorFlags) -> Result<Descriptor, String> {
    dir.open_at(PathFlags::empty(), name, open, flags).context("open-at")
}

fn measure(
    name: &str,
    count: u64,
    mut operation: impl FnMut(usize) -> Result<(), String>,
) -> Result<(), String> {
    let start = now_nanoseconds();
    for i in 0..count as usize {
        operation(i).map_err(|error| format!("{name}, operation {i}: {error}"))?;
    }
    report(name, count, now_nanoseconds() - start)
}

fn report(name: &str, count: u64, nanoseconds: u64) -> Result<(), String> {
    print(&format!("{name}\t{count}\t{nanoseconds}\n"))
}
