//! The parts to link.

use crate::parts::{AdapterComponent, Guest};

/// All that is linked.
pub(crate) struct Job<'a> {
    pub(crate) guest: &'a Guest<'a>,
    pub(crate) adapter: &'a AdapterComponent,
    /// Names of the host's `wasi:io` in the result, by the adapter's import. None if no handle of the
    /// host can reach the guest.
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
