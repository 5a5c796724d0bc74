//! The bytes of a file: answers of one layer.
//!
//! ```text
//! [0, 8)       magic
//! [8, 40)      the layer: 16 bytes of the store's place, 16 of the layer's stamp
//! then         answers
//! ```
//!
//! An answer, with numbers big-endian:
//!
//! ```text
//! [0, 8)       XXH64 of what follows, seeded with that of the layer: of the same bytes, seed 0
//! [8, 12)      length of the question u32
//! [12, 16)     length of the body u32
//! [16]         0 absent, 1 a value, 2 a page
//! then         the question; the body: nothing, the value, or for each entry its lengths (u32, u32), key
//!              and value
//! ```

use bytes::Bytes;
use kvfs_contract::Entry;
use xxhash_rust::xxh64::xxh64;

use crate::answer::Answer;
use crate::name::LAYER_BYTES;

const MAGIC: [u8; 8] = *b"kvfs\0lc\x01";

/// Bytes before the first answer.
pub(super) const HEAD_BYTES: usize = MAGIC.len() + LAYER_BYTES;

/// Bytes of an answer before its question.
pub(super) const ANSWER_HEAD_BYTES: usize = 17;

/// Longest answer with its question that is kept: longer than any that a store gives for a key.
pub(super) const MAX_ANSWER_BYTES: usize = 4 << 20;

/// The first bytes of a file of a layer.
pub(super) fn head(layer: &[u8; LAYER_BYTES]) -> Vec<u8> {
    [&MAGIC[..], layer].concat()
}

/// Whether these are the first bytes of a file of a layer.
pub(super) fn is_of(layer: &[u8; LAYER_BYTES], file: &[u8]) -> bool {
    file.strip_prefix(&MAGIC).is_some_and(|rest| rest.starts_with(layer))
}

/// Appends an answer. Returns whether it did: not if it is too long.
pub(super) fn append(layer: &[u8; LAYER_BYTES], question: &[u8], answer: &Answer, out: &mut Vec<u8>) -> bool {
    let (kind, body) = match answer {
        Answer::Absent => (0, Vec::new()),
        Answer::Value(value) => (1, value.to_vec()),
        Answer::Page(entries) => (2, page(entries)),
    };
    if ANSWER_HEAD_BYTES + question.len() + body.len() > MAX_ANSWER_BYTES {
        return false;
    }
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes();
    let rest = [&length(question)[..], &length(&body), &[kind], question, &body].concat();
    out.extend_from_slice(&checksum(layer, &rest).to_be_bytes());
    out.extend_from_slice(&rest);
    true
}

fn checksum(layer: &[u8; LAYER_BYTES], rest: &[u8]) -> u64 {
    xxh64(rest, xxh64(layer, 0))
}

/// An answer in a file.
pub(super) struct Stored<'f> {
    pub(super) question: &'f [u8],
    /// All its bytes.
    pub(super) bytes: usize,
    kind: u8,
    body: &'f [u8],
}

/// Reads the answer that these bytes begin with; `None` if they do not begin with a whole and sound one.
pub(super) fn read<'f>(layer: &[u8; LAYER_BYTES], bytes: &'f [u8]) -> Option<Stored<'f>> {
    let (sum, rest) = bytes.split_first_chunk::<8>()?;
    let (question, behind) = rest.split_first_chunk::<4>()?;
    let (body, behind) = behind.split_first_chunk::<4>()?;
    let (kind, behind) = behind.split_first()?;
    let question_bytes = usize::try_from(u32::from_be_bytes(*question)).ok()?;
    let body_bytes = usize::try_from(u32::from_be_bytes(*body)).ok()?;
    let (question, behind) = behind.split_at_checked(question_bytes)?;
    let (body, behind) = behind.split_at_checked(body_bytes)?;
    let length = bytes.len() - behind.len();
    let covered = bytes.get(sum.len()..length)?;
    let is_sound = length <= MAX_ANSWER_BYTES && checksum(layer, covered) == u64::from_be_bytes(*sum);
    is_sound.then_some(Stored { question, bytes: length, kind: *kind, body })
}

impl Stored<'_> {
    /// The answer; `None` for one that no version writes.
    pub(super) fn answer(&self) -> Option<Answer> {
        match (self.kind, self.body) {
            (0, []) => Some(Answer::Absent),
            (1, value) => Some(Answer::of(Some(value))),
            (2, body) => entries(body).map(|entries| Answer::Page(entries.into())),
            _ => None,
        }
    }
}

fn page(entries: &[Entry<Bytes>]) -> Vec<u8> {
    let mut body = Vec::new();
    for Entry { key, value } in entries {
        for part in [key, value] {
            body.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        }
        body.extend_from_slice(key);
        body.extend_from_slice(value);
    }
    body
}

fn entries(body: &[u8]) -> Option<Vec<Entry<Bytes>>> {
    let (mut rest, mut entries) = (Bytes::copy_from_slice(body), Vec::new());
    while !rest.is_empty() {
        let (lengths, _) = rest.split_first_chunk::<8>()?;
        let lengths = u64::from_be_bytes(*lengths);
        let (key, value) = ((lengths >> 32) as usize, (lengths & u64::from(u32::MAX)) as usize);
        if rest.len() - size_of::<u64>() < key.checked_add(value)? {
            return None;
        }
        drop(rest.split_to(size_of::<u64>()));
        entries.push(Entry { key: rest.split_to(key), value: rest.split_to(value) });
    }
    Some(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYER: [u8; LAYER_BYTES] = [3; LAYER_BYTES];

    fn answers() -> Vec<Answer> {
        let entry = |key: &'static str, value: &'static str| Entry { key: key.into(), value: value.into() };
        vec![
            Answer::Absent,
            Answer::of(Some(b"")),
            Answer::of(Some(b"value")),
            Answer::of_page(&[]),
            Answer::of_page(&[entry("a", ""), entry("bb", "ccc")]),
        ]
    }

    #[test]
    fn an_answer_is_read_back_and_nothing_else_is() {
        for answer in answers() {
            let mut file = Vec::new();
            assert!(append(&LAYER, b"question", &answer, &mut file));
            let stored = read(&LAYER, &file).unwrap();
            assert_eq!((stored.question, stored.bytes), (&b"question"[..], file.len()));
            assert_eq!(stored.answer(), Some(answer));
            assert!(read(&[4; LAYER_BYTES], &file).is_none(), "it is another layer's");
            for at in 0..file.len() {
                assert!(read(&LAYER, &file[..at]).is_none(), "cut at {at}");
                for bit in 0..8 {
                    let mut bad = file.clone();
                    bad[at] ^= 1 << bit;
                    assert!(read(&LAYER, &bad).is_none(), "byte {at} bit {bit}");
                }
            }
        }
    }

    #[test]
    fn a_page_with_wrong_lengths_is_none() {
        for body in [&[0, 0, 0, 1][..], &[0, 0, 0, 9, 0, 0, 0, 0, 1], &[255; 8]] {
            assert_eq!(entries(body), None);
        }
    }

    #[test]
    fn what_is_too_long_is_not_kept() {
        let mut file = Vec::new();
        assert!(!append(&LAYER, b"q", &Answer::of(Some(&vec![0; MAX_ANSWER_BYTES])), &mut file));
        assert!(file.is_empty());
    }
}
