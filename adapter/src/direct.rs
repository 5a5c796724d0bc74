//! `kvfs:adapter/direct`: reads and writes whose bytes the glue of a linked component copies
//! itself.
//!
//! Only addresses are given away, and only to that glue, which has our memory.

use crate::adapter::Adapter;
use crate::bindings::exports::kvfs::adapter::direct::{
    DescriptorBorrow, ErrorCode, Filesize, Guest, InputStreamBorrow, OutputStreamBorrow, Piece, StreamError,
};
use crate::calls::{InputNode, Node, OutputNode};
use crate::input::Input;
use crate::output::Output;
use crate::root::Root;
use kvfs::At;
use kvfs::limits::MAX_WRITE_BYTES;
use std::cell::RefCell;

/// The state between the two halves of a write.
enum Half<E> {
    /// So many bytes are in place.
    Placed(usize),
    /// The bytes are in a buffer of our own: the file does not take all of them at once.
    Staged(Vec<u8>),
    Failed(E),
}

thread_local! {
    static FILE: RefCell<Option<Half<ErrorCode>>> = const { RefCell::new(None) };
    static STREAM: RefCell<Option<Half<StreamError>>> = const { RefCell::new(None) };
}

/// The usual number of pieces of a read or a write. A list without spare room is given away without
/// being reallocated.
const ONE: usize = 1;

fn piece(bytes: &[u8]) -> Piece {
    // Addresses and lengths are below 4 GiB here.
    Piece { address: bytes.as_ptr().expose_provenance() as u32, length: bytes.len() as u32 }
}

fn piece_to_fill(bytes: &mut [u8]) -> Piece {
    Piece { address: bytes.as_mut_ptr().expose_provenance() as u32, length: bytes.len() as u32 }
}

/// Does the first half: asks `place` for room for so many bytes, or makes a buffer.
fn first_half<E>(
    length: usize,
    place: impl FnOnce(&mut dyn FnMut(&mut [u8])) -> Result<bool, E>,
) -> (Half<E>, Vec<Piece>) {
    let mut pieces = Vec::with_capacity(ONE);
    match place(&mut |bytes| pieces.push(piece_to_fill(bytes))) {
        Ok(true) => (Half::Placed(length), pieces),
        Ok(false) => {
            let mut bytes = vec![0; length];
            let piece = piece_to_fill(&mut bytes);
            (Half::Staged(bytes), vec![piece])
        }
        Err(error) => (Half::Failed(error), Vec::new()),
    }
}

fn bytes_of(pieces: &[Piece]) -> u64 {
    pieces.iter().map(|piece| u64::from(piece.length)).sum()
}

/// Streams of the host do not come here: a linked guest has its own.
fn lend_stream(stream: InputStreamBorrow<'_>, length: u64) -> Result<Vec<Piece>, StreamError> {
    let mut pieces = Vec::with_capacity(ONE);
    let stream = stream.get::<InputNode>();
    let outcome = match &stream.own {
        Input::File(file) => file.lend(length, |bytes| pieces.push(piece(bytes))),
        Input::Host { .. } => Err(StreamError::Closed),
    };
    stream.reading("read", outcome.map(|()| pieces), |pieces| bytes_of(pieces))
}

fn place_stream(stream: OutputStreamBorrow<'_>, length: u32) -> Vec<Piece> {
    let (half, pieces) = first_half(length as usize, |show| {
        let stream = stream.get::<OutputNode>();
        // Here already: the bytes may go to their place in the file.
        stream.permitted()?;
        match &stream.own {
            Output::File(file) => file.place(length as usize, show),
            Output::Host { .. } => Err(StreamError::Closed),
        }
    });
    STREAM.set(Some(half));
    pieces
}

/// A file's stream has nothing to flush.
fn write_stream(stream: OutputStreamBorrow<'_>, length: u32) -> Result<(), StreamError> {
    let stream = stream.get::<OutputNode>();
    let half = STREAM.take();
    stream.writing("write", length.into(), || match (half, &stream.own) {
        (Some(Half::Placed(length)), Output::File(file)) => file.placed(length),
        (Some(Half::Staged(bytes)), Output::File(file)) => file.write(&bytes),
        (Some(Half::Failed(error)), _) => Err(error),
        _ => Err(StreamError::Closed),
    })
}

impl Guest for Adapter {
    fn descriptor_read(
        file: DescriptorBorrow<'_>,
        length: Filesize,
        offset: Filesize,
    ) -> Result<(Vec<Piece>, bool), ErrorCode> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let mut pieces = Vec::with_capacity(ONE);
        let node = file.get::<Node>();
        let lend = |own: &Root| {
            own.with(|volume, file| volume.lend(file, offset, length, |bytes| pieces.push(piece(bytes))))
        };
        let count = node.moved(("read", false), offset, lend, |count| *count as u64)?;
        Ok((pieces, count == 0))
    }

    fn input_stream_read(stream: InputStreamBorrow<'_>, len: u64) -> Result<Vec<Piece>, StreamError> {
        lend_stream(stream, len)
    }

    fn input_stream_blocking_read(
        stream: InputStreamBorrow<'_>,
        len: u64,
    ) -> Result<Vec<Piece>, StreamError> {
        lend_stream(stream, len)
    }

    fn place_descriptor_write(file: DescriptorBorrow<'_>, length: u32, offset: Filesize) -> Vec<Piece> {
        // One write takes no more.
        let length = (length as usize).min(MAX_WRITE_BYTES);
        let (half, pieces) = first_half(length, |show| {
            let node = file.get::<Node>();
            node.permitted(("write", true))?;
            node.own.with(|volume, file| volume.place(file, At::Offset(offset), length, show))
        });
        FILE.set(Some(half));
        pieces
    }

    fn descriptor_write(file: DescriptorBorrow<'_>, _: u32, offset: Filesize) -> Result<Filesize, ErrorCode> {
        let half = FILE.take();
        let write = |file: &Root| match half {
            Some(Half::Placed(length)) => {
                file.with(|volume, file| volume.placed(file))?;
                Ok(length as Filesize)
            }
            Some(Half::Staged(bytes)) => file
                .with(|volume, file| volume.write(file, At::Offset(offset), &bytes))
                .map(|count| count as Filesize),
            Some(Half::Failed(error)) => Err(error),
            None => Err(ErrorCode::Invalid),
        };
        file.get::<Node>().moved(("write", true), offset, write, |bytes| *bytes)
    }

    fn place_output_stream_write(stream: OutputStreamBorrow<'_>, length: u32) -> Vec<Piece> {
        place_stream(stream, length)
    }

    fn output_stream_write(stream: OutputStreamBorrow<'_>, length: u32) -> Result<(), StreamError> {
        write_stream(stream, length)
    }

    fn place_output_stream_blocking_write_and_flush(
        stream: OutputStreamBorrow<'_>,
        length: u32,
    ) -> Vec<Piece> {
        place_stream(stream, length)
    }

    fn output_stream_blocking_write_and_flush(
        stream: OutputStreamBorrow<'_>,
        length: u32,
    ) -> Result<(), StreamError> {
        write_stream(stream, length)
    }
}
