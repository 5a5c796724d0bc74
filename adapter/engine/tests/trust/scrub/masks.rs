//! What scrubbing must do, in the simplest way: secrets in clear, and a search at every place.

use kvfs::Scope;

/// The secrets of a test, and the files in which they are masked.
#[derive(Debug, Clone)]
pub struct Clear {
    pub secrets: Vec<Vec<u8>>,
    pub scope: Scope,
}

impl Clear {
    /// Secrets that are masked in all files.
    pub fn everywhere(secrets: Vec<Vec<u8>>) -> Self {
        Self { secrets, scope: Scope::All }
    }

    /// Masks every byte of every occurrence.
    pub fn mask(&self, bytes: &[u8]) -> Vec<u8> {
        let mut masked = bytes.to_vec();
        for secret in &self.secrets {
            for (at, window) in bytes.windows(secret.len()).enumerate() {
                if window == secret {
                    masked[at..at + secret.len()].fill(b'*');
                }
            }
        }
        masked
    }

    /// Returns whether the file of a name in the root is scrubbed: by the prefix of its name.
    pub fn scrubs(&self, name: &str) -> bool {
        match &self.scope {
            Scope::All => true,
            Scope::Except(_) => !name.starts_with("open-"),
            Scope::Only(_) => name.starts_with("file-"),
        }
    }

    /// Returns whether there is a secret in these bytes.
    pub fn is_in(&self, bytes: &[u8]) -> bool {
        self.places(bytes).next().is_some()
    }

    /// Where secrets start.
    pub fn places(&self, bytes: &[u8]) -> impl Iterator<Item = usize> {
        self.secrets
            .iter()
            .flat_map(move |secret| (0..bytes.len()).filter(move |at| bytes[*at..].starts_with(secret)))
    }

    pub fn borrowed(&self) -> Vec<&[u8]> {
        self.secrets.iter().map(Vec::as_slice).collect()
    }
}
