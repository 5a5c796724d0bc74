//! `kvfs du`.

use super::at::At;
use super::each::each;
use super::glob::{Globs, Naming};
use super::place::walked;
use crate::lines::Lines;
use crate::terminal::{complain, json_line};
use anyhow::Result;
use clap::Args;
use indicatif::HumanBytes;
use kvfs::{Follow, InodeNo, Kind};
use kvfs_host::{Files, Step, Walk};
use serde_json::json;
use std::collections::HashSet;
use std::ops::ControlFlow;
use std::process::ExitCode;

/// Shows how many bytes directories of a volume hold, with all that is below them.
///
/// Counted are the bytes of files without holes, and of the targets of links; a file with several names
/// counts once. `kvfs df` tells what a whole volume uses, with names and inodes. A path may have globs: see
/// `kvfs ls --help`. The volume is opened read-only, and a guest may be running on it. The exit code is 1
/// if something could not be read.
#[derive(Args)]
#[command(
    after_help = "Examples:
  kvfs du --store file:state -s -h /in /out
  kvfs du --store file:state -d 1 / | sort -n",
    disable_help_flag = true
)]
pub(crate) struct DuArgs {
    #[command(flatten)]
    at: At,
    #[command(flatten)]
    naming: Naming,
    /// Shows only the paths that are given.
    #[arg(short, long, conflicts_with = "max_depth")]
    summarize: bool,
    /// Shows only directories up to so many levels below the paths that are given.
    #[arg(short = 'd', long, value_name = "N")]
    max_depth: Option<usize>,
    /// Shows sizes for people, such as 1.50 MiB.
    #[arg(short, long)]
    human_readable: bool,
    /// Writes a JSON object for each directory, one a line: path, bytes, files.
    #[arg(long)]
    json: bool,
    /// Prints help.
    #[arg(long = "help", action = clap::ArgAction::Help)]
    _help: Option<bool>,
    /// The directories and files.
    #[arg(default_value = "/")]
    path: Vec<String>,
}

/// The content of a directory, or of a file.
#[derive(Clone, Copy, Default)]
struct Sum {
    bytes: u64,
    files: u64,
}

impl Sum {
    fn add(&mut self, other: Self) {
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.files = self.files.saturating_add(other.files);
    }
}

pub(crate) fn du(args: &DuArgs) -> Result<ExitCode> {
    let mut files = args.at.look()?;
    let mut du = Du { args, out: Lines::default(), seen: HashSet::new(), failed: false, is_closed: false };
    let paths = Globs::new(&args.at, args.naming).all(&mut files, &args.path);
    let code = each(paths, None, |path| du.tree(&mut files, &path?));
    let _ = du.out.flush()?;
    Ok(if du.failed { ExitCode::FAILURE } else { code })
}

struct Du<'a> {
    args: &'a DuArgs,
    out: Lines,
    /// Files with several names that were counted.
    seen: HashSet<InodeNo>,
    failed: bool,
    is_closed: bool,
}

impl Du<'_> {
    fn tree(&mut self, files: &mut Files, path: &str) -> Result<()> {
        let mut walk = files.walk(path, Follow::No);
        // The sums of the directories that the walk stands in.
        let mut sums: Vec<Sum> = Vec::new();
        let mut is_first = true;
        while !self.is_closed {
            let step = match walk.next(files) {
                Ok(Some(step)) => step,
                Ok(None) => return Ok(()),
                Err(error) if is_first => return Err(self.args.at.explain(error)),
                Err(error) => {
                    complain(&self.args.at.explain(error));
                    self.failed = true;
                    // A directory that cannot be read is left without another step.
                    continue;
                }
            };
            is_first = false;
            sums.truncate(step.depth + usize::from(step.leaves));
            let is_directory = step.stat.kind == Kind::Directory;
            if is_directory && !step.leaves {
                sums.push(Sum::default());
                continue;
            }
            let sum = match sums.pop() {
                Some(sum) if is_directory => sum,
                above => {
                    sums.extend(above);
                    self.count(files, &walk, step)
                }
            };
            if let Some(above) = sums.last_mut() {
                above.add(sum);
            }
            let most = if self.args.summarize { 0 } else { self.args.max_depth.unwrap_or(usize::MAX) };
            if step.depth == 0 || is_directory && step.depth <= most {
                self.show(&walked(path, walk.path()), sum)?;
            }
        }
        walk.close(files).map_err(|error| self.args.at.explain(error))
    }

    fn count(&mut self, files: &mut Files, walk: &Walk, step: Step) -> Sum {
        let stat = step.stat;
        if stat.nlink > 1 && !self.seen.insert(stat.ino) {
            return Sum::default();
        }
        let bytes = match stat.kind {
            Kind::File if stat.size > 0 => walk
                .data_ranges(files)
                .map(|ranges| ranges.iter().map(|range| range.end - range.start).sum())
                .unwrap_or_else(|error| {
                    complain(&self.args.at.explain(error));
                    self.failed = true;
                    stat.size
                }),
            _ => stat.size,
        };
        Sum { bytes, files: 1 }
    }

    fn show(&mut self, path: &str, sum: Sum) -> Result<()> {
        let Sum { bytes, files } = sum;
        let shown = if self.args.json {
            self.out.line(json_line(&json!({ "path": path, "bytes": bytes, "files": files })))?
        } else if self.args.human_readable {
            self.out.counted(HumanBytes(bytes), path)?
        } else {
            self.out.counted(bytes, path)?
        };
        self.is_closed = shown == ControlFlow::Break(());
        Ok(())
    }
}
