//! The types of `kvfs:store/kv-store@0.1.0` as they cross the component boundary.
//!
//! Written by hand instead of by `bindgen!`: parameters are lifted as [`WasmList`]s, which only
//! point into the guest's memory, and answers are lowered from the store's own [`Bytes`]. So no key
//! or value is copied or allocated on the way. Names and order of fields and cases are those of the
//! WIT; wasmtime compares them with the guest's types when it links.

// The derives implement unsafe traits of wasmtime; they generate no unsafe code of ours.
#![allow(unsafe_code)]

use bytes::Bytes;
use kvfs_contract::convert_error;
use wasmtime::component::{ComponentType, Lift, Lower, WasmList};

use crate::{Durability, Entry, Limits, MAX_BATCH_ENTRIES, StoreError};

#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct LimitsOut {
    #[component(name = "max-key-bytes")]
    max_key_bytes: u32,
    #[component(name = "max-value-bytes")]
    max_value_bytes: u32,
    #[component(name = "max-batch-entries")]
    max_batch_entries: u32,
    #[component(name = "max-batch-bytes")]
    max_batch_bytes: u32,
    durable: bool,
}

impl From<Limits> for LimitsOut {
    fn from(limits: Limits) -> Self {
        Self {
            max_key_bytes: limits.max_key_bytes,
            max_value_bytes: limits.max_value_bytes,
            // The linker refuses longer lists, whatever the store would take.
            max_batch_entries: limits.max_batch_entries.min(MAX_BATCH_ENTRIES),
            max_batch_bytes: limits.max_batch_bytes,
            durable: limits.durable,
        }
    }
}

#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct EntryOut {
    key: Bytes,
    value: Bytes,
}

impl From<Entry> for EntryOut {
    fn from(entry: Entry) -> Self {
        Self { key: entry.key, value: entry.value }
    }
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct EntryIn {
    pub(crate) key: WasmList<u8>,
    pub(crate) value: WasmList<u8>,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct GuardIn {
    pub(crate) key: WasmList<u8>,
    pub(crate) expected: Option<WasmList<u8>>,
}

#[derive(ComponentType, Lift)]
#[component(variant)]
pub(crate) enum MutationIn {
    #[component(name = "put")]
    Put(EntryIn),
    #[component(name = "delete")]
    Delete(WasmList<u8>),
}

#[derive(Clone, Copy, ComponentType, Lift)]
#[component(enum)]
#[repr(u8)]
#[allow(dead_code, reason = "made by lifting alone")]
pub(crate) enum DurabilityIn {
    #[component(name = "buffered")]
    Buffered,
    #[component(name = "durable")]
    Durable,
}

impl From<DurabilityIn> for Durability {
    fn from(level: DurabilityIn) -> Self {
        match level {
            DurabilityIn::Buffered => Self::Buffered,
            DurabilityIn::Durable => Self::Durable,
        }
    }
}

#[derive(ComponentType, Lower)]
#[component(variant)]
pub(crate) enum ErrorOut {
    #[component(name = "conflict")]
    Conflict,
    #[component(name = "unknown-outcome")]
    UnknownOutcome,
    #[component(name = "unavailable")]
    Unavailable(String),
    #[component(name = "too-large")]
    TooLarge,
    #[component(name = "quota-exceeded")]
    QuotaExceeded,
    #[component(name = "read-only")]
    ReadOnly,
    #[component(name = "access-denied")]
    AccessDenied,
    #[component(name = "corrupt")]
    Corrupt(String),
    #[component(name = "other")]
    Other(String),
}

impl ErrorOut {
    /// Separates errors that the guest sees from those that end it.
    ///
    /// # Errors
    /// A trap, for [`StoreError::Fault`].
    pub(crate) fn of(error: StoreError) -> wasmtime::Result<Self> {
        Ok(convert_error!(error, StoreError => ErrorOut, StoreError::Fault(_) => return Err(error.into())))
    }
}
