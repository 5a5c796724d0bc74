//! Recognises secrets by their digests, and masks them.
//!
//! A filter of 16 bits over the first eight bytes of each secret rules nearly all places out. At
//! the others SHA-256 decides. So the time for a byte does not depend on how many secrets there
//! are, nor on their lengths.

use crate::pattern::PatternError;
use crate::sort::sorted;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::cmp::{Ordering, Reverse};
use std::fmt;
use std::ops::Range;

/// Shortest secret, in bytes. The digest of a shorter one gives it away: whoever reads the store
/// tries all of them. It would also be masked where it stands by chance.
pub const MIN_SECRET_BYTES: usize = 8;

/// Longest secret, in bytes: a write looks at as many bytes on either side of its place.
pub const MAX_SECRET_BYTES: usize = 1024;

/// Most secrets of a volume.
pub const MAX_SECRETS: usize = 64;

/// Bytes of the salt of a volume's digests.
pub(super) const SALT_BYTES: usize = 16;

/// Bytes of a digest.
pub(super) const DIGEST_BYTES: usize = 32;

/// Values of the filter.
const FILTER_VALUES: usize = 1 << 16;

/// Spreads the bytes that the filter is computed from.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// Why a policy was refused. Neither variant nor message holds any byte of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScrubbingError {
    /// There is none, or there are more than [`MAX_SECRETS`].
    Number {
        /// How many were given.
        given: usize,
    },
    /// A secret is shorter than [`MIN_SECRET_BYTES`] or longer than [`MAX_SECRET_BYTES`].
    Length {
        /// Its number among those given, from 1.
        number: usize,
        /// Its length in bytes.
        bytes: usize,
    },
    /// A secret has a NUL byte. Holes of files read as NULs, so they could complete it.
    Nul {
        /// Its number among those given, from 1.
        number: usize,
    },
    /// The secrets together have all printable characters, so none is left for the mask.
    NoMask,
    /// The scope is by patterns, and there are none.
    NoPattern,
    /// A pattern cannot be read, or there are too many.
    Pattern {
        /// Its number among those given, from 1.
        number: usize,
        /// The defect.
        error: PatternError,
    },
}

impl fmt::Display for ScrubbingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number { given: 0 } => f.write_str("there is no secret; give at least one"),
            Self::Number { given } => {
                write!(f, "{given} secrets are more than the {MAX_SECRETS} of a volume; give fewer")
            }
            Self::Length { number, bytes } => write!(
                f,
                "secret {number} has {bytes} bytes; a secret has {MIN_SECRET_BYTES} to {MAX_SECRET_BYTES}"
            ),
            Self::Nul { number } => write!(f, "secret {number} has a NUL byte; give it without"),
            Self::NoMask => f.write_str(
                "the secrets have every printable character, so none is left to mask them with; give fewer",
            ),
            Self::NoPattern => {
                f.write_str("there is no pattern that says which files are scrubbed; give one")
            }
            Self::Pattern { number, error } => write!(f, "pattern {number} cannot be used: {error}"),
        }
    }
}

impl std::error::Error for ScrubbingError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Pattern { error, .. } => Some(error),
            _ => None,
        }
    }
}

/// The traces of one secret: enough to recognise it, not to tell it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) filter: u16,
    pub(super) length: u16,
    pub(super) digest: [u8; DIGEST_BYTES],
}

impl Ord for Known {
    /// Of one value of the filter, longer secrets come first.
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |known: &Self| (known.filter, Reverse(known.length), known.digest);
        key(self).cmp(&key(other))
    }
}

impl PartialOrd for Known {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The secrets of a volume, ready to be looked for.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secrets {
    pub(super) salt: [u8; SALT_BYTES],
    /// Replaces each byte of a secret. No secret has it, so masking never makes one.
    pub(super) mask: u8,
    /// By filter, and the longest first.
    pub(super) known: Vec<Known>,
    /// A bit for each value of the filter.
    seen: Box<[u64]>,
    longest: usize,
}

/// Shows the number and the lengths, and nothing that helps to guess.
impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lengths: Vec<u16> = self.known.iter().map(|known| known.length).collect();
        f.debug_struct("Secrets").field("lengths", &lengths).finish_non_exhaustive()
    }
}

impl Secrets {
    /// Makes the digests of secrets.
    pub(super) fn new(salt: [u8; SALT_BYTES], secrets: &[&[u8]]) -> Result<Self, ScrubbingError> {
        if secrets.is_empty() || secrets.len() > MAX_SECRETS {
            return Err(ScrubbingError::Number { given: secrets.len() });
        }
        let mut known = Vec::with_capacity(secrets.len());
        for (number, secret) in (1..).zip(secrets) {
            let bytes = secret.len();
            let length = u16::try_from(bytes).ok().filter(|_| is_length(bytes));
            let (Some(length), Some(head)) = (length, secret.first_chunk()) else {
                return Err(ScrubbingError::Length { number, bytes });
            };
            if secret.contains(&0) {
                return Err(ScrubbingError::Nul { number });
            }
            known.push(Known { filter: filter(&salt, *head), length, digest: digest(&salt, secret) });
        }
        let is_free = |byte: &u8| is_mask(*byte) && !secrets.iter().any(|secret| secret.contains(byte));
        let mask = [b'*'].into_iter().chain(b'!'..=b'~').find(is_free).ok_or(ScrubbingError::NoMask)?;
        Ok(Self::of_known(salt, mask, known))
    }

    /// Makes them of what a volume keeps, which the caller has checked.
    pub(super) fn of_known(salt: [u8; SALT_BYTES], mask: u8, known: Vec<Known>) -> Self {
        let mut known = sorted(known);
        known.dedup();
        let mut seen = vec![0_u64; FILTER_VALUES / 64].into_boxed_slice();
        for known in &known {
            if let Some(word) = seen.get_mut(usize::from(known.filter / 64)) {
                *word |= 1 << (known.filter % 64);
            }
        }
        let longest = known.iter().map(|known| usize::from(known.length)).max().unwrap_or(0);
        Self { salt, mask, known, seen, longest }
    }

    /// How far a secret that has a byte here can reach to either side.
    pub(crate) fn reach(&self) -> usize {
        self.longest.saturating_sub(1)
    }

    /// Masks every secret in `bytes`, also where secrets overlap. Returns the range from the first
    /// masked byte to the last, or `None` if there is no secret.
    ///
    /// Takes about a nanosecond for each byte. A place at which the filter fits takes a SHA-256 of
    /// the secret's length: one in 65,536 by chance for each secret. Whoever knows how a secret
    /// begins can write many such places, and pays for them with its own time.
    pub(crate) fn mask(&self, bytes: &mut [u8]) -> Option<Range<usize>> {
        let found = self.find(bytes);
        self.fill(&found, bytes)
    }

    /// As [`Secrets::mask`], where the secrets of `bytes` are: `masked` are the same bytes, of
    /// which some may be masked already.
    pub(crate) fn mask_as(&self, bytes: &[u8], masked: &mut [u8]) -> Option<Range<usize>> {
        self.fill(&self.find(bytes), masked)
    }

    fn fill(&self, found: &[Range<usize>], bytes: &mut [u8]) -> Option<Range<usize>> {
        for range in found {
            if let Some(place) = bytes.get_mut(range.clone()) {
                place.fill(self.mask);
            }
        }
        Some(found.first()?.start..found.last()?.end)
    }

    /// As [`Secrets::mask`], for a name or the target of a link. Of a character that a secret has a
    /// part of, every byte is masked, so it stays text.
    pub(crate) fn mask_text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let found = self.find(text.as_bytes());
        if found.is_empty() {
            return Cow::Borrowed(text);
        }
        let (mut masked, mut done) = (String::with_capacity(text.len()), 0);
        for range in found {
            // The character in which the secret before this one ends may be masked already.
            let start = text.floor_char_boundary(range.start).max(done);
            let end = text.ceil_char_boundary(range.end);
            masked.push_str(text.get(done..start).unwrap_or_default());
            masked.extend((start..end).map(|_| char::from(self.mask)));
            done = end;
        }
        masked.push_str(text.get(done..).unwrap_or_default());
        Cow::Owned(masked)
    }

    /// Returns where secrets are, in ascending order. Ranges that overlap or touch are one.
    fn find(&self, bytes: &[u8]) -> Vec<Range<usize>> {
        let mut found: Vec<Range<usize>> = Vec::new();
        for (at, head) in bytes.windows(MIN_SECRET_BYTES).enumerate() {
            let Some(head) = head.first_chunk() else { continue };
            let filter = filter(&self.salt, *head);
            let word = self.seen.get(usize::from(filter / 64)).copied().unwrap_or(0);
            if word >> (filter % 64) & 1 == 0 {
                continue;
            }
            let Some(length) = self.length_at(bytes.get(at..).unwrap_or_default(), filter) else { continue };
            let end = at + length;
            match found.last_mut() {
                Some(last) if at <= last.end => last.end = last.end.max(end),
                _ => found.push(at..end),
            }
        }
        found
    }

    /// Returns the length of the longest secret that `bytes` starts with, of those with this
    /// filter.
    #[cold]
    fn length_at(&self, bytes: &[u8], filter: u16) -> Option<usize> {
        let first = self.known.partition_point(|known| known.filter < filter);
        let same = self.known.iter().skip(first).take_while(|known| known.filter == filter);
        // Zeros are frequent, and no secret has any.
        let end = bytes.iter().take(self.longest).position(|byte| *byte == 0).unwrap_or(self.longest);
        same.filter(|known| usize::from(known.length) <= end)
            .find(|known| {
                let candidate = bytes.get(..usize::from(known.length));
                candidate.is_some_and(|candidate| digest(&self.salt, candidate) == known.digest)
            })
            .map(|known| usize::from(known.length))
    }
}

/// Returns whether a secret may have so many bytes.
pub(super) fn is_length(bytes: usize) -> bool {
    (MIN_SECRET_BYTES..=MAX_SECRET_BYTES).contains(&bytes)
}

/// Returns whether a byte may stand for those of secrets: names of files take it.
pub(super) fn is_mask(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'/' | b'.')
}

#[inline(always)]
fn filter(salt: &[u8; SALT_BYTES], head: [u8; MIN_SECRET_BYTES]) -> u16 {
    let salt = salt.first_chunk().map_or(0, |salt| u64::from_le_bytes(*salt));
    let spread = (u64::from_le_bytes(head) ^ salt).wrapping_mul(SPREAD);
    ((spread ^ (spread >> 32)).wrapping_mul(SPREAD) >> 48) as u16
}

fn digest(salt: &[u8; SALT_BYTES], secret: &[u8]) -> [u8; DIGEST_BYTES] {
    Sha256::new().chain_update(salt).chain_update(secret).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(of: &[&[u8]]) -> Secrets {
        Secrets::new([7; SALT_BYTES], of).unwrap()
    }

    fn masked(secrets: &Secrets, text: &str) -> String {
        let mut bytes = text.as_bytes().to_vec();
        secrets.mask(&mut bytes);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn every_byte_of_every_occurrence_is_masked_and_no_other() {
        let secrets = secrets(&[b"password", b"wordpress!", b"passwords are long"]);
        assert_eq!(masked(&secrets, "password"), "********");
        assert_eq!(masked(&secrets, "passwor"), "passwor");
        assert_eq!(masked(&secrets, "-password-"), "-********-");
        assert_eq!(masked(&secrets, "passwordpassword"), "****************");
        assert_eq!(masked(&secrets, "passwordpress!"), "**************", "they overlap");
        assert_eq!(masked(&secrets, "a passwords are long b"), "a ****************** b", "the longest");
        assert_eq!(masked(&secrets, "a passwords are lon b"), "a ********s are lon b");
        assert_eq!(masked(&secrets, ""), "");
    }

    #[test]
    fn the_range_of_the_masks_is_returned() {
        let secrets = secrets(&[b"password"]);
        assert_eq!(secrets.mask(&mut b"1 password 2 password 3".to_vec()), Some(2..21));
        assert_eq!(secrets.mask(&mut b"nothing of it".to_vec()), None);
    }

    #[test]
    fn secrets_of_every_length_are_found_at_every_place() {
        for length in [MIN_SECRET_BYTES, 9, 63, 64, 65, MAX_SECRET_BYTES] {
            let secret: Vec<u8> = (0..length).map(|at| b'a' + (at * at % 23) as u8).collect();
            let secrets = secrets(&[&secret]);
            assert_eq!(secrets.reach(), length - 1);
            for before in [0, 1, 7, 500] {
                let mut bytes = [vec![b'x'; before], secret.clone(), vec![b'x'; 9]].concat();
                assert_eq!(secrets.mask(&mut bytes), Some(before..before + length));
            }
        }
    }

    #[test]
    fn the_mask_is_a_byte_that_no_secret_has() {
        assert_eq!(secrets(&[b"a*b*c*d*"]).mask, b'!');
        assert_eq!(secrets(&[b"********"]).mask, b'!');
        let all: Vec<u8> = (b'!'..=b'~').collect();
        assert_eq!(Secrets::new([0; 16], &[&all]), Err(ScrubbingError::NoMask));
        // A slash or a dot would change what a name means.
        let most: Vec<u8> = all.into_iter().filter(|byte| !matches!(byte, b'/' | b'.')).collect();
        assert_eq!(Secrets::new([0; 16], &[&most]), Err(ScrubbingError::NoMask));
    }

    #[test]
    fn text_stays_text_if_a_secret_is_none() {
        // The secret begins within one character and ends within another.
        let text = "x\u{e4}1234567\u{e4}y";
        let bytes = text.as_bytes();
        let secrets = secrets(&[&bytes[2..bytes.len() - 2]]);
        let masked = secrets.mask_text(text);
        assert_eq!(masked, "x***********y");
        assert_eq!(masked.len(), text.len());
        assert!(matches!(secrets.mask_text("nothing of it"), Cow::Borrowed(_)));
    }

    #[test]
    fn secrets_out_of_bounds_are_refused_without_being_shown() {
        let new = |of: &[&[u8]]| Secrets::new([0; 16], of).unwrap_err();
        assert_eq!(new(&[]), ScrubbingError::Number { given: 0 });
        assert_eq!(new(&[b"12345678".as_slice(); 65]), ScrubbingError::Number { given: 65 });
        assert_eq!(new(&[b"12345678", b"1234567"]), ScrubbingError::Length { number: 2, bytes: 7 });
        assert_eq!(new(&[&[b'a'; 1025]]), ScrubbingError::Length { number: 1, bytes: 1025 });
        assert_eq!(new(&[b"1234\x005678"]), ScrubbingError::Nul { number: 1 });
        assert!(!format!("{:?}", secrets(&[b"password"])).contains("password"));
    }

    #[test]
    fn digests_of_one_secret_differ_between_volumes() {
        let (one, other) = (secrets(&[b"password"]), Secrets::new([8; 16], &[b"password"]).unwrap());
        assert_ne!(one.known[0].digest, other.known[0].digest);
    }
}
