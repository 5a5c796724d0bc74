//! Input streams: from files, or the host's.

use crate::audit::Told;
use crate::bindings::exports::wasi::io::poll::Pollable as PollableResource;
use crate::bindings::exports::wasi::io::streams::{InputStream as InputStreamResource, StreamError};
use crate::bindings::kvfs::host_io::streams as host;
use crate::errors::StreamFailure;
#[cfg(feature = "host-mounts")]
use crate::host_slot::HostSlot;
use crate::poll::Pollable;
use crate::table;
use kvfs::{Descriptor, MountNo, Volume};
use std::cell::{Cell, Ref, RefCell};

/// The content of an input-stream resource.
pub(crate) enum Input {
    /// A file, from a position on.
    File(FileInput),
    /// The host's; taken out while it is lent.
    Host {
        place: RefCell<Option<host::InputStream>>,
        /// `None` if it is no file's.
        #[cfg(feature = "host-mounts")]
        _slot: Option<HostSlot>,
    },
}

/// A file that is read sequentially.
pub(crate) struct FileInput {
    mount: MountNo,
    /// Taken out when the stream is dropped.
    descriptor: Cell<Option<Descriptor>>,
    position: Cell<u64>,
    /// Its end or a failure was reported, which is final. Guests' libc keeps a stream while the
    /// file is written through the same descriptor, and relies on an end that stays one. A new
    /// stream sees what was added.
    closed: Cell<bool>,
}

impl Input {
    /// The place of the host's handle, which is empty while the handle is lent.
    pub(crate) fn place(&self) -> Option<&RefCell<Option<host::InputStream>>> {
        match self {
            Self::Host { place, .. } => Some(place),
            _ => None,
        }
    }

    pub(crate) fn file(mount: MountNo, descriptor: Descriptor, offset: u64) -> InputStreamResource {
        InputStreamResource::new(Told::new(Self::File(FileInput {
            mount,
            descriptor: Cell::new(Some(descriptor)),
            position: Cell::new(offset),
            closed: Cell::new(false),
        })))
    }

    pub(crate) fn host(handle: host::InputStream) -> InputStreamResource {
        InputStreamResource::new(Told::new(Self::Host {
            place: RefCell::new(Some(handle)),
            #[cfg(feature = "host-mounts")]
            _slot: None,
        }))
    }

    /// As [`Self::host`], for the stream of a file of the host.
    #[cfg(feature = "host-mounts")]
    pub(crate) fn counted(handle: host::InputStream, slot: HostSlot) -> InputStreamResource {
        let own = Self::Host { place: RefCell::new(Some(handle)), _slot: Some(slot) };
        InputStreamResource::new(Told::new(own))
    }

    /// The host's handle, if it is there.
    pub(crate) fn handle(&self) -> Option<Ref<'_, host::InputStream>> {
        Ref::filter_map(self.place()?.try_borrow().ok()?, Option::as_ref).ok()
    }

    /// Reads. With `wait`, waits for the first byte, which files never need.
    pub(crate) fn read_some(&self, length: u64, wait: bool) -> Result<Vec<u8>, StreamError> {
        match self {
            Self::File(file) => file.read(length),
            Self::Host { .. } => {
                let handle = self.handle().ok_or(StreamError::Closed)?;
                let bytes = if wait { handle.blocking_read(length) } else { handle.read(length) };
                bytes.map_err(from_host)
            }
        }
    }

    pub(crate) fn skip_some(&self, length: u64, wait: bool) -> Result<u64, StreamError> {
        match self {
            Self::File(file) => file.skip(length),
            Self::Host { .. } => {
                let handle = self.handle().ok_or(StreamError::Closed)?;
                let skipped = if wait { handle.blocking_skip(length) } else { handle.skip(length) };
                skipped.map_err(from_host)
            }
        }
    }
}

impl FileInput {
    /// Lends the descriptor, which is missing only while the stream is being dropped.
    fn with<T>(&self, operation: impl FnOnce(&Descriptor) -> kvfs::Result<T>) -> kvfs::Result<T> {
        let descriptor = self.descriptor.take().ok_or(kvfs::Error::BadDescriptor)?;
        let outcome = operation(&descriptor);
        self.descriptor.set(Some(descriptor));
        outcome
    }

    fn check_open(&self) -> Result<(), StreamError> {
        if self.closed.get() { Err(StreamError::Closed) } else { Ok(()) }
    }

    /// Closes the stream at the file's end.
    fn end(&self) -> StreamError {
        self.closed.set(true);
        StreamError::Closed
    }

    /// Closes the stream after an error, and returns it.
    fn fail(&self, error: kvfs::Error) -> StreamError {
        self.closed.set(true);
        StreamError::LastOperationFailed(StreamFailure::ours(error))
    }

    fn read(&self, length: u64) -> Result<Vec<u8>, StreamError> {
        let mut bytes = Vec::new();
        self.advance(length, |volume, file, position, length| {
            volume.read(file, position, length, &mut bytes)
        })?;
        Ok(bytes)
    }

    /// Reads without a copy: see [`Volume::lend`].
    #[cfg(not(feature = "host-mounts"))]
    pub(crate) fn lend(&self, length: u64, show: impl FnMut(&[u8])) -> Result<(), StreamError> {
        self.advance(length, |volume, file, position, length| volume.lend(file, position, length, show))
    }

    /// Reads at the stream's position, and advances it.
    #[inline(always)]
    fn advance(
        &self,
        length: u64,
        read: impl FnOnce(&mut Volume, &Descriptor, u64, usize) -> kvfs::Result<usize>,
    ) -> Result<(), StreamError> {
        self.check_open()?;
        if length == 0 {
            return Ok(());
        }
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let position = self.position.get();
        let read = self.with(|descriptor| {
            table::with_volume(self.mount, |volume| read(volume, descriptor, position, length))
        });
        match read {
            Ok(0) => Err(self.end()),
            Ok(count) => {
                self.position.set(position.saturating_add(count as u64));
                Ok(())
            }
            Err(error) => Err(self.fail(error)),
        }
    }

    fn skip(&self, length: u64) -> Result<u64, StreamError> {
        self.check_open()?;
        let position = self.position.get();
        match self.with(|descriptor| table::with_volume(self.mount, |volume| volume.stat(descriptor))) {
            Ok(stat) => {
                let skipped = length.min(stat.size.saturating_sub(position));
                if skipped == 0 && length > 0 {
                    return Err(self.end());
                }
                self.position.set(position.saturating_add(skipped));
                Ok(skipped)
            }
            Err(error) => Err(self.fail(error)),
        }
    }
}

impl Drop for FileInput {
    fn drop(&mut self) {
        if let Some(descriptor) = self.descriptor.take() {
            table::let_go(self.mount, |volume| volume.close_stream(descriptor));
        }
    }
}

pub(crate) fn from_host(error: host::StreamError) -> StreamError {
    match error {
        host::StreamError::Closed => StreamError::Closed,
        host::StreamError::LastOperationFailed(error) => {
            StreamError::LastOperationFailed(StreamFailure::host(error))
        }
    }
}

impl Input {
    pub(crate) fn subscribe(&self) -> PollableResource {
        match self.handle() {
            Some(handle) => Pollable::host(handle.subscribe()),
            None => Pollable::ready_now(),
        }
    }
}
