//! Results as text on a terminal.

use std::fmt::Write;

use crate::lines::BYTES_MARK;
use crate::results::{Results, Unit};
use crate::targets::{self, Judged, PROVIDERS, SLOWEST_PROVIDER};
use crate::workload::{self, Workload};

/// Fewer bytes are shown as such.
pub(crate) const FEW_BYTES: f64 = 1e4;
const NAME_COLUMNS: usize = 38;

/// Writes all results: floors, joining, a table for each workload and size, and the targets.
pub fn text(results: &Results) -> String {
    let mut text = String::new();
    let machine = &results.machine;
    let _ = writeln!(
        text,
        "commit {}, {}, {} cores of {}, {}; medians of {} rounds",
        machine.commit, machine.date, machine.cores, machine.processor, machine.kernel, results.rounds
    );
    floors(&mut text, results);
    let judged = targets::judge(results);
    for workload in &workload::ALL {
        for size in results.sizes(workload.name) {
            of_workload(&mut text, results, workload, size, &judged);
        }
    }
    let missed = judged.iter().filter(|judged| !judged.met).count();
    if !judged.is_empty() {
        let _ = writeln!(text, "\n{} of {} targets met", judged.len() - missed, judged.len());
    }
    text
}

fn floors(text: &mut String, results: &Results) {
    for composing in &results.composing {
        let _ = write!(
            text,
            "\n{} CPython: {:.0} ms, {:.1} MB in, {:.1} MB out",
            composing.name,
            composing.ms,
            composing.bytes_in as f64 / 1e6,
            composing.bytes_out as f64 / 1e6
        );
        if let Some(peak) = composing.peak_bytes {
            let _ = write!(text, ", peak memory {:.0} MB", peak as f64 / 1e6);
        }
    }
    if !results.floors.is_empty() {
        text.push_str("\n\nfloors of this machine, µs\n");
    }
    for floor in &results.floors {
        let _ = writeln!(text, "{:<46}{:>8.2}", floor.name, floor.us);
    }
}

fn of_workload(text: &mut String, results: &Results, workload: &Workload, size: u64, judged: &[Judged]) {
    let name = workload.name;
    let _ = write!(text, "\n{}", workload.title);
    match workload.size_text(size) {
        size if size.is_empty() => {}
        size => {
            let _ = write!(text, ", {size}");
        }
    }
    text.push_str("; µs per operation, memory in MB\n");
    let in_providers =
        |way: &str| PROVIDERS.iter().any(|(_, inside)| *inside == way) || way.contains("bucket");
    let ways = results.ways(name);
    let (providers, ways): (Vec<&str>, Vec<&str>) = ways.into_iter().partition(|way| in_providers(way));
    table(text, results, workload, size, &ways, judged);
    if !providers.is_empty() {
        compare_providers(text, results, workload, size);
    }
}

fn table(
    text: &mut String,
    results: &Results,
    workload: &Workload,
    size: u64,
    ways: &[&str],
    judged: &[Judged],
) {
    let _ = write!(text, "{:<NAME_COLUMNS$}", "");
    for way in ways {
        let _ = write!(text, "{:>width$}", way, width = column(way));
    }
    text.push('\n');
    for (unit, shrink) in [(Unit::Us, 1.0), (Unit::Bytes, 1e6)] {
        for row in results.operations(workload.name, unit) {
            let cells = ways.iter().map(|way| (*way, results.median(workload.name, size, way, row)));
            let cells: Vec<_> = cells.collect();
            if cells.iter().all(|(_, cell)| cell.is_none()) {
                continue;
            }
            let _ = write!(text, "{:<NAME_COLUMNS$}", row.trim_start_matches(BYTES_MARK));
            for (way, cell) in cells {
                let cell = cell.map_or_else(
                    || "-".to_owned(),
                    |cell| match unit {
                        Unit::Bytes if cell < FEW_BYTES => format!("{} B", number(cell)),
                        _ => number(cell / shrink),
                    },
                );
                let _ = write!(text, "{:>width$}", cell, width = column(way));
            }
            let of_row = |judged: &&Judged| {
                judged.workload == workload.name && judged.size == size && judged.row == row
            };
            for judged in judged.iter().filter(of_row) {
                let _ = write!(text, "  {judged}");
            }
            text.push('\n');
        }
    }
}

fn compare_providers(text: &mut String, results: &Results, workload: &Workload, size: u64) {
    let _ = writeln!(
        text,
        "\nthe same stores in the host and in the component: µs, µs, ratio (at most {SLOWEST_PROVIDER})"
    );
    let _ = write!(text, "{:<NAME_COLUMNS$}", "");
    PROVIDERS.iter().for_each(|(_, inside)| {
        let _ = write!(text, "{inside:>26}");
    });
    text.push('\n');
    for row in results.operations(workload.name, Unit::Us) {
        let _ = write!(text, "{row:<NAME_COLUMNS$}");
        for (host, inside) in PROVIDERS {
            let median = |way| results.median(workload.name, size, way, row);
            let cell = match (median(host), median(inside)) {
                (Some(host), Some(inside)) => {
                    let ratio = inside / host;
                    let mark = if ratio <= SLOWEST_PROVIDER { ' ' } else { '!' };
                    format!("{} {} {ratio:.2}{mark}", number(host), number(inside))
                }
                _ => "-".to_owned(),
            };
            let _ = write!(text, "{cell:>26}");
        }
        text.push('\n');
    }
}

fn column(way: &str) -> usize {
    way.len().max(8) + 2
}

/// Writes a number with three digits that count.
pub fn number(value: f64) -> String {
    match value.abs() {
        0.0..1.0 => format!("{value:.2}"),
        1.0..10.0 => format!("{value:.1}"),
        _ => crate::workload::count_text(value.round() as u64),
    }
}
