//! Entries, as `scan` returns them.

/// A key with its value. Neither needs to be text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<B> {
    /// The key.
    pub key: B,
    /// Its value.
    pub value: B,
}

impl<B> Entry<B> {
    /// Converts the bytes of the key and the value.
    pub fn map<T>(self, mut convert: impl FnMut(B) -> T) -> Entry<T> {
        Entry { key: convert(self.key), value: convert(self.value) }
    }
}
