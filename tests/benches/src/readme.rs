//! The tables that the project's README shows of a run, between two marks.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::results::Results;
use crate::table::number;
use crate::workload;

const BEGIN: &str = "<!-- make bench: begin -->\n";
const END: &str = "<!-- make bench: end -->";

/// A row of a table: its words, and the operations whose numbers stand in it.
struct Row {
    words: &'static str,
    workload: &'static str,
    operations: &'static [&'static str],
}

struct Table {
    words: &'static str,
    /// The way of each column, and its heading.
    columns: &'static [(&'static str, &'static str)],
    rows: &'static [Row],
}

const fn row(words: &'static str, workload: &'static str, operations: &'static [&'static str]) -> Row {
    Row { words, workload, operations }
}

const IN_MEMORY: &[(&str, &str)] = &[
    ("linked/memory", "linked"),
    ("composed/memory", "composed"),
    ("host/tmpfs", "host, fastest"),
    ("host-default/tmpfs", "host, default"),
];

const ON_MEDIA: &[(&str, &str)] = &[
    ("linked/memory", "memory"),
    ("linked/file/tmpfs", "file, tmpfs"),
    ("linked/file/disk", "file, disk"),
    ("linked/redb/disk", "redb, disk"),
    ("host/tmpfs", "host, tmpfs"),
    ("host/disk", "host, disk"),
];

const LIBRARY: &[(&str, &str)] = &[
    ("library/memory", "memory"),
    ("library/file/tmpfs", "file, tmpfs"),
    ("library/file/disk", "file, disk"),
];

const RAW: &str = "operations";
const PYTHON: &str = "python-operations";

const TABLES: [Table; 5] = [
    Table {
        words: "raw WASI guest",
        columns: IN_MEMORY,
        rows: &[
            row("create + write 1 KiB + close", RAW, &["create + write 1 KiB + close"]),
            row("stat / missing name", RAW, &["stat", "missing name"]),
            row("open + read 1 KiB + close", RAW, &["open + read 1 KiB + close"]),
            row("readdir, per entry", RAW, &["readdir, per entry"]),
            row(
                "4 KiB stream write / pread / pwrite",
                RAW,
                &["4 KiB stream write", "4 KiB pread", "4 KiB pwrite"],
            ),
            row("64 KiB write / stream read", RAW, &["64 KiB write", "64 KiB stream read"]),
            row("rename / unlink", RAW, &["rename", "unlink"]),
            row("mkdir / rmdir", RAW, &["mkdir", "rmdir"]),
            row("4 KiB pwrite + fsync", RAW, &["4 KiB pwrite + fsync"]),
        ],
    },
    Table {
        words: "CPython 3.14, per file",
        columns: IN_MEMORY,
        rows: &[
            row("create, 1,000 bytes", PYTHON, &["create"]),
            row("stat / missing name", PYTHON, &["stat", "missing name"]),
            row("open + read", PYTHON, &["open + read"]),
            row("scandir entry / unlink", PYTHON, &["scandir, per entry", "unlink"]),
            row("sqlite3, 20,000 rows", PYTHON, &["sqlite3, 20,000 rows"]),
        ],
    },
    Table {
        words: "raw WASI guest, linked",
        columns: ON_MEDIA,
        rows: &[
            row(
                "write / read / copy, per MiB",
                "file",
                &["write, per MiB", "read, per MiB", "copy by 64 KiB streams, per MiB"],
            ),
            row("4 KiB read / write at random", "file", &["4 KiB pread at random", "4 KiB pwrite at random"]),
            row(
                "readdir / readdir + stat, per entry",
                "directory",
                &["readdir, per entry", "readdir + stat of each, per entry"],
            ),
            row("create / stat at random", "directory", &["create + write 100 B + close", "stat at random"]),
        ],
    },
    Table {
        words: "CPython 3.14, linked",
        columns: ON_MEDIA,
        rows: &[
            row(
                "write / read / copyfile, per MiB",
                "python-file",
                &["write by 1 MiB, per MiB", "read by 1 MiB, per MiB", "shutil.copyfile, per MiB"],
            ),
            row(
                "scandir / scandir + stat, per entry",
                "python-directory",
                &["scandir, per entry", "scandir + stat of each, per entry"],
            ),
            row(
                "os.stat / os.walk, per file",
                "python-directory",
                &["os.stat in order", "os.walk of the tree, per file"],
            ),
            row("sqlite3: insert a row / read one", "python-sqlite", &["insert, per row", "point read"]),
            row("sqlite3: update transaction", "python-sqlite", &["update transaction"]),
            row(
                "unzip / import a module of a wheel",
                "python-wheel",
                &["unzip, per module", "first import, compiles and keeps, per module"],
            ),
        ],
    },
    Table {
        words: "volumes as wholes",
        columns: LIBRARY,
        rows: &[
            row("snapshot of a changed volume", "forks", &["snapshot of a changed volume"]),
            row("fork of an unchanged one", "forks", &["fork of an unchanged volume"]),
            row("diff of 10 changed files", "forks", &["diff of 10 changed files"]),
            row("merge of 100 changed files", "forks", &["merge of 100 changed files"]),
            row(
                "fork: one of the first / of the last",
                "many-forks",
                &["fork, of the first", "fork, of the last"],
            ),
            row("list of all", "many-forks", &["list of all"]),
            row("stat, cold / warm", "layers", &["stat, cold", "stat, warm"]),
        ],
    },
];

/// Replaces what stands between the marks of a file.
///
/// # Errors
/// The system's, with the path; a file without the marks.
pub fn update(results: &Results, path: &Path) -> Result<()> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let marked = || {
        let begin = text.find(BEGIN)? + BEGIN.len();
        let end = begin + text[begin..].find(END)?;
        Some((begin, end))
    };
    let (begin, end) =
        marked().with_context(|| format!("{} lacks the lines {BEGIN:?} and {END:?}", path.display()))?;
    let text = format!("{}{}{}", &text[..begin], tables(results), &text[end..]);
    fs::write(path, text).with_context(|| path.display().to_string())
}

/// Writes the tables. What was not measured is left out.
pub fn tables(results: &Results) -> String {
    let mut text = String::new();
    for table in &TABLES {
        let rows: Vec<_> = table.rows.iter().filter_map(|row| row.text(results, table.columns)).collect();
        if rows.is_empty() {
            continue;
        }
        let headings: Vec<_> = table.columns.iter().map(|(_, heading)| *heading).collect();
        let rule = "---|".repeat(headings.len());
        let _ =
            write!(text, "\n| {} | {} |\n|---|{rule}\n{}", table.words, headings.join(" | "), rows.concat());
    }
    text.push('\n');
    text
}

impl Row {
    fn text(&self, results: &Results, columns: &[(&str, &str)]) -> Option<String> {
        let size = results.sizes(self.workload).last().copied()?;
        let cell = |way: &str| {
            let numbers = self.operations.iter().map(|operation| {
                results.median(self.workload, size, way, operation).map_or_else(|| "–".to_owned(), number)
            });
            numbers.collect::<Vec<_>>().join(" / ")
        };
        let cells: Vec<_> = columns.iter().map(|(way, _)| cell(way)).collect();
        let measured = cells.iter().any(|cell| cell.contains(|letter: char| letter.is_ascii_digit()));
        // The sizes of the small tables are in the words around them.
        let small = [RAW, PYTHON].contains(&self.workload);
        let size = workload::find(self.workload).filter(|_| !small).map(|workload| workload.size_text(size));
        let size = size.map_or_else(String::new, |size| format!(" ({size})"));
        measured.then(|| format!("| {}{size} | {} |\n", self.words, cells.join(" | ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lines::Line;

    #[test]
    fn tables_replace_what_stands_between_the_marks() {
        let mut results = Results::new("tiny", 1);
        for (workload, name) in [("operations", "stat"), ("file", "read, per MiB")] {
            let line = Line { name: name.into(), count: 1, amount: 2500 };
            results.add(workload, 1 << 20, "linked/memory", &line);
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("README.md");
        fs::write(&path, "no marks").unwrap();
        assert!(update(&results, &path).unwrap_err().to_string().contains("make bench: begin"));
        fs::write(&path, format!("before\n{BEGIN}old\n{END}\nbehind\n")).unwrap();
        for _ in 0..2 {
            update(&results, &path).unwrap();
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.starts_with("before\n<!--") && text.ends_with("-->\nbehind\n"), "{text}");
            assert!(
                text.contains("| stat / missing name | 2.5 / – | – / – |") && !text.contains("old"),
                "{text}"
            );
            assert!(text.contains("| write / read / copy, per MiB (1 MiB) | – / 2.5 / – |"), "{text}");
        }
    }

    #[test]
    fn tables_name_workloads_and_ways_that_there_are() {
        for table in &TABLES {
            for (way, _) in table.columns {
                assert!(crate::way::find(way).is_some(), "{way}");
            }
            for row in table.rows {
                assert!(workload::find(row.workload).is_some(), "{}", row.words);
            }
        }
    }
}
