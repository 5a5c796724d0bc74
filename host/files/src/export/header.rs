//! Headers of entries of a tar, in POSIX's format (pax).

use kvfs::Timestamp;
use std::io::Write;
use std::ops::Range;
use tar::{Builder, EntryType, Header};

/// Bytes of a name that fit a header.
const NAME_BYTES: usize = 100;

/// Largest time and size that a header has digits for.
const MAX_DIGITS: u64 = 0o77_777_777_777;

/// An entry of a tar. What does not fit its header goes to an extended one before it.
pub(super) struct Head {
    header: Header,
    records: Vec<(&'static str, Vec<u8>)>,
}

impl Head {
    pub(super) fn new(kind: EntryType, path: &[u8], modified: Timestamp) -> Self {
        let mut head = Self { header: Header::new_ustar(), records: Vec::new() };
        head.header.set_entry_type(kind);
        head.header.set_mode(match kind {
            EntryType::Directory => 0o755,
            EntryType::Symlink => 0o777,
            _ => 0o644,
        });
        head.header.set_uid(0);
        head.header.set_gid(0);
        head.header.set_size(0);
        head.name(path);
        let seconds = u64::try_from(modified.seconds).unwrap_or_default().min(MAX_DIGITS);
        head.header.set_mtime(seconds);
        if modified != (Timestamp { seconds: seconds as i64, nanoseconds: 0 }) {
            head.records.push(("mtime", time(modified).into_bytes()));
        }
        head
    }

    fn name(&mut self, path: &[u8]) {
        let fits = path.len() <= NAME_BYTES;
        if !fits {
            self.records.push(("path", path.into()));
        }
        put(&mut self.header.as_old_mut().name, path);
    }

    /// Sets the target of a link.
    pub(super) fn target(&mut self, target: &[u8]) {
        if target.len() > NAME_BYTES {
            self.records.push(("linkpath", target.into()));
        }
        put(&mut self.header.as_old_mut().linkname, target);
    }

    /// Sets the bytes of the data.
    pub(super) fn size(&mut self, bytes: u64) {
        self.header.set_size(bytes.min(MAX_DIGITS));
        if bytes > MAX_DIGITS {
            self.records.push(("size", bytes.to_string().into_bytes()));
        }
    }

    /// Makes it a file with holes, in format 1.0 of GNU tar. Returns the map that comes before the data.
    pub(super) fn parts(&mut self, path: &[u8], size_bytes: u64, parts: &[Range<u64>]) -> Vec<u8> {
        self.records.retain(|(key, _)| *key != "path");
        for (key, value) in [
            ("GNU.sparse.major", &b"1"[..]),
            ("GNU.sparse.minor", b"0"),
            ("GNU.sparse.name", path),
            ("GNU.sparse.realsize", size_bytes.to_string().as_bytes()),
        ] {
            self.records.push((key, value.into()));
        }
        // Programs that know no holes unpack the map and the data under another name.
        let mut name = [b"GNUSparseFile.0/", path].concat();
        // No character is cut in two.
        let is_inside = |end: usize| name.get(end).is_some_and(|byte| matches!(byte, 0x80..0xc0));
        let end = (0..=NAME_BYTES.min(name.len())).rev().find(|end| !is_inside(*end));
        name.truncate(end.unwrap_or_default());
        self.header.as_old_mut().name = [0; NAME_BYTES];
        put(&mut self.header.as_old_mut().name, &name);
        // The end of the file, if a hole is there, is told by a part without bytes.
        let end = parts.last().map_or(0, |part| part.end);
        let all = parts.iter().cloned().chain((end < size_bytes).then_some(size_bytes..size_bytes));
        let all: Vec<_> = all.map(|part| format!("{}\n{}\n", part.start, part.end - part.start)).collect();
        let mut map = format!("{}\n{}", all.len(), all.concat()).into_bytes();
        map.resize(map.len().next_multiple_of(512), 0);
        let data: u64 = parts.iter().map(|part| part.end - part.start).sum();
        self.size(map.len() as u64 + data);
        map
    }

    /// Writes the headers, and the data that `from` gives.
    pub(super) fn write(
        mut self,
        archive: &mut Builder<impl Write>,
        from: impl std::io::Read,
    ) -> std::io::Result<()> {
        if !self.records.is_empty() {
            let records = self.records.iter().map(|(key, value)| (*key, value.as_slice()));
            archive.append_pax_extensions(records)?;
        }
        self.header.set_cksum();
        archive.append(&self.header, from)
    }
}

/// Puts as much of a text as fits into a field, which ends at a zero byte if it is shorter.
fn put(field: &mut [u8; NAME_BYTES], text: &[u8]) {
    for (place, byte) in field.iter_mut().zip(text) {
        *place = *byte;
    }
}

/// Writes a time as seconds with a fraction, such as `-0.5` for half a second before 1970.
fn time(time: Timestamp) -> String {
    let Timestamp { seconds, nanoseconds } = time;
    let (sign, whole, part) = match (seconds < 0, nanoseconds) {
        (true, 0) => ("-", seconds.unsigned_abs(), 0),
        (true, part) => ("-", seconds.unsigned_abs() - 1, 1_000_000_000 - part.min(999_999_999)),
        (false, part) => ("", seconds.unsigned_abs(), part.min(999_999_999)),
    };
    match part {
        0 => format!("{sign}{whole}"),
        part => format!("{sign}{whole}.{part:09}").trim_end_matches('0').to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_they_are_read() {
        for (seconds, nanoseconds, text) in [
            (0, 0, "0"),
            (1_700_000_000, 250_000_000, "1700000000.25"),
            (-1, 500_000_000, "-0.5"),
            (-2, 500_000_000, "-1.5"),
            (-2, 0, "-2"),
            (i64::MIN, 1, "-9223372036854775807.999999999"),
            (i64::MAX, 1, "9223372036854775807.000000001"),
        ] {
            assert_eq!(time(Timestamp { seconds, nanoseconds }), text);
        }
    }
}
