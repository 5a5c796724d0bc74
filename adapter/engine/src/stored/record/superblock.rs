//! The superblock: the properties and counts of a volume. Every commit is guarded on it.

use super::{FRAME_BYTES, Fields, Fixed, RecordId, framed, unseal};
use crate::error::{Error, Result};
use crate::limits::{INODE_CHARGE_BYTES, MAX_VOLUME_NAME_BYTES};
use crate::quota::{Quota, Used};
use crate::stored::key::tag;
use crate::stored::layer_name::LayerName;
use crate::types::{ImageId, InodeNo};

const MAGIC: [u8; 8] = *b"kvfs\x00fs\x01";

/// Raised when older versions cannot read the format at all.
const FORMAT_MAJOR: u16 = 1;
/// Raised with every addition. Older versions decide by the feature masks.
const FORMAT_MINOR: u16 = 5;
/// The minor of a superblock without layers, which older versions read.
const FORMAT_MINOR_WITHOUT_LAYERS: u16 = 4;
/// The minor of a superblock without settings, which older versions read.
const FORMAT_MINOR_WITHOUT_SETTINGS: u16 = 3;
/// The minor of a superblock that counts no names. An image's is frozen and covered by its digest,
/// so its bytes must stay the same.
const FORMAT_MINOR_WITHOUT_NAMES: u16 = 2;

/// The known features that a reader may ignore: none yet.
const RO_COMPAT_KNOWN: u32 = 0;
/// Feature: there may be a journal. If it has a commit record, its changes apply to the other
/// records.
pub(crate) const INCOMPAT_JOURNAL: u32 = 1;
/// Feature: directory entries may have a birth.
const INCOMPAT_BIRTHS: u32 = 2;
/// Feature: the volume lies on an image. Its own records are only a part of the tree.
const INCOMPAT_LOWER: u32 = 4;
/// Feature: names are counted, the counts leave the image below out, and inodes may say how many
/// extents are the image's.
const INCOMPAT_NAMES: u32 = 8;
/// Feature: there is a settings record. Who does not read it would break what it says.
const INCOMPAT_SETTINGS: u32 = 16;
/// Feature: the records are in layers, or the volume takes no writer.
const INCOMPAT_LAYERS: u32 = 32;
/// The known features that a reader must support.
const INCOMPAT_KNOWN: u32 = INCOMPAT_JOURNAL
    | INCOMPAT_BIRTHS
    | INCOMPAT_LOWER
    | INCOMPAT_NAMES
    | INCOMPAT_SETTINGS
    | INCOMPAT_LAYERS;

/// Bounds of the extent size, which is a power of two.
pub(crate) const MIN_EXTENT_BYTES: u32 = 512;
pub(crate) const MAX_EXTENT_BYTES: u32 = 1 << 20;
/// Most inline bytes of an inode.
pub(crate) const MAX_INLINE_BYTES: u32 = 64 << 10;

/// Bytes of the body before the image below.
const FIXED_BYTES: usize = 105;

/// Bytes of [`Layers`].
const LAYERS_BYTES: usize = 13;

const ID: RecordId = RecordId { tag: tag::SUPERBLOCK, name: "superblock", ino: 0 };

/// The image that a volume lies on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lower {
    pub(crate) image: ImageId,
    /// The seq of the image's superblock.
    pub(crate) seq: u64,
    /// There may be records of the volume beside this one. Otherwise readers ask only the image.
    pub(crate) written: bool,
}

/// Where the records of a volume are, beside those of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layers {
    /// Raised by tools whenever they change which layers the volume has; its writer leaves it.
    pub(crate) change: u32,
    /// The number of the top layer, 0 if the records lie under the volume's name.
    pub(crate) top: u64,
    /// There may be records in the top layer.
    pub(crate) written: bool,
    /// The volume takes no writer.
    pub(crate) read_only: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Superblock {
    pub(crate) compat: u32,
    pub(crate) ro_compat: u32,
    pub(crate) incompat: u32,
    pub(crate) uuid: [u8; 16],
    pub(crate) extent_bytes: u32,
    pub(crate) inline_bytes: u32,
    /// Raised by each opener. A commit under an older epoch fails its guard.
    pub(crate) epoch: u64,
    /// Raised by each commit, so that every commit changes the superblock.
    pub(crate) seq: u64,
    pub(crate) next_inode: u64,
    pub(crate) used_bytes: u64,
    pub(crate) used_inodes: u64,
    /// 0 if names are not counted yet.
    pub(crate) used_names: u64,
    /// `u64::MAX`: no quota.
    pub(crate) quota_bytes: u64,
    pub(crate) quota_inodes: u64,
    pub(crate) quota_names: u64,
    /// A frozen volume is an image: it never changes again.
    pub(crate) frozen: bool,
    pub(crate) lower: Option<Lower>,
    /// The generation of the settings record, 0 if there is none. One byte tells apart the records
    /// that a read beside a change may meet; more would not fit the room that every apply reserves
    /// for a superblock.
    pub(crate) settings: u8,
    /// `None`: all records lie under the volume's name.
    pub(crate) layers: Option<Layers>,
}

impl Superblock {
    /// Becomes the same as another superblock, without an allocation for the name of the same image.
    pub(crate) fn copy_from(&mut self, other: &Self) {
        let mut lower = self.lower.take();
        lower.clone_from(&other.lower);
        *self = Self { lower, ..*other };
    }

    pub(crate) fn new(uuid: [u8; 16], extent_bytes: u32, inline_bytes: u32) -> Self {
        Self {
            compat: 0,
            ro_compat: 0,
            incompat: INCOMPAT_BIRTHS | INCOMPAT_NAMES,
            uuid,
            extent_bytes,
            inline_bytes,
            epoch: 1,
            seq: 1,
            next_inode: InodeNo::ROOT.0 + 1,
            used_bytes: INODE_CHARGE_BYTES,
            used_inodes: 1,
            used_names: 0,
            quota_bytes: u64::MAX,
            quota_inodes: u64::MAX,
            quota_names: u64::MAX,
            frozen: false,
            lower: None,
            settings: 0,
            layers: None,
        }
    }

    /// Raises the epoch for a new opener, and sets the features that its records may use.
    pub(crate) fn take_over(&mut self) {
        self.epoch = self.epoch.saturating_add(1);
        self.seq = self.seq.saturating_add(1);
        self.incompat |= INCOMPAT_BIRTHS;
    }

    /// Makes it the superblock of an image: frozen, and without anything that depends on the
    /// volume's history. It counts bytes of content and no names, as the first images did, so that
    /// every version packs a tree into the same image. Its uuid is zero, to be replaced by the
    /// image's digest.
    pub(crate) fn freeze(&mut self, content_bytes: u64) {
        let (next_inode, used_inodes) = (self.next_inode, self.used_inodes);
        let fresh = Self::new([0; 16], self.extent_bytes, self.inline_bytes);
        let incompat = fresh.incompat & !INCOMPAT_NAMES;
        let used_bytes = content_bytes;
        *self = Self { next_inode, used_bytes, used_inodes, incompat, frozen: true, ..fresh };
    }

    /// Makes the superblock of a new volume above the image that has this one. It counts nothing:
    /// everything lies in the image.
    pub(crate) fn above(&self, image: ImageId, uuid: [u8; 16]) -> Self {
        Self {
            uuid,
            epoch: 1,
            seq: 1,
            used_bytes: 0,
            used_inodes: 0,
            used_names: 0,
            incompat: self.incompat | INCOMPAT_LOWER | INCOMPAT_NAMES,
            settings: 0,
            layers: None,
            frozen: false,
            lower: Some(Lower { image, seq: self.seq, written: false }),
            ..self.clone()
        }
    }

    /// Sets which layers the volume has.
    pub(crate) fn set_layers(&mut self, layers: Option<Layers>) {
        self.layers = layers;
        self.incompat = (self.incompat & !INCOMPAT_LAYERS) | (INCOMPAT_LAYERS * u32::from(layers.is_some()));
    }

    /// Returns whether the volume takes no writer.
    pub(crate) fn is_read_only(&self) -> bool {
        self.layers.is_some_and(|layers| layers.read_only)
    }

    /// Returns whether the top layer may hold records.
    pub(crate) fn is_top_written(&self) -> bool {
        match (self.layers, &self.lower) {
            (Some(Layers { top: 1.., written, .. }), _) => written,
            (_, Some(lower)) => lower.written,
            (_, None) => true,
        }
    }

    /// Notes that records are put into the top layer.
    pub(crate) fn set_top_written(&mut self) {
        self.set_written();
        if let Some(layers) = &mut self.layers {
            layers.written = true;
        }
    }

    /// Returns whether it says that the store holds nothing else of the volume: all is as in the image.
    pub(crate) fn is_as_its_image(&self) -> bool {
        self.lower.as_ref().is_some_and(|lower| !lower.written)
    }

    /// Notes that the store holds more than the superblock, so that readers ask it and not only the
    /// image.
    pub(crate) fn set_written(&mut self) {
        if let Some(lower) = &mut self.lower {
            lower.written = true;
        }
    }

    /// Returns whether names are counted, and the image below is not. Otherwise the volume must be
    /// recounted.
    pub(crate) fn counts_names(&self) -> bool {
        self.incompat & INCOMPAT_NAMES != 0
    }

    /// Sets the usage, counted by the rules of this version.
    pub(crate) fn set_recounted(&mut self, used: Used) {
        self.set_used(used);
        self.incompat |= INCOMPAT_NAMES;
    }

    /// The usage of the volume, as its quota counts it.
    pub(crate) fn used(&self) -> Used {
        Used { bytes: self.used_bytes, inodes: self.used_inodes, names: self.used_names }
    }

    pub(crate) fn set_used(&mut self, used: Used) {
        (self.used_bytes, self.used_inodes, self.used_names) = (used.bytes, used.inodes, used.names);
    }

    /// The quota, but for the largest file, which is in the settings record.
    pub(crate) fn quota(&self) -> Quota {
        let limit = |number: u64| (number != u64::MAX).then_some(number);
        Quota {
            bytes: limit(self.quota_bytes),
            inodes: limit(self.quota_inodes),
            names: limit(self.quota_names),
            file_bytes: None,
        }
    }

    pub(crate) fn set_quota(&mut self, quota: Quota) {
        self.quota_bytes = quota.bytes.unwrap_or(u64::MAX);
        self.quota_inodes = quota.inodes.unwrap_or(u64::MAX);
        self.quota_names = quota.names.unwrap_or(u64::MAX);
    }

    /// Sets the generation of the settings record, 0 if there is none.
    pub(crate) fn set_settings(&mut self, generation: u8) {
        self.settings = generation;
        self.incompat =
            (self.incompat & !INCOMPAT_SETTINGS) | (INCOMPAT_SETTINGS * u32::from(generation > 0));
    }

    /// Returns whether there may be a journal in the store.
    pub(crate) fn has_journal(&self) -> bool {
        self.incompat & INCOMPAT_JOURNAL != 0
    }

    pub(crate) fn set_journal(&mut self, there: bool) {
        self.incompat = (self.incompat & !INCOMPAT_JOURNAL) | (INCOMPAT_JOURNAL * u32::from(there));
    }

    /// The length of what [`Superblock::encode`] returns.
    pub(crate) fn encoded_bytes(&self) -> usize {
        let lower = self.lower.as_ref().map_or(0, |lower| lower.image.name.len() + 16 + 8 + 1);
        FRAME_BYTES
            + FIXED_BYTES
            + 1
            + lower
            + if self.counts_names() { 16 } else { 0 }
            + usize::from(self.settings > 0)
            + if self.layers.is_some() { LAYERS_BYTES } else { 0 }
    }

    pub(crate) fn encode(&self, key: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.encoded_bytes());
        self.encode_into(key, &mut out);
        out
    }

    /// Appends the value for `key` to `out`.
    pub(crate) fn encode_into(&self, key: &[u8], out: &mut Vec<u8>) {
        framed(key, tag::SUPERBLOCK, out, |out| self.encode_body(out));
    }

    fn encode_body(&self, out: &mut Vec<u8>) {
        let mut fixed = Fixed::<FIXED_BYTES>::new();
        fixed.put(MAGIC);
        let minor = match (self.layers, self.counts_names(), self.settings) {
            (Some(_), _, _) => FORMAT_MINOR,
            (None, _, 1..) => FORMAT_MINOR_WITHOUT_LAYERS,
            (None, true, 0) => FORMAT_MINOR_WITHOUT_SETTINGS,
            (None, false, 0) => FORMAT_MINOR_WITHOUT_NAMES,
        };
        fixed.put(FORMAT_MAJOR.to_be_bytes());
        fixed.put(minor.to_be_bytes());
        for mask in [self.compat, self.ro_compat, self.incompat] {
            fixed.put(mask.to_be_bytes());
        }
        fixed.put(self.uuid);
        fixed.put(self.extent_bytes.to_be_bytes());
        fixed.put(self.inline_bytes.to_be_bytes());
        for number in [
            self.epoch,
            self.seq,
            self.next_inode,
            self.used_bytes,
            self.used_inodes,
            self.quota_bytes,
            self.quota_inodes,
        ] {
            fixed.put(number.to_be_bytes());
        }
        fixed.put([u8::from(self.frozen)]);
        fixed.append_to(out);
        match &self.lower {
            None => out.push(0),
            Some(lower) => {
                // An image's name has 1 to 255 bytes.
                out.push(u8::try_from(lower.image.name.len()).unwrap_or(u8::MAX));
                out.extend_from_slice(lower.image.name.as_bytes());
                out.extend_from_slice(&lower.image.digest);
                out.extend_from_slice(&lower.seq.to_be_bytes());
                out.push(u8::from(lower.written));
            }
        }
        if self.counts_names() {
            for number in [self.used_names, self.quota_names] {
                out.extend_from_slice(&number.to_be_bytes());
            }
        }
        if self.settings > 0 {
            out.push(self.settings);
        }
        if let Some(Layers { change, top, written, read_only }) = self.layers {
            out.extend_from_slice(&change.to_be_bytes());
            out.extend_from_slice(&top.to_be_bytes());
            out.push(u8::from(written) | u8::from(read_only) << 1);
        }
    }

    /// Decodes a superblock and refuses what this version cannot handle.
    pub(crate) fn decode(key: &[u8], value: &[u8]) -> Result<Self> {
        let body = unseal(key, ID, value)?;
        let mut fields = Fields::new(body, ID);
        if fields.bytes(MAGIC.len())? != MAGIC {
            return Err(Error::Format("it is not a kvfs volume"));
        }
        let (major, _minor) = (fields.u16()?, fields.u16()?);
        if major != FORMAT_MAJOR {
            return Err(Error::Format(
                "it was made by a newer version with another format; use that version",
            ));
        }
        let (compat, ro_compat, incompat) = (fields.u32()?, fields.u32()?, fields.u32()?);
        if incompat & !INCOMPAT_KNOWN != 0 || ro_compat & !RO_COMPAT_KNOWN != 0 {
            return Err(Error::Format("it uses features of a newer version; use that version"));
        }
        let mut superblock = Self {
            compat,
            ro_compat,
            incompat,
            uuid: fields.id16()?,
            extent_bytes: fields.u32()?,
            inline_bytes: fields.u32()?,
            epoch: fields.u64()?,
            seq: fields.u64()?,
            next_inode: fields.u64()?,
            used_bytes: fields.u64()?,
            used_inodes: fields.u64()?,
            used_names: 0,
            quota_bytes: fields.u64()?,
            quota_inodes: fields.u64()?,
            quota_names: u64::MAX,
            frozen: match fields.u8()? {
                0 => false,
                1 => true,
                _ => return Err(ID.damaged("frozen flag is neither 0 nor 1")),
            },
            lower: decode_lower(&mut fields)?,
            settings: 0,
            layers: None,
        };
        if superblock.counts_names() {
            (superblock.used_names, superblock.quota_names) = (fields.u64()?, fields.u64()?);
        }
        if incompat & INCOMPAT_SETTINGS != 0 {
            superblock.settings = fields.u8()?;
            if superblock.settings == 0 || superblock.frozen {
                return Err(ID.damaged("its features and its settings do not match"));
            }
        }
        if incompat & INCOMPAT_LAYERS != 0 {
            superblock.layers = Some(decode_layers(&mut fields)?);
            if superblock.frozen {
                return Err(ID.damaged("an image in layers"));
            }
        }
        fields.end()?;
        if superblock.lower.is_some() != (incompat & INCOMPAT_LOWER != 0) {
            return Err(ID.damaged("its features and its image do not match"));
        }
        let size = superblock.extent_bytes;
        if !(MIN_EXTENT_BYTES..=MAX_EXTENT_BYTES).contains(&size) || !size.is_power_of_two() {
            return Err(ID.damaged("extent size out of range"));
        }
        if superblock.inline_bytes > MAX_INLINE_BYTES.min(size) {
            return Err(ID.damaged("inline limit out of range"));
        }
        if superblock.next_inode <= InodeNo::ROOT.0 {
            return Err(ID.damaged("next inode out of range"));
        }
        Ok(superblock)
    }
}

fn decode_layers(fields: &mut Fields<'_>) -> Result<Layers> {
    let (change, top, flags) = (fields.u32()?, fields.u64()?, fields.u8()?);
    if top != 0 && LayerName::numbered(top) != LayerName::Number(top) {
        return Err(ID.damaged("a top layer that cannot be"));
    }
    if flags > 3 {
        return Err(ID.damaged("unknown flags of its layers"));
    }
    Ok(Layers { change, top, written: flags & 1 != 0, read_only: flags & 2 != 0 })
}

fn decode_lower(fields: &mut Fields<'_>) -> Result<Option<Lower>> {
    let length = usize::from(fields.u8()?);
    if length == 0 {
        return Ok(None);
    }
    debug_assert!(length <= MAX_VOLUME_NAME_BYTES);
    let name =
        std::str::from_utf8(fields.bytes(length)?).map_err(|_| ID.damaged("lower name is not UTF-8"))?;
    let image = ImageId { name: name.to_owned(), digest: fields.id16()? };
    let seq = fields.u64()?;
    let written = match fields.u8()? {
        0 => false,
        1 => true,
        _ => return Err(ID.damaged("written flag is neither 0 nor 1")),
    };
    Ok(Some(Lower { image, seq, written }))
}

#[cfg(test)]
mod tests {
    use super::super::seal;
    use super::*;

    #[test]
    fn a_superblock_survives_encoding() {
        let mut superblock = Superblock::new([7; 16], 32 << 10, 4096);
        (superblock.used_names, superblock.quota_names) = (5, 9);
        superblock.frozen = true;
        assert_eq!(Superblock::decode(b"k", &superblock.encode(b"k")).unwrap(), superblock);
        let mut frozen = superblock.clone();
        frozen.freeze(77);
        assert_eq!(Superblock::decode(b"k", &frozen.encode(b"k")).unwrap(), frozen);
        assert_eq!(frozen.encode(b"k").len() + 16, superblock.encode(b"k").len(), "an image counts no names");
        assert_eq!(frozen.encode(b"k").len(), frozen.encoded_bytes());
        assert_eq!(superblock.encode(b"k").len(), superblock.encoded_bytes());
        let mut above = superblock.above(ImageId { name: "base".into(), digest: [3; 16] }, [8; 16]);
        assert_eq!(Superblock::decode(b"k", &above.encode(b"k")).unwrap(), above);
        assert_eq!(above.encode(b"k").len(), above.encoded_bytes());
        above.set_settings(255);
        assert_eq!(Superblock::decode(b"k", &above.encode(b"k")).unwrap(), above);
        assert_eq!(above.encode(b"k").len(), above.encoded_bytes());
        above.set_layers(Some(Layers { change: 7, top: 1 << 62, written: true, read_only: true }));
        assert_eq!(Superblock::decode(b"k", &above.encode(b"k")).unwrap(), above);
        assert_eq!(above.encode(b"k").len(), above.encoded_bytes());
        above.set_layers(None);
        above.set_settings(0);
        above.incompat = superblock.incompat;
        assert!(Superblock::decode(b"k", &above.encode(b"k")).is_err(), "an image that no feature tells of");
    }

    #[test]
    fn a_volume_of_a_newer_format_is_refused() {
        let mut superblock = Superblock::new([7; 16], 32 << 10, 4096);
        superblock.incompat = 1 << 31;
        assert!(matches!(Superblock::decode(b"k", &superblock.encode(b"k")), Err(Error::Format(_))));
        superblock.incompat = 0;
        let mut value = superblock.encode(b"k");
        value[super::super::FRAME_BYTES + MAGIC.len() + 1] += 1;
        seal(b"k", tag::SUPERBLOCK, &mut value);
        assert!(matches!(Superblock::decode(b"k", &value), Err(Error::Format(_))));
    }

    #[test]
    fn settings_that_the_features_and_the_generation_do_not_both_tell_of_are_damage() {
        let mut superblock = Superblock::new([7; 16], 32 << 10, 4096);
        superblock.set_settings(1);
        superblock.settings = 0;
        assert!(matches!(Superblock::decode(b"k", &superblock.encode(b"k")), Err(Error::Damaged(_))));
        superblock.set_settings(1);
        superblock.frozen = true;
        assert!(matches!(Superblock::decode(b"k", &superblock.encode(b"k")), Err(Error::Damaged(_))));
    }

    #[test]
    fn sizes_out_of_range_are_damage() {
        for (extent_bytes, inline_bytes) in
            [(0, 0), (511, 0), (33_000, 0), (2 << 20, 0), (4096, 1 << 20), (4096, 4097)]
        {
            let superblock = Superblock::new([7; 16], extent_bytes, inline_bytes);
            assert!(matches!(Superblock::decode(b"k", &superblock.encode(b"k")), Err(Error::Damaged(_))));
        }
    }
}
