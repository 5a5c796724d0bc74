//! The intended differences from Linux, and those that a host brings.

use std::collections::BTreeSet;

use super::ComparedDirectory;
use super::calls::Call;
use super::linux::Setting;

/// An intended difference.
struct Departure {
    at: fn(&ComparedDirectory) -> bool,
    of: fn(&str) -> bool,
    /// The answers start with these.
    linux: &'static str,
    ours: &'static str,
    because: &'static str,
}

const DEPARTURES: [Departure; 1] = [Departure {
    at: |directory| directory.linux != Setting::Plain,
    of: |call| call.contains("up/.."),
    linux: "",
    ours: "error not-permitted",
    because: "a path never leaves the directory that it starts from",
}];

/// The departures that occurred.
#[derive(Default)]
pub(super) struct Met(BTreeSet<usize>);

impl Met {
    /// Returns true if the answers to a call differ intentionally.
    pub(super) fn allows(
        &mut self,
        directory: &ComparedDirectory,
        call: &Call,
        linux: &str,
        ours: &str,
    ) -> bool {
        let fits = |departure: &Departure| {
            (departure.at)(directory)
                && (departure.of)(&call.line)
                && linux.starts_with(departure.linux)
                && ours.starts_with(departure.ours)
        };
        let found = DEPARTURES.iter().position(fits);
        self.0.extend(found);
        found.is_some()
    }

    /// Fails if a departure that is listed for one of these directories did not occur: the list
    /// must stay true.
    pub(super) fn check(&self, directories: &[ComparedDirectory]) {
        for (number, departure) in DEPARTURES.iter().enumerate() {
            let expected = directories.iter().any(departure.at);
            assert!(
                !expected || self.0.contains(&number),
                "listed, but did not occur: {}",
                departure.because
            );
        }
    }
}
