//! The user's key.

use std::fmt;
use zeroize::Zeroizing;

/// Fewest bytes of a key file.
pub const MIN_KEY_FILE_BYTES: usize = 32;

/// Most bytes of a key file or a passphrase.
pub const MAX_SECRET_BYTES: usize = 4096;

/// A key of 32 bytes, wiped when it is dropped.
pub(crate) type Key = Zeroizing<[u8; 32]>;

/// The key that opens a store: the content of a key file, or a passphrase. It is wiped when it is
/// dropped.
#[derive(Clone)]
pub struct UserKey(pub(crate) Kind);

#[derive(Clone)]
pub(crate) enum Kind {
    File(Zeroizing<Vec<u8>>),
    Passphrase(Zeroizing<Vec<u8>>),
}

/// Why something is no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadKey {
    /// The key file is too short to be one.
    #[error(
        "a key file has at least {MIN_KEY_FILE_BYTES} random bytes, and this one has {found}; \
        make one with `head -c 32 /dev/urandom`"
    )]
    TooShort {
        /// Its bytes.
        found: usize,
    },
    /// The passphrase is empty.
    #[error("the passphrase is empty; choose one that nobody guesses")]
    Empty,
    /// The key file or passphrase is too long.
    #[error("a key file or passphrase has at most {MAX_SECRET_BYTES} bytes; name another file")]
    TooLong,
}

impl UserKey {
    /// Takes the content of a key file: random bytes, used as they are.
    ///
    /// # Errors
    /// [`BadKey`]: it is shorter than 32 bytes or longer than 4,096.
    pub fn from_key_file(content: Vec<u8>) -> Result<Self, BadKey> {
        let content = Zeroizing::new(content);
        match content.len() {
            found if found < MIN_KEY_FILE_BYTES => Err(BadKey::TooShort { found }),
            found if found > MAX_SECRET_BYTES => Err(BadKey::TooLong),
            _ => Ok(Self(Kind::File(content))),
        }
    }

    /// Takes a passphrase, byte for byte: two ways to write an accented letter are two passphrases.
    ///
    /// # Errors
    /// [`BadKey`]: it is empty or longer than 4,096 bytes.
    pub fn from_passphrase(passphrase: Vec<u8>) -> Result<Self, BadKey> {
        let passphrase = Zeroizing::new(passphrase);
        match passphrase.len() {
            0 => Err(BadKey::Empty),
            found if found > MAX_SECRET_BYTES => Err(BadKey::TooLong),
            _ => Ok(Self(Kind::Passphrase(passphrase))),
        }
    }
}

impl Kind {
    /// The kind in words.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::File(_) => "key file",
            Self::Passphrase(_) => "passphrase",
        }
    }
}

impl fmt::Debug for UserKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}
