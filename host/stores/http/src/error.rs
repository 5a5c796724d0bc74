//! Errors of a store, in the first byte of an answer.

use kvfs_contract::StoreError;

/// First byte of an answer that is not an error.
pub(crate) const DONE: u8 = 0;

/// Most bytes of the text of an error.
const MAX_TEXT_BYTES: usize = 1024;

/// Returns the number of an error, and its text.
pub(crate) fn number(error: &StoreError) -> (u8, &str) {
    let (number, text) = match error {
        StoreError::Conflict => (1, ""),
        StoreError::UnknownOutcome => (2, ""),
        StoreError::Unavailable(why) => (3, why.as_str()),
        StoreError::TooLarge => (4, ""),
        StoreError::QuotaExceeded => (5, ""),
        StoreError::ReadOnly => (6, ""),
        StoreError::AccessDenied => (7, ""),
        StoreError::Corrupt(why) => (8, why.as_str()),
        StoreError::Other(why) => (9, why.as_str()),
        // Its text is for the host's log.
        StoreError::Fault(_) => (9, "the store server is broken; its log says why"),
    };
    (number, &text[..text.floor_char_boundary(MAX_TEXT_BYTES)])
}

/// Returns the error of a number.
pub(crate) fn error(number: u8, mut text: String) -> StoreError {
    text.truncate(text.floor_char_boundary(MAX_TEXT_BYTES));
    match number {
        1 => StoreError::Conflict,
        2 => StoreError::UnknownOutcome,
        3 => StoreError::Unavailable(text),
        4 => StoreError::TooLarge,
        5 => StoreError::QuotaExceeded,
        6 => StoreError::ReadOnly,
        7 => StoreError::AccessDenied,
        8 => StoreError::Corrupt(text),
        _ => StoreError::Other(text),
    }
}
