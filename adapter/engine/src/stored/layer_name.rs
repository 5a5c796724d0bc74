//! Names of layers: what the keys of a layer's records begin with.

use super::tag;

/// The name of a layer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum LayerName {
    /// The records of a volume that was made with this name. The volume may have gone since, or have
    /// another name.
    Named(String),
    /// Any other layer. The number is not 0.
    Number(u64),
}

/// Length of a number as the keys have it: seven bits in a byte, so that none is the highest one.
const NUMBER_BYTES: usize = 9;

/// The first byte of names that no volume can have.
const NO_VOLUME: u8 = 0;

/// The largest number of a layer.
const MAX_NUMBER: u64 = (1 << 63) - 1;

impl LayerName {
    /// The layer under the name of a volume, which has at most 255 bytes.
    pub(crate) fn named(volume: &str) -> Self {
        Self::Named(volume.to_owned())
    }

    /// A layer of another kind. Every number is taken, as one from 1 to 2^63 - 1.
    pub(crate) fn numbered(number: u64) -> Self {
        Self::Number((number & MAX_NUMBER).max(1))
    }

    /// Returns what the keys of the layer's records begin with. It has the form of a volume's: a
    /// length, and a name, here one with a zero byte, which volumes do not have. So whatever handles
    /// keys of volumes handles these.
    pub(crate) fn prefix(&self) -> Vec<u8> {
        match self {
            Self::Named(volume) => {
                let bytes = volume.as_bytes();
                let length = bytes.len().min(usize::from(u8::MAX));
                let mut prefix = Vec::with_capacity(1 + length);
                prefix.push(u8::try_from(length).unwrap_or(u8::MAX));
                prefix.extend_from_slice(bytes.get(..length).unwrap_or(bytes));
                prefix
            }
            Self::Number(number) => {
                let mut prefix = vec![1 + NUMBER_BYTES as u8, NO_VOLUME];
                prefix.extend((0..NUMBER_BYTES).rev().map(|at| (number >> (7 * at) & 0x7f) as u8));
                prefix
            }
        }
    }

    /// Returns the key of the layer's header.
    pub(crate) fn header(&self) -> Vec<u8> {
        let mut key = self.prefix();
        key.push(tag::LAYER);
        key
    }

    /// Returns the key that says that the layer is to be freed.
    pub(crate) fn garbage(&self) -> Vec<u8> {
        [&garbage_prefix(), self.prefix().as_slice()].concat()
    }

    /// Returns the layer that a key of [`LayerName::garbage`] names.
    pub(crate) fn of_garbage(key: &[u8]) -> Option<Self> {
        Self::of_prefix(key.strip_prefix(&garbage_prefix())?)
    }

    /// Returns the layer whose [`LayerName::prefix`] this is.
    pub(crate) fn of_prefix(prefix: &[u8]) -> Option<Self> {
        let (length, name) = prefix.split_first()?;
        if usize::from(*length) != name.len() {
            return None;
        }
        let layer = match name.split_first()? {
            (&NO_VOLUME, digits) => {
                let number = digits.iter().try_fold(0_u64, |number, digit| {
                    (*digit < 0x80).then_some(number.checked_mul(128)? | u64::from(*digit))
                });
                Self::Number(number?)
            }
            _ => Self::Named(std::str::from_utf8(name).ok()?.to_owned()),
        };
        let is_valid =
            !matches!(&layer, Self::Named(name) if name.contains('\0')) && layer != Self::Number(0);
        (is_valid && layer.prefix() == prefix).then_some(layer)
    }
}

/// The start of keys of layers that are to be freed: the records of a name that is one zero byte.
pub(crate) fn garbage_prefix() -> [u8; 3] {
    [1, NO_VOLUME, tag::GARBAGE]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_again_by_its_prefix_and_no_prefix_starts_another() {
        let numbers = [1, 127, 128, 255, 256, 1 << 56, MAX_NUMBER].map(LayerName::numbered);
        let names = ["v", "main", "\u{10FFFF}", "abcdefghi", &"x".repeat(255)].map(LayerName::named);
        let all: Vec<LayerName> = numbers.into_iter().chain(names).collect();
        for layer in &all {
            let prefix = layer.prefix();
            assert_eq!(LayerName::of_prefix(&prefix).as_ref(), Some(layer));
            assert_eq!(LayerName::of_garbage(&layer.garbage()).as_ref(), Some(layer));
            for length in 0..prefix.len() {
                assert_eq!(LayerName::of_prefix(&prefix[..length]), None);
            }
            for other in all.iter().filter(|other| *other != layer) {
                assert!(!other.header().starts_with(&prefix), "{other:?} {layer:?}");
            }
        }
    }

    #[test]
    fn what_is_no_name_of_a_layer_is_none() {
        let zero = [&[10, 0][..], &[0; 9]].concat();
        let high = [&[10, 0][..], &[0, 0, 0, 0, 0, 0, 0, 0, 0x80]].concat();
        for prefix in [&[][..], &[0], &[1, 0], &[2, b'a', 0], &[1, 0xff], &zero, &high] {
            assert_eq!(LayerName::of_prefix(prefix), None, "{prefix:?}");
        }
        assert_eq!(LayerName::numbered(0), LayerName::Number(1));
    }
}
