//! What scrubbing must do, in the simplest way: secrets in clear, and a search at every place.

/// The secrets of a test.
#[derive(Debug, Clone)]
pub struct Clear(pub Vec<Vec<u8>>);

impl Clear {
    /// Masks every byte of every occurrence.
    pub fn mask(&self, bytes: &[u8]) -> Vec<u8> {
        let mut masked = bytes.to_vec();
        for secret in &self.0 {
            for (at, window) in bytes.windows(secret.len()).enumerate() {
                if window == secret {
                    masked[at..at + secret.len()].fill(b'*');
                }
            }
        }
        masked
    }

    /// Whether there is a secret in these bytes.
    pub fn is_in(&self, bytes: &[u8]) -> bool {
        self.0.iter().any(|secret| bytes.windows(secret.len()).any(|window| window == secret))
    }

    pub fn borrowed(&self) -> Vec<&[u8]> {
        self.0.iter().map(Vec::as_slice).collect()
    }
}
