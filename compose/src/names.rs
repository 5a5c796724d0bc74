//! Names of interfaces, and which of them name versions of one interface.
//!
//! WASI 0.2.0 to 0.2.x are compatible: a component made for one runs on another. So interfaces are
//! paired without their patch version. The exact name is used only where a name is written.

use semver::Version;
use std::fmt;

/// The store, without a version. The adapter imports it, and no guest may.
pub(crate) const STORE: &str = "kvfs:store/kv-store";

/// The interface by which guests control volumes that they mount, without a version. The adapter
/// answers it where the composition allows it.
pub(crate) const VOLUME_CONTROL: &str = "kvfs:volume/control";

/// The parsed name of an interface.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct InterfaceName {
    /// As written in the component: `wasi:io/poll@0.2.9`.
    pub(crate) full: String,
    /// Without a version: `wasi:io/poll`.
    pub(crate) base: String,
    version: Option<Version>,
}

impl InterfaceName {
    /// Parses a name. A name without a valid `@version` at its end has no version.
    pub(crate) fn parse(full: &str) -> Self {
        let (base, version) = match full.split_once('@') {
            Some((base, version)) => match Version::parse(version) {
                Ok(version) => (base, Some(version)),
                Err(_) => (full, None),
            },
            None => (full, None),
        };
        Self { full: full.to_owned(), base: base.to_owned(), version }
    }

    /// Returns the version, if the name has one.
    pub(crate) fn version(&self) -> Option<&Version> {
        self.version.as_ref()
    }

    /// Returns true if `self` and `other` are compatible versions of one interface: an import of
    /// one can be given an export of the other.
    pub(crate) fn pairs_with(&self, other: &Self) -> bool {
        self.base == other.base && self.track() == other.track()
    }

    /// Returns true for an interface of this package in WASI 0.2.
    pub(crate) fn is_wasi02(&self, package: &str) -> bool {
        let in_package = self.base.strip_prefix(package).is_some_and(|rest| rest.starts_with('/'));
        in_package && self.version.as_ref().is_some_and(|v| v.major == 0 && v.minor == 2)
    }

    /// Returns true for an interface that controls volumes, of any version.
    pub(crate) fn is_volume_control(&self) -> bool {
        self.base.split('@').next().is_some_and(|base| base.starts_with("kvfs:volume/"))
    }

    /// Returns true for the interface that controls volumes, in a version that the adapter answers.
    pub(crate) fn is_known_volume_control(&self) -> bool {
        self.base == VOLUME_CONTROL && self.track() == Some((0, 1, 0))
    }

    /// Returns the part of the version that compatible versions share, as cargo and WASI read
    /// semver.
    fn track(&self) -> Option<(u64, u64, u64)> {
        self.version.as_ref().map(|v| match (v.major, v.minor) {
            (0, 0) => (0, 0, v.patch),
            (0, minor) => (0, minor, 0),
            (major, _) => (major, 0, 0),
        })
    }
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.full)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(a: &str, b: &str) -> bool {
        InterfaceName::parse(a).pairs_with(&InterfaceName::parse(b))
    }

    #[test]
    fn versions_pair_without_their_patch_part() {
        assert!(pairs("wasi:io/poll@0.2.0", "wasi:io/poll@0.2.12"));
        assert!(!pairs("wasi:io/poll@0.2.0", "wasi:io/poll@0.3.0"));
        assert!(!pairs("wasi:io/poll@0.2.0", "wasi:io/error@0.2.0"));
        assert!(!pairs("a:b/c@0.0.1", "a:b/c@0.0.2"));
        assert!(pairs("a:b/c@1.0.0", "a:b/c@1.9.0"));
        assert!(!pairs("a:b/c", "a:b/c@1.0.0"));
    }

    #[test]
    fn a_package_is_matched_whole() {
        assert!(InterfaceName::parse("wasi:io/poll@0.2.3").is_wasi02("wasi:io"));
        assert!(!InterfaceName::parse("wasi:iox/poll@0.2.3").is_wasi02("wasi:io"));
        assert!(!InterfaceName::parse("wasi:io/poll@0.3.0").is_wasi02("wasi:io"));
        assert!(!InterfaceName::parse("wasi:io/poll").is_wasi02("wasi:io"));
    }
}
