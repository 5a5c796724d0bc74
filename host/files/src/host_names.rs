//! Names of the host that are not UTF-8, in a volume, whose names are.
//!
//! Each byte of a name that is not part of UTF-8 becomes [`MARK`] and two digits, and each mark in such a
//! name becomes two marks, as rclone does it. `caf\xe9` is `caf‛E9` in a volume. A name that is UTF-8 stays
//! as it is, unless it would be read as such a name: its marks are doubled too. So every name of the host
//! has one name in a volume, every name of a volume one of the host, and no two become one.

use std::borrow::Cow;

/// Starts an escaped byte: a quotation mark that hardly any name has.
pub const MARK: char = '\u{201b}';

/// Returns the name in a volume of a name of the host. It is up to five times as long.
///
/// ```
/// use kvfs_files::{host_name, volume_name};
///
/// assert_eq!(volume_name(b"plain"), "plain");
/// assert_eq!(volume_name(b"caf\xe9"), "caf\u{201b}E9");
/// assert_eq!(&*host_name("caf\u{201b}E9"), b"caf\xe9");
/// ```
pub fn volume_name(host: &[u8]) -> Cow<'_, str> {
    match str::from_utf8(host) {
        Ok(name) if unescaped(name).is_none() => Cow::Borrowed(name),
        _ => Cow::Owned(escape(host)),
    }
}

/// Returns the name of the host of a name in a volume: bytes that are not UTF-8 where [`volume_name`] has
/// escaped some, else the name itself.
///
/// No byte below 128 comes of an escape, so neither a slash nor a zero byte does.
pub fn host_name(volume: &str) -> Cow<'_, [u8]> {
    unescaped(volume).map_or(Cow::Borrowed(volume.as_bytes()), Cow::Owned)
}

/// As [`volume_name`], for each name of a path or of the target of a link.
pub(crate) fn volume_path(host: &[u8]) -> Cow<'_, str> {
    if let Ok(path) = str::from_utf8(host)
        && !path.contains(MARK)
    {
        return Cow::Borrowed(path);
    }
    let names: Vec<_> = host.split(|byte| *byte == b'/').map(volume_name).collect();
    Cow::Owned(names.join("/"))
}

/// As [`host_name`], for each name of a path or of the target of a link.
pub(crate) fn host_path(volume: &str) -> Cow<'_, [u8]> {
    if !volume.contains(MARK) {
        return Cow::Borrowed(volume.as_bytes());
    }
    let names: Vec<_> = volume.split('/').map(host_name).collect();
    Cow::Owned(names.join(&b'/'))
}

fn escape(host: &[u8]) -> String {
    let mut name = String::with_capacity(host.len() * 2);
    for chunk in host.utf8_chunks() {
        for c in chunk.valid().chars() {
            name.push(c);
            if c == MARK {
                name.push(c);
            }
        }
        name.extend(chunk.invalid().iter().map(|byte| format!("{MARK}{byte:02X}")));
    }
    name
}

/// Returns the bytes of an escaped name; `None` if [`volume_name`] makes it of no name but itself.
fn unescaped(name: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(name.len());
    let mut parts = name.split(MARK);
    bytes.extend(parts.next()?.bytes());
    let mut is_plain = true;
    while let Some(part) = parts.next() {
        is_plain = false;
        if part.is_empty() {
            // Two marks, or one at the end.
            bytes.extend(MARK.encode_utf8(&mut [0; 4]).bytes());
            bytes.extend(parts.next()?.bytes());
        } else {
            let digits = part.get(..2).filter(|digits| !digits.starts_with('+'))?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            bytes.extend(part.get(2..)?.bytes());
        }
    }
    if is_plain || escape(&bytes) != name {
        return None;
    }
    // Each turn halves the marks, so there are few.
    let is_needed = match str::from_utf8(&bytes) {
        Ok(inner) => unescaped(inner).is_some(),
        Err(_) => true,
    };
    is_needed.then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_escaped_only_where_they_must_be() {
        for (host, volume) in [
            (&b"plain"[..], "plain"),
            ("é\u{1f600}".as_bytes(), "é\u{1f600}"),
            (b"caf\xe9.txt", "caf‛E9.txt"),
            (b"\xff\xfe", "‛FF‛FE"),
            // A character that is cut, and one for a surrogate.
            (b"\xe2\x80", "‛E2‛80"),
            (b"\xed\xa0\x80", "‛ED‛A0‛80"),
            ("it‛s".as_bytes(), "it‛s"),
            ("‛".as_bytes(), "‛"),
            ("‛‛".as_bytes(), "‛‛"),
            ("‛2F".as_bytes(), "‛2F"),
            ("‛ff".as_bytes(), "‛ff"),
            ("‛+F".as_bytes(), "‛+F"),
            // Digits of bytes that are UTF-8 are no escape.
            ("‛C3‛A9".as_bytes(), "‛C3‛A9"),
            // What would be read as an escape is one itself, and so on.
            ("‛FF".as_bytes(), "‛‛FF"),
            ("‛‛FF".as_bytes(), "‛‛‛‛FF"),
            (b"\xff\xe2\x80\x9bFF", "‛FF‛‛FF"),
        ] {
            assert_eq!(volume_name(host), volume, "{}", host.escape_ascii());
            assert_eq!(*host_name(volume), *host, "{volume}");
        }
        assert_eq!(volume_path(b"a/\xff/b"), "a/‛FF/b");
        assert_eq!(*host_path("/a/‛FF/"), *b"/a/\xff/");
    }

    /// All names of up to six pieces, each of which matters.
    #[test]
    fn every_name_has_its_own_on_the_other_side_and_comes_back() {
        let pieces: [&[u8]; 7] = [b"", MARK_BYTES, b"F", b"FF", b"\xff", b"\xe2", b"\x80\x9b"];
        let mut hosts: HashSet<Vec<u8>> = HashSet::from([Vec::new()]);
        for _ in 0..6 {
            hosts = hosts.iter().flat_map(|name| pieces.map(|piece| [name, piece].concat())).collect();
        }
        assert!(hosts.len() > 30_000, "{}", hosts.len());
        let mut volumes = HashSet::new();
        for host in &hosts {
            let volume = volume_name(host).into_owned();
            assert_eq!(*host_name(&volume), **host, "{volume}");
            assert!(volumes.insert(volume), "{} is not the only one", host.escape_ascii());
            // The same name, written by a guest.
            if let Ok(name) = str::from_utf8(host) {
                assert_eq!(volume_name(&host_name(name)), name);
            }
        }
    }

    const MARK_BYTES: &[u8] = "\u{201b}".as_bytes();
}
