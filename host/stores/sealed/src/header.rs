//! The store's header: the store's key, wrapped by the user's.

use crate::cipher::{Broken, Cipher, NONCE_BYTES, expand};
use crate::error::OpenError;
use crate::layout::{SEAL_OVERHEAD, STORE_HEADER_KEY};
use crate::random::Random;
use crate::secret::{Key, Kind};
use argon2::{Algorithm, Argon2, Block, Params, Version};
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

/// A hash of the user's key.
const COMMITMENT_BYTES: usize = 32;

/// Everything before the commitment.
const PARAMS_BYTES: usize = 8 + 2 + 2 + 3 * 4 + SALT_BYTES;

/// Everything before the wrapped key, which is bound to it.
const FIXED_BYTES: usize = PARAMS_BYTES + COMMITMENT_BYTES;
const WRAPPED_BYTES: usize = SEAL_OVERHEAD + 32;
const HEADER_BYTES: usize = FIXED_BYTES + WRAPPED_BYTES + CHECKSUM_BYTES;

/// Most memory that a header may ask for to check a passphrase: 256 MiB. Whoever can write the
/// store chooses it, and the opener pays.
pub const MAX_MEMORY_KIB: u32 = 256 << 10;

/// Most passes over that memory.
pub const MAX_PASSES: u32 = 16;

/// Most lanes.
pub const MAX_LANES: u32 = 16;

/// The most memory times passes, 2 GiB: ten times the default, some seconds.
const MAX_WORK_KIB: u64 = 2 << 20;

/// Memory and time that Argon2id takes for a passphrase. A key file needs none of it.
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
        if memory_kib > MAX_MEMORY_KIB
            || passes > MAX_PASSES
            || lanes > MAX_LANES
            || u64::from(memory_kib) * u64::from(passes) > MAX_WORK_KIB
        {
            return Err(OpenError::CostTooHigh { memory_kib, passes, lanes });
        }
        let too_low = |_| OpenError::CostTooLow { memory_kib, passes, lanes };
        Params::new(memory_kib, passes, lanes, Some(32)).map_err(too_low)
    }
}

/// Keys derived from the user's key and the salt of a header.
struct Stretched {
    /// Wraps the store's key.
    wrapping: Cipher,
    /// Stands in the header. Poly1305 alone does not commit to a key: whoever writes a header could
    /// make a wrapped key that many passphrases open, and find out by trying which of them is the
    /// user's (Len, Grubbs, Ristenpart: Partitioning Oracle Attacks, USENIX Security 2021). A hash
    /// of the key that is compared first takes that away (Albertini et al.: How to Abuse and Fix
    /// Authenticated Encryption Without Key Commitment, USENIX Security 2022, section 5).
    commitment: [u8; COMMITMENT_BYTES],
}

/// The beginning of a header.
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

    /// Derives what wraps the store's key, and the commitment to it.
    fn stretch(&self, user: &Kind) -> Result<Stretched, OpenError> {
        let derived = match user {
            Kind::File(content) => Hkdf::<Sha256>::new(Some(&self.salt), content),
            Kind::Passphrase(passphrase) => {
                let mut stretched = Zeroizing::new([0; 32]);
                argon2id(self.cost, &self.salt, passphrase, &mut stretched)?;
                Hkdf::new(Some(&self.salt), stretched.as_slice())
            }
        };
        Ok(Stretched {
            wrapping: Cipher::new(expand(&derived, b"kvfs sealed wrapping 1")),
            commitment: *expand(&derived, b"kvfs sealed commitment 1"),
        })
    }
}

/// Stretches a passphrase in memory that is wiped behind it.
fn argon2id(
    cost: Cost,
    salt: &[u8; SALT_BYTES],
    passphrase: &[u8],
    key: &mut [u8; 32],
) -> Result<(), OpenError> {
    let params = cost.params()?;
    let mut memory = Zeroizing::new(vec![Block::default(); params.block_count()]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into_with_memory(passphrase, salt, key, memory.as_mut_slice())
        .map_err(|error| StoreError::Fault(format!("Argon2id: {error}")).into())
}

/// Returns the place that the wrapped key is bound to: the key of the header and all before it.
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
    let Stretched { wrapping, commitment } = fixed.stretch(user)?;
    let mut header = fixed.to_bytes();
    header.extend_from_slice(&commitment);
    let place = place(&header);
    wrapping.sealer(&nonce).seal(0, &place, &[store_key.as_slice()], &mut header)?;
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
    let Stretched { wrapping, commitment } = fixed.stretch(user)?;
    // The commitment is in the store for all to read: the time of comparing it tells nothing.
    if commitment != header[PARAMS_BYTES..FIXED_BYTES] {
        return Err(OpenError::WrongKey);
    }
    let wrapped = &header[FIXED_BYTES..FIXED_BYTES + WRAPPED_BYTES];
    let opened = wrapping.open(&place(&header[..FIXED_BYTES]), wrapped).map_err(|broken| match broken {
        Broken::Changed => damaged("its wrapped key was changed"),
        Broken::Form(_) => damaged("its wrapped key has an unknown form"),
    })?;
    let opened = Zeroizing::new(opened);
    let mut key = Zeroizing::new([0; 32]);
    key.copy_from_slice(&opened);
    Ok(key)
}

fn checksum_holds(header: &[u8]) -> bool {
    header.split_last_chunk().is_some_and(|(bytes, sum)| *sum == checksum(bytes))
}
