//! One record of any kind, alone. A record that decodes must encode to the same bytes again, and
//! the check of a whole volume must agree whether it decodes.

use super::reached::reach;
use super::samples::samples;
use crate::store::{LARGE, Map, TestStore, tag_of};
use kvfs::fuzzing::{framed, recode};
use kvfs::{Clock, Error, Invariant, Options, Timestamp, Volume, fsck};
use std::rc::Rc;

const VOLUME: &str = "v";
const PREFIX: [u8; 2] = [1, b'v'];

/// The longest key that a store takes.
const MAX_KEY_BYTES: usize = LARGE.max_key_bytes as usize;

/// Input: one byte whose lowest bit says whether the value gets a right frame; one byte with the
/// length of the key behind the volume's name; that part of the key; and the body, or the whole
/// value.
pub(super) fn run(data: &[u8]) {
    let Some(([how, length], rest)) = data.split_first_chunk::<2>() else { return };
    let (key_tail, body) = rest.split_at(usize::from(*length).min(rest.len()));
    let key = [&PREFIX, key_tail].concat();
    assert!(key.len() <= MAX_KEY_BYTES);
    let value = if how & 1 == 1 { framed(&key, tag_of(&key), body) } else { body.to_vec() };
    let outcome = recode(VOLUME, &key, &value);
    if let Ok((again_key, again)) = &outcome {
        reach();
        assert_eq!(*again_key, key, "the key changed its form");
        if tag_of(&key) == 0 {
            // A later minor version is not kept, but nothing else may change.
            assert_eq!(recode(VOLUME, &key, again).as_ref().map(|(_, value)| value), Ok(again));
        } else {
            assert_eq!(*again, value, "the value changed its form");
        }
    }
    check_beside_others(&key, &value, outcome.err());
}

/// Puts the record into a volume. A check of the volume names it exactly if it does not decode.
fn check_beside_others(key: &[u8], value: &[u8], refused: Option<Error>) {
    let mut map = empty_volume();
    map.insert(key.to_vec(), Rc::from(value));
    match fsck(&mut TestStore::from_map(map, LARGE), VOLUME) {
        Ok(report) => {
            let alone = [Invariant::KeyForm, Invariant::Value];
            let told = |finding: &&kvfs::Finding| finding.key == key && alone.contains(&finding.invariant);
            let told = report.findings.iter().find(told);
            if matches!(tag_of(key), 0x02 | 0x03) {
                // Damage of a journal has an invariant of its own, and depends on the superblock. The
                // header of a layer is in no volume's range.
                return;
            }
            assert_eq!(told.is_some(), refused.is_some(), "fsck: {told:?}, decoding: {refused:?}");
        }
        Err(error) => {
            let of_format = matches!(refused, Some(Error::Format(_)));
            assert!(of_format && matches!(error, Error::Format(_)), "{error:?}, decoding: {refused:?}");
        }
    }
}

struct Never;

impl Clock for Never {
    fn now(&mut self) -> Timestamp {
        Timestamp::default()
    }
}

/// An empty volume with the largest extents and inline files, so that only a record's own limits
/// count.
fn empty_volume() -> Map {
    thread_local! {
        static EMPTY: Map = {
            let store = TestStore::new(LARGE);
            let options = Options {
                volume: VOLUME.to_owned(),
                extent_bytes: 1 << 20,
                inline_bytes: 64 << 10,
                ..Options::default()
            };
            Volume::open(Box::new(store.clone()), Box::new(Never), options).expect("an empty store opens");
            store.0.borrow().map.clone()
        };
    }
    EMPTY.with(Map::clone)
}

/// Every record of the samples below 400 bytes, as an input.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    const FRAME_BYTES: usize = 16;
    let samples = samples();
    let records = samples.iter().flatten().filter(|(_, value)| value.len() < 400);
    let input = |(key, value): (&Vec<u8>, &Rc<[u8]>)| {
        let key_tail = &key[PREFIX.len()..];
        let length = u8::try_from(key_tail.len()).ok()?;
        Some([&[1, length], key_tail, &value[FRAME_BYTES..]].concat())
    };
    records.filter_map(input).collect()
}
