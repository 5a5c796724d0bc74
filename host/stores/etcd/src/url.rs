//! URLs of stores, and what opening one needs to know.

use kvfs_contract::Secret;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// How long a call waits for a server, unless said otherwise.
const PATIENCE: Duration = Duration::from_secs(30);

/// The port of a server whose URL names none.
const PORT: u16 = 2379;

/// Longest prefix: it is part of every key of every request.
const MAX_PREFIX_BYTES: usize = 255;

/// Most servers of a URL.
const MAX_HOSTS: usize = 16;

/// What opening a store needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// The servers of one cluster, each as `HOST:PORT`.
    pub hosts: Vec<String>,
    /// The prefix of all keys of the store, without a slash at its end.
    pub prefix: String,
    /// Speaks TLS. The servers' certificates must be of an authority that the system or
    /// [`ca_file`](Self::ca_file) names.
    pub tls: bool,
    /// Certificates of authorities, in PEM form: `ETCDCTL_CACERT`.
    pub ca_file: Option<PathBuf>,
    /// The client's own certificate and key, in PEM form: `ETCDCTL_CERT` and `ETCDCTL_KEY`.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Name and password of a user: `ETCDCTL_USER` and `ETCDCTL_PASSWORD`.
    pub user: Option<(String, Secret)>,
    /// Makes a store where its prefix holds nothing. Otherwise that is an error, since a mistyped
    /// name must not make a second store.
    pub create: bool,
    /// Opens for reading only: changes nothing.
    pub read_only: bool,
    /// The longest time that a call tries to get an answer.
    pub patience: Duration,
}

impl Config {
    /// Reads a URL: `etcd://HOST[:PORT][,HOST[:PORT]…]/PREFIX`; `etcds://` speaks TLS. Credentials
    /// come from the environment, as `etcdctl` takes them.
    ///
    /// # Errors
    /// [`UrlError`]: the URL is another, has no prefix, or holds credentials.
    pub fn from_url(url: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = url.split_once("://").ok_or(UrlError::Scheme)?;
        let tls = match scheme {
            "etcd" => false,
            "etcds" => true,
            _ => return Err(UrlError::Scheme),
        };
        if rest.contains(['@', '?', '#']) {
            return Err(UrlError::Extra);
        }
        let (hosts, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.trim_end_matches('/');
        let is_long = prefix.len() > MAX_PREFIX_BYTES;
        if prefix.is_empty() || is_long || prefix.contains(char::is_control) {
            return Err(UrlError::Prefix);
        }
        let hosts = hosts.split(',').map(host).collect::<Option<Vec<_>>>().ok_or(UrlError::Host)?;
        if hosts.len() > MAX_HOSTS {
            return Err(UrlError::Host);
        }
        let mut config = Self {
            hosts,
            prefix: prefix.to_owned(),
            tls,
            ca_file: None,
            identity: None,
            user: None,
            create: false,
            read_only: false,
            patience: PATIENCE,
        };
        config.read_environment(|name| std::env::var(name).ok());
        Ok(config)
    }

    /// Takes what the environment has, by `etcdctl`'s names.
    fn read_environment(&mut self, variable: impl Fn(&str) -> Option<String>) {
        if let Some(user) = variable("ETCDCTL_USER") {
            let (name, password) = user.split_once(':').unwrap_or((&user, ""));
            let password = variable("ETCDCTL_PASSWORD").unwrap_or_else(|| password.to_owned());
            self.user = Some((name.to_owned(), Secret::new(password)));
        }
        self.ca_file = variable("ETCDCTL_CACERT").map(PathBuf::from);
        if let (Some(certificate), Some(key)) = (variable("ETCDCTL_CERT"), variable("ETCDCTL_KEY")) {
            self.identity = Some((certificate.into(), key.into()));
        }
    }
}

/// Returns a host with its port.
fn host(text: &str) -> Option<String> {
    // An IPv6 address has colons of its own, in brackets.
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, port.parse().ok()?),
        _ => (text, PORT),
    };
    let in_brackets = name.starts_with('[') && name.ends_with(']');
    let plain =
        !name.is_empty() && !name.contains(|c: char| !(c.is_ascii_alphanumeric() || "-._".contains(c)));
    (plain || in_brackets).then(|| format!("{name}:{port}"))
}

/// Why a URL names no store. No message repeats the URL, which may hold a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UrlError {
    /// It begins in another way.
    Scheme,
    /// A host or a port cannot be one, or there are too many.
    Host,
    /// There is no prefix, or it is too long.
    Prefix,
    /// It holds credentials, a query or a fragment.
    Extra,
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scheme => f.write_str("the URL must begin with etcd:// or etcds://"),
            Self::Host => {
                write!(
                    f,
                    "the URL must name 1 to {MAX_HOSTS} hosts, with ports up to 65535, as in \
                 etcd://one:2379,two:2379/agents"
                )
            }
            Self::Prefix => write!(
                f,
                "the URL must name a prefix of 1 to {MAX_PREFIX_BYTES} bytes, without control characters, as in \
                 etcd://localhost:2379/agents"
            ),
            Self::Extra => f.write_str(
                "the URL must not hold @, ? or #; user and password come from ETCDCTL_USER and \
                 ETCDCTL_PASSWORD",
            ),
        }
    }
}

impl std::error::Error for UrlError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_ports_and_prefixes_are_read() {
        let config = Config::from_url("etcds://one,two.example:1234,[::1]:5,[::2]/agents/all/").unwrap();
        assert_eq!(config.hosts, ["one:2379", "two.example:1234", "[::1]:5", "[::2]:2379"]);
        assert_eq!((config.prefix.as_str(), config.tls), ("agents/all", true));
    }

    #[test]
    fn other_urls_are_refused_and_never_repeated() {
        for (url, expected) in [
            ("http://host/p", UrlError::Scheme),
            ("etcd:host/p", UrlError::Scheme),
            ("etcd://host", UrlError::Prefix),
            ("etcd://host/", UrlError::Prefix),
            ("etcd://host/a\0b", UrlError::Prefix),
            ("etcd:///p", UrlError::Host),
            ("etcd://one,,two/p", UrlError::Host),
            ("etcd://host:99999/p", UrlError::Host),
            ("etcd://ho st/p", UrlError::Host),
            ("etcd://me:hunter2@host/p", UrlError::Extra),
            ("etcd://host/p?password=hunter2", UrlError::Extra),
        ] {
            let error = Config::from_url(url).unwrap_err();
            assert_eq!(error, expected, "{url}");
            assert!(!error.to_string().contains("hunter2"));
        }
        let many = format!("etcd://{}/p", vec!["host"; MAX_HOSTS + 1].join(","));
        assert_eq!(Config::from_url(&many).unwrap_err(), UrlError::Host);
        let long = format!("etcd://host/{}", "p".repeat(MAX_PREFIX_BYTES + 1));
        assert_eq!(Config::from_url(&long).unwrap_err(), UrlError::Prefix);
    }

    #[test]
    fn credentials_are_taken_as_etcdctl_takes_them_and_not_shown() {
        let mut config = Config::from_url("etcd://host/p").unwrap();
        config.read_environment(|name| match name {
            "ETCDCTL_USER" => Some("me:hunter2".to_owned()),
            "ETCDCTL_CACERT" => Some("/ca.pem".to_owned()),
            _ => None,
        });
        assert_eq!(config.user, Some(("me".to_owned(), Secret::new("hunter2"))));
        assert_eq!(config.ca_file, Some("/ca.pem".into()));
        assert!(!format!("{config:?}").contains("hunter2"));
        config.read_environment(|name| match name {
            "ETCDCTL_USER" => Some("me".to_owned()),
            "ETCDCTL_PASSWORD" => Some("a:b".to_owned()),
            _ => None,
        });
        assert_eq!(config.user, Some(("me".to_owned(), Secret::new("a:b"))));
    }
}
