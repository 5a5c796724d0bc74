//! The bytes of every record, as FORMAT.md has them. They were computed from that page, by another
//! program.

use super::dentry;
use super::inode::{Content, Inode};
use super::journal::{Commit, encode_commit, encode_part, sum};
use super::reap::{Reap, encode as encode_reap, encode_orphan};
use super::superblock::Superblock;
use super::tombstone;
use crate::stored::key::KeySpace;
use crate::types::{Dentry, ImageId, InodeNo, Kind, Timestamp};

/// Fills a key or, behind its key, a value.
type Build<'a> = &'a dyn Fn(&mut Vec<u8>);
type Encode<'a> = &'a dyn Fn(&[u8], &mut Vec<u8>);

fn check(name: &str, key: Build<'_>, encode: Encode<'_>, expected: &str) {
    let (mut at, mut value) = (Vec::new(), Vec::new());
    key(&mut at);
    encode(&at, &mut value);
    let hex: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, expected, "{name}");
    // Behind other values it is the same.
    let mut behind = vec![0xaa; 3];
    encode(&at, &mut behind);
    assert_eq!(behind.get(3..), Some(value.as_slice()), "{name}, behind other bytes");
}

const ROOT: InodeNo = InodeNo::ROOT;
const NOW: Timestamp = Timestamp { seconds: -5, nanoseconds: 999_999_999 };

#[test]
fn names_are_these_bytes() {
    let keys = KeySpace::new("v");
    let entry = |born| Dentry { kind: Kind::File, ino: InodeNo(7), born };
    check(
        "entry",
        &|key| keys.dentry(ROOT, "name", key),
        &|key, out| dentry::encode(entry(9), key, out),
        "d213a87d2f61ffad01110000000000110100000000000000070000000000000009",
    );
    check(
        "entry without a birth",
        &|key| keys.dentry(ROOT, "old", key),
        &|key, out| dentry::encode(entry(0), key, out),
        "87f03381ec64b2c50111000000000009010000000000000007",
    );
}

#[test]
fn inodes_are_these_bytes() {
    let keys = KeySpace::new("v");
    let new = |kind, content| Inode::new(kind, ROOT, NOW, content);
    let inline = Inode { size: 5, ..new(Kind::File, Content::Inline(b"bytes".to_vec())) };
    let extents = Inode { size: 70_000, extents: 3, ..new(Kind::File, Content::Extents) };
    let shared = Inode { extents_below: 2, ..extents.clone() };
    let inodes = [
        (
            "directory",
            1,
            new(Kind::Directory, Content::None),
            "c6a591fa0ff54311011000000000004c02000000000000020000000000000000\
            000000000000000000000000000000010000000000000001fffffffffffffffb\
            3b9ac9fffffffffffffffffb3b9ac9fffffffffffffffffb3b9ac9ff",
        ),
        (
            "inline",
            7,
            inline,
            "53327633c880cbac011000000000005101010000000000010000000000000005\
            000000000000000000000000000000010000000000000000fffffffffffffffb\
            3b9ac9fffffffffffffffffb3b9ac9fffffffffffffffffb3b9ac9ff62797465\
            73",
        ),
        (
            "extents",
            7,
            Inode { clean_of: 0x1234, ..extents },
            "aa9e04598d7b018f011000000000004c01021234000000010000000000011170\
            000000000000000300000000000000010000000000000000fffffffffffffffb\
            3b9ac9fffffffffffffffffb3b9ac9fffffffffffffffffb3b9ac9ff",
        ),
        (
            "shared extents",
            7,
            shared,
            "9f98634eb64d220e011000000000005401040000000000010000000000011170\
            000000000000000300000000000000010000000000000000fffffffffffffffb\
            3b9ac9fffffffffffffffffb3b9ac9fffffffffffffffffb3b9ac9ff00000000\
            00000002",
        ),
        (
            "link",
            8,
            new(Kind::Symlink, Content::Target("a/b".into())),
            "ca0994266dea345c011000000000004f03030000000000010000000000000003\
            000000000000000000000000000000010000000000000000fffffffffffffffb\
            3b9ac9fffffffffffffffffb3b9ac9fffffffffffffffffb3b9ac9ff612f62",
        ),
    ];
    for (name, ino, inode, expected) in inodes {
        check(name, &|key| keys.inode(InodeNo(ino), key), &|key, out| inode.encode(key, out), expected);
    }
}

#[test]
fn records_of_cleaning_up_are_these_bytes() {
    let keys = KeySpace::new("v");
    let reap = Reap { ino: InodeNo(7), from: 3, to: 9 };
    check(
        "reap",
        &|key| keys.reap(reap.ino, key),
        &|key, out| encode_reap(reap, key, out),
        "ac20cf10bda5ec14013000000000001000000000000000030000000000000009",
    );
    check("orphan", &|key| keys.orphan(InodeNo(7), key), &encode_orphan, "bbe72eb434c9d6f70131000000000000");
    check(
        "tombstone",
        &|key| keys.inode(InodeNo(7), key),
        &|key, out| out.extend_from_slice(&tombstone(key)),
        "07ce5e8e34eeca1e0140000000000000",
    );
}

#[test]
fn superblocks_are_these_bytes() {
    let keys = KeySpace::new("v");
    let plain = Superblock::new([7; 16], 32 << 10, 4096);
    let mut above = plain.above(ImageId { name: "base".into(), digest: [3; 16] }, [8; 16]);
    above.set_settings(255);
    for (name, superblock, expected) in [("plain", plain, PLAIN), ("above an image", above, ABOVE)] {
        let key = |key: &mut Vec<u8>| key.extend_from_slice(keys.superblock());
        check(name, &key, &|key, out| superblock.encode_into(key, out), expected);
    }
}

const PLAIN: &str = "c014e2704662e00b010000000000007a6b766673006673010001000300000000\
            000000000000000a070707070707070707070707070707070000800000001000\
            0000000000000001000000000000000100000000000000020000000000000080\
            0000000000000001ffffffffffffffffffffffffffffffff0000000000000000\
            0000ffffffffffffffff";
const ABOVE: &str = "7b34b3ff76eb84f501000000000000986b766673006673010001000400000000\
            000000000000001e080808080808080808080808080808080000800000001000\
            0000000000000001000000000000000100000000000000020000000000000000\
            0000000000000000ffffffffffffffffffffffffffffffff0004626173650303\
            03030303030303030303030303030000000000000001000000000000000000ff\
            ffffffffffffffff";

#[test]
fn journals_are_these_bytes() {
    let keys = KeySpace::new("v");
    let part = |key: &[u8], out: &mut Vec<u8>| encode_part(b"part", key, out);
    check("part", &|key| keys.journal_part(0, key), &part, "84a08834387a6428010200000000000470617274");
    let record = Commit { parts: 1, parts_bytes: 4, parts_sum: sum(b"part"), rest: b"rest" };
    let commit = |key: &[u8], out: &mut Vec<u8>| encode_commit(&record, key, out);
    check(
        "commit",
        &|key| keys.journal_commit(key),
        &commit,
        "6e0cdc9bd5967e96010200000000001c00000000000000010000000000000004\
            7a777379b987835a72657374",
    );
}
