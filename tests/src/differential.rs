//! The same guest in several ways: what it prints, how it ends and what it leaves must be the same.
//!
//! wasmtime's own file system, on a directory of the host, is what the others are measured by. Where they differ on
//! purpose, the difference is in a list, with the values on both sides and the paragraph of SEMANTICS.md that says
//! so. A difference that is not in the list is a fault, and so is an entry of the list that differs no more.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use kvfs_compose::Link;
use kvfs_host::MemoryStore;
use wasmtime::component::Component;

use crate::{Network, Output, Program, Tree, engine, guests};

/// The page that has a paragraph for each difference on purpose.
const SEMANTICS: &str = include_str!("../../adapter/engine/SEMANTICS.md");

/// What standard input holds in every run; over a page, so that it takes more than one read.
pub const STDIN: &str = include_str!("differential.rs");

/// How a program starts its last words if a step before the ones under test has failed.
const SET_UP: &str = "set-up: ";

/// Parts the arguments of one process from those of the next, on the same files.
pub const THEN: &str = "then";

/// What is told of a label that one side has not.
const NOTHING: &str = "-";

/// A way to give a guest its file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// As it is, on a directory of the host, through wasmtime's own file system.
    Host,
    /// Composed with the file system, on a store in memory.
    Composed,
    /// Linked with the file system at core level, on a store in memory.
    Linked,
}

impl Way {
    /// The ways that are measured by [`Way::Host`].
    pub const OURS: [Way; 2] = [Way::Composed, Way::Linked];

    /// Returns a guest as it is run in this way.
    ///
    /// # Errors
    ///
    /// It cannot be made a component, composed or linked.
    pub fn component(self, guest: &[u8]) -> anyhow::Result<Vec<u8>> {
        match self {
            Way::Host => guests::component(guest),
            Way::Composed => guests::composed(guest),
            Way::Linked => guests::joined(guest, Link::Core),
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
        Ok(Prepared { way, component })
    }

    /// Runs the guest on an empty file system; with [`THEN`] among the arguments, more than once.
    ///
    /// # Errors
    ///
    /// It could not be started, or what it left cannot be read.
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

/// All that is seen of a run, by label.
#[derive(Debug, Clone)]
pub struct Seen {
    facts: BTreeMap<String, String>,
    lines: Vec<String>,
    /// What it printed on standard error.
    pub stderr: String,
    /// How it ended, in full.
    pub trap: Option<String>,
}

impl Seen {
    fn new(processes: Vec<Output>, tree: Tree) -> Seen {
        let files = tree.0.into_iter().map(|(path, text)| (format!("left /{path}"), text));
        let mut seen = Seen { facts: files.collect(), lines: Vec::new(), stderr: String::new(), trap: None };
        for (index, output) in processes.into_iter().enumerate() {
            let before = if index == 0 { String::new() } else { format!("process {}: ", index + 1) };
            seen.add(&before, output);
        }
        seen
    }

    fn add(&mut self, before: &str, output: Output) {
        for (number, line) in output.stdout.lines().enumerate() {
            // A line that has no label of its own is known by its number.
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

    /// Returns what was printed on standard output.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// Returns what was seen under a label.
    pub fn get(&self, label: &str) -> &str {
        self.facts.get(label).map_or(NOTHING, String::as_str)
    }

    /// Returns the labels under which two runs differ, with both values.
    fn differences<'a>(&'a self, other: &'a Seen) -> Vec<(&'a str, &'a str, &'a str)> {
        let labels = self.facts.keys().chain(other.facts.keys().filter(|k| !self.facts.contains_key(*k)));
        let values = labels.map(|label| (label.as_str(), self.get(label), other.get(label)));
        values.filter(|(_, one, other)| one != other).collect()
    }
}

/// A difference on purpose.
#[derive(Debug, Clone, Copy)]
pub struct Difference {
    /// The guest's first argument.
    pub program: &'static str,
    /// The label of the fact that differs.
    pub label: &'static str,
    /// Its value on the host's file system.
    pub host: &'static str,
    /// Its value on ours.
    pub ours: &'static str,
    /// The paragraph of SEMANTICS.md that says why, by the words it starts with.
    pub because: &'static str,
}

/// Compares runs of a guest, one for each list of arguments, on the host's file system and in one of our ways.
///
/// # Errors
///
/// Everything that is not as it should be, one line each: differences that are not `known`, those `known` that were
/// not met, paragraphs that are missing, and runs that could not be made or printed on standard error.
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
            let _ = writeln!(faults, "known, and not met: {difference:?}");
        }
        if !SEMANTICS.contains(&format!("- **{}**", difference.because)) {
            let _ = writeln!(faults, "SEMANTICS.md has no paragraph **{}**", difference.because);
        }
    }
    Ok(if faults.is_empty() { Ok(()) } else { Err(faults) })
}
