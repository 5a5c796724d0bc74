//! The hidden parts of keys, and the places of entries in the store below.
//!
//! This is all that a sealed store knows of what lies in it: the keys of `FORMAT.md`. Any other key
//! works too and stays as it is.

use kvfs_contract::successor;

/// The key of the store's header. A store that has it is sealed.
pub const STORE_HEADER_KEY: &[u8] = b"\x00kvfs-sealed";

/// The form of sealed values that this program writes and knows.
pub(crate) const FORM: u8 = 1;

/// Bytes that sealing adds: the form, a nonce (24) and a tag (16).
pub(crate) const SEAL_OVERHEAD: usize = 1 + 24 + 16;

/// First byte of the key of a prefix's header.
pub(crate) const PREFIX_HEADERS: u8 = 1;

/// First byte of the stored key of an entry.
pub(crate) const ENTRIES: u8 = 2;

/// Where the entries end.
pub(crate) const ENTRIES_END: &[u8] = &[ENTRIES + 1];

/// Bytes in the place of a hidden name.
pub const NAME_TAG_BYTES: usize = 16;

/// The tag of directory entries.
const DENTRY: u8 = 0x11;

/// The bytes that a stored key may have more than the caller's: [`ENTRIES`], and the tag of a name
/// that is shorter.
pub(crate) const KEY_OVERHEAD: u32 = 1 + NAME_TAG_BYTES as u32;

/// The prefix of a key: the length of a volume's name and the name. Empty for keys of other forms.
pub(crate) fn prefix(key: &[u8]) -> &[u8] {
    match key.first() {
        Some(&length) if length > 0 => key.get(..1 + usize::from(length)).unwrap_or_default(),
        _ => &[],
    }
}

/// Splits the key of a directory entry into all before the name, its *group*, and the name, which
/// is not empty. Keys have the same group exactly if they name entries of one directory.
pub(crate) fn split(key: &[u8]) -> Option<(&[u8], &[u8])> {
    let prefix = prefix(key);
    if prefix.is_empty() || key.get(prefix.len()) != Some(&DENTRY) {
        return None;
    }
    let (group, name) = key.split_at_checked(prefix.len() + 1 + 8)?;
    (!name.is_empty()).then_some((group, name))
}

/// Returns the key under which an entry with an open key is stored; of a hidden one, the part
/// before the tag.
pub(crate) fn stored(key: &[u8]) -> Vec<u8> {
    let mut stored = Vec::with_capacity(1 + key.len() + NAME_TAG_BYTES);
    stored.push(ENTRIES);
    stored.extend_from_slice(key);
    stored
}

/// Returns the range in which the stored keys of a prefix lie. Keys with the empty prefix do not
/// lie together: the range is that of some of them.
pub(crate) fn stored_range(prefix: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let end = match &successor(prefix)[..] {
        _ if prefix.is_empty() => stored(&[1]),
        [] => ENTRIES_END.to_vec(),
        end => stored(end),
    };
    (stored(prefix), end)
}

/// Returns true if an entry below has the form of a prefix's key or of a sealed entry.
///
/// An open entry of a volume does not look so: where the second byte is one of its name, a length
/// that fits is a control character, and its value has a frame (`FORMAT.md`), which a sealed one
/// has with a chance of 2⁻²⁴.
pub(crate) fn looks_sealed(key: &[u8], value: &[u8]) -> bool {
    let frame = matches!(value.get(8..12), Some([1, _, 0, 0]));
    let sealed = value.len() >= SEAL_OVERHEAD && value[0] == FORM && !frame;
    match key {
        [PREFIX_HEADERS, rest @ ..] => prefix(rest) == rest && sealed,
        [ENTRIES, rest @ ..] => (rest.first() == Some(&0) || !prefix(rest).is_empty()) && sealed,
        _ => false,
    }
}

/// Writes a stored key for an error: what is text as text, the rest as hexadecimal digits.
pub(crate) fn show(stored: &[u8]) -> String {
    let mut text = String::new();
    for &byte in stored.iter().take(64) {
        match byte {
            b' '..=b'~' if byte != b'\\' => text.push(byte.into()),
            _ => text.push_str(&format!("\\{byte:02x}")),
        }
    }
    if stored.len() > 64 {
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_directory_entries_are_split_off_and_nothing_else_is() {
        let group = b"\x03app\x11\0\0\0\0\0\0\0\x07";
        let key = [&group[..], b"name"].concat();
        assert_eq!(split(&key), Some((&group[..], &b"name"[..])));
        assert_eq!(prefix(&key), b"\x03app");
        assert_eq!(split(group), None, "an empty name");
        for other in
            [&b""[..], b"\0", b"\x03ap", b"\x03app", b"\x03app\x10\0\0\0\0\0\0\0\x07name", b"\x03app\x11\0"]
        {
            assert_eq!(split(other), None, "{other:?}");
        }
        assert_eq!(prefix(b"\x03ap"), b"");
        assert_eq!(prefix(b"\0ap"), b"");
        assert_eq!(prefix(b"\x03app"), b"\x03app");
    }

    #[test]
    fn all_that_begins_with_a_group_lies_before_what_is_behind_it() {
        for group in [
            &b"\x01v\x11\0\0\0\0\0\0\0\x01"[..],
            b"\x01v\x11\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\xff\x11\xff",
        ] {
            let behind = successor(group);
            assert!([group, &[0xff; 300]].concat() < behind && group < &behind[..]);
        }
    }

    #[test]
    fn the_range_of_every_prefix_has_its_keys() {
        for prefix in [&b"\x01v"[..], b"\x01\xff", b"\xfe\xff", &[0xff; 256]] {
            let (start, end) = stored_range(prefix);
            for rest in [&b""[..], b"\0", b"\xff\xff"] {
                let key = stored(&[prefix, rest].concat());
                assert!(start <= key && key < end, "{prefix:?}");
            }
        }
        let (start, end) = stored_range(b"");
        assert!(start <= stored(b"\0odd") && stored(b"\0odd") < end && end < stored(b"\x01v"));
    }
}
