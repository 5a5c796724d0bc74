//! Conditions of an `apply`.

/// A condition of an `apply`: the key holds exactly the expected value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guard<B> {
    /// The key to look at.
    pub key: B,
    /// The value that the key must have; `None`: the key must be absent.
    pub expected: Option<B>,
}

impl<B> Guard<B> {
    /// Converts the bytes of the key and the expected value.
    pub fn map<T>(self, mut convert: impl FnMut(B) -> T) -> Guard<T> {
        Guard { key: convert(self.key), expected: self.expected.map(convert) }
    }
}

impl<B: AsRef<[u8]>> Guard<B> {
    /// Returns the guard with borrowed bytes.
    pub fn borrowed(&self) -> Guard<&[u8]> {
        Guard { key: self.key.as_ref(), expected: self.expected.as_ref().map(B::as_ref) }
    }

    /// Returns whether the guard holds for a key that has the value `found`.
    pub fn holds(&self, found: Option<&[u8]>) -> bool {
        self.borrowed().expected == found
    }
}
