//! The parts to link.

use crate::parts::{AdapterComponent, Guest};

/// The parts, and the names of the host's interfaces.
pub(crate) struct Job<'a> {
    pub(crate) guest: &'a Guest<'a>,
    pub(crate) adapter: &'a AdapterComponent,
    /// Pairs of the adapter's import of the host's `wasi:io` and the name in the result. `None` if
    /// no handle of the host can reach the guest.
    pub(crate) host_io: Option<Vec<(String, String)>>,
    /// A component that exports the store.
    pub(crate) provider: Option<&'a [u8]>,
}

/// One of the components that go into the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Part {
    Guest,
    Adapter,
    Provider,
}
