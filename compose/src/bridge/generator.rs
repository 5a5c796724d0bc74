//! A generated component while it is written: its builder, and the indices in it.

use super::job::Job;
use super::write::{Names, TypeWriter};
use crate::types::{IoResource, TypeInfo};
use indexmap::{IndexMap, IndexSet};
use std::collections::HashMap;
use wasm_encoder::ComponentBuilder;
use wit_parser::{InterfaceId, TypeId};

/// Type indices of the `wasi:io` of one side.
#[derive(Default)]
pub(super) struct IoTypes {
    pub(super) resources: HashMap<IoResource, u32>,
    pub(super) stream_error: Option<u32>,
}

/// The imports for the conversion of handles.
pub(super) struct IoImports {
    pub(super) host: IoTypes,
    pub(super) virtual_: IoTypes,
    pub(super) bridge: u32,
}

pub(super) struct Generator<'a, 'j> {
    pub(super) job: &'j Job<'a>,
    pub(super) info: TypeInfo<'a>,
    pub(super) writer: TypeWriter<'a>,
    pub(super) builder: ComponentBuilder,
    /// The guest's types as the wrapped items see them.
    pub(super) callee: Names,
    /// The guest's types as the caller of the wrapped items sees them.
    pub(super) caller: Names,
    pub(super) io: Option<IoImports>,
    /// The functions `commit` and `explain`.
    pub(super) commit: Option<u32>,
    pub(super) explain: Option<u32>,
    /// Imported instances.
    pub(super) instances: HashMap<InterfaceId, u32>,
    /// Imported functions that belong to no interface, by wrap.
    pub(super) functions: HashMap<usize, u32>,
    /// Types from interfaces that are not wrapped here, by interface.
    pub(super) needed: IndexMap<InterfaceId, IndexSet<TypeId>>,
}
