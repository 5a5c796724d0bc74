//! A small apply costs little, whatever the store holds: counted in bytes.

use crate::disk::{Disk, SimDirectory};
use kvfs_file_store::{FileStore, Options};
use kvfs_store_rig::Calls;

const OPTIONS: Options = Options {
    reserve_bytes: 256,
    min_segment_bytes: 64 << 10,
    max_recent_changes: 1_000,
    ..Options::DEFAULT
};

/// Puts so many keys, each in an apply. Returns the most bytes that one of the last quarter of them read
/// and wrote, and the mean of all.
fn bytes_of_applies(keys: u32) -> (u64, u64) {
    let directory = SimDirectory::new(Disk::default());
    let mut store = FileStore::open_with(directory.clone(), OPTIONS).unwrap();
    let bytes = || directory.disk(|disk| disk.read_bytes + disk.written_bytes);
    let (begun, mut most) = (bytes(), 0);
    for number in 0..keys {
        // Scattered among the others, so that tables have no key in the order of their coming.
        let key = format!("key {:08x}", number.wrapping_mul(0x9E37_79B9));
        let before = bytes();
        store.set(&[], &[(key.as_bytes(), Some(b"some value"))], false).unwrap();
        if number >= keys - keys / 4 {
            most = most.max(bytes() - before);
        }
    }
    for number in (0..keys).step_by(97) {
        let key = format!("key {:08x}", number.wrapping_mul(0x9E37_79B9));
        assert_eq!(store.value_of(key.as_bytes()).unwrap().as_deref(), Some(&b"some value"[..]));
    }
    (most, (bytes() - begun) / u64::from(keys))
}

#[test]
fn the_longest_apply_does_not_grow_with_the_keys_of_the_store() {
    let (few, many) = (bytes_of_applies(6_000), bytes_of_applies(24_000));
    println!("most bytes of an apply, and the mean: {few:?} with 6,000 keys, {many:?} with 24,000");
    assert!(many.0 < 2 * few.0, "{many:?} bytes with 24,000 keys, {few:?} with 6,000");
    assert!(many.0 < 160 << 10, "{many:?} bytes");
}
