//! `kvfs check-store`: the contract, claim by claim.

use super::compose::provider;
use super::provider_store::{Program, ProviderStore};
use super::{Busy, say};
use crate::CheckStoreArgs;
use anyhow::{Context, Result, bail};
use kvfs_host::conformance::{self, Outcome, Progress, Report, Verdict};
use kvfs_host::{FileStore, StoreError, SyncStore, open_store};
use std::process::ExitCode;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

/// Exit code for a store that does not keep the contract, beside 1 for one that could not be checked.
const BROKEN: u8 = 4;

/// How often a claim that takes too long is interrupted: a check itself, and the emptying of the store after it with
/// the old instance and with a new one.
const INTERRUPTS: u32 = 3;

/// Makes the store once more, as after the end of whoever had it.
type Open<'a> = dyn Fn() -> Result<Box<dyn SyncStore>> + Sync + 'a;

pub(crate) fn check_store(args: &CheckStoreArgs) -> Result<ExitCode> {
    super::interrupt::end_in_order()?;
    let limit = args.timeout;
    match (&args.store, &args.provider) {
        (Some(url), _) => {
            Check { name: url, open: &|| Ok(Box::new(open_store(url)?)), interrupt: None, limit }.run()
        }
        (None, Some(name)) => {
            let Some(bytes) = provider(name)?.to_component().context(name.clone())? else {
                bail!("{name} is no provider; check a store of the host with --store");
            };
            if name == "file" || name.starts_with("file:") {
                // It would make a store among the files that are there.
                args.dir.iter().try_for_each(|(directory, _)| FileStore::check(directory))?;
            }
            let program = Program::new(&bytes, &args.dir).with_context(|| name.clone())?;
            let open: &Open<'_> = &|| Ok(Box::new(ProviderStore::start(&program)?));
            Check { name, open, interrupt: Some(&|| program.interrupt()), limit }.run()
        }
        (None, None) => bail!("there is nothing to check; give --store or --provider"),
    }
}

struct Check<'a> {
    name: &'a str,
    open: &'a Open<'a>,
    /// Ends the call that the store is busy with, if that can be done.
    interrupt: Option<&'a dyn Fn()>,
    /// The time that a claim has.
    limit: Duration,
}

/// What the thread that checks tells the one that watches.
enum Note {
    Starts(&'static str),
    Ends(Outcome),
}

impl Check<'_> {
    fn run(&self) -> Result<ExitCode> {
        let report = thread::scope(|scope| {
            let (sender, notes) = channel();
            let open = self.open;
            let checks = scope.spawn(move || check(open, &sender));
            let busy = Busy::new("checking");
            let (mut claim, mut interrupts) = ("", 0);
            loop {
                match notes.recv_timeout(self.limit) {
                    Ok(Note::Starts(next)) => {
                        (claim, interrupts) = (next, 0);
                        busy.doing(next);
                    }
                    Ok(Note::Ends(outcome)) => busy.aside(|| say([outcome]))?,
                    Err(RecvTimeoutError::Timeout) => match self.interrupt {
                        Some(interrupt) if interrupts < INTERRUPTS => {
                            interrupts += 1;
                            interrupt();
                        }
                        // Whoever waits in there cannot be ended but with the whole process.
                        _ => busy.aside(|| self.give_up(claim))?,
                    },
                    Err(RecvTimeoutError::Disconnected) => break,
                }
            }
            checks.join().or_else(|_| bail!("{}: the check itself panicked; please report it", self.name))
        })?;
        self.sum_up(&report)
    }

    fn sum_up(&self, report: &Report) -> Result<ExitCode> {
        let (holding, failing, open) = (report.holding(), report.failing(), report.not_checked());
        if holding + failing == 0 {
            let why = report.outcomes.iter().find_map(|outcome| match &outcome.verdict {
                Verdict::NotChecked(why) => Some(why.as_str()),
                _ => None,
            });
            bail!("cannot check {}: {}", self.name, why.unwrap_or("there are no claims"));
        }
        let not_checked = if open > 0 { format!(", {open} were not checked") } else { String::new() };
        say([format!("{} claims checked, {failing} do not hold{not_checked}", holding + failing)])?;
        Ok(if report.passed() { ExitCode::SUCCESS } else { ExitCode::from(BROKEN) })
    }

    fn give_up(&self, claim: &str) -> Result<()> {
        let limit = humantime::format_duration(self.limit);
        let why = match self.interrupt {
            None => "the store gave no answer",
            Some(_) => "the provider waits in a call of the host, which cannot be interrupted",
        };
        say([
            format!("FAILED  {claim}: it was not done after {limit}; {why}"),
            "the claims after it were not checked".to_owned(),
        ])?;
        std::process::exit(BROKEN.into())
    }
}

/// Checks all claims. Nobody waits for the notes of one that has no end.
fn check(open: &Open<'_>, notes: &Sender<Note>) -> Report {
    let mut open = || open().map_err(|error| StoreError::Other(format!("{error:#}")));
    conformance::check_all(&mut open, &mut |progress| {
        let note = match progress {
            Progress::Starts(claim) => Note::Starts(claim),
            Progress::Ends(outcome) => Note::Ends(outcome.clone()),
        };
        let _ = notes.send(note);
    })
}
