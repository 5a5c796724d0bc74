//! A part while its items are written: where they went, and what takes the place of some.

use super::handles::Operation;
use super::items::{ItemId, Items};
use super::job::Part;
use std::collections::HashMap;
use std::rc::Rc;

/// What becomes of an item instead of being written as it stands.
#[derive(Clone, Debug)]
pub(super) enum Replacement {
    /// Another part's item takes its place.
    Same(Part, ItemId),
    /// A function of a glue module, by the module's number and the export's name.
    Glue(usize, String),
    /// An operation of the handle table, for one kind of handle.
    Handle(Operation, u32),
    /// A lifted function whose core function is wrapped by one of a glue module.
    Wrapped(usize, String),
    /// An import under another name.
    Rename(String),
    /// An interface that the adapter answers. Only calls of its functions can be kept.
    Answered(String),
    /// A resource that only the adapter has now.
    Placeholder,
}

/// One component that goes into the result.
pub(super) struct Source<'a> {
    pub(super) items: Rc<Items<'a>>,
    pub(super) replacements: HashMap<ItemId, Replacement>,
    pub(super) written: HashMap<ItemId, u32>,
    /// Items being written, to find a component that refers to what comes later.
    pub(super) open: Vec<ItemId>,
}

impl<'a> Source<'a> {
    pub(super) fn new(items: Items<'a>) -> Self {
        Self {
            items: Rc::new(items),
            replacements: HashMap::new(),
            written: HashMap::new(),
            open: Vec::new(),
        }
    }

    /// Returns where an item went, if it was written.
    pub(super) fn place(&self, id: ItemId) -> Option<u32> {
        self.written.get(&id).copied()
    }
}
