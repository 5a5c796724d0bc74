//! Checks the layers of a whole store: that they are what the volumes and each other say.

use super::heads::each_head_or_other;
use super::list::shown;
use super::stored::garbage_record;
use crate::error::{Error, Result};
use crate::fsck::{Finding, Invariant};
use crate::limits::{READDIR_PAGE_BYTES, READDIR_PAGE_ENTRIES};
use crate::store::KvStore;
use crate::stored::key::{KeySpace, range_of};
use crate::stored::layer_name::{LayerName, garbage_prefix};
use crate::stored::record::layer::{LayerHeader, LayerState};
use crate::stored::record::superblock::Superblock;
use crate::stored::record::{RecordId, unseal};
use std::collections::{BTreeMap, BTreeSet};

/// The report of a check of a store's layers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LayersReport {
    /// Volumes.
    pub volumes: u64,
    /// Layers that volumes use, other than those under their names.
    pub layers: u64,
    /// Layers that are to be freed: [`collect_garbage`](super::collect_garbage) does.
    pub garbage: u64,
    /// Names under which there are sound records of a volume and no superblock, as of a volume that has
    /// lost it. [`fsck`](crate::fsck()) of the volume says more.
    pub without_superblock: Vec<String>,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

/// The layers of a store.
#[derive(Default)]
struct Seen {
    /// The volumes by their top layers; `None` for one that cannot be read.
    tops: BTreeMap<LayerName, Vec<String>>,
    headers: BTreeMap<LayerName, LayerHeader>,
    garbage: BTreeSet<LayerName>,
    /// The name of the superblock that was read last. Other records of the name follow it.
    last_volume: String,
    report: LayersReport,
}

/// Checks the layers of a whole store and changes nothing. What is in them is for
/// [`fsck`](crate::fsck()) of each volume.
///
/// No writer or tool should be active: what they change between the reads looks like damage.
///
/// # Errors
/// The store's. Damage is no error but a [`Finding`].
///
/// # Cost
/// Reads the heads of all volumes and layers, as [`list`](super::list()) does, and keeps a few hundred
/// bytes in memory for each layer.
pub fn check_layers(store: &mut dyn KvStore) -> Result<LayersReport> {
    let mut seen = Seen::default();
    each_head_or_other(store, true, &mut |layer, entry, is_head| {
        match is_head {
            true => seen.head(layer, &entry.key, &entry.value),
            false => seen.other(layer, &entry.key, &entry.value),
        }
        Ok(())
    })?;
    seen.read_garbage(store)?;
    seen.relate();
    Ok(seen.report)
}

impl Seen {
    fn head(&mut self, layer: &LayerName, key: &[u8], value: &[u8]) {
        if key == layer.header() {
            match LayerHeader::decode(key, value) {
                Ok(header) => drop(self.headers.insert(layer.clone(), header)),
                Err(error) => self.found(Invariant::Value, key.to_vec(), error.to_string()),
            }
        }
        let LayerName::Named(name) = layer else { return };
        let keys = KeySpace::new(name);
        if key != keys.superblock() {
            return;
        }
        self.report.volumes += 1;
        self.last_volume.clone_from(name);
        match Superblock::decode(key, value) {
            Ok(superblock) => {
                let top = superblock.layers.map_or(0, |layers| layers.top);
                let top = if top == 0 { layer.clone() } else { LayerName::numbered(top) };
                self.tops.entry(top).or_default().push(name.clone());
            }
            // The check of the volume says more.
            Err(Error::Format(_)) => {}
            Err(error) => self.found(Invariant::Value, key.to_vec(), error.to_string()),
        }
    }

    /// Notes a name whose records have neither a superblock nor the header of a layer. Records that are
    /// not a file system's belong to somebody else.
    fn other(&mut self, layer: &LayerName, key: &[u8], value: &[u8]) {
        let LayerName::Named(name) = layer else { return };
        let lost = &mut self.report.without_superblock;
        if self.last_volume == *name || self.headers.contains_key(layer) || lost.last() == Some(name) {
            return;
        }
        let Some(tag) = key.strip_prefix(layer.prefix().as_slice()).and_then(<[u8]>::first) else { return };
        if unseal(key, RecordId { tag: *tag, name: "record", ino: 0 }, value).is_ok() {
            lost.push(name.clone());
        }
    }

    fn found(&mut self, invariant: Invariant, key: Vec<u8>, what: String) {
        self.report.findings.push(Finding { invariant, key, what, path: None });
    }

    fn read_garbage(&mut self, store: &mut dyn KvStore) -> Result<()> {
        let limits = store.limits()?;
        let (mut start, end) = range_of(&garbage_prefix());
        loop {
            let page = store.scan(
                &start,
                &end,
                READDIR_PAGE_ENTRIES.min(limits.max_batch_entries),
                READDIR_PAGE_BYTES.min(limits.max_batch_bytes),
            )?;
            let Some(last) = page.last() else { return Ok(()) };
            start = [last.key.as_slice(), &[0]].concat();
            for entry in page {
                match LayerName::of_garbage(&entry.key).filter(|layer| entry.value == garbage_record(layer)) {
                    Some(layer) => drop(self.garbage.insert(layer)),
                    None => self.found(Invariant::Garbage, entry.key, "it names no layer".to_owned()),
                }
            }
        }
    }

    fn relate(&mut self) {
        let mut users: BTreeMap<LayerName, u64> = BTreeMap::new();
        let mut findings: Vec<(Invariant, Vec<u8>, String)> = Vec::new();
        let mut find =
            |invariant, layer: &LayerName, what: String| findings.push((invariant, layer.header(), what));
        for (top, volumes) in &self.tops {
            if let [_, _, ..] = volumes.as_slice() {
                find(Invariant::Chain, top, format!("the top layer of {} volumes", volumes.len()));
            }
            *users.entry(top.clone()).or_default() += volumes.len() as u64;
            match (self.headers.get(top), top) {
                (Some(header), _) if header.state == LayerState::Top => {}
                (None, LayerName::Named(_)) => {}
                (Some(_), _) => find(Invariant::Chain, top, "a volume's top layer that is no top".to_owned()),
                (None, _) => find(Invariant::Chain, top, "a volume's top layer is missing".to_owned()),
            }
        }
        for (layer, header) in &self.headers {
            let Some((parent, rest)) = header.below.split_first() else { continue };
            *users.entry(parent.clone()).or_default() += 1;
            match self.headers.get(parent) {
                Some(below) if below.below != rest => find(
                    Invariant::Chain,
                    layer,
                    format!("it and {}, on which it stands, name different layers below", shown(parent)),
                ),
                Some(below) if below.state != LayerState::Frozen => {
                    find(
                        Invariant::Chain,
                        parent,
                        format!("{} stands on it, and it is not frozen", shown(layer)),
                    );
                }
                Some(_) => {}
                None => {
                    find(Invariant::Chain, parent, format!("missing, though {} stands on it", shown(layer)))
                }
            }
        }
        for (layer, header) in &self.headers {
            let counted = users.get(layer).copied().unwrap_or_default();
            if header.users != counted {
                let what = format!("it counts {} users, there are {counted}", header.users);
                find(Invariant::Users, layer, what);
            }
            let is_garbage = matches!(header.state, LayerState::Building | LayerState::Freeing);
            match (is_garbage, self.garbage.contains(layer)) {
                (true, false) => {
                    find(Invariant::Garbage, layer, "to be freed, and not in the list of garbage".to_owned());
                }
                (false, true) => {
                    find(Invariant::Garbage, layer, "in the list of garbage, and in use".to_owned());
                }
                _ => {}
            }
        }
        for layer in self.garbage.iter().filter(|layer| !self.headers.contains_key(layer)) {
            find(Invariant::Garbage, layer, "in the list of garbage, and missing".to_owned());
        }
        self.report.garbage = self.garbage.len() as u64;
        self.report.layers = (self.headers.len() as u64).saturating_sub(self.report.garbage);
        for (invariant, key, what) in findings {
            self.found(invariant, key, what);
        }
    }
}
