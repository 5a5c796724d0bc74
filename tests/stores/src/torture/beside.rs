//! A second process beside the owner of a store: one that reads, and one that writes.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Stdio};

use anyhow::{Context, Result};
use kvfs_host::{Durability, Mutation, SyncStore};
use serde_json::json;

use super::caught;
use super::children::{Children, Running};
use crate::content::{key, value};
use crate::report::Report;
use crate::{Kind, Tuning, disk};

const SEED: u64 = 6;
const VALUE_BYTES: usize = 2_000;

/// Puts of each of two writers in turn.
const TURNS: u64 = 25;

/// A process with the store open, which does what it is told.
struct Beside {
    running: Running,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Beside {
    /// Starts a process. Returns what it says of the opening too.
    fn start(children: &Children, dir: &Path, reader: bool) -> Result<(Self, String)> {
        let mut command = children.command("serve", dir);
        if reader {
            command.arg("--reader");
        }
        let mut running = Running(command.stdin(Stdio::piped()).spawn()?);
        let to = running.0.stdin.take().context("a process without an input")?;
        let from = BufReader::new(running.0.stdout.take().context("a process without an output")?);
        let mut beside = Self { running, to, from };
        let said = beside.hear()?;
        Ok((beside, said))
    }

    fn hear(&mut self) -> Result<String> {
        let mut line = String::new();
        self.from.read_line(&mut line)?;
        if line.is_empty() {
            let status = self.running.0.wait()?;
            return Ok(format!("crash: {status}"));
        }
        Ok(line.trim_end().to_owned())
    }

    fn ask(&mut self, what: &str) -> Result<String> {
        if writeln!(self.to, "{what}").is_err() {
            return Ok("crash".into());
        }
        self.hear()
    }
}

pub(super) fn run(children: &Children, dir: &Path, report: &mut Report) -> Result<()> {
    let kind = children.kind;
    std::fs::create_dir_all(dir)?;
    let (reading, after) = reader(children, dir)?;
    report.set(kind, "a reader beside the owner", reading);
    report.set(kind, "a reader beside the owner: the owner", after);
    disk::remove(dir)?;
    std::fs::create_dir_all(dir)?;
    let writing = writer(children, dir)?;
    report.set(kind, "a second writer", writing.0);
    report.set(kind, "a second writer: applies lost", writing.1);
    report.set(kind, "a second writer, details", json!({ "first error": writing.2 }));
    disk::remove(dir)?;
    Ok(())
}

fn reader(children: &Children, dir: &Path) -> Result<(String, String)> {
    let (mut owner, opened) = Beside::start(children, dir, false)?;
    anyhow::ensure!(opened == "open", "the owner's opening: {opened}");
    anyhow::ensure!(owner.ask("put 1")? == "ok", "the owner's first put");
    let (mut reader, opened) = Beside::start(children, dir, true)?;
    let reading = if opened == "open" {
        let first = reader.ask("get 1")?;
        let put = owner.ask("put 2")?;
        match (first.as_str(), put.as_str(), reader.ask("get 2")?.as_str()) {
            ("ok", "ok", "ok") => "follows".to_owned(),
            ("ok", "ok", "none") => "as at its opening".to_owned(),
            (first, put, second) => format!("{first}, {put}, {second}"),
        }
    } else {
        "refused".to_owned()
    };
    let after = owner.ask("put 3")?;
    reader.ask("close")?;
    Ok((reading, if after == "ok" { "goes on".into() } else { after }))
}

fn writer(children: &Children, dir: &Path) -> Result<(String, u64, String)> {
    let (mut first, opened) = Beside::start(children, dir, false)?;
    anyhow::ensure!(opened == "open", "the owner's opening: {opened}");
    anyhow::ensure!(first.ask("put 0")? == "ok", "the owner's first put");
    let mut acknowledged = vec![0];
    let (mut second, opened) = Beside::start(children, dir, false)?;
    let mut error = String::new();
    let (mut of_first, mut of_second) = (0, 0);
    if opened == "open" {
        for turn in 0..TURNS {
            for (process, count, number) in
                [(&mut second, &mut of_second, 1_000 + turn), (&mut first, &mut of_first, 2_000 + turn)]
            {
                match process.ask(&format!("put {number}"))?.as_str() {
                    "ok" => {
                        *count += 1;
                        acknowledged.push(number);
                    }
                    other if error.is_empty() => error = other.into(),
                    _ => {}
                }
            }
        }
    } else {
        error = opened.clone();
        if first.ask("put 2000")? == "ok" {
            of_first = 1;
            acknowledged.push(2_000);
        }
    }
    for process in [&mut second, &mut first] {
        process.ask("close")?;
    }
    let (mut again, reopened) = Beside::start(children, dir, false)?;
    let mut lost = 0;
    for number in &acknowledged {
        lost += u64::from(again.ask(&format!("get {number}"))? != "ok");
    }
    again.ask("close")?;
    let both = of_first == TURNS && of_second == TURNS;
    let result = match (opened.as_str(), of_first) {
        _ if reopened != "open" => "damages the store",
        ("open", _) if both => "both write",
        ("open", 0) => "ends the first",
        ("open", _) => "both write, with errors",
        (_, 0) => "refused, and the first is ended",
        _ => "refused",
    };
    Ok((result.into(), lost, error))
}

/// Opens the store and does what is asked on standard input, one line each: `put NUMBER`,
/// `get NUMBER`, `close`. Answers with one line each.
pub(super) fn child(kind: Kind, dir: &Path, tuning: Tuning, reader: bool) -> Result<()> {
    caught::watch();
    enum Open {
        Writer(Box<dyn crate::Trial>),
        Reader(Box<dyn SyncStore>),
    }
    let opened = caught::call(|| match reader {
        true => kind.open_reader(dir, tuning).map(Open::Reader),
        false => kind.open(dir, tuning).map(Open::Writer),
    });
    let say = |line: &str| -> Result<()> {
        println!("{}", line.replace('\n', " "));
        Ok(std::io::stdout().flush()?)
    };
    let store = match opened {
        Ok(store) => store,
        Err(failed) => return say(&failed.to_string()),
    };
    say("open")?;
    for line in std::io::stdin().lines() {
        let line = line?;
        let (verb, number) = line.split_once(' ').unwrap_or((&line, "0"));
        let number: u64 = number.parse().context("a number")?;
        let plain: &dyn SyncStore = match &store {
            Open::Writer(store) => &**store,
            Open::Reader(store) => &**store,
        };
        let key = key(b'e', number, 0);
        let wanted = value(SEED, &key, number, VALUE_BYTES);
        match verb {
            "put" => {
                let put = Mutation::Put { key: &key, value: &wanted };
                match caught::call(|| plain.apply(&[], &[put], Durability::Durable)) {
                    Ok(()) => say("ok")?,
                    Err(failed) => say(&failed.to_string())?,
                }
            }
            "get" => match caught::call(|| plain.get(&[&key])) {
                Ok(found) => match found.first().and_then(Option::as_deref) {
                    None => say("none")?,
                    Some(found) if found == wanted => say("ok")?,
                    Some(_) => say("wrong")?,
                },
                Err(failed) => say(&failed.to_string())?,
            },
            _ => break,
        }
    }
    let closed = match store {
        Open::Writer(store) => caught::call(|| store.close()),
        Open::Reader(store) => caught::call(|| {
            drop(store);
            Ok(())
        }),
    };
    match closed {
        Ok(()) => say("closed"),
        Err(failed) => say(&failed.to_string()),
    }
}
