//! The results of a run, as they are kept in JSON.
//!
//! An object with `version` (1), `machine`, `class`, `rounds`, `floors`, `composing` and `rows`. Each
//! row is one operation of one workload, size and way: how many operations a sample has (`count`),
//! and the samples in the order of the rounds, in `unit` (`us`: microseconds per operation; `bytes`).

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::lines::Line;
pub use crate::machine::Machine;

/// The version of the file's shape. A reader refuses another one.
pub const VERSION: u32 = 1;

/// Results.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// [`VERSION`].
    pub version: u32,
    /// Where and when they were measured.
    pub machine: Machine,
    /// The class of the sizes: `quick`, `usual` or `full`.
    pub class: String,
    /// How many rounds went through all ways.
    pub rounds: u32,
    /// Whether cold runs had nothing in memory, not even names of the host's files.
    pub all_cold: bool,
    /// The floors of the machine.
    pub floors: Vec<Floor>,
    /// What joining the CPython guest cost.
    pub composing: Vec<Composing>,
    /// What programs took.
    pub rows: Vec<Row>,
}

/// The least time for a step that file operations cannot do without.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Floor {
    /// The step.
    pub name: String,
    /// Microseconds.
    pub us: f64,
}

/// What joining a guest with the file system cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Composing {
    /// Composing or linking.
    pub name: String,
    /// Milliseconds.
    pub ms: f64,
    /// The size of the guest.
    pub bytes_in: u64,
    /// The size of the result.
    pub bytes_out: u64,
    /// The process's peak memory, if the system tells.
    pub peak_bytes: Option<u64>,
}

/// The unit of samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Microseconds per operation.
    Us,
    /// Bytes of memory.
    Bytes,
}

/// One operation of one workload, size and way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The workload's name.
    pub workload: String,
    /// The size.
    pub size: u64,
    /// The way's name.
    pub way: String,
    /// The operation's name.
    pub row: String,
    /// The unit of samples.
    pub unit: Unit,
    /// How many operations a sample has.
    pub count: u64,
    /// One number for each time that the program ran.
    pub samples: Vec<f64>,
}

impl Row {
    /// Returns the median of the samples; none if there are none, or one is no number.
    pub fn median(&self) -> Option<f64> {
        let mut samples = self.samples.clone();
        samples.sort_by(f64::total_cmp);
        samples.get(samples.len() / 2).copied().filter(|median| median.is_finite())
    }
}

impl Results {
    /// Makes results of no program.
    pub fn new(class: &str, rounds: u32) -> Self {
        Self {
            version: VERSION,
            machine: Machine::here(),
            class: class.to_owned(),
            rounds,
            all_cold: false,
            floors: Vec::new(),
            composing: Vec::new(),
            rows: Vec::new(),
        }
    }

    /// Adds a line of a program.
    pub fn add(&mut self, workload: &str, size: u64, way: &str, line: &Line) {
        let value = rounded(line.value());
        let same = |row: &&mut Row| {
            row.workload == workload && row.size == size && row.way == way && row.row == line.name
        };
        match self.rows.iter_mut().find(same) {
            Some(row) => row.samples.push(value),
            None => self.rows.push(Row {
                workload: workload.to_owned(),
                size,
                way: way.to_owned(),
                row: line.name.clone(),
                unit: if line.is_memory() { Unit::Bytes } else { Unit::Us },
                count: line.count,
                samples: vec![value],
            }),
        }
    }

    /// Returns the median of an operation, if it was measured.
    pub fn median(&self, workload: &str, size: u64, way: &str, row: &str) -> Option<f64> {
        let found = self.rows.iter().find(|known| {
            known.workload == workload && known.size == size && known.way == way && known.row == row
        });
        found?.median()
    }

    /// Returns the sizes of a workload that were measured, ascending.
    pub fn sizes(&self, workload: &str) -> Vec<u64> {
        let mut sizes = self.distinct(workload, |row| row.size);
        sizes.sort_unstable();
        sizes
    }

    /// Returns the ways that a workload was measured in, in the order of their first results.
    pub fn ways(&self, workload: &str) -> Vec<&str> {
        self.distinct(workload, |row| row.way.as_str())
    }

    /// Returns the operations of a workload in their order.
    pub fn operations(&self, workload: &str, unit: Unit) -> Vec<&str> {
        let mut names = Vec::new();
        for row in self.rows.iter().filter(|row| row.workload == workload && row.unit == unit) {
            if !names.contains(&row.row.as_str()) {
                names.push(row.row.as_str());
            }
        }
        names
    }

    fn distinct<'r, T: PartialEq>(&'r self, workload: &str, of: impl Fn(&'r Row) -> T) -> Vec<T> {
        let mut found = Vec::new();
        for row in self.rows.iter().filter(|row| row.workload == workload) {
            let value = of(row);
            if !found.contains(&value) {
                found.push(value);
            }
        }
        found
    }

    /// Writes the results to a file, one row a line.
    ///
    /// # Errors
    /// The system's, with the path.
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut head = serde_json::to_value(Self { rows: Vec::new(), ..self.clone() })?;
        if let Some(head) = head.as_object_mut() {
            head.remove("rows");
        }
        let head = serde_json::to_string_pretty(&head)?;
        let rows = self.rows.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?;
        let head = head.trim_end().trim_end_matches('}').trim_end();
        let text = format!("{head},\n  \"rows\": [\n    {}\n  ]\n}}\n", rows.join(",\n    "));
        fs::write(path, text).with_context(|| format!("cannot write results to {}", path.display()))
    }

    /// Reads results from a file.
    ///
    /// # Errors
    /// The system's, with the path; a file of another shape or version.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read(path).with_context(|| format!("cannot read results from {}", path.display()))?;
        let found: Self = serde_json::from_slice(&text)
            .with_context(|| format!("{} has no results of `make bench`", path.display()))?;
        ensure!(
            found.version == VERSION,
            "{} has results of version {}, and this program reads version {VERSION}: measure again",
            path.display(),
            found.version
        );
        Ok(found)
    }
}

/// Four digits: more is noise, and would only fill the file.
fn rounded(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() || value >= 1e4 {
        return value.round();
    }
    let scale = 10_f64.powi(3 - value.abs().log10().floor() as i32);
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: &str, count: u64, amount: u64) -> Line {
        Line { name: name.into(), count, amount }
    }

    #[test]
    fn results_are_read_as_they_were_written() {
        let mut results = Results::new("quick", 3);
        for amount in [30_000, 10_000, 20_000] {
            results.add("file", 4 << 20, "linked/memory", &line("read", 10, amount));
        }
        results.add("file", 1 << 20, "host/tmpfs", &line("@process, peak", 1, 123_456_789));
        results.floors.push(Floor { name: "a \"floor\"".into(), us: 0.25 });
        assert_eq!(results.median("file", 4 << 20, "linked/memory", "read"), Some(2.0));
        assert_eq!(results.median("file", 1 << 20, "linked/memory", "read"), None);
        assert_eq!(results.sizes("file"), [1 << 20, 4 << 20]);
        assert_eq!(results.ways("file"), ["linked/memory", "host/tmpfs"]);
        assert_eq!(results.operations("file", Unit::Bytes), ["@process, peak"]);

        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("results.json");
        results.write(&path).unwrap();
        assert_eq!(Results::read(&path).unwrap(), results);

        fs::write(&path, fs::read_to_string(&path).unwrap().replace("\"version\": 1", "\"version\": 2"))
            .unwrap();
        assert!(Results::read(&path).unwrap_err().to_string().contains("measure again"));
        fs::write(&path, "{}").unwrap();
        assert!(Results::read(&path).unwrap_err().to_string().contains("no results"));
        assert!(results.write(&dir.path().join("no/file")).unwrap_err().to_string().contains("no/file"));
    }

    #[test]
    fn samples_keep_four_digits() {
        let found = [0.0, 0.123_456, 1.0 / 3.0, 12.3456, 9999.6, 123_456.7].map(rounded);
        assert_eq!(found, [0.0, 0.1235, 0.3333, 12.35, 10_000.0, 123_457.0]);
    }
}
