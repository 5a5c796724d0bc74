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
    /// How its operator makes room, for messages.
    room: &'static str,
    /// The feature of this crate that brings it.
    pub(crate) feature: &'static str,
    pub(crate) is_built: bool,
}

/// How to make room for a store of this machine.
const ROOM_HERE: &str = "free some of its disk, or remove volumes and run `kvfs volume gc`";

/// All kinds of stores at a distance, whether this build has them or not.
pub(crate) static KINDS: &[Kind] = &[
    Kind {
        schemes: &["postgres", "postgresql"],
        form: "postgres://HOST/DATABASE",
        room: "free some of the server's disk, or VACUUM its tables",
        feature: "postgres",
        is_built: cfg!(feature = "postgres"),
    },
    Kind {
        schemes: &["redis", "rediss"],
        form: "redis://HOST",
        room: "raise the server's maxmemory, or free some of its disk",
        feature: "redis",
        is_built: cfg!(feature = "redis"),
    },
    Kind {
        schemes: &["etcd", "etcds"],
        form: "etcd://HOST/PREFIX",
        room: "compact and defragment the server, or raise its --quota-backend-bytes; then run `etcdctl alarm disarm`",
        feature: "etcd",
        is_built: cfg!(feature = "etcd"),
    },
    Kind {
        schemes: &["slatedb"],
        form: "slatedb:s3://BUCKET/PATH",
        room: "raise the quota of the bucket, or free some of its disk",
        feature: "slatedb",
        is_built: cfg!(feature = "slatedb"),
    },
    Kind {
        schemes: &["http", "https"],
        form: "http://HOST:PORT",
        room: "free some of the disk on which `kvfs store-server` keeps its store",
        feature: "http",
        is_built: cfg!(feature = "http"),
    },
    Kind {
        schemes: &["delayed"],
        form: "delayed:TIME+STORE",
        room: ROOM_HERE,
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
        known: store_forms(),
    }
}

/// Returns the feature of this crate that would bring the store.
fn missing_feature(url: &str) -> Option<&'static str> {
    let (scheme, _) = url.split_once(':')?;
    kind(scheme).filter(|kind| !kind.is_built).map(|kind| kind.feature)
}

/// Returns the forms of all URLs that this build knows, in words: `` `memory:[SIZE]`, `redb:PATH`, …
/// and `…` ``.
pub fn store_forms() -> String {
    let distant = KINDS.iter().filter(|kind| kind.is_built).map(|kind| kind.form);
    let forms: Vec<_> = ["memory:[SIZE]", "redb:PATH", "file:DIR"].into_iter().chain(distant).collect();
    let (last, others) = match forms.split_last() {
        Some((last, others)) => (*last, others),
        None => ("", &[][..]),
    };
    format!("`{}` and `{last}`", others.join("`, `"))
}

/// Returns how to make room in the store that a URL names when it is full, in words that follow
/// "make room for it:".
///
/// ```
/// # use kvfs_host::how_to_make_room;
/// assert!(how_to_make_room("etcd://host/agents").contains("--quota-backend-bytes"));
/// ```
pub fn how_to_make_room(url: &str) -> &'static str {
    let mut url = url;
    loop {
        match Named::parse(url) {
            Ok(Named::Distant(kind, rest)) => match kind.within(rest) {
                Some(within) => url = within,
                None => return kind.room,
            },
            Ok(Named::Memory(_)) => return "give it more by memory:SIZE, or remove volumes",
            _ => return ROOM_HERE,
        }
    }
}

/// Returns the URL of a store without what may be a secret of it, for messages: without user and
/// password, and without the query.
///
/// A URL that can be read in two ways loses everything that either takes for a secret. So does one
/// that is misspelt.
///
/// ```
/// # use kvfs_host::without_secrets;
/// assert_eq!(without_secrets("redis://:secret@host/0?timeout=1"), "redis://host/0");
/// assert_eq!(without_secrets("redb:state.redb"), "redb:state.redb");
/// ```
pub fn without_secrets(url: &str) -> Cow<'_, str> {
    let is_path = |scheme| url.strip_prefix(scheme).is_some_and(|rest| rest.starts_with(':'));
    if ["memory", "redb", "file"].into_iter().any(is_path) {
        return url.into();
    }
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) if !scheme.contains('@') => (scheme, rest),
        _ => return misspelt(url),
    };
    let Some(place) = place(rest) else { return format!("{scheme}://***").into() };
    // What is no port may be a password whose host is missing.
    let hosts = place.split('/').next().unwrap_or_default();
    let is_port = |text: &str| text.ends_with(']') || text.bytes().all(|byte| byte.is_ascii_digit());
    let is_odd = |(host, port): (&str, &str)| host.is_empty() || !is_port(port);
    if hosts.split(',').any(|host| host.rsplit_once(':').is_some_and(is_odd)) {
        return format!("{scheme}://***").into();
    }
    if place.len() == rest.len() { url.into() } else { format!("{scheme}://{place}").into() }
}

/// Returns what follows user and password, up to the query. `None` if it is not clear where they end.
fn place(rest: &str) -> Option<&str> {
    let place = match (rest.rfind('@'), rest.find('?')) {
        // A password with a question mark, or a query with an at sign.
        (Some(at), Some(query)) if query < at => return None,
        (at, _) => &rest[at.map_or(0, |at| at + 1)..],
    };
    Some(place.split(['?', '#']).next().unwrap_or_default())
}

/// Returns what may be shown of a URL whose slashes are not where they should be: its scheme, and what
/// can be no password.
fn misspelt(url: &str) -> Cow<'_, str> {
    let scheme = url.split([':', '/']).next().filter(|scheme| kind(scheme).is_some());
    let scheme = scheme.map_or_else(String::new, |scheme| format!("{scheme}:"));
    match (place(url), url.contains('@')) {
        (Some(place), false) if place.len() == url.len() => url.into(),
        (Some(place), false) => place.into(),
        (Some(place), true) => format!("{scheme}***@{place}").into(),
        (None, _) => format!("{scheme}***").into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_url_shows_what_may_be_a_secret() {
        let same = [
            "memory:",
            "redb:a@b?c",
            "file:///a@b?c",
            "slatedb:s3://bucket/path",
            "etcd://a:1,b:2/p",
            "x",
            "r:y",
        ];
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
            ("redis://:secret", "redis://***"),
            ("redis://:123456", "redis://***"),
            ("postgres://me:secret/db", "postgres://***"),
            ("postgres://me:secret@one:1,two:2/db", "postgres://one:1,two:2/db"),
            ("http://[::1]:80", "http://[::1]:80"),
            ("postgres:me:secret@host/db", "postgres:***@host/db"),
            ("postgres:/me:secret@host/db?sec=ret", "postgres:***@host/db"),
            ("postgres//me:secret@host", "postgres:***@host"),
            ("redis:;sec?ret@host", "redis:***"),
            ("redis:host?password=secret", "redis:host"),
            ("delayed:1ms+redis:secret@host", "delayed:***@host"),
            ("me:secret@host", "***@host"),
            ("me:secret@postgres://host/db", "***@postgres://host/db"),
            ("POSTGRES:me:secret@host", "***@host"),
        ] {
            assert_eq!(without_secrets(url), text);
            let error = unknown(url).to_string();
            assert!(!error.contains("sec") && !error.contains("ret"), "{error}");
        }
    }

    #[test]
    fn room_is_made_where_the_store_is() {
        let here = how_to_make_room("redb:x");
        for (url, part) in [("memory:64M", "memory:SIZE"), ("file:x", "its disk"), ("unknown:x", here)] {
            assert!(how_to_make_room(url).contains(part), "{url}");
            assert_ne!(how_to_make_room(url), "", "{url}");
        }
        for kind in KINDS.iter().filter(|kind| kind.is_built && kind.feature != "delayed") {
            let url = format!("{}://h/p", kind.schemes[0]);
            assert_eq!(how_to_make_room(&url), kind.room);
            if cfg!(feature = "delayed") {
                assert_eq!(how_to_make_room(&format!("delayed:1ms+delayed:1ms+{url}")), kind.room);
            }
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
