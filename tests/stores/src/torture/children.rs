//! Processes that try what may end them.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use std::{fmt, thread};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::verdict::Verdict;
use super::verify::Claim;
use super::write::acknowledged;
use crate::content::History;
use crate::{Kind, Tuning};

/// Longest time that a process may take to look at a store.
const MAX_LOOK: Duration = Duration::from_secs(60);

/// How often a process is looked after.
const LOOK_AFTER: Duration = Duration::from_millis(2);

/// Starts processes for one store.
#[derive(Clone, Debug)]
pub(super) struct Children {
    pub(super) exe: PathBuf,
    pub(super) kind: Kind,
    pub(super) tuning: Tuning,
}

/// How a process ended that looked at a store.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    Verdict(Box<Verdict>),
    /// A signal ended it, or it left without a word.
    Crashed(String),
    /// It had to be ended.
    Hangs,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Verdict(verdict) => write!(f, "{}", verdict.to_json()),
            Self::Crashed(how) => f.write_str(how),
            Self::Hangs => f.write_str("hangs"),
        }
    }
}

/// A process that is killed when it is dropped.
pub(super) struct Running(pub(super) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Children {
    pub(super) fn command(&self, command: &str, dir: &Path) -> Command {
        let mut child = Command::new(&self.exe);
        child.args(["torture-child", command, "--store", &self.kind.to_string(), "--dir"]).arg(dir);
        if self.tuning.small {
            child.arg("--small");
        }
        child.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        child
    }

    fn history(&self, command: &str, dir: &Path, history: &History) -> Command {
        let mut child = self.command(command, dir);
        child.args(["--seed", &history.seed.to_string(), "--keys", &history.keys.to_string()]);
        child
    }

    fn writer(&self, dir: &Path, history: &History, from: u64, to: u64) -> Result<(Running, ChildStdout)> {
        let mut child = self.history("write", dir, history);
        child.args(["--from", &from.to_string(), "--to", &to.to_string()]);
        let mut running = Running(child.spawn().context("starting a process")?);
        let output = running.0.stdout.take().context("a process without an output")?;
        Ok((running, output))
    }

    /// Writes the applies from `from` to `to`, and closes the store in order.
    pub(super) fn write(&self, dir: &Path, history: &History, from: u64, to: u64) -> Result<()> {
        let (mut running, output) = self.writer(dir, history, from, to)?;
        let mut last = from - 1;
        acknowledged(output, |number| {
            last = number;
            Ok(())
        })?;
        let status = running.0.wait()?;
        ensure!(status.success() && last == to, "writing ended after apply {last} of {to}: {status}");
        Ok(())
    }

    /// Writes applies from `from` on, and kills the process some time after `least` of them are
    /// acknowledged. Returns the last acknowledged apply and the last durable one.
    pub(super) fn write_and_kill(
        &self,
        dir: &Path,
        history: &History,
        from: u64,
        least: u64,
        later: Duration,
    ) -> Result<Claim> {
        let (mut running, output) = self.writer(dir, history, from, u64::MAX)?;
        let mut last = from - 1;
        let mut killed = false;
        acknowledged(output, |number| {
            last = number;
            if number >= from + least && !killed {
                killed = true;
                thread::sleep(later);
                running.0.kill()?;
            }
            Ok(())
        })?;
        let status = running.0.wait()?;
        ensure!(killed, "writing ended by itself after apply {last}: {status}");
        let durable =
            (0..=last).rev().find(|number| History::level(*number) == kvfs_host::Durability::Durable);
        Ok(Claim { history: *history, durable: durable.unwrap_or(0), last: last + 1 })
    }

    /// Lets a process look at a store.
    pub(super) fn look(&self, dir: &Path, claim: &Claim) -> Result<Outcome> {
        let mut child = self.history("look", dir, &claim.history);
        child.args(["--durable", &claim.durable.to_string(), "--last", &claim.last.to_string()]);
        Ok(match finish(child.spawn()?, MAX_LOOK)? {
            None => Outcome::Hangs,
            Some((status, output)) => {
                match serde_json::from_slice(&output).ok().as_ref().and_then(Verdict::of_json) {
                    Some(verdict) if status.success() => Outcome::Verdict(Box::new(verdict)),
                    _ => Outcome::Crashed(status.to_string()),
                }
            }
        })
    }

    /// Runs a command whose answer is JSON.
    pub(super) fn answer(&self, mut command: Command) -> Result<Value> {
        match finish(command.spawn()?, MAX_LOOK)? {
            None => bail!("the process hangs"),
            Some((status, output)) => {
                serde_json::from_slice(&output).with_context(|| format!("the process ended with {status}"))
            }
        }
    }
}

/// Waits for a process and reads its output; `None` if it takes too long.
fn finish(child: Child, longest: Duration) -> io::Result<Option<(ExitStatus, Vec<u8>)>> {
    let mut running = Running(child);
    let mut output = running.0.stdout.take();
    let reader = thread::spawn(move || {
        let mut bytes = Vec::new();
        output.as_mut().map_or(Ok(0), |output| output.read_to_end(&mut bytes)).map(|_| bytes)
    });
    let start = Instant::now();
    let status = loop {
        if let Some(status) = running.0.try_wait()? {
            break status;
        }
        if start.elapsed() > longest {
            return Ok(None);
        }
        thread::sleep(LOOK_AFTER);
    };
    let bytes = reader.join().unwrap_or_else(|_| Err(io::Error::other("the thread that reads panicked")))?;
    Ok(Some((status, bytes)))
}
