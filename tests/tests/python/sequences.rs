//! Random sequences of file operations by CPython, on one or two descriptors of the same file.
//!
//! Each step has the outcome that it has for the same interpreter on wasmtime's own file system.
//! The exception is a step that a descriptor does not allow: it fails with `EBADF`, as for Python
//! on this machine. All other differences between wasmtime and the machine come from the guest's
//! libc, which keeps the position of its read stream while the file is written through the same
//! descriptor.

use std::fmt::Write as _;
use std::io::Write as _;
use std::ops::Range;
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};

use kvfs_host::MemoryStore;
use kvfs_tests::Program;
use kvfs_trust::shrink::seeds;

use super::{bare, composed, linked};

const PROGRAM: &str = include_str!("../../python/programs/sequences.py");

/// Sequences per way, in one run of the guest.
const SEQUENCES: u64 = 400;

/// Starts the interpreter on a new file system.
type Way = fn() -> Program;

/// The sequences to run, and their steps.
#[derive(Clone)]
struct Run {
    seeds: Range<u64>,
    only: Option<Vec<usize>>,
}

impl Run {
    fn args(&self, directory: &str) -> Vec<String> {
        let mut args = vec!["-".to_owned(), directory.to_owned()];
        args.extend([self.seeds.start, self.seeds.end].map(|seed| seed.to_string()));
        if let Some(only) = &self.only {
            let steps: Vec<String> = only.iter().map(usize::to_string).collect();
            args.push(format!("only={}", steps.join(",")));
        }
        args
    }

    fn by_guest(&self, program: Program) -> String {
        program.args(self.args("/")).stdin(PROGRAM).run().unwrap().success()
    }

    fn on_the_host(&self) -> String {
        let dir = tempfile::tempdir().unwrap();
        self.by_guest(bare().host_files(dir.path()))
    }

    /// Runs them with this machine's own Python.
    fn natively(&self) -> String {
        let dir = tempfile::tempdir().unwrap();
        let mut python = Command::new("python3")
            .args(self.args(dir.path().to_str().unwrap()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3");
        python.stdin.take().unwrap().write_all(PROGRAM.as_bytes()).unwrap();
        let output = python.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Reports the first step with a wrong outcome.
    fn fault(&self, ours: &str, [host, native]: [&str; 2]) -> Option<Fault> {
        let (ours, host, native): (Vec<_>, Vec<_>, Vec<_>) =
            (ours.lines().collect(), host.lines().collect(), native.lines().collect());
        assert_eq!([ours.len(), ours.len()], [host.len(), native.len()], "steps of each side");
        let is_right = |at: usize, line: &str| {
            line == host[at] || line == native[at] && line.ends_with(" = OSError EBADF")
        };
        let (at, line) = ours.iter().enumerate().find(|(at, line)| !is_right(*at, line))?;
        let seed = line.split(' ').next().unwrap().parse().unwrap();
        let first = ours.iter().position(|other| other.split(' ').next() == line.split(' ').next()).unwrap();
        let mut story = ours[first..at].join("\n");
        let value = |line: &str| line.split_once(" = ").unwrap().1.to_owned();
        let _ = write!(
            story,
            "\n{line}\non wasmtime's file system: {}\non this machine's: {}",
            value(host[at]),
            value(native[at])
        );
        Some(Fault { seed, story })
    }

    fn fault_of(&self, way: Way) -> Option<Fault> {
        self.fault(&self.by_guest(way()), [&self.on_the_host(), &self.natively()])
    }
}

struct Fault {
    seed: u64,
    story: String,
}

/// Leaves out steps, one by one, while some step is still wrong.
fn shortest(way: Way, mut fault: Fault) -> Fault {
    let seeds = fault.seed..fault.seed + 1;
    // More than any sequence has: the surplus is left out first.
    let mut steps: Vec<usize> = (0..fault.story.lines().count()).collect();
    let mut at = steps.len();
    while at > 0 {
        at -= 1;
        let mut fewer = steps.clone();
        fewer.remove(at);
        let run = Run { seeds: seeds.clone(), only: Some(fewer.clone()) };
        if let Some(still) = run.fault_of(way) {
            (steps, fault) = (fewer, still);
        }
    }
    fault
}

#[track_caller]
fn each_step_agrees_with_the_host_or_linux(way: Way) {
    static OTHERS: OnceLock<Vec<(Run, [String; 2])>> = OnceLock::new();
    let runs = OTHERS.get_or_init(|| {
        let seeds = seeds(SEQUENCES);
        let starts = seeds.clone().step_by(SEQUENCES as usize);
        let runs = starts.map(|start| Run { seeds: start..(start + SEQUENCES).min(seeds.end), only: None });
        runs.map(|run| (run.clone(), [run.on_the_host(), run.natively()])).collect()
    });
    for (run, [host, native]) in runs {
        if let Some(fault) = run.fault(&run.by_guest(way()), [host, native]) {
            let fault = shortest(way, fault);
            panic!("seed {}, shortest sequence:\n{}", fault.seed, fault.story);
        }
    }
}

#[test]
fn random_sequences_composed_agree_at_each_step_with_the_host_or_linux() {
    each_step_agrees_with_the_host_or_linux(|| composed::on(&Arc::new(MemoryStore::new())));
}

#[test]
fn random_sequences_linked_agree_at_each_step_with_the_host_or_linux() {
    each_step_agrees_with_the_host_or_linux(|| linked::on(&Arc::new(MemoryStore::new())));
}

/// A stream that stays at its end gives the guest's libc Linux's behaviour, where Linux has one.
#[test]
fn what_was_written_behind_the_end_that_was_read_is_not_read_again() {
    let program = "
import os
open('/f', 'wb').write(b'0123456789')
with open('/f', 'r+b') as file:
    print(len(file.read()), file.write(b'Q'), file.read(), file.tell())
fd = os.open('/f', os.O_RDWR)
print(len(os.read(fd, 100)), os.read(fd, 100), os.write(fd, b'new'), os.read(fd, 100))
print(os.lseek(fd, -3, os.SEEK_CUR), os.read(fd, 100))
other = os.open('/f', os.O_RDONLY)
print(len(os.read(other, 100)), os.pread(fd, 100, 11))
";
    let expected = "10 1 b'' 11\n11 b'' 3 b''\n11 b'new'\n14 b'new'\n";
    for way in [composed::on, linked::on] {
        let program = way(&Arc::new(MemoryStore::new())).args(["-c", program]);
        assert_eq!(program.run().unwrap().success(), expected);
    }
}
