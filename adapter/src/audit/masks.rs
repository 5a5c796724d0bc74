//! Secrets of scrubbed volumes, which are masked in lines of the log as they are in the volumes.

use crate::config::Config;
use kvfs::{MAX_SECRET_BYTES, Scrubbing, Volume};
use kvfs_audit::{Line, MAX_TEXT_BYTES};
use std::borrow::Cow;
use std::cell::RefCell;

/// Most bytes of a text that are looked through: a line has no more, but a secret may begin in it
/// and end behind.
const MAX_MASKED_BYTES: usize = MAX_TEXT_BYTES + MAX_SECRET_BYTES;

thread_local! {
    /// The policies of the volumes that were opened so far.
    static MASKS: RefCell<Vec<Scrubbing>> = const { RefCell::new(Vec::new()) };
}

/// Masks the secrets of a volume from now on, whatever mount a path leads through.
pub(crate) fn mask(volume: &Volume, config: &Config) {
    if config.audit.is_some() {
        // A volume that a guest restores is opened many times.
        let is_new = |masks: &Vec<Scrubbing>, scrubbing: &Scrubbing| !masks.contains(scrubbing);
        MASKS.with_borrow_mut(|masks| {
            let found = volume.settings().scrubbing.filter(|scrubbing| is_new(masks, scrubbing));
            masks.extend(found);
        });
    }
}

fn has_masks() -> bool {
    MASKS.with_borrow(|masks| !masks.is_empty())
}

/// Returns the start of a text of the guest's without secrets.
fn masked(text: &str) -> Cow<'_, str> {
    let text = text.get(..text.floor_char_boundary(MAX_MASKED_BYTES)).unwrap_or_default();
    MASKS.with_borrow(|masks| {
        masks.iter().fold(Cow::Borrowed(text), |text, scrubbing| match scrubbing.masked(&text) {
            Cow::Borrowed(_) => text,
            Cow::Owned(masked) => Cow::Owned(masked),
        })
    })
}

/// Adds a text of the guest's.
#[inline(never)]
pub(crate) fn text(line: &mut Line<'_>, key: &str, text: &str) {
    path(line, key, "", text);
}

/// Adds a path of the guest's, as [`Line::path`]. A secret may reach from the base into the rest.
#[inline(never)]
pub(crate) fn path(line: &mut Line<'_>, key: &str, base: &str, rest: &str) {
    if !has_masks() {
        return line.path(key, base, rest);
    }
    let slash = if base.is_empty() || base.ends_with('/') || rest.is_empty() { "" } else { "/" };
    if base.len() + slash.len() + rest.len() <= MAX_TEXT_BYTES {
        line.text(key, &masked(&format!("{base}{slash}{rest}")));
    } else {
        line.text(key, &masked(rest));
    }
}
