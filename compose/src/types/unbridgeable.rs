//! The error for a type that a generated component cannot carry.

use crate::error::ComposeError;

/// A type that cannot be carried, before the interface is known.
#[derive(Debug)]
pub(crate) struct Unbridgeable {
    pub(crate) ty: String,
    pub(crate) reason: String,
}

impl Unbridgeable {
    pub(crate) fn new(ty: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { ty: ty.into(), reason: reason.into() }
    }

    pub(crate) fn at(self, interface: &str, function: Option<&str>) -> ComposeError {
        ComposeError::CannotBridge {
            interface: interface.to_owned(),
            function: function.map(str::to_owned),
            ty: self.ty,
            reason: self.reason,
        }
    }
}
