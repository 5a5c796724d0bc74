//! Looks up keys in the tree.

use crate::bucket::Bucket;
use crate::error::damaged;
use crate::names::PageId;
use crate::node::{Node, Value};
use crate::pages::Pages;
use kvfs_contract::StoreError;
use std::sync::Arc;

/// The root node of a tree and its height; leaves have height 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tree {
    pub(crate) page: PageId,
    pub(crate) height: u8,
}

/// The leaf for a key.
#[derive(Debug)]
pub(crate) struct Leaf {
    node: Arc<Node>,
    /// The first key of the next leaf; `None` if this is the last.
    pub(crate) end: Option<Vec<u8>>,
}

impl Leaf {
    /// Returns its entries from a key on.
    pub(crate) fn from(&self, key: &[u8]) -> &[(Vec<u8>, Value)] {
        let Node::Leaf(entries) = &*self.node else { return &[] };
        let start = entries.partition_point(|(entry, _)| &entry[..] < key);
        entries.get(start..).unwrap_or_default()
    }

    /// Returns the value of a key.
    pub(crate) fn get(&self, key: &[u8]) -> Option<&Value> {
        self.from(key).first().filter(|(entry, _)| entry == key).map(|(_, value)| value)
    }
}

/// Returns the index of the child for a key.
pub(crate) fn child_of(children: &[(Vec<u8>, PageId)], key: &[u8]) -> usize {
    children.partition_point(|(least, _)| &least[..] <= key).saturating_sub(1)
}

/// Returns the leaf for a key; `None` if the tree is empty.
///
/// # Cost
///
/// A `get` of the bucket for each node that is not cached.
pub(crate) fn leaf<B: Bucket>(
    pages: &mut Pages<B>,
    tree: Option<Tree>,
    key: &[u8],
) -> Result<Option<Leaf>, StoreError> {
    let Some(Tree { mut page, mut height }) = tree else { return Ok(None) };
    let mut end = None;
    loop {
        let node = pages.node(page, height)?;
        let Node::Inner(children) = &*node else { return Ok(Some(Leaf { node, end })) };
        let child = child_of(children, key);
        if let Some((least, _)) = children.get(child + 1) {
            end = Some(least.clone());
        }
        let Some((_, id)) = children.get(child) else {
            return Err(damaged(&page.name(), "has no children"));
        };
        // Nodes with children have a height of at least 1: a node of height 0 is a leaf.
        (page, height) = (*id, height - 1);
    }
}
