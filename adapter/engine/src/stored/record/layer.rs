//! The header of a layer: what it is, and what lies below it.

use super::{Fields, RecordId, framed, unseal};
use crate::error::Result;
use crate::limits::MAX_LAYERS;
use crate::stored::key::tag;
use crate::stored::layer_name::LayerName;

const ID: RecordId = RecordId { tag: tag::LAYER, name: "layer", ino: 0 };

/// The state of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LayerState {
    /// The top of one volume, which changes it.
    Top,
    /// It never changes again. Others stand on it.
    Frozen,
    /// A copy under way, of which nobody knows yet.
    Building,
    /// Nobody stands on it. Its records are being deleted.
    Freeing,
}

/// The header of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LayerHeader {
    pub(crate) state: LayerState,
    /// How many layers stand directly on it; 1 of a top.
    pub(crate) users: u64,
    /// The number of the first inode that can only be in this layer or above.
    pub(crate) first_inode: u64,
    /// How often the records of the layer were merged: 0 of what a writer wrote.
    pub(crate) level: u8,
    /// The layers below, from above. Only the last one may be under a volume's name.
    pub(crate) below: Vec<LayerName>,
    /// Set when the layer was frozen; none if a version froze it that knew no stamps.
    pub(crate) stamp: Option<LayerStamp>,
}

/// Tells one frozen layer from all others, also from one of the same name in another copy of the store.
pub(crate) type LayerStamp = [u8; 16];

/// Longest header: [`MAX_LAYERS`] numbers and a name, with the frame. It fits every store.
#[cfg(test)]
const MAX_HEADER_BYTES: usize =
    super::FRAME_BYTES + 20 + 8 * MAX_LAYERS + crate::limits::MAX_VOLUME_NAME_BYTES + size_of::<LayerStamp>();

impl LayerHeader {
    /// A top above these layers.
    pub(crate) fn top(first_inode: u64, below: Vec<LayerName>) -> Self {
        Self { state: LayerState::Top, users: 1, first_inode, level: 0, below, stamp: None }
    }

    /// The header of this layer once it is frozen.
    pub(crate) fn frozen(self, users: u64, stamp: LayerStamp) -> Self {
        Self { state: LayerState::Frozen, users, stamp: Some(stamp), ..self }
    }

    pub(crate) fn encode(&self, key: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        framed(key, tag::LAYER, &mut out, |out| {
            out.push(match self.state {
                LayerState::Top => 1,
                LayerState::Frozen => 2,
                LayerState::Building => 3,
                LayerState::Freeing => 4,
            });
            out.push(self.level);
            let numbered = self.below.iter().filter(|layer| matches!(layer, LayerName::Number(_)));
            out.push(u8::try_from(numbered.count()).unwrap_or(u8::MAX));
            out.push(match self.below.last() {
                Some(LayerName::Named(name)) => u8::try_from(name.len()).unwrap_or(u8::MAX),
                _ => 0,
            });
            out.extend_from_slice(&self.users.to_be_bytes());
            out.extend_from_slice(&self.first_inode.to_be_bytes());
            for layer in &self.below {
                match layer {
                    LayerName::Number(number) => out.extend_from_slice(&number.to_be_bytes()),
                    LayerName::Named(name) => out.extend_from_slice(name.as_bytes()),
                }
            }
            out.extend_from_slice(self.stamp.as_ref().map_or(&[][..], |stamp| stamp));
        });
        out
    }

    pub(crate) fn decode(key: &[u8], value: &[u8]) -> Result<Self> {
        let mut fields = Fields::new(unseal(key, ID, value)?, ID);
        let state = match fields.u8()? {
            1 => LayerState::Top,
            2 => LayerState::Frozen,
            3 => LayerState::Building,
            4 => LayerState::Freeing,
            _ => return Err(ID.damaged("unknown state")),
        };
        let (level, count, length) = (fields.u8()?, usize::from(fields.u8()?), usize::from(fields.u8()?));
        let (users, first_inode) = (fields.u64()?, fields.u64()?);
        if count + usize::from(length > 0) > MAX_LAYERS {
            return Err(ID.damaged("more layers below than there can be"));
        }
        let mut below = Vec::with_capacity(count + 1);
        for _ in 0..count {
            let layer = LayerName::Number(fields.u64()?);
            if LayerName::of_prefix(&layer.prefix()).as_ref() != Some(&layer) || below.contains(&layer) {
                return Err(ID.damaged("a layer below that cannot be"));
            }
            below.push(layer);
        }
        if length > 0 {
            let name = std::str::from_utf8(fields.bytes(length)?);
            let layer = LayerName::named(name.map_err(|_| ID.damaged("a name below is not UTF-8"))?);
            if LayerName::of_prefix(&layer.prefix()).as_ref() != Some(&layer) {
                return Err(ID.damaged("a name below that no volume can have"));
            }
            below.push(layer);
        }
        let stamp = if fields.is_empty() { None } else { Some(fields.id16()?) };
        fields.end()?;
        if first_inode < 2 {
            return Err(ID.damaged("first inode out of range"));
        }
        Ok(Self { state, users, first_inode, level, below, stamp })
    }
}

/// The error of a layer that something names and that is not there, or not as it must be.
pub(crate) fn damaged(found: &'static str) -> crate::error::Error {
    ID.damaged(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_survives_encoding_and_the_longest_fits_every_store() {
        let numbers = |count: u64| (1..=count).map(LayerName::numbered);
        let name = LayerName::named(&"x".repeat(255));
        for below in [
            vec![],
            numbers(3).collect(),
            vec![name.clone()],
            numbers(MAX_LAYERS as u64 - 1).chain([name]).collect(),
        ] {
            for state in [LayerState::Top, LayerState::Frozen, LayerState::Building, LayerState::Freeing] {
                for stamp in [None, Some([7; 16])] {
                    let below = below.clone();
                    let header =
                        LayerHeader { state, users: u64::MAX, first_inode: 2, level: 9, below, stamp };
                    let value = header.encode(b"k");
                    assert!(value.len() <= MAX_HEADER_BYTES && MAX_HEADER_BYTES <= 640);
                    assert_eq!(LayerHeader::decode(b"k", &value).unwrap(), header);
                    assert!(LayerHeader::decode(b"l", &value).is_err());
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_below_is_damage() {
        let bad = |below: Vec<LayerName>| {
            let value = LayerHeader::top(2, below).encode(b"k");
            assert!(LayerHeader::decode(b"k", &value).is_err());
        };
        bad(vec![LayerName::Number(0)]);
        bad(vec![LayerName::Number(1 << 63)]);
        bad(vec![LayerName::numbered(4), LayerName::numbered(4)]);
        bad((1..=MAX_LAYERS as u64 + 1).map(LayerName::numbered).collect());
        bad(vec![LayerName::named("a\0b")]);
    }
}
