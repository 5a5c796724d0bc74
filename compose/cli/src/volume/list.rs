//! `kvfs volume list`.

use super::at::At;
use super::shown::{json, state};
use crate::terminal::{json_line, on_terminal, say, say_fields, warn};
use anyhow::Result;
use clap::Args;
use indicatif::HumanBytes;
use kvfs::volumes::VolumeInfo;
use serde_json::json as object;
use std::process::ExitCode;

/// Lists the volumes of a store: bytes used, files, state (`ro`: it takes no changes) and name.
///
/// Shorter names come first. Into a pipe, a volume is a line with tabs between the fields. The store is
/// opened read-only, and a guest may be running on it. The exit code is 1 if a volume cannot be read.
#[derive(Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    at: At,
    /// Writes a JSON object for each volume, one a line.
    #[arg(long)]
    json: bool,
}

/// Volumes that are written at once.
const LINES: usize = 512;

pub(super) fn list(args: &ListArgs) -> Result<ExitCode> {
    let volumes = args.at.look()?;
    let form = match (args.json, on_terminal()) {
        (true, _) => Form::Json,
        (false, true) => Form::Columns,
        (false, false) => Form::Fields,
    };
    if form == Form::Columns {
        say([format!("{:>12} {:>10}  {:7}  NAME", "USED", "FILES", "STATE")])?;
    }
    let (mut rows, mut failed) = (Vec::new(), false);
    let listed = volumes.list(|name, info| {
        if let Err(error) = &info {
            failed = true;
            warn(format_args!("{}: {error}", args.at.store));
        }
        rows.push(Row::new(name, info.ok(), form));
        if rows.len() >= LINES { write(&mut rows) } else { Ok(()) }
    });
    write(&mut rows)?;
    listed.map_err(|error: anyhow::Error| match error.downcast() {
        Ok(error) => args.at.explain(&volumes, error),
        Err(error) => error,
    })?;
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

#[derive(Clone, Copy, PartialEq)]
enum Form {
    Json,
    Columns,
    Fields,
}

enum Row {
    Line(String),
    Fields([String; 4]),
}

impl Row {
    fn new(name: &str, info: Option<VolumeInfo>, form: Form) -> Self {
        if form == Form::Json {
            let value =
                info.map_or_else(|| object!({ "name": name, "state": "damaged" }), |info| json(&info));
            return Self::Line(json_line(&value));
        }
        let number = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
        let (bytes, files) =
            (info.as_ref().map(|info| info.used.bytes), info.as_ref().map(|info| info.used.inodes));
        let state = state(info.as_ref());
        match form {
            Form::Columns => {
                let used = bytes.map_or_else(|| "-".to_owned(), |bytes| HumanBytes(bytes).to_string());
                Self::Line(format!("{used:>12} {:>10}  {state:7}  {name}", number(files)))
            }
            _ => Self::Fields([number(bytes), number(files), state.to_owned(), name.to_owned()]),
        }
    }
}

fn write(rows: &mut Vec<Row>) -> Result<()> {
    for row in rows.drain(..) {
        match row {
            Row::Line(line) => say([line])?,
            Row::Fields(fields) => say_fields(&fields)?,
        }
    }
    Ok(())
}
