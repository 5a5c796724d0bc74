//! Compares secrets.

/// Compares without telling by the time it takes how much is right.
pub(crate) fn same_bytes(shown: &[u8], secret: &[u8]) -> bool {
    let differing = shown.iter().zip(secret).fold(0, |sum, (a, b)| sum | (a ^ b));
    // The optimiser may not end the loop early.
    shown.len() == secret.len() && std::hint::black_box(differing) == 0
}

#[cfg(test)]
mod tests {
    use super::same_bytes;

    #[test]
    fn only_the_same_bytes_are_the_same() {
        assert!(same_bytes(b"token", b"token"));
        for shown in [&b""[..], b"toke", b"tokens", b"tokem", b"Token"] {
            assert!(!same_bytes(shown, b"token"), "{shown:?}");
        }
    }
}
