//! Where a store server is, and the token it asks for.

use std::fmt;
use std::str::FromStr;

use kvfs_http_wire::is_token;

use crate::error::ConfigError;

/// Most bytes of a URL.
const MAX_URL_BYTES: usize = 1024;

/// Checks the URL of a store server: `http://HOST[:PORT][/PATH]` or `https://…`.
///
/// # Errors
/// [`ConfigError::Server`] says what to do.
pub(super) fn check_url(url: &str) -> Result<(), ConfigError> {
    let wrong = |reason| Err(ConfigError::Server { url: url.to_owned(), reason });
    let Some((_, rest)) = url.split_once("://").filter(|(scheme, _)| ["http", "https"].contains(scheme))
    else {
        return wrong("it begins with neither http:// nor https://");
    };
    let authority = rest.split('/').next().unwrap_or_default();
    if authority.is_empty() {
        return wrong("it names no host");
    }
    if authority.contains('@') {
        return wrong("a secret belongs into the file of the token, not into the URL");
    }
    if url.len() > MAX_URL_BYTES {
        return wrong("it is longer than 1,024 bytes");
    }
    if !url.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#\"\\<>^`{|}".contains(&byte)) {
        return wrong("it has a character that is not allowed, a query or a fragment");
    }
    Ok(())
}

/// The secret that a store server asks for. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// Returns the secret.
    pub fn secret(&self) -> &str {
        &self.0
    }
}

impl FromStr for Token {
    type Err = ConfigError;

    /// Reads a token: 16 to 512 characters, of letters, digits and `-._~+/=`.
    ///
    /// # Errors
    /// [`ConfigError::Token`].
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        if is_token(text) { Ok(Self(text.to_owned())) } else { Err(ConfigError::Token) }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_a_host_and_no_secret() {
        for url in ["http://store", "https://store:8080", "http://127.0.0.1:1/a/b/", "http://[::1]:80"] {
            check_url(url).unwrap();
        }
        for (url, says) in [
            ("store:8080", "neither http://"),
            ("ftp://store", "neither http://"),
            ("http://", "names no host"),
            ("http:///path", "names no host"),
            ("http://user:secret@store", "the file of the token"),
            ("http://store/?a=b", "not allowed"),
            ("http://store/a b", "not allowed"),
            ("http://store/\n", "not allowed"),
            (&format!("http://{}", "x".repeat(1024)), "longer"),
        ] {
            let error = check_url(url).unwrap_err().to_string();
            assert!(error.contains(says), "{url}: {error}");
        }
    }

    #[test]
    fn a_token_is_not_shown() {
        let token: Token = "0123456789abcdef".parse().unwrap();
        assert_eq!(format!("{token:?}"), "***");
        assert!("short".parse::<Token>().is_err());
    }
}
