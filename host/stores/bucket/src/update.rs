//! Applies changes to the tree: writes new nodes on the way to each change, and counts the old ones
//! as garbage.

use crate::bucket::Bucket;
use crate::error::damaged;
use crate::names::{Extent, PageId};
use crate::node::{Change, Node, SMALL_NODE_BYTES, Value};
use crate::pages::Writer;
use crate::tree::Tree;
use kvfs_contract::StoreError;
use std::sync::Arc;

/// Returns the tree with the changes, which are in ascending order, one for a key.
///
/// # Errors
///
/// Those of the bucket, and damage. The old tree stays as it was.
pub(crate) fn update<B: Bucket>(
    writer: &mut Writer<'_, B>,
    tree: Option<Tree>,
    changes: &[Change],
) -> Result<Option<Tree>, StoreError> {
    let (mut nodes, mut height) = match tree {
        None => (merge_leaf(writer, &[], changes).split(), 0),
        Some(Tree { page, height }) => (update_node(writer, page, height, changes)?, height),
    };
    while nodes.len() > 1 {
        let mut children = Vec::with_capacity(nodes.len());
        for node in nodes {
            children.push((node.first_key().to_vec(), writer.node(node)?));
        }
        nodes = Node::Inner(children).split();
        height += 1;
    }
    let Some(mut node) = nodes.pop() else { return Ok(None) };
    // A node with one child is no use at the top. That child exists already.
    let mut top = None;
    while let Node::Inner(children) = &node
        && let [(_, only)] = children[..]
    {
        if let Some(page) = top.replace(only) {
            writer.free(Extent::of(page));
        }
        height -= 1;
        node = Node::clone(&*writer.read(only, height)?);
    }
    let page = match top {
        Some(page) => page,
        None => writer.node(node)?,
    };
    Ok(Some(Tree { page, height }))
}

/// Returns the nodes that replace one; none if all its entries are removed. The first is for the
/// keys that the old node was for, each other one for keys from its first key on.
fn update_node<B: Bucket>(
    writer: &mut Writer<'_, B>,
    page: PageId,
    height: u8,
    changes: &[Change],
) -> Result<Vec<Node>, StoreError> {
    let node = writer.read(page, height)?;
    writer.free(Extent::of(page));
    let children = match &*node {
        Node::Leaf(entries) => return Ok(merge_leaf(writer, entries, changes).split()),
        Node::Inner(children) => children,
    };
    let mut slots = Vec::with_capacity(children.len());
    let mut rest = changes;
    for (number, (least, child)) in children.iter().enumerate() {
        let end = match children.get(number + 1) {
            Some((next, _)) => rest.partition_point(|(key, _)| key < next),
            None => rest.len(),
        };
        let (mine, later) = rest.split_at(end);
        rest = later;
        if mine.is_empty() {
            slots.push(Slot { least: least.clone(), node: Child::Old(*child) });
            continue;
        }
        for (part, node) in update_node(writer, *child, height - 1, mine)?.into_iter().enumerate() {
            // The first child of all is also for lesser keys.
            let first = node.first_key();
            let least = if part == 0 { first.min(least) } else { first }.to_vec();
            slots.push(Slot { least, node: Child::New(node) });
        }
    }
    join_small(writer, &mut slots, height - 1)?;
    let mut children = Vec::with_capacity(slots.len());
    for Slot { least, node } in slots {
        let page = match node {
            Child::Old(page) => page,
            Child::New(node) => writer.node(node)?,
        };
        children.push((least, page));
    }
    Ok(Node::Inner(children).split())
}

/// A child of a node in the making.
struct Slot {
    least: Vec<u8>,
    node: Child,
}

enum Child {
    Old(PageId),
    New(Node),
}

/// Joins new nodes that have become small with their neighbours.
fn join_small<B: Bucket>(
    writer: &mut Writer<'_, B>,
    slots: &mut Vec<Slot>,
    height: u8,
) -> Result<(), StoreError> {
    let mut at = 0;
    while at < slots.len() && slots.len() > 1 {
        let small = matches!(&slots[at].node, Child::New(node) if node.size_bytes() < SMALL_NODE_BYTES);
        if !small {
            at += 1;
            continue;
        }
        let left = if at + 1 < slots.len() { at } else { at - 1 };
        let (Slot { least: right_least, node: right }, Slot { least, node }) =
            (slots.remove(left + 1), slots.remove(left));
        let (node, right) = (writer.take(node, height)?, writer.take(right, height)?);
        let name = || format!("a node for keys from {least:?} on");
        let joined = node
            .join(right_least, right)
            .ok_or_else(|| damaged(&name(), "is at another height of the tree"))?;
        let parts = joined.split();
        let count = parts.len();
        for (part, node) in parts.into_iter().enumerate() {
            let least = if part == 0 { least.clone() } else { node.first_key().to_vec() };
            slots.insert(left + part, Slot { least, node: Child::New(node) });
        }
        // A node that is still small is joined with the next one, too.
        at = if count == 1 { left } else { left + count };
    }
    Ok(())
}

/// Returns a leaf with the changes. Pages of values that it loses are garbage.
fn merge_leaf<B: Bucket>(
    writer: &mut Writer<'_, B>,
    entries: &[(Vec<u8>, Value)],
    changes: &[Change],
) -> Node {
    let mut merged = Vec::with_capacity(entries.len() + changes.len());
    let mut old = entries.iter().peekable();
    for (key, value) in changes {
        while let Some(entry) = old.next_if(|(entry, _)| entry < key) {
            merged.push(entry.clone());
        }
        if let Some((_, replaced)) = old.next_if(|(entry, _)| entry == key)
            && let Some(extent) = replaced.pages()
        {
            writer.free(extent);
        }
        if let Some(value) = value {
            merged.push((key.clone(), value.clone()));
        }
    }
    merged.extend(old.cloned());
    Node::Leaf(merged)
}

impl<B: Bucket> Writer<'_, B> {
    /// Returns a node, even one that was just written.
    fn read(&mut self, page: PageId, height: u8) -> Result<Arc<Node>, StoreError> {
        match self.fresh.iter().rfind(|(id, _)| *id == page) {
            Some((_, node)) => Ok(node.clone()),
            None => self.pages.node(page, height),
        }
    }

    /// Takes the node of a child. If it was written before, its page is garbage now.
    fn take(&mut self, child: Child, height: u8) -> Result<Node, StoreError> {
        match child {
            Child::New(node) => Ok(node),
            Child::Old(page) => {
                self.free(Extent::of(page));
                Ok(Node::clone(&*self.read(page, height)?))
            }
        }
    }
}
