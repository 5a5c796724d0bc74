//! The policy of a volume, as a host or tool sets it and as the volume keeps it.

use super::secrets::{Known, MAX_SECRETS, SALT_BYTES, ScrubbingError, Secrets, is_length, is_mask};

use crate::pattern::{PathState, Patterns};
use std::borrow::Cow;

/// Scopes, as a field has them. Of a volume that scrubs nothing any more, the number stays.
const KIND_NONE: u8 = 0;
const KIND_ALL: u8 = 1;
const KIND_EXCEPT: u8 = 2;
const KIND_ONLY: u8 = 3;

/// Which files of a volume are scrubbed. Names and targets of links are scrubbed in each case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Every file.
    All,
    /// Every file but those of these patterns.
    Except(Vec<String>),
    /// The files of these patterns.
    Only(Vec<String>),
}

/// A policy of scrubbing: secrets, and the files in which they are masked.
///
/// Each byte of a secret becomes a mask (`*`, or another printable character if a secret has a
/// `*`), so sizes and offsets stay. The secrets themselves are not kept: see
/// [`Scrubbing::new`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scrubbing {
    scope: Scope,
    patterns: Patterns,
    /// Counts the policies of the volume, from 1: files note the last one that they were found
    /// clean of.
    number: u16,
    secrets: Secrets,
}

impl Scrubbing {
    /// Makes a policy from secrets of [`MIN_SECRET_BYTES`](super::MIN_SECRET_BYTES) to
    /// [`MAX_SECRET_BYTES`](super::MAX_SECRET_BYTES) bytes.
    ///
    /// It keeps of each secret the length, 16 bits of a hash of its first eight bytes, and the
    /// SHA-256 of `salt` and the secret. Whoever reads the store can check a guess: a secret that
    /// can be guessed is found out, whatever its length. `salt` is to be random, and another one
    /// for each volume, so that a guess serves for one volume only.
    ///
    /// Patterns are those of [`Patterns::add`], of paths from the root of the volume.
    ///
    /// # Errors
    /// [`ScrubbingError`], which shows no secret.
    pub fn new(salt: [u8; SALT_BYTES], secrets: &[&[u8]], scope: Scope) -> Result<Self, ScrubbingError> {
        let patterns = compiled(&scope)?;
        Ok(Self { scope, patterns, number: 0, secrets: Secrets::new(salt, secrets)? })
    }

    /// The files that are scrubbed.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The lengths of the secrets in bytes, in ascending order.
    pub fn secret_lengths(&self) -> Vec<usize> {
        let mut lengths: Vec<usize> =
            self.secrets.known.iter().map(|known| usize::from(known.length)).collect();
        lengths.sort_unstable();
        lengths
    }

    /// The character that the bytes of secrets become.
    pub fn mask(&self) -> char {
        char::from(self.secrets.mask)
    }

    /// Returns a text without secrets: as names are stored.
    ///
    /// # Cost
    /// A hash of each byte for each length of a secret.
    pub fn masked<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.secrets.mask_text(text)
    }

    /// The secrets.
    pub(crate) fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Makes it the policy that follows the one of the number `before`.
    ///
    /// The first one has a number of its salt. If settings were lost, and with them the number,
    /// files that were clean of the former policy are hardly taken for clean of this one.
    pub(crate) fn following(self, before: Option<u16>) -> Self {
        let [first, second, ..] = self.secrets.salt;
        let number = before.unwrap_or(u16::from_be_bytes([first, second])).wrapping_add(1);
        Self { number: number.max(1), ..self }
    }

    /// The number of the policy in its volume.
    pub(crate) fn number(&self) -> u16 {
        self.number
    }

    /// Returns whether some files are scrubbed and others are not, by their paths.
    #[inline(always)]
    pub(crate) fn has_patterns(&self) -> bool {
        self.scope != Scope::All
    }

    /// The state of the volume's root in the patterns.
    pub(crate) fn start(&self) -> PathState {
        self.patterns.start()
    }

    /// The state of a name in a directory.
    pub(crate) fn step(&self, directory: PathState, name: &str) -> PathState {
        self.patterns.step(directory, name)
    }

    /// Returns whether a file of this state is scrubbed.
    pub(crate) fn scrubs(&self, state: PathState) -> bool {
        match self.scope {
            Scope::All => true,
            Scope::Except(_) => state.matched().is_none(),
            Scope::Only(_) => state.matched().is_some(),
        }
    }

    /// Appends the field of the settings record that keeps the policy.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let (kind, patterns) = match &self.scope {
            Scope::All => (KIND_ALL, [].as_slice()),
            Scope::Except(patterns) => (KIND_EXCEPT, patterns.as_slice()),
            Scope::Only(patterns) => (KIND_ONLY, patterns.as_slice()),
        };
        let Secrets { salt, mask, known, .. } = &self.secrets;
        out.extend_from_slice(&[kind, *mask]);
        out.extend_from_slice(&self.number.to_be_bytes());
        out.extend_from_slice(salt);
        // Bounded when the policy was made.
        out.extend_from_slice(&(known.len() as u16).to_be_bytes());
        for Known { filter, length, digest } in known {
            out.extend_from_slice(&length.to_be_bytes());
            out.extend_from_slice(&filter.to_be_bytes());
            out.extend_from_slice(digest);
        }
        for pattern in patterns {
            out.extend_from_slice(&(pattern.len() as u16).to_be_bytes());
            out.extend_from_slice(pattern.as_bytes());
        }
    }

    /// Appends the field of a volume that scrubs nothing any more. `number` is that of its last
    /// policy.
    pub(crate) fn encode_none(number: u16, out: &mut Vec<u8>) {
        out.extend_from_slice(&[KIND_NONE, 0]);
        out.extend_from_slice(&number.to_be_bytes());
    }

    /// Returns the number of the last policy from the field.
    pub(crate) fn number_of(field: &[u8]) -> Option<u16> {
        field.get(2..).and_then(<[u8]>::first_chunk).copied().map(u16::from_be_bytes)
    }

    /// Reads the field: `Some(None)` if nothing is scrubbed any more, `None` if it is damaged.
    pub(crate) fn decode(mut field: &[u8]) -> Option<Option<Self>> {
        let rest = &mut field;
        let [kind, mask] = take::<2>(rest)?;
        let number = u16::from_be_bytes(take(rest)?);
        if kind == KIND_NONE {
            return (mask == 0 && rest.is_empty()).then_some(None);
        }
        let salt = take::<SALT_BYTES>(rest)?;
        let count = usize::from(u16::from_be_bytes(take(rest)?));
        if !is_mask(mask) || number == 0 || !(1..=MAX_SECRETS).contains(&count) {
            return None;
        }
        let mut known = Vec::with_capacity(count);
        for _ in 0..count {
            let length = u16::from_be_bytes(take(rest)?);
            let filter = u16::from_be_bytes(take(rest)?);
            known.push(Known { filter, length, digest: take(rest)? });
            if !is_length(usize::from(length)) {
                return None;
            }
        }
        let mut patterns = Vec::new();
        while !rest.is_empty() {
            let length = usize::from(u16::from_be_bytes(take(rest)?));
            let (pattern, behind) = rest.split_at_checked(length)?;
            patterns.push(std::str::from_utf8(pattern).ok()?.to_owned());
            *rest = behind;
        }
        let scope = match kind {
            KIND_ALL if patterns.is_empty() => Scope::All,
            KIND_EXCEPT => Scope::Except(patterns),
            KIND_ONLY => Scope::Only(patterns),
            _ => return None,
        };
        let patterns = compiled(&scope).ok()?;
        Some(Some(Self { scope, patterns, number, secrets: Secrets::of_known(salt, mask, known) }))
    }
}

fn compiled(scope: &Scope) -> Result<Patterns, ScrubbingError> {
    let mut patterns = Patterns::default();
    let list = match scope {
        Scope::All => return Ok(patterns),
        Scope::Except(list) | Scope::Only(list) => list,
    };
    for (number, pattern) in (1..).zip(list) {
        let added = patterns.add(pattern);
        added.map_err(|error| ScrubbingError::Pattern { number, error })?;
    }
    if patterns.is_empty() { Err(ScrubbingError::NoPattern) } else { Ok(patterns) }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, behind) = rest.split_first_chunk::<N>()?;
    *rest = behind;
    Some(*head)
}

#[cfg(test)]
mod tests {
    use super::super::secrets::DIGEST_BYTES;
    use super::*;

    fn policy(scope: Scope) -> Scrubbing {
        Scrubbing::new([7; SALT_BYTES], &[b"password", b"another secret"], scope).unwrap().following(Some(2))
    }

    fn encoded(policy: &Scrubbing) -> Vec<u8> {
        let mut field = Vec::new();
        policy.encode(&mut field);
        field
    }

    #[test]
    fn a_policy_of_each_scope_survives_encoding() {
        let patterns = || vec!["**/*.log".to_owned(), "a".to_owned()];
        for scope in [Scope::All, Scope::Except(patterns()), Scope::Only(patterns())] {
            let policy = policy(scope);
            assert_eq!(Scrubbing::decode(&encoded(&policy)), Some(Some(policy)));
        }
        assert_eq!(policy(Scope::All).secret_lengths(), [8, 14]);
        assert_eq!(policy(Scope::All).mask(), '*');
        let mut none = Vec::new();
        Scrubbing::encode_none(7, &mut none);
        assert_eq!(Scrubbing::decode(&none), Some(None));
        assert_eq!(Scrubbing::number_of(&none), Some(7));
    }

    #[test]
    fn policies_of_one_volume_have_numbers_of_their_own() {
        let number = |before| policy(Scope::All).following(before).number();
        assert_eq!([number(Some(7)), number(Some(u16::MAX))], [8, 1]);
        assert_eq!(number(None), 0x0708);
        assert_eq!(
            Scrubbing::new([0xff; 16], &[b"password"], Scope::All).unwrap().following(None).number(),
            1
        );
    }

    #[test]
    fn patterns_that_cannot_be_read_are_refused() {
        let new = |scope| Scrubbing::new([7; SALT_BYTES], &[b"password"], scope).unwrap_err();
        assert_eq!(new(Scope::Only(vec![])), ScrubbingError::NoPattern);
        let bad = new(Scope::Except(vec!["good".to_owned(), "[a".to_owned()]));
        assert!(matches!(bad, ScrubbingError::Pattern { number: 2, .. }), "{bad:?}");
    }

    #[test]
    fn the_field_has_no_secret() {
        let field = encoded(&policy(Scope::All));
        assert_eq!(field.len(), 2 + 2 + SALT_BYTES + 2 + 2 * (2 + 2 + DIGEST_BYTES));
        assert!(!field.windows(8).any(|window| window == b"password"));
    }

    #[test]
    fn a_field_out_of_bounds_is_damage() {
        let good = encoded(&policy(Scope::All));
        let bad = |at: usize, byte: u8| {
            let mut field = good.clone();
            field[at] = byte;
            Scrubbing::decode(&field)
        };
        assert_eq!(bad(0, 4), None, "an unknown scope");
        assert_eq!(bad(1, b'/'), None, "a mask that no name takes");
        assert_eq!(bad(3, 0), None, "no number");
        assert_eq!(bad(21, 0), None, "no secret");
        assert_eq!(bad(21, 65), None, "too many");
        assert_eq!(bad(23, 7), None, "too short");
        for length in 0..good.len() {
            assert_eq!(Scrubbing::decode(&good[..length]), None, "{length}");
        }
        for behind in [&[0][..], &[0, 1, 0xff], &[0, 2, b'a'], &[0, 0]] {
            assert_eq!(Scrubbing::decode(&[&good, behind].concat()), None, "{behind:?}");
        }
    }
}
