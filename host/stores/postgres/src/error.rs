//! What a failed call of the library means.

use kvfs_contract::{StoreError, in_a_line, with_causes};
use kvfs_store_sessions::Failure;
use tokio_postgres::error::SqlState;

/// Returns what a failed call means.
pub(crate) fn failed(error: tokio_postgres::Error) -> Failure {
    let Some(database) = error.as_db_error() else { return Failure::Lost(words(&error)) };
    let code = database.code();
    if is_end_of_session(code) {
        return Failure::Lost(words(&error));
    }
    Failure::Refused(match *code {
        SqlState::DISK_FULL => StoreError::QuotaExceeded,
        SqlState::READ_ONLY_SQL_TRANSACTION => StoreError::ReadOnly,
        SqlState::INSUFFICIENT_PRIVILEGE => StoreError::AccessDenied,
        SqlState::PROGRAM_LIMIT_EXCEEDED => StoreError::TooLarge,
        SqlState::DATA_CORRUPTED | SqlState::INDEX_CORRUPTED => StoreError::Corrupt(words(&error)),
        SqlState::LOCK_NOT_AVAILABLE => StoreError::Unavailable(format!(
            "another client holds the store's lock for too long ({}); see pg_locks at the server",
            words(&error)
        )),
        SqlState::T_R_SERIALIZATION_FAILURE
        | SqlState::T_R_DEADLOCK_DETECTED
        | SqlState::QUERY_CANCELED
        | SqlState::OUT_OF_MEMORY => StoreError::Unavailable(words(&error)),
        _ => StoreError::Other(words(&error)),
    })
}

/// Returns whether the server ends the session with this error.
fn is_end_of_session(code: &SqlState) -> bool {
    let code = code.code();
    // Class 08: the connection. 57P: shut down, crashed, or not there yet. 25P03: timed out.
    code.starts_with("08") || code.starts_with("57P") || code == "25P03" || code == "53300"
}

/// Describes an error in one line, with the server's code.
pub(crate) fn words(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(database) => {
            format!("{} ({})", in_a_line(database.message()), in_a_line(database.code().code()))
        }
        None => in_a_line(&with_causes(&error.to_string(), error)),
    }
}
