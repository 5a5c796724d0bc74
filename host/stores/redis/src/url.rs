//! Where the store is: from a URL and the environment to a [`Config`].

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo};

/// Longest prefix.
const MAX_PREFIX_BYTES: usize = 200;

/// Where a store is, and how to get there.
#[derive(Clone)]
pub struct Config {
    pub(crate) redis: ConnectionInfo,
    pub(crate) prefix: String,
    /// A file of root certificates instead of the system's.
    pub(crate) roots: Option<PathBuf>,
    /// Makes the store if it is not there. Off at first.
    pub create: bool,
    /// Opens for reading only: nothing at the server changes. Off at first.
    pub read_only: bool,
    /// Longest wait for a server that cannot be reached, or does not go on with an answer. At first
    /// 30 seconds.
    pub patience: Duration,
}

/// Why a URL does not say where a store is. No text has a password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// The URL has another form than that of Redis.
    #[error("the URL is not one of Redis; write redis://HOST:PORT/NUMBER?prefix=NAME, or rediss: for TLS")]
    Form,
    /// There is no such parameter.
    #[error("the URL has an unknown parameter `{0}`; there are prefix and cacert")]
    Unknown(String),
    /// A parameter is unknown, and may be the end of a password.
    #[error("the URL has an @ after its question mark; write those of a password as %40 and %3F")]
    Password,
    /// The prefix cannot be part of a key.
    #[error("prefix cannot be `{0}`: 1 to 200 bytes, without braces")]
    Prefix(String),
}

impl Config {
    /// Reads a URL; the password may come from `REDISCLI_AUTH`, as `redis-cli` takes it.
    ///
    /// Parameters: `prefix` (at first `kvfs`), which names the store within the database; `cacert`,
    /// a file of root certificates.
    ///
    /// # Errors
    /// See [`UrlError`].
    pub fn from_url(url: &str) -> Result<Self, UrlError> {
        Self::read(url, std::env::var("REDISCLI_AUTH").ok().filter(|value| !value.is_empty()))
    }

    pub(crate) fn read(url: &str, password: Option<String>) -> Result<Self, UrlError> {
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let (mut prefix, mut roots) = ("kvfs".to_owned(), None);
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let value = percent_decode_str(value).decode_utf8_lossy().into_owned();
            match name {
                "prefix" => prefix = value,
                "cacert" => roots = Some(PathBuf::from(value)),
                _ if query.contains('@') => return Err(UrlError::Password),
                other => return Err(UrlError::Unknown(other.to_owned())),
            }
        }
        if prefix.is_empty() || prefix.len() > MAX_PREFIX_BYTES || prefix.contains(['{', '}']) {
            return Err(UrlError::Prefix(prefix));
        }
        let mut redis = base.into_connection_info().map_err(|_| UrlError::Form)?;
        if let (Some(password), None) = (password, redis.redis_settings().password()) {
            let settings = redis.redis_settings().clone().set_password(password);
            redis = redis.set_redis_settings(settings);
        }
        Ok(Self { redis, prefix, roots, create: false, read_only: false, patience: Duration::from_secs(30) })
    }

    /// Returns host and port, for messages.
    pub(crate) fn place(&self) -> String {
        match self.redis.addr() {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
                format!("{host}:{port}")
            }
            ConnectionAddr::Unix(path) => path.display().to_string(),
            _ => "the server".to_owned(),
        }
    }

    /// Returns a name of the server's for a part of the store. In a cluster, the part in braces
    /// decides which server has it.
    pub(crate) fn name(&self, part: &str) -> String {
        format!("{{{}}}:{part}", self.prefix)
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("server", &self.place())
            .field("user", &self.redis.redis_settings().username())
            .field("password", &self.redis.redis_settings().password().map(|_| "***"))
            .field("number", &self.redis.redis_settings().db())
            .field("prefix", &self.prefix)
            .field("roots", &self.roots)
            .field("create", &self.create)
            .field("read_only", &self.read_only)
            .field("patience", &self.patience)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_wins_over_the_environment() {
        let config = Config::read("rediss://u:p@h:1/3?prefix=a%20b&cacert=/r", Some("e".to_owned())).unwrap();
        assert_eq!((config.place().as_str(), config.name("x").as_str()), ("h:1", "{a b}:x"));
        assert_eq!(config.redis.redis_settings().password(), Some("p"));
        assert_eq!(config.redis.redis_settings().db(), 3);
        assert_eq!(config.roots, Some(PathBuf::from("/r")));
        let config = Config::read("redis://h", Some("e".to_owned())).unwrap();
        assert_eq!(config.redis.redis_settings().password(), Some("e"));
        assert_eq!((config.place().as_str(), config.prefix.as_str()), ("h:6379", "kvfs"));
    }

    #[test]
    fn bad_urls_are_refused_and_no_message_has_the_password() {
        for (url, part) in [
            ("http://u:secret@h", "redis://"),
            ("redis://:secret@h:x", "redis://"),
            ("redis://:secret@h/x", "redis://"),
            ("redis://:secret@h?perfix=x", "perfix"),
            ("redis://:sec?secret@h", "%3F"),
            ("redis://:sec?secret=et@h", "%3F"),
            ("redis://:secret@h?prefix=", "1 to 200"),
            ("redis://:secret@h?prefix={a}", "braces"),
        ] {
            let message = Config::read(url, None).unwrap_err().to_string();
            assert!(message.contains(part) && !message.contains("secret"), "{url}: {message}");
        }
        let debug = format!("{:?}", Config::read("redis://:secret@h", None).unwrap());
        assert!(debug.contains("***") && !debug.contains("secret"), "{debug}");
    }
}
