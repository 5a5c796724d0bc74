//! Claims about `get` and `scan`.

use super::claim::{Checked, claim, claims, everything, pages, put, value_of, write, write_all};
use crate::SyncStore;

claims![
    an_empty_store_holds_nothing,
    what_is_put_is_read_back,
    get_answers_in_the_order_of_its_keys,
    keys_are_ordered_as_unsigned_bytes,
    a_scan_includes_its_start_and_excludes_its_end,
    an_empty_range_has_no_entries,
    pages_join_without_gap_or_overlap,
    a_page_keeps_its_bounds_but_has_one_entry,
];

/// Keys in ascending order, chosen to break signed and text comparisons and off-by-one successors.
const ORDERED: [&[u8]; 12] = [
    b"\0",
    b"\0\0",
    b"\0\xFF",
    b"A",
    b"a",
    b"a\0",
    b"a\0\0",
    b"ab",
    b"\x7F",
    b"\x80",
    b"\xFF",
    b"\xFF\xFF\xFF",
];

fn fill(store: &dyn SyncStore) -> Checked {
    // Out of order, and half of it later, so that stores that gather changes have two places to
    // look.
    let mut keys = ORDERED;
    keys.reverse();
    let (some, others) = keys.split_at(5);
    for keys in [others, some] {
        let puts: Vec<_> = keys.iter().map(|key| put(key, key)).collect();
        write_all(store, &puts, crate::Durability::Durable)?;
    }
    Ok(())
}

pub(super) fn an_empty_store_holds_nothing(store: &dyn SyncStore) -> Checked {
    let found = store.scan(b"", b"", 1, 1000)?;
    claim!(found.is_empty(), "the store holds {:?}", found);
    claim!(value_of(store, b"a")?.is_none(), "a key that was never put has a value");
    Ok(())
}

fn what_is_put_is_read_back(store: &dyn SyncStore) -> Checked {
    let every_byte: Vec<u8> = (0..=255).collect();
    let limits = store.limits()?;
    let longest = limits.max_value_bytes.min(limits.max_batch_bytes.saturating_sub(256)).min(4096);
    let zeros = vec![0; longest as usize];
    for level in [crate::Durability::Buffered, crate::Durability::Durable] {
        for value in [&b""[..], b"\0", b"a", &every_byte, &zeros] {
            store.apply(&[], &[put(&every_byte, value)], level)?;
            let found = value_of(store, &every_byte)?;
            claim!(found.as_deref() == Some(value), "put {value:?} {level:?}, got {found:?}");
        }
    }
    Ok(())
}

fn get_answers_in_the_order_of_its_keys(store: &dyn SyncStore) -> Checked {
    write(store, &[put(b"a", b"1"), put(b"b", b"")])?;
    type Case<'a> = ([&'a [u8]; 2], [Option<&'a [u8]>; 2]);
    let cases: [Case<'_>; 4] = [
        ([b"b", b"a"], [Some(b""), Some(b"1")]),
        ([b"x", b"a"], [None, Some(b"1")]),
        ([b"a", b"a"], [Some(b"1"), Some(b"1")]),
        ([b"b", b"x"], [Some(b""), None]),
    ];
    for (keys, wanted) in cases {
        let found = store.get(&keys)?;
        let found: Vec<_> = found.iter().map(Option::as_deref).collect();
        claim!(found == wanted, "get of {keys:?} gave {found:?}");
    }
    claim!(store.get(&[])?.is_empty(), "no keys gave values");
    Ok(())
}

fn keys_are_ordered_as_unsigned_bytes(store: &dyn SyncStore) -> Checked {
    fill(store)?;
    let found: Vec<_> = everything(store)?.into_iter().map(|(key, _)| key).collect();
    claim!(found == ORDERED, "the order is {found:?}");
    Ok(())
}

fn a_scan_includes_its_start_and_excludes_its_end(store: &dyn SyncStore) -> Checked {
    fill(store)?;
    for (first, start) in ORDERED.iter().enumerate() {
        for (last, end) in ORDERED.iter().enumerate().skip(first + 1) {
            let found = pages(store, start, end, 1000, 1000)?;
            let keys: Vec<_> = found.iter().map(|(key, _)| &key[..]).collect();
            claim!(keys == ORDERED[first..last], "{start:?}..{end:?} gave {keys:?}");
        }
    }
    let between = pages(store, b"a\0\0\0", b"abc", 1000, 1000)?;
    claim!(between.len() == 1 && between[0].0 == b"ab", "bounds that are no keys gave {between:?}");
    let to_the_end = pages(store, b"\xFF", b"", 1000, 1000)?;
    claim!(to_the_end.len() == 2, "from \\xFF on there is {to_the_end:?}");
    Ok(())
}

fn an_empty_range_has_no_entries(store: &dyn SyncStore) -> Checked {
    fill(store)?;
    for (start, end) in [(b"a", b"a"), (b"b", b"a"), (b"\xFF", b"\0")] {
        let found = store.scan(start, end, 10, 1000)?;
        claim!(found.is_empty(), "{start:?}..{end:?} gave {found:?}");
    }
    let found = store.scan(b"a", b"", 0, 1000)?;
    claim!(found.is_empty(), "at most 0 entries gave {found:?}");
    Ok(())
}

fn pages_join_without_gap_or_overlap(store: &dyn SyncStore) -> Checked {
    fill(store)?;
    for max_entries in [1, 2, 3, 5, 12, 13, u32::MAX] {
        for max_bytes in [0, 1, 2, 5, 11, u32::MAX] {
            let found = pages(store, b"", b"", max_entries, max_bytes)?;
            let exact = found.iter().map(|(key, _)| &key[..]).eq(ORDERED);
            claim!(exact, "pages of {max_entries} entries and {max_bytes} bytes gave {found:?}");
            let whole = found.iter().all(|(key, value)| key == value);
            claim!(whole, "a key has another's value: {found:?}");
        }
    }
    Ok(())
}

fn a_page_keeps_its_bounds_but_has_one_entry(store: &dyn SyncStore) -> Checked {
    write_all(
        store,
        &[put(b"a", &[1; 100]), put(b"b", &[2; 10]), put(b"c", &[3; 10])],
        crate::Durability::Buffered,
    )?;
    let one = store.scan(b"", b"", 10, 50)?;
    claim!(one.len() == 1 && one[0].value.len() == 100, "50 bytes gave {one:?} instead of the first entry");
    let few = store.scan(b"b", b"", 10, 21)?;
    claim!(few.len() == 1, "21 bytes gave {few:?} instead of one of two entries of 11 bytes");
    let entries = store.scan(b"", b"", 2, 1000)?;
    claim!(matches!(entries.len(), 1 | 2), "at most 2 entries gave {entries:?}");
    Ok(())
}
