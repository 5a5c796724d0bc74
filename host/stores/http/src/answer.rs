//! The answers of the calls, as bodies.
//!
//! An answer begins with a byte: 0, and what the call returns, or the number of an error and its
//! text in UTF-8.

use kvfs_contract::{Entry, Limits, StoreError};

use crate::bytes::{Malformed, Reader, Writer};
use crate::error::{DONE, error, number};

/// Most bytes of an answer: as many bytes of values as a `get` may return, and as many again for
/// the rest, which is less.
pub const MAX_ANSWER_BYTES: usize = 2 * kvfs_contract::MAX_ANSWER_BYTES;

/// Returns the answer of a call that failed.
pub fn refusal(error: &StoreError) -> Vec<u8> {
    let (number, text) = number(error);
    let mut body = vec![number];
    body.extend_from_slice(text.as_bytes());
    body
}

fn written(bytes: usize, write: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut body = Writer::with_capacity(1 + bytes);
    body.u8(DONE);
    write(&mut body);
    body.finish()
}

fn read<'a, T>(
    body: &'a [u8],
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, Malformed>,
) -> Result<T, StoreError> {
    let mut body = Reader::new(body);
    let malformed = |malformed: Malformed| {
        StoreError::Other(format!("the store server's answer cannot be read: {malformed}"))
    };
    match body.u8().map_err(malformed)? {
        DONE => {
            let answer = read(&mut body).map_err(malformed)?;
            body.end().map_err(malformed)?;
            Ok(answer)
        }
        number => Err(error(number, body.text())),
    }
}

/// The answer of `get-limits`.
pub mod limits {
    use super::{Limits, StoreError, read, written};

    /// Writes it.
    pub fn encode(limits: &Limits) -> Vec<u8> {
        written(17, |body| {
            body.u32(limits.max_key_bytes);
            body.u32(limits.max_value_bytes);
            body.u32(limits.max_batch_entries);
            body.u32(limits.max_batch_bytes);
            body.u8(u8::from(limits.durable));
        })
    }

    /// Reads it.
    ///
    /// # Errors
    /// The store's; [`StoreError::Other`] for an answer that cannot be read.
    pub fn decode(body: &[u8]) -> Result<Limits, StoreError> {
        read(body, |body| {
            Ok(Limits {
                max_key_bytes: body.u32()?,
                max_value_bytes: body.u32()?,
                max_batch_entries: body.u32()?,
                max_batch_bytes: body.u32()?,
                durable: body.flag()?,
            })
        })
    }
}

/// The answer of `get`.
pub mod values {
    use super::{StoreError, read, written};

    /// Writes it.
    pub fn encode<B: AsRef<[u8]>>(values: &[Option<B>]) -> Vec<u8> {
        let size = |value: &Option<B>| 5 + value.as_ref().map_or(0, |value| value.as_ref().len());
        written(4 + values.iter().map(size).sum::<usize>(), |body| {
            body.count(values.len());
            values.iter().for_each(|value| body.optional(value.as_ref().map(B::as_ref)));
        })
    }

    /// Reads it.
    ///
    /// # Errors
    /// The store's; [`StoreError::Other`] for an answer that cannot be read, or has not a value for
    /// each of `keys` keys.
    pub fn decode(body: &[u8], keys: usize) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let values = read(body, |body| body.list(1, |body| Ok(body.optional()?.map(<[u8]>::to_vec))))?;
        if values.len() != keys {
            return Err(StoreError::Other("the store server answered for other keys than asked".into()));
        }
        Ok(values)
    }
}

/// The answer of `scan`.
pub mod entries {
    use super::{Entry, StoreError, read, written};

    /// Writes it.
    pub fn encode<B: AsRef<[u8]>>(entries: &[Entry<B>]) -> Vec<u8> {
        let size = |entry: &Entry<B>| 8 + entry.key.as_ref().len() + entry.value.as_ref().len();
        written(4 + entries.iter().map(size).sum::<usize>(), |body| {
            body.count(entries.len());
            for entry in entries {
                body.bytes(entry.key.as_ref());
                body.bytes(entry.value.as_ref());
            }
        })
    }

    /// Reads it.
    ///
    /// # Errors
    /// The store's; [`StoreError::Other`] for an answer that cannot be read.
    pub fn decode(body: &[u8]) -> Result<Vec<Entry<Vec<u8>>>, StoreError> {
        read(body, |body| {
            body.list(8, |body| Ok(Entry { key: body.bytes()?.to_vec(), value: body.bytes()?.to_vec() }))
        })
    }
}

/// The answer of `apply`.
pub mod nothing {
    use super::{StoreError, read, written};

    /// Writes it.
    pub fn encode() -> Vec<u8> {
        written(0, |_| {})
    }

    /// Reads it.
    ///
    /// # Errors
    /// The store's; [`StoreError::UnknownOutcome`] for an answer that cannot be read.
    pub fn decode(body: &[u8]) -> Result<(), StoreError> {
        match read(body, |_| Ok(())) {
            Err(StoreError::Other(_)) if body.first().is_none_or(|first| *first == super::DONE) => {
                Err(StoreError::UnknownOutcome)
            }
            answer => answer,
        }
    }
}
