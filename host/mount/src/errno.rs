//! Why a request fails, and the one table from there to the numbers that programs see.

use fuser::Errno;
use kvfs::{Code, Error};

/// Why a request of the kernel fails.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It is refused before the volume is asked.
    Refused(Errno),
    /// The volume or its store fails.
    Volume(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Volume(error)
    }
}

impl Failure {
    /// The failure of an operation on an inode by its number. One that is gone was removed while the
    /// kernel knew it.
    pub(crate) fn by_number(error: Error) -> Self {
        match error {
            Error::NoEntry => Self::Refused(Errno::ESTALE),
            error => Self::Volume(error),
        }
    }

    /// The number that the program sees.
    pub(crate) fn errno(&self) -> Errno {
        match self {
            Self::Refused(errno) => *errno,
            Self::Volume(error) => of_code(error.code()),
        }
    }
}

fn of_code(code: Code) -> Errno {
    match code {
        Code::Access => Errno::EACCES,
        Code::BadDescriptor => Errno::EBADF,
        Code::Busy => Errno::EBUSY,
        Code::CrossDevice => Errno::EXDEV,
        Code::Exist => Errno::EEXIST,
        Code::FileTooLarge => Errno::EFBIG,
        Code::Invalid => Errno::EINVAL,
        Code::Io => Errno::EIO,
        Code::IsDirectory => Errno::EISDIR,
        Code::Loop => Errno::ELOOP,
        Code::TooManyLinks => Errno::EMLINK,
        Code::NameTooLong => Errno::ENAMETOOLONG,
        Code::NoEntry => Errno::ENOENT,
        // Too many files are open, in all programs together.
        Code::InsufficientMemory => Errno::ENFILE,
        Code::InsufficientSpace => Errno::ENOSPC,
        Code::NotDirectory => Errno::ENOTDIR,
        Code::NotEmpty => Errno::ENOTEMPTY,
        Code::Overflow => Errno::EOVERFLOW,
        Code::NotPermitted => Errno::EPERM,
        Code::Quota => Errno::EDQUOT,
        Code::ReadOnly => Errno::EROFS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kvfs::StoreError;

    #[test]
    fn full_stores_and_quotas_have_numbers_of_their_own() {
        let number = |error| i32::from(Failure::Volume(error).errno());
        assert_eq!(number(Error::Store(StoreError::QuotaExceeded)), i32::from(Errno::ENOSPC));
        assert_eq!(number(Error::Quota), i32::from(Errno::EDQUOT));
        assert_eq!(number(Error::Fenced), i32::from(Errno::EIO));
        assert_eq!(number(Error::Store(StoreError::Unavailable("gone".to_owned()))), i32::from(Errno::EIO));
    }

    #[test]
    fn an_inode_that_is_gone_is_stale() {
        assert_eq!(i32::from(Failure::by_number(Error::NoEntry).errno()), i32::from(Errno::ESTALE));
        assert_eq!(i32::from(Failure::from(Error::NoEntry).errno()), i32::from(Errno::ENOENT));
    }
}
