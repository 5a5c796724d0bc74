//! The targets that the project set itself, and whether results meet them.

use std::fmt;

use crate::results::Results;

/// The operation's way on the host's file system, and ours.
const HOST: &str = "host/tmpfs";
const LINKED: &str = "linked/memory";
const COMPOSED: &str = "composed/memory";
const LIBRARY: &str = "library/memory";
/// Beside [`LINKED`]: a snapshot each 10 ms.
const SNAPSHOTS: &str = "linked/snapshots";

/// A provider in the component may take at most this many times as long as the same store in the
/// host.
pub const SLOWEST_PROVIDER: f64 = 2.0;
/// A composed guest may take at most this many times as long as the reference of its target.
const SLOWEST_COMPOSED: f64 = 1.5;

/// Providers in the component, each beside the same store in the host.
pub const PROVIDERS: [(&str, &str); 6] = [
    ("composed/memory", "composed/inside/memory"),
    ("linked/memory", "linked/inside/memory"),
    ("composed/file/tmpfs", "composed/inside/file"),
    ("linked/file/tmpfs", "linked/inside/file"),
    ("composed/bucket", "composed/inside/bucket"),
    ("linked/bucket", "linked/inside/bucket"),
];

/// What a target bounds.
#[derive(Clone, Copy, Debug)]
enum Bound {
    /// Composed, µs, within [`SLOWEST_COMPOSED`] times.
    ComposedUs(f64),
    /// Composed, how many times faster than the host's fastest setting.
    ComposedAhead(f64),
    /// Linked, how many times faster than the host's fastest setting.
    LinkedAhead(f64),
    /// Linked, µs.
    LinkedUs(f64),
    /// Composed, µs more than the unchanged guest.
    ComposedMore(f64),
    /// Linked, µs more than the unchanged guest.
    LinkedMore(f64),
    /// Linked beside snapshots, within so many times of the same without.
    BesideSnapshots(f64),
    /// By the library for hosts in memory, µs.
    LibraryUs(f64),
    /// By that library, within so many times of another row, in a store of this way.
    LibraryTimes(f64, &'static str, &'static str),
}

struct Target {
    workload: &'static str,
    /// `None`: the largest that was measured.
    size: Option<u64>,
    row: &'static str,
    bound: Bound,
}

const fn raw(row: &'static str, bound: Bound) -> Target {
    Target { workload: "operations", size: None, row, bound }
}

const fn python(row: &'static str, bound: Bound) -> Target {
    Target { workload: "python-operations", size: None, row, bound }
}

const fn at(workload: &'static str, size: u64, row: &'static str, us: f64) -> Target {
    Target { workload, size: Some(size), row, bound: Bound::LinkedUs(us) }
}

const fn library(workload: &'static str, row: &'static str, bound: Bound) -> Target {
    Target { workload, size: None, row, bound }
}

use Bound::{ComposedAhead, ComposedUs, LinkedAhead};

const FIRST_FORK: &str = "fork, of the first";
const LAST_FORK: &str = "fork, of the last";
/// Two numbers within so many times of each other count as the same.
const AS_FAST: f64 = 1.5;

const BEYOND_THE_CACHE: u64 = 256 << 20;
const LARGE_DIRECTORY: u64 = 100_000;

/// All targets. Those in µs at a size are of files beyond the cache and of large directories.
const ALL: [Target; 61] = [
    raw("create + write 1 KiB + close", ComposedUs(9.7)),
    raw("stat", ComposedUs(1.0)),
    raw("missing name", ComposedUs(0.9)),
    raw("open + read 1 KiB + close", ComposedUs(4.2)),
    raw("readdir, per entry", ComposedUs(0.7)),
    raw("4 KiB stream write", ComposedUs(7.2)),
    raw("4 KiB pread", ComposedUs(2.8)),
    raw("4 KiB pwrite", ComposedUs(1.9)),
    raw("64 KiB write", ComposedUs(22.0)),
    raw("64 KiB stream read", ComposedUs(35.0)),
    raw("rename", ComposedUs(1.8)),
    raw("unlink", ComposedUs(1.7)),
    raw("create + write 1 KiB + close", LinkedAhead(4.0)),
    raw("stat", LinkedAhead(8.0)),
    raw("missing name", LinkedAhead(10.0)),
    raw("open + read 1 KiB + close", LinkedAhead(8.0)),
    raw("readdir, per entry", LinkedAhead(10.0)),
    raw("4 KiB stream write", LinkedAhead(1.5)),
    raw("4 KiB pread", LinkedAhead(2.5)),
    raw("4 KiB pwrite", LinkedAhead(3.0)),
    raw("64 KiB write", LinkedAhead(3.0)),
    raw("64 KiB stream read", LinkedAhead(3.0)),
    raw("rename", LinkedAhead(4.0)),
    raw("unlink", LinkedAhead(4.0)),
    python("create", ComposedAhead(3.5)),
    python("stat", ComposedAhead(3.0)),
    python("open + read", ComposedAhead(7.0)),
    python("missing name", ComposedAhead(2.0)),
    python("scandir, per entry", ComposedAhead(2.3)),
    python("unlink", ComposedAhead(3.0)),
    python("create", LinkedAhead(7.0)),
    python("stat", LinkedAhead(5.0)),
    python("open + read", LinkedAhead(18.0)),
    python("missing name", LinkedAhead(2.5)),
    python("scandir, per entry", LinkedAhead(7.0)),
    python("unlink", LinkedAhead(4.0)),
    raw("create + write 1 KiB + close", Bound::LinkedUs(3.5)),
    raw("rename", Bound::LinkedUs(2.0)),
    at("file", BEYOND_THE_CACHE, "write, per MiB", 500.0),
    at("file", BEYOND_THE_CACHE, "read, per MiB", 500.0),
    at("file", BEYOND_THE_CACHE, "stream read by 64 KiB, per MiB", 500.0),
    at("file", BEYOND_THE_CACHE, "4 KiB pread at random", 4.0),
    at("file", BEYOND_THE_CACHE, "4 KiB pwrite at random", 8.0),
    Target {
        workload: "file",
        size: Some(BEYOND_THE_CACHE),
        row: "copy by 64 KiB streams, per MiB",
        bound: LinkedAhead(1.0),
    },
    at("python-file", BEYOND_THE_CACHE, "write by 1 MiB, per MiB", 500.0),
    at("python-file", BEYOND_THE_CACHE, "read by 1 MiB, per MiB", 500.0),
    Target {
        workload: "python-file",
        size: Some(BEYOND_THE_CACHE),
        row: "shutil.copyfile, per MiB",
        bound: LinkedAhead(1.0),
    },
    at("directory", LARGE_DIRECTORY, "readdir, per entry", 0.4),
    at("python-directory", LARGE_DIRECTORY, "scandir, per entry", 3.0),
    at("python-directory", LARGE_DIRECTORY, "os.stat in order", 6.0),
    // Composed, a guest may need a millisecond more than unchanged; linked, a Rust guest 100 µs.
    Target {
        workload: "instantiation",
        size: None,
        row: "instantiation",
        bound: Bound::ComposedMore(1000.0),
    },
    Target {
        workload: "python-instantiation",
        size: None,
        row: "instantiation",
        bound: Bound::ComposedMore(1000.0),
    },
    Target { workload: "instantiation", size: None, row: "instantiation", bound: Bound::LinkedMore(100.0) },
    Target {
        workload: "python-instantiation",
        size: None,
        row: "instantiation",
        bound: Bound::LinkedMore(1000.0),
    },
    Target {
        workload: "directory",
        size: Some(LARGE_DIRECTORY),
        row: "create + write 100 B + close",
        bound: Bound::BesideSnapshots(1.1),
    },
    library("forks", "snapshot of a changed volume", Bound::LibraryUs(100.0)),
    library("forks", "diff of 10 changed files", Bound::LibraryUs(1000.0)),
    library("forks", "merge of 100 changed files", Bound::LibraryUs(5000.0)),
    library("many-forks", "list of all", Bound::LibraryUs(1_000_000.0)),
    library("many-forks", LAST_FORK, Bound::LibraryTimes(AS_FAST, FIRST_FORK, LIBRARY)),
    library("many-forks", LAST_FORK, Bound::LibraryTimes(AS_FAST, FIRST_FORK, "library/file/tmpfs")),
];

/// A target beside what was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// The workload.
    pub workload: &'static str,
    /// Its size.
    pub size: u64,
    /// The operation.
    pub row: &'static str,
    /// What was measured and what was to be reached.
    pub text: String,
    /// Whether it was reached.
    pub met: bool,
}

impl fmt::Display for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.text, if self.met { "" } else { ": MISSED" })
    }
}

/// Judges the targets for which everything was measured.
pub fn judge(results: &Results) -> Vec<Judged> {
    ALL.iter().filter_map(|target| target.judge(results)).collect()
}

impl Target {
    fn judge(&self, results: &Results) -> Option<Judged> {
        let size = self.size.or_else(|| results.sizes(self.workload).last().copied())?;
        let median = |way| results.median(self.workload, size, way, self.row);
        let ahead = |how: &str, ours: f64, target: f64| {
            let times = median(HOST)? / ours;
            Some((format!("{how} {times:.1} x faster than the host, at least {target}"), times >= target))
        };
        let more = |how: &str, ours: f64, target: f64| {
            let more = ours - median(HOST)?;
            Some((format!("{how} {more:.0} µs more, at most {target}"), more <= target))
        };
        let (text, met) = match self.bound {
            Bound::ComposedUs(target) => {
                let times = median(COMPOSED)? / target;
                let text = format!("composed {times:.2} of {target} µs, at most {SLOWEST_COMPOSED}");
                (text, times <= SLOWEST_COMPOSED)
            }
            Bound::LinkedUs(target) => {
                let ours = median(LINKED)?;
                (format!("linked {ours:.2} µs, at most {target}"), ours <= target)
            }
            Bound::ComposedAhead(target) => ahead("composed", median(COMPOSED)?, target)?,
            Bound::LinkedAhead(target) => ahead("linked", median(LINKED)?, target)?,
            Bound::ComposedMore(target) => more("composed", median(COMPOSED)?, target)?,
            Bound::LinkedMore(target) => more("linked", median(LINKED)?, target)?,
            Bound::BesideSnapshots(target) => {
                let times = median(SNAPSHOTS)? / median(LINKED)?;
                (
                    format!("beside snapshots {times:.2} times the same without, at most {target}"),
                    times <= target,
                )
            }
            Bound::LibraryUs(target) => {
                let ours = median(LIBRARY)?;
                (format!("{ours:.0} µs in memory, at most {target}"), ours <= target)
            }
            Bound::LibraryTimes(target, other, way) => {
                let times = median(way)? / results.median(self.workload, size, way, other)?;
                (format!("{way}: {times:.2} times {other}, at most {target}"), times <= target)
            }
        };
        Some(Judged { workload: self.workload, size, row: self.row, text, met })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lines::Line;
    use crate::{way, workload};

    fn results(measured: &[(&str, &str, u64)]) -> Results {
        let mut results = Results::new("quick", 1);
        for (way, row, us) in measured {
            let line = Line { name: (*row).into(), count: 1, amount: us * 1000 };
            results.add("operations", 2000, way, &line);
        }
        results
    }

    fn ways_of(bound: Bound) -> Vec<&'static str> {
        match bound {
            Bound::ComposedUs(_) => vec![COMPOSED],
            Bound::LinkedUs(_) => vec![LINKED],
            Bound::ComposedAhead(_) | Bound::ComposedMore(_) => vec![COMPOSED, HOST],
            Bound::LinkedAhead(_) | Bound::LinkedMore(_) => vec![LINKED, HOST],
            Bound::BesideSnapshots(_) => vec![LINKED, SNAPSHOTS],
            Bound::LibraryUs(_) => vec![LIBRARY],
            Bound::LibraryTimes(_, _, way) => vec![way],
        }
    }

    #[test]
    fn a_target_is_met_or_missed_and_silent_without_measurements() {
        assert_eq!(judge(&results(&[])), []);
        let judged = judge(&results(&[(COMPOSED, "stat", 2), (LINKED, "stat", 1), (HOST, "stat", 8)]));
        let met: Vec<_> = judged.iter().map(|judged| (judged.row, judged.met)).collect();
        assert_eq!(met, [("stat", false), ("stat", true)]);
        assert!(judged[0].to_string().ends_with("MISSED"), "{}", judged[0]);
        assert_eq!(judge(&results(&[(LINKED, "stat", 1)])), [], "there is nothing to compare with");
    }

    #[test]
    fn targets_name_workloads_and_ways_that_there_are() {
        for target in &ALL {
            let workload = workload::find(target.workload).unwrap_or_else(|| panic!("{}", target.workload));
            let sizes = workload.sizes(workload::Class::Usual);
            assert!(target.size.is_none_or(|size| sizes.contains(&size)), "{}", target.row);
            assert!(ways_of(target.bound).iter().all(|way| workload.ways().contains(way)), "{}", target.row);
        }
        for (host, inside) in PROVIDERS {
            assert!(way::find(host).is_some() && way::find(inside).is_some(), "{host} {inside}");
        }
    }
}
