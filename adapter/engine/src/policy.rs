//! Policies: what may be done at which paths of a mount.

use crate::pattern::{PathState, PatternError, Patterns};
use std::fmt;
use std::ops::BitOr;
use std::str::FromStr;

/// A set of rights.
///
/// No right is needed to walk through a directory, and for the metadata of an object or the target
/// of a symbolic link: only [`Grant::Hide`] keeps these from a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Rights(u8);

impl Rights {
    /// No right.
    pub const NONE: Self = Self(0);
    /// Listing a directory.
    pub const DIR_READ: Self = Self(1);
    /// Adding, removing, replacing and renaming names, and setting the times of a directory. A name
    /// takes a change only if both its directory and the name itself have this right.
    pub const DIR_MUTATE: Self = Self(2);
    /// Reading the bytes of a file.
    pub const FILE_READ: Self = Self(4);
    /// Changing the bytes, the size and the times of a file.
    pub const FILE_WRITE: Self = Self(8);
    /// All rights.
    pub const ALL: Self = Self(15);

    /// The single rights, with their names in text.
    const NAMES: [(&'static str, Self); 4] = [
        ("dir-read", Self::DIR_READ),
        ("dir-mutate", Self::DIR_MUTATE),
        ("file-read", Self::FILE_READ),
        ("file-write", Self::FILE_WRITE),
    ];

    /// Returns whether all rights of another set are among these.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Returns whether a file may be read or written with these rights, and not with `others`. Then
    /// it gets no name with these by a link or a rename.
    pub fn give_a_file_more_than(self, others: Self) -> bool {
        !others.contains(self.intersection(Self::FILE_READ | Self::FILE_WRITE))
    }

    /// The rights that are in both sets.
    pub fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl BitOr for Rights {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Display for Rights {
    /// Writes `none`, `all`, or names such as `dir-read+file-read`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NONE => f.write_str("none"),
            Self::ALL => f.write_str("all"),
            rights => {
                let names = Self::NAMES.iter().filter(|(_, right)| rights.contains(*right));
                for (place, (name, _)) in names.enumerate() {
                    write!(f, "{}{name}", if place == 0 { "" } else { "+" })?;
                }
                Ok(())
            }
        }
    }
}

impl FromStr for Rights {
    type Err = PolicyError;

    /// Reads `none`, `all`, or names such as `dir-read+file-read`.
    fn from_str(text: &str) -> Result<Self, PolicyError> {
        match text {
            "none" => return Ok(Self::NONE),
            "all" => return Ok(Self::ALL),
            _ => {}
        }
        text.split('+').try_fold(Self::NONE, |rights, name| {
            let known = Self::NAMES.iter().find(|(known, _)| *known == name);
            known.map(|(_, right)| rights | *right).ok_or(PolicyError::UnknownRight)
        })
    }
}

/// The grant of a policy at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grant {
    /// These rights.
    Allow(Rights),
    /// None: the path is absent for the guest, and so is everything below it.
    Hide,
}

impl Grant {
    /// The rights that it gives.
    pub fn rights(self) -> Rights {
        match self {
            Self::Allow(rights) => rights,
            Self::Hide => Rights::NONE,
        }
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allow(rights) => rights.fmt(f),
            Self::Hide => f.write_str("hide"),
        }
    }
}

impl FromStr for Grant {
    type Err = PolicyError;

    fn from_str(text: &str) -> Result<Self, PolicyError> {
        if text == "hide" { Ok(Self::Hide) } else { text.parse().map(Self::Allow) }
    }
}

/// A rule that cannot be read or added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PolicyError {
    /// A right has a name that is not known.
    UnknownRight,
    /// A rule is only one word.
    NoPattern,
    /// The pattern cannot be read.
    Pattern(PatternError),
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownRight => f.write_str(
                "there is no such right; write `hide`, `none`, `all`, or some of `dir-read`, `dir-mutate`, \
                 `file-read` and `file-write`, joined by `+`",
            ),
            Self::NoPattern => {
                f.write_str("a rule is rights and a pattern of paths; write `hide **/.env`, for example")
            }
            Self::Pattern(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for PolicyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Pattern(error) => Some(error),
            Self::UnknownRight | Self::NoPattern => None,
        }
    }
}

impl From<PatternError> for PolicyError {
    fn from(error: PatternError) -> Self {
        Self::Pattern(error)
    }
}

/// What may be done at which paths of a mount: rules, each a pattern of paths and a [`Grant`], in
/// order.
///
/// The last rule that matches a path decides. A path without a match, and the root of the mount,
/// have the policy's default rights. Patterns start at the root of the mount, and say nothing about
/// another mount in it. [`Patterns::add`] has their syntax.
///
/// ```
/// use kvfs::{Grant, Policy, Rights};
///
/// # fn main() -> Result<(), kvfs::PolicyError> {
/// let read = Rights::DIR_READ | Rights::FILE_READ;
/// let policy = Policy::new(read).allow("tmp/**", Rights::ALL)?.hide("**/.env")?;
/// assert_eq!(policy.at("conf/main"), Grant::Allow(read));
/// assert_eq!(policy.at("tmp/new"), Grant::Allow(Rights::ALL));
/// assert_eq!(policy.at("tmp/.env"), Grant::Hide);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    default: Rights,
    patterns: Patterns,
    /// In the order of the patterns, with their text.
    rules: Vec<(Grant, Box<str>)>,
}

impl Default for Policy {
    /// All rights, everywhere.
    fn default() -> Self {
        Self::new(Rights::ALL)
    }
}

impl fmt::Display for Policy {
    /// Writes the default rights and the rules, such as `allow all; hide **/.env`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "allow {}", self.default)?;
        self.rules().try_for_each(|(grant, pattern)| write!(f, "; {grant} {pattern}"))
    }
}

impl Policy {
    /// Makes a policy without rules.
    pub fn new(default: Rights) -> Self {
        Self { default, patterns: Patterns::default(), rules: Vec::new() }
    }

    /// Adds a rule that gives rights, and takes all others.
    ///
    /// # Errors
    /// Those of [`Patterns::add`].
    pub fn allow(self, pattern: &str, rights: Rights) -> Result<Self, PolicyError> {
        self.with(Grant::Allow(rights), pattern)
    }

    /// Adds a rule that hides paths.
    ///
    /// # Errors
    /// Those of [`Patterns::add`].
    pub fn hide(self, pattern: &str) -> Result<Self, PolicyError> {
        self.with(Grant::Hide, pattern)
    }

    fn with(mut self, grant: Grant, pattern: &str) -> Result<Self, PolicyError> {
        self.add(grant, pattern)?;
        Ok(self)
    }

    /// Adds a rule.
    ///
    /// # Errors
    /// Those of [`Patterns::add`]. The policy has not changed then.
    pub fn add(&mut self, grant: Grant, pattern: &str) -> Result<(), PolicyError> {
        self.patterns.add(pattern)?;
        self.rules.push((grant, pattern.into()));
        Ok(())
    }

    /// Adds a rule from its text: rights, a space, and the pattern, as in `file-read conf/**`.
    ///
    /// # Errors
    /// [`PolicyError`]. The policy has not changed then.
    pub fn add_line(&mut self, line: &str) -> Result<(), PolicyError> {
        let (grant, pattern) = line.split_once(' ').ok_or(PolicyError::NoPattern)?;
        self.add(grant.parse()?, pattern)
    }

    /// The rights of paths that no rule matches.
    pub fn default_rights(&self) -> Rights {
        self.default
    }

    /// Changes the rights of paths that no rule matches.
    pub fn set_default_rights(&mut self, rights: Rights) {
        self.default = rights;
    }

    /// The rules, in order, each with the text of its pattern.
    pub fn rules(&self) -> impl ExactSizeIterator<Item = (Grant, &str)> {
        self.rules.iter().map(|(grant, pattern)| (*grant, &**pattern))
    }

    /// The state of the mount's root.
    pub fn start(&self) -> PathState {
        self.patterns.start()
    }

    /// The state of a name in a directory. See [`Patterns::step`].
    pub fn step(&self, directory: PathState, name: &str) -> PathState {
        self.patterns.step(directory, name)
    }

    /// Returns the grant at the path of a state.
    pub fn grant(&self, state: PathState) -> Grant {
        let rule = state.matched().and_then(|rule| self.rules.get(rule));
        rule.map_or(Grant::Allow(self.default), |(grant, _)| *grant)
    }

    /// Returns whether the policy gives the same rights at the paths of two states, and at all
    /// paths below them.
    pub fn is_same(&self, one: PathState, other: PathState) -> bool {
        self.grant(one) == self.grant(other) && one.same_below(other)
    }

    /// Returns the grant at a path of plain names with slashes between them. A path below a
    /// hidden one is hidden.
    pub fn at(&self, path: &str) -> Grant {
        let mut state = self.start();
        for name in path.split('/').filter(|name| !name.is_empty()) {
            state = self.step(state, name);
            if self.grant(state) == Grant::Hide {
                return Grant::Hide;
            }
        }
        self.grant(state)
    }
}
