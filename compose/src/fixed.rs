//! Reads the statements of a result about itself: configuration, provider and mounts.

use crate::audit::Audit;
use crate::mounts::{FixedMount, read_lines};
use crate::options::{OWN_VOLUMES, read_own_volumes};
use crate::parts::Claimed;
use crate::provider::Provider;

/// Returns the configuration that a component states, as lines `key=value`, those of its provider
/// last. The text is empty if every option has its default. A token is not shown. `None` if the
/// component is no result of composing.
///
/// Anybody can write such a statement: see [`fixed_mounts`].
///
/// # Cost
///
/// Reads the sections of the file, and validates nothing.
pub fn configuration(bytes: &[u8]) -> Option<String> {
    Claimed::read(bytes).map(|claimed| lines(&claimed))
}

pub(crate) fn lines(claimed: &Claimed<'_>) -> String {
    let own = if claimed.mark.has_own_provider() { "" } else { &claimed.mark.provider };
    let shown = |line: &str| match line.starts_with("token=") {
        true => "token=***\n".to_owned(),
        false => format!("{line}\n"),
    };
    claimed.mark.config.lines().chain(own.lines()).map(shown).collect()
}

/// Returns the provider that a component states, if that comes with the library.
///
/// Anybody can write such a statement: see [`fixed_mounts`].
///
/// # Cost
///
/// As [`configuration`].
pub fn fixed_provider(bytes: &[u8]) -> Option<Provider> {
    let provider = Claimed::read(bytes)?.mark.provider()?;
    match provider {
        Provider::Host | Provider::Component(_) => None,
        known => Some(known),
    }
}

/// Lists the mounts that a component states, in the order of their paths. The list is empty if the
/// component is no result of composing.
///
/// The statement is true of bytes that [`Compose::build`](crate::Compose::build) or
/// [`recompose`](crate::recompose()) returned. Anybody can write any statement into other bytes.
///
/// # Cost
///
/// Reads the sections of the file, and validates nothing.
pub fn fixed_mounts(bytes: &[u8]) -> Vec<FixedMount<'_>> {
    let claimed = Claimed::read(bytes);
    claimed.map(|claimed| read_lines(&claimed.mark.config, claimed.images)).unwrap_or_default()
}

/// Returns whether a component states that it keeps an audit log beside its volumes.
///
/// Anybody can write such a statement: see [`fixed_mounts`].
///
/// # Cost
///
/// As [`configuration`].
pub fn keeps_audit_log(bytes: &[u8]) -> bool {
    let claimed = Claimed::read(bytes);
    let audit = |line: &str| Audit::of_line(line.strip_prefix("audit=")?);
    claimed
        .is_some_and(|claimed| claimed.mark.config.lines().filter_map(audit).any(|audit| audit.is_beside()))
}

/// Returns how many snapshots and forks the guest of a component may make of each volume, as the
/// component states; `None` if it may make none.
///
/// Anybody can write such a statement: see [`fixed_mounts`].
///
/// # Cost
///
/// As [`configuration`].
pub fn fixed_volume_control(bytes: &[u8]) -> Option<u32> {
    own_volumes(&Claimed::read(bytes)?.mark.config)
}

/// Reads the number from a configuration.
pub(crate) fn own_volumes(config: &str) -> Option<u32> {
    let value = |line: &'_ str| line.strip_prefix(OWN_VOLUMES)?.strip_prefix('=').map(str::to_owned);
    config.lines().find_map(value).and_then(|value| read_own_volumes(&value))
}
