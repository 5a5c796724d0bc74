//! What a failed call of the library means.

use kvfs_contract::{StoreError, in_a_line};
use kvfs_store_sessions::Failure;
use redis::{ErrorKind, RedisError};

use crate::open_error::OpenError;

/// Returns what a failed call means.
pub(crate) fn failed(error: RedisError) -> Failure {
    let why = words(&error);
    Failure::Refused(match error.code() {
        Some("OOM") => StoreError::QuotaExceeded,
        Some("MISCONF") if why.contains("No space left") => StoreError::QuotaExceeded,
        Some("MISCONF" | "NOREPLICAS") => StoreError::Unavailable(why),
        Some("NOPERM" | "NOAUTH" | "WRONGPASS") => StoreError::AccessDenied,
        Some("TOOLARGE") => StoreError::TooLarge,
        Some("NOVALUE") => StoreError::Corrupt(why),
        // Another connection may reach a server that answers, and has the scripts.
        Some(
            "LOADING" | "BUSY" | "MASTERDOWN" | "TRYAGAIN" | "CLUSTERDOWN" | "NOSCRIPT" | "READONLY"
            | "UNBLOCKED",
        ) => return Failure::Lost(why),
        Some(_) => StoreError::Other(why),
        None => match error.kind() {
            ErrorKind::UnexpectedReturnType | ErrorKind::Server(_) => StoreError::Other(why),
            _ => return Failure::Lost(why),
        },
    })
}

/// Returns why the server cannot be used.
pub(crate) fn refusal(error: &RedisError, place: String) -> OpenError {
    let why = words(error);
    match error.code() {
        Some("NOAUTH" | "WRONGPASS") => OpenError::Credentials { place, why },
        Some("NOPERM") => OpenError::Denied { place, why },
        Some("MOVED" | "CROSSSLOT") => OpenError::Server {
            place,
            why: format!(
                "it is a server of a cluster that has other keys ({why}); name the one that has the prefix"
            ),
        },
        Some("OOM") => OpenError::Full { place, why, source: StoreError::QuotaExceeded },
        Some("MISCONF") if why.contains("No space left") => {
            OpenError::Full { place, why, source: StoreError::QuotaExceeded }
        }
        Some("LOADING" | "BUSY" | "MASTERDOWN" | "CLUSTERDOWN" | "TRYAGAIN") => {
            OpenError::Unreachable { place, why }
        }
        Some(_) if why.contains("unknown command") => OpenError::Denied { place, why },
        Some(_) => OpenError::Other { place, why },
        None if error.kind() == ErrorKind::AuthenticationFailed => OpenError::Credentials { place, why },
        None if why.contains("certificate") || why.contains("TLS") || why.contains("tls") => {
            OpenError::Tls { place, why }
        }
        None if error.kind() == ErrorKind::InvalidClientConfig => OpenError::Other { place, why },
        None => OpenError::Unreachable { place, why },
    }
}

/// Describes an error in one line.
pub(crate) fn words(error: &RedisError) -> String {
    in_a_line(&error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_becomes_one_line_that_moves_no_cursor() {
        let said = RedisError::from((ErrorKind::Io, "a\nb", format!("\u{1b}[2J{}", "ä".repeat(1000))));
        let why = words(&said);
        assert!(why.starts_with("a b") && !why.contains(['\n', '\u{1b}']) && why.len() < 600, "{why}");
    }
}
