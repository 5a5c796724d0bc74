//! The kernel's requests, each passed to the volume's thread with the reply to be filled there.

use crate::attributes::Changes;
use crate::data::MAX_REQUEST_BYTES;
use crate::directories::PlusPage;
use crate::errno::Failure;
use crate::state::State;
use crate::worker::{Job, Jobs};
use fuser::{
    BsdFileFlags, Errno, FileAttr, FileHandle, Filesystem, FopenFlags, Generation, INodeNo, InitFlags,
    IoctlFlags, KernelConfig, LockOwner, OpenAccMode, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate,
    ReplyData, ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty, ReplyEntry, ReplyIoctl, ReplyLseek, ReplyOpen,
    ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use kvfs::Access;
use rustix::fs::OFlags;
use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// A volume never gives an inode number out twice.
const GENERATION: Generation = Generation(0);

/// Passes requests on.
#[derive(Debug)]
pub(crate) struct Requests(pub(crate) Jobs);

impl Requests {
    /// Passes a request on. If the thread has ended, the reply is dropped, which answers `EIO`.
    fn pass(&self, call: impl FnOnce(&mut State) + Send + 'static) {
        let _ = self.0.send(Job::Call(Box::new(call)));
    }

    fn pass_empty(
        &self,
        reply: ReplyEmpty,
        call: impl FnOnce(&mut State) -> Result<(), Failure> + Send + 'static,
    ) {
        self.pass(move |state| match call(state) {
            Ok(()) => reply.ok(),
            Err(failure) => reply.error(state.failed(&failure)),
        });
    }

    fn pass_entry(
        &self,
        reply: ReplyEntry,
        call: impl FnOnce(&mut State) -> Result<FileAttr, Failure> + Send + 'static,
    ) {
        self.pass(move |state| match call(state) {
            Ok(attributes) => {
                let (names, attributes_ttl) = (state.names_ttl(), state.attributes_ttl());
                reply.entry_with_ttls(&attributes_ttl, &names, &attributes, GENERATION);
            }
            Err(failure) => reply.error(state.failed(&failure)),
        });
    }

    fn pass_attributes(
        &self,
        reply: ReplyAttr,
        call: impl FnOnce(&mut State) -> Result<FileAttr, Failure> + Send + 'static,
    ) {
        self.pass(move |state| match call(state) {
            Ok(attributes) => reply.attr(&state.attributes_ttl(), &attributes),
            Err(failure) => reply.error(state.failed(&failure)),
        });
    }
}

/// The access that a program opens a file with. Reading is always open: the kernel checks it, and reads
/// pages for writes.
fn access(flags: OpenFlags) -> Access {
    let write = flags.acc_mode() != OpenAccMode::O_RDONLY;
    let sync = write && of(flags).contains(OFlags::DSYNC);
    Access { read: true, write, mutate_directory: true, sync }
}

fn of(flags: OpenFlags) -> OFlags {
    OFlags::from_bits_retain(flags.0.cast_unsigned())
}

impl Filesystem for Requests {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        let wanted = [
            // Opening with `O_TRUNC` is one request, so that a cut leaves the old file or the new one.
            InitFlags::FUSE_ATOMIC_O_TRUNC,
            InitFlags::FUSE_CACHE_SYMLINKS,
            InitFlags::FUSE_DO_READDIRPLUS,
            InitFlags::FUSE_READDIRPLUS_AUTO,
        ];
        for capability in wanted {
            // An older kernel does without it.
            let _ = config.add_capabilities(capability);
        }
        // The largest that is taken is no smaller.
        let _ = config.set_max_write(MAX_REQUEST_BYTES);
        Ok(())
    }

    fn destroy(&mut self) {
        let _ = self.0.send(Job::End);
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let name = name.to_owned();
        self.pass(move |state| {
            let (names, attributes_ttl) = (state.names_ttl(), state.attributes_ttl());
            match state.lookup(parent, &name) {
                Ok(Some(attributes)) => {
                    reply.entry_with_ttls(&attributes_ttl, &names, &attributes, GENERATION);
                }
                Ok(None) if names.is_zero() => reply.error(Errno::ENOENT),
                // The kernel remembers that there is nothing.
                Ok(None) => reply.entry_with_ttls(&attributes_ttl, &names, &NOTHING, GENERATION),
                Err(failure) => reply.error(state.failed(&failure)),
            }
        });
    }

    fn forget(&self, _: &Request, ino: INodeNo, count: u64) {
        self.pass(move |state| state.forget(ino, count));
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        self.pass_attributes(reply, move |state| state.getattr(ino));
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        _mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        size: Option<u64>,
        atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        handle: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let changes = Changes { size, atime, mtime };
        self.pass_attributes(reply, move |state| state.setattr(ino, handle, changes));
    }

    fn readlink(&self, _: &Request, ino: INodeNo, reply: ReplyData) {
        self.pass(move |state| match state.readlink(ino) {
            Ok(target) => reply.data(target.as_bytes()),
            Err(failure) => reply.error(state.failed(&failure)),
        });
    }

    fn mknod(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        _rdev: u32,
        reply: ReplyEntry,
    ) {
        let name = name.to_owned();
        self.pass_entry(reply, move |state| state.mknod(parent, &name, mode));
    }

    fn mkdir(&self, _: &Request, parent: INodeNo, name: &OsStr, _: u32, _: u32, reply: ReplyEntry) {
        let name = name.to_owned();
        self.pass_entry(reply, move |state| state.mkdir(parent, &name));
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let name = name.to_owned();
        self.pass_empty(reply, move |state| state.unlink(parent, &name));
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let name = name.to_owned();
        self.pass_empty(reply, move |state| state.rmdir(parent, &name));
    }

    fn symlink(&self, _: &Request, parent: INodeNo, name: &OsStr, target: &Path, reply: ReplyEntry) {
        let (name, target) = (name.to_owned(), target.as_os_str().to_owned());
        self.pass_entry(reply, move |state| state.symlink(parent, &name, &target));
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let (name, new_name) = (name.to_owned(), new_name.to_owned());
        self.pass_empty(reply, move |state| state.rename((parent, &name), (new_parent, &new_name), flags));
    }

    fn link(&self, _: &Request, ino: INodeNo, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let name = name.to_owned();
        self.pass_entry(reply, move |state| state.link(ino, parent, &name));
    }

    fn open(&self, _: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        self.pass(move |state| match state.open(ino, access(flags), of(flags).contains(OFlags::TRUNC)) {
            Ok(handle) => reply.opened(handle, state.open_flags()),
            Err(failure) => reply.error(state.failed(&failure)),
        });
    }

    fn create(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        _mode: u32,
        _umask: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        let name = name.to_owned();
        let flags = OpenFlags(flags);
        let how = kvfs::OpenFlags {
            create: true,
            directory: false,
            exclusive: of(flags).contains(OFlags::EXCL),
            truncate: of(flags).contains(OFlags::TRUNC),
        };
        self.pass(move |state| match state.create(parent, &name, (how, access(flags))) {
            Ok((attributes, handle)) => {
                // Names and attributes have one time here: the shorter.
                let ttl = state.names_ttl().min(state.attributes_ttl());
                reply.created(&ttl, &attributes, GENERATION, handle, state.open_flags());
            }
            Err(failure) => reply.error(state.failed(&failure)),
        });
    }

    fn read(
        &self,
        _: &Request,
        _ino: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        self.pass(move |state| match state.read(handle, offset, size) {
            Ok(()) => reply.data(&state.buffer),
            Err(failure) => reply.error(state.failed(&failure)),
        });
    }

    fn write(
        &self,
        _: &Request,
        _ino: INodeNo,
        handle: FileHandle,
        offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let data = data.to_vec();
        self.pass(move |state| match state.write(handle, offset, &data) {
            Ok(written) => reply.written(written),
            Err(failure) => reply.error(state.failed(&failure)),
        });
    }

    fn flush(&self, _: &Request, _: INodeNo, handle: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        self.pass_empty(reply, move |state| state.flush(handle));
    }

    fn release(
        &self,
        _: &Request,
        _ino: INodeNo,
        handle: FileHandle,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        self.pass(move |state| {
            state.release(handle);
            reply.ok();
        });
    }

    fn fsync(&self, _: &Request, _: INodeNo, _: FileHandle, _datasync: bool, reply: ReplyEmpty) {
        self.pass_empty(reply, State::sync);
    }

    fn opendir(&self, _: &Request, ino: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        self.pass(move |state| match state.opendir(ino) {
            Ok(handle) => reply.opened(handle, FopenFlags::empty()),
            Err(failure) => reply.error(state.failed(&failure)),
        });
    }

    fn readdir(&self, _: &Request, _: INodeNo, handle: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        self.pass(move |state| match state.readdir(handle, offset, &mut reply) {
            Ok(()) => reply.ok(),
            Err(failure) => reply.error(state.failed(&failure)),
        });
    }

    fn readdirplus(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        reply: ReplyDirectoryPlus,
    ) {
        self.pass(move |state| {
            let mut page = PlusPage(reply, state.names_ttl().min(state.attributes_ttl()));
            match state.readdir(handle, offset, &mut page) {
                Ok(()) => page.0.ok(),
                Err(failure) => page.0.error(state.failed(&failure)),
            }
        });
    }

    fn releasedir(&self, _: &Request, _: INodeNo, handle: FileHandle, _: OpenFlags, reply: ReplyEmpty) {
        self.pass(move |state| {
            state.releasedir(handle);
            reply.ok();
        });
    }

    fn fsyncdir(&self, _: &Request, _: INodeNo, _: FileHandle, _datasync: bool, reply: ReplyEmpty) {
        self.pass_empty(reply, State::sync);
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        self.pass(move |state| {
            let room = state.statfs();
            reply.statfs(
                room.blocks,
                room.free_blocks,
                room.free_blocks,
                room.inodes,
                room.free_inodes,
                room.block_bytes,
                room.name_bytes,
                room.block_bytes,
            );
        });
    }

    fn lseek(
        &self,
        _: &Request,
        _ino: INodeNo,
        handle: FileHandle,
        offset: i64,
        whence: i32,
        reply: ReplyLseek,
    ) {
        self.pass(move |state| match state.seek(handle, offset, whence) {
            Ok(found) => reply.offset(found),
            Err(failure) => reply.error(state.failed(&failure)),
        });
    }

    fn ioctl(
        &self,
        _: &Request,
        _ino: INodeNo,
        _handle: FileHandle,
        _flags: IoctlFlags,
        _command: u32,
        _input: &[u8],
        _output_size: u32,
        reply: ReplyIoctl,
    ) {
        // `ENOTTY` is what a program expects that asks a file whether it is a terminal.
        reply.error(Errno::ENOTTY);
    }
}

/// Inode number 0 in an answer to a lookup: there is nothing of this name.
const NOTHING: FileAttr = FileAttr {
    ino: INodeNo(0),
    size: 0,
    blocks: 0,
    atime: UNIX_EPOCH,
    mtime: UNIX_EPOCH,
    ctime: UNIX_EPOCH,
    crtime: UNIX_EPOCH,
    kind: fuser::FileType::RegularFile,
    perm: 0,
    nlink: 0,
    uid: 0,
    gid: 0,
    rdev: 0,
    blksize: 0,
    flags: 0,
};
