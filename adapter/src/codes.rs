//! Errors of the engine as WASI's error codes. The engine has the table; this translates its codes.

use crate::bindings::exports::wasi::filesystem::types::ErrorCode;
use kvfs::{Code, Error};

pub(crate) fn to_code(error: &Error) -> ErrorCode {
    match error.code() {
        Code::Access => ErrorCode::Access,
        Code::BadDescriptor => ErrorCode::BadDescriptor,
        Code::Busy => ErrorCode::Busy,
        Code::CrossDevice => ErrorCode::CrossDevice,
        Code::Exist => ErrorCode::Exist,
        Code::FileTooLarge => ErrorCode::FileTooLarge,
        Code::Invalid => ErrorCode::Invalid,
        Code::Io => ErrorCode::Io,
        Code::IsDirectory => ErrorCode::IsDirectory,
        Code::Loop => ErrorCode::Loop,
        Code::TooManyLinks => ErrorCode::TooManyLinks,
        Code::NameTooLong => ErrorCode::NameTooLong,
        Code::NoEntry => ErrorCode::NoEntry,
        Code::InsufficientMemory => ErrorCode::InsufficientMemory,
        Code::InsufficientSpace => ErrorCode::InsufficientSpace,
        Code::NotDirectory => ErrorCode::NotDirectory,
        Code::NotEmpty => ErrorCode::NotEmpty,
        Code::Overflow => ErrorCode::Overflow,
        Code::NotPermitted => ErrorCode::NotPermitted,
        Code::Quota => ErrorCode::Quota,
        Code::ReadOnly => ErrorCode::ReadOnly,
    }
}
