//! Records of cleaning up: ranges of garbage extents, and orphans.

use super::{Fields, RecordId, framed, unseal};
use crate::error::Result;
use crate::stored::key::tag;
use crate::types::InodeNo;

/// Garbage: extents `[from, to)` of an inode, which may exist or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reap {
    pub(crate) ino: InodeNo,
    pub(crate) from: u64,
    pub(crate) to: u64,
}

/// Appends the value for `key` to `out`.
pub(crate) fn encode(reap: Reap, key: &[u8], out: &mut Vec<u8>) {
    framed(key, tag::REAP, out, |out| {
        out.extend_from_slice(&reap.from.to_be_bytes());
        out.extend_from_slice(&reap.to.to_be_bytes());
    });
}

pub(crate) fn decode(key: &[u8], ino: InodeNo, value: &[u8]) -> Result<Reap> {
    let id = RecordId { tag: tag::REAP, name: "reap record", ino: ino.0 };
    let mut fields = Fields::new(unseal(key, id, value)?, id);
    let (from, to) = (fields.u64()?, fields.u64()?);
    fields.end()?;
    Ok(Reap { ino, from, to })
}

/// Appends the value for `key` to `out`.
pub(crate) fn encode_orphan(key: &[u8], out: &mut Vec<u8>) {
    framed(key, tag::ORPHAN, out, |_| {});
}

pub(crate) fn decode_orphan(key: &[u8], ino: InodeNo, value: &[u8]) -> Result<()> {
    let id = RecordId { tag: tag::ORPHAN, name: "orphan record", ino: ino.0 };
    Fields::new(unseal(key, id, value)?, id).end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reaps_and_orphans_survive_encoding() {
        let reap = Reap { ino: InodeNo(4), from: 3, to: u64::MAX };
        let mut value = Vec::new();
        encode(reap, b"k", &mut value);
        assert_eq!(decode(b"k", InodeNo(4), &value).unwrap(), reap);
        let mut value = Vec::new();
        encode_orphan(b"k", &mut value);
        decode_orphan(b"k", InodeNo(4), &value).unwrap();
        assert!(decode_orphan(b"l", InodeNo(4), &value).is_err());
    }
}
