//! The page of results: every table and plot, in Markdown.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::lines::BYTES_MARK;
use crate::plots::{self, Drawn};
use crate::results::{Results, Row, Unit};
use crate::table::{FEW_BYTES, number};
use crate::targets;
use crate::workload::{self, Workload};

/// The page's file.
pub const PAGE: &str = "RESULTS.md";
/// The directory of the plots, beside the page.
pub const PLOTS: &str = "plots";

/// Writes the page and its plots into a directory.
///
/// # Errors
/// The system's, with the path; a plot that is too large.
pub fn write(results: &Results, dir: &Path) -> Result<()> {
    let plots = dir.join(PLOTS);
    fs::create_dir_all(&plots).with_context(|| plots.display().to_string())?;
    let drawn = plots::draw(results)?;
    for plot in &drawn {
        let path = plots.join(plot.file);
        fs::write(&path, &plot.svg).with_context(|| path.display().to_string())?;
    }
    let path = dir.join(PAGE);
    fs::write(&path, text(results, &drawn)).with_context(|| path.display().to_string())
}

/// Writes the page. `drawn` are the plots that lie beside it.
pub fn text(results: &Results, drawn: &[Drawn]) -> String {
    let machine = &results.machine;
    let mut text = format!(
        "# Results of `make bench`\n\n\
         `make bench ARGS='--page tests/benches --json tests/benches/results.json'` writes this page, its\n\
         plots and [all samples](results.json); [README](README.md) says what is measured, and how.\n\n\
         | | |\n|---|---|\n\
         | commit | {} |\n| date | {} |\n| machine | {} cores of {}, {} |\n| sizes, rounds | {}, {} |\n\n\
         Numbers are medians, in µs per operation unless a table says MB. *linked* and *composed* are\n\
         this file system, on a store of the host; *host* is wasmtime's own file system in its fastest\n\
         setting; *native* calls the store's library with the same bytes and no file system, which is the\n\
         limit on that store.\n",
        machine.commit,
        machine.date,
        machine.cores,
        machine.processor,
        machine.kernel,
        results.class,
        results.rounds,
    );
    plots_of(&mut text, drawn);
    targets_of(&mut text, results);
    for workload in &workload::ALL {
        of_workload(&mut text, results, workload);
    }
    floors_of(&mut text, results);
    text
}

fn plots_of(text: &mut String, drawn: &[Drawn]) {
    if !drawn.is_empty() {
        text.push_str("\n## Plots\n");
    }
    for plot in drawn {
        let _ = write!(text, "\n![{}]({PLOTS}/{})\n", plot.title, plot.file);
    }
}

fn targets_of(text: &mut String, results: &Results) {
    let judged = targets::judge(results);
    if judged.is_empty() {
        return;
    }
    text.push_str(
        "\n## Targets\n\n| workload | operation | measured, and the target | |\n|---|---|---|---|\n",
    );
    for target in &judged {
        let size = workload::find(target.workload).map(|workload| workload.size_text(target.size));
        let size = size.filter(|size| !size.is_empty()).map_or(String::new(), |size| format!(", {size}"));
        let met = if target.met { "met" } else { "**missed**" };
        let _ = writeln!(text, "| {}{size} | {} | {} | {met} |", target.workload, target.row, target.text);
    }
}

fn of_workload(text: &mut String, results: &Results, workload: &Workload) {
    let sizes = results.sizes(workload.name);
    if sizes.is_empty() {
        return;
    }
    let _ = write!(text, "\n## {}\n", capitalized(workload.title));
    for size in sizes {
        let of_size = workload.size_text(size);
        if !of_size.is_empty() {
            let _ = write!(text, "\n**{of_size}**\n");
        }
        let rows: Vec<&Row> =
            results.rows.iter().filter(|row| row.workload == workload.name && row.size == size).collect();
        table(text, results, workload, &rows);
    }
}

fn table(text: &mut String, results: &Results, workload: &Workload, rows: &[&Row]) {
    let measured = |way: &str| rows.iter().any(|row| row.way == way);
    let ways: Vec<&str> = results.ways(workload.name).into_iter().filter(|way| measured(way)).collect();
    let _ = write!(text, "\n| | {} |\n|---|{}\n", ways.join(" | "), "---|".repeat(ways.len()));
    for unit in [Unit::Us, Unit::Bytes] {
        for name in results.operations(workload.name, unit) {
            let (shrink, suffix) = scale(unit, rows.iter().copied().filter(|row| row.row == name));
            let cell = |way: &&str| {
                let found = rows.iter().find(|row| row.way == **way && row.row == name);
                found.and_then(|row| row.median()).map_or_else(String::new, |value| number(value / shrink))
            };
            let cells: Vec<String> = ways.iter().map(cell).collect();
            if cells.iter().all(String::is_empty) {
                continue;
            }
            let name = name.trim_start_matches(BYTES_MARK);
            let _ = writeln!(text, "| {name}{suffix} | {} |", cells.join(" | "));
        }
    }
}

/// Returns what the numbers of an operation are divided by, and the words behind its name.
fn scale<'r>(unit: Unit, mut rows: impl Iterator<Item = &'r Row>) -> (f64, &'static str) {
    match unit {
        Unit::Us => (1.0, ""),
        Unit::Bytes if rows.all(|row| row.median().is_some_and(|bytes| bytes < FEW_BYTES)) => {
            (1.0, ", bytes")
        }
        Unit::Bytes => (1e6, ", MB"),
    }
}

fn floors_of(text: &mut String, results: &Results) {
    if !results.floors.is_empty() {
        text.push_str("\n## Floors of the machine\n\n| step | µs |\n|---|---|\n");
    }
    for floor in &results.floors {
        let _ = writeln!(text, "| {} | {} |", floor.name, number(floor.us));
    }
    if !results.composing.is_empty() {
        text.push_str(
            "\n## Joining CPython\n\n| | ms | MB in | MB out | peak memory, MB |\n|---|---|---|---|---|\n",
        );
    }
    for joined in &results.composing {
        let mb = |bytes: u64| number(bytes as f64 / 1e6);
        let peak = joined.peak_bytes.map_or_else(String::new, mb);
        let (from, to) = (mb(joined.bytes_in), mb(joined.bytes_out));
        let _ = writeln!(text, "| {} | {} | {from} | {to} | {peak} |", joined.name, number(joined.ms));
    }
}

fn capitalized(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lines::Line;

    #[test]
    fn the_page_has_every_number_and_plot() {
        let mut results = Results::new("tiny", 2);
        for (way, amount) in [("linked/memory", 1000), ("host/tmpfs", 4_100_000)] {
            let lines = [("stat", amount), ("@instance, peak", 7_000_000), ("@a record", 700)];
            for (name, amount) in lines {
                let line = Line { name: name.into(), count: 1, amount };
                results.add("operations", 50, way, &line);
            }
        }
        let plot = Drawn { file: "a.svg", title: "a plot", svg: String::new() };
        let page = text(&results, &[plot]);
        for expected in [
            "![a plot](plots/a.svg)",
            "## Raw WASI guest, operations",
            "**50 files**",
            "| | linked/memory | host/tmpfs |\n|---|---|---|\n| stat | 1.0 | 4,100 |",
            "| instance, peak, MB | 7.0 | 7.0 |",
            "| a record, bytes | 700 | 700 |",
            "| operations, 50 files | stat | linked 4100.0 x faster",
        ] {
            assert!(page.contains(expected), "{expected} is not in\n{page}");
        }
        let dir = tempfile::tempdir().unwrap();
        write(&results, dir.path()).unwrap();
        assert_eq!(fs::read_to_string(dir.path().join(PAGE)).unwrap(), text(&results, &[]));
    }
}
