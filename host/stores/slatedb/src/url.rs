//! URLs of stores, and what opening one needs to know.

use kvfs_contract::Secret;
use object_store::ObjectStore;
use object_store::path::Path;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How long a call waits for the object store, unless said otherwise.
const PATIENCE: Duration = Duration::from_secs(30);

/// Far below the age at which garbage collection removes what keeps an older writer out.
const IDLE: Duration = Duration::from_secs(60 * 60);

/// Memory for blocks and indexes that were read, unless said otherwise.
const CACHE_BYTES: u64 = 64 << 20;

/// Size at which what was written since the last table becomes the next one.
const TABLE_BYTES: usize = 32 << 20;

/// Where the objects are.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Place {
    /// A bucket of Amazon S3 or a server that speaks its protocol. Credentials, region and endpoint
    /// come from the variables `AWS_*`.
    S3 {
        /// The bucket.
        bucket: String,
    },
    /// A bucket of Google Cloud Storage. Credentials come from the variables `GOOGLE_*`.
    Gcs {
        /// The bucket.
        bucket: String,
    },
    /// A container of Azure Blob Storage. Account and credentials come from the variables `AZURE_*`.
    Azure {
        /// The container.
        container: String,
    },
    /// A directory. It is made if it is not there.
    Directory {
        /// The directory.
        directory: PathBuf,
    },
    /// An object store that the caller has made.
    Given {
        /// The object store.
        objects: Arc<dyn ObjectStore>,
        /// True if it keeps what it acknowledged through a crash of the machine.
        durable: bool,
    },
}

/// What opening a store needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the objects are.
    pub place: Place,
    /// The path in it that all the store's objects are below.
    pub path: Path,
    /// Makes a store where its path holds nothing, and a bucket of S3 that is missing. Otherwise that
    /// is an error, since a mistyped name must not make a second store. A directory always becomes one.
    pub create: bool,
    /// Opens for reading only: changes nothing in the object store, and ends no writer.
    pub read_only: bool,
    /// The longest time that a call waits for the object store. SlateDB repeats failed requests; a
    /// call that gets no answer in this time fails.
    pub patience: Duration,
    /// Memory for blocks and indexes that were read, in bytes.
    pub cache_bytes: u64,
    /// Settings of the object store beside those in the environment, by the names of the
    /// environment (`AWS_ENDPOINT`). They win.
    pub settings: Vec<(String, Secret)>,
    /// Time without a put after which a writer looks whether it still has the database.
    #[doc(hidden)]
    pub idle: Duration,
    /// Milliseconds that the clock is ahead: for tests of hosts whose clocks differ.
    #[doc(hidden)]
    pub clock_ahead_millis: i64,
    /// Size of new tables in bytes: for tests of many tables.
    #[doc(hidden)]
    pub table_bytes: usize,
}

impl Config {
    /// Reads a URL: `slatedb:s3://BUCKET/PATH`, `slatedb:gs://BUCKET/PATH`,
    /// `slatedb:az://CONTAINER/PATH` or `slatedb:file:///DIRECTORY`.
    ///
    /// # Errors
    /// [`UrlError`]: the URL is another, has no path, or holds credentials, which belong into the
    /// environment.
    pub fn from_url(url: &str) -> Result<Self, UrlError> {
        let rest = url.strip_prefix("slatedb:").ok_or(UrlError::Scheme)?;
        let (scheme, rest) = rest.split_once("://").ok_or(UrlError::Scheme)?;
        if scheme == "file" {
            if !rest.starts_with('/') {
                return Err(UrlError::Relative);
            }
            let place = Place::Directory { directory: PathBuf::from(rest) };
            // Below the directory, so that the path is not empty.
            return Ok(Self::new(place, Path::from("store")));
        }
        if rest.contains(['@', '?', '#']) {
            return Err(UrlError::Extra);
        }
        let (bucket, path) = rest.split_once('/').unwrap_or((rest, ""));
        let path = Path::parse(path.trim_end_matches('/')).map_err(|_| UrlError::Path)?;
        if bucket.is_empty() || path.is_root() {
            return Err(UrlError::Path);
        }
        let bucket = bucket.to_owned();
        let place = match scheme {
            "s3" => Place::S3 { bucket },
            "gs" => Place::Gcs { bucket },
            "az" => Place::Azure { container: bucket },
            _ => return Err(UrlError::Scheme),
        };
        Ok(Self::new(place, path))
    }

    /// Makes the configuration of a store at `path` in an object store of the caller.
    pub fn over(objects: Arc<dyn ObjectStore>, path: &str, durable: bool) -> Self {
        Self::new(Place::Given { objects, durable }, Path::from(path))
    }

    fn new(place: Place, path: Path) -> Self {
        Self {
            place,
            path,
            create: false,
            read_only: false,
            patience: PATIENCE,
            cache_bytes: CACHE_BYTES,
            settings: Vec::new(),
            idle: IDLE,
            clock_ahead_millis: 0,
            table_bytes: TABLE_BYTES,
        }
    }

    /// Adds a setting of the object store, by its name in the environment.
    pub fn set(mut self, name: &str, value: impl Into<String>) -> Self {
        self.settings.push((name.to_owned(), Secret::new(value)));
        self
    }
}

impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::S3 { bucket } => write!(f, "slatedb:s3://{bucket}/{}", self.path),
            Place::Gcs { bucket } => write!(f, "slatedb:gs://{bucket}/{}", self.path),
            Place::Azure { container } => write!(f, "slatedb:az://{container}/{}", self.path),
            Place::Directory { directory } => write!(f, "slatedb:file://{}", directory.display()),
            Place::Given { objects, .. } => write!(f, "slatedb:{objects}/{}", self.path),
        }
    }
}

/// Why a URL names no store. No message repeats the URL, which may hold a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UrlError {
    /// It begins in another way.
    Scheme,
    /// A part is missing or cannot be a path.
    Path,
    /// The directory is not absolute.
    Relative,
    /// It holds credentials, a query or a fragment.
    Extra,
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scheme => {
                "the URL must begin with slatedb:s3://, slatedb:gs://, slatedb:az:// or slatedb:file://"
            }
            Self::Path => "the URL must name a bucket and a path in it, as in slatedb:s3://bucket/agents",
            Self::Relative => "the directory must begin with a slash, as in slatedb:file:///var/lib/agents",
            Self::Extra => {
                "the URL must not hold @, ? or #; credentials and settings come from the environment \
                 (AWS_*, GOOGLE_*, AZURE_*)"
            }
        })
    }
}

impl std::error::Error for UrlError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_each_place_are_read_and_shown() {
        for url in [
            "slatedb:s3://bucket/agents/one",
            "slatedb:gs://b/p",
            "slatedb:az://container/p",
            "slatedb:file:///var/lib/agents and more",
        ] {
            assert_eq!(Config::from_url(url).unwrap().to_string(), url);
        }
        let ended = Config::from_url("slatedb:s3://bucket/agents/").unwrap();
        assert_eq!(ended.to_string(), "slatedb:s3://bucket/agents");
    }

    #[test]
    fn other_urls_are_refused_and_never_repeated() {
        for (url, expected) in [
            ("s3://bucket/path", UrlError::Scheme),
            ("slatedb:bucket", UrlError::Scheme),
            ("slatedb:ftp://bucket/path", UrlError::Scheme),
            ("slatedb:s3://bucket", UrlError::Path),
            ("slatedb:s3://bucket/", UrlError::Path),
            ("slatedb:s3:///path", UrlError::Path),
            ("slatedb:s3://bucket/a/../b", UrlError::Path),
            ("slatedb:s3://bucket/a//b", UrlError::Path),
            ("slatedb:s3://key:hunter2@bucket/path", UrlError::Extra),
            ("slatedb:az://container/path?sig=hunter2", UrlError::Extra),
            ("slatedb:file://relative", UrlError::Relative),
        ] {
            let error = Config::from_url(url).unwrap_err();
            assert_eq!(error, expected, "{url}");
            assert!(!error.to_string().contains("hunter2"));
        }
    }

    #[test]
    fn no_setting_is_shown() {
        let config = Config::from_url("slatedb:s3://b/p").unwrap().set("AWS_SECRET_ACCESS_KEY", "hunter2");
        assert!(!format!("{config:?} {config}").contains("hunter2"));
    }
}
