//! Pages: read through a bounded cache, and written under new numbers.

use crate::bucket::Bucket;
use crate::error::damaged;
use crate::names::{Extent, Opener, PageId};
use crate::node::{CHUNK_BYTES, Node, Value};
use kvfs_contract::StoreError;
use std::collections::HashMap;
use std::sync::Arc;

/// Most bytes of cached nodes, counted as they are in the bucket; decoded they take two or three
/// times as much.
const CACHE_BYTES: usize = 8 << 20;

/// The pages of a bucket, with a cache of nodes.
pub(crate) struct Pages<B> {
    pub(crate) bucket: B,
    nodes: HashMap<PageId, Arc<Node>>,
    /// Nodes used before the cache was last full.
    older: HashMap<PageId, Arc<Node>>,
    bytes: usize,
}

impl<B: Bucket> Pages<B> {
    pub(crate) fn new(bucket: B) -> Self {
        Self { bucket, nodes: HashMap::new(), older: HashMap::new(), bytes: 0 }
    }

    /// Returns a node. Leaves have height 0, other nodes more.
    pub(crate) fn node(&mut self, id: PageId, height: u8) -> Result<Arc<Node>, StoreError> {
        let node = match self.nodes.get(&id) {
            Some(node) => node.clone(),
            None => {
                let node = match self.older.remove(&id) {
                    Some(node) => node,
                    None => self.read_node(id)?,
                };
                self.keep(id, node.clone());
                node
            }
        };
        if matches!(*node, Node::Leaf(_)) == (height == 0) {
            Ok(node)
        } else {
            Err(damaged(&id.name(), "is at another height of the tree"))
        }
    }

    fn read_node(&self, id: PageId) -> Result<Arc<Node>, StoreError> {
        let name = id.name();
        let page = self.get(&name)?;
        let node = Node::from_page(&name, &page).ok_or_else(|| damaged(&name, "is damaged"))?;
        Ok(Arc::new(node))
    }

    /// Caches a node.
    fn keep(&mut self, id: PageId, node: Arc<Node>) {
        let size = node.size_bytes();
        if self.bytes + size > CACHE_BYTES / 2 {
            self.older = std::mem::take(&mut self.nodes);
            self.bytes = 0;
        }
        self.bytes += size;
        self.nodes.insert(id, node);
    }

    /// Returns a value.
    pub(crate) fn value(&self, value: &Value) -> Result<Vec<u8>, StoreError> {
        let (length, extent) = match (value, value.pages()) {
            (Value::Inline(bytes), _) => return Ok(bytes.clone()),
            (Value::Paged { length, .. }, Some(extent)) => (*length as usize, extent),
            (Value::Paged { .. }, None) => return Ok(Vec::new()),
        };
        let mut bytes = Vec::new();
        for page in extent.pages() {
            let name = page.name();
            let chunk = self.get(&name)?;
            if chunk.len() != (length - bytes.len()).min(CHUNK_BYTES) {
                return Err(damaged(&name, &format!("has {} bytes", chunk.len())));
            }
            if bytes.is_empty() {
                // Nearly always all of it: no copy.
                bytes = chunk;
            } else {
                bytes.extend_from_slice(&chunk);
            }
        }
        Ok(bytes)
    }

    fn get(&self, name: &str) -> Result<Vec<u8>, StoreError> {
        let page = self.bucket.get(name).map_err(|error| error.at(name))?;
        page.ok_or_else(|| damaged(name, "is missing"))
    }
}

/// Pages that a commit in the making writes, and pages that become garbage with it.
///
/// Nothing refers to the new pages before the root is set, and the previous root still has the page
/// number that the next attempt starts from. So the next attempt overwrites what a failed one left,
/// or the next opener finds it.
pub(crate) struct Writer<'a, B> {
    pub(crate) pages: &'a mut Pages<B>,
    opener: Opener,
    pub(crate) next: u64,
    pub(crate) freed: Vec<Extent>,
    pub(crate) fresh: Vec<(PageId, Arc<Node>)>,
}

/// The result of a [`Writer`].
#[derive(Default)]
pub(crate) struct Written {
    pub(crate) next: u64,
    pub(crate) fresh: Vec<(PageId, Arc<Node>)>,
}

impl<'a, B: Bucket> Writer<'a, B> {
    pub(crate) fn new(pages: &'a mut Pages<B>, opener: Opener, next: u64) -> Self {
        Self { pages, opener, next, freed: Vec::new(), fresh: Vec::new() }
    }

    /// Writes a page.
    pub(crate) fn page(&mut self, page: impl FnOnce(&str) -> Vec<u8>) -> Result<PageId, StoreError> {
        let id = PageId { opener: self.opener, number: self.next };
        let name = id.name();
        self.set(&name, &page(&name))?;
        Ok(id)
    }

    fn set(&mut self, name: &str, page: &[u8]) -> Result<(), StoreError> {
        self.pages.bucket.set(name, page).map_err(|error| error.at(name))?;
        self.next += 1;
        Ok(())
    }

    /// Writes a node.
    pub(crate) fn node(&mut self, node: Node) -> Result<PageId, StoreError> {
        let id = self.page(|name| node.to_page(name))?;
        self.fresh.push((id, Arc::new(node)));
        Ok(id)
    }

    /// Writes a large value.
    pub(crate) fn value(&mut self, value: &[u8]) -> Result<Value, StoreError> {
        let first = PageId { opener: self.opener, number: self.next };
        for chunk in value.chunks(CHUNK_BYTES) {
            let name = PageId { opener: self.opener, number: self.next }.name();
            self.set(&name, chunk)?;
        }
        Ok(Value::Paged { first, length: value.len() as u32 })
    }

    /// Counts pages as garbage once the commit is done.
    pub(crate) fn free(&mut self, extent: Extent) {
        if !self.freed.last_mut().is_some_and(|last| last.join(extent)) {
            self.freed.push(extent);
        }
    }

    pub(crate) fn finish(self) -> Written {
        Written { next: self.next, fresh: self.fresh }
    }
}

impl<B: Bucket> Pages<B> {
    /// Caches the nodes of a finished commit.
    pub(crate) fn take_in(&mut self, written: &mut Written) {
        for (id, node) in written.fresh.drain(..) {
            self.keep(id, node);
        }
    }
}
