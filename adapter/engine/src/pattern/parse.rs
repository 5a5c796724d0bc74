//! Reading patterns.

use super::segment::{MAX_SEGMENT_PARTS, Part, Segment};
use crate::limits::{MAX_NAME_BYTES, MAX_PATTERN_BYTES, MAX_PATTERN_DEPTH};
use std::fmt;

/// A pattern that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PatternError {
    /// The byte of the pattern at which it was noticed.
    pub at: usize,
    /// The defect, and what to write instead.
    pub what: &'static str,
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at byte {})", self.what, self.at)
    }
}

impl std::error::Error for PatternError {}

/// A pattern, read: one of these for each of its names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    /// Any names may stand before the one that matches, or none.
    pub(super) skips: bool,
    /// The name's pattern; `None` for any number of names, but one at least. Only the last item is
    /// so.
    pub(super) segment: Option<Segment>,
}

/// Reads a pattern.
pub(super) fn parse(pattern: &str) -> Result<Vec<Item>, PatternError> {
    if pattern.len() > MAX_PATTERN_BYTES {
        return Err(error(MAX_PATTERN_BYTES, "the pattern is too long; write at most 1024 bytes"));
    }
    if let Some(at) = pattern.find(char::is_control) {
        return Err(error(at, "the pattern has a control character; write `?` in its place"));
    }
    let mut items = Vec::new();
    let mut skips = false;
    let mut at = usize::from(pattern.starts_with('/'));
    loop {
        let mut parser = Parser { pattern, at, parts: Vec::new() };
        let rest = pattern.get(at..).unwrap_or_default();
        if rest == "**" {
            items.push(Item { skips: false, segment: None });
            return Ok(items);
        }
        if rest.starts_with("**/") {
            skips = true;
            at += "**/".len();
            continue;
        }
        let segment = parser.segment()?;
        items.push(Item { skips, segment: Some(segment) });
        skips = false;
        if parser.at == pattern.len() {
            return Ok(items);
        }
        // The slash.
        at = parser.at + 1;
    }
}

fn error(at: usize, what: &'static str) -> PatternError {
    PatternError { at, what }
}

/// Returns the text of parts that are characters only.
fn text(parts: &[Part]) -> Option<String> {
    let char = |part: &Part| if let Part::Char(char) = part { Some(*char) } else { None };
    parts.iter().map(char).collect()
}

struct Parser<'p> {
    pattern: &'p str,
    at: usize,
    parts: Vec<Part>,
}

impl Parser<'_> {
    fn peek(&self) -> Option<char> {
        self.pattern.get(self.at..)?.chars().next()
    }

    fn take(&mut self) -> Option<char> {
        let char = self.peek()?;
        self.at += char.len_utf8();
        Some(char)
    }

    fn error(&self, what: &'static str) -> PatternError {
        error(self.at, what)
    }

    /// Reads up to the next slash, or the end.
    fn segment(&mut self) -> Result<Segment, PatternError> {
        let start = self.at;
        self.sequence(0)?;
        if self.parts.is_empty() {
            let what = match (self.pattern.is_empty(), start == self.pattern.len()) {
                (true, _) => "the pattern is empty; write `**` for everything",
                (_, true) => "nothing follows the slash; write `/**` for everything below",
                _ => "two slashes follow each other; write one",
            };
            return Err(error(start, what));
        }
        if let [Part::Many] = *self.parts {
            return Ok(Segment::Any);
        }
        if let Some(text) = text(&self.parts) {
            return match &*text {
                "." | ".." => Err(error(start, "`.` and `..` are no names of files; leave them out")),
                text if text.len() > MAX_NAME_BYTES => {
                    Err(error(start, "no name is longer than 255 bytes; write a shorter one"))
                }
                text => Ok(Segment::Text(text.into())),
            };
        }
        // Most patterns are so, as `*.key`.
        let mut stars = self.parts.splitn(2, |part| *part == Part::Many);
        if let (Some(start), Some(end)) = (stars.next().and_then(text), stars.next().and_then(text)) {
            return Ok(Segment::Ends(start.into(), end.into()));
        }
        if self.parts.len() > MAX_SEGMENT_PARTS {
            let what = "this name has too many parts; write fewer alternatives, or `*` for a part of it";
            return Err(error(start, what));
        }
        Ok(Segment::Parts(std::mem::take(&mut self.parts).into()))
    }

    /// Reads parts up to a slash, the end, or inside braces a comma or the closing one.
    fn sequence(&mut self, depth: usize) -> Result<(), PatternError> {
        loop {
            // Bounds the memory; `segment` reports it.
            let is_too_long = self.parts.len() > MAX_NAME_BYTES;
            match self.peek() {
                None | Some('/') => return Ok(()),
                Some(',' | '}') if depth > 0 => return Ok(()),
                _ if is_too_long => {
                    return Err(self.error("this name is too long; write `*` for a part of it"));
                }
                Some('}') => return Err(self.error("no `{` is open here; write `\\}` for the character")),
                Some('{') => self.alternatives(depth + 1)?,
                Some('[') => self.class()?,
                Some('*') => {
                    self.take();
                    if self.peek() == Some('*') {
                        return Err(self.error("`**` stands for whole names; write `*` inside of a name"));
                    }
                    self.parts.push(Part::Many);
                }
                Some('?') => {
                    self.take();
                    self.parts.push(Part::One);
                }
                Some('\\') => {
                    self.take();
                    let end = "nothing follows the `\\`; write `\\\\` for the character";
                    let char = self.peek().filter(|char| *char != '/').ok_or(self.error(end))?;
                    self.take();
                    self.parts.push(Part::Char(char));
                }
                Some(char) => {
                    self.take();
                    self.parts.push(Part::Char(char));
                }
            }
        }
    }

    fn number(&self, part: usize) -> Result<u8, PatternError> {
        u8::try_from(part).map_err(|_| self.error("this name has too many alternatives; write fewer"))
    }

    fn put(&mut self, at: usize, part: Part) {
        if let Some(place) = self.parts.get_mut(at) {
            *place = part;
        }
    }

    /// Reads `{a,b}`: for each alternative but the last a split, the alternative, and a jump to the
    /// end.
    fn alternatives(&mut self, depth: usize) -> Result<(), PatternError> {
        if depth > MAX_PATTERN_DEPTH {
            return Err(self.error("the braces are nested too deeply; write several rules"));
        }
        self.take();
        let mut jumps = Vec::new();
        loop {
            let split = self.parts.len();
            self.parts.push(Part::Split(0));
            self.sequence(depth)?;
            if self.parts.len() == split + 1 {
                return Err(self.error("this alternative is empty; write several rules"));
            }
            match self.take() {
                Some(',') => {
                    jumps.push(self.parts.len());
                    self.parts.push(Part::Jump(0));
                    let next = self.number(self.parts.len())?;
                    self.put(split, Part::Split(next));
                }
                Some('}') => {
                    // No other alternative: to itself, which changes nothing.
                    let own = self.number(split + 1)?;
                    self.put(split, Part::Jump(own));
                    let end = self.number(self.parts.len())?;
                    for jump in jumps {
                        self.put(jump, Part::Jump(end));
                    }
                    return Ok(());
                }
                Some(_) => return Err(self.error("no slash can stand in braces; write several rules")),
                None => return Err(self.error("a `{` is not closed; write `}`, or `\\{` for the character")),
            }
        }
    }

    /// Reads `[a-z]` or `[!a-z]`. Inside, a backslash is a character like any other.
    fn class(&mut self) -> Result<(), PatternError> {
        const OPEN: &str = "a `[` is not closed; write `]`, or `\\[` for the character";
        self.take();
        let negated = matches!(self.peek(), Some('!' | '^'));
        if negated {
            self.take();
        }
        let mut ranges = Vec::new();
        loop {
            let first = self.take().ok_or(self.error(OPEN))?;
            // A bracket that comes first is a character.
            if first == ']' && !ranges.is_empty() {
                self.parts.push(Part::Class { negated, ranges: ranges.into() });
                return Ok(());
            }
            if first == '/' {
                return Err(self.error("no slash can stand in brackets"));
            }
            let mut last = first;
            let mut ahead = self.pattern.get(self.at..).unwrap_or_default().chars();
            if ahead.next() == Some('-')
                && let Some(end) = ahead.next().filter(|end| *end != ']')
            {
                self.at += '-'.len_utf8() + end.len_utf8();
                last = end;
            }
            if first > last || last == '/' {
                return Err(self.error("this range has no characters; write the smaller one first"));
            }
            ranges.push((first, last));
        }
    }
}
