//! `kvfs find`.

use super::at::At;
use super::glob::{Globs, Naming};
use super::pick::{Pick, PickArgs};
use super::place::{last_name, walked};
use super::shown::json;
use crate::lines::Lines;
use crate::terminal::{complain, json_line};
use anyhow::Result;
use clap::Args;
use kvfs::{Follow, Kind};
use kvfs_host::{Files, FilesError, Walk};
use std::ffi::OsString;
use std::ops::ControlFlow;
use std::process::ExitCode;

/// Finds files of a volume by name, kind, size and time.
///
/// Shows each path that all conditions are true of, in no order; options may have one dash, as those of
/// find(1) have. A path may have globs: see `kvfs ls --help`. No link is followed. The volume is opened
/// read-only, and a guest may be running on it. The exit code is 1 if something could not be looked at.
#[derive(Args)]
#[command(after_help = "Examples:
  kvfs find --store file:state / -name '*.py' -size +10k
  kvfs find --store file:state /out -type f -newer /out/started -print0 | xargs -0 -n 1 echo")]
pub(crate) struct FindArgs {
    #[command(flatten)]
    at: At,
    #[command(flatten)]
    naming: Naming,
    #[command(flatten)]
    pick: PickArgs,
    /// Goes so many levels below the paths that are given.
    #[arg(long, value_name = "N")]
    maxdepth: Option<usize>,
    /// Ends each path with a zero byte, and writes it as it is. Otherwise characters that a terminal acts
    /// on are escaped.
    #[arg(long, conflicts_with = "json")]
    print0: bool,
    /// Writes a JSON object for each path, one a line, as `kvfs ls --json`.
    #[arg(long)]
    json: bool,
    /// The directories and files.
    #[arg(default_value = "/")]
    path: Vec<String>,
}

/// The options that find(1) writes with one dash, and whether a value follows.
static ONE_DASH: [(&str, bool); 7] = [
    ("-name", true),
    ("-iname", true),
    ("-type", true),
    ("-size", true),
    ("-newer", true),
    ("-maxdepth", true),
    ("-print0", false),
];

/// Gives the options of `kvfs find` a second dash, in the arguments of the command.
pub(crate) fn with_two_dashes(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut args: Vec<OsString> = args.into_iter().collect();
    if args.get(1).is_none_or(|command| command != "find") {
        return args;
    }
    let mut is_value = false;
    for arg in args.iter_mut().skip(2) {
        if arg.as_os_str() == "--" {
            break;
        }
        let option = ONE_DASH.iter().find(|(option, _)| !is_value && arg.as_os_str() == *option);
        is_value = option.is_some_and(|(_, has_value)| *has_value);
        if let Some((option, _)) = option {
            *arg = format!("-{option}").into();
        }
    }
    args
}

pub(crate) fn find(args: &FindArgs) -> Result<ExitCode> {
    let mut files = args.at.look()?;
    let pick = args.pick.read(&args.at, &mut files)?;
    let mut find = Find { args, pick, out: Lines::default(), failed: false };
    for path in Globs::new(&args.at, args.naming).all(&mut files, &args.path) {
        match path {
            Ok(path) => {
                if find.tree(&mut files, &path)? == ControlFlow::Break(()) {
                    break;
                }
            }
            Err(error) => {
                complain(&error);
                find.failed = true;
            }
        }
    }
    let _ = find.out.flush()?;
    Ok(if find.failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

struct Find<'a> {
    args: &'a FindArgs,
    pick: Pick,
    out: Lines,
    failed: bool,
}

impl Find<'_> {
    fn tree(&mut self, files: &mut Files, path: &str) -> Result<ControlFlow<()>> {
        let mut walk = files.walk(path, Follow::No);
        loop {
            let step = match walk.next(files) {
                Ok(Some(step)) => step,
                Ok(None) => return Ok(ControlFlow::Continue(())),
                Err(error) => {
                    self.fail(error);
                    continue;
                }
            };
            if step.leaves {
                continue;
            }
            if self.args.maxdepth.is_some_and(|most| step.depth >= most) {
                walk.skip();
            }
            let name =
                if step.depth > 0 { walk.name() } else { last_name(walk.path()).unwrap_or(walk.path()) };
            if !self.pick.takes(name, &step.stat) {
                continue;
            }
            let target = match step.stat.kind {
                Kind::Symlink if self.args.json => self.target(files, &walk),
                _ => None,
            };
            let path = walked(path, walk.path());
            let shown = if self.args.json {
                self.out.line(json_line(&json(&path, &step.stat, target.as_deref())))?
            } else if self.args.print0 {
                self.out.null_ended(&path)?
            } else {
                self.out.line(&path)?
            };
            if shown == ControlFlow::Break(()) {
                let closed = walk.close(files).map_err(|error| self.args.at.explain(error));
                return closed.map(|()| shown);
            }
        }
    }

    fn target(&mut self, files: &mut Files, walk: &Walk) -> Option<String> {
        files.read_link(walk.path()).map_err(|error| self.fail(error)).ok()
    }

    fn fail(&mut self, error: FilesError) {
        complain(&self.args.at.explain(error));
        self.failed = true;
    }
}

#[cfg(test)]
mod tests {
    use super::with_two_dashes;
    use std::ffi::{OsStr, OsString};

    #[test]
    fn only_options_of_find_get_a_second_dash() {
        for (given, expected) in [
            ("kvfs find / -name *.py -print0", "kvfs find / --name *.py --print0"),
            ("kvfs find -name -type -type f", "kvfs find --name -type --type f"),
            ("kvfs find -size -5k -- -name", "kvfs find --size -5k -- -name"),
            ("kvfs find --name x -other", "kvfs find --name x -other"),
            ("kvfs ls -name", "kvfs ls -name"),
            ("kvfs", "kvfs"),
        ] {
            let args = given.split(' ').map(OsString::from);
            assert_eq!(with_two_dashes(args).join(OsStr::new(" ")), OsStr::new(expected));
        }
    }
}
