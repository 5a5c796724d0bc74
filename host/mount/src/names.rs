//! Names as the kernel gives them: bytes, of which a volume takes UTF-8.

use crate::errno::Failure;
use fuser::Errno;
use std::ffi::OsStr;

/// Returns a name as text.
///
/// # Errors
/// `EILSEQ` for bytes that are not UTF-8, `EINVAL` for what is no name of an entry. The volume refuses
/// longer names than it takes.
pub(crate) fn name(name: &OsStr) -> Result<&str, Failure> {
    let name = name.to_str().ok_or(Failure::Refused(Errno::EILSEQ))?;
    if matches!(name, "" | "." | "..") || name.contains('/') {
        return Err(Failure::Refused(Errno::EINVAL));
    }
    Ok(name)
}

/// Returns the target of a symbolic link as text.
///
/// # Errors
/// `EILSEQ` for bytes that are not UTF-8.
pub(crate) fn target(target: &OsStr) -> Result<&str, Failure> {
    target.to_str().ok_or(Failure::Refused(Errno::EILSEQ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt;

    #[test]
    fn only_names_of_entries_pass() {
        assert_eq!(name(OsStr::new("näme")).ok(), Some("näme"));
        for bytes in [&b""[..], b".", b"..", b"a/b", b"\xff"] {
            assert!(name(OsStr::from_bytes(bytes)).is_err(), "{bytes:?}");
        }
    }
}
