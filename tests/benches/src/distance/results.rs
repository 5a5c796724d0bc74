//! What was measured, as JSON and as tables.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::machine::Machine;

/// The version of the file's shape.
pub(super) const VERSION: u32 = 1;

/// Results.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Results {
    pub(super) version: u32,
    pub(super) machine: Machine,
    pub(super) rows: Vec<Row>,
}

/// One operation on one store at one distance.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Row {
    pub(super) store: String,
    /// Milliseconds that the proxy adds to a round trip.
    pub(super) delay_ms: u64,
    pub(super) operation: String,
    /// What `operation` counts, such as MiB.
    pub(super) count: u64,
    /// Milliseconds for one of them, in the order of the rounds.
    pub(super) ms: Vec<f64>,
}

impl Row {
    fn median(&self) -> f64 {
        let mut sorted = self.ms.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
    }
}

impl Results {
    pub(super) fn read(text: &str) -> Result<Self> {
        let results: Self = serde_json::from_str(text).context("reading results of `distance`")?;
        anyhow::ensure!(results.version == VERSION, "the results are of version {}", results.version);
        Ok(results)
    }

    pub(super) fn add(&mut self, store: &str, delay_ms: u64, operation: String, count: u64, ms: f64) {
        let same =
            |row: &&mut Row| row.store == store && row.delay_ms == delay_ms && row.operation == operation;
        match self.rows.iter_mut().find(same) {
            Some(row) => row.ms.push(ms),
            None => {
                self.rows.push(Row { store: store.to_owned(), delay_ms, operation, count, ms: vec![ms] });
            }
        }
    }

    /// Returns a table for each delay, with a column for each store.
    pub(super) fn tables(&self) -> String {
        let distinct = |name: fn(&Row) -> &str| {
            let mut names: Vec<&str> = Vec::new();
            for row in &self.rows {
                if !names.contains(&name(row)) {
                    names.push(name(row));
                }
            }
            names
        };
        let (stores, operations) = (distinct(|row| &row.store), distinct(|row| &row.operation));
        let mut delays: Vec<u64> = self.rows.iter().map(|row| row.delay_ms).collect();
        delays.sort_unstable();
        delays.dedup();
        let mut text = String::new();
        for delay in delays {
            let found = |store: &str, operation: &str| {
                let is_it =
                    |row: &&Row| row.delay_ms == delay && row.store == store && row.operation == operation;
                self.rows.iter().find(is_it)
            };
            let columns: Vec<&&str> = stores
                .iter()
                .filter(|store| operations.iter().any(|operation| found(store, operation).is_some()))
                .collect();
            let names: Vec<&str> = columns.iter().map(|store| **store).collect();
            let _ = writeln!(text, "\n| +{delay} ms; in ms | {} |", names.join(" | "));
            let _ = writeln!(text, "|---|{}", "---|".repeat(names.len()));
            for operation in &operations {
                let cells: Vec<String> = names
                    .iter()
                    .map(|store| found(store, operation).map_or_else(String::new, |row| number(row.median())))
                    .collect();
                let _ = writeln!(text, "| {operation} | {} |", cells.join(" | "));
            }
        }
        text
    }
}

/// Writes milliseconds with as many digits as mean something.
fn number(ms: f64) -> String {
    match ms {
        ms if ms < 10.0 => format!("{ms:.1}"),
        ms if ms < 1000.0 => format!("{ms:.0}"),
        ms => crate::workload::count_text(ms.round() as u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_a_column_for_each_store_that_was_measured_at_its_distance() {
        let mut results = Results { version: VERSION, machine: Machine::here(), rows: Vec::new() };
        for ms in [3.0, 1.0, 2.0] {
            results.add("redis", 0, "unpack".to_owned(), 1, ms);
        }
        results.add("near", 0, "unpack".to_owned(), 1, 1234.0);
        results.add("redis", 10, "unpack".to_owned(), 1, 55.55);
        let tables = results.tables();
        assert!(tables.contains("| +0 ms; in ms | redis | near |"), "{tables}");
        assert!(tables.contains("| unpack | 2.0 | 1,234 |"), "{tables}");
        assert!(tables.contains("| +10 ms; in ms | redis |\n|---|---|\n| unpack | 56 |"), "{tables}");
        let read = Results::read(&serde_json::to_string(&results).unwrap()).unwrap();
        assert_eq!(read.tables(), tables);
    }
}
