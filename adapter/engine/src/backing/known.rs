//! Which records the layers of a volume cannot have, as far as its writer knows: it wrote them itself.
//!
//! A snapshot now and then beside a writer leaves up to 32 layers of what the writer wrote meanwhile. Without
//! this, a record that is not in memory is looked for in each of them. All that is kept here errs on one
//! side: a layer that is said to lack a record lacks it.

use super::chain::Chain;
use super::marks::{MAX_SETS, Marks, Sets};
use crate::limits::MAX_LAYERS;
use crate::stored::layer_name::LayerName;
use crate::stored::tag;
use xxhash_rust::xxh64::xxh64;

/// A tag and an inode's number: what the keys of a directory's entries, and of a file's extents, begin with.
const OWNER_BYTES: usize = 9;

/// Hashes of the top layer that are put into the table together.
const MAX_WAITING: usize = 1024;

// Each layer in the store, the top one too, has a set of its own.
const _: () = assert!(MAX_LAYERS < MAX_SETS as usize);

/// The layers of a volume, from the top one down, and what each may have.
#[derive(Debug, Default)]
pub(crate) struct Known {
    layers: Vec<Layer>,
    /// Hashes of keys of records, without the name of the layer, and of what the keys of entries and extents
    /// begin with. Each layer that is known has a set.
    marks: Marks,
    /// Hashes that are still to be added to the top layer's set.
    waiting: Vec<u32>,
    /// The beginning of the last key of an entry or extent, that of the directory or file.
    last_owner: Owner,
    /// The last key without a rest: of a directory's inode, if files are made in it.
    last_whole: Owner,
}

#[derive(Debug, Clone)]
struct Layer {
    name: LayerName,
    /// Inodes from this number on are in no layer below this one.
    first_inode: u64,
    /// The set of records that it may have of inodes with lower numbers; `None`: it may have any.
    set: Option<Sets>,
}

/// The tag and the number that the first [`OWNER_BYTES`] of a key have. Two are compared for each record that
/// is put, and bytes would be by a call.
type Owner = (u8, u64);

fn hash(inner: &[u8]) -> u32 {
    (xxh64(inner, 0) >> 32) as u32
}

/// Returns the tag of a record, and the number of the inode that it belongs to.
fn owner_of(inner: &[u8]) -> Option<Owner> {
    let (tag, rest) = inner.split_first()?;
    rest.first_chunk().map(|number| (*tag, u64::from_be_bytes(*number)))
}

/// A record to look for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sought {
    sets: Sets,
    /// The layer in which its inode was made, if that is known. It may have any record of it, and no layer
    /// below has one.
    made_in: Option<usize>,
}

impl Sought {
    /// Where nothing is known of any layer.
    pub(super) const ANY: Self = Self { sets: Sets::MAX, made_in: None };
}

impl Known {
    /// Goes on in these layers. `top_written`: the top one may have records that are not known here.
    ///
    /// Layers that were not there before are merged ones: they have nothing that was in none of those which
    /// are there no more, as only the writer, who calls this, adds records to a top layer.
    pub(super) fn follow(&mut self, chain: &Chain, top_written: bool) {
        self.add_waiting();
        let mut before = std::mem::take(&mut self.layers);
        let alike = |(new, old): &(&LayerName, &Layer)| **new == old.name;
        let new_names: Vec<&LayerName> = std::iter::once(&chain.top).chain(&chain.below).collect();
        let same = new_names.iter().copied().rev().zip(before.iter().rev()).take_while(alike).count();
        let rest = before.split_off(before.len().saturating_sub(same));
        let lowest_changed = before.last().map_or(u64::MAX, |layer| layer.first_inode);
        let (gone, kept): (Vec<Layer>, Vec<Layer>) =
            before.into_iter().partition(|layer| !new_names.contains(&&layer.name));
        let changed = new_names.len() - same;
        let mut layers: Vec<Layer> = Vec::with_capacity(new_names.len());
        for name in new_names.iter().take(changed) {
            let is_same = |layer: &&Layer| layer.name == **name;
            layers.push(kept.iter().find(is_same).cloned().unwrap_or_else(|| Layer {
                name: (*name).clone(),
                first_inode: u64::MAX,
                set: None,
            }));
        }
        // Only of the lowest one it is known which inodes were made in it, and what was put there.
        let gone_sets = gone.iter().filter_map(|layer| layer.set).fold(0, |sets, set| sets | set);
        let mut merged = 0;
        if let Some(lowest) = layers.last_mut().filter(|_| changed > 1) {
            let is_new = !kept.iter().any(|layer| layer.name == lowest.name);
            if is_new && gone.iter().all(|layer| layer.set.is_some()) {
                merged = gone_sets & gone_sets.wrapping_neg();
                lowest.set = Some(merged).filter(|set| *set != 0);
            }
            lowest.first_inode = lowest_changed;
        }
        if gone_sets != 0 {
            self.marks.move_all(gone_sets & !merged, merged);
        }
        layers.extend(rest);
        let in_use = layers.iter().filter_map(|layer| layer.set).fold(0, |sets, set| sets | set);
        let is_new_top = same < new_names.len() && !kept.iter().any(|layer| layer.name == chain.top);
        if let Some(top) = layers.first_mut() {
            top.first_inode = chain.first_inode;
            if is_new_top && !top_written {
                top.set = Some(!in_use & in_use.wrapping_add(1));
            }
        }
        (self.last_owner, self.last_whole) = Default::default();
        self.layers = layers;
    }

    /// Notes a record, or a tombstone, that is about to be put into the top layer.
    pub(super) fn note(&mut self, inner: &[u8]) {
        let Some(Layer { set: Some(_), first_inode, .. }) = self.layers.first() else { return };
        let owner = owner_of(inner);
        // The volume's own records are in no layer.
        if owner.is_some_and(|(tag, ino)| tag <= tag::LAYER || ino >= *first_inode) {
            return;
        }
        if let (Some(owner), Some((start, rest))) = (owner, inner.split_at_checked(OWNER_BYTES)) {
            // The beginning of a key is shared by all entries of a directory and all extents of a file.
            let last = if rest.is_empty() { &mut self.last_whole } else { &mut self.last_owner };
            let is_last = std::mem::replace(last, owner) == owner;
            match (rest.is_empty(), is_last) {
                (true, true) => return,
                (false, false) => self.waiting.push(hash(start)),
                _ => {}
            }
        }
        self.waiting.push(hash(inner));
        if self.waiting.len() >= MAX_WAITING {
            self.add_waiting();
        }
    }

    /// Adds what waits to the top layer's set. If there is no room for it, the layer may have any record.
    fn add_waiting(&mut self) {
        let mut waiting = std::mem::take(&mut self.waiting);
        if let Some(set) = self.layers.first().and_then(|top| top.set) {
            let mut adds = waiting.iter().map(|hash| {
                self.marks.add(*hash, set) || {
                    self.make_room();
                    self.marks.add(*hash, set)
                }
            });
            if !adds.all(|is_added| is_added) {
                self.forget(0);
            }
        }
        waiting.clear();
        self.waiting = waiting;
    }

    /// Returns whether puts have to be noted.
    pub(super) fn notes(&self) -> bool {
        self.layers.first().is_some_and(|top| top.set.is_some())
    }

    /// Returns what to look for of a key without the name of its layer.
    pub(super) fn sought(&self, inner: &[u8]) -> Sought {
        Sought { sets: self.marks.sets_of(hash(inner)), made_in: self.made_in(inner) }
    }

    /// Returns the layer in which the inode of a record was made, as far as is known.
    fn made_in(&self, inner: &[u8]) -> Option<usize> {
        let (_, ino) = owner_of(inner)?;
        self.layers.iter().position(|layer| layer.first_inode <= ino)
    }

    /// As [`Known::sought`], for a range of keys: `None` if it may have those of more than one directory or
    /// file.
    pub(super) fn sought_between(&self, start: &[u8], end: &[u8]) -> Option<Sought> {
        let (owner, _) = start.split_at_checked(OWNER_BYTES)?;
        let next = u64::from_be_bytes(*owner.last_chunk()?).checked_add(1)?.to_be_bytes();
        let (tag, _) = owner.split_first()?;
        let bound = (end.first()?, end.get(1..)?);
        (bound <= (tag, next.as_slice())).then(|| self.sought(owner))
    }

    /// Returns whether a layer may have a record: 0 is the top one, which may have any.
    pub(super) fn may_have(&self, layer: usize, sought: Sought) -> bool {
        let made_in = sought.made_in.unwrap_or(usize::MAX);
        let set = self.layers.get(layer).and_then(|layer| layer.set);
        layer == 0 || layer == made_in || layer < made_in && set.is_none_or(|set| sought.sets & set != 0)
    }

    /// Returns whether a record that is about to be deleted, or a tombstone of it, was put into a layer below the
    /// top one, as far as is known without asking.
    ///
    /// Only what is stored is deleted: a name or an inode that was not put into the top layer is below it,
    /// whatever is known of the layers there.
    pub(super) fn is_below(&mut self, inner: &[u8]) -> bool {
        let tag = inner.first().copied().unwrap_or_default();
        match self.made_in(inner) {
            Some(0) => return false,
            Some(_) if tag == tag::INODE => return true,
            _ => self.add_waiting(),
        }
        let in_top = self.layers.first().and_then(|top| top.set).unwrap_or_default();
        let sets = self.marks.sets_of(hash(inner));
        let is_not_in_top = in_top != 0 && sets & in_top == 0;
        sets & !in_top != 0 || is_not_in_top && matches!(tag, tag::INODE | tag::DENTRY)
    }

    /// Forgets the records of the lowest layers until there is room for many more: each record that is noted
    /// is so moved a few times at most.
    fn make_room(&mut self) {
        while !self.marks.has_room() {
            let Some(lowest) = self.layers.iter().skip(1).rposition(|layer| layer.set.is_some()) else {
                return;
            };
            self.forget(1 + lowest);
        }
    }

    /// Forgets which records a layer has: it may have any.
    fn forget(&mut self, layer: usize) {
        if let Some(set) = self.layers.get_mut(layer).and_then(|layer| layer.set.take()) {
            self.marks.move_all(set, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::MAX_KNOWN_PLACES;
    use std::collections::BTreeSet;
    use std::iter;

    fn layer(number: u64) -> LayerName {
        LayerName::Number(number)
    }

    /// The chain of a top layer and layers below it, by their numbers.
    fn chain(numbers: &[u64], first_inode: u64) -> Chain {
        let mut names = numbers.iter().map(|number| layer(*number));
        Chain { top: names.next().unwrap(), below: names.collect(), first_inode }
    }

    fn inode(ino: u64) -> Vec<u8> {
        iter::once(tag::INODE).chain(ino.to_be_bytes()).collect()
    }

    fn name(dir: u64, name: &str) -> Vec<u8> {
        let key = iter::once(tag::DENTRY).chain(dir.to_be_bytes());
        key.chain(name.bytes()).collect()
    }

    fn extent(ino: u64) -> Vec<u8> {
        iter::once(tag::EXTENT).chain(ino.to_be_bytes()).chain([0; 8]).collect()
    }

    /// The layers that are asked for a record.
    fn asked(known: &Known, inner: &[u8]) -> Vec<usize> {
        (0..known.layers.len()).filter(|layer| known.may_have(*layer, known.sought(inner))).collect()
    }

    /// A writer of a volume that had a layer, and has put an inode into each of the next ones.
    fn writer(layers: u64) -> Known {
        let mut known = Known::default();
        known.follow(&chain(&[1], 0), true);
        known.note(&inode(5));
        for top in 2..=layers {
            let numbers: Vec<u64> = (1..=top).rev().collect();
            known.follow(&chain(&numbers, 10 * top), false);
            known.note(&inode(10 * top));
            known.note(&name(1, &format!("n{top}")));
        }
        known
    }

    #[test]
    fn a_record_is_looked_for_where_it_was_put_and_where_nothing_is_known() {
        let mut known = writer(4);
        // The lowest layer was there before.
        assert_eq!(asked(&known, &inode(5)), [0, 3]);
        assert_eq!(asked(&known, &inode(20)), [0, 2]);
        assert_eq!(asked(&known, &inode(30)), [0, 1]);
        assert_eq!(asked(&known, &inode(40)), [0]);
        assert_eq!(asked(&known, &inode(41)), [0]);
        assert_eq!(asked(&known, &name(1, "n3")), [0, 1, 3]);
        assert_eq!(asked(&known, &name(1, "other")), [0, 3]);
        // Whatever is there and not in the top layer is below, also in the lowest one, of which nothing is known.
        for key in [inode(5), inode(30), name(1, "n2"), name(1, "other")] {
            assert!(known.is_below(&key), "{key:?}");
        }
        for key in [inode(40), name(1, "n4"), extent(5)] {
            assert!(!known.is_below(&key), "{key:?}");
        }
        // Nothing is known of a top layer that others may have written.
        known.follow(&chain(&[9, 1], 50), true);
        for key in [name(1, "n2"), name(1, "other")] {
            assert!(!known.is_below(&key), "{key:?}");
        }
    }

    #[test]
    fn a_merged_layer_has_what_the_layers_had_that_are_gone() {
        let mut known = writer(4);
        known.follow(&chain(&[5, 4, 9, 1], 50), false);
        assert_eq!(asked(&known, &inode(40)), [0, 1]);
        assert_eq!(asked(&known, &inode(30)), [0, 2]);
        assert_eq!(asked(&known, &inode(20)), [0, 2]);
        assert_eq!(asked(&known, &name(1, "n3")), [0, 2, 3]);
        // Merged with one of which nothing is known, nothing is known of it.
        known.follow(&chain(&[5, 4, 8], 50), false);
        assert_eq!(asked(&known, &name(1, "none")), [0, 2]);
        assert_eq!(asked(&known, &inode(35)), [0, 2]);
    }

    #[test]
    fn a_layer_that_may_have_been_written_by_others_is_asked_for_all() {
        let mut known = Known::default();
        known.follow(&chain(&[3, 2, 1], 30), true);
        assert_eq!(asked(&known, &inode(7)), [0, 1, 2]);
        assert_eq!(asked(&known, &inode(30)), [0]);
        known.note(&inode(30));
        known.follow(&chain(&[4, 3, 2, 1], 40), false);
        // Only the lowest inode of the layer that was the top one is known.
        assert_eq!(asked(&known, &inode(30)), [0, 1]);
        assert_eq!(asked(&known, &inode(29)), [0, 1, 2, 3]);
    }

    /// Names can be made whose hashes lie at one place of the table.
    #[test]
    fn a_layer_whose_hashes_find_no_place_may_have_any_record() {
        let mut known = writer(3);
        known.follow(&chain(&[4, 3, 2, 1], 40), false);
        let names = (0..).map(|number: u32| name(1, &format!("n{number}")));
        let alike: Vec<Vec<u8>> = names.filter(|key| hash(key) >> 22 == 5).take(300).collect();
        alike.iter().for_each(|key| known.note(key));
        known.follow(&chain(&[5, 4, 3, 2, 1], 50), false);
        assert!(alike.iter().all(|key| known.may_have(1, known.sought(key))));
        assert_eq!(asked(&known, &name(1, "other")), [0, 1, 4]);
        assert!(known.notes(), "the next layer is known again");
    }

    /// Layers as they are, the top one first: their numbers, and the records that each has.
    struct Truth {
        layers: Vec<(u64, BTreeSet<Vec<u8>>)>,
        next_layer: u64,
        next_inode: u64,
    }

    impl Truth {
        fn chain(&self, first_inode: u64) -> Chain {
            chain(&self.layers.iter().map(|(number, _)| *number).collect::<Vec<_>>(), first_inode)
        }

        fn push(&mut self) {
            self.layers.insert(0, (self.next_layer, BTreeSet::new()));
            self.next_layer += 1;
        }

        /// Merges layers below the top one.
        fn merge(&mut self, from: usize, count: usize) {
            let records = self.layers.drain(from..from + count).flat_map(|(_, records)| records).collect();
            self.layers.insert(from, (self.next_layer, records));
            self.next_layer += 1;
        }
    }

    /// A writer beside snapshots, merges, and others who have written a top layer, in an order of chance.
    #[test]
    fn no_layer_is_said_to_lack_a_record_that_it_has() {
        for seed in 0..6 {
            let mut state: u64 = seed;
            let mut chance = move |below: u64| {
                state = state.wrapping_mul(0x5851_f42d_4c95_7f2d_u64).wrapping_add(0x1405_7b7e_f767_814f);
                (state >> 33) % below
            };
            let mut truth = Truth { layers: Vec::new(), next_layer: 1, next_inode: 10 };
            truth.push();
            let mut known = Known::default();
            known.follow(&truth.chain(2), true);
            let (mut lacking, mut having, mut deepest) = (0, 0, 0);
            for _ in 0..120 {
                for _ in 0..chance(40) {
                    truth.next_inode += chance(2);
                    let ino = 2 + chance(truth.next_inode - 1);
                    let key = match chance(3) {
                        0 => inode(ino),
                        1 => extent(ino),
                        _ => name(ino, &format!("n{}", chance(5))),
                    };
                    truth.next_inode = truth.next_inode.max(ino + 1);
                    known.note(&key);
                    truth.layers[0].1.insert(key);
                }
                // Several things may happen before the writer hears of them.
                let mut top_written = false;
                let mut has_new_top = false;
                for _ in 0..=chance(3) {
                    let below = truth.layers.len() as u64 - 1;
                    if below >= 30 || below >= 2 && chance(25) == 0 {
                        let from = chance(below - 1);
                        let count = 2 + chance(below - from - 1);
                        truth.merge(1 + from as usize, count as usize);
                    } else {
                        truth.push();
                        has_new_top = true;
                        top_written = chance(20) == 0;
                        if top_written {
                            truth.layers[0].1.insert(inode(2 + chance(truth.next_inode - 2)));
                        }
                    }
                }
                // Nobody else gives new inodes.
                let first_inode = if has_new_top { truth.next_inode } else { known.layers[0].first_inode };
                known.follow(&truth.chain(first_inode), top_written);
                deepest = deepest.max(truth.layers.len());
                for (layer, (_, records)) in truth.layers.iter().enumerate() {
                    for key in truth.layers.iter().flat_map(|(_, records)| records) {
                        let may_have = known.may_have(layer, known.sought(key));
                        assert!(may_have || !records.contains(key), "seed {seed}: {layer} {key:?}");
                        having += usize::from(records.contains(key));
                        lacking += usize::from(!may_have);
                    }
                }
            }
            assert!(lacking > having && deepest >= 31, "seed {seed}: {lacking} {having} {deepest}");
        }
    }

    #[test]
    fn a_range_is_asked_of_layers_that_have_entries_of_its_directory() {
        let mut known = writer(3);
        known.note(&name(7, "x"));
        known.follow(&chain(&[4, 3, 2, 1], 40), false);
        let in_range = |start: &[u8], end: &[u8]| {
            let sought = known.sought_between(start, end);
            sought.map(|sought| (0..4).filter(|layer| known.may_have(*layer, sought)).collect::<Vec<_>>())
        };
        assert_eq!(in_range(&name(7, ""), &name(8, "")), Some(vec![0, 1, 3]));
        assert_eq!(in_range(&name(7, "a"), &name(7, "b")), Some(vec![0, 1, 3]));
        assert_eq!(in_range(&name(9, ""), &name(10, "")), Some(vec![0, 3]));
        assert_eq!(in_range(&name(7, ""), &name(8, "a")), None);
        assert_eq!(in_range(&name(7, ""), &[]), None);
        assert_eq!(in_range(&[0x11], &[0x12]), None);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut known = writer(2);
        let each = (MAX_KNOWN_PLACES / 4) as u64;
        known.follow(&chain(&[3, 2, 1], u64::MAX), false);
        for top in 4..=6 {
            // The same keys again and again count once.
            (0..each).chain(0..each).for_each(|ino| known.note(&inode(top << 32 | ino)));
            let numbers: Vec<u64> = (1..=top).rev().collect();
            known.follow(&chain(&numbers, u64::MAX), false);
            let kept = known.marks.count();
            // Some keys have the same hash.
            assert!((each as usize - 1000..MAX_KNOWN_PLACES).contains(&kept), "{kept}");
        }
        // The lowest ones are forgotten first.
        let is_known: Vec<bool> = known.layers.iter().map(|layer| layer.set.is_some()).collect();
        assert_eq!(is_known, [true, true, false, false, false, false]);
        // A layer alone that is too large may have any record.
        (0..4 * each).for_each(|ino| known.note(&inode(7 << 32 | ino)));
        assert!(!known.notes());
        assert_eq!((known.marks.count(), known.waiting.len()), (0, 0));
    }
}
