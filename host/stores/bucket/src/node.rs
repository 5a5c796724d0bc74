//! Nodes of the tree, and their bytes.

use crate::names::{Extent, PAGE_ID_BYTES, PageId};
use crate::wire::{Read, Write, seal, unseal};

/// Longest value, in bytes.
pub const MAX_VALUE_BYTES: usize = 16 << 20;

/// Most bytes of a node without its head and checksum. A change rewrites one node per level:
/// smaller nodes are less to write, larger ones make fewer levels.
pub(crate) const NODE_BYTES: usize = 16 << 10;

/// A node with fewer bytes is joined with its neighbour.
pub(crate) const SMALL_NODE_BYTES: usize = NODE_BYTES / 4;

/// Values up to this length lie in nodes and roots; longer ones have pages of their own.
pub(crate) const INLINE_BYTES: usize = 2048;

/// Most bytes of a page of a large value: every bucket takes so many.
pub(crate) const CHUNK_BYTES: usize = 64 << 10;

const LEAF: u8 = 1;
const INNER: u8 = 2;
const INLINE: u8 = 1;
const PAGED: u8 = 2;
const DELETED: u8 = 0;

/// A value of the store, or its location.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Inline(Vec<u8>),
    /// In pages with consecutive numbers, each full but the last.
    Paged {
        first: PageId,
        length: u32,
    },
}

impl Value {
    /// Returns its length in bytes.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Inline(bytes) => bytes.len(),
            Self::Paged { length, .. } => *length as usize,
        }
    }

    /// Returns its pages.
    pub(crate) fn pages(&self) -> Option<Extent> {
        match *self {
            Self::Inline(_) => None,
            Self::Paged { first, length } => {
                Some(Extent { first, count: length.div_ceil(CHUNK_BYTES as u32) })
            }
        }
    }
}

/// A change of one key: its new value, or `None` to remove it.
pub(crate) type Change = (Vec<u8>, Option<Value>);

/// Appends a change, or an entry of a leaf.
pub(crate) fn write_change(out: &mut Vec<u8>, key: &[u8], value: Option<&Value>) {
    out.key(key);
    match value {
        None => out.u8(DELETED),
        Some(Value::Inline(bytes)) => {
            out.u8(INLINE);
            out.u16(bytes.len() as u16);
            out.extend_from_slice(bytes);
        }
        Some(Value::Paged { first, length }) => {
            out.u8(PAGED);
            first.write(out);
            out.u32(*length);
        }
    }
}

/// Reads what [`write_change`] wrote.
pub(crate) fn read_change(from: &mut Read<'_>) -> Option<Change> {
    let key = from.key()?.to_vec();
    let value = match from.u8()? {
        DELETED => None,
        INLINE => {
            let length = from.u16()?;
            Some(Value::Inline(from.bytes(length.into())?.to_vec()))
        }
        PAGED => {
            let (first, length) = (PageId::read(from)?, from.u32()?);
            Some(Value::Paged { first, length: (length as usize <= MAX_VALUE_BYTES).then_some(length)? })
        }
        _ => return None,
    };
    Some((key, value))
}

/// Returns how many bytes [`write_change`] appends for a key's new value.
pub(crate) fn logged_bytes(key: &[u8], value: Option<&[u8]>) -> usize {
    3 + key.len()
        + match value {
            None => 0,
            Some(value) if value.len() <= INLINE_BYTES => 2 + value.len(),
            Some(_) => PAGE_ID_BYTES + 4,
        }
}

/// A node: entries in ascending order of their keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    /// Keys with their values.
    Leaf(Vec<(Vec<u8>, Value)>),
    /// Children, each with the least key that it is for. The first child is also for lesser keys.
    Inner(Vec<(Vec<u8>, PageId)>),
}

impl Node {
    /// Returns the first key.
    pub(crate) fn first_key(&self) -> &[u8] {
        let first = match self {
            Self::Leaf(entries) => entries.first().map(|(key, _)| key),
            Self::Inner(entries) => entries.first().map(|(key, _)| key),
        };
        first.map_or(&[], Vec::as_slice)
    }

    /// Returns the bytes of all entries.
    pub(crate) fn size_bytes(&self) -> usize {
        match self {
            Self::Leaf(entries) => entries.iter().map(leaf_bytes).sum(),
            Self::Inner(entries) => entries.iter().map(inner_bytes).sum(),
        }
    }

    /// Splits a node into nodes that are not too large; an empty one into none.
    pub(crate) fn split(self) -> Vec<Self> {
        match self {
            Self::Leaf(entries) => parts(entries, leaf_bytes).into_iter().map(Self::Leaf).collect(),
            Self::Inner(entries) => parts(entries, inner_bytes).into_iter().map(Self::Inner).collect(),
        }
    }

    /// Joins a node with its right neighbour, which is for keys from `key` on. Returns `None` if
    /// one is a leaf and the other is not.
    pub(crate) fn join(self, key: Vec<u8>, right: Self) -> Option<Self> {
        match (self, right) {
            (Self::Leaf(mut left), Self::Leaf(right)) => {
                left.extend(right);
                Some(Self::Leaf(left))
            }
            (Self::Inner(mut left), Self::Inner(mut right)) => {
                // The right node's first child is also for keys between the two nodes.
                if let Some((first, _)) = right.first_mut() {
                    *first = key;
                }
                left.extend(right);
                Some(Self::Inner(left))
            }
            _ => None,
        }
    }

    /// Returns the bytes of the page with this name.
    pub(crate) fn to_page(&self, name: &str) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.size_bytes() + 16);
        match self {
            Self::Leaf(entries) => {
                out.u8(LEAF);
                out.u32(entries.len() as u32);
                entries.iter().for_each(|(key, value)| write_change(&mut out, key, Some(value)));
            }
            Self::Inner(entries) => {
                out.u8(INNER);
                out.u32(entries.len() as u32);
                for (key, child) in entries {
                    out.key(key);
                    child.write(&mut out);
                }
            }
        }
        seal(name, out)
    }

    /// Reads the page with this name; `None` if it is not whole, or no node.
    pub(crate) fn from_page(name: &str, page: &[u8]) -> Option<Self> {
        let mut from = Read(unseal(name, page)?);
        let (kind, count) = (from.u8()?, from.u32()?);
        let node = match kind {
            LEAF => Self::Leaf(entries(count, || {
                let (key, value) = read_change(&mut from)?;
                Some((key, value?))
            })?),
            INNER => Self::Inner(entries(count, || {
                let key = from.key()?.to_vec();
                Some((key, PageId::read(&mut from)?))
            })?),
            _ => return None,
        };
        from.0.is_empty().then_some(node)
    }
}

/// Reads at least one entry, all in ascending order.
fn entries<T>(count: u32, mut read: impl FnMut() -> Option<(Vec<u8>, T)>) -> Option<Vec<(Vec<u8>, T)>> {
    let mut entries = Vec::new();
    for _ in 0..count {
        entries.push(read()?);
    }
    (!entries.is_empty() && entries.is_sorted_by(|(a, _), (b, _)| a < b)).then_some(entries)
}

fn leaf_bytes((key, value): &(Vec<u8>, Value)) -> usize {
    3 + key.len()
        + match value {
            Value::Inline(bytes) => 2 + bytes.len(),
            Value::Paged { .. } => PAGE_ID_BYTES + 4,
        }
}

fn inner_bytes((key, _): &(Vec<u8>, PageId)) -> usize {
    2 + key.len() + PAGE_ID_BYTES
}

/// Splits entries into parts of about the same size that each fit a node.
fn parts<T>(entries: Vec<T>, bytes: impl Fn(&T) -> usize) -> Vec<Vec<T>> {
    let total: usize = entries.iter().map(&bytes).sum();
    let target = total.div_ceil(total.div_ceil(NODE_BYTES).max(1));
    let mut parts = Vec::new();
    let (mut part, mut size) = (Vec::new(), 0);
    for entry in entries {
        let entry_bytes = bytes(&entry);
        if !part.is_empty() && (size >= target || size + entry_bytes > NODE_BYTES) {
            parts.push(std::mem::take(&mut part));
            size = 0;
        }
        size += entry_bytes;
        part.push(entry);
    }
    if !part.is_empty() {
        parts.push(part);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::Opener;

    fn leaf(sizes: impl IntoIterator<Item = usize>) -> Node {
        let entry = |(number, size)| (format!("{number:05}").into_bytes(), Value::Inline(vec![7; size]));
        Node::Leaf(sizes.into_iter().enumerate().map(entry).collect())
    }

    #[test]
    fn parts_fit_and_hold_all_in_order() {
        for sizes in [vec![100; 1000], vec![INLINE_BYTES; 40], vec![1; 3], (0..INLINE_BYTES).collect()] {
            let whole = leaf(sizes);
            let parts = whole.clone().split();
            assert!(parts.iter().all(|part| part.size_bytes() <= NODE_BYTES));
            let mut parts = parts.into_iter();
            let first = parts.next().unwrap();
            let joined = parts.fold(first, |left, part| left.join(Vec::new(), part).unwrap());
            assert_eq!(joined, whole);
        }
        assert_eq!(leaf([]).split(), []);
    }

    #[test]
    fn pages_are_read_as_written_and_no_byte_may_differ() {
        let page = PageId { opener: Opener { epoch: 1, tag: 2 }, number: 3 };
        let nodes = [
            Node::Leaf(vec![
                (b"".to_vec(), Value::Inline(b"".to_vec())),
                (b"a".to_vec(), Value::Paged { first: page, length: 70000 }),
            ]),
            Node::Inner(vec![(b"".to_vec(), page), (b"b".to_vec(), page)]),
        ];
        for node in nodes {
            let bytes = node.to_page("x");
            assert_eq!(Node::from_page("x", &bytes).as_ref(), Some(&node));
            assert_eq!(Node::from_page("y", &bytes), None);
            for at in 0..bytes.len() {
                assert_eq!(Node::from_page("x", &bytes[..at]), None);
            }
        }
        let unordered = Node::Inner(vec![(b"b".to_vec(), page), (b"a".to_vec(), page)]);
        assert_eq!(Node::from_page("x", &unordered.to_page("x")), None);
        assert_eq!(Node::from_page("x", &leaf([]).to_page("x")), None);
    }
}
