//! Where the store is: from a URL and the environment to a [`Config`].

use std::path::PathBuf;
use std::time::Duration;

use kvfs_contract::Secret;
use reqwest::Url;

/// How long a call waits for the server, unless said otherwise.
const PATIENCE: Duration = Duration::from_secs(30);

/// Names a file whose first line is the token.
const TOKEN_FILE: &str = "KVFS_STORE_TOKEN_FILE";

/// Holds the token itself, where a file is not possible.
const TOKEN: &str = "KVFS_STORE_TOKEN";

/// Where a store is, and how to get there.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) base: Url,
    pub(crate) token: Token,
    /// Opens for reading only: applies are refused here. Off at first.
    pub read_only: bool,
    /// Longest wait for a server that cannot be reached, and for one answer. At first 30 seconds.
    pub patience: Duration,
}

/// Where the token comes from.
#[derive(Clone, Debug)]
pub(crate) enum Token {
    None,
    Text(Secret),
    File(PathBuf),
}

/// Why a URL does not say where a store is. No text has what may be a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// The URL has another form.
    #[error("the URL is not one of a store server; write http://HOST:PORT or https://HOST/PATH")]
    Form,
    /// The URL has more than a place.
    #[error(
        "a URL of a store server has no user, query or fragment: the token comes from KVFS_STORE_TOKEN_FILE"
    )]
    Extra,
}

impl Config {
    /// Reads a URL: `http://HOST:PORT` or `https://HOST/PATH`. The token is the first line of the file
    /// that `KVFS_STORE_TOKEN_FILE` names, else `KVFS_STORE_TOKEN`.
    ///
    /// # Errors
    /// See [`UrlError`].
    pub fn from_url(url: &str) -> Result<Self, UrlError> {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let token = match (set(TOKEN_FILE), set(TOKEN)) {
            (Some(file), _) => Token::File(file.into()),
            // One that is not text is no token either, and is refused as such.
            (None, Some(text)) => Token::Text(Secret::new(text.to_string_lossy())),
            (None, None) => Token::None,
        };
        Self::read(url, token)
    }

    pub(crate) fn read(url: &str, token: Token) -> Result<Self, UrlError> {
        if url.contains(['@', '?', '#']) {
            return Err(UrlError::Extra);
        }
        let mut base = Url::parse(url).map_err(|_| UrlError::Form)?;
        if !matches!(base.scheme(), "http" | "https") || base.host().is_none() {
            return Err(UrlError::Form);
        }
        let path = base.path().trim_end_matches('/').to_owned();
        base.set_path(&path);
        Ok(Self { base, token, read_only: false, patience: PATIENCE })
    }

    /// Takes this token, whatever the environment says.
    pub fn token(self, token: Secret) -> Self {
        Self { token: Token::Text(token), ..self }
    }

    /// Takes the token from the first line of a file, whatever the environment says.
    pub fn token_file(self, file: impl Into<PathBuf>) -> Self {
        Self { token: Token::File(file.into()), ..self }
    }

    /// Returns host, port and path, for messages.
    pub(crate) fn place(&self) -> String {
        let (host, path) = (self.base.host_str().unwrap_or_default(), self.base.path().trim_end_matches('/'));
        match self.base.port_or_known_default() {
            Some(port) => format!("{host}:{port}{path}"),
            None => format!("{host}{path}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> Result<Config, UrlError> {
        Config::read(url, Token::Text(Secret::new("a-secret-of-some-length")))
    }

    #[test]
    fn a_url_names_host_port_and_path() {
        for (url, place) in [
            ("http://127.0.0.1:7780", "127.0.0.1:7780"),
            ("https://files.example/agents/", "files.example:443/agents"),
            ("http://[::1]:80/", "[::1]:80"),
        ] {
            let config = read(url).unwrap();
            assert_eq!(config.place(), place);
            assert!(!format!("{config:?}").contains("a-secret"), "{config:?}");
        }
        for url in ["http:", "http://", "ftp://host", "host:7780", "http://host:x"] {
            assert!(matches!(read(url), Err(UrlError::Form)), "{url}");
        }
        for url in ["http://token@host", "http://host?token=x", "http://host#x"] {
            assert!(matches!(read(url), Err(UrlError::Extra)), "{url}");
        }
    }
}
