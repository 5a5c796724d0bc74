//! Numbers of bytes as people write them.

use std::str::FromStr;

/// A number of bytes, parsed from text such as `65536`, `64K`, `64M` or `2G`, with units of 1,024.
///
/// ```
/// use kvfs_size::ByteSize;
///
/// assert_eq!("64M".parse(), Ok(ByteSize(64 << 20)));
/// assert!("1.5G".parse::<ByteSize>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

/// The error for a text that is not a size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a size; give bytes, or a number with K, M or G, such as 64M")]
pub struct BadSize {
    /// The text.
    pub text: String,
}

impl FromStr for ByteSize {
    type Err = BadSize;

    fn from_str(text: &str) -> Result<Self, BadSize> {
        let (digits, shift) = match text.as_bytes().last() {
            Some(b'k' | b'K') => (&text[..text.len() - 1], 10),
            Some(b'm' | b'M') => (&text[..text.len() - 1], 20),
            Some(b'g' | b'G') => (&text[..text.len() - 1], 30),
            _ => (text, 0),
        };
        whole(digits)
            .and_then(|number| number.checked_mul(1 << shift))
            .map(Self)
            .ok_or_else(|| BadSize { text: text.to_owned() })
    }
}

/// Least bytes of a store in memory. With less, a file system has no room for a first file.
pub const MIN_MEMORY_BYTES: u64 = 64 << 10;

/// Parses a number of digits only. The standard library would take a sign.
pub fn whole(digits: &str) -> Option<u64> {
    if digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::ByteSize;

    #[test]
    fn sizes_have_units() {
        for (text, bytes) in [("0", 0), ("65536", 65536), ("64k", 65536), ("3M", 3 << 20), ("2G", 2 << 30)] {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
        }
        for text in ["", "M", "1.5G", "-1", "+1", "1T", "99999999999G", "1 M", "é"] {
            assert!(text.parse::<ByteSize>().unwrap_err().to_string().contains("such as 64M"), "{text}");
        }
    }
}
