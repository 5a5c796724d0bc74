//! Compares answers of engine and reference.

use crate::model::Answer;
use kvfs::Error;

/// The outcome of a check: an error says what is wrong.
pub type Check = Result<(), String>;

/// Returns whether both succeeded, or an error if their answers differ.
pub(super) fn same<T>(engine: &Result<T, Error>, model: &Answer<()>) -> Result<bool, String> {
    let found = engine.as_ref().map(drop).map_err(Error::code);
    if found == *model {
        Ok(found.is_ok())
    } else {
        let error = engine.as_ref().err();
        Err(format!("the engine says {found:?} ({error:?}), the reference {model:?}"))
    }
}
