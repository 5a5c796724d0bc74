//! What an extended header says of the entry behind it.

use super::sparse::Sparse;
use kvfs::Timestamp;
use std::io::Read;
use tar::Entry;

/// Those of its records that a tree takes.
#[derive(Default)]
pub(super) struct Extended {
    /// When the file was changed last, to the nanosecond.
    pub(super) modified: Option<Timestamp>,
    pub(super) sparse: Sparse,
    /// A file of this directory that an incremental archive left out.
    pub(super) left_out: Option<String>,
}

impl Extended {
    /// Reads the extended header of an entry, if it has one.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(super) fn of(entry: &mut Entry<'_, impl Read>) -> Result<Self, String> {
        let mut extended = Self::default();
        let records = entry.pax_extensions().map_err(|error| error.to_string())?;
        for record in records.into_iter().flatten() {
            let record = record.map_err(|error| error.to_string())?;
            let (Ok(key), value) = (record.key(), record.value_bytes()) else { continue };
            match key {
                "mtime" => {
                    let time = str::from_utf8(value).ok().and_then(parse_time);
                    let wrong = || format!("`{}` is no time", value.escape_ascii());
                    extended.modified = Some(time.ok_or_else(wrong)?);
                }
                "GNU.dumpdir" => extended.left_out = left_out(value),
                _ => extended.sparse.take(key, value)?,
            }
        }
        Ok(extended)
    }
}

/// Finds, in the list of a directory that an incremental archive has, a file that it left out for not having
/// changed. The list has a letter and a name for each, with a zero byte behind it.
pub(super) fn left_out(list: &[u8]) -> Option<String> {
    let name = list.split(|byte| *byte == 0).find_map(|item| item.strip_prefix(b"N"))?;
    Some(String::from_utf8_lossy(name).into_owned())
}

/// Reads the seconds of an extended header, such as `1700000000.25` or `-1.5`.
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
}
