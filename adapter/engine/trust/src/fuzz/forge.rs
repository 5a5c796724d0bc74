//! Forges hostile stores from valid ones: by accidents, which checksums notice, and with right
//! checksums.

use crate::rng::Rng;
use crate::store::{Map, tag_of};
use kvfs::fuzzing::framed;
use std::rc::Rc;

const FRAME_BYTES: usize = 16;
const TAGS: [u8; 9] = [0x00, 0x02, 0x10, 0x11, 0x20, 0x30, 0x31, 0x01, 0xfe];

/// Changes, adds or removes one record.
pub(super) fn forge(map: &mut Map, rng: &mut Rng) {
    let Some((key, value)) = choose(map, rng) else { return };
    match rng.below(8) {
        0 => {
            // An accident: the checksum is not updated.
            let mut value = value.to_vec();
            let at = rng.below(value.len() as u64) as usize;
            if let Some(byte) = value.get_mut(at) {
                *byte ^= 1 << rng.below(8);
            }
            map.insert(key, Rc::from(value));
        }
        1 => {
            let mut value = value.to_vec();
            value.truncate(rng.below(value.len() as u64) as usize);
            map.insert(key, Rc::from(value));
        }
        2 => drop(map.remove(&key)),
        3 => {
            // The value of another record, with a checksum that fits here.
            let Some((_, other)) = choose(map, rng) else { return };
            put(map, key, &body(&other));
        }
        4 => put(map, other_key(&key, rng), &body(&value)),
        5 => {
            let length = rng.pick(&[0, 1, 9, 16, 76, 80]);
            let filler = rng.below(256) as u8;
            put(map, other_key(&key, rng), &vec![filler; length]);
        }
        6 => {
            let mut body = body(&value);
            match rng.below(2) {
                0 => body.truncate(rng.below(body.len() as u64) as usize),
                _ => body.extend_from_slice(&vec![rng.below(256) as u8; 1 + rng.below(600) as usize]),
            }
            put(map, key, &body);
        }
        _ => {
            let mut body = body(&value);
            overwrite(&mut body, rng);
            put(map, key, &body);
        }
    }
}

/// Chooses a kind first and then a record of it, if there is one: most records are file bytes.
fn choose(map: &Map, rng: &mut Rng) -> Option<(Vec<u8>, Rc<[u8]>)> {
    let tag = rng.pick(&[0x00, 0x01, 0x02, 0x10, 0x11, 0x30, 0x31, 0x20, 0xff]);
    let count = map.keys().filter(|key| tag_of(key) == tag).count();
    let of_tag = |key: &[u8]| count == 0 || tag_of(key) == tag;
    let count = if count == 0 { map.len() } else { count };
    let nth = rng.below(count as u64) as usize;
    let found = map.iter().filter(|(key, _)| of_tag(key)).nth(nth);
    found.map(|(key, value)| (key.clone(), Rc::clone(value)))
}

fn body(value: &[u8]) -> Vec<u8> {
    value.get(FRAME_BYTES..).unwrap_or_default().to_vec()
}

fn put(map: &mut Map, key: Vec<u8>, body: &[u8]) {
    let value = framed(&key, tag_of(&key), body);
    map.insert(key, Rc::from(value));
}

/// Overwrites bytes with a number, as in a field.
fn overwrite(body: &mut [u8], rng: &mut Rng) {
    let at = rng.below(body.len() as u64) as usize;
    let number = number(rng);
    let bytes = number.to_be_bytes();
    let width = rng.pick(&[8, 8, 4, 1]);
    for (to, from) in body.iter_mut().skip(at).zip(&bytes[8 - width..]) {
        *to = *from;
    }
}

/// Small numbers, which serve as inode numbers and indices too, and numbers at which sums and
/// products overflow.
fn number(rng: &mut Rng) -> u64 {
    match rng.below(4) {
        0 | 1 => rng.below(16),
        2 => rng.below(1 << 16),
        _ => {
            let edge = rng.pick(&[1 << 31, 1 << 32, 1 << 40, 1 << 53, 1 << 54, i64::MAX as u64, u64::MAX]);
            edge.wrapping_sub(rng.below(3))
        }
    }
}

/// A key with another inode number, index, name or kind.
fn other_key(key: &[u8], rng: &mut Rng) -> Vec<u8> {
    let tag_at = 1 + usize::from(key.first().copied().unwrap_or_default());
    let mut other = key.get(..tag_at).unwrap_or_default().to_vec();
    other.push(if rng.chance(3) { rng.pick(&TAGS) } else { tag_of(key) });
    if rng.chance(16) {
        other.extend((0..rng.below(20)).map(|_| rng.below(256) as u8));
        return other;
    }
    other.extend_from_slice(&number(rng).to_be_bytes());
    match other[tag_at] {
        0x00 | 0x01 => other.truncate(tag_at + 1),
        0x02 if rng.chance(2) => other.truncate(tag_at + 1),
        0x20 => other.extend_from_slice(&number(rng).to_be_bytes()),
        0x11 => {
            let long = "x".repeat(256);
            let names = ["a", "b", "c", "d", ".", "..", "", "a/b", "a\0", "l", &long, &long[1..]];
            other.extend_from_slice(names[rng.below(names.len() as u64) as usize].as_bytes());
            if rng.chance(8) {
                other.push(0xff);
            }
        }
        _ => {}
    }
    other
}
