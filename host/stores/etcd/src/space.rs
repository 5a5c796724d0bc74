//! The keys of one store in etcd's key space.

/// The keys below one prefix, each after the prefix and a zero byte. No prefix has a zero, so no
/// store's keys are within another's, however one prefix continues another.
///
/// | key | value |
/// |---|---|
/// | `kvfs` | says that a store is there, and its form |
/// | `d` and a key | an entry |
/// | `h` and 16 random bytes | the last apply of a handle, which settles a lost answer |
#[derive(Clone, Debug)]
pub(crate) struct Space(Vec<u8>);

/// What the marker holds. The number counts forms of keys.
pub(crate) const FORM: &[u8] = b"kvfs in etcd, form 1";

impl Space {
    pub(crate) fn new(prefix: &str) -> Self {
        Self(format!("{prefix}\0").into_bytes())
    }

    fn with(&self, kind: &[u8], rest: &[u8]) -> Vec<u8> {
        [&self.0[..], kind, rest].concat()
    }

    pub(crate) fn marker(&self) -> Vec<u8> {
        self.with(b"kvfs", b"")
    }

    pub(crate) fn entry(&self, key: &[u8]) -> Vec<u8> {
        self.with(b"d", key)
    }

    /// Returns the end of the range that ends before `end`; an empty `end` is that of all entries.
    pub(crate) fn end(&self, end: &[u8]) -> Vec<u8> {
        if end.is_empty() { self.with(b"e", b"") } else { self.entry(end) }
    }

    pub(crate) fn handle(&self, id: &[u8]) -> Vec<u8> {
        self.with(b"h", id)
    }

    /// Returns the key of an entry as the caller knows it.
    pub(crate) fn key<'k>(&self, entry: &'k [u8]) -> Option<&'k [u8]> {
        entry.strip_prefix(&self.0[..])?.strip_prefix(b"d")
    }

    /// Returns the range of all keys below the prefix.
    pub(crate) fn all(&self) -> (Vec<u8>, Vec<u8>) {
        let mut end = self.0.clone();
        if let Some(last) = end.last_mut() {
            *last += 1;
        }
        (self.0.clone(), end)
    }
}
