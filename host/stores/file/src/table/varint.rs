//! Numbers of variable length: seven bits in a byte, the low ones first.

/// Most bytes of one number.
pub(crate) const MAX_VARINT_BYTES: usize = 10;

/// Appends a number.
pub(crate) fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Reads the number at `*at` and moves `*at` behind it; `None` if it has no end or is too large.
pub(crate) fn take(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        let part = u64::from(byte & 0x7f);
        if shift == 63 && part > 1 {
            return None;
        }
        number |= part << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

/// Converts a difference, taken modulo 2^64, so that small ones of both signs are small numbers.
pub(crate) fn zigzag(difference: u64) -> u64 {
    (difference << 1) ^ (((difference as i64) >> 63) as u64)
}

/// Reverses [`zigzag`].
pub(crate) fn unzigzag(number: u64) -> u64 {
    (number >> 1) ^ (number & 1).wrapping_neg()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_they_were_put() {
        for shift in 0..64 {
            for number in [1u64 << shift, (1 << shift) - 1, !(1 << shift), u64::MAX >> shift] {
                let mut bytes = Vec::new();
                put(&mut bytes, number);
                assert!(bytes.len() <= MAX_VARINT_BYTES);
                let mut at = 0;
                assert_eq!((take(&bytes, &mut at), at), (Some(number), bytes.len()));
                assert_eq!(take(&bytes[..bytes.len() - 1], &mut 0), None);
                assert_eq!(unzigzag(zigzag(number)), number);
            }
        }
        assert_eq!([0, 1, u64::MAX, 2].map(zigzag), [0, 2, 1, 4]);
    }

    #[test]
    fn numbers_that_are_too_large_are_refused() {
        let mut largest = vec![0xff; 9];
        largest.push(1);
        assert_eq!(take(&largest, &mut 0), Some(u64::MAX));
        largest[9] = 2;
        assert_eq!(take(&largest, &mut 0), None);
        assert_eq!(take(&[0x80; 20], &mut 0), None);
    }
}
