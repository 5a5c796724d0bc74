//! Keys and values of the shapes that the file system stores: see `adapter/engine/FORMAT.md`.

/// Bytes of a file that one record has.
pub(crate) const EXTENT_BYTES: u64 = 32 << 10;
/// Checksum, version and length in front of each record.
const FRAME_BYTES: usize = 16;

const SUPERBLOCK: u8 = 0x00;
const INODE: u8 = 0x10;
const ENTRY: u8 = 0x11;
const EXTENT: u8 = 0x20;

/// The directory's inode.
const DIRECTORY: u64 = 2;

fn key(tag: u8, fields: &[&[u8]]) -> Vec<u8> {
    let mut key = b"\x04main".to_vec();
    key.push(tag);
    fields.iter().for_each(|field| key.extend_from_slice(field));
    key
}

/// The key of an extent.
pub(crate) fn extent(inode: u64, index: u64) -> Vec<u8> {
    key(EXTENT, &[&inode.to_be_bytes(), &index.to_be_bytes()])
}

/// The key of an inode.
pub(crate) fn inode(number: u64) -> Vec<u8> {
    key(INODE, &[&number.to_be_bytes()])
}

/// The key of a name in the directory.
pub(crate) fn entry(name: &str) -> Vec<u8> {
    key(ENTRY, &[&DIRECTORY.to_be_bytes(), name.as_bytes()])
}

/// The keys before and behind all names of the directory.
pub(crate) fn entries() -> (Vec<u8>, Vec<u8>) {
    (key(ENTRY, &[&DIRECTORY.to_be_bytes()]), key(ENTRY, &[&(DIRECTORY + 1).to_be_bytes()]))
}

/// The key of the record that each commit changes.
pub(crate) fn superblock() -> Vec<u8> {
    key(SUPERBLOCK, &[])
}

/// A whole extent, whose bytes cannot be compressed.
pub(crate) fn extent_value() -> Vec<u8> {
    let mut state = 1_u64;
    let mut byte = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..EXTENT_BYTES as usize + FRAME_BYTES).map(|_| byte()).collect()
}

/// An inode with so many bytes of content beside its attributes.
pub(crate) fn inode_value(content_bytes: usize) -> Vec<u8> {
    vec![b'i'; FRAME_BYTES + 96 + content_bytes]
}

/// What a name leads to.
pub(crate) fn entry_value() -> Vec<u8> {
    vec![b'e'; FRAME_BYTES + 9]
}

/// A superblock with its counters.
pub(crate) fn superblock_value() -> Vec<u8> {
    vec![b's'; FRAME_BYTES + 120]
}
