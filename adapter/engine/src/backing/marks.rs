//! Sets of hashes, in one table: one look tells all sets that have a hash.

use crate::limits::MAX_KNOWN_PLACES;

/// A set, or several: a bit for each.
pub(super) type Sets = u64;

/// Sets of a table.
pub(super) const MAX_SETS: u32 = 33;

const ALL_SETS: Sets = (1 << MAX_SETS) - 1;

/// Places of a table that has any.
const MIN_PLACES: usize = 1 << 10;

/// Places that are looked at for a hash. By chance so many are not needed in a table of any size.
const MAX_PROBES: usize = 256;

/// Hashes, each with the sets that have it.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// The hash in the upper bits, at least one of which is set, and its sets in the lower ones. 0 is a free
    /// place. A hash lies at its share of the table, or behind.
    places: Vec<u64>,
    /// Places that are not free. Some may have hashes of no set.
    taken: usize,
}

impl Marks {
    /// The hash as places have it.
    fn mark(hash: u32) -> u64 {
        u64::from(hash | 2) << 32 & !ALL_SETS
    }

    /// Returns the places where a hash can be, the first one first.
    fn probes(&self, mark: u64) -> impl Iterator<Item = usize> + use<> {
        let count = self.places.len();
        let first = (((mark >> 32) * count as u64) >> 32) as usize;
        (first..first + MAX_PROBES.min(count)).map(move |place| place & count.wrapping_sub(1))
    }

    /// Returns the sets that have a hash.
    #[inline(never)]
    pub(super) fn sets_of(&self, hash: u32) -> Sets {
        let mark = Self::mark(hash);
        for place in self.probes(mark) {
            match self.places.get(place) {
                Some(found) if *found & !ALL_SETS == mark => return found & ALL_SETS,
                None | Some(0) => break,
                _ => {}
            }
        }
        0
    }

    /// Adds a hash to a set. Returns false if there is no room for it.
    pub(super) fn add(&mut self, hash: u32, set: Sets) -> bool {
        // At most five eighths of the places, so that a free one is near.
        if self.taken >= self.places.len() / 8 * 5 && !self.grow() {
            return false;
        }
        self.put(Self::mark(hash), set)
    }

    fn put(&mut self, mark: u64, sets: Sets) -> bool {
        for place in self.probes(mark) {
            let Some(found) = self.places.get_mut(place) else { break };
            self.taken += usize::from(*found == 0);
            if *found == 0 || *found & !ALL_SETS == mark {
                *found |= mark | sets;
                return true;
            }
        }
        false
    }

    /// Forgets hashes of no set, and takes more memory if there are still many. Returns false, and changes
    /// nothing, if there is no room for all.
    fn grow(&mut self) -> bool {
        let count = self.places.len();
        let more = if self.count() >= count / 8 * 3 { count * 2 } else { count };
        if more > MAX_KNOWN_PLACES {
            return false;
        }
        let mut grown = Self { places: vec![0; more.max(MIN_PLACES)], taken: 0 };
        // In their order, near which they lie in the new table.
        let mut kept = self.places.iter().filter(|found| *found & ALL_SETS != 0);
        let fits = kept.all(|found| grown.put(found & !ALL_SETS, found & ALL_SETS));
        if fits {
            *self = grown;
        }
        fits
    }

    /// Returns whether there is room for many more.
    pub(super) fn has_room(&self) -> bool {
        self.count() < MAX_KNOWN_PLACES / 8 * 3
    }

    /// Returns how many hashes are in a set.
    pub(super) fn count(&self) -> usize {
        self.places.iter().filter(|found| *found & ALL_SETS != 0).count()
    }

    /// Moves the hashes of some sets to others: `to` has none of `from`.
    pub(super) fn move_all(&mut self, from: Sets, to: Sets) {
        for found in &mut self.places {
            if *found & from != 0 {
                *found = *found & !from | to;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn spread(number: u32) -> u32 {
        number.wrapping_mul(0x9e37_79b9)
    }

    /// Returns the sets that a table has to name for a hash, of which it keeps 30 bits.
    fn expected(model: &HashMap<u32, Sets>, hash: u32) -> Sets {
        model.get(&(hash >> 1 | 1)).copied().unwrap_or_default()
    }

    #[test]
    fn each_hash_is_found_in_its_sets_while_the_table_grows_and_sets_move() {
        let (mut marks, mut model) = (Marks::default(), HashMap::<u32, Sets>::new());
        let mut chance = 1_u32;
        for number in 0..60_000 {
            chance = chance.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let (hash, set) = (spread(chance % 20_000), 1 << ((chance >> 8) % MAX_SETS));
            assert!(marks.add(hash, set));
            *model.entry(hash >> 1 | 1).or_default() |= set;
            if number % 5_000 == 0 {
                let (from, to) = (0b10110 << (number / 5_000), if number % 10_000 == 0 { 1 } else { 0 });
                marks.move_all(from, to);
                for sets in model.values_mut().filter(|sets| **sets & from != 0) {
                    *sets = *sets & !from | to;
                }
            }
        }
        for number in 0..40_000 {
            assert_eq!(marks.sets_of(spread(number)), expected(&model, spread(number)), "{number}");
        }
        assert_eq!(marks.count(), model.values().filter(|sets| **sets != 0).count());
        assert!(marks.places.len() <= 1 << 16, "{}", marks.places.len());
    }

    #[test]
    fn hashes_at_the_ends_are_found_and_an_empty_table_has_none() {
        let mut marks = Marks::default();
        let ends = [0, 1, 2, 3, 4, u32::MAX, u32::MAX - 4, 1 << 31];
        assert!(ends.iter().all(|hash| marks.sets_of(*hash) == 0));
        for (set, hash) in ends.iter().enumerate() {
            assert!(marks.add(*hash, 1 << set));
        }
        for (set, hash) in ends.iter().enumerate() {
            assert_ne!(marks.sets_of(*hash) & 1 << set, 0, "{hash}");
        }
        assert!(marks.add(7, 1 << (MAX_SETS - 1)));
        assert_eq!(marks.sets_of(7) >> (MAX_SETS - 1), 1);
    }

    /// Names can be made whose hashes lie at one place: then it is said that there is no room, and what is
    /// there stays.
    #[test]
    fn hashes_that_are_made_to_lie_at_one_place_are_bounded() {
        let mut marks = Marks::default();
        let alike: Vec<u32> = (0..MAX_PROBES as u32 + 10).map(|number| number << 2).collect();
        let fitting = alike.iter().take_while(|hash| marks.add(**hash, 1)).count();
        assert!((MAX_PROBES / 2..=MAX_PROBES).contains(&fitting), "{fitting}");
        assert!(alike.iter().take(fitting).all(|hash| marks.sets_of(*hash) == 1));
        assert_eq!(marks.sets_of(alike[fitting]), 0);
        assert!(marks.add(u32::MAX / 2, 2));
    }

    #[test]
    fn a_full_table_refuses_more_and_takes_them_once_a_set_is_forgotten() {
        let mut marks = Marks::default();
        let fitting = (0..).take_while(|number| marks.add(spread(*number), 1 << (number % 2))).count();
        assert!(fitting > MAX_KNOWN_PLACES / 2 && marks.places.len() == MAX_KNOWN_PLACES, "{fitting}");
        let last = spread(fitting as u32 - 1);
        assert_ne!(marks.sets_of(last), 0);
        assert!(!marks.add(spread(u32::MAX), 1));
        marks.move_all(1, 0);
        assert!(marks.add(spread(u32::MAX), 1));
        assert_eq!((marks.sets_of(spread(1)), marks.sets_of(spread(2))), (2, 0));
    }
}
