//! The lines that a program prints, one an operation.
//!
//! `NAME \t COUNT \t NANOSECONDS`: how often the operation ran, and how long all of them took
//! together. The third number of a line whose name begins with `@` is bytes of memory instead. A
//! contender of one's own prints the same lines.

use anyhow::{Context, Result, ensure};

/// Stands in front of the name of a line that tells bytes.
pub const BYTES_MARK: char = '@';

/// The peak of the instance's memories and tables together.
pub const INSTANCE_MEMORY: &str = "@instance, peak";
/// The peak of the whole process: the host, a store in memory, and the instance.
pub const PROCESS_MEMORY: &str = "@process, peak";
/// What the process took before the program began.
pub const PROCESS_BEFORE: &str = "@process, before";
/// The time that instantiation takes, with the linker ready.
pub const INSTANTIATION: &str = "instantiation";
/// The time to open the store.
pub const OPENING: &str = "opening the store";

/// Longest name of an operation.
const MAX_NAME_CHARS: usize = 60;
/// Most lines of one run.
const MAX_LINES: usize = 10_000;

/// A line.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// The operation, with its mark.
    pub name: String,
    /// How many operations.
    pub count: u64,
    /// Nanoseconds for all of them, or bytes.
    pub amount: u64,
}

impl Line {
    /// Returns whether the amount is bytes of memory.
    pub fn is_memory(&self) -> bool {
        self.name.starts_with(BYTES_MARK)
    }

    /// Returns microseconds per operation, or bytes.
    pub fn value(&self) -> f64 {
        if self.is_memory() { self.amount as f64 } else { self.amount as f64 / 1e3 / self.count as f64 }
    }
}

/// Reads the lines that a program has printed.
///
/// # Errors
/// A line that is none, with its text; no line at all; or far too many.
pub fn parse(text: &str) -> Result<Vec<Line>> {
    let lines = text.lines().take(MAX_LINES + 1).map(|line| {
        parse_line(line).with_context(|| format!("this is no line of `name TAB count TAB number`: {line:?}"))
    });
    let lines = lines.collect::<Result<Vec<_>>>()?;
    ensure!(!lines.is_empty(), "the program printed nothing");
    ensure!(lines.len() <= MAX_LINES, "the program printed more than {MAX_LINES} lines");
    Ok(lines)
}

fn parse_line(line: &str) -> Option<Line> {
    let mut parts = line.split('\t');
    let (name, count, amount) = (parts.next()?, parts.next()?, parts.next()?);
    let line = Line { name: name.to_owned(), count: count.parse().ok()?, amount: amount.parse().ok()? };
    let named = !name.is_empty() && name.chars().count() <= MAX_NAME_CHARS;
    (parts.next().is_none() && named && line.count > 0).then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_anything_else_is_an_error() {
        let lines = parse("stat\t4\t8000\n@process, peak\t1\t4096\n").unwrap();
        assert_eq!(lines.iter().map(Line::value).collect::<Vec<_>>(), [2.0, 4096.0]);
        assert_eq!((lines[0].is_memory(), lines[1].is_memory()), (false, true));
        let long = format!("{}\t1\t1", "x".repeat(MAX_NAME_CHARS + 1));
        for bad in ["", "stat\t4", "stat\t0\t5", "\t1\t1", "stat\t4\t8\t9", "stat\t-1\t8", "hello", &long] {
            let error = parse(bad).unwrap_err().to_string();
            assert!(bad.is_empty() || error.contains(&format!("{bad:?}")), "{error}");
        }
        assert!(parse(&"stat\t1\t1\n".repeat(MAX_LINES + 1)).is_err());
    }
}
