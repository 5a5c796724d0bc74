//! Compares the answers of the engine with those of the reference.

use crate::model::Answer;
use kvfs::Error;

/// What a check says: nothing, or what is wrong.
pub type Check = Result<(), String>;

/// Whether both succeeded; fails if the engine answers otherwise than the reference.
pub(super) fn same<T>(engine: &Result<T, Error>, model: &Answer<()>) -> Result<bool, String> {
    let found = engine.as_ref().map(drop).map_err(Error::code);
    if found == *model {
        Ok(found.is_ok())
    } else {
        let error = engine.as_ref().err();
        Err(format!("the engine says {found:?} ({error:?}), the reference {model:?}"))
    }
}
