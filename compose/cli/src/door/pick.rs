//! The conditions of `kvfs find`.

use super::at::At;
use anyhow::Result;
use clap::{Args, ValueEnum};
use globset::{GlobBuilder, GlobMatcher};
use kvfs::{Follow, Kind, Stat, Timestamp};
use kvfs_host::Files;
use std::cmp::Ordering;
use std::str::FromStr;

#[derive(Args)]
pub(super) struct PickArgs {
    /// The name matches a glob: `*`, `?`, `[a-z]`, `{one,other}`, and a backslash before a character that
    /// means itself.
    #[arg(long, value_name = "GLOB", value_parser = |glob: &str| matcher(glob, false))]
    name: Option<GlobMatcher>,
    /// As --name, and letters match whether they are capital or not.
    #[arg(long, value_name = "GLOB", value_parser = |glob: &str| matcher(glob, true))]
    iname: Option<GlobMatcher>,
    /// The kind is one of these: `f` for files, `d` for directories, `l` for links, such as `f,l`.
    #[arg(long = "type", value_name = "KIND", value_enum, value_delimiter = ',')]
    kind: Vec<Letter>,
    /// Files and links have so many units, rounded up: `c` for bytes, `k`, `M`, `G`, or blocks of 512 bytes
    /// without a letter. `+` before it means more, `-` less.
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true)]
    size: Option<Size>,
    /// Modified later than this path of the volume.
    #[arg(long, value_name = "PATH")]
    newer: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Letter {
    F,
    D,
    L,
}

/// Conditions that are all to be true.
pub(super) struct Pick {
    globs: Vec<GlobMatcher>,
    kinds: Vec<Kind>,
    size: Option<Size>,
    newer: Option<Timestamp>,
}

impl PickArgs {
    /// Makes the conditions. Looks at the path that others are to be newer than.
    pub(super) fn read(&self, at: &At, files: &mut Files) -> Result<Pick> {
        let newer = match &self.newer {
            Some(path) => Some(files.stat(path, Follow::Yes).map_err(|error| at.explain(error))?.mtime),
            None => None,
        };
        let kind = |letter: &Letter| match letter {
            Letter::F => Kind::File,
            Letter::D => Kind::Directory,
            Letter::L => Kind::Symlink,
        };
        Ok(Pick {
            globs: self.name.iter().chain(&self.iname).cloned().collect(),
            kinds: self.kind.iter().map(kind).collect(),
            size: self.size,
            newer,
        })
    }
}

impl Pick {
    /// Returns whether all conditions are true of an entry.
    pub(super) fn takes(&self, name: &str, stat: &Stat) -> bool {
        (self.kinds.is_empty() || self.kinds.contains(&stat.kind))
            && self.newer.is_none_or(|time| stat.mtime > time)
            && self.size.is_none_or(|size| stat.kind != Kind::Directory && size.takes(stat.size))
            && self.globs.iter().all(|glob| glob.is_match(name))
    }
}

/// Makes a matcher of names.
pub(super) fn matcher(glob: &str, any_case: bool) -> Result<GlobMatcher, String> {
    let built = GlobBuilder::new(glob).backslash_escape(true).case_insensitive(any_case).build();
    built.map(|glob| glob.compile_matcher()).map_err(|error| error.kind().to_string())
}

/// A condition on sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Size {
    order: Ordering,
    count: u64,
    unit_bytes: u64,
}

impl Size {
    fn takes(self, bytes: u64) -> bool {
        bytes.div_ceil(self.unit_bytes).cmp(&self.count) == self.order
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (order, rest) = match text.split_at_checked(1) {
            Some(("+", rest)) => (Ordering::Greater, rest),
            Some(("-", rest)) => (Ordering::Less, rest),
            _ => (Ordering::Equal, text),
        };
        let digits = rest.trim_end_matches(|c: char| !c.is_ascii_digit());
        let unit_bytes = match rest.get(digits.len()..).unwrap_or_default() {
            "" | "b" => 512,
            "c" => 1,
            "k" => 1 << 10,
            "M" => 1 << 20,
            "G" => 1 << 30,
            _ => return Err("the unit is one of c (bytes), k, M and G".to_owned()),
        };
        match digits.parse() {
            Ok(count) if digits.starts_with(|c: char| c.is_ascii_digit()) => {
                Ok(Self { order, count, unit_bytes })
            }
            _ => Err("it must be a number, such as 5, +10k or -1M".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Size, matcher};

    #[test]
    fn sizes_are_compared_in_units_rounded_up() {
        for (size, taken, left) in [
            ("5c", &[5][..], &[4, 6][..]),
            ("+5c", &[6, u64::MAX], &[0, 5]),
            ("-5c", &[0, 4], &[5]),
            ("1k", &[1, 1024], &[0, 1025]),
            ("-1M", &[0], &[1]),
            ("+1M", &[(1 << 20) + 1], &[1 << 20]),
            ("2", &[513, 1024], &[512, 1025]),
            ("0G", &[0], &[1]),
        ] {
            let size: Size = size.parse().unwrap();
            assert!(taken.iter().all(|bytes| size.takes(*bytes)), "{size:?}");
            assert!(!left.iter().any(|bytes| size.takes(*bytes)), "{size:?}");
        }
        for wrong in ["", "+", "k", "5x", "5kk", "++5", "+-5", "1.5k", "é", "99999999999999999999"] {
            assert!(wrong.parse::<Size>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn globs_match_whole_names() {
        let takes = |glob, name| matcher(glob, false).unwrap().is_match(name);
        assert!(takes("*.py", ".hidden.py") && takes("a?[0-9]", "ab1") && takes(r"\*", "*"));
        assert!(takes("{a,b}.c", "b.c") && takes("*", "line\nend"));
        assert!(!takes("*.py", "x.pyc") && !takes("a", "A") && !takes(r"\*", "a"));
        assert!(matcher("A*", true).unwrap().is_match("abc"));
        assert!(matcher("[a", false).is_err());
    }
}
