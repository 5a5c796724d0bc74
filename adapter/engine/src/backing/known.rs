//! Which records the layers of a volume cannot have, as far as its writer knows: it wrote them itself.
//!
//! A snapshot now and then beside a writer leaves up to 32 layers of what the writer wrote meanwhile. Without
//! this, a record that is not in memory is looked for in each of them. All that is kept here errs on one
//! side: a layer that is said to lack a record lacks it.

use super::chain::Chain;
use crate::limits::MAX_KNOWN_RECORDS;
use crate::sort::sort_numbers;
use crate::stored::layer_name::LayerName;
use crate::stored::tag;
use xxhash_rust::xxh64::xxh64;

/// A tag and an inode's number: what the keys of a directory's entries, and of a file's extents, begin with.
const OWNER_BYTES: usize = 9;

/// So many hashes are looked at first beside the place where one has to be about: as many as are in a cache
/// line.
const NEAR: usize = 16;

/// The layers of a volume, from the top one down, and what each may have.
#[derive(Debug, Default)]
pub(crate) struct Known {
    layers: Vec<Layer>,
    /// Hashes that are kept of the layers below the top one.
    below_count: usize,
}

#[derive(Debug, Clone)]
struct Layer {
    name: LayerName,
    /// Inodes from this number on are in no layer below this one.
    first_inode: u64,
    /// Records that it may have of inodes with lower numbers; `None`: any.
    records: Option<Hashes>,
}

/// Hashes of keys of records, without the name of the layer, and of what the keys of entries and extents
/// begin with.
#[derive(Debug, Clone, Default)]
struct Hashes {
    hashes: Vec<u32>,
    /// So many at the beginning are in order, each there once.
    sorted: usize,
    /// What the last key of an entry or extent began with, that of the directory or file.
    last_owner: Owner,
    /// The key of the last inode: that of a directory, if files are made in it.
    last_inode: Owner,
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

impl Hashes {
    /// Adds the key of a record.
    fn add(&mut self, inner: &[u8]) {
        if let (Some(owner), Some((start, rest))) = (owner_of(inner), inner.split_at_checked(OWNER_BYTES)) {
            // The beginning of a key is shared by all entries of a directory and all extents of a file.
            let last = if rest.is_empty() { &mut self.last_inode } else { &mut self.last_owner };
            let is_last = std::mem::replace(last, owner) == owner;
            match (rest.is_empty(), is_last) {
                (true, true) => return,
                (false, false) => self.hashes.push(hash(start)),
                _ => {}
            }
        }
        self.hashes.push(hash(inner));
        if self.hashes.len() >= (2 * self.sorted).max(1024) {
            self.sort();
        }
    }

    fn sort(&mut self) {
        if self.sorted == self.hashes.len() {
            return;
        }
        sort_numbers(&mut self.hashes);
        self.hashes.dedup();
        self.sorted = self.hashes.len();
    }

    fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Looks where a hash has to be about, since hashes are spread evenly, and farther from there on both
    /// sides until it has to be between.
    #[inline(never)]
    fn has(&self, hash: u32) -> bool {
        let at = ((u64::from(hash) * self.hashes.len() as u64) >> 32) as usize;
        let (mut from, mut to, mut step) = (at, at, NEAR);
        let lies = |at: usize, is_between: fn(&u32, &u32) -> bool| {
            self.hashes.get(at).is_some_and(|found| is_between(found, &hash))
        };
        while from > 0 && lies(from, u32::gt) {
            from = from.saturating_sub(step);
            step *= 2;
        }
        while lies(to, u32::le) {
            to += step;
            step *= 2;
        }
        let between = self.hashes.get(from..to.min(self.hashes.len()));
        between.is_some_and(|between| between.binary_search(&hash).is_ok())
    }
}

/// Returns what all these layers have together; `None` if one may have any record, or there is none.
fn union(layers: &[Layer]) -> Option<Hashes> {
    let all: Option<Vec<&Hashes>> = layers.iter().map(|layer| layer.records.as_ref()).collect();
    let all = all.filter(|all| !all.is_empty())?;
    let mut hashes = Vec::with_capacity(all.iter().map(|hashes| hashes.len()).sum());
    all.iter().for_each(|other| hashes.extend_from_slice(&other.hashes));
    let mut together = Hashes { hashes, ..Hashes::default() };
    together.sort();
    Some(together)
}

/// A record to look for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sought {
    hash: u32,
    /// The layer in which its inode was made, if that is known. It may have any record of it, and no layer
    /// below has one.
    made_in: Option<usize>,
}

impl Sought {
    /// Where nothing is known of any layer.
    pub(super) const ANY: Self = Self { hash: 0, made_in: None };
}

impl Known {
    /// Goes on in these layers. `top_written`: the top one may have records that are not known here.
    ///
    /// Layers that were not there before are merged ones: they have nothing that was in none of those which
    /// are there no more, as only the writer, who calls this, adds records to a top layer.
    pub(super) fn follow(&mut self, chain: &Chain, top_written: bool) {
        let mut before = std::mem::take(&mut self.layers);
        let alike = |(new, old): &(&LayerName, &Layer)| **new == old.name;
        let new_names: Vec<&LayerName> = std::iter::once(&chain.top).chain(&chain.below).collect();
        let same = new_names.iter().copied().rev().zip(before.iter().rev()).take_while(alike).count();
        let rest = before.split_off(before.len().saturating_sub(same));
        let lowest_changed = before.last().map_or(u64::MAX, |layer| layer.first_inode);
        let (gone, kept): (Vec<Layer>, Vec<Layer>) =
            before.into_iter().partition(|layer| !new_names.contains(&&layer.name));
        let merged = union(&gone);
        let mut layers: Vec<Layer> = Vec::with_capacity(new_names.len());
        let changed = new_names.len() - same;
        for (at, name) in new_names.iter().take(changed).enumerate() {
            let mut layer = match kept.iter().find(|layer| layer.name == **name) {
                Some(layer) => layer.clone(),
                None => Layer {
                    name: (*name).clone(),
                    first_inode: u64::MAX,
                    records: match at {
                        0 if top_written => None,
                        0 => Some(Hashes::default()),
                        // Only of the lowest one it is known which inodes were made in it.
                        _ if at + 1 == changed => merged.clone(),
                        _ => None,
                    },
                },
            };
            if at > 0 && at + 1 == changed {
                layer.first_inode = lowest_changed;
            }
            layers.push(layer);
        }
        layers.extend(rest);
        if let Some(top) = layers.first_mut() {
            top.first_inode = chain.first_inode;
        }
        for hashes in layers.iter_mut().skip(1).filter_map(|layer| layer.records.as_mut()) {
            hashes.sort();
        }
        self.layers = layers;
        self.make_room();
    }

    /// Notes a record, or a tombstone, that is about to be put into the top layer.
    pub(super) fn note(&mut self, inner: &[u8]) {
        let Some(Layer { records: Some(hashes), first_inode, .. }) = self.layers.first_mut() else { return };
        if owner_of(inner).is_some_and(|(_, ino)| ino >= *first_inode) {
            return;
        }
        hashes.add(inner);
        if self.below_count + hashes.len() > MAX_KNOWN_RECORDS {
            hashes.sort();
            self.make_room();
        }
    }

    /// Returns whether puts have to be noted.
    pub(super) fn notes(&self) -> bool {
        self.layers.first().is_some_and(|top| top.records.is_some())
    }

    /// Returns what to look for of a key without the name of its layer.
    pub(super) fn sought(&self, inner: &[u8]) -> Sought {
        let made_in = owner_of(inner)
            .and_then(|(_, ino)| self.layers.iter().position(|layer| layer.first_inode <= ino));
        Sought { hash: hash(inner), made_in }
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
        let hashes = self.layers.get(layer).and_then(|layer| layer.records.as_ref());
        layer == 0
            || layer == made_in
            || layer < made_in && hashes.is_none_or(|hashes| hashes.has(sought.hash))
    }

    /// Returns whether a record, or a tombstone, was put into a layer below the top one, as far as is known
    /// without asking.
    pub(super) fn is_below(&self, inner: &[u8]) -> bool {
        let Sought { hash, made_in } = self.sought(inner);
        let is_inode = inner.first() == Some(&tag::INODE);
        let made_below = made_in.is_some_and(|layer| layer > 0);
        let mut hashes = self.layers.iter().skip(1).filter_map(|layer| layer.records.as_ref());
        is_inode && made_below || hashes.any(|hashes| hashes.has(hash))
    }

    /// Forgets the records of the lowest layers until there is room for many more: each record that is noted
    /// is so put in order a few times at most.
    fn make_room(&mut self) {
        loop {
            let known = |layer: &Layer| layer.records.as_ref().map_or(0, Hashes::len);
            let count: usize = self.layers.iter().map(known).sum();
            self.below_count = count - self.layers.first().map_or(0, known);
            let lowest = self.layers.iter_mut().rev().find(|layer| layer.records.is_some());
            match lowest {
                Some(lowest) if count > MAX_KNOWN_RECORDS - MAX_KNOWN_RECORDS / 8 => lowest.records = None,
                _ => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
        let known = writer(4);
        // The lowest layer was there before.
        assert_eq!(asked(&known, &inode(5)), [0, 3]);
        assert_eq!(asked(&known, &inode(20)), [0, 2]);
        assert_eq!(asked(&known, &inode(30)), [0, 1]);
        assert_eq!(asked(&known, &inode(40)), [0]);
        assert_eq!(asked(&known, &inode(41)), [0]);
        assert_eq!(asked(&known, &name(1, "n3")), [0, 1, 3]);
        assert_eq!(asked(&known, &name(1, "other")), [0, 3]);
        for key in [inode(5), inode(30), name(1, "n2")] {
            assert!(known.is_below(&key), "{key:?}");
        }
        for key in [inode(40), name(1, "n4"), name(1, "other"), name(30, "n")] {
            assert!(!known.is_below(&key), "{key:?}");
        }
    }

    #[test]
    fn a_hash_is_found_wherever_it_lies() {
        for count in [0, 1, 2, 15, 16, 17, 100, 5_000] {
            for uneven in [false, true] {
                let spread = |number: u32| hash(&number.to_be_bytes());
                let mut hashes = Hashes::default();
                let all = (0..count).map(|number| if uneven { number * 3 } else { spread(number) });
                hashes.hashes = all.clone().collect();
                if count > 0 {
                    hashes.hashes.extend([0, u32::MAX]);
                }
                hashes.sort();
                let has: BTreeSet<u32> = hashes.hashes.iter().copied().collect();
                let beside = all.flat_map(|hash| [hash.wrapping_sub(1), hash, hash.wrapping_add(1)]);
                for hash in beside.chain([0, 1, u32::MAX - 1, u32::MAX]) {
                    assert_eq!(hashes.has(hash), has.contains(&hash), "{hash} of {count}");
                }
            }
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
        let each = (MAX_KNOWN_RECORDS / 2) as u64;
        known.follow(&chain(&[3, 2, 1], u64::MAX), false);
        for top in 4..=6 {
            // The same keys again and again count once.
            (0..each).chain(0..each).for_each(|ino| known.note(&inode(top << 32 | ino)));
            let numbers: Vec<u64> = (1..=top).rev().collect();
            known.follow(&chain(&numbers, u64::MAX), false);
            let all = known.layers.iter().filter_map(|layer| layer.records.as_ref());
            let kept = all.map(Hashes::len).sum();
            // Some keys have the same hash.
            assert!((each as usize - 1000..=MAX_KNOWN_RECORDS).contains(&kept), "{kept}");
        }
        // The lowest ones are forgotten first.
        let is_known: Vec<bool> = known.layers.iter().map(|layer| layer.records.is_some()).collect();
        assert_eq!(is_known, [true, true, false, false, false, false]);
    }
}
