//! Shares: the volumes of one table hold no more together than one of them alone may.

use crate::store::Durability;
use crate::volume::Volume;
use crate::volume::amounts::Amounts;

/// Operations after which a volume that none of them used gives back all that it can.
const IDLE_OPERATIONS: u32 = 1024;

/// The amounts that the volumes of a table hold, and may hold together.
///
/// Only the volume that was used last changes what it holds. So one addition keeps the sum, however
/// many volumes there are.
#[derive(Debug)]
pub(crate) struct Shares {
    /// The most that any of them may hold.
    total: Amounts,
    /// Each volume of the table.
    places: Vec<Place>,
    /// The share of a volume without a ceiling of its own; others have less. It changes with the
    /// volumes that are in use.
    share: Amounts,
    /// The sum over all volumes.
    sum: Amounts,
    last: Option<usize>,
    /// Counts descriptors that are open beside those of the volumes, and take from their total.
    outside: Option<fn() -> u32>,
    /// Their number when a volume was last told what it may hold.
    told_outside: u32,
    /// Operations since idle volumes were looked for.
    operations: u32,
}

#[derive(Debug, Clone)]
struct Place {
    /// The amounts that it held when it was used last.
    held: Amounts,
    /// The most that it may hold, whatever the others leave.
    ceiling: Amounts,
    /// It was used since idle volumes were looked for.
    in_use: bool,
    /// It was in use then.
    was_in_use: bool,
}

impl Shares {
    pub(crate) fn new(volumes: usize) -> Self {
        let unused = Place { held: Amounts::NONE, ceiling: Amounts::NONE, in_use: false, was_in_use: false };
        Self {
            total: Amounts::NONE,
            places: vec![unused; volumes],
            share: Amounts::NONE,
            sum: Amounts::NONE,
            last: None,
            outside: None,
            told_outside: 0,
            operations: 0,
        }
    }

    /// Adds a volume that was opened.
    pub(crate) fn add(&mut self, number: usize, volume: &Volume) {
        self.total = self.total.max(Amounts::of_options(&volume.options));
        if let Some(place) = self.places.get_mut(number) {
            place.ceiling = Amounts::own(&volume.options);
        }
    }

    /// Forgets what a volume holds that is open no more. It may be added again.
    pub(crate) fn forget(&mut self, number: usize) {
        if let Some(place) = self.places.get_mut(number) {
            self.sum = self.sum.without(place.held);
            place.held = Amounts::NONE;
        }
        // The next volume is told its share, also if it is this one.
        self.last = self.last.filter(|last| *last != number);
    }

    /// Takes the descriptors that `count` returns from what the volumes may have open together.
    pub(crate) fn count_outside(&mut self, count: fn() -> u32) {
        self.outside = Some(count);
    }

    /// Notes that a volume is used next, which may hold what the others leave. If that is less than
    /// its share, the others give back what they hold beyond theirs.
    pub(crate) fn turn_to(&mut self, number: usize, volumes: &mut [Option<Volume>]) {
        self.operations = self.operations.saturating_add(1);
        let look = self.operations >= IDLE_OPERATIONS;
        let outside = self.outside.map_or(0, |count| count());
        if self.last == Some(number) && !look && self.told_outside == outside {
            return;
        }
        self.told_outside = outside;
        if let Some(last) = self.last.replace(number) {
            self.count(last, volumes);
        }
        let mut ceiling = Amounts::NONE;
        let mut others_share = look;
        if let Some(place) = self.places.get_mut(number) {
            others_share |= !place.in_use && !place.was_in_use;
            (place.in_use, ceiling) = (true, place.ceiling);
        }
        if look {
            self.take_from(number, volumes, |place| if place.in_use { None } else { Some(Amounts::NONE) });
            self.operations = 0;
            for place in &mut self.places {
                place.was_in_use = std::mem::take(&mut place.in_use);
            }
        }
        if others_share {
            let places = self.places.iter().filter(|place| place.in_use || place.was_in_use);
            self.share = self.total.share(places.map(|place| place.ceiling));
        }
        let (all, share) = (self.share, self.share.min(ceiling));
        if self.rest_for(number).is_less_than(share) {
            self.take_from(number, volumes, |_| Some(all));
        }
        let rest = self.rest_for(number).max(share);
        if let Some(Some(volume)) = volumes.get_mut(number) {
            volume.allow(rest);
        }
    }

    /// Makes the volumes but `number` give back what they hold beyond what `leave` says, if
    /// anything.
    fn take_from(
        &mut self,
        number: usize,
        volumes: &mut [Option<Volume>],
        leave: impl Fn(&Place) -> Option<Amounts>,
    ) {
        for other in (0..volumes.len()).filter(|other| *other != number) {
            let left = self
                .places
                .get(other)
                .and_then(|place| leave(place).filter(|left| left.is_exceeded_by(place.held)));
            if let (Some(left), Some(Some(volume))) = (left, volumes.get_mut(other)) {
                volume.give_back(left);
                self.count(other, volumes);
            }
        }
    }

    /// Counts again what a volume holds.
    fn count(&mut self, number: usize, volumes: &[Option<Volume>]) {
        let (Some(Some(volume)), Some(place)) = (volumes.get(number), self.places.get_mut(number)) else {
            return;
        };
        let held = volume.held();
        self.sum = self.sum.without(place.held).and(held);
        place.held = held;
    }

    /// The rest that the others leave for a volume.
    fn rest_for(&self, number: usize) -> Amounts {
        let own = self.places.get(number).map_or(Amounts::NONE, |place| place.held);
        let others = self.sum.without(own).and(Amounts::open_alone(self.told_outside));
        self.total.without(others)
    }
}

impl Volume {
    /// How much is held now.
    fn held(&self) -> Amounts {
        let dirty = &self.cache.dirty;
        let dirty = (dirty.bytes, dirty.metadata_entries());
        Amounts::new(self.cache.held(), dirty, self.open_descriptors, self.snapshot_entries)
    }

    /// Sets how much may be held from the next operation on, but no more than the options say.
    fn allow(&mut self, amounts: Amounts) {
        self.allowed = amounts.min(Amounts::own(&self.options));
        self.cache.set_limits(self.allowed.cache());
    }

    /// Gives back what is held beyond `amounts`, as far as possible: evicts, and stores what is
    /// dirty. The next change or sync tells if storing failed.
    fn give_back(&mut self, amounts: Amounts) {
        let dirty = &self.cache.dirty;
        let too_dirty =
            dirty.bytes > amounts.dirty_bytes() || dirty.metadata_entries() > amounts.dirty_entries();
        if too_dirty && self.pending.placing.is_none() {
            let outcome = self.commit(Durability::Buffered);
            self.tell_later(outcome);
        }
        self.cache.set_limits(amounts.cache());
        self.cache.trim();
    }
}
