//! Paths of volumes, as arguments.

use super::at::At;
use kvfs::Follow;
use kvfs_host::{Files, FilesError};
use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

/// A path in a volume: `PATH` in that of `--volume`, or `VOLUME:/PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    volume: Option<String>,
    pub(super) path: String,
}

impl Place {
    /// The name of its volume.
    pub(super) fn volume<'a>(&'a self, at: &'a At) -> &'a str {
        self.volume.as_deref().unwrap_or(&at.volume)
    }

    /// Another path of the same volume.
    pub(super) fn with_path(&self, path: String) -> Self {
        Self { volume: self.volume.clone(), path }
    }
}

impl FromStr for Place {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        // A path whose first name ends in a colon is written with a slash before it.
        Ok(match text.split_once(":/") {
            Some((volume, _)) if !volume.is_empty() && !volume.contains('/') => Self {
                volume: Some(volume.to_owned()),
                path: text.get(volume.len() + 1..).unwrap_or_default().to_owned(),
            },
            _ => Self { volume: None, path: text.to_owned() },
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.volume {
            Some(volume) => write!(f, "{volume}:{}", self.path),
            None => f.write_str(&self.path),
        }
    }
}

/// Returns the last name of a path; `None` for the root, and for `.` and `..`, which name no entry.
pub(super) fn last_name(path: &str) -> Option<&str> {
    let (_, name) = split(path);
    (!matches!(name, "" | "." | "..")).then_some(name)
}

/// Returns the path of a name in a directory; of the directory itself without a name.
pub(super) fn in_directory(directory: &str, name: Option<&str>) -> String {
    match name {
        Some(name) => format!("{}/{name}", directory.trim_end_matches('/')),
        None => directory.to_owned(),
    }
}

/// Returns a path of a walk as it is shown: below the root with a slash before it, if that was given so.
pub(super) fn walked<'p>(start: &str, path: &'p str) -> Cow<'p, str> {
    match start.starts_with('/') && !path.starts_with('/') {
        true => Cow::Owned(format!("/{path}")),
        false => Cow::Borrowed(path),
    }
}

/// Returns whether two paths mean one name in one directory.
pub(super) fn is_same_entry(files: &mut Files, one: &str, other: &str) -> Result<bool, FilesError> {
    let ((one, name), (other, other_name)) = (split(one), split(other));
    if name != other_name {
        return Ok(false);
    }
    Ok(files.stat(one, Follow::Yes)?.ino == files.stat(other, Follow::Yes)?.ino)
}

/// Returns the directory of a path, and the last name.
fn split(path: &str) -> (&str, &str) {
    let path = path.trim_end_matches('/');
    match path.rfind('/') {
        Some(slash) => (path.get(..=slash).unwrap_or_default(), path.get(slash + 1..).unwrap_or_default()),
        None => ("/", path),
    }
}

#[cfg(test)]
mod tests {
    use super::{Place, in_directory, last_name, walked};

    #[test]
    fn a_volume_stands_before_a_colon_and_a_slash() {
        for (text, volume, path) in [
            ("a", None, "a"),
            ("/a", None, "/a"),
            ("v:/a/b:/c", Some("v"), "/a/b:/c"),
            ("v:/", Some("v"), "/"),
            ("v:a", None, "v:a"),
            (":/a", None, ":/a"),
            ("/v:/a", None, "/v:/a"),
            ("./v:/a", None, "./v:/a"),
            ("dir/v:/a", None, "dir/v:/a"),
        ] {
            let place: Place = text.parse().unwrap();
            assert_eq!((place.volume.as_deref(), &*place.path), (volume, path), "{text}");
            assert_eq!(place.to_string(), text);
        }
    }

    #[test]
    fn last_names_are_names_of_entries() {
        for (path, name) in [
            ("a", Some("a")),
            ("/a/b//", Some("b")),
            ("/", None),
            ("", None),
            ("a/.", None),
            ("a/../", None),
            ("..", None),
            ("...", Some("...")),
        ] {
            assert_eq!(last_name(path), name, "{path}");
        }
        assert_eq!(in_directory("/", Some("a")), "/a");
        assert_eq!(in_directory("d//", Some("a")), "d/a");
        assert_eq!(in_directory("d/", None), "d/");
        for (start, path, shown) in
            [("/", "/", "/"), ("//", "a/b", "/a/b"), ("a", "a/b", "a/b"), ("", "a", "a")]
        {
            assert_eq!(walked(start, path), shown);
        }
    }
}
