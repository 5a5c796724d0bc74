//! The store's header: the store's key, wrapped by the user's.

use crate::cipher::{Broken, Cipher, NONCE_BYTES, SEAL_OVERHEAD, expand};
use crate::error::OpenError;
use crate::layout::STORE_HEADER_KEY;
use crate::random::Random;
use crate::secret::{Key, Kind};
use argon2::{Algorithm, Argon2, Params, Version};
use hkdf::Hkdf;
use kvfs_contract::StoreError;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

const MAGIC: [u8; 8] = *b"kvfs\x00se\x01";

/// The form of the header that this program writes and knows.
const FORM: u8 = 1;

const KEY_FILE: u8 = 1;
const PASSPHRASE: u8 = 2;

const SALT_BYTES: usize = 16;
const CHECKSUM_BYTES: usize = 8;

/// Everything before the wrapped key, which is bound to it.
const FIXED_BYTES: usize = 8 + 2 + 2 + 3 * 4 + SALT_BYTES;
const WRAPPED_BYTES: usize = SEAL_OVERHEAD + 32;
const HEADER_BYTES: usize = FIXED_BYTES + WRAPPED_BYTES + CHECKSUM_BYTES;

/// Most memory that a header may ask for to check a passphrase.
pub const MAX_MEMORY_KIB: u32 = 1 << 20;

/// Most passes over that memory.
pub const MAX_PASSES: u32 = 16;

const MAX_LANES: u32 = 16;

/// The most memory times passes, so that no header takes minutes.
const MAX_WORK_KIB: u64 = 4 << 20;

/// How much memory and time Argon2id takes for a passphrase. A key file needs none of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// Lanes. They are worked on one after the other.
    pub lanes: u32,
}

impl Cost {
    /// The second recommended option of RFC 9106: 64 MiB, three passes, four lanes.
    pub const DEFAULT: Self = Self { memory_kib: 64 << 10, passes: 3, lanes: 4 };

    fn params(self) -> Result<Params, OpenError> {
        let Self { memory_kib, passes, lanes } = self;
        let refused = OpenError::Cost { memory_kib, passes };
        if memory_kib > MAX_MEMORY_KIB
            || passes > MAX_PASSES
            || lanes > MAX_LANES
            || u64::from(memory_kib) * u64::from(passes) > MAX_WORK_KIB
        {
            return Err(refused);
        }
        Params::new(memory_kib, passes, lanes, Some(32)).map_err(|_| refused)
    }
}

/// A header, from its beginning to the wrapped key.
struct Fixed {
    kind: u8,
    cost: Cost,
    salt: [u8; SALT_BYTES],
}

impl Fixed {
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&[FORM, self.kind, 0, 0]);
        for number in [self.cost.memory_kib, self.cost.passes, self.cost.lanes] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        bytes.extend_from_slice(&self.salt);
        bytes
    }

    /// Derives the key that wraps the store's.
    fn wrapping_key(&self, user: &Kind) -> Result<Key, OpenError> {
        match user {
            Kind::File(content) => {
                Ok(expand(&Hkdf::new(Some(&self.salt), content), b"kvfs sealed key file 1"))
            }
            Kind::Passphrase(passphrase) => {
                let mut key = Zeroizing::new([0; 32]);
                Argon2::new(Algorithm::Argon2id, Version::V0x13, self.cost.params()?)
                    .hash_password_into(passphrase, &self.salt, key.as_mut_slice())
                    .map_err(|error| StoreError::Fault(format!("Argon2id: {error}")))?;
                Ok(key)
            }
        }
    }
}

/// What the wrapped key is bound to: the key of the header and all before it.
fn place(fixed: &[u8]) -> Vec<u8> {
    [STORE_HEADER_KEY, fixed].concat()
}

/// Finds out accidents, before the key is tried.
fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_BYTES] {
    *Sha256::digest(bytes).first_chunk().expect("a digest of 32 bytes")
}

/// Returns a header that wraps the store's key.
pub(crate) fn wrap(
    store_key: &Key,
    user: &Kind,
    cost: Cost,
    random: &mut dyn Random,
) -> Result<Vec<u8>, OpenError> {
    let mut salt = [0; SALT_BYTES];
    random.fill(&mut salt)?;
    let mut nonce = [0; NONCE_BYTES];
    random.fill(&mut nonce)?;
    let fixed = match user {
        Kind::File(_) => Fixed { kind: KEY_FILE, cost: Cost { memory_kib: 0, passes: 0, lanes: 0 }, salt },
        Kind::Passphrase(_) => Fixed { kind: PASSPHRASE, cost, salt },
    };
    let wrapping = Cipher::new(&fixed.wrapping_key(user)?);
    let mut header = fixed.to_bytes();
    let place = place(&header);
    wrapping.seal(&place, &[store_key.as_slice()], &nonce, &mut header)?;
    header.extend_from_slice(&checksum(&header));
    Ok(header)
}

/// Returns the store's key from a header.
pub(crate) fn unwrap(header: &[u8], user: &Kind) -> Result<Key, OpenError> {
    let damaged = |why| OpenError::DamagedHeader { why };
    let rest = header.strip_prefix(&MAGIC).ok_or(damaged("it does not begin as one"))?;
    match rest.first() {
        Some(&FORM) => {}
        Some(&found) if found > FORM && checksum_holds(header) => return Err(OpenError::Newer { found }),
        _ => return Err(damaged("its form is unknown")),
    }
    if header.len() != HEADER_BYTES {
        return Err(damaged("it has another length"));
    }
    if !checksum_holds(header) {
        return Err(damaged("its checksum does not match"));
    }
    let number = |at: usize| u32::from_be_bytes(*header[at..].first_chunk().expect("four bytes of a header"));
    let cost = Cost { memory_kib: number(12), passes: number(16), lanes: number(20) };
    let salt = *header[24..].first_chunk().expect("a salt in a header");
    let (kind, sealed_with) = match header[9] {
        KEY_FILE => (KEY_FILE, "key file"),
        PASSPHRASE => (PASSPHRASE, "passphrase"),
        _ => return Err(damaged("it is for no known kind of key")),
    };
    if sealed_with != user.name() {
        return Err(OpenError::OtherKind { sealed_with, given: user.name() });
    }
    let fixed = Fixed { kind, cost, salt };
    let wrapping = Cipher::new(&fixed.wrapping_key(user)?);
    let wrapped = &header[FIXED_BYTES..FIXED_BYTES + WRAPPED_BYTES];
    let opened = Zeroizing::new(wrapping.open(&place(&header[..FIXED_BYTES]), wrapped).map_err(
        |broken| match broken {
            Broken::Changed => OpenError::WrongKey,
            Broken::Form(_) => damaged("its wrapped key has an unknown form"),
        },
    )?);
    let mut key = Zeroizing::new([0; 32]);
    key.copy_from_slice(&opened);
    Ok(key)
}

fn checksum_holds(header: &[u8]) -> bool {
    header.split_last_chunk().is_some_and(|(bytes, sum)| *sum == checksum(bytes))
}
