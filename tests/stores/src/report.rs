//! Results: a value for each column of each store, as a table and as JSON.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::Kind;

/// Results of several stores.
#[derive(Clone, Debug, Default)]
pub struct Report {
    stores: Vec<(Kind, Vec<(String, Value)>)>,
}

impl Report {
    /// Sets the value of a column, or of a column that is new, of a store.
    pub fn set(&mut self, kind: Kind, column: &str, value: impl Into<Value>) {
        let columns = self.columns(kind);
        let value = value.into();
        match columns.iter_mut().find(|(name, _)| name == column) {
            Some((_, known)) => *known = value,
            None => columns.push((column.into(), value)),
        }
    }

    /// Sets a column to the least of several runs.
    pub fn set_least(&mut self, kind: Kind, column: &str, value: f64) {
        let known = self.get(kind, column).and_then(Value::as_f64).unwrap_or(f64::INFINITY);
        self.set(kind, column, value.min(known));
    }

    /// Sets a column to the greatest of several runs.
    pub fn set_most(&mut self, kind: Kind, column: &str, value: f64) {
        let known = self.get(kind, column).and_then(Value::as_f64).unwrap_or(f64::NEG_INFINITY);
        self.set(kind, column, value.max(known));
    }

    /// Returns the value of a column of a store.
    pub fn get(&self, kind: Kind, column: &str) -> Option<&Value> {
        let (_, columns) = self.stores.iter().find(|(known, _)| *known == kind)?;
        columns.iter().find(|(name, _)| name == column).map(|(_, value)| value)
    }

    fn columns(&mut self, kind: Kind) -> &mut Vec<(String, Value)> {
        let at = self.stores.iter().position(|(known, _)| *known == kind).unwrap_or_else(|| {
            self.stores.push((kind, Vec::new()));
            self.stores.len() - 1
        });
        &mut self.stores[at].1
    }

    /// Writes the results to a file: an object of stores, each an object of columns.
    ///
    /// # Errors
    /// The system's, with the path.
    pub fn write_json(&self, path: &Path) -> io::Result<()> {
        let stores: Map<String, Value> = self
            .stores
            .iter()
            .map(|(kind, columns)| (kind.to_string(), Value::Object(columns.iter().cloned().collect())))
            .collect();
        let text = format!("{:#}\n", json!({ "version": 1, "stores": stores }));
        fs::write(path, text)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
    }
}

/// A row for each column, and a column for each store. What is not plain stays in the JSON.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names: Vec<&str> = Vec::new();
        for (name, value) in self.stores.iter().flat_map(|(_, columns)| columns) {
            if cell(value).is_some() && !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        let mut rows = vec![vec![String::new()]];
        rows[0].extend(self.stores.iter().map(|(kind, _)| kind.to_string()));
        for name in names {
            let mut row = vec![name.to_owned()];
            row.extend(
                self.stores.iter().map(|(kind, _)| self.get(*kind, name).and_then(cell).unwrap_or_default()),
            );
            rows.push(row);
        }
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
        for row in &rows {
            write!(f, "{:<1$}", row[0], widths[0])?;
            for (cell, width) in row.iter().zip(&widths).skip(1) {
                write!(f, "  {cell:>width$}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// Longest text in the table.
const MAX_CELL_CHARS: usize = 32;

/// Returns a value as text of a few letters.
fn cell(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if text.chars().count() > MAX_CELL_CHARS => {
            Some(text.chars().take(MAX_CELL_CHARS - 1).chain(['…']).collect())
        }
        Value::String(text) => Some(text.clone()),
        Value::Bool(yes) => Some(if *yes { "yes" } else { "no" }.into()),
        Value::Number(number) if number.is_f64() => {
            let number = number.as_f64().unwrap_or_default();
            Some(if number.abs() < 10.0 { format!("{number:.2}") } else { format!("{number:.0}") })
        }
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_row_for_each_column_and_the_least_and_most_of_several_runs_stay() {
        let mut report = Report::default();
        report.set(Kind::File, "kept", true);
        report.set_least(Kind::File, "time", 12.6);
        report.set_least(Kind::File, "time", 11.4);
        report.set_least(Kind::File, "time", 30.0);
        report.set_most(Kind::Lmdb, "space", 1.25);
        report.set_most(Kind::Lmdb, "space", 0.5);
        report.set(Kind::Lmdb, "deep", json!({ "not": "in the table" }));
        let table = report.to_string();
        let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(
            rows,
            [vec!["file", "lmdb"], vec!["kept", "yes"], vec!["time", "11"], vec!["space", "1.25"]]
        );

        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("results.json");
        report.write_json(&path).unwrap();
        let read: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(read["stores"]["lmdb"]["deep"]["not"], "in the table");
        let error = report.write_json(&dir.path().join("no/dir")).unwrap_err().to_string();
        assert!(error.contains("no/dir"), "{error}");
    }
}
