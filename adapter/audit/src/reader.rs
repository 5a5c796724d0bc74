//! Reads the records of runs as lines.

use crate::key::{Key, RunId};
use crate::log::MAX_LINE_BYTES;
use crate::record::Record;

/// An item of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Found<'a> {
    /// A line, without its end: a flat JSON object that is safe to show on a terminal.
    Line(&'a str),
    /// Records of a run are missing: from the first number, and before the second.
    Missing {
        /// The run.
        run: RunId,
        /// The first missing place.
        from: u64,
        /// The first place behind that is there.
        to: u64,
    },
    /// A record that cannot be read: it is damaged, or not written by the file system.
    Damaged(Key),
    /// Bytes that are no line: it is cut, or not written by the file system.
    NoLine(Key),
}

/// Reads records, run by run and each run in order.
///
/// Records are not trusted: a line that comes out of here has the form of a line of the log.
#[derive(Clone, Debug, Default)]
pub struct Reader {
    /// The place that comes next.
    next: Option<Key>,
    /// The start of a line that goes on in the next record.
    part: Vec<u8>,
}

impl Reader {
    /// Starts before the first record of a run.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts at a record in the middle of a run: those before are not missed.
    pub fn starting_at(key: Key) -> Self {
        Self { next: Some(key), part: Vec::new() }
    }

    /// Returns the place of the record that comes next; 0 before the first.
    pub fn next_seq(&self) -> u64 {
        self.next.map_or(0, |key| key.seq)
    }

    /// Reads the next record.
    pub fn record(&mut self, key: Key, value: &[u8], tell: &mut dyn FnMut(Found<'_>)) {
        let expected = match self.next {
            Some(next) if next.run == key.run => next.seq,
            _ => {
                self.end(tell);
                0
            }
        };
        if key.seq != expected {
            self.drop_part(key, tell);
            tell(Found::Missing { run: key.run, from: expected, to: key.seq });
        }
        self.next = Some(Key { seq: key.seq.saturating_add(1), ..key });
        let Some(record) = Record::read(key, value) else {
            self.drop_part(key, tell);
            return tell(Found::Damaged(key));
        };
        let mut lines = record.lines;
        if !record.continues {
            self.drop_part(key, tell);
        } else if self.part.is_empty() {
            // Its start is lost, with the record before.
            let end = lines.iter().position(|byte| *byte == b'\n').map_or(lines.len(), |at| at + 1);
            lines = lines.get(end..).unwrap_or_default();
            tell(Found::NoLine(key));
        }
        for piece in lines.split_inclusive(|byte| *byte == b'\n') {
            self.part.extend_from_slice(piece);
            if let Some(line) = self.part.strip_suffix(b"\n") {
                match std::str::from_utf8(line) {
                    Ok(text) if line.len() <= MAX_LINE_BYTES && is_line(text) => tell(Found::Line(text)),
                    _ => tell(Found::NoLine(key)),
                }
                self.part.clear();
            } else if self.part.len() > MAX_LINE_BYTES {
                self.drop_part(key, tell);
            }
        }
    }

    /// Ends the last run: tells of a line that has no end.
    pub fn end(&mut self, tell: &mut dyn FnMut(Found<'_>)) {
        if let Some(key) = self.next.take() {
            self.drop_part(Key { seq: key.seq.saturating_sub(1), ..key }, tell);
        }
    }

    fn drop_part(&mut self, key: Key, tell: &mut dyn FnMut(Found<'_>)) {
        if !self.part.is_empty() {
            self.part.clear();
            tell(Found::NoLine(key));
        }
    }
}

/// Returns whether text is a flat JSON object of texts, numbers and `true`, as [`Line`] writes it.
///
/// [`Line`]: crate::Line
fn is_line(text: &str) -> bool {
    let inner = text.strip_prefix('{').and_then(|text| text.strip_suffix('}'));
    let Some(mut rest) = inner else { return false };
    loop {
        let Some(after) = string(rest).and_then(|rest| rest.strip_prefix(':')) else { return false };
        let digits = after.len() - after.trim_start_matches(|char: char| char.is_ascii_digit()).len();
        let after = match digits {
            // JSON has no number with a zero before it.
            2..=20 if after.starts_with('0') => None,
            1..=20 => after.get(digits..),
            0 => after.strip_prefix("true").or_else(|| string(after)),
            _ => None,
        };
        match after {
            Some("") => return true,
            Some(more) => match more.strip_prefix(',') {
                Some(more) => rest = more,
                None => return false,
            },
            None => return false,
        }
    }
}

/// Returns what is behind a JSON string that `push_escaped` may have written.
fn string(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('"')?;
    let mut chars = inner.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return inner.get(at + 1..),
            '\\' => match chars.next()?.1 {
                '"' | '\\' | 'n' | 'r' | 't' => {}
                'u' => {
                    for _ in 0..4 {
                        chars.next().filter(|(_, digit)| digit.is_ascii_hexdigit())?;
                    }
                }
                _ => return None,
            },
            char if crate::escape::is_hidden(char) => return None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Level, Log, Settings, Time, record};

    fn records(lines: &[u8], max_value_bytes: usize) -> Vec<(Key, Vec<u8>)> {
        let run = RunId::new(1, 0);
        let (mut rest, mut continues, mut made) = (lines, false, Vec::new());
        while !rest.is_empty() {
            let (head, tail) = rest.split_at(record::next_bytes(rest, max_value_bytes));
            let key = Key { run, seq: made.len() as u64 };
            let mut value = Vec::new();
            Record { continues, lines: head }.write(key, &mut value);
            assert!(value.len() <= max_value_bytes);
            made.push((key, value));
            (rest, continues) = (tail, !head.ends_with(b"\n"));
        }
        made
    }

    fn read(records: &[(Key, Vec<u8>)]) -> (Vec<String>, Vec<String>) {
        let (mut lines, mut other) = (Vec::new(), Vec::new());
        let mut tell = |found: Found<'_>| match found {
            Found::Line(line) => lines.push(line.to_owned()),
            found => other.push(format!("{found:?}")),
        };
        let mut reader = Reader::new();
        records.iter().for_each(|(key, value)| reader.record(*key, value, &mut tell));
        reader.end(&mut tell);
        (lines, other)
    }

    fn some_lines() -> Vec<u8> {
        let mut log = Log::new(&Settings::new(Level::All));
        for number in 0..20 {
            let mut line = log.begin("stat-at", Time::default()).unwrap();
            line.number("fd", number);
            line.path("path", "/", &format!("{}\"\\\n\u{202e}", "x".repeat(number as usize * 50)));
            line.flag("cut");
            line.words("flags", ["read", "write"]);
            line.end("no-entry");
        }
        log.lines().to_vec()
    }

    #[test]
    fn all_lines_come_back_from_records_of_any_size() {
        let lines = some_lines();
        let expected: Vec<String> =
            String::from_utf8(lines.clone()).unwrap().lines().map(Into::into).collect();
        for size in [32, 640, 4096, 1 << 20] {
            let (read, other) = read(&records(&lines, size));
            assert_eq!((read, other), (expected.clone(), vec![]), "{size}");
        }
    }

    #[test]
    fn a_lost_or_damaged_record_is_told_and_all_other_lines_come() {
        let lines = some_lines();
        for size in [64, 640] {
            for at in 0..records(&lines, size).len() {
                let mut cut = records(&lines, size);
                let all = read(&cut).0.len();
                cut[at].1[9] ^= 1;
                let (read_lines, other) = read(&cut);
                assert!(other.iter().any(|found| found.starts_with("Damaged")), "{other:?}");
                assert!(read_lines.len() < all);
                let last = at + 1 == cut.len();
                cut.remove(at);
                let (read_lines, other) = read(&cut);
                let tells = |what: &str| other.iter().any(|found| found.starts_with(what));
                // What is missing at the end can be seen only in a line that is cut.
                assert!(tells("Missing") || last, "{other:?}");
                assert!(read_lines.len() < all);
                assert!(read_lines.iter().all(|line| is_line(line)));
            }
        }
    }

    #[test]
    fn only_lines_of_the_form_of_ours_come_out() {
        for good in [
            "{\"a\":1}",
            "{\"a\":0}",
            "{\"a\":\"\\u001b\",\"b\":true}",
            "{\"lost\":18446744073709551615,\"first\":1}",
        ] {
            assert!(is_line(good), "{good}");
            serde_json::from_str::<serde_json::Value>(good).unwrap();
        }
        for bad in [
            "",
            "{}",
            "{",
            "}",
            "[]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{\"a\":1}{\"b\":2}",
            "{\"a\":{}}",
            "{\"a\":\"\u{1b}[2J\"}",
            "{\"a\":\"\u{202e}\"}",
            "{\"a\":\"\\x\"}",
            "{\"a\":\"\\u00g0\"}",
            "{\"a\":-1}",
            "{\"a\":007}",
            "{\"a\":123456789012345678901}",
            "{\"a\":1 }",
            " {\"a\":1}",
            "{\"a\":\"b\"c\"}",
        ] {
            assert!(!is_line(bad), "{bad}");
        }
        let long = format!("{{\"a\":\"{}\"}}\n", "x".repeat(MAX_LINE_BYTES));
        let (lines, other) = read(&records(long.as_bytes(), 640));
        assert!(lines.is_empty(), "a line without a bound");
        assert!(!other.is_empty());
    }
}
