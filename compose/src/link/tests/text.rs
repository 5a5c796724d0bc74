//! The check for UTF-8 against the standard library's.

use super::super::glue::TEXT;
use super::*;

/// Bytes at the borders of what the check tells apart.
const INTERESTING: [u8; 27] = [
    0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xaf, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec,
    0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xfe, 0xff,
];

struct Rig {
    store: Store<()>,
    memory: Memory,
    check: TypedFunc<(u32, u32), ()>,
}

impl Rig {
    fn new() -> Self {
        let engine = engine();
        let mut store = Store::new(&engine, ());
        let holder =
            Module::new(&engine, wat::parse_str(r#"(module (memory (export "memory") 1))"#).unwrap())
                .unwrap();
        let holder = Instance::new(&mut store, &holder, &[]).unwrap();
        let memory = memory(&mut store, &holder, "memory");
        let module = Module::new(&engine, TEXT).unwrap();
        let instance = instantiate(&mut store, &module, |_, _, _| memory.into());
        let check = function(&mut store, &instance, "check");
        Self { store, memory, check }
    }

    /// Checks bytes at an address; what is around them would continue any sequence, or begin one.
    fn same_as_std(&mut self, at: usize, bytes: &[u8]) {
        let data = self.memory.data_mut(&mut self.store);
        let end = at + bytes.len();
        data[at.saturating_sub(8)..at].fill(0xe1);
        data[at..end].copy_from_slice(bytes);
        let behind = data.len().min(end + 8);
        data[end..behind].fill(0x80);
        let found = self.check.call(&mut self.store, (at as u32, bytes.len() as u32)).is_ok();
        assert_eq!(found, core::str::from_utf8(bytes).is_ok(), "{bytes:x?} at {at}");
    }
}

#[test]
fn short_sequences_are_judged_as_the_standard_library_does() {
    let mut rig = Rig::new();
    for a in 0..=0xff {
        rig.same_as_std(100, &[a]);
        for b in 0..=0xff {
            rig.same_as_std(100, &[a, b]);
        }
    }
    for a in INTERESTING {
        for b in INTERESTING {
            for c in INTERESTING {
                rig.same_as_std(101, &[a, b, c]);
                // A fourth byte only matters if three can begin something.
                if core::str::from_utf8(&[a, b, c]).is_ok_and(|_| a >= 0x80) || a >= 0xf0 {
                    INTERESTING.into_iter().for_each(|d| rig.same_as_std(102, &[a, b, c, d]));
                }
            }
        }
    }
}

#[test]
fn a_sequence_is_judged_wherever_it_stands_among_ascii() {
    let mut rig = Rig::new();
    let sequences: [&[u8]; 9] = [
        "é".as_bytes(),
        "€".as_bytes(),
        "🦀".as_bytes(),
        &[0x80],
        &[0xc3],
        &[0xe2, 0x82],
        &[0xf0, 0x9f, 0xa6],
        &[0xed, 0xa0, 0x80],
        &[0xf4, 0x90, 0x80, 0x80],
    ];
    for sequence in sequences {
        for before in 0..20 {
            for after in 0..20 {
                let bytes = [&vec![b'x'; before], sequence, &vec![b'y'; after]].concat();
                rig.same_as_std(64 + before % 8, &bytes);
            }
        }
    }
}

#[test]
fn the_last_bytes_of_the_memory_are_text_too() {
    let mut rig = Rig::new();
    let size = rig.memory.data_size(&rig.store);
    for text in ["", "a", "é", "€", "🦀", "12345678", "1234567é", "123456789€", "🦀🦀🦀"] {
        for cut in 0..=text.len() {
            let bytes = &text.as_bytes()[..cut];
            rig.same_as_std(size - cut, bytes);
        }
    }
}

#[test]
fn random_and_truncated_texts_are_judged_as_the_standard_library_does() {
    let mut rig = Rig::new();
    let mut rng = Rng(7);
    for _ in 0..20_000 {
        let mut text = String::new();
        for _ in 0..rng.below(12) {
            let limit = rng.pick(&[0x80, 0x80, 0x800, 0x1_0000, 0x11_0000]);
            text.extend(char::from_u32(rng.below(limit) as u32));
        }
        let mut bytes = text.into_bytes();
        match rng.below(4) {
            0 => bytes.truncate(rng.below(bytes.len() + 1)),
            1 if !bytes.is_empty() => {
                let at = rng.below(bytes.len());
                bytes[at] = rng.pick(&INTERESTING);
            }
            2 if !bytes.is_empty() => {
                bytes.remove(rng.below(bytes.len()));
            }
            _ => {}
        }
        rig.same_as_std(200 + rng.below(9), &bytes);
    }
}
