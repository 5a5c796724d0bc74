//! `kvfs audit`.

use crate::interrupt;
use crate::sealing::{KeyArgs, tell_damage};
use crate::store_url::StoreUrl;
use crate::terminal::{say, warn};
use anyhow::{Context, Result, bail};
use clap::Args;
use kvfs_audit::{Found, Key, Reader, RunId, Time, key_end, run_range};
use kvfs_host::{AnyStore, Durability, Entry, Mutation, SyncStore};
use std::collections::BTreeMap;
use std::process::ExitCode;

/// Shows the audit logs in a store, as JSON lines, or removes old ones.
///
/// Opens the store read-only, except to remove. The exit code is 0 if every record could be read,
/// and 4 if some are missing or damaged, which standard error tells.
#[derive(Args)]
pub(crate) struct AuditArgs {
    /// The store, such as `file:DIR`. No guest may be running on it.
    #[arg(long)]
    store: StoreUrl,
    #[command(flatten)]
    key: KeyArgs,
    /// Shows the events of this run alone, as --list names it.
    #[arg(long, value_parser = parse_run)]
    run: Option<RunId>,
    /// Lists the runs instead of their events: id, when it began, bytes.
    #[arg(long, conflicts_with = "run")]
    list: bool,
    /// Removes the runs that began before this one; it stays itself.
    #[arg(long, value_name = "RUN", value_parser = parse_run, conflicts_with_all = ["run", "list"])]
    remove_before: Option<RunId>,
}

/// Something could not be read.
const UNSOUND: u8 = 4;

/// Bounds of one page of a scan.
const PAGE_ENTRIES: u32 = 1024;
const PAGE_BYTES: u32 = 4 << 20;

fn parse_run(text: &str) -> Result<RunId, String> {
    RunId::parse(text)
        .ok_or_else(|| "a run is 32 hexadecimal digits, as `kvfs audit --list` shows them".into())
}

pub(crate) fn audit(args: &AuditArgs) -> Result<ExitCode> {
    interrupt::end_in_order()?;
    if let Some(first) = args.remove_before {
        return remove_before(args, first);
    }
    let store = args.key.open_to_read(&args.store)?;
    let code = if args.list { list(args, &store) } else { show(args, &store) };
    let damage = store.damage();
    tell_damage(&args.store, &damage);
    Ok(if damage.is_none() { code? } else { code.map(|_| ExitCode::from(UNSOUND))? })
}

/// Calls `each` with the records of a range, in the order of their keys.
fn scan(
    args: &AuditArgs,
    store: &AnyStore,
    (mut start, end): (Vec<u8>, Vec<u8>),
    mut each: impl FnMut(Key, &[u8]) -> Result<()>,
) -> Result<()> {
    loop {
        let page = store.scan(&start, &end, PAGE_ENTRIES, PAGE_BYTES).with_context(|| args.store.clone())?;
        let Some(last) = page.last() else { return Ok(()) };
        if last.key < start || last.key >= end {
            bail!("{}: the store returned a key outside the range that was asked for", args.store);
        }
        start = [&last.key, &b"\0"[..]].concat();
        for Entry { key, value } in &page {
            if let Some(key) = Key::parse(key) {
                each(key, value)?;
            }
        }
    }
}

fn show(args: &AuditArgs, store: &AnyStore) -> Result<ExitCode> {
    let range = args.run.map_or_else(key_end, run_range);
    let (mut reader, mut found_any, mut is_sound) = (Reader::new(), false, true);
    let mut lines = Vec::new();
    let mut tell = |found: Found<'_>, lines: &mut Vec<String>| {
        let what = match found {
            Found::Line(line) => return lines.push(line.to_owned()),
            Found::Missing { run, from, to } => {
                format!("run {run}: records {from} to {} are missing", to - 1)
            }
            Found::Damaged(key) => format!("run {}: record {} is damaged", key.run, key.seq),
            Found::NoLine(key) => format!("run {}: record {} has bytes that are no line", key.run, key.seq),
            _ => "the log has something that this version does not know".to_owned(),
        };
        is_sound = false;
        warn(format_args!("{}: {what}", args.store));
    };
    scan(args, store, range, |key, value| {
        found_any = true;
        reader.record(key, value, &mut |found| tell(found, &mut lines));
        say(lines.drain(..))
    })?;
    reader.end(&mut |found| tell(found, &mut lines));
    if let (false, Some(run)) = (found_any, args.run) {
        bail!("{}: no run {run}; `kvfs audit --list` lists them", args.store);
    }
    Ok(if is_sound { ExitCode::SUCCESS } else { ExitCode::from(UNSOUND) })
}

fn list(args: &AuditArgs, store: &AnyStore) -> Result<ExitCode> {
    let mut runs: BTreeMap<RunId, u64> = BTreeMap::new();
    scan(args, store, key_end(), |key, value| {
        *runs.entry(key.run).or_default() += value.len() as u64;
        Ok(())
    })?;
    say(runs.iter().map(|(run, bytes)| {
        let began = run.began_nanoseconds();
        let seconds = i64::try_from(began / 1_000_000_000).unwrap_or(i64::MAX);
        let time = Time { seconds, nanoseconds: (began % 1_000_000_000) as u32 };
        format!("{run} {time} {bytes}")
    }))?;
    Ok(ExitCode::SUCCESS)
}

fn remove_before(args: &AuditArgs, first: RunId) -> Result<ExitCode> {
    // A record that does not open goes like every other.
    let store = args.key.look_first(&args.store, |_| Ok(()), KeyArgs::open_to_repair)?;
    let (start, _) = key_end();
    let (end, _) = run_range(first);
    let mut keys = Vec::new();
    scan(args, &store, (start, end), |key, _| {
        keys.push(key.to_bytes());
        Ok(())
    })?;
    let max_entries =
        store.limits().with_context(|| args.store.clone())?.max_batch_entries.clamp(1, PAGE_ENTRIES);
    for part in keys.chunks(max_entries as usize) {
        let mutations: Vec<_> = part.iter().map(|key| Mutation::Delete { key: &key[..] }).collect();
        store.apply(&[], &mutations, Durability::Buffered).with_context(|| args.store.clone())?;
    }
    args.store.closed(store.close(), "the removal")?;
    say([format!("removed {} records", keys.len())])?;
    Ok(ExitCode::SUCCESS)
}
