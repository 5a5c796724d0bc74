//! Opening, and wrapping the key anew.

use crate::disk::{CHEAP, Disk, Seeded, key, open, open_with};
use kvfs_contract::{Limits, StoreError};
use kvfs_sealed_store::{
    BadKey, Blocking, Cost, MAX_SECRET_BYTES, OpenError, STORE_HEADER_KEY, Seal, SealedStore, UserKey, now,
    rewrap,
};
use kvfs_store_rig::{Calls, State};

fn passphrase(text: &str) -> UserKey {
    UserKey::from_passphrase(text.as_bytes().to_vec()).unwrap()
}

#[test]
fn a_passphrase_opens_what_it_sealed_and_nothing_else_does() {
    let disk = Disk::empty();
    let mut store = open_with(&disk, &passphrase("correct horse")).unwrap();
    store.set(&[], &[(b"\x01v\0", Some(b"kept"))], false).unwrap();
    let mut again = open_with(&disk, &passphrase("correct horse")).unwrap();
    assert_eq!(again.value_of(b"\x01v\0").unwrap().as_deref(), Some(&b"kept"[..]));
    for wrong in ["correct horsf", "correct horse ", "c"] {
        assert_eq!(open_with(&disk, &passphrase(wrong)).unwrap_err(), OpenError::WrongKey);
    }
    let other = open_with(&disk, &key(1)).unwrap_err();
    assert_eq!(other, OpenError::OtherKind { sealed_with: "passphrase", given: "key file" });
}

#[test]
fn what_is_no_key_is_refused() {
    assert_eq!(UserKey::from_key_file(vec![1; 31]).unwrap_err(), BadKey::TooShort { found: 31 });
    assert_eq!(UserKey::from_key_file(vec![1; MAX_SECRET_BYTES + 1]).unwrap_err(), BadKey::TooLong);
    assert_eq!(UserKey::from_passphrase(Vec::new()).unwrap_err(), BadKey::Empty);
    assert_eq!(UserKey::from_passphrase(vec![1; MAX_SECRET_BYTES + 1]).unwrap_err(), BadKey::TooLong);
    assert_eq!(format!("{:?}", passphrase("secret")), "passphrase");
}

#[test]
fn a_store_with_other_data_and_a_store_not_to_be_made_are_left_alone() {
    let other = State::from([(b"\x01v\0".to_vec(), b"open".to_vec())]);
    let disk = Disk::new(other.clone(), Limits::standard(true));
    assert_eq!(open_with(&disk, &key(1)).unwrap_err(), OpenError::NotSealed);
    assert_eq!(disk.entries(), other);
    let empty = Disk::empty();
    let seal = Seal { key: &key(1), cost: CHEAP, create: false };
    let refused = now(SealedStore::open(Blocking::new(empty.clone()), seal, Seeded::new())).unwrap_err();
    assert_eq!((refused, empty.entries().len()), (OpenError::Empty, 0));
    let small = Disk::new(State::new(), Limits::LEAST);
    assert!(matches!(open_with(&small, &key(1)), Err(OpenError::TooSmall { .. })));
    assert_eq!(small.entries().len(), 0);
}

#[test]
fn the_limits_of_a_sealed_store_fit_those_below() {
    for (entries, bytes) in [(16, 32 << 10), (10_000, 8 << 10), (16 << 10, 16 << 20)] {
        let below = Limits { max_batch_entries: entries, max_batch_bytes: bytes, ..Limits::standard(true) };
        let disk = Disk::new(State::new(), below);
        let mut store = open(&disk);
        let limits = store.limits();
        // Keys with the shortest names have the longest overhead, and many fill a batch.
        let each = (limits.max_batch_bytes / limits.max_batch_entries) as usize;
        let changes: Vec<_> = (0..limits.max_batch_entries)
            .map(|number| {
                let mut key = b"\x01v\x11\0\0\0\0".to_vec();
                key.extend_from_slice(&number.to_be_bytes());
                key.push(b'n');
                let value = vec![7; each.saturating_sub(key.len()).min(limits.max_value_bytes as usize)];
                (key, Some(value))
            })
            .collect();
        store.make(&changes, true).unwrap();
        let long_name =
            [&b"\x01v\x11\0\0\0\0\0\0\0\x01"[..], &vec![b'n'; limits.max_key_bytes as usize - 11]].concat();
        let longest = (limits.max_batch_bytes - limits.max_key_bytes).min(limits.max_value_bytes) as usize;
        for key in [long_name, vec![b'k'; limits.max_key_bytes as usize]] {
            let value = vec![7; longest];
            store.set(&[], &[(&key, Some(&value))], true).unwrap();
            assert_eq!(store.value_of(&key).unwrap(), Some(value));
        }
    }
}

#[test]
fn a_header_that_asks_for_too_much_is_refused_before_it_gets_it() {
    let disk = Disk::empty();
    open_with(&disk, &passphrase("p")).unwrap();
    let header = disk.entries()[STORE_HEADER_KEY].clone();
    let forge = |change: &dyn Fn(&mut [u8])| {
        let mut forged = header.clone();
        change(&mut forged);
        let end = forged.len() - 8;
        let sum = checksum(&forged[..end]);
        forged[end..].copy_from_slice(&sum);
        let entries = State::from([(STORE_HEADER_KEY.to_vec(), forged)]);
        open_with(&Disk::new(entries, Limits::standard(true)), &passphrase("p")).unwrap_err()
    };
    let set = |at: usize, number: u32| {
        move |bytes: &mut [u8]| bytes[at..at + 4].copy_from_slice(&number.to_be_bytes())
    };
    for (at, number) in
        [(12, u32::MAX), (12, (256 << 10) + 1), (16, 17), (16, u32::MAX), (20, 17), (20, u32::MAX)]
    {
        let refused = forge(&set(at, number));
        assert!(matches!(refused, OpenError::CostTooHigh { .. }), "{at} {number}: {refused}");
    }
    for (at, number) in [(20, 0), (16, 0), (12, 0), (12, 7)] {
        let refused = forge(&set(at, number));
        assert!(matches!(refused, OpenError::CostTooLow { .. }), "{at} {number}: {refused}");
        assert!(refused.to_string().contains("less than"), "{refused}");
    }
    assert!(matches!(
        forge(&|bytes| {
            set(12, 256 << 10)(bytes);
            set(16, 9)(bytes)
        }),
        OpenError::CostTooHigh { .. }
    ));
    // Cheaper or dearer than it was: the key does not open it.
    assert_eq!(forge(&set(16, 2)), OpenError::WrongKey);
    assert_eq!(forge(&|bytes| bytes[8] = 2), OpenError::Newer { found: 2 });
    assert!(matches!(forge(&|bytes| bytes[9] = 3), OpenError::DamagedHeader { .. }));
    assert!(matches!(forge(&|bytes| bytes[0] = b'x'), OpenError::DamagedHeader { .. }));
    assert!(matches!(forge(&|bytes| bytes[8] = 0), OpenError::DamagedHeader { .. }));
    let expensive = Cost { memory_kib: 1 << 21, ..CHEAP };
    let seal = Seal { key: &passphrase("p"), cost: expensive, create: true };
    let refused = now(SealedStore::open(Blocking::new(Disk::empty()), seal, Seeded::new()));
    assert!(matches!(refused, Err(OpenError::CostTooHigh { .. })), "a cost that no opener would take");
}

/// As the README says: the first 8 bytes of SHA-256.
fn checksum(bytes: &[u8]) -> [u8; 8] {
    use sha2::Digest;
    *sha2::Sha256::digest(bytes).first_chunk().unwrap()
}

fn rekey(disk: &Disk, from: &UserKey, to: &UserKey) -> Result<(), OpenError> {
    now(rewrap(&Blocking::new(disk.clone()), from, to, CHEAP, &mut Seeded::new()))
}

#[test]
fn a_new_key_opens_what_the_old_one_sealed_and_no_entry_is_touched() {
    let disk = Disk::empty();
    let mut store = open(&disk);
    store.set(&[], &[(b"\x01v\0", Some(b"before"))], false).unwrap();
    let before = disk.entries();
    assert_eq!(rekey(&disk, &key(2), &key(3)), Err(OpenError::WrongKey));
    assert_eq!(disk.entries(), before);
    rekey(&disk, &key(1), &passphrase("new")).unwrap();
    let changed: Vec<_> =
        disk.entries().into_iter().filter(|(key, value)| before.get(key) != Some(value)).collect();
    assert!(changed.len() == 1 && changed[0].0 == STORE_HEADER_KEY && disk.entries().len() == before.len());
    assert!(matches!(open_with(&disk, &key(1)), Err(OpenError::OtherKind { .. })));
    // Whoever has it open goes on.
    store.set(&[(b"\x01v\0", Some(b"before"))], &[(b"\x01v\0", Some(b"after"))], false).unwrap();
    let mut again = open_with(&disk, &passphrase("new")).unwrap();
    assert_eq!(again.value_of(b"\x01v\0").unwrap().as_deref(), Some(&b"after"[..]));
    rekey(&disk, &passphrase("new"), &key(4)).unwrap();
    assert_eq!(open_with(&disk, &key(1)).unwrap_err(), OpenError::WrongKey);
    open_with(&disk, &key(4)).unwrap();
    assert_eq!(rekey(&Disk::empty(), &key(1), &key(2)), Err(OpenError::Empty));
}

#[test]
fn a_rewrap_cut_at_any_call_leaves_the_store_to_one_of_the_two_keys() {
    let disk = Disk::empty();
    open(&disk).set(&[], &[(b"\x01v\0", Some(b"kept"))], false).unwrap();
    let whole = disk.entries();
    let mut outcomes = Vec::new();
    for (cut, loses_answer) in (0..4).flat_map(|cut| [(cut, false), (cut, true)]) {
        let disk = Disk::new(whole.clone(), Limits::standard(true));
        disk.contents(|contents| (contents.calls_left, contents.loses_answer) = (Some(cut), loses_answer));
        let result = rekey(&disk, &key(1), &key(2));
        disk.contents(|contents| contents.calls_left = None);
        let (old, new) = (open_with(&disk, &key(1)), open_with(&disk, &key(2)));
        match &result {
            Ok(()) => assert!(new.is_ok()),
            Err(OpenError::Store(StoreError::UnknownOutcome)) => {}
            Err(_) => assert!(old.is_ok(), "cut {cut}: {result:?}"),
        }
        assert!(old.is_ok() != new.is_ok(), "cut {cut}");
        outcomes.push(new.is_ok());
        let mut store = old.or(new).unwrap();
        assert_eq!(store.value_of(b"\x01v\0").unwrap().as_deref(), Some(&b"kept"[..]), "cut {cut}");
    }
    assert!(outcomes.contains(&true) && outcomes.contains(&false), "{outcomes:?}");
}

#[test]
fn an_opening_cut_at_any_call_is_an_opening_for_the_next() {
    let mut made = 0;
    for (cut, loses_answer) in (0..12).flat_map(|cut| [(cut, false), (cut, true)]) {
        let disk = Disk::empty();
        disk.contents(|contents| (contents.calls_left, contents.loses_answer) = (Some(cut), loses_answer));
        let done = open_with(&disk, &key(1))
            .map_err(|_| ())
            .and_then(|mut store| store.set(&[], &[(b"\x01v\0", Some(b"kept"))], true).map_err(|_| ()));
        disk.contents(|contents| (contents.calls_left, contents.loses_answer) = (None, false));
        let mut store = open(&disk);
        let found = store.value_of(b"\x01v\0").unwrap();
        assert!(found.is_some() || done.is_err(), "cut {cut}");
        made += usize::from(found.is_some());
        store.set(&[], &[(b"\x01v\0", Some(b"again"))], true).unwrap();
        assert_eq!(open(&disk).value_of(b"\x01v\0").unwrap().as_deref(), Some(&b"again"[..]));
    }
    assert!(made > 2 && made < 24, "{made}");
}

#[test]
fn keys_are_bounded_however_long_the_store_below_takes_them() {
    let below = Limits { max_key_bytes: u32::MAX, max_batch_bytes: 64 << 20, ..Limits::standard(true) };
    let disk = Disk::new(State::new(), below);
    let mut store = open(&disk);
    let longest = store.limits().max_key_bytes as usize;
    assert_eq!(longest, 4096);
    let name = |bytes: usize| [&b"\x01v\x11\0\0\0\0\0\0\0\x01"[..], &vec![b'n'; bytes - 11]].concat();
    store.set(&[], &[(&name(longest), Some(b"kept"))], false).unwrap();
    assert_eq!(store.value_of(&name(longest)).unwrap().as_deref(), Some(&b"kept"[..]));
    for bytes in [longest + 1, 70_000] {
        assert_eq!(store.set(&[], &[(&name(bytes), Some(b""))], false), Err(StoreError::TooLarge));
    }
}
