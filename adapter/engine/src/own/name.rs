//! Names that guests give.

use super::error::{OwnError, OwnResult};
use crate::limits::{MAX_OWN_NAME_BYTES, MAX_VOLUME_NAME_BYTES};
use crate::volume::Volume;
use crate::volumes::SEPARATOR;

/// Returns the name in the store of a volume's own. Nothing in it can be taken for a separator, a path
/// or a line of a terminal, and nothing that the volume masks.
pub(super) fn full_name(volume: &Volume, name: &str) -> OwnResult<String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let is_first_plain = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    let is_masked = volume.scrubbing.as_ref().is_some_and(|scrubbing| scrubbing.masked(name) != name);
    if !is_first_plain || name.len() > MAX_OWN_NAME_BYTES || !name.bytes().all(is_plain) || is_masked {
        return Err(OwnError::Name);
    }
    let full = format!("{}{SEPARATOR}{name}", volume.name());
    if full.len() > MAX_VOLUME_NAME_BYTES { Err(OwnError::Name) } else { Ok(full) }
}
