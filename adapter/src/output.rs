//! Output streams: to files, or the host's; and splicing between all four pairs.

use crate::audit::Told;
use crate::bindings::exports::wasi::io::poll::Pollable as PollableResource;
use crate::bindings::exports::wasi::io::streams::{OutputStream as OutputStreamResource, StreamError};
use crate::bindings::kvfs::host_io::streams as host;
use crate::errors::StreamFailure;
#[cfg(feature = "host-mounts")]
use crate::host_slot::HostSlot;
use crate::input::{Input, from_host};
use crate::poll::Pollable;
use crate::table;
use kvfs::{At, Descriptor, Error, MountNo, Volume};
use std::cell::{Cell, Ref, RefCell};

/// Bytes that a file's stream takes in one write.
const PERMIT_BYTES: u64 = kvfs::limits::MAX_WRITE_BYTES as u64;

/// Most bytes of one splice that copies through us.
const SPLICE_BYTES: u64 = 64 << 10;

/// The content of an output-stream resource.
pub(crate) enum Output {
    /// A file.
    File(FileOutput),
    /// The host's; taken out while it is lent.
    Host {
        place: RefCell<Option<host::OutputStream>>,
        /// `None` if it is no file's.
        #[cfg(feature = "host-mounts")]
        _slot: Option<HostSlot>,
    },
}

/// A file that is written from a position on, or at its end.
pub(crate) struct FileOutput {
    mount: MountNo,
    /// Taken out when the stream is dropped.
    descriptor: Cell<Option<Descriptor>>,
    at: Cell<At>,
    /// Writing failed, and was reported.
    closed: Cell<bool>,
    /// Bytes written through the stream, those before a failure included.
    written_bytes: Cell<u64>,
}

impl Output {
    /// The place of the host's handle, which is empty while the handle is lent.
    pub(crate) fn place(&self) -> Option<&RefCell<Option<host::OutputStream>>> {
        match self {
            Self::Host { place, .. } => Some(place),
            _ => None,
        }
    }

    pub(crate) fn file(mount: MountNo, descriptor: Descriptor, at: At) -> OutputStreamResource {
        OutputStreamResource::new(Told::new(Self::File(FileOutput {
            mount,
            descriptor: Cell::new(Some(descriptor)),
            at: Cell::new(at),
            closed: Cell::new(false),
            written_bytes: Cell::new(0),
        })))
    }

    pub(crate) fn host(handle: host::OutputStream) -> OutputStreamResource {
        OutputStreamResource::new(Told::new(Self::Host {
            place: RefCell::new(Some(handle)),
            #[cfg(feature = "host-mounts")]
            _slot: None,
        }))
    }

    /// As [`Self::host`], for the stream of a file of the host.
    #[cfg(feature = "host-mounts")]
    pub(crate) fn counted(handle: host::OutputStream, slot: HostSlot) -> OutputStreamResource {
        let own = Self::Host { place: RefCell::new(Some(handle)), _slot: Some(slot) };
        OutputStreamResource::new(Told::new(own))
    }

    /// Returns the bytes written through the stream of a file, those before a failure included.
    pub(crate) fn written_bytes(&self) -> Option<u64> {
        match self {
            Self::File(file) => Some(file.written_bytes.get()),
            Self::Host { .. } => None,
        }
    }

    fn handle(&self) -> Option<Ref<'_, host::OutputStream>> {
        Ref::filter_map(self.place()?.try_borrow().ok()?, Option::as_ref).ok()
    }

    /// Does something with the file, or with the host's stream.
    fn either<T>(
        &self,
        file: impl FnOnce(&FileOutput) -> Result<T, StreamError>,
        host: impl FnOnce(&host::OutputStream) -> Result<T, host::StreamError>,
    ) -> Result<T, StreamError> {
        match self {
            Self::File(output) => file(output),
            Self::Host { .. } => host(&*self.handle().ok_or(StreamError::Closed)?).map_err(from_host),
        }
    }

    /// Moves up to `length` bytes, as far as there are bytes to read and room to write. With
    /// `wait`, waits until something can be moved or one end is closed.
    pub(crate) fn splice_some(&self, source: &Input, length: u64, wait: bool) -> Result<u64, StreamError> {
        if let (Some(from), Some(to)) = (source.handle(), self.handle()) {
            let moved = if wait { to.blocking_splice(&from, length) } else { to.splice(&from, length) };
            return moved.map_err(from_host);
        }
        if wait && let Some(to) = self.handle() {
            to.subscribe().block();
        }
        let permit = self.check_write()?;
        let length = length.min(permit).min(SPLICE_BYTES);
        if length == 0 {
            return Ok(0);
        }
        let bytes = source.read_some(length, wait)?;
        self.either(|file| file.write(&bytes), |host| host.write(&bytes))?;
        Ok(bytes.len() as u64)
    }
}

impl FileOutput {
    fn check_open(&self) -> Result<(), StreamError> {
        if self.closed.get() { Err(StreamError::Closed) } else { Ok(()) }
    }

    /// Writes all bytes, or fails and closes the stream. Bytes written before the failure stay.
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<(), StreamError> {
        self.with(|volume, file| {
            let mut rest = bytes;
            while !rest.is_empty() {
                let count = volume.write(file, self.at.get(), rest)?;
                rest = rest.get(count..).unwrap_or_default();
                self.go_on(count);
            }
            Ok(())
        })
    }

    /// Writes without a copy, first half: see [`Volume::place`].
    #[cfg(not(feature = "host-mounts"))]
    pub(crate) fn place(&self, length: usize, show: impl FnMut(&mut [u8])) -> Result<bool, StreamError> {
        self.with(|volume, file| volume.place(file, self.at.get(), length, show))
    }

    /// Writes without a copy, second half.
    #[cfg(not(feature = "host-mounts"))]
    pub(crate) fn placed(&self, length: usize) -> Result<(), StreamError> {
        self.with(|volume, file| {
            volume.placed(file)?;
            self.go_on(length);
            Ok(())
        })
    }

    fn go_on(&self, count: usize) {
        self.written_bytes.set(self.written_bytes.get().saturating_add(count as u64));
        if let At::Offset(offset) = self.at.get() {
            self.at.set(At::Offset(offset.saturating_add(count as u64)));
        }
    }

    /// Does something with the file. A failure closes the stream.
    #[inline(always)]
    fn with<T>(
        &self,
        operation: impl FnOnce(&mut Volume, &Descriptor) -> kvfs::Result<T>,
    ) -> Result<T, StreamError> {
        self.check_open()?;
        let descriptor = self.descriptor.take().ok_or(StreamError::Closed)?;
        let outcome = table::with_volume(self.mount, |volume| operation(volume, &descriptor));
        self.descriptor.set(Some(descriptor));
        outcome.map_err(|error| self.fail(error))
    }

    fn write_zeroes(&self, length: u64) -> Result<(), StreamError> {
        if length > PERMIT_BYTES {
            return Err(self.fail(Error::Invalid));
        }
        self.write(&vec![0; usize::try_from(length).unwrap_or(0)])
    }

    fn fail(&self, error: Error) -> StreamError {
        self.closed.set(true);
        StreamError::LastOperationFailed(StreamFailure::ours(error))
    }
}

impl Drop for FileOutput {
    fn drop(&mut self) {
        if let Some(descriptor) = self.descriptor.take() {
            table::let_go(self.mount, |volume| volume.close_stream(descriptor));
        }
    }
}

/// The functions of the interface.
impl Output {
    pub(crate) fn check_write(&self) -> Result<u64, StreamError> {
        self.either(|file| file.check_open().map(|()| PERMIT_BYTES), host::OutputStream::check_write)
    }

    pub(crate) fn write(&self, bytes: &[u8]) -> Result<(), StreamError> {
        self.either(|file| file.write(bytes), |host| host.write(bytes))
    }

    pub(crate) fn blocking_write_and_flush(&self, bytes: &[u8]) -> Result<(), StreamError> {
        self.either(|file| file.write(bytes), |host| host.blocking_write_and_flush(bytes))
    }

    /// Written bytes are visible at once: there is nothing to flush. `sync` makes them durable.
    pub(crate) fn flush(&self) -> Result<(), StreamError> {
        self.either(FileOutput::check_open, host::OutputStream::flush)
    }

    pub(crate) fn blocking_flush(&self) -> Result<(), StreamError> {
        self.either(FileOutput::check_open, host::OutputStream::blocking_flush)
    }

    pub(crate) fn subscribe(&self) -> PollableResource {
        match self.handle() {
            Some(handle) => Pollable::host(handle.subscribe()),
            None => Pollable::ready_now(),
        }
    }

    pub(crate) fn write_zeroes(&self, length: u64) -> Result<(), StreamError> {
        self.either(|file| file.write_zeroes(length), |host| host.write_zeroes(length))
    }

    pub(crate) fn blocking_write_zeroes_and_flush(&self, length: u64) -> Result<(), StreamError> {
        self.either(|file| file.write_zeroes(length), |host| host.blocking_write_zeroes_and_flush(length))
    }
}
