//! A set of patterns as one automaton.

use super::parse::{self, PatternError};
use super::segment::Segment;
use crate::limits::MAX_PATTERN_NAMES;

/// The bits of a state that are positions. Those above are the number of the pattern that matches.
const POSITIONS: u128 = (1 << MAX_PATTERN_NAMES) - 1;

/// Patterns, numbered in the order in which they were added.
///
/// They are matched one name after the other: [`Patterns::start`] is the state of the root, and
/// [`Patterns::step`] leads from the state of a directory to that of a name in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Patterns {
    positions: Vec<Position>,
    start: u128,
    count: u8,
}

/// One name of a pattern: the next name of the path is compared with it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Position {
    /// The name's pattern; `None` for any number of names, but one at least.
    segment: Option<Segment>,
    /// Any names may stand before it, or none.
    skips: bool,
    is_last: bool,
    /// The pattern that it belongs to.
    pattern: u8,
}

/// The state of a set of patterns at a path: the pattern that matches it, and those that can match
/// paths below it.
///
/// Paths of equal states cannot be told apart by any pattern of the set, nor can what lies below
/// them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct PathState(u128);

impl PathState {
    /// The number of the last pattern that matches the path, the first of the set being 0.
    pub fn matched(self) -> Option<usize> {
        // The shift leaves eight bits.
        usize::from((self.0 >> MAX_PATTERN_NAMES) as u8).checked_sub(1)
    }

    /// Returns whether the same patterns match below two paths, name for name.
    pub fn same_below(self, other: Self) -> bool {
        self.0 & POSITIONS == other.0 & POSITIONS
    }
}

impl Patterns {
    /// Adds a pattern.
    ///
    /// A pattern is a path of names with slashes between them, from the root of a tree. A slash may
    /// come first.
    ///
    /// | in a name | matches |
    /// |---|---|
    /// | `*` | any characters, or none |
    /// | `?` | one character |
    /// | `[a-z]`, `[!a-z]` | one character that is in the class, or is not |
    /// | `{a,b}` | `a` or `b` |
    /// | `\*` | the character `*` |
    ///
    /// `**` as a whole name stands for any number of names, none included. At the end it stands for
    /// one at least: `dir/**` is everything below `dir` and not `dir` itself. Upper and lower case
    /// differ, and a leading `.` is a character like any other.
    ///
    /// # Errors
    /// [`PatternError`] for one that cannot be read, or if the set has more than
    /// [`crate::limits::MAX_PATTERN_NAMES`] names then. `**` counts as one at the end of a pattern,
    /// and as none elsewhere.
    pub fn add(&mut self, pattern: &str) -> Result<(), PatternError> {
        let items = parse::parse(pattern)?;
        let first = self.positions.len();
        if first + items.len() > MAX_PATTERN_NAMES as usize {
            let what = "all patterns of the set together have more than 120 names; write fewer";
            return Err(PatternError { at: 0, what });
        }
        self.start |= 1 << first;
        let last = items.len() - 1;
        let number = self.count;
        let positions = items.into_iter().enumerate().map(|(place, item)| Position {
            segment: item.segment,
            skips: item.skips,
            is_last: place == last,
            pattern: number,
        });
        self.positions.extend(positions);
        self.count += 1;
        Ok(())
    }

    /// The number of patterns.
    pub fn len(&self) -> usize {
        self.count.into()
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The state of the root. No pattern matches it.
    pub fn start(&self) -> PathState {
        PathState(self.start)
    }

    /// The state of a name in a directory.
    ///
    /// # Cost
    /// One comparison for each pattern that may match there. The name is compared character by
    /// character, and none twice.
    pub fn step(&self, directory: PathState, name: &str) -> PathState {
        let mut next = 0;
        let mut matched = 0;
        let mut left = directory.0 & POSITIONS;
        while left != 0 {
            let at = left.trailing_zeros() as usize;
            let bit = left & left.wrapping_neg();
            left ^= bit;
            let Some(position) = self.positions.get(at) else { break };
            let is_match = match &position.segment {
                Some(segment) => segment.matches(name),
                None => true,
            };
            if position.skips || position.segment.is_none() {
                next |= bit;
            }
            if is_match && position.is_last {
                // The positions of later patterns are higher.
                matched = position.pattern + 1;
            } else if is_match {
                next |= bit << 1;
            }
        }
        PathState(next | u128::from(matched) << MAX_PATTERN_NAMES)
    }

    /// The state of a path below the root, of plain names with slashes between them.
    pub fn walk(&self, path: &str) -> PathState {
        let names = path.split('/').filter(|name| !name.is_empty());
        names.fold(self.start(), |state, name| self.step(state, name))
    }
}
