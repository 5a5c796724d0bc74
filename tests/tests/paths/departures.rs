//! Where we differ from Linux on purpose, or where hosts do.

use std::collections::BTreeSet;

use super::Place;
use super::calls::Call;
use super::linux::Setting;

/// A difference on purpose.
struct Departure {
    at: fn(&Place) -> bool,
    of: fn(&str) -> bool,
    /// What the answers start with.
    linux: &'static str,
    ours: &'static str,
    because: &'static str,
}

const DEPARTURES: [Departure; 1] = [Departure {
    at: |place| place.linux != Setting::Plain,
    of: |call| call.contains("up/.."),
    linux: "",
    ours: "error not-permitted",
    because: "a path never leaves the directory that it starts from",
}];

/// Which departures were seen.
#[derive(Default)]
pub(super) struct Met(BTreeSet<usize>);

impl Met {
    /// Whether the answers to a call differ on purpose.
    pub(super) fn allows(&mut self, place: &Place, call: &Call, linux: &str, ours: &str) -> bool {
        let fits = |departure: &Departure| {
            (departure.at)(place)
                && (departure.of)(&call.line)
                && linux.starts_with(departure.linux)
                && ours.starts_with(departure.ours)
        };
        let found = DEPARTURES.iter().position(fits);
        self.0.extend(found);
        found.is_some()
    }

    /// Fails if a departure was not seen that is to be at one of these places: the list says what is true.
    pub(super) fn check(&self, places: &[Place]) {
        for (number, departure) in DEPARTURES.iter().enumerate() {
            let expected = places.iter().any(departure.at);
            assert!(!expected || self.0.contains(&number), "not seen: {}", departure.because);
        }
    }
}
