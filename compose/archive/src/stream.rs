//! The bytes of an archive: recognized, decompressed, and read to their end.

use flate2::bufread::GzDecoder;
use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Error, ErrorKind, Read, Result};
use std::path::Path;

/// The first bytes of gzip.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// First bytes of files that people take for a tar, and what the files are.
const OTHERS: [(&[u8], &str); 10] = [
    (b"\xfd7zXZ\0", "compressed with xz"),
    (b"BZh", "compressed with bzip2"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd"),
    (b"\x04\x22\x4d\x18", "compressed with lz4"),
    (b"LZIP\x01", "compressed with lzip"),
    (b"\x5d\0\0", "compressed with lzma"),
    (b"\x1f\x9d", "compressed with compress"),
    (b"PK\x03\x04", "a zip"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z"),
    (b"\0asm", "a WebAssembly file"),
];

/// The start of the first block of bzip2, after four bytes. The first three bytes of the file alone
/// may be a name.
const BZIP2_BLOCK: &[u8] = b"\x31\x41\x59\x26\x53\x59";

/// Bytes of a block of a tar, such as a header.
pub(crate) const BLOCK_BYTES: usize = 512;

/// Bytes that are read at once.
const BUFFER_BYTES: usize = 256 << 10;

/// Bytes that are enough to recognize a file.
const START_BYTES: usize = 10;

/// Reads an archive, decompressed if it is compressed.
///
/// The kind of an error tells its cause: `Unsupported` for a file that is no tar, `InvalidData` for
/// a damaged one, `FileTooLarge`; all others are the system's, with its code.
pub struct Stream {
    bytes: Box<dyn Read>,
    left: u64,
}

impl Stream {
    /// Opens a file, with the most bytes that it may have when decompressed. The file may be a
    /// pipe, which cannot seek.
    ///
    /// # Errors
    /// As those of reading it.
    pub fn open(file: &Path, max_bytes: u64) -> Result<Self> {
        Self::new(File::open(file)?, max_bytes)
    }

    /// Reads an archive from anywhere: see [`Stream::open`].
    ///
    /// # Errors
    /// As those of reading it.
    pub fn new(mut file: impl Read + 'static, max_bytes: u64) -> Result<Self> {
        let mut start = Vec::new();
        (&mut file).take(START_BYTES as u64).read_to_end(&mut start)?;
        if let Some(kind) = other_kind(&start) {
            return Err(Error::new(ErrorKind::Unsupported, format!("it is {kind}")));
        }
        let is_gzip = start.starts_with(&GZIP);
        let file = BufReader::with_capacity(BUFFER_BYTES, Cursor::new(start).chain(file));
        let bytes: Box<dyn Read> = if is_gzip { Box::new(Gzip::new(file)) } else { Box::new(file) };
        Ok(Self { bytes, left: max_bytes })
    }

    /// Reads the rest behind the end of the tar, where only zeros may be. So the checksums at the
    /// end are checked.
    ///
    /// # Errors
    /// As those of reading it, and `Unsupported` for anything but zeros.
    pub fn finish(mut self) -> Result<()> {
        let mut chunk = vec![0; 64 << 10];
        loop {
            let read = self.read(&mut chunk)?;
            match chunk.get(..read).unwrap_or_default() {
                [] => return Ok(()),
                zeros if zeros.iter().all(|byte| *byte == 0) => {}
                _ => {
                    let reason = "bytes follow its end, as when two tars are joined";
                    return Err(Error::new(ErrorKind::Unsupported, reason));
                }
            }
        }
    }
}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> Result<usize> {
        let read = loop {
            match self.bytes.read(into) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        self.left = self.left.checked_sub(read as u64).ok_or(ErrorKind::FileTooLarge)?;
        Ok(read)
    }
}

/// Describes a file that is no tar, by its first bytes.
fn other_kind(start: &[u8]) -> Option<&'static str> {
    let (magic, kind) = OTHERS.iter().find(|(magic, _)| start.starts_with(magic))?;
    (*magic != b"BZh" || start.ends_with(BZIP2_BLOCK)).then_some(kind)
}

/// Decompresses the members of a file one after the other, each with its checksum. Only zeros may
/// follow the last: tapes are padded with them.
struct Gzip<R> {
    part: Option<GzDecoder<R>>,
}

impl<R: BufRead> Gzip<R> {
    fn new(file: R) -> Self {
        Self { part: Some(GzDecoder::new(file)) }
    }
}

impl<R: BufRead> Read for Gzip<R> {
    fn read(&mut self, into: &mut [u8]) -> Result<usize> {
        while let Some(part) = &mut self.part {
            let read = part.read(into).map_err(damaged)?;
            if read > 0 || into.is_empty() {
                return Ok(read);
            }
            let file = part.get_mut();
            if file.fill_buf()?.first() == GZIP.first() {
                self.part = self.part.take().map(|part| GzDecoder::new(part.into_inner()));
                continue;
            }
            loop {
                let behind = file.fill_buf()?;
                if behind.iter().any(|byte| *byte != 0) {
                    let reason = "gzip: bytes follow the compressed data";
                    return Err(Error::new(ErrorKind::InvalidData, reason));
                }
                match behind.len() {
                    0 => break,
                    zeros => file.consume(zeros),
                }
            }
            self.part = None;
        }
        Ok(0)
    }
}

/// Distinguishes the errors of the decoder from those of the file below it.
fn damaged(error: Error) -> Error {
    let reason = match error.kind() {
        _ if error.raw_os_error().is_some() => return error,
        ErrorKind::Interrupted => return error,
        ErrorKind::UnexpectedEof => "gzip: it is cut off".to_owned(),
        _ => format!("gzip: {error}"),
    };
    Error::new(ErrorKind::InvalidData, reason)
}
