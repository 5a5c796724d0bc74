//! The names of stores: which store a URL names, and what of it may be shown.

use std::borrow::Cow;

use kvfs_size::{ByteSize, MIN_MEMORY_BYTES};

use crate::OpenError;

/// The store that a URL names.
pub(crate) enum Named<'u> {
    /// With its size, if it has one.
    Memory(Option<u64>),
    Redb(&'u str),
    File(&'u str),
    /// A store at a distance, and what follows the scheme.
    Distant(&'static Kind, &'u str),
}

/// A kind of stores at a distance.
pub(crate) struct Kind {
    pub(crate) schemes: &'static [&'static str],
    /// The form of its URLs, for messages.
    pub(crate) form: &'static str,
    /// The feature of this crate that brings it.
    pub(crate) feature: &'static str,
    pub(crate) is_built: bool,
}

/// All kinds of stores at a distance, whether this build has them or not.
pub(crate) static KINDS: &[Kind] = &[
    Kind {
        schemes: &["postgres", "postgresql"],
        form: "postgres://HOST/DATABASE",
        feature: "postgres",
        is_built: cfg!(feature = "postgres"),
    },
    Kind {
        schemes: &["redis", "rediss"],
        form: "redis://HOST",
        feature: "redis",
        is_built: cfg!(feature = "redis"),
    },
    Kind {
        schemes: &["etcd", "etcds"],
        form: "etcd://HOST/PREFIX",
        feature: "etcd",
        is_built: cfg!(feature = "etcd"),
    },
    Kind {
        schemes: &["slatedb"],
        form: "slatedb:s3://BUCKET/PATH",
        feature: "slatedb",
        is_built: cfg!(feature = "slatedb"),
    },
    Kind {
        schemes: &["http", "https"],
        form: "http://HOST:PORT",
        feature: "http",
        is_built: cfg!(feature = "http"),
    },
    Kind {
        schemes: &["delayed"],
        form: "delayed:TIME+STORE",
        feature: "delayed",
        is_built: cfg!(feature = "delayed"),
    },
];

impl Kind {
    /// Returns the URL of the store that one of this kind wraps, if it is such a kind. `rest` is
    /// what follows the scheme.
    pub(crate) fn within<'u>(&self, rest: &'u str) -> Option<&'u str> {
        if self.feature != "delayed" {
            return None;
        }
        rest.split_once('+').map(|(_, within)| within)
    }
}

impl<'u> Named<'u> {
    /// Reads a URL.
    ///
    /// # Errors
    /// [`OpenError::UnknownStore`], [`OpenError::MemorySize`], [`OpenError::MemoryTooSmall`].
    pub(crate) fn parse(url: &'u str) -> Result<Self, OpenError> {
        match url.split_once(':') {
            Some(("memory", "")) => Ok(Named::Memory(None)),
            Some(("memory", size)) => {
                memory_size(url, size).map(|size_bytes| Named::Memory(Some(size_bytes)))
            }
            Some(("redb", path)) if !path.is_empty() => Ok(Named::Redb(path)),
            Some(("file", path)) if !path.is_empty() => Ok(Named::File(path)),
            Some((scheme, rest)) if !rest.is_empty() => match kind(scheme) {
                Some(kind) if kind.is_built => Ok(Named::Distant(kind, rest)),
                _ => Err(unknown(url)),
            },
            _ => Err(unknown(url)),
        }
    }
}

/// Parses the size of a store in memory.
fn memory_size(url: &str, size: &str) -> Result<u64, OpenError> {
    let wrong = |source| OpenError::MemorySize { url: url.into(), source };
    match size.parse().map_err(wrong)? {
        ByteSize(size_bytes @ MIN_MEMORY_BYTES..) => Ok(size_bytes),
        _ => Err(OpenError::MemoryTooSmall { url: url.into() }),
    }
}

fn kind(scheme: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.schemes.contains(&scheme))
}

fn unknown(url: &str) -> OpenError {
    OpenError::UnknownStore {
        url: without_secrets(url).into_owned(),
        missing: missing_feature(url),
        known: known(),
    }
}

/// Returns the feature of this crate that would bring the store.
fn missing_feature(url: &str) -> Option<&'static str> {
    let (scheme, _) = url.split_once(':')?;
    kind(scheme).filter(|kind| !kind.is_built).map(|kind| kind.feature)
}

/// Returns the forms of all URLs that this build knows, in words.
fn known() -> String {
    let distant = KINDS.iter().filter(|kind| kind.is_built).map(|kind| kind.form);
    let forms: Vec<_> = ["memory:[SIZE]", "redb:PATH", "file:DIR"].into_iter().chain(distant).collect();
    let (last, others) = match forms.split_last() {
        Some((last, others)) => (*last, others),
        None => ("", &[][..]),
    };
    format!("`{}` and `{last}`", others.join("`, `"))
}

/// Returns the URL of a store without what may be a secret of it, for messages: without user and
/// password, and without the query.
///
/// A URL that can be read in two ways loses everything that either takes for a secret.
///
/// ```
/// # use kvfs_host::without_secrets;
/// assert_eq!(without_secrets("redis://:secret@host/0?timeout=1"), "redis://host/0");
/// assert_eq!(without_secrets("redb:state.redb"), "redb:state.redb");
/// ```
pub fn without_secrets(url: &str) -> Cow<'_, str> {
    let Some((scheme, rest)) = url.split_once("://") else { return url.into() };
    if scheme == "redb" || scheme == "file" {
        return url.into();
    }
    let place = match (rest.rfind('@'), rest.find('?')) {
        // A password with a question mark, or a query with an at sign.
        (Some(at), Some(query)) if query < at => return format!("{scheme}://***").into(),
        (at, _) => &rest[at.map_or(0, |at| at + 1)..],
    };
    let place = place.split(['?', '#']).next().unwrap_or_default();
    if place.len() == rest.len() { url.into() } else { format!("{scheme}://{place}").into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_url_shows_what_may_be_a_secret() {
        let same = ["memory:", "redb:a@b?c", "file:///a@b?c", "slatedb:s3://bucket/path", "etcd://a:1,b:2/p"];
        for url in same {
            assert_eq!(without_secrets(url), url);
        }
        for (url, text) in [
            ("postgres://me:secret@host:5432/db", "postgres://host:5432/db"),
            ("postgres://secret@host/db", "postgres://host/db"),
            ("postgres://host/db?password=secret", "postgres://host/db"),
            ("redis://:sec/ret@host", "redis://host"),
            ("redis://:sec@ret@host/0", "redis://host/0"),
            ("redis://:sec?ret@host", "redis://***"),
            ("postgres://host/db?password=sec@ret", "postgres://***"),
            ("postgrse://me:secret@host", "postgrse://host"),
            ("slatedb:s3://key:secret@bucket/path", "slatedb:s3://bucket/path"),
            ("delayed:1ms+postgres://me:secret@host", "delayed:1ms+postgres://host"),
            ("redis://:sec#ret@host", "redis://host"),
        ] {
            assert_eq!(without_secrets(url), text);
            let error = unknown(url).to_string();
            assert!(!error.contains("sec") && !error.contains("ret"), "{error}");
        }
    }

    #[test]
    fn an_unknown_url_says_in_one_line_what_this_build_knows() {
        let error = unknown("postgrse://host").to_string();
        assert!(error.contains("`memory:[SIZE]`, `redb:PATH`") && error.contains("file:DIR`"), "{error}");
        assert!(!error.contains('\n'), "{error}");
        for kind in KINDS {
            let error = unknown(&format!("{}:x", kind.schemes[0])).to_string();
            assert_eq!(error.contains(&format!("feature `{}`", kind.feature)), !kind.is_built, "{error}");
            assert_eq!(error.contains(kind.form), kind.is_built, "{error}");
        }
    }
}
