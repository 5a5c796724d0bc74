//! Records of extended headers, about one entry or about all that follow.

use crate::sparse::Sparse;
use kvfs::Timestamp;
use kvfs::limits::MAX_PATH_BYTES;

/// A key and a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    key: String,
    value: Vec<u8>,
}

/// Parses an extended header. Each record has its length, a space, a key, `=`, a value and a line
/// feed; a value may contain line feeds too.
///
/// # Errors
///
/// Says what is wrong with it.
pub(crate) fn parse(mut bytes: &[u8]) -> Result<Vec<Record>, String> {
    let mut records = Vec::new();
    // Some programs pad it with zeros.
    while bytes.first().is_some_and(|byte| *byte != 0) {
        let (record, rest) = first(bytes).ok_or("an extended header has a record that cannot be read")?;
        records.extend(record);
        bytes = rest;
    }
    Ok(records)
}

/// Parses the first record. A record whose key is no text is left out.
fn first(bytes: &[u8]) -> Option<(Option<Record>, &[u8])> {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = bytes.iter().position(|byte| !is_blank(byte))?;
    let digits = bytes[start..].iter().position(|byte| !byte.is_ascii_digit())?;
    let length: usize = str::from_utf8(&bytes[start..start + digits]).ok()?.parse().ok()?;
    let (record, rest) = bytes.split_at_checked(length)?;
    let text = record.get(start + digits..)?.strip_suffix(b"\n")?;
    let blanks = text.iter().position(|byte| !is_blank(byte)).filter(|blanks| *blanks > 0)?;
    let text = &text[blanks..];
    let equals = text.iter().position(|byte| *byte == b'=')?;
    let key = str::from_utf8(&text[..equals]).ok();
    let value = text[equals + 1..].to_owned();
    Some((key.map(|key| Record { key: key.to_owned(), value }), rest))
}

/// The records about an entry, as far as a tree uses them.
#[derive(Default)]
pub(crate) struct EntryRecords {
    pub(crate) path: Option<Vec<u8>>,
    pub(crate) target: Option<Vec<u8>>,
    /// Bytes of its data in the archive.
    pub(crate) size_bytes: Option<u64>,
    /// The time of modification, to the nanosecond.
    pub(crate) modified: Option<Timestamp>,
    pub(crate) sparse: Sparse,
    /// A file in this directory that an incremental archive left out.
    pub(crate) left_out: Option<String>,
    /// There are extended attributes.
    pub(crate) has_attributes: bool,
}

impl EntryRecords {
    /// Reads the records about all entries, then those about this one. Of two records with one key,
    /// the last one counts.
    ///
    /// # Errors
    ///
    /// Says what is wrong with a value.
    pub(crate) fn by<'r>(records: impl IntoIterator<Item = &'r Record>) -> Result<Self, String> {
        let mut said = Self::default();
        for Record { key, value } in records {
            let wrong = |what: &str| format!("`{key}={}` is not a {what}", value.escape_ascii());
            let text = str::from_utf8(value).ok();
            match key.as_str() {
                "path" => said.path = Some(value.clone()),
                "linkpath" => said.target = Some(value.clone()),
                "size" => {
                    let size = text.and_then(|text| text.parse().ok());
                    said.size_bytes = Some(size.ok_or_else(|| wrong("size"))?);
                }
                "mtime" => {
                    let time = text.and_then(parse_time);
                    said.modified = Some(time.ok_or_else(|| wrong("time"))?);
                }
                "GNU.dumpdir" => said.left_out = left_out(value),
                _ if ATTRIBUTES.iter().any(|start| key.starts_with(start)) => said.has_attributes = true,
                _ => said.sparse.take(key, value)?,
            }
        }
        Ok(said)
    }
}

/// Starts of the keys of extended attributes, as different programs write them.
const ATTRIBUTES: [&str; 3] = ["SCHILY.xattr.", "LIBARCHIVE.xattr.", "SCHILY.acl."];

/// Keys of the records about an entry, except those about holes.
const KEYS: [&str; 5] = ["path", "linkpath", "size", "mtime", "GNU.dumpdir"];

/// Most bytes of a value about all entries. No path is longer.
const MAX_GLOBAL_VALUE_BYTES: usize = MAX_PATH_BYTES;

/// Keeps the records about all entries that count: of each known key the last one, or the first
/// wrong one, with which the entries then fail.
///
/// # Errors
///
/// Says that a value is longer than any valid one.
pub(crate) fn effective(records: Vec<Record>) -> Result<Vec<Record>, String> {
    let mut kept: Vec<Record> = Vec::new();
    for record in records.into_iter().filter(|record| KEYS.contains(&record.key.as_str())) {
        if record.value.len() > MAX_GLOBAL_VALUE_BYTES {
            let (key, length) = (&record.key, record.value.len());
            return Err(format!(
                "a global header has {length} bytes of `{key}`, and at most {MAX_GLOBAL_VALUE_BYTES} are read"
            ));
        }
        match kept.iter_mut().find(|known| known.key == record.key) {
            Some(known) if EntryRecords::by([&*known]).is_ok() => *known = record,
            Some(_) => {}
            None => kept.push(record),
        }
    }
    Ok(kept)
}

/// Says why records about all entries are not supported, if they are not.
pub(crate) fn refusal(global: &[Record]) -> Option<&'static str> {
    let has = |start: &str| global.iter().any(|record| record.key.starts_with(start));
    if has("GNU.volume.offset") {
        return Some("it is one part of an archive in several; put them together");
    }
    has("GNU.sparse.").then_some("a global header has holes, which are those of one file")
}

/// Finds a file that an incremental archive left out because it had not changed, in the archive's
/// list of a directory. The list has a letter, a name and a zero byte for each file.
pub fn left_out(list: &[u8]) -> Option<String> {
    let name = list.split(|byte| *byte == 0).find_map(|item| item.strip_prefix(b"N"))?;
    Some(String::from_utf8_lossy(name).into_owned())
}

/// Parses the seconds of an extended header, such as `1700000000.25` or `-1.5`.
fn parse_time(text: &str) -> Option<Timestamp> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = whole.parse().ok()?;
    if !part.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits: String = part.chars().chain(std::iter::repeat('0')).take(9).collect();
    let nanoseconds: u32 = digits.parse().ok()?;
    if nanoseconds == 0 || !whole.starts_with('-') {
        return Some(Timestamp { seconds, nanoseconds });
    }
    Some(Timestamp { seconds: seconds.checked_sub(1)?, nanoseconds: 1_000_000_000 - nanoseconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_records_about_all_entries_few_are_kept() {
        let record = |key: &str, value: &[u8]| Record { key: key.to_owned(), value: value.to_owned() };
        let mut records = vec![record("comment", b""); 100_000];
        records.extend((0..100_000).map(|time| record("mtime", format!("{time}").as_bytes())));
        records.extend(["path", "mtime", "linkpath"].map(|key| record(key, b"5")));
        records.push(record("size", b"many"));
        records.push(record("size", b"3"));
        let kept = effective(records).unwrap();
        let expected = [("mtime", "5"), ("path", "5"), ("linkpath", "5"), ("size", "many")]
            .map(|(k, v)| record(k, v.as_bytes()));
        assert_eq!(kept, expected);
        let long = record("path", &[b'a'; MAX_PATH_BYTES + 1]);
        assert!(effective(vec![long]).unwrap_err().contains("bytes of `path`"));
    }

    #[test]
    fn times_are_read_to_the_nanosecond_and_before_1970() {
        let time = |text| parse_time(text).map(|time| (time.seconds, time.nanoseconds));
        assert_eq!(time("1700000000"), Some((1_700_000_000, 0)));
        assert_eq!(time("1700000000.25"), Some((1_700_000_000, 250_000_000)));
        assert_eq!(time("1.1234567891"), Some((1, 123_456_789)));
        assert_eq!(time("-1.5"), Some((-2, 500_000_000)));
        assert_eq!(time("-0.5"), Some((-1, 500_000_000)));
        assert_eq!(time("-1"), Some((-1, 0)));
        for wrong in ["", "x", "1.x", "1.-1", "99999999999999999999"] {
            assert_eq!(time(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn records_are_taken_by_their_length() {
        let record = |key: &str, value: &str| Record { key: key.into(), value: value.into() };
        let parsed = |bytes: &[u8]| parse(bytes);
        assert_eq!(parsed(b""), Ok(vec![]));
        let two = [record("path", "a\nb"), record("mtime", "5")];
        assert_eq!(parsed(b"12 path=a\nb\n11 mtime=5\n\0\0"), Ok(two.to_vec()));
        assert_eq!(parsed(b" 13  path=a=\n"), Ok(vec![record("path", "a=")]));
        assert_eq!(parsed(b"6 \xff\xff=\n"), Ok(vec![]));
        for wrong in [
            &b"nonsense\n"[..],
            b"99 path=p\n",
            b"8 path=p\n",
            b"10 path=pp\n",
            b"9path=pp\n",
            b"8 path p\n",
            b"0 path=p\n",
            b"99999999999999999999999 path=p\n",
            b"2 path=p\n",
            b"12",
            b" ",
        ] {
            assert!(parsed(wrong).is_err(), "{}", wrong.escape_ascii());
        }
    }
}
