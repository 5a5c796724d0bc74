//! A preopened directory of the host.

use crate::wasi::bindings::wasi::filesystem::preopens::get_directories;
use crate::wasi::bindings::wasi::filesystem::types as wit;
use crate::wasi::bindings::wasi::random::random::get_random_bytes;
use kvfs_file_store::{Directory, File, IoError, IoKind, Listed, Status};
use std::sync::Arc;

#[allow(missing_docs, unsafe_code, unreachable_pub, clippy::all)]
mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit",
        world: "kvfs:adapter/file-provider",
        generate_all,
    });
}

/// How often the directory is listed because an entry was removed meanwhile. Other programs remove
/// only what they no longer need, so this ends soon.
const MAX_LISTINGS: u32 = 64;

/// Bytes asked for at a time. The host may give fewer.
const READ_BYTES: usize = 1 << 20;

/// Most calls in the first wait for another program that was faster; each further one may be twice as
/// long.
const MIN_PAUSE_CALLS: u64 = 32;
const MAX_PAUSE_DOUBLINGS: u32 = 9;

#[derive(Clone, Debug)]
pub(crate) struct WasiDirectory(Arc<wit::Descriptor>);

impl WasiDirectory {
    /// Finds the directory that the host preopens under a name.
    pub(crate) fn find(path: &str) -> Option<Self> {
        let (root, _) = get_directories().into_iter().find(|(_, name)| name == path)?;
        Some(Self(Arc::new(root)))
    }

    /// Asks the directory, or the same directory opened in itself: the shim of jco lists and syncs
    /// no preopen, but does so for what is opened in it.
    fn ask<T>(&self, ask: impl Fn(&wit::Descriptor) -> Result<T, wit::ErrorCode>) -> Result<T, IoError> {
        ask(&self.0)
            .or_else(|first| {
                let (how, flags) = (wit::OpenFlags::DIRECTORY, wit::DescriptorFlags::READ);
                let opened = self.0.open_at(wit::PathFlags::empty(), ".", how, flags);
                opened.and_then(|opened| ask(&opened)).map_err(|_| first)
            })
            .map_err(to_error)
    }

    fn open_at(
        &self,
        name: &str,
        how: wit::OpenFlags,
        flags: wit::DescriptorFlags,
    ) -> Result<WasiFile, IoError> {
        self.0.open_at(wit::PathFlags::empty(), name, how, flags).map(WasiFile).map_err(to_error)
    }

    /// Lists all entries.
    ///
    /// A host that looks at each entry, as wasmtime does, fails if another program removes one
    /// meanwhile.
    fn list_once(&self) -> Result<Vec<Listed>, IoError> {
        use wit::DescriptorType as Type;
        let entries = self.ask(wit::Descriptor::read_directory)?;
        let mut listed = Vec::new();
        while let Some(entry) = entries.read_directory_entry().map_err(to_error)? {
            // Opening a link, or an entry of unknown type, finds out what it is.
            let is_file = matches!(entry.type_, Type::RegularFile | Type::SymbolicLink | Type::Unknown);
            listed.push(Listed { name: entry.name, is_file });
        }
        Ok(listed)
    }
}

impl Directory for WasiDirectory {
    type File = WasiFile;

    fn list(&self) -> Result<Vec<Listed>, IoError> {
        for _ in 1..MAX_LISTINGS {
            match self.list_once() {
                Err(error) if error.kind == IoKind::NotFound => {}
                listed => return listed,
            }
        }
        self.list_once()
    }

    fn create(&self, name: &str) -> Result<WasiFile, IoError> {
        let how = wit::OpenFlags::CREATE | wit::OpenFlags::EXCLUSIVE;
        self.open_at(name, how, wit::DescriptorFlags::READ | wit::DescriptorFlags::WRITE)
    }

    fn open(&self, name: &str) -> Result<WasiFile, IoError> {
        self.open_at(name, wit::OpenFlags::empty(), wit::DescriptorFlags::READ)
    }

    fn open_for_writing(&self, name: &str) -> Result<WasiFile, IoError> {
        self.open_at(name, wit::OpenFlags::empty(), wit::DescriptorFlags::WRITE)
    }

    fn remove(&self, name: &str) -> Result<(), IoError> {
        self.0.unlink_file_at(name).map_err(to_error)
    }

    fn random(&self) -> Result<[u8; 16], IoError> {
        get_random_bytes(16)
            .try_into()
            .map_err(|_| IoError::new(IoKind::Other, "the host gave another number of random bytes"))
    }

    /// Without a clock, calls of the host take the time: microseconds each.
    fn pause(&self, attempts: u32) {
        let random = self.random().map_or(u64::MAX, |bytes| u128::from_le_bytes(bytes) as u64);
        let most = MIN_PAUSE_CALLS << attempts.min(MAX_PAUSE_DOUBLINGS);
        for _ in 0..random % most {
            let _ = self.0.stat();
        }
    }

    fn sync(&self) -> Result<(), IoError> {
        self.ask(wit::Descriptor::sync)
    }
}

#[derive(Debug)]
pub(crate) struct WasiFile(wit::Descriptor);

impl File for WasiFile {
    fn status(&self) -> Result<Status, IoError> {
        let stat = self.0.stat().map_err(to_error)?;
        Ok(Status { size_bytes: stat.size, names: stat.link_count })
    }

    fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>, IoError> {
        let mut bytes = Vec::new();
        while bytes.len() < length {
            let wanted = (length - bytes.len()).min(READ_BYTES);
            let (part, _) = self.0.read(wanted as u64, offset + bytes.len() as u64).map_err(to_error)?;
            if part.is_empty() {
                break;
            }
            if bytes.is_empty() {
                // Nearly always all of it: no copy.
                bytes = part;
            } else {
                bytes.extend_from_slice(&part);
            }
        }
        bytes.truncate(length);
        Ok(bytes)
    }

    fn cut(&self, size_bytes: u64) -> Result<(), IoError> {
        if self.status()?.size_bytes <= size_bytes {
            return Ok(());
        }
        self.0.set_size(size_bytes).map_err(to_error)
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), IoError> {
        let mut written = 0;
        while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
            match self.0.write(rest, offset + written as u64).map_err(to_error)? {
                0 => return Err(IoError::new(IoKind::Other, "the host wrote nothing")),
                count => written += count as usize,
            }
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), IoError> {
        self.0.sync_data().map_err(to_error)
    }
}

fn to_error(code: wit::ErrorCode) -> IoError {
    use wit::ErrorCode as Code;
    let kind = match code {
        Code::NoEntry => IoKind::NotFound,
        Code::Exist => IoKind::Exists,
        Code::InsufficientSpace | Code::Quota | Code::FileTooLarge => IoKind::NoSpace,
        Code::Access | Code::NotPermitted | Code::ReadOnly => IoKind::Denied,
        _ => IoKind::Other,
    };
    IoError::new(kind, code.message())
}
