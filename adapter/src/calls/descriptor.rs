//! Descriptors.

use super::{InputNode, ListingNode, Node, OutputNode};
use crate::adapter::Adapter;
use crate::audit::{self, Opened, Told};
use crate::bindings::exports::wasi::filesystem::types::{
    Advice, Descriptor as DescriptorResource, DescriptorBorrow, DescriptorFlags, DescriptorStat,
    DescriptorType, DirectoryEntryStream as StreamResource, ErrorBorrow, ErrorCode, Filesize, Guest,
    GuestDescriptor, InputStream, MetadataHashValue, NewTimestamp, OpenFlags, OutputStream, PathFlags,
};
use crate::codes::to_code;
use crate::errors::StreamFailure;
use crate::root::{Root, failure_code};
use kvfs_audit::Line;

type WasiResult<T> = Result<T, ErrorCode>;

impl Guest for Adapter {
    type Descriptor = Node;
    type DirectoryEntryStream = ListingNode;

    fn filesystem_error_code(err: ErrorBorrow<'_>) -> Option<ErrorCode> {
        failure_code(err.get::<StreamFailure>())
    }
}

/// The name of a call, and whether it is a change.
type Op = (&'static str, bool);

/// Calls that change nothing.
const fn look(name: &'static str) -> Op {
    (name, false)
}

const fn change(name: &'static str) -> Op {
    (name, true)
}

/// Adds nothing to an event.
fn plain<T>(_: &mut Line<'_>, _: Option<&T>) {}

fn size(line: &mut Line<'_>, stat: Option<&DescriptorStat>) {
    if let Some(stat) = stat {
        line.number("size", stat.size);
    }
}

impl Node {
    /// The preopened root.
    pub(crate) fn root() -> Self {
        Self { own: Root::root(), seen: Opened::root() }
    }

    /// Makes a call, with a path from here or an empty one.
    #[inline(always)]
    fn call<T>(
        &self,
        op: Op,
        path: &str,
        call: impl FnOnce(&Root) -> WasiResult<T>,
        more: impl FnMut(&mut Line<'_>, Option<&T>),
    ) -> WasiResult<T> {
        // One copy of the call: it is inlined.
        let outcome = match self.permitted(op) {
            Ok(()) => call(&self.own),
            Err(code) => Err(code),
        };
        if let Some(seen) = &self.seen {
            seen.tell(op, path, &outcome, more);
        }
        outcome
    }

    /// Refuses changes that a required log could not tell of.
    #[inline(always)]
    pub(crate) fn permitted(&self, (_, is_change): Op) -> WasiResult<()> {
        if is_change && self.seen.is_some() { refused() } else { Ok(()) }
    }

    /// Gives a new stream to the log. `offset` is that of its first byte.
    fn output(
        &self,
        stream: WasiResult<OutputStream>,
        op: Op,
        offset: Option<u64>,
    ) -> WasiResult<OutputStream> {
        let Some(seen) = &self.seen else { return stream };
        let stream = stream.map(|mut stream| {
            stream.get_mut::<OutputNode>().seen = seen.flow(offset);
            stream
        });
        seen.tell(op, "", &stream, |line, _| {
            offset.into_iter().for_each(|offset| line.number("offset", offset))
        });
        stream
    }

    /// Writes a read or a write at an offset.
    #[inline(always)]
    pub(crate) fn moved<T>(
        &self,
        (op, is_change): Op,
        offset: Filesize,
        call: impl FnOnce(&Root) -> WasiResult<T>,
        bytes: impl FnOnce(&T) -> u64,
    ) -> WasiResult<T> {
        let outcome = match self.permitted((op, is_change)) {
            Ok(()) => call(&self.own),
            Err(code) => Err(code),
        };
        if let Some(seen) = &self.seen {
            let moved = outcome.as_ref().map(bytes).map_err(|code| *code);
            seen.transfer(op, is_change, offset, moved);
        }
        outcome
    }
}

#[inline(never)]
fn refused() -> WasiResult<()> {
    audit::refusal().map_or(Ok(()), |error| Err(to_code(&error)))
}

/// Names what a file is opened for.
fn opening(
    path_flags: PathFlags,
    open_flags: OpenFlags,
    flags: DescriptorFlags,
) -> impl Iterator<Item = &'static str> {
    let sync = DescriptorFlags::FILE_INTEGRITY_SYNC
        | DescriptorFlags::DATA_INTEGRITY_SYNC
        | DescriptorFlags::REQUESTED_WRITE_SYNC;
    let words = [
        ("read", flags.contains(DescriptorFlags::READ)),
        ("write", flags.contains(DescriptorFlags::WRITE)),
        ("mutate-directory", flags.contains(DescriptorFlags::MUTATE_DIRECTORY)),
        ("sync", flags.intersects(sync)),
        ("create", open_flags.contains(OpenFlags::CREATE)),
        ("exclusive", open_flags.contains(OpenFlags::EXCLUSIVE)),
        ("truncate", open_flags.contains(OpenFlags::TRUNCATE)),
        ("directory", open_flags.contains(OpenFlags::DIRECTORY)),
        ("symlink-follow", path_flags.contains(PathFlags::SYMLINK_FOLLOW)),
    ];
    words.into_iter().filter(|(_, is_set)| *is_set).map(|(word, _)| word)
}

#[inline(never)]
fn times(line: &mut Line<'_>, times: [(&'static str, NewTimestamp); 2]) {
    for (key, time) in times {
        match time {
            NewTimestamp::NoChange => {}
            NewTimestamp::Now => line.text(key, "now"),
            NewTimestamp::Timestamp(at) => line.number(key, at.seconds),
        }
    }
}

impl GuestDescriptor for Node {
    fn read_via_stream(&self, offset: Filesize) -> WasiResult<InputStream> {
        let stream = self.own.read_via_stream(offset);
        let Some(seen) = &self.seen else { return stream };
        let stream = stream.map(|mut stream| {
            stream.get_mut::<InputNode>().seen = seen.flow(Some(offset));
            stream
        });
        seen.tell(look("read-via-stream"), "", &stream, |line, _| line.number("offset", offset));
        stream
    }

    fn write_via_stream(&self, offset: Filesize) -> WasiResult<OutputStream> {
        self.output(self.own.write_via_stream(offset), look("write-via-stream"), Some(offset))
    }

    fn append_via_stream(&self) -> WasiResult<OutputStream> {
        self.output(self.own.append_via_stream(), look("append-via-stream"), None)
    }

    fn advise(&self, offset: Filesize, length: Filesize, advice: Advice) -> WasiResult<()> {
        self.call(look("advise"), "", |own| own.advise(offset, length, advice), plain)
    }

    fn sync_data(&self) -> WasiResult<()> {
        self.call(look("sync-data"), "", Root::sync_data, plain)
    }

    fn get_flags(&self) -> WasiResult<DescriptorFlags> {
        self.call(look("get-flags"), "", Root::get_flags, plain)
    }

    fn get_type(&self) -> WasiResult<DescriptorType> {
        self.call(look("get-type"), "", Root::get_type, plain)
    }

    fn set_size(&self, size: Filesize) -> WasiResult<()> {
        self.call(change("set-size"), "", |own| own.set_size(size), |line, _| line.number("size", size))
    }

    fn set_times(&self, atime: NewTimestamp, mtime: NewTimestamp) -> WasiResult<()> {
        self.call(
            change("set-times"),
            "",
            |own| own.set_times(atime, mtime),
            |line, _| times(line, [("atime", atime), ("mtime", mtime)]),
        )
    }

    fn read(&self, length: Filesize, offset: Filesize) -> WasiResult<(Vec<u8>, bool)> {
        self.moved(look("read"), offset, |own| own.read(length, offset), |(bytes, _)| bytes.len() as u64)
    }

    fn write(&self, buffer: Vec<u8>, offset: Filesize) -> WasiResult<Filesize> {
        self.moved(change("write"), offset, |own| own.write(&buffer, offset), |bytes| *bytes)
    }

    fn read_directory(&self) -> WasiResult<StreamResource> {
        let Some(seen) = &self.seen else { return self.own.list().map(Told::new).map(StreamResource::new) };
        // The listing has one event, at its end.
        let listing = self.own.list();
        if listing.is_err() {
            seen.tell(look("read-directory"), "", &listing, plain);
        }
        listing.map(|own| StreamResource::new(Told { own, seen: Some(seen.listed()) }))
    }

    fn sync(&self) -> WasiResult<()> {
        self.call(look("sync"), "", Root::sync, plain)
    }

    fn create_directory_at(&self, path: String) -> WasiResult<()> {
        self.call(change("create-directory-at"), &path, |own| own.create_directory_at(&path), plain)
    }

    fn stat(&self) -> WasiResult<DescriptorStat> {
        self.call(look("stat"), "", Root::stat, size)
    }

    fn stat_at(&self, path_flags: PathFlags, path: String) -> WasiResult<DescriptorStat> {
        self.call(look("stat-at"), &path, |own| own.stat_at(path_flags, &path), size)
    }

    fn set_times_at(
        &self,
        path_flags: PathFlags,
        path: String,
        atime: NewTimestamp,
        mtime: NewTimestamp,
    ) -> WasiResult<()> {
        self.call(
            change("set-times-at"),
            &path,
            |own| own.set_times_at(path_flags, &path, atime, mtime),
            |line, _| times(line, [("atime", atime), ("mtime", mtime)]),
        )
    }

    fn link_at(
        &self,
        old_path_flags: PathFlags,
        old_path: String,
        new_descriptor: DescriptorBorrow<'_>,
        new_path: String,
    ) -> WasiResult<()> {
        let new = new_descriptor.get::<Self>();
        self.call(
            change("link-at"),
            &old_path,
            |own| own.link(old_path_flags, &old_path, &new.own, &new_path),
            |line, _| new.write_second(line, &new_path),
        )
    }

    fn open_at(
        &self,
        path_flags: PathFlags,
        path: String,
        open_flags: OpenFlags,
        flags: DescriptorFlags,
    ) -> WasiResult<DescriptorResource> {
        let is_for_changes = flags.contains(DescriptorFlags::WRITE)
            || open_flags.intersects(OpenFlags::CREATE | OpenFlags::TRUNCATE);
        let op = ("open-at", is_for_changes);
        let opened = match self.permitted(op) {
            Ok(()) => self.own.open(path_flags, &path, open_flags, flags),
            Err(code) => Err(code),
        };
        let Some(seen) = &self.seen else { return opened.map(|own| DescriptorResource::new(Told::new(own))) };
        let opened = opened.map(|own| Self { own, seen: Some(seen.open(&path, is_for_changes)) });
        seen.tell(op, &path, &opened, |line, opened| {
            line.words("flags", opening(path_flags, open_flags, flags));
            if let Some(Told { seen: Some(opened), .. }) = opened {
                line.number("opened", opened.number());
            }
        });
        opened.map(DescriptorResource::new)
    }

    fn readlink_at(&self, path: String) -> WasiResult<String> {
        self.call(
            look("readlink-at"),
            &path,
            |own| own.readlink_at(&path),
            |line, target| target.into_iter().for_each(|target| audit::text(line, "target", target)),
        )
    }

    fn remove_directory_at(&self, path: String) -> WasiResult<()> {
        self.call(change("remove-directory-at"), &path, |own| own.remove_directory_at(&path), plain)
    }

    fn rename_at(
        &self,
        old_path: String,
        new_descriptor: DescriptorBorrow<'_>,
        new_path: String,
    ) -> WasiResult<()> {
        let new = new_descriptor.get::<Self>();
        self.call(
            change("rename-at"),
            &old_path,
            |own| own.rename(&old_path, &new.own, &new_path),
            |line, _| new.write_second(line, &new_path),
        )
    }

    fn symlink_at(&self, old_path: String, new_path: String) -> WasiResult<()> {
        self.call(
            change("symlink-at"),
            &new_path,
            |own| own.symlink_at(&old_path, &new_path),
            |line, _| audit::text(line, "target", &old_path),
        )
    }

    fn unlink_file_at(&self, path: String) -> WasiResult<()> {
        self.call(change("unlink-file-at"), &path, |own| own.unlink_file_at(&path), plain)
    }

    fn is_same_object(&self, other: DescriptorBorrow<'_>) -> bool {
        let other = other.get::<Self>();
        let is_same = self.own.is_same(&other.own);
        if let Some(seen) = &self.seen {
            seen.tell(look("is-same-object"), "", &Ok(is_same), |line, _| other.write_second(line, ""));
        }
        is_same
    }

    fn metadata_hash(&self) -> WasiResult<MetadataHashValue> {
        self.call(look("metadata-hash"), "", Root::metadata_hash, plain)
    }

    fn metadata_hash_at(&self, path_flags: PathFlags, path: String) -> WasiResult<MetadataHashValue> {
        self.call(look("metadata-hash-at"), &path, |own| own.metadata_hash_at(path_flags, &path), plain)
    }
}

impl Node {
    /// Adds the second path of a call, which starts here.
    fn write_second(&self, line: &mut Line<'_>, path: &str) {
        if let Some(seen) = &self.seen {
            seen.write_second(line, path);
        }
    }
}
