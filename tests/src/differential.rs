//! Runs a guest in several ways: its output, its end and the files it leaves must be the same in
//! all.
//!
//! The reference is wasmtime's own file system, on a directory of the host. A list holds the
//! intended differences, with the values on both sides and the paragraph of SEMANTICS.md that
//! explains each. A difference missing from the list is a fault, and so is a listed difference that
//! no longer occurs.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use kvfs_compose::Link;
use kvfs_host::MemoryStore;
use wasmtime::component::Component;

use crate::{Network, Output, Program, Tree, engine, guests};

/// The page with a paragraph for each intended difference.
const SEMANTICS: &str = include_str!("../../adapter/engine/SEMANTICS.md");

/// The standard input of every run. It is longer than a page, so that reading it takes more than
/// one read.
pub const STDIN: &str = include_str!("differential.rs");

/// How a program's error message starts if a step before the ones under test failed.
const SET_UP: &str = "set-up: ";

/// Separates the arguments of one process from those of the next, on the same files.
pub const THEN: &str = "then";

/// Stands for the value of a label that one side lacks.
const NOTHING: &str = "-";

/// A way to give a guest its file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Unchanged, on a directory of the host, through wasmtime's own file system.
    Host,
    /// Composed with the file system, on a store in memory.
    Composed,
    /// Linked with the file system at core level, on a store in memory.
    Linked,
}

impl Way {
    /// The ways that are compared with [`Way::Host`].
    pub const OURS: [Self; 2] = [Self::Composed, Self::Linked];

    /// Returns the component that this way runs.
    ///
    /// # Errors
    ///
    /// The guest cannot be made a component, composed or linked.
    pub fn component(self, guest: &[u8]) -> anyhow::Result<Vec<u8>> {
        match self {
            Self::Host => guests::component(guest),
            Self::Composed => guests::composed(guest),
            Self::Linked => guests::joined(guest, Link::Core),
        }
    }
}

/// A guest, compiled for one way.
pub struct Prepared {
    way: Way,
    component: Component,
}

impl Prepared {
    /// Prepares a component of WASI 0.2 or a core module for preview1.
    ///
    /// # Errors
    ///
    /// The guest cannot be composed or compiled.
    pub fn new(way: Way, guest: &[u8]) -> anyhow::Result<Self> {
        let component = engine::compile(engine::interruptible(), &way.component(guest)?)?;
        Ok(Self { way, component })
    }

    /// Runs the guest on an empty file system; [`THEN`] among the arguments starts another process.
    ///
    /// # Errors
    ///
    /// It could not be started, or the files it left cannot be read.
    pub fn run(&self, arguments: &[&str]) -> anyhow::Result<Seen> {
        let program = |part: &[&str]| {
            let program = Program::new(&self.component).args(part.iter().copied()).stdin(STDIN);
            program.network(Network::Loopback)
        };
        let processes = arguments.split(|argument| *argument == THEN);
        match self.way {
            Way::Host => {
                let dir = tempfile::tempdir()?;
                let run = |part| program(part).host_files(dir.path()).run();
                let outputs = processes.map(run).collect::<anyhow::Result<_>>()?;
                Ok(Seen::new(outputs, Tree::of_directory(dir.path())?))
            }
            Way::Composed | Way::Linked => {
                let store = Arc::new(MemoryStore::new());
                let run = |part| program(part).store(store.clone()).run();
                let outputs = processes.map(run).collect::<anyhow::Result<_>>()?;
                Ok(Seen::new(outputs, Tree::of_store(&store)?))
            }
        }
    }
}

/// All observations of a run, by label.
#[derive(Debug, Clone)]
pub struct Seen {
    facts: BTreeMap<String, String>,
    lines: Vec<String>,
    /// Standard error.
    pub stderr: String,
    /// The trap in full, if it ended with one.
    pub trap: Option<String>,
}

impl Seen {
    fn new(processes: Vec<Output>, tree: Tree) -> Self {
        let files = tree.0.into_iter().map(|(path, text)| (format!("left /{path}"), text));
        let mut seen = Self { facts: files.collect(), lines: Vec::new(), stderr: String::new(), trap: None };
        for (index, output) in processes.into_iter().enumerate() {
            let before = if index == 0 { String::new() } else { format!("process {}: ", index + 1) };
            seen.add(&before, output);
        }
        seen
    }

    fn add(&mut self, before: &str, output: Output) {
        for (number, line) in output.stdout.lines().enumerate() {
            // A line without a label of its own is labelled by its number.
            let (label, value) = match line.rsplit_once(": ") {
                Some((label, value)) if !self.facts.contains_key(&format!("{before}{label}")) => {
                    (label.to_owned(), value)
                }
                _ => (format!("line {}", number + 1), line),
            };
            self.facts.insert(format!("{before}{label}"), value.to_owned());
            self.lines.push(line.to_owned());
        }
        let end = match output.code {
            Some(code) => format!("code {code}"),
            None => "trap".to_owned(),
        };
        self.facts.insert(format!("{before}the end"), end);
        self.stderr += &output.stderr;
        self.trap = output.trap.or(self.trap.take());
    }

    /// Returns the lines of standard output.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// Returns the value observed under a label.
    pub fn get(&self, label: &str) -> &str {
        self.facts.get(label).map_or(NOTHING, String::as_str)
    }

    /// Returns the labels under which two runs differ, with both values.
    fn differences<'a>(&'a self, other: &'a Self) -> Vec<(&'a str, &'a str, &'a str)> {
        let labels = self.facts.keys().chain(other.facts.keys().filter(|k| !self.facts.contains_key(*k)));
        let values = labels.map(|label| (label.as_str(), self.get(label), other.get(label)));
        values.filter(|(_, one, other)| one != other).collect()
    }
}

/// An intended difference.
#[derive(Debug, Clone, Copy)]
pub struct Difference {
    /// The guest's first argument.
    pub program: &'static str,
    /// The label under which the runs differ.
    pub label: &'static str,
    /// The value on the host's file system.
    pub host: &'static str,
    /// The value on ours.
    pub ours: &'static str,
    /// The paragraph of SEMANTICS.md that says why, named by its first words.
    pub because: &'static str,
}

/// Compares runs of a guest, one per list of arguments, on the host's file system and in one of our
/// ways.
///
/// # Errors
///
/// Lists every fault on a line of its own: differences that are not `known`, `known` ones that did
/// not occur, missing paragraphs, runs whose preparation failed, and differing output on standard
/// error.
pub fn compare(
    way: Way,
    guest: &[u8],
    runs: &[Vec<&str>],
    known: &[Difference],
) -> anyhow::Result<Result<(), String>> {
    let (host, ours) = (Prepared::new(Way::Host, guest)?, Prepared::new(way, guest)?);
    let mut faults = String::new();
    let mut met = vec![false; known.len()];
    for arguments in runs {
        let name = arguments.first().copied().unwrap_or_default();
        let (on_host, on_ours) = (host.run(arguments)?, ours.run(arguments)?);
        if on_host.stderr.contains(SET_UP) || on_host.stderr != on_ours.stderr {
            let _ = writeln!(
                faults,
                "{name}: standard error {:?}, on the host {:?}",
                on_ours.stderr, on_host.stderr
            );
        }
        let mut unexpected = false;
        for (label, host, ours) in on_host.differences(&on_ours) {
            let place =
                known.iter().position(|d| (d.program, d.label, d.host, d.ours) == (name, label, host, ours));
            match place {
                Some(place) => met[place] = true,
                None => {
                    unexpected = true;
                    let _ = writeln!(faults, "{name}: {label}: {ours}, on the host: {host}");
                }
            }
        }
        if let (true, Some(trap)) = (unexpected, &on_ours.trap) {
            let _ = writeln!(faults, "{name}: {trap}");
        }
    }
    for (difference, met) in known.iter().zip(met) {
        if !met {
            let _ = writeln!(faults, "known, but did not occur: {difference:?}");
        }
        if !SEMANTICS.contains(&format!("- **{}**", difference.because)) {
            let _ = writeln!(faults, "SEMANTICS.md has no paragraph **{}**", difference.because);
        }
    }
    Ok(if faults.is_empty() { Ok(()) } else { Err(faults) })
}
