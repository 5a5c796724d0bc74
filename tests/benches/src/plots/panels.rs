//! Which plots there are, and what each panel of them shows.

use crate::lines::{INSTANCE_MEMORY, PROCESS_MEMORY};
use crate::results::{Results, Row};
use crate::workload::SizeOf;

/// What panels look like.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    /// Cost against size, both in powers of ten.
    Lines,
    /// The cost at the largest size, a bar for each way.
    Bars,
}

/// An operation of a workload.
#[derive(Clone, Copy, Debug)]
pub(super) struct Panel {
    pub(super) workload: &'static str,
    pub(super) row: &'static str,
    pub(super) title: &'static str,
}

/// A file with panels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plot<'p> {
    pub(super) file: &'static str,
    pub(super) title: &'static str,
    pub(super) shape: Shape,
    pub(super) panels: &'p [Panel],
}

const fn file(row: &'static str, title: &'static str) -> Panel {
    Panel { workload: "file", row, title }
}

const fn directory(row: &'static str, title: &'static str) -> Panel {
    Panel { workload: "directory", row, title }
}

const fn python(workload: &'static str, row: &'static str, title: &'static str) -> Panel {
    Panel { workload, row, title }
}

/// All plots.
pub(super) const ALL: [Plot<'_>; 4] = [
    Plot {
        file: "file.svg",
        title: "One file, by its size (raw WASI guest)",
        shape: Shape::Lines,
        panels: &[
            file("write, per MiB", "write, µs per MiB"),
            file("read, per MiB", "read, µs per MiB"),
            file("copy by 64 KiB streams, per MiB", "copy, µs per MiB"),
            file("4 KiB pread at random", "4 KiB read at random, µs"),
            file("4 KiB pwrite at random", "4 KiB write at random, µs"),
            file("fsync after it, per MiB", "fsync after writing, µs per MiB"),
        ],
    },
    Plot {
        file: "directory.svg",
        title: "One directory, by its number of files (raw WASI guest)",
        shape: Shape::Lines,
        panels: &[
            directory("create + write 100 B + close", "create a small file, µs"),
            directory("readdir, per entry", "list, µs per entry"),
            directory("readdir + stat of each, per entry", "list and stat, µs per entry"),
            directory("stat at random", "stat at random, µs"),
            directory("open + read 100 B + close at random", "open, read, close at random, µs"),
            directory("unlink", "unlink, µs"),
        ],
    },
    Plot {
        file: "stores.svg",
        title: "CPython on each store, at the largest size measured",
        shape: Shape::Bars,
        panels: &[
            python("python-file", "shutil.copyfile, per MiB", "shutil.copyfile, µs per MiB"),
            python("python-directory", "os.walk of the tree, per file", "os.walk, µs per file"),
            python("python-wheel", "unzip, per module", "unzip a wheel, µs per module"),
            python("python-sqlite", "insert, per row", "sqlite3 insert, µs per row"),
            python("python-sqlite", "point read", "sqlite3 point read, µs"),
            python("python-sqlite", "update transaction", "sqlite3 update transaction, µs"),
        ],
    },
    Plot {
        file: "memory.svg",
        title: "Peak memory, by size (raw WASI guest)",
        shape: Shape::Lines,
        panels: &[
            file(INSTANCE_MEMORY, "one file: the instance, MB"),
            directory(INSTANCE_MEMORY, "one directory: the instance, MB"),
            directory(PROCESS_MEMORY, "one directory: the process, MB"),
        ],
    },
];

/// Ways that every plot shows if they were measured; the others are in the tables alone.
const SHOWN: [&str; 8] = [
    "linked/memory",
    "composed/memory",
    "linked/file/disk",
    "linked/redb/disk",
    "host/tmpfs",
    "host/disk",
    "native/memory",
    "native/file/disk",
];

/// Returns whether plots show a way. Contenders have no place of their own.
fn is_shown(way: &str) -> bool {
    SHOWN.contains(&way) || crate::way::find(way).is_none()
}

impl Panel {
    /// Returns whether a way that plots show was measured.
    pub(super) fn has_results(&self, results: &Results) -> bool {
        results.rows.iter().any(|row| self.is_of(row) && is_shown(&row.way))
    }

    fn is_of(&self, row: &Row) -> bool {
        row.workload == self.workload && row.row == self.row
    }

    /// What the panel's sizes count.
    pub(super) fn size_of(&self) -> SizeOf {
        crate::workload::find(self.workload).map_or(SizeOf::Nothing, |workload| workload.size_of)
    }

    /// The value of a way at a size: µs, or MB of memory.
    pub(super) fn value(&self, results: &Results, way: &str, size: u64) -> Option<f64> {
        let value = results.median(self.workload, size, way, self.row)?;
        let value = if self.row.starts_with(crate::lines::BYTES_MARK) { value / 1e6 } else { value };
        // A scale of powers has no place for nothing.
        Some(value.max(1e-3))
    }
}

impl Plot<'_> {
    /// The ways that the plot shows, in a fixed order, and contenders behind them.
    pub(super) fn ways<'r>(&self, results: &'r Results) -> Vec<&'r str> {
        let mut measured: Vec<&str> = Vec::new();
        for row in &results.rows {
            let here = self.panels.iter().any(|panel| panel.is_of(row));
            if here && is_shown(&row.way) && !measured.contains(&row.way.as_str()) {
                measured.push(&row.way);
            }
        }
        let place = |way: &str| SHOWN.iter().position(|shown| *shown == way).unwrap_or(SHOWN.len());
        measured.sort_by_key(|way| place(way));
        measured
    }
}
