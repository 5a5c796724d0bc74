//! The journal: the changes of a commit that is too large for one apply, in parts and a commit
//! record.

use super::{Fields, RecordId, framed, unseal};
use crate::error::Result;
use crate::store::Mutation;
use crate::stored::key::{KeySpace, tag};
use std::collections::BTreeMap;
use xxhash_rust::xxh64::xxh64;

/// Keys with their new values; `None` for a deletion.
pub(crate) type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// Bytes of a commit record's body before the changes in it.
pub(crate) const COMMIT_FIXED_BYTES: usize = 24;

const DELETE: u8 = 0;
const PUT: u8 = 1;

const ID: RecordId = RecordId { tag: tag::JOURNAL, name: "journal", ino: 0 };

/// The commit record, which makes a journal valid. The changes are the bytes of all parts, and then
/// `rest`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Commit<'v> {
    pub(crate) parts: u64,
    pub(crate) parts_bytes: u64,
    /// XXH64 (seed 0) of the bytes of all parts, so that parts of another journal are refused.
    pub(crate) parts_sum: u64,
    pub(crate) rest: &'v [u8],
}

/// Appends the value for `key` to `out`.
pub(crate) fn encode_commit(commit: &Commit<'_>, key: &[u8], out: &mut Vec<u8>) {
    framed(key, tag::JOURNAL, out, |out| {
        for number in [commit.parts, commit.parts_bytes, commit.parts_sum] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        out.extend_from_slice(commit.rest);
    });
}

pub(crate) fn decode_commit<'v>(key: &[u8], value: &'v [u8]) -> Result<Commit<'v>> {
    let mut fields = Fields::new(unseal(key, ID, value)?, ID);
    let (parts, parts_bytes, parts_sum) = (fields.u64()?, fields.u64()?, fields.u64()?);
    Ok(Commit { parts, parts_bytes, parts_sum, rest: fields.rest() })
}

/// Appends the value for `key` to `out`.
pub(crate) fn encode_part(bytes: &[u8], key: &[u8], out: &mut Vec<u8>) {
    framed(key, tag::JOURNAL, out, |out| out.extend_from_slice(bytes));
}

pub(crate) fn decode_part<'v>(key: &[u8], value: &'v [u8]) -> Result<&'v [u8]> {
    unseal(key, ID, value)
}

pub(crate) fn sum(parts: &[u8]) -> u64 {
    xxh64(parts, 0)
}

pub(crate) fn damaged(found: &'static str) -> crate::error::Error {
    ID.damaged(found)
}

/// Encodes changes. For each: its kind u8, the lengths of the key u16 and of the value u32, the key
/// without the volume's name, and the value.
pub(crate) fn encode_changes(keys: &KeySpace, mutations: &[Mutation<'_>]) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    for mutation in mutations {
        let (what, key, value): (u8, &[u8], &[u8]) = match *mutation {
            Mutation::Put { key, value } => (PUT, key, value),
            Mutation::Delete { key } => (DELETE, key, &[]),
        };
        let inner = keys.inner(key).unwrap_or_default();
        let too_long = |_| damaged("a change is too long");
        out.push(what);
        out.extend_from_slice(&u16::try_from(inner.len()).map_err(too_long)?.to_be_bytes());
        out.extend_from_slice(&u32::try_from(value.len()).map_err(too_long)?.to_be_bytes());
        out.extend_from_slice(inner);
        out.extend_from_slice(value);
    }
    Ok(out)
}

/// Decodes changes. They cannot name a key of another volume, the superblock, or the journal.
pub(crate) fn decode_changes(keys: &KeySpace, bytes: &[u8]) -> Result<Changes> {
    let mut changes = Changes::default();
    let mut rest = bytes;
    while !rest.is_empty() {
        let mut fields = Fields::new(rest, ID);
        let what = fields.u8()?;
        let (key_length, value_length) = (fields.u16()?, fields.u32()?);
        let inner = fields.bytes(usize::from(key_length))?;
        let value = fields.bytes(usize::try_from(value_length).map_err(|_| ID.damaged("too long"))?)?;
        rest = fields.rest();
        if !matches!(inner.first(), Some(&(tag::INODE | tag::DENTRY | tag::EXTENT | tag::REAP | tag::ORPHAN)))
        {
            return Err(ID.damaged("a change of a record that no journal carries"));
        }
        let value = match what {
            PUT => Some(value.to_vec()),
            DELETE if value.is_empty() => None,
            _ => return Err(ID.damaged("a change that is neither a put nor a delete")),
        };
        changes.insert(keys.outer(inner), value);
    }
    Ok(changes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_and_changes_survive_encoding() {
        let keys = KeySpace::new("v");
        let (put, delete) = (keys.outer(&[tag::INODE, 7]), keys.outer(&[tag::EXTENT, 8]));
        let mutations = [Mutation::Put { key: &put, value: b"value" }, Mutation::Delete { key: &delete }];
        let bytes = encode_changes(&keys, &mutations).unwrap();
        let changes = decode_changes(&keys, &bytes).unwrap();
        let expected = [(put.clone(), Some(b"value".to_vec())), (delete.clone(), None)];
        assert_eq!(changes.into_iter().collect::<Vec<_>>(), expected);

        let commit = Commit { parts: 3, parts_bytes: 900, parts_sum: 5, rest: &bytes };
        let mut value = Vec::new();
        encode_commit(&commit, b"k", &mut value);
        assert_eq!(decode_commit(b"k", &value).unwrap(), commit);
    }

    #[test]
    fn cut_changes_and_changes_of_other_records_are_damage() {
        let keys = KeySpace::new("v");
        let key = keys.outer(&[tag::INODE, 7]);
        let bytes = encode_changes(&keys, &[Mutation::Put { key: &key, value: b"value" }]).unwrap();
        for length in 1..bytes.len() {
            assert!(decode_changes(&keys, &bytes[..length]).is_err(), "{length}");
        }
        for inner in [&[tag::SUPERBLOCK][..], &[tag::JOURNAL], &[0xff, 1], &[]] {
            let key = keys.outer(inner);
            let bytes = encode_changes(&keys, &[Mutation::Delete { key: &key }]).unwrap();
            assert!(decode_changes(&keys, &bytes).is_err(), "{inner:?}");
        }
        assert!(decode_changes(&keys, &[9, 0, 1, 0, 0, 0, 0, tag::INODE]).is_err(), "neither put nor delete");
    }
}
