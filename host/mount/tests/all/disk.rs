//! A store in a directory of this host.

use kvfs::{Clock, Mode, Options, Timestamp, Volume};
use kvfs_file_store::{Directory, File, FileStore, IoError, IoKind, Listed, Status};
use std::fs;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

#[derive(Clone, Debug)]
pub(crate) struct Disk(pub(crate) PathBuf);

#[derive(Debug)]
pub(crate) struct DiskFile(fs::File);

pub(crate) struct Now;

impl Clock for Now {
    fn now(&mut self) -> Timestamp {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Timestamp { seconds: now.as_secs().try_into().unwrap(), nanoseconds: now.subsec_nanos() }
    }
}

/// Opens the volume `main` of the store in a directory. It is small enough in memory for tests to exceed.
pub(crate) fn open(directory: &Path, mode: Mode) -> Volume {
    let store = FileStore::open(Disk(directory.to_owned())).unwrap();
    let cache = kvfs::CacheLimits::of_bytes(4 << 20);
    let options = Options { mode, cache, ..Options::default() };
    Volume::open(Box::new(store), Box::new(Now), options).unwrap()
}

impl Directory for Disk {
    type File = DiskFile;

    fn list(&self) -> Result<Vec<Listed>, IoError> {
        let mut listed = Vec::new();
        for entry in fs::read_dir(&self.0).map_err(io_error)? {
            let entry = entry.map_err(io_error)?;
            let name = entry.file_name().into_string().unwrap();
            listed.push(Listed { name, is_file: entry.path().is_file() });
        }
        Ok(listed)
    }

    fn create(&self, name: &str) -> Result<DiskFile, IoError> {
        let path = self.0.join(name);
        let file = fs::OpenOptions::new().read(true).write(true).create_new(true).open(path);
        file.map(DiskFile).map_err(io_error)
    }

    fn open(&self, name: &str) -> Result<DiskFile, IoError> {
        fs::File::open(self.0.join(name)).map(DiskFile).map_err(io_error)
    }

    fn open_for_writing(&self, name: &str) -> Result<DiskFile, IoError> {
        fs::OpenOptions::new().write(true).open(self.0.join(name)).map(DiskFile).map_err(io_error)
    }

    fn remove(&self, name: &str) -> Result<(), IoError> {
        fs::remove_file(self.0.join(name)).map_err(io_error)
    }

    fn sync(&self) -> Result<(), IoError> {
        fs::File::open(&self.0).and_then(|directory| directory.sync_all()).map_err(io_error)
    }

    fn random(&self) -> Result<[u8; 16], IoError> {
        let mut bytes = [0; 16];
        fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes)).map_err(io_error)?;
        Ok(bytes)
    }
}

impl File for DiskFile {
    fn status(&self) -> Result<Status, IoError> {
        let metadata = self.0.metadata().map_err(io_error)?;
        Ok(Status { size_bytes: metadata.len(), names: metadata.nlink() })
    }

    fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>, IoError> {
        let mut bytes = vec![0; length];
        let mut filled = 0;
        while filled < length {
            match self.0.read_at(&mut bytes[filled..], offset + filled as u64).map_err(io_error)? {
                0 => break,
                count => filled += count,
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }

    fn cut(&self, size_bytes: u64) -> Result<(), IoError> {
        let length = self.0.metadata().map_err(io_error)?.len();
        if length > size_bytes { self.0.set_len(size_bytes).map_err(io_error) } else { Ok(()) }
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), IoError> {
        self.0.write_all_at(bytes, offset).map_err(io_error)
    }

    fn sync(&self) -> Result<(), IoError> {
        self.0.sync_data().map_err(io_error)
    }
}

fn io_error(error: io::Error) -> IoError {
    let kind = match error.kind() {
        ErrorKind::NotFound => IoKind::NotFound,
        ErrorKind::AlreadyExists => IoKind::Exists,
        _ => IoKind::Other,
    };
    IoError::new(kind, error.to_string())
}
