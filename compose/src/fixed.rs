//! What a result states of itself: configuration, provider and mounts.

use crate::mounts::{FixedMount, read_lines};
use crate::parts::Claimed;
use crate::provider::Provider;

/// Returns the lines `key=value` that a component says it was configured with, those of its provider at the end; empty if
/// everything is at its default, and `None` for one that says nothing of the kind.
///
/// It is so under the conditions that [`fixed_mounts`] names.
///
/// # Cost
///
/// Looks at the sections of the file, and validates nothing.
pub fn configuration(bytes: &[u8]) -> Option<String> {
    Claimed::read(bytes).map(|claimed| lines(&claimed))
}

pub(crate) fn lines(claimed: &Claimed<'_>) -> String {
    let own = if claimed.mark.has_own_provider() { "" } else { &claimed.mark.provider };
    claimed.mark.config.clone() + own
}

/// Returns the provider that a component says it has inside, if it is one that comes with the library.
///
/// It is so under the conditions that [`fixed_mounts`] names.
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

/// Lists the mounts that a component says it was composed with, in the order of their paths; none for one that says
/// nothing of the kind.
///
/// It is so for bytes that [`Compose::build`](crate::Compose::build) or [`recompose`](crate::recompose) has returned.
/// Anybody else may have written what suits them.
///
/// # Cost
///
/// Looks at the sections of the file, and validates nothing.
pub fn fixed_mounts(bytes: &[u8]) -> Vec<FixedMount<'_>> {
    let claimed = Claimed::read(bytes);
    claimed.map(|claimed| read_lines(&claimed.mark.config, claimed.images)).unwrap_or_default()
}
