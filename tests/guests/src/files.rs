//! Steps that many programs share.

use crate::say::{Bytes, Shown, must, say};
use crate::wasi::bindings::wasi::filesystem::types::{DescriptorStat, DirectoryEntry};
use crate::wasi::{Descriptor, DescriptorFlags, ErrorCode, InputStream, OpenFlags, PathFlags, StreamError};

pub(crate) const READ: DescriptorFlags = DescriptorFlags::READ;
pub(crate) const WRITE: DescriptorFlags = DescriptorFlags::WRITE;
pub(crate) const READ_WRITE: DescriptorFlags = READ.union(WRITE);
pub(crate) const MUTATE: DescriptorFlags = DescriptorFlags::MUTATE_DIRECTORY;

pub(crate) const PLAIN: OpenFlags = OpenFlags::empty();
pub(crate) const CREATE: OpenFlags = OpenFlags::CREATE;
pub(crate) const EXCLUSIVE: OpenFlags = CREATE.union(OpenFlags::EXCLUSIVE);
pub(crate) const TRUNCATE: OpenFlags = OpenFlags::TRUNCATE;
pub(crate) const DIRECTORY: OpenFlags = OpenFlags::DIRECTORY;

pub(crate) const NO_FOLLOW: PathFlags = PathFlags::empty();
pub(crate) const FOLLOW: PathFlags = PathFlags::SYMLINK_FOLLOW;

/// Opens without following a final symbolic link.
pub(crate) fn open(
    base: &Descriptor,
    path: &str,
    how: OpenFlags,
    flags: DescriptorFlags,
) -> Result<Descriptor, ErrorCode> {
    base.open_at(NO_FOLLOW, path, how, flags)
}

/// Makes a file with the given bytes and returns it open for reading and writing.
pub(crate) fn file(base: &Descriptor, path: &str, bytes: &[u8]) -> Descriptor {
    let file = must(path, open(base, path, EXCLUSIVE, READ_WRITE));
    let mut at = 0;
    while at < bytes.len() {
        at += must(path, file.write(&bytes[at..], at as u64)) as usize;
    }
    file
}

/// Makes a directory and opens it for changes.
pub(crate) fn directory(base: &Descriptor, path: &str) -> Descriptor {
    must(path, base.create_directory_at(path));
    must(path, open(base, path, DIRECTORY, READ | MUTATE))
}

pub(crate) fn symlink(base: &Descriptor, target: &str, path: &str) {
    must(path, base.symlink_at(target, path));
}

/// Reads all bytes of an open file.
pub(crate) fn bytes_of(file: &Descriptor) -> Result<Bytes, ErrorCode> {
    let mut all = Vec::new();
    loop {
        let (bytes, _) = file.read(1 << 16, all.len() as u64)?;
        if bytes.is_empty() {
            return Ok(Bytes(all));
        }
        all.extend(bytes);
    }
}

/// Reads all bytes of the file at a path, following symbolic links.
pub(crate) fn bytes_at(base: &Descriptor, path: &str) -> Result<Bytes, ErrorCode> {
    bytes_of(&base.open_at(FOLLOW, path, PLAIN, READ)?)
}

/// Prints type, link count and size. Of a directory it prints only the type: file systems differ in
/// the rest.
pub(crate) fn say_stat(label: &str, stat: Result<DescriptorStat, ErrorCode>) {
    say(
        label,
        stat.map(|stat| match stat.type_.shown().as_str() {
            "DescriptorType::Directory" => "directory".to_owned(),
            kind => format!("{kind}, {} names, {} bytes", stat.link_count, stat.size),
        }),
    );
}

/// Lists a directory, sorted by name.
pub(crate) fn list(directory: &Descriptor) -> Result<Vec<DirectoryEntry>, ErrorCode> {
    let stream = directory.read_directory()?;
    let mut entries = Vec::new();
    while let Some(entry) = stream.read_directory_entry()? {
        entries.push(entry);
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

/// Waits until there is something to read, then reads it without waiting.
pub(crate) fn read_ready(stream: &InputStream, length: u64) -> Result<Bytes, StreamError> {
    stream.subscribe().block();
    stream.read(length).map(Bytes)
}
