//! Places: what the rules on paths know of a path.

use crate::pattern::PathState;

/// The states that the rules on paths have for one path: of a walk, a descriptor, or a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Place {
    /// In the policy of the mount.
    pub(crate) rights: PathState,
    /// In the patterns of the volume's scrubbing.
    pub(crate) scrub: PathState,
}

/// The number under which a volume keeps the place of an open descriptor. The default is the
/// default place, which every path has where there are no rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct PlaceNo(u32);

/// Places of open descriptors. They are kept here, since descriptors and the starts of walks are
/// copied with every call, and a place is larger than all the rest of them.
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// The place of number 1 and so on, at most one for each open descriptor.
    kept: Vec<Place>,
    free: Vec<PlaceNo>,
}

impl Places {
    /// Keeps a place for one descriptor.
    #[inline(always)]
    pub(crate) fn keep(&mut self, place: Place) -> PlaceNo {
        if place == Place::default() { PlaceNo::default() } else { self.keep_other(place) }
    }

    #[cold]
    fn keep_other(&mut self, place: Place) -> PlaceNo {
        if let Some(number) = self.free.pop()
            && let Some(kept) = self.kept.get_mut(index(number))
        {
            *kept = place;
            return number;
        }
        self.kept.push(place);
        PlaceNo(u32::try_from(self.kept.len()).unwrap_or(u32::MAX))
    }

    /// Returns the place of an open descriptor.
    #[inline(always)]
    pub(crate) fn get(&self, number: PlaceNo) -> Place {
        if number == PlaceNo::default() {
            return Place::default();
        }
        self.kept.get(index(number)).copied().unwrap_or_default()
    }

    /// Forgets the place of a descriptor that is closed.
    #[inline(always)]
    pub(crate) fn forget(&mut self, number: PlaceNo) {
        if number != PlaceNo::default() {
            self.free.push(number);
        }
    }
}

fn index(number: PlaceNo) -> usize {
    (number.0 as usize).wrapping_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::Patterns;

    #[test]
    fn numbers_of_closed_descriptors_are_given_again() {
        let mut patterns = Patterns::default();
        patterns.add("a/b").unwrap();
        patterns.add("a/c/d").unwrap();
        let below = |state, name| Place { rights: patterns.step(state, name), ..Place::default() };
        let a = below(patterns.start(), "a");
        let places = [a, below(a.rights, "b"), below(a.rights, "c")];
        let mut kept = Places::default();
        let numbers = places.map(|place| kept.keep(place));
        assert_eq!(numbers.map(|number| kept.get(number)), places);
        for _ in 0..100 {
            kept.forget(numbers[1]);
            kept.forget(numbers[0]);
            assert_eq!([kept.keep(places[0]), kept.keep(places[1])], [numbers[0], numbers[1]]);
        }
        assert_eq!((numbers.map(|number| kept.get(number)), kept.kept.len()), (places, 3));
        assert_eq!(kept.keep(Place::default()), PlaceNo::default());
        assert_eq!(kept.get(PlaceNo::default()), Place::default());
    }
}
