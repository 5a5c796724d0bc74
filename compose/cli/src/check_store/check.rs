//! Checks the contract claim by claim, within a time for each.

use crate::busy::Busy;
use crate::terminal::{say, with_causes};
use anyhow::{Result, bail};
use kvfs_host::conformance::{self, Outcome, Progress, Report, Verdict};
use kvfs_host::{StoreError, SyncStore};
use std::process::ExitCode;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

/// Exit code for a store that does not keep the contract. A store that could not be checked gives
/// 1.
const BROKEN: u8 = 4;

/// Interrupts of a claim that takes too long: one for the check itself, and two for emptying the
/// store after it, with the old instance and with a new one.
const INTERRUPTS: u32 = 3;

/// Opens the store again, as after the end of the process that had it open.
pub(super) type Open<'a> = dyn Fn() -> Result<Box<dyn SyncStore>> + Sync + 'a;

/// A store to check.
pub(super) struct Check<'a> {
    pub(super) name: &'a str,
    pub(super) open: &'a Open<'a>,
    /// Ends the call that the store is in, if it can be ended.
    pub(super) interrupt: Option<&'a dyn Fn()>,
    /// The time for each claim.
    pub(super) limit: Duration,
}

/// A message from the checking thread to the watching one.
enum Note {
    Starts(&'static str),
    Ends(Outcome),
}

impl Check<'_> {
    pub(super) fn run(&self) -> Result<ExitCode> {
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
                        // Only the end of the process ends a call of the host.
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

/// Checks all claims, and sends notes as long as somebody receives them.
fn check(open: &Open<'_>, notes: &Sender<Note>) -> Report {
    let mut open = || open().map_err(|error| StoreError::Other(with_causes(&error)));
    conformance::check_all(&mut open, &mut |progress| {
        let note = match progress {
            Progress::Starts(claim) => Note::Starts(claim),
            Progress::Ends(outcome) => Note::Ends(outcome.clone()),
        };
        let _ = notes.send(note);
    })
}
