//! Layers under way: garbage until they are complete.

use super::change::{Change, attempt};
use super::stored::{garbage_record, put_header};
use crate::error::Result;
use crate::store::{Durability, Entry, Guard, KvStore, Limits, Mutation, StoreError};
use crate::stored::layer_name::LayerName;
use crate::stored::record::layer::{LayerHeader, LayerStamp, LayerState};

/// A layer that is being filled, of which nobody knows yet but as garbage.
pub(super) struct Building {
    pub(super) layer: LayerName,
    header: LayerHeader,
    key: Vec<u8>,
    /// The header's value.
    value: Vec<u8>,
}

impl Building {
    /// Makes an empty layer. Its header is in the state [`LayerState::Building`]. `None` if there is one of
    /// this name.
    pub(super) fn begin(
        store: &mut dyn KvStore,
        layer: LayerName,
        header: LayerHeader,
    ) -> Result<Option<Self>> {
        let key = layer.header();
        let value = header.encode(&key);
        let is_new = attempt(store, Durability::Buffered, |store, number| {
            let mut change = Change::default();
            // A clock that stands still gives the name of a copy that was cut off.
            if number > 0 && store.get(&[&key])?.into_iter().flatten().next().is_some() {
                return Ok(Some((change, false)));
            }
            change.replace(layer.garbage(), None, Some(garbage_record(&layer)));
            put_header(&mut change, &layer, None, &header);
            Ok(Some((change, true)))
        })?;
        Ok(is_new.then_some(Self { layer, header, key, value }))
    }

    /// Puts records. Returns false if somebody took the layer for garbage.
    pub(super) fn put(&self, store: &mut dyn KvStore, limits: &Limits, records: &[Entry]) -> Result<bool> {
        let mut rest = records;
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at_checked(fitting(rest, limits)).unwrap_or((rest, &[]));
            if !self.put_piece(store, piece)? {
                return Ok(false);
            }
            rest = behind;
        }
        Ok(true)
    }

    fn put_piece(&self, store: &mut dyn KvStore, records: &[Entry]) -> Result<bool> {
        let guard = Guard { key: &self.key, expected: Some(&self.value) };
        let mutations: Vec<Mutation<'_>> =
            records.iter().map(|entry| Mutation::Put { key: &entry.key, value: &entry.value }).collect();
        let mut outcome = store.apply(&[guard], &mutations, Durability::Buffered);
        if outcome == Err(StoreError::UnknownOutcome) {
            // Putting them twice does no harm.
            outcome = store.apply(&[guard], &mutations, Durability::Buffered);
        }
        match outcome {
            Ok(()) => Ok(true),
            Err(StoreError::Conflict) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether it is still there, and not taken for garbage.
    pub(super) fn is_there(&self, store: &mut dyn KvStore) -> Result<bool> {
        let found = store.get(&[&self.key])?.into_iter().next().flatten();
        Ok(found.as_ref() == Some(&self.value))
    }

    /// Makes it a layer like others, with one user: frozen with a stamp, or else the top of a volume.
    pub(super) fn complete(&self, change: &mut Change, below: Vec<LayerName>, stamp: Option<LayerStamp>) {
        let whole = LayerHeader { below, ..self.header.clone() };
        let header = match stamp {
            Some(stamp) => whole.frozen(1, stamp),
            None => LayerHeader { state: LayerState::Top, users: 1, ..whole },
        };
        put_header(change, &self.layer, Some(self.value.clone()), &header);
        change.replace(self.layer.garbage(), Some(garbage_record(&self.layer)), None);
    }
}

/// Returns how many of these records one apply takes: at least one, which it refuses if it is too large
/// alone.
fn fitting(records: &[Entry], limits: &Limits) -> usize {
    let mut bytes = 0;
    let fits = |entry: &&Entry| {
        bytes += entry.key.len() + entry.value.len();
        bytes <= limits.max_batch_bytes as usize
    };
    records.iter().take(limits.max_batch_entries as usize).take_while(fits).count().max(1)
}
