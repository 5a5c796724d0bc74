//! A part while its items are written: their indices in the result, and the replacements of some.

use super::handles::Operation;
use super::items::{ItemId, Items};
use super::job::Part;
use std::collections::HashMap;
use std::rc::Rc;

/// The replacement of an item that is not written as it stands.
#[derive(Clone, Debug)]
pub(super) enum Replacement {
    /// An item of another part.
    Same(Part, ItemId),
    /// A function of a glue module, by the module's number and the export's name.
    Glue(usize, String),
    /// An operation of the handle table, for one kind of handle.
    Handle(Operation, u32),
    /// The lifted function with a core function of a glue module, which wraps its own.
    Wrapped(usize, String),
    /// The import under another name.
    Rename(String),
    /// Nothing: the adapter answers the interface. Anything but a call of its functions is an
    /// error.
    Answered(String),
    /// A resource without instances, since only the adapter has that resource now.
    Placeholder,
}

/// One component that goes into the result.
pub(super) struct Source<'a> {
    pub(super) items: Rc<Items<'a>>,
    pub(super) replacements: HashMap<ItemId, Replacement>,
    pub(super) written: HashMap<ItemId, u32>,
    /// Items that are being written, to find a component that refers to a later item.
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

    /// Returns the index of an item in the result, if it was written.
    pub(super) fn place(&self, id: ItemId) -> Option<u32> {
        self.written.get(&id).copied()
    }
}
