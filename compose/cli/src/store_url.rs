//! The URL of a store, as an argument.

use crate::full::with_room;
use anyhow::anyhow;
use kvfs_host::StoreError;
use std::convert::Infallible;
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

/// The URL of a store. Messages show it without the secrets that it may have.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct StoreUrl(String);

/// Returns the help of an argument that takes any store: `what` it is, and the forms of its URL.
pub(crate) fn forms_help(what: &str) -> String {
    format!("{what}: {}", kvfs_host::store_forms().replace(" and `", " or `"))
}

impl FromStr for StoreUrl {
    type Err = Infallible;

    fn from_str(url: &str) -> Result<Self, Infallible> {
        Ok(Self(url.to_owned()))
    }
}

/// The whole URL, to open the store with.
impl Deref for StoreUrl {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl StoreUrl {
    /// Explains why a store that was to be closed could not make `what` durable.
    pub(crate) fn closed(&self, closed: Result<(), StoreError>, what: &str) -> anyhow::Result<()> {
        let explained =
            |error: StoreError| anyhow!(error).context(format!("{self}: cannot make {what} durable"));
        closed.map_err(|error| with_room(self, explained(error)))
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&kvfs_host::without_secrets(&self.0))
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_show_no_secret_and_the_store_is_opened_with_it() {
        let url: StoreUrl = "postgres://me:secret@host/db".parse().unwrap();
        assert_eq!(url.to_string(), "postgres://host/db");
        assert_eq!(format!("{url:?}"), "postgres://host/db");
        assert_eq!(&*url, "postgres://me:secret@host/db");
        let path: StoreUrl = "redb:state.redb".parse().unwrap();
        assert_eq!(path.to_string(), "redb:state.redb");
    }
}
