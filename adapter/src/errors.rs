//! `wasi:io/error`: errors of streams, the file system's or the host's.

use crate::adapter::Adapter;
use crate::bindings::exports::wasi::filesystem::types::ErrorCode;
use crate::bindings::exports::wasi::io::error::{Error as ErrorResource, Guest, GuestError};
use crate::bindings::kvfs::host_io::error::Error as HostError;
use crate::codes::to_code;
use std::cell::RefCell;

/// The content of an error resource.
pub(crate) enum StreamFailure {
    /// The file system's own.
    Ours(kvfs::Error),
    /// The host's; taken out while it is lent.
    Host(RefCell<Option<HostError>>),
}

impl StreamFailure {
    /// The place of the host's handle, which is empty while the handle is lent.
    pub(crate) fn place(&self) -> Option<&RefCell<Option<HostError>>> {
        match self {
            Self::Host(place) => Some(place),
            _ => None,
        }
    }

    pub(crate) fn ours(error: kvfs::Error) -> ErrorResource {
        ErrorResource::new(Self::Ours(error))
    }

    pub(crate) fn host(error: HostError) -> ErrorResource {
        ErrorResource::new(Self::Host(RefCell::new(Some(error))))
    }

    /// The error code, if it is the file system's.
    pub(crate) fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Ours(error) => Some(to_code(error)),
            Self::Host(_) => None,
        }
    }
}

impl Guest for Adapter {
    type Error = StreamFailure;
}

impl GuestError for StreamFailure {
    fn to_debug_string(&self) -> String {
        match self {
            Self::Ours(error) => error.to_string(),
            Self::Host(host) => match host.try_borrow().as_deref() {
                Ok(Some(error)) => error.to_debug_string(),
                _ => "an error of the host that is in use".to_owned(),
            },
        }
    }
}
