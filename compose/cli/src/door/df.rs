//! `kvfs df`.

use super::at::At;
use crate::terminal::{json_line, say};
use anyhow::Result;
use clap::Args;
use indicatif::HumanBytes;
use serde_json::json;
use std::process::ExitCode;

/// Shows what a volume uses, and its limits.
///
/// Bytes are those of files without holes and of the targets of links, with a fixed charge for each inode
/// and each name. `kvfs settings set` changes the limits. The volume is opened read-only, and a guest may
/// be running on it.
#[derive(Args)]
#[command(
    after_help = "Examples:
  kvfs df --store file:state
  kvfs df --store file:state --volume prepared -h",
    disable_help_flag = true
)]
pub(crate) struct DfArgs {
    #[command(flatten)]
    at: At,
    /// Shows sizes for people, such as 1.50 MiB.
    #[arg(short, long)]
    human_readable: bool,
    /// Writes a JSON object.
    #[arg(long, conflicts_with = "human_readable")]
    json: bool,
    /// Prints help.
    #[arg(long = "help", action = clap::ArgAction::Help)]
    _help: Option<bool>,
}

pub(crate) fn df(args: &DfArgs) -> Result<ExitCode> {
    let files = args.at.look()?;
    let (used, quota) = files.used();
    if args.json {
        say([json_line(&json!({
            "volume": files.name(),
            "bytes": used.bytes,
            "files": used.inodes,
            "names": used.names,
            "max_bytes": quota.bytes,
            "max_files": quota.inodes,
            "max_names": quota.names,
            "max_file_bytes": quota.file_bytes,
        }))])?;
        return Ok(ExitCode::SUCCESS);
    }
    let bytes = |bytes: u64| match args.human_readable {
        true => HumanBytes(bytes).to_string(),
        false => bytes.to_string(),
    };
    let plain = |count: u64| count.to_string();
    let mut rows = vec![["", "used", "limit", "free", "use"].map(str::to_owned)];
    rows.push(row("bytes", used.bytes, quota.bytes, bytes));
    rows.push(row("files", used.inodes, quota.inodes, plain));
    rows.push(row("names", used.names, quota.names, plain));
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or_default();
    let widths = [width(1), width(2), width(3), width(4)];
    say(rows.iter().map(|[name, used, limit, free, share]| {
        let [one, two, three, four] = widths;
        format!("{name:5}  {used:>one$}  {limit:>two$}  {free:>three$}  {share:>four$}")
    }))?;
    if let Some(most) = quota.file_bytes {
        say([format!("a file: at most {} bytes", bytes(most))])?;
    }
    Ok(ExitCode::SUCCESS)
}

fn row(name: &str, used: u64, limit: Option<u64>, shown: impl Fn(u64) -> String) -> [String; 5] {
    let none = || "-".to_owned();
    let free = limit.map_or_else(none, |limit| shown(limit.saturating_sub(used)));
    // Rounded up, as df(1) does: what is nearly full is not shown as having room.
    let share = limit.map_or_else(none, |limit| match limit {
        0 => "100%".to_owned(),
        limit => format!("{}%", (u128::from(used) * 100).div_ceil(u128::from(limit))),
    });
    [name.to_owned(), shown(used), limit.map_or_else(none, &shown), free, share]
}

#[cfg(test)]
mod tests {
    use super::row;

    #[test]
    fn shares_are_rounded_up_and_never_divide_by_nothing() {
        let row = |used, limit| row("x", used, limit, |count| count.to_string()).join(" ");
        assert_eq!(row(1, Some(1000)), "x 1 1000 999 1%");
        assert_eq!(row(0, Some(1000)), "x 0 1000 1000 0%");
        assert_eq!(row(1001, Some(1000)), "x 1001 1000 0 101%");
        assert_eq!(row(5, Some(0)), "x 5 0 0 100%");
        assert_eq!(row(u64::MAX, Some(u64::MAX)), format!("x {0} {0} 0 100%", u64::MAX));
        assert_eq!(row(5, None), "x 5 - - -");
    }
}
