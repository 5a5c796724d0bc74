//! A host output that fails, like a broken pipe or a full disk.

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

/// Accepts writes of up to [`FaultyOutput::MAX_WRITE_BYTES`] bytes, and fails for good at a longer
/// one.
#[derive(Debug, Clone, Copy)]
pub struct FaultyOutput;

impl FaultyOutput {
    /// The longest write that does not fail.
    pub const MAX_WRITE_BYTES: usize = 100;
}

impl IsTerminal for FaultyOutput {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for FaultyOutput {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(Faulty { failed: false })
    }
}

struct Faulty {
    failed: bool,
}

#[async_trait]
impl Pollable for Faulty {
    async fn ready(&mut self) {}
}

#[async_trait]
impl OutputStream for Faulty {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.check_write()?;
        if bytes.len() > FaultyOutput::MAX_WRITE_BYTES {
            self.failed = true;
            return Err(StreamError::LastOperationFailed(std::io::Error::other("the device is gone").into()));
        }
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.check_write().map(|_| ())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        if self.failed { Err(StreamError::Closed) } else { Ok(4096) }
    }
}
