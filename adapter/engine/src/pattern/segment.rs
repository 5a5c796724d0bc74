//! The pattern of one name.

/// Most parts of a segment that is more than plain text: the parts that a name has reached are bits
/// of a `u128`, and one bit is the end.
pub(super) const MAX_SEGMENT_PARTS: usize = 127;

/// The pattern of one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Segment {
    /// This name alone.
    Text(Box<str>),
    /// Any name.
    Any,
    /// Any name with this start and this end, which do not overlap.
    Ends(Box<str>, Box<str>),
    /// Any name that these parts match, up to [`MAX_SEGMENT_PARTS`].
    Parts(Box<[Part]>),
}

/// A part of a pattern. Each but `Split` and `Jump` is followed by the next one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// This character.
    Char(char),
    /// Any character.
    One,
    /// Any characters, or none.
    Many,
    /// A character of these ranges, or with `negated` any other.
    Class { negated: bool, ranges: Box<[(char, char)]> },
    /// The next part, or the one with this number.
    Split(u8),
    /// The part with this number.
    Jump(u8),
}

impl Segment {
    /// Returns whether it matches a name. Takes at most as many steps as the name has characters,
    /// times the segment's parts.
    pub(super) fn matches(&self, name: &str) -> bool {
        match self {
            Self::Text(text) => text.len() == name.len() && starts_with(name, text),
            Self::Any => true,
            Self::Ends(start, end) => {
                let is_long_enough = name.len() >= start.len() + end.len();
                is_long_enough && starts_with(name, start) && ends_with(name, end)
            }
            Self::Parts(parts) => matches(parts, name),
        }
    }
}

// Nearly all comparisons fail at the first byte, for which a call of `memcmp` is dear. The caller
// has compared the lengths.
fn starts_with(name: &str, start: &str) -> bool {
    name.bytes().zip(start.bytes()).all(|(one, other)| one == other)
}

fn ends_with(name: &str, end: &str) -> bool {
    name.bytes().rev().zip(end.bytes().rev()).all(|(one, other)| one == other)
}

fn matches(parts: &[Part], name: &str) -> bool {
    let mut reached = 0;
    reach(parts, 0, &mut reached);
    for char in name.chars() {
        let mut next = 0;
        let mut left = reached;
        while left != 0 {
            let at = left.trailing_zeros() as usize;
            left &= left - 1;
            match parts.get(at) {
                Some(Part::Char(this)) if *this == char => reach(parts, at + 1, &mut next),
                Some(Part::One) => reach(parts, at + 1, &mut next),
                Some(Part::Many) => reach(parts, at, &mut next),
                Some(Part::Class { negated, ranges }) => {
                    let inside = ranges.iter().any(|(first, last)| (*first..=*last).contains(&char));
                    if inside != *negated {
                        reach(parts, at + 1, &mut next);
                    }
                }
                _ => {}
            }
        }
        if next == 0 {
            return false;
        }
        reached = next;
    }
    reached & bit(parts.len()) != 0
}

/// Adds a part to those reached, and the parts that it leads to without a character.
fn reach(parts: &[Part], part: usize, reached: &mut u128) {
    let mut todo = bit(part);
    while todo != 0 {
        let at = todo.trailing_zeros() as usize;
        todo &= todo - 1;
        *reached |= bit(at);
        let more = match parts.get(at) {
            Some(Part::Many) => bit(at + 1),
            Some(Part::Split(other)) => bit(at + 1) | bit(usize::from(*other)),
            Some(Part::Jump(other)) => bit(usize::from(*other)),
            _ => 0,
        };
        todo |= more & !*reached;
    }
}

fn bit(part: usize) -> u128 {
    u32::try_from(part).ok().and_then(|part| 1_u128.checked_shl(part)).unwrap_or(0)
}
