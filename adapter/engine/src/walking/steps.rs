//! The names of a path, one by one: what every walker of paths shares.
//!
//! The engine walks volumes. A walker of something else, such as a directory of the host, takes its
//! steps from here too, so that slashes, dots and links mean the same everywhere.

use crate::error::{Error, Result};
use crate::limits::{MAX_NAME_BYTES, MAX_PATH_BYTES};

/// One name of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step<'p> {
    /// The name. It is empty if nothing but slashes is left of the path.
    pub name: &'p str,
    /// The start of the name in the path.
    pub start: usize,
    /// The end of the name in the path, where the next step begins.
    pub end: usize,
    /// Nothing follows the name, or nothing but slashes.
    pub is_last: bool,
    /// The name is the last one, with slashes behind it: only a directory will do.
    pub must_be_dir: bool,
}

impl<'p> Step<'p> {
    /// Takes the next name of `path`, from the byte `at` on.
    ///
    /// # Errors
    /// [`Error::NameTooLong`].
    #[inline(always)]
    pub fn take(path: &'p str, at: usize) -> Result<Self> {
        let bytes = path.as_bytes();
        let start = at + bytes.get(at..).unwrap_or_default().iter().take_while(|byte| **byte == b'/').count();
        let tail = bytes.get(start..).unwrap_or_default();
        let length = tail.iter().position(|byte| *byte == b'/').unwrap_or(tail.len());
        if length > MAX_NAME_BYTES {
            return Err(Error::NameTooLong);
        }
        let end = start + length;
        let name = path.get(start..end).unwrap_or_default();
        let behind = tail.get(length..).unwrap_or_default();
        let is_last = behind.iter().all(|byte| *byte == b'/');
        Ok(Self { name, start, end, is_last, must_be_dir: is_last && !behind.is_empty() })
    }
}

/// Fails if no operation can take `path`.
///
/// # Errors
/// [`Error::NoEntry`] for an empty path, [`Error::NameTooLong`], [`Error::Invalid`] for a NUL byte,
/// [`Error::NotPermitted`] for an absolute path.
pub fn check(path: &str) -> Result<()> {
    if path.is_empty() {
        return Err(Error::NoEntry);
    }
    if path.len() > MAX_PATH_BYTES {
        return Err(Error::NameTooLong);
    }
    if path.as_bytes().contains(&0) {
        return Err(Error::Invalid);
    }
    if path.starts_with('/') {
        return Err(Error::NotPermitted);
    }
    Ok(())
}

/// Returns the path that replaces a symbolic link and the rest of its path: the target, then
/// `behind`, which follows the link's name. It is empty or starts with a slash.
///
/// # Errors
/// [`Error::NotPermitted`] for an absolute target, [`Error::NameTooLong`] for a path that becomes
/// too long.
pub fn follow_link(target: &str, behind: &str) -> Result<String> {
    if target.starts_with('/') {
        return Err(Error::NotPermitted);
    }
    let path = format!("{target}{behind}");
    if path.len() > MAX_PATH_BYTES { Err(Error::NameTooLong) } else { Ok(path) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(path: &str) -> Vec<(&str, bool, bool)> {
        let (mut at, mut found) = (0, Vec::new());
        loop {
            let step = Step::take(path, at).unwrap();
            found.push((step.name, step.is_last, step.must_be_dir));
            at = step.end;
            if step.is_last {
                return found;
            }
        }
    }

    #[test]
    fn slashes_belong_to_the_name_before_them() {
        assert_eq!(names("a"), [("a", true, false)]);
        assert_eq!(names("a//"), [("a", true, true)]);
        assert_eq!(names("a//b"), [("a", false, false), ("b", true, false)]);
        assert_eq!(names("a/./.."), [("a", false, false), (".", false, false), ("..", true, false)]);
        // The rest of a path, behind a mountpoint or a link, may start with slashes, or be slashes
        // alone.
        assert_eq!(names("//b/"), [("b", true, true)]);
        assert_eq!(names("//"), [("", true, false)]);
    }

    #[test]
    fn a_name_over_its_limit_is_refused_and_one_at_it_is_not() {
        let name = "n".repeat(MAX_NAME_BYTES);
        assert_eq!(Step::take(&format!("/{name}/"), 0).unwrap().name, name);
        assert_eq!(Step::take(&format!("{name}n"), 0), Err(Error::NameTooLong));
    }

    #[test]
    fn a_link_takes_what_is_behind_its_name_along() {
        assert_eq!(follow_link("../b", "/c"), Ok("../b/c".to_owned()));
        assert_eq!(follow_link("/b", ""), Err(Error::NotPermitted));
        assert_eq!(follow_link(&"b".repeat(MAX_PATH_BYTES), "/"), Err(Error::NameTooLong));
    }
}
