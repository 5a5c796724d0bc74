//! Why parts cannot be linked.

/// Why parts cannot be linked, as the end of a sentence. They can still be composed as components.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub(crate) struct NotLinkable {
    reason: String,
}

impl NotLinkable {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}
