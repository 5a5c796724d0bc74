//! A directory entry: the kind and inode of a name, so that listing and looking up need no inode.

use super::{FRAME_BYTES, Fields, RecordId, framed, unseal};
use crate::error::Result;
use crate::limits::MAX_NAME_BYTES;
use crate::stored::key::tag;
use crate::types::{Dentry, InodeNo, Kind};

/// Appends the value for `key` to `out`.
pub(crate) fn encode(dentry: Dentry, key: &[u8], out: &mut Vec<u8>) {
    framed(key, tag::DENTRY, out, |out| {
        out.push(dentry.kind.to_byte());
        out.extend_from_slice(&dentry.ino.0.to_be_bytes());
        if dentry.born > 0 {
            out.extend_from_slice(&dentry.born.to_be_bytes());
        }
    });
}

pub(crate) fn decode(key: &[u8], dir: InodeNo, value: &[u8]) -> Result<Dentry> {
    let id = RecordId { tag: tag::DENTRY, name: "directory entry", ino: dir.0 };
    let mut fields = Fields::new(unseal(key, id, value)?, id);
    let kind = Kind::from_byte(fields.u8()?).ok_or(id.damaged("unknown kind"))?;
    let ino = InodeNo(fields.u64()?);
    let rest = fields.rest();
    // Format minor 0 has no birth.
    let born = match rest.is_empty() {
        true => 0,
        false => u64::from_be_bytes(rest.try_into().map_err(|_| id.damaged("of a wrong length"))?),
    };
    if born == 0 && !rest.is_empty() {
        return Err(id.damaged("a birth of 0"));
    }
    if ino <= InodeNo::ROOT {
        return Err(id.damaged("names the root or no inode"));
    }
    Ok(Dentry { kind, ino, born })
}

/// Guesses the content of a damaged value, for a repair that has other evidence too.
pub(crate) fn guess(value: &[u8]) -> Option<Dentry> {
    let (kind, ino) = value.get(FRAME_BYTES..FRAME_BYTES + 9)?.split_first()?;
    let ino = InodeNo(u64::from_be_bytes(ino.try_into().ok()?));
    // An entry without a birth is in every listing.
    Some(Dentry::new(Kind::from_byte(*kind)?, ino)).filter(|_| ino > InodeNo::ROOT)
}

/// Returns whether this file system could have stored such a name.
pub(crate) fn is_storable_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= MAX_NAME_BYTES
        && name != "."
        && name != ".."
        && !name.bytes().any(|byte| byte == 0 || byte == b'/')
}

#[cfg(test)]
mod tests {
    use super::super::{begin, seal};
    use super::*;

    #[test]
    fn an_entry_survives_encoding_and_never_names_the_root() {
        for (ino, good) in [(2, true), (1, false), (0, false)] {
            let dentry = Dentry { kind: Kind::Symlink, ino: InodeNo(ino), born: 9 };
            let mut value = Vec::new();
            encode(dentry, b"k", &mut value);
            assert_eq!(value.len(), FRAME_BYTES + 17);
            assert_eq!(decode(b"k", InodeNo(1), &value).ok(), good.then_some(dentry));
        }
    }

    #[test]
    fn an_entry_of_format_minor_0_is_older_than_any_listing() {
        let mut value = Vec::new();
        begin(&mut value);
        value.extend_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0, 7]);
        seal(b"k", tag::DENTRY, &mut value);
        let expected = Dentry { kind: Kind::File, ino: InodeNo(7), born: 0 };
        assert_eq!(decode(b"k", InodeNo(1), &value).unwrap(), expected);
        value.push(0);
        seal(b"k", tag::DENTRY, &mut value);
        assert!(decode(b"k", InodeNo(1), &value).is_err());
    }
}
