//! Tags of records: the byte after the name of a volume or layer.

pub(crate) const SUPERBLOCK: u8 = 0x00;
pub(crate) const SETTINGS: u8 = 0x01;
pub(crate) const JOURNAL: u8 = 0x02;
/// What a layer is: in front of its records.
pub(crate) const LAYER: u8 = 0x03;
/// Under no volume: a layer that is to be freed.
pub(crate) const GARBAGE: u8 = 0x04;
pub(crate) const INODE: u8 = 0x10;
pub(crate) const DENTRY: u8 = 0x11;
pub(crate) const EXTENT: u8 = 0x20;
pub(crate) const REAP: u8 = 0x30;
pub(crate) const ORPHAN: u8 = 0x31;
/// Only in the frame of a value, under the key of any record: the record does not exist.
pub(crate) const TOMBSTONE: u8 = 0x40;
