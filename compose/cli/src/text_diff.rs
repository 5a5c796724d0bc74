//! Compares two texts line by line.

use similar::{Algorithm, DiffOp, capture_diff_slices_deadline, group_diff_ops};
use std::ops::Range;
use std::time::{Duration, Instant};

/// Most bytes of a file that is compared line by line.
pub(crate) const MAX_TEXT_BYTES: u64 = 8 << 20;

/// Most lines of a file that is compared line by line: the comparison takes some 100 bytes for each.
pub(crate) const MAX_TEXT_LINES: usize = 500_000;

/// A zero byte this near to the start makes a file binary, as git has it.
const BINARY_WITHIN_BYTES: usize = 8000;

/// How long the shortest comparison is looked for. Afterwards a longer one is taken.
const MAX_COMPARING: Duration = Duration::from_secs(3);

/// Lines around changes, as `diff -u` has them.
pub(crate) const CONTEXT_LINES: usize = 3;

/// Returns whether bytes are not text: some zero is near their start.
pub(crate) fn is_binary(bytes: &[u8]) -> bool {
    bytes.iter().take(BINARY_WITHIN_BYTES).any(|byte| *byte == 0)
}

/// A part of a comparison: changes that are near to each other, and lines around them.
pub(crate) struct Hunk<'t> {
    /// Numbers of lines in the first text, from 0 on.
    before: Range<usize>,
    /// And in the second one.
    after: Range<usize>,
    pub(crate) lines: Vec<Line<'t>>,
}

/// A line of a hunk, with the line end that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line<'t> {
    pub(crate) side: Side,
    pub(crate) bytes: &'t [u8],
}

/// The texts that have a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Both,
    First,
    Second,
}

impl Side {
    /// The character in front of the line.
    pub(crate) fn mark(self) -> char {
        match self {
            Self::Both => ' ',
            Self::First => '-',
            Self::Second => '+',
        }
    }
}

impl Hunk<'_> {
    /// The line above the hunk, such as `@@ -1,3 +1,4 @@`.
    pub(crate) fn head(&self) -> String {
        format!("@@ -{} +{} @@", range(&self.before), range(&self.after))
    }
}

/// Writes a range of lines as POSIX has it: lines count from 1, and an empty range follows its line.
fn range(lines: &Range<usize>) -> String {
    match lines.len() {
        0 => format!("{},0", lines.start),
        1 => format!("{}", lines.start + 1),
        length => format!("{},{length}", lines.start + 1),
    }
}

/// Compares two texts. `None` if one has too many lines.
pub(crate) fn compare<'t>(before: &'t [u8], after: &'t [u8], context_lines: usize) -> Option<Vec<Hunk<'t>>> {
    let (before, after) = (lines(before)?, lines(after)?);
    let deadline = Some(Instant::now() + MAX_COMPARING);
    let ops = capture_diff_slices_deadline(Algorithm::Myers, &before, &after, deadline);
    let groups = group_diff_ops(ops, context_lines);
    Some(groups.iter().filter_map(|group| hunk(group, &before, &after)).collect())
}

fn lines(text: &[u8]) -> Option<Vec<&[u8]>> {
    let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').take(MAX_TEXT_LINES + 1).collect();
    (lines.len() <= MAX_TEXT_LINES).then_some(lines)
}

fn hunk<'t>(group: &[DiffOp], before: &[&'t [u8]], after: &[&'t [u8]]) -> Option<Hunk<'t>> {
    let (first, last) = (group.first()?, group.last()?);
    if group.iter().all(|op| matches!(op, DiffOp::Equal { .. })) {
        return None;
    }
    let mut lines = Vec::new();
    let mut add = |side, from: &[&'t [u8]], range: Range<usize>| {
        let range = from.get(range).unwrap_or_default();
        lines.extend(range.iter().map(|bytes| Line { side, bytes }));
    };
    for op in group {
        if matches!(op, DiffOp::Equal { .. }) {
            add(Side::Both, before, op.old_range());
        } else {
            add(Side::First, before, op.old_range());
            add(Side::Second, after, op.new_range());
        }
    }
    Some(Hunk {
        before: first.old_range().start..last.old_range().end,
        after: first.new_range().start..last.new_range().end,
        lines,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(before: &str, after: &str, context: usize) -> String {
        let mut text = String::new();
        for hunk in compare(before.as_bytes(), after.as_bytes(), context).unwrap() {
            text += &hunk.head();
            text.push('\n');
            for line in hunk.lines {
                text.push(line.side.mark());
                text += std::str::from_utf8(line.bytes).unwrap();
            }
        }
        text
    }

    #[test]
    fn hunks_count_lines_as_diff_does() {
        assert_eq!(shown("", "a\nb\n", 3), "@@ -0,0 +1,2 @@\n+a\n+b\n");
        assert_eq!(shown("a\n", "", 3), "@@ -1 +0,0 @@\n-a\n");
        assert_eq!(shown("a\nb\nc\n", "a\nB\nc\n", 1), "@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n");
        assert_eq!(shown("a\nb\n", "a\nx\nb\n", 0), "@@ -1,0 +2 @@\n+x\n");
        assert_eq!(shown("same\n", "same\n", 3), "");
        let far = |c: char| format!("{c}\n{}{c}\n", "=\n".repeat(20));
        assert_eq!(
            shown(&far('a'), &far('b'), 1),
            "@@ -1,2 +1,2 @@\n-a\n+b\n =\n@@ -21,2 +21,2 @@\n =\n-a\n+b\n"
        );
    }

    #[test]
    fn too_many_lines_are_not_compared() {
        let most = "\n".repeat(MAX_TEXT_LINES);
        assert!(compare(most.as_bytes(), most.as_bytes(), 3).is_some());
        let more = format!("{most}\n");
        assert!(compare(b"", more.as_bytes(), 3).is_none());
        assert!(compare(more.as_bytes(), b"", 3).is_none());
    }

    #[test]
    fn texts_with_nothing_in_common_are_compared_in_bounded_time() {
        let text = |c: char| (0..100_000).map(|n| format!("{c}{}\n", n * 7 % 100_003)).collect::<String>();
        let (before, after) = (text('a'), text('b'));
        let start = Instant::now();
        let hunks = compare(before.as_bytes(), after.as_bytes(), 3).unwrap();
        assert_eq!(hunks.iter().map(|hunk| hunk.lines.len()).sum::<usize>(), 200_000);
        assert!(start.elapsed() < MAX_COMPARING * 10, "{:?}", start.elapsed());
    }

    #[test]
    fn a_zero_makes_a_file_binary() {
        assert!(is_binary(b"a\0b") && !is_binary(b"a\xff\x80b") && !is_binary(b""));
    }
}
