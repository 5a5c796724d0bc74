//! The state of linking: the result, the parts and the glue.

use super::items::{ItemId, Space};
use super::job::Part;
use super::module::GlueImport;
use super::output::Output;
use super::source::Source;
use std::collections::HashMap;
use wasm_encoder::ExportKind;

/// The result while it is made.
pub(super) struct Linker<'a> {
    pub(super) output: Output,
    pub(super) guest: Source<'a>,
    pub(super) adapter: Source<'a>,
    pub(super) provider: Option<Source<'a>>,
    /// Imports of the result, by space and name.
    pub(super) imports: HashMap<(Space, String), u32>,
    pub(super) glue: Vec<Glue>,
    /// Number of the glue module with the operations of the table by kind, and of the one for mixed
    /// calls.
    pub(super) operations: usize,
    pub(super) mixed: Option<usize>,
    /// Core functions of the adapter that destroy its resources, by kind.
    pub(super) destructors: Vec<Option<u32>>,
    pub(super) table: Option<u32>,
    pub(super) loans: Option<u32>,
    pub(super) text: HashMap<(Part, ItemId), u32>,
}

/// A glue module, placed when the first function of it is needed.
pub(super) enum Glue {
    Planned(Vec<u8>, Vec<(GlueImport, ExportKind)>),
    Placed(u32),
}

impl<'a> Linker<'a> {
    pub(super) fn source(&self, part: Part) -> &Source<'a> {
        match (part, &self.provider) {
            (Part::Adapter, _) => &self.adapter,
            (Part::Provider, Some(provider)) => provider,
            (Part::Guest | Part::Provider, _) => &self.guest,
        }
    }

    pub(super) fn source_mut(&mut self, part: Part) -> &mut Source<'a> {
        match (part, &mut self.provider) {
            (Part::Adapter, _) => &mut self.adapter,
            (Part::Provider, Some(provider)) => provider,
            (Part::Guest | Part::Provider, _) => &mut self.guest,
        }
    }
}
