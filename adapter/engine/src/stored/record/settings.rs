//! The settings: what hosts and tools have set for a volume, beside the superblock's quota. No
//! operation of a guest reaches them.
//!
//! A field has a number. Its two highest bits say who may go on without knowing it, so that an old
//! version never breaks a promise that it cannot read.

use super::{Fields, RecordId, begin, seal, unseal};
use crate::error::{Error, Result};
use crate::limits::{MAX_FILE_BYTES, MAX_SETTINGS_BYTES};
use crate::quota::Settings;
use crate::scrub::Scrubbing;
use crate::stored::key::{KeySpace, tag};

/// Whoever does not know a field with this bit may ignore it, and keeps it.
const FOR_WHO_KNOWS_IT: u16 = 0x8000;
/// Whoever does not know a field with this bit may read the volume, but not write to it.
const FOR_WRITERS: u16 = 0x4000;

/// The largest file, u64. Readers need not know it.
const MAX_FILE_BYTES_FIELD: u16 = FOR_WRITERS | 1;

/// Secrets that are masked, and files in which they are. Readers need not know it.
const SCRUBBING_FIELD: u16 = FOR_WRITERS | 2;

const ID: RecordId = RecordId { tag: tag::SETTINGS, name: "settings", ino: 0 };

/// The settings record of a volume, without fields if the volume has none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SettingsRecord {
    /// As in the superblock: 0 if there is no record.
    generation: u8,
    /// All fields in the order of their numbers, also those that this version does not know.
    fields: Vec<(u16, Vec<u8>)>,
}

impl SettingsRecord {
    /// Returns the record of a volume, from its value and the generation that the superblock tells
    /// of. They are of one apply, unless the record was lost or damaged: then nothing is known, and
    /// going on would lift what was set.
    pub(crate) fn of_volume(key: &[u8], value: Option<&[u8]>, generation: u8) -> Result<Self> {
        match (value, generation) {
            (None, 0) => Ok(Self::default()),
            (None, _) => Err(ID.damaged("missing; set them again with `kvfs settings`")),
            (Some(_), 0) => Err(ID.damaged("there are some, of which the superblock does not tell")),
            (Some(value), _) => {
                let settings = Self::decode(key, value)?;
                match settings.generation == generation {
                    true => Ok(settings),
                    false => Err(ID.damaged("of another generation than the superblock tells")),
                }
            }
        }
    }

    pub(crate) fn generation(&self) -> u8 {
        self.generation
    }

    /// The largest file, in bytes, as it was set.
    pub(crate) fn max_file_bytes(&self) -> Option<u64> {
        let value = self.field(MAX_FILE_BYTES_FIELD)?;
        Some(u64::from_be_bytes(value.first_chunk().copied()?))
    }

    /// Returns the policy of scrubbing, as it was set.
    pub(crate) fn scrubbing(&self) -> Option<Scrubbing> {
        Scrubbing::decode(self.field(SCRUBBING_FIELD)?).flatten()
    }

    /// Returns a copy that says what `settings` do, as far as the superblock does not say it, and
    /// keeps fields that this version does not know.
    pub(crate) fn with(&self, settings: &Settings) -> Self {
        let mut changed = self.clone();
        // More than any file can have is no limit.
        let max_file_bytes = settings.quota.file_bytes.filter(|bytes| *bytes < MAX_FILE_BYTES);
        changed.set(MAX_FILE_BYTES_FIELD, max_file_bytes.map(|bytes| bytes.to_be_bytes().to_vec()));
        if settings.scrubbing != self.scrubbing() {
            let number = self.scrubbing_number();
            let mut field = Vec::new();
            match settings.scrubbing.clone() {
                Some(scrubbing) => scrubbing.following(number).encode(&mut field),
                // The next policy must not have the number of this one.
                None => Scrubbing::encode_none(number.unwrap_or(0), &mut field),
            }
            changed.set(SCRUBBING_FIELD, Some(field));
        }
        changed
    }

    /// The number of the last policy of scrubbing, which may be no more.
    fn scrubbing_number(&self) -> Option<u16> {
        self.field(SCRUBBING_FIELD).and_then(Scrubbing::number_of)
    }

    fn set(&mut self, id: u16, value: Option<Vec<u8>>) {
        self.fields.retain(|(known, _)| *known != id);
        if let Some(value) = value {
            let at = self.fields.iter().position(|(known, _)| *known > id).unwrap_or(self.fields.len());
            self.fields.insert(at, (id, value));
        }
    }

    fn field(&self, id: u16) -> Option<&[u8]> {
        self.fields.iter().find(|(known, _)| *known == id).map(|(_, value)| value.as_slice())
    }

    /// Gives changed settings the generation behind `before`: 0 without fields, when there is no
    /// record.
    pub(crate) fn follow(&mut self, before: u8) {
        self.generation = match self.fields.is_empty() {
            true => 0,
            false => before.checked_add(1).unwrap_or(1),
        };
    }

    /// Returns whether both say the same, in whatever generation.
    pub(crate) fn says_what(&self, other: &Self) -> bool {
        self.fields == other.fields
    }

    /// Fails if there is a field that this version does not know and may not ignore: as a reader,
    /// or as one who writes to the volume.
    pub(crate) fn check_known(&self, writes: bool) -> Result<()> {
        let may_ignore = FOR_WHO_KNOWS_IT | if writes { 0 } else { FOR_WRITERS };
        let known = [MAX_FILE_BYTES_FIELD, SCRUBBING_FIELD];
        let unknown = |(id, _): &(u16, Vec<u8>)| !known.contains(id) && *id & may_ignore == 0;
        match self.fields.iter().any(unknown) {
            true => Err(Error::Format("it has settings of a newer version; use that version")),
            false => Ok(()),
        }
    }

    /// Returns the key with its value, `None` without fields: there is no record then.
    pub(crate) fn stored(&self, keys: &KeySpace) -> (Vec<u8>, Option<Vec<u8>>) {
        let key = keys.settings();
        let value = (!self.fields.is_empty()).then(|| self.encode(&key));
        (key, value)
    }

    pub(crate) fn encode(&self, key: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        begin(&mut out);
        out.extend_from_slice(&[self.generation, 0, 0, 0]);
        for (id, value) in &self.fields {
            out.extend_from_slice(&id.to_be_bytes());
            // Setting them checks the length of all.
            out.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_be_bytes());
            out.extend_from_slice(value);
        }
        seal(key, tag::SETTINGS, &mut out);
        out
    }

    pub(crate) fn decode(key: &[u8], value: &[u8]) -> Result<Self> {
        if value.len() > MAX_SETTINGS_BYTES {
            return Err(ID.damaged("longer than settings can be"));
        }
        let mut rest = Fields::new(unseal(key, ID, value)?, ID);
        let mut settings = Self { generation: rest.u8()?, fields: Vec::new() };
        if settings.generation == 0 || rest.bytes(3)? != [0; 3] {
            return Err(ID.damaged("malformed start"));
        }
        while !rest.is_empty() {
            let (id, length) = (rest.u16()?, rest.u32()?);
            if settings.fields.last().is_some_and(|(last, _)| *last >= id) {
                return Err(ID.damaged("fields out of order"));
            }
            let value = rest.bytes(usize::try_from(length).unwrap_or(usize::MAX))?;
            settings.fields.push((id, value.to_vec()));
        }
        if settings.fields.is_empty() {
            return Err(ID.damaged("no fields"));
        }
        if let Some(value) = settings.field(MAX_FILE_BYTES_FIELD) {
            let bytes = <[u8; 8]>::try_from(value).map(u64::from_be_bytes);
            if !bytes.is_ok_and(|bytes| bytes < MAX_FILE_BYTES) {
                return Err(ID.damaged("the largest file is out of range"));
            }
        }
        if let Some(value) = settings.field(SCRUBBING_FIELD)
            && Scrubbing::decode(value).is_none()
        {
            return Err(ID.damaged("what is scrubbed is malformed"));
        }
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quota::Quota;
    use crate::stored::record::FRAME_BYTES;

    fn with(fields: &[(u16, &[u8])]) -> SettingsRecord {
        let mut settings = SettingsRecord { generation: 7, fields: Vec::new() };
        fields.iter().for_each(|(id, value)| settings.set(*id, Some(value.to_vec())));
        settings
    }

    type Change = fn(&mut Vec<u8>);

    fn again(settings: &SettingsRecord) -> Result<SettingsRecord> {
        SettingsRecord::decode(b"k", &settings.encode(b"k"))
    }

    #[test]
    fn settings_survive_encoding_unknown_fields_included() {
        let mut settings = with(&[(0x8001, b"kept"), (3, b"")]);
        let quota = Quota { file_bytes: Some(5000), ..Quota::default() };
        settings = settings.with(&Settings { quota, scrubbing: None });
        let read = again(&settings).unwrap();
        assert_eq!(read, settings);
        assert_eq!(read.max_file_bytes(), Some(5000));
        assert_eq!(read.with(&Settings::default()), with(&[(0x8001, b"kept"), (3, b"")]));
    }

    #[test]
    fn a_field_that_is_not_known_is_refused_as_its_number_says() {
        for (id, reads, writes) in
            [(0x8009, true, true), (0x4009, true, false), (0x0009, false, false), (0xC009, true, true)]
        {
            let settings = again(&with(&[(id, b"new")])).unwrap();
            assert_eq!(settings.check_known(false).is_ok(), reads, "{id:04x}");
            assert_eq!(settings.check_known(true).is_ok(), writes, "{id:04x}");
        }
        let known = with(&[(MAX_FILE_BYTES_FIELD, &9_u64.to_be_bytes())]);
        assert_eq!(known.check_known(true), Ok(()));
    }

    #[test]
    fn malformed_settings_are_damage() {
        let too_large = MAX_FILE_BYTES.to_be_bytes();
        let bad: [&[(u16, &[u8])]; 4] = [
            &[],
            &[(MAX_FILE_BYTES_FIELD, b"short")],
            &[(MAX_FILE_BYTES_FIELD, &too_large)],
            &[(0x8000, &[0; MAX_SETTINGS_BYTES])],
        ];
        for fields in bad {
            assert!(matches!(again(&with(fields)), Err(Error::Damaged(_))));
        }
        let good = with(&[(0x8001, b"one"), (0x8002, b"two")]).encode(b"k");
        let forged = |change: Change| {
            let mut value = good.clone();
            change(&mut value);
            seal(b"k", tag::SETTINGS, &mut value);
            SettingsRecord::decode(b"k", &value)
        };
        assert!(forged(|_| {}).is_ok());
        let changes: [Change; 6] = [
            |value| value[FRAME_BYTES] = 0,
            |value| value[FRAME_BYTES + 1] = 1,
            // The second number is that of the first, and then less.
            |value| value[FRAME_BYTES + 4 + 6 + 3 + 1] = 1,
            |value| value[FRAME_BYTES + 4 + 6 + 3 + 1] = 0,
            |value| value[FRAME_BYTES + 4 + 2] = 0xff,
            |value| value.push(0),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            assert!(matches!(forged(change), Err(Error::Damaged(_))), "{number}");
        }
    }

    #[test]
    fn a_volume_has_settings_exactly_where_its_superblock_says_so() {
        let value = with(&[(0x8001, b"one")]).encode(b"k");
        let of_volume = |value: Option<&[u8]>, told| SettingsRecord::of_volume(b"k", value, told);
        assert_eq!(of_volume(None, 0), Ok(SettingsRecord::default()));
        assert_eq!(of_volume(Some(&value), 7).unwrap().generation(), 7);
        for (value, told) in [(None, 7), (Some(&value[..]), 0), (Some(&value[..]), 8)] {
            assert!(matches!(of_volume(value, told), Err(Error::Damaged(_))), "{told}");
        }
    }

    #[test]
    fn generations_differ_from_one_record_to_the_next() {
        let mut settings = with(&[(0x8001, b"one")]);
        for (before, after) in [(0, 1), (1, 2), (254, 255), (255, 1)] {
            settings.follow(before);
            assert_eq!(settings.generation(), after);
        }
        let mut none = with(&[]);
        none.follow(9);
        assert_eq!(none.generation(), 0);
    }
}
