//! `kvfs diff`.

use super::at::At;
use super::below::{Below, explain, image};
use super::patch::Patch;
use crate::busy::Busy;
use crate::terminal::{complain, json_line, on_terminal, say, say_fields, say_null_ended};
use crate::text_diff::CONTEXT_LINES;
use anyhow::{Context, Result, bail};
use clap::Args;
use kvfs::Kind;
use kvfs::volumes::{Changed, Difference, What};
use serde_json::{Value, json};
use std::process::ExitCode;

/// Shows what differs from one volume to another one, such as a snapshot and what came of it.
///
/// A line is `A`, `M` or `D` (only in the second volume, in both, only in the first), a tab and a
/// path, or `R`, the path in the first volume and that in the second. The order is that of the paths.
/// Forks and snapshots of one volume are compared by what they do not share; that is fast. What a guest
/// changes meanwhile may be shown in part: compare snapshots then. The exit code is 0 whether anything
/// differs or not (see --exit-code), and 2 if the volumes cannot be compared.
#[derive(Args)]
pub(crate) struct DiffArgs {
    #[command(flatten)]
    at: At,
    #[command(flatten)]
    below: Below,
    /// Counts the differences, and what of the files differs: bytes, times, links (the number of
    /// names) or kind.
    #[arg(long, conflicts_with_all = ["json", "null"])]
    stat: bool,
    /// Writes a JSON object for each difference, one a line: path, kind, change, from, what.
    #[arg(long, conflicts_with = "null")]
    json: bool,
    /// Ends each field with a zero byte, and writes paths as they are. Otherwise characters that a
    /// terminal acts on are escaped.
    #[arg(long, short = 'z')]
    null: bool,
    /// Shows what has changed in texts, as a patch for `git apply` or `patch -p1`, which removes no empty
    /// files and puts no file in the place of a directory. Binary files and large ones are told of. Times
    /// are left out, and of directories all but their coming and going.
    #[arg(long, short = 'p', conflicts_with_all = ["stat", "json", "null"])]
    patch: bool,
    /// Shows so many lines around each change of a patch.
    #[arg(long, short = 'U', value_name = "LINES", requires = "patch", default_value_t = CONTEXT_LINES)]
    unified: usize,
    /// Makes the exit code 1 if anything differs.
    #[arg(long)]
    exit_code: bool,
    /// The first volume.
    first: String,
    /// The second volume.
    second: String,
}

/// The volumes could not be compared, as diff(1) says it: 1 means that they differ.
const FAILED: u8 = 2;

/// More lines around a change than any file has that is shown.
const MAX_CONTEXT_LINES: usize = 1 << 20;

/// Differences that are written at once.
const LINES: usize = 512;

pub(crate) fn diff(args: &DiffArgs) -> ExitCode {
    match compare(args) {
        Ok(differ) => ExitCode::from(u8::from(differ && args.exit_code)),
        Err(error) => {
            complain(&error);
            ExitCode::from(FAILED)
        }
    }
}

/// Returns whether the volumes differ.
fn compare(args: &DiffArgs) -> Result<bool> {
    if args.null && on_terminal() {
        bail!("--null writes names as they are, and a terminal would act on them; leave it out, or pipe it");
    }
    let images = args.below.images()?;
    let volumes = args.at.look()?;
    let image = image(&args.at, images, &volumes, [&args.first, &args.second])?;
    let busy = Busy::new("comparing");
    let found = volumes.diff(&args.first, &args.second, image.as_ref());
    drop(busy);
    let found = found.map_err(|error| explain(&args.at, &volumes, error))?;
    if args.patch {
        let open = |volume: &str| {
            let files = volumes.look(volume, image.clone());
            files.with_context(|| args.at.store.to_string())
        };
        let (first, second) = (open(&args.first)?, open(&args.second)?);
        Patch { first, second, context_lines: args.unified.min(MAX_CONTEXT_LINES) }.write(&found)?;
    } else if args.stat {
        say(stat(&found))?;
    } else if args.json {
        for part in found.chunks(LINES) {
            say(part.iter().map(|difference| json_line(&object(difference))))?;
        }
    } else {
        for difference in &found {
            let (letter, paths) = fields(difference);
            let fields: Vec<&str> = std::iter::once(letter).chain(paths).collect();
            if args.null { say_null_ended(&fields)? } else { say_fields(&fields)? }
        }
    }
    Ok(!found.is_empty())
}

fn fields(difference: &Difference) -> (&'static str, Vec<&str>) {
    let path = difference.path.as_str();
    match &difference.change {
        Changed::Added => ("A", vec![path]),
        Changed::Removed => ("D", vec![path]),
        Changed::Modified(_) => ("M", vec![path]),
        Changed::Renamed { from, .. } => ("R", vec![from, path]),
    }
}

fn object(difference: &Difference) -> Value {
    let kind = match difference.kind {
        Kind::File => "file",
        Kind::Directory => "directory",
        Kind::Symlink => "link",
    };
    let (change, from, what) = match &difference.change {
        Changed::Added => ("added", None, What::default()),
        Changed::Removed => ("removed", None, What::default()),
        Changed::Modified(what) => ("modified", None, *what),
        Changed::Renamed { from, also } => ("renamed", Some(from), *also),
    };
    let what: Vec<&str> =
        parts(what).into_iter().filter_map(|(name, differs)| differs.then_some(name)).collect();
    json!({ "path": difference.path, "kind": kind, "change": change, "from": from, "what": what })
}

fn parts(what: What) -> [(&'static str, bool); 4] {
    [("bytes", what.bytes), ("times", what.times), ("links", what.links), ("kind", what.kind)]
}

fn stat(found: &[Difference]) -> [String; 4] {
    let (mut added, mut removed, mut modified, mut renamed) =
        (0_u64, 0_u64, Counted::default(), Counted::default());
    for difference in found {
        match &difference.change {
            Changed::Added => added += 1,
            Changed::Removed => removed += 1,
            Changed::Modified(what) => modified.add(*what),
            Changed::Renamed { also, .. } => renamed.add(*also),
        }
    }
    [
        format!("added: {added}"),
        format!("removed: {removed}"),
        format!("modified: {}", modified.shown()),
        format!("renamed: {}", renamed.shown()),
    ]
}

#[derive(Default)]
struct Counted {
    files: u64,
    parts: [u64; 4],
}

impl Counted {
    fn add(&mut self, what: What) {
        self.files += 1;
        for (count, (_, differs)) in self.parts.iter_mut().zip(parts(what)) {
            *count += u64::from(differs);
        }
    }

    fn shown(&self) -> String {
        let parts =
            self.parts.iter().zip(parts(What::default())).map(|(count, (name, _))| format!("{name} {count}"));
        format!("{} ({})", self.files, parts.collect::<Vec<_>>().join(", "))
    }
}
