//! The parts of a composition: the guest, the adapter, and the statement of a result about them.

mod adapter;
mod claim;
mod guest;
mod mark;
mod pieces;
mod search;

pub use adapter::{
    ADAPTER, ADAPTER_WITH_AUDIT, ADAPTER_WITH_CONTROL, ADAPTER_WITH_HOST, ADAPTER_WITH_HOST_AND_AUDIT,
    ADAPTER_WITH_HOST_AND_CONTROL,
};
pub(crate) use adapter::{ADAPTERS, AdapterComponent, adapter_for, allows_control};
pub(crate) use claim::{Claimed, Parts, append, mark_text};
pub(crate) use guest::Guest;
pub(crate) use mark::{Mark, provider_lines};
pub(crate) use search::{find_images, has_code_of};
