//! Encodes numbers and byte strings in values of the bucket: big-endian, lengths first, a checksum
//! at the end.

use xxhash_rust::xxh64::{Xxh64, xxh64};

/// Longest key, in bytes.
pub const MAX_KEY_BYTES: usize = 1024;

/// Bytes of a checksum.
pub(crate) const SUM_BYTES: usize = 8;

/// Appends its checksum to a value. The checksum covers the name too, so a misplaced value is
/// found.
pub(crate) fn seal(name: &str, mut value: Vec<u8>) -> Vec<u8> {
    let sum = sum(name, &value);
    value.extend_from_slice(&sum.to_be_bytes());
    value
}

/// Returns the bytes sealed under a name; `None` if they are not whole.
pub(crate) fn unseal<'a>(name: &str, value: &'a [u8]) -> Option<&'a [u8]> {
    let (bytes, stored) = value.split_last_chunk::<SUM_BYTES>()?;
    (sum(name, bytes) == u64::from_be_bytes(*stored)).then_some(bytes)
}

fn sum(name: &str, bytes: &[u8]) -> u64 {
    xxh64(bytes, xxh64(name.as_bytes(), 0))
}

/// A checksum that grows with appended bytes, equal to that of [`seal`] for the same bytes.
#[derive(Clone)]
pub(crate) struct Sum(Xxh64);

impl Sum {
    pub(crate) fn new(name: &str) -> Self {
        Self(Xxh64::new(xxh64(name.as_bytes(), 0)))
    }

    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(crate) fn finish(&self) -> [u8; SUM_BYTES] {
        self.0.digest().to_be_bytes()
    }
}

/// Appends numbers and byte strings.
pub(crate) trait Write {
    fn u8(&mut self, number: u8);
    fn u16(&mut self, number: u16);
    fn u32(&mut self, number: u32);
    fn u64(&mut self, number: u64);
    /// A key: at most 64 KiB.
    fn key(&mut self, key: &[u8]);
}

impl Write for Vec<u8> {
    fn u8(&mut self, number: u8) {
        self.push(number);
    }

    fn u16(&mut self, number: u16) {
        self.extend_from_slice(&number.to_be_bytes());
    }

    fn u32(&mut self, number: u32) {
        self.extend_from_slice(&number.to_be_bytes());
    }

    fn u64(&mut self, number: u64) {
        self.extend_from_slice(&number.to_be_bytes());
    }

    fn key(&mut self, key: &[u8]) {
        debug_assert!(key.len() <= MAX_KEY_BYTES);
        self.u16(key.len() as u16);
        self.extend_from_slice(key);
    }
}

/// Decodes numbers and byte strings from the front; `None` where the bytes end too early.
pub(crate) struct Read<'a>(pub(crate) &'a [u8]);

impl<'a> Read<'a> {
    pub(crate) fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*bytes)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    pub(crate) fn key(&mut self) -> Option<&'a [u8]> {
        let length = self.u16()?;
        self.bytes(length.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_under_another_name_or_with_another_byte_is_not_whole() {
        let sealed = seal("a", b"hello".to_vec());
        assert_eq!(unseal("a", &sealed), Some(&b"hello"[..]));
        assert_eq!(unseal("b", &sealed), None);
        for at in 0..sealed.len() {
            let mut other = sealed.clone();
            other[at] ^= 1;
            assert_eq!(unseal("a", &other), None);
            assert_eq!(unseal("a", &sealed[..at]), None);
        }
        let mut sum = Sum::new("a");
        sum.add(b"he");
        sum.add(b"llo");
        assert_eq!(sealed[5..], sum.finish());
    }
}
