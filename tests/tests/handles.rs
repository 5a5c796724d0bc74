//! Handles of the file system and of the host in the same calls: valid, dropped and invented ones.
//!
//! Random scripts run composed, where the runtime keeps every handle, and linked, where a table of
//! ours does. Both must print the same at every step, and end at the same step in the same way.
//! `KVFS_HANDLES` runs a single seed.

use std::sync::Arc;

use kvfs_host::MemoryStore;
use kvfs_tests::differential::Way;
use kvfs_tests::{FaultyOutput, Program, Tree, engine, guests};
use kvfs_trust::rng::Rng;
use wasmtime::component::Component;

const SCRIPTS: u64 = 3000;
const STEPS: usize = 60;

/// Numbers that neither the runtime nor our table gives out in a script of this length.
const MADE_UP: [&str; 10] = [
    "0", "fffffff", "10000000", "3fffffff", "4ff00000", "400fffff", "7fffffff", "80000000", "c0000000",
    "ffffffff",
];

const LENGTHS: [u64; 9] = [0, 1, 3, 50, 101, 4096, 4097, 70_000, u64::MAX];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Input,
    Output,
    Pollable,
    /// A pollable that is not ready before the script has ended; never waited for alone.
    Slow,
    /// A pollable that becomes ready at once, at an unpredictable moment; only waited for.
    Soon,
    Error,
    Descriptor,
    Listing,
}

use Kind::{Descriptor, Error, Input, Listing, Output, Pollable, Slow, Soon};

/// An operation: its name, the kind it is called on, and the kind it makes.
type Operation = (&'static str, Kind, Option<Kind>);

const OPERATIONS: &[Operation] = &[
    ("input", Descriptor, Some(Input)),
    ("output", Descriptor, Some(Output)),
    ("append", Descriptor, Some(Output)),
    ("listing", Descriptor, Some(Listing)),
    ("stat", Descriptor, None),
    ("type", Descriptor, None),
    ("sync", Descriptor, None),
    ("set-size", Descriptor, None),
    ("pread", Descriptor, None),
    ("pwrite", Descriptor, None),
    ("same", Descriptor, None),
    ("rename", Descriptor, None),
    ("open", Descriptor, Some(Descriptor)),
    ("entry", Listing, None),
    ("code", Error, None),
    ("describe", Error, None),
    ("ready", Pollable, None),
    ("ready", Slow, None),
    ("block", Pollable, None),
    ("block", Soon, None),
    ("read", Input, None),
    ("blocking-read", Input, None),
    ("skip", Input, None),
    ("blocking-skip", Input, None),
    ("check-write", Output, None),
    ("write", Output, Some(Error)),
    ("blocking-write", Output, Some(Error)),
    ("flush", Output, None),
    ("blocking-flush", Output, None),
    ("zeroes", Output, Some(Error)),
    ("blocking-zeroes", Output, Some(Error)),
    ("splice", Output, Some(Error)),
    ("splice", Output, Some(Error)),
    ("blocking-splice", Output, Some(Error)),
    ("blocking-splice", Output, Some(Error)),
    ("subscribe-input", Input, Some(Pollable)),
    ("subscribe-output", Output, Some(Pollable)),
    ("drop-descriptor", Descriptor, None),
    ("drop-listing", Listing, None),
    ("drop-error", Error, None),
    ("drop-pollable", Pollable, None),
    ("drop-pollable", Slow, None),
    ("drop-pollable", Soon, None),
    ("drop-input", Input, None),
    ("drop-output", Output, None),
];

struct Script {
    rng: Rng,
    steps: Vec<String>,
    /// The handles that steps made and did not drop yet.
    made: Vec<Option<Kind>>,
}

impl Script {
    fn from_seed(seed: u64) -> String {
        let mut script = Self { rng: Rng::new(seed), steps: Vec::new(), made: Vec::new() };
        for (step, made) in [
            ("root", Some(Descriptor)),
            ("open h0 a 1 3", Some(Descriptor)),
            ("pwrite h1 5000 0", None),
            ("open h0 b 1 3", Some(Descriptor)),
            ("input h1 10", Some(Input)),
            ("output h3 0", Some(Output)),
            ("stdin", Some(Input)),
            ("stdout", Some(Output)),
            ("stderr", Some(Output)),
            ("subscribe-output h7", Some(Pollable)),
            ("clock 3600000000000", Some(Slow)),
        ] {
            script.push(step.to_owned(), made);
        }
        while script.steps.len() < STEPS {
            script.step();
        }
        script.steps.join(";")
    }

    fn push(&mut self, step: String, made: Option<Kind>) {
        self.steps.push(step);
        self.made.push(made);
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.rng.below(count) == 0
    }

    fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.rng.below(of.len() as u64) as usize].clone()
    }

    /// Names a handle of a kind, or rarely an invalid one. Returns `None` if there is no handle of
    /// the kind.
    fn handle(&mut self, kind: Kind) -> Option<String> {
        if self.one_in(400) {
            return Some(format!("x{}", self.pick(&MADE_UP)));
        }
        let wrong = self.one_in(300);
        let is_pollable = |kind| matches!(kind, Pollable | Slow | Soon);
        let fits = |made: Kind| {
            if wrong { made != kind && !(is_pollable(made) && is_pollable(kind)) } else { made == kind }
        };
        let found: Vec<usize> =
            (0..).zip(&self.made).filter(|(_, m)| m.is_some_and(fits)).map(|(n, _)| n).collect();
        (!found.is_empty()).then(|| format!("h{}", self.pick(&found)))
    }

    fn step(&mut self) {
        match self.rng.below(20) {
            0 => {
                let (step, kind) = self.pick(&[
                    ("stdin", Input),
                    ("stdout", Output),
                    ("stderr", Output),
                    ("clock 0", Soon),
                    ("clock 3600000000000", Slow),
                    ("root", Descriptor),
                ]);
                return self.push(step.to_owned(), Some(kind));
            }
            1 | 2 => return self.poll(),
            // A failing write, of the file system and then of the host.
            3 => {
                let Some(file) = self.handle(Descriptor) else { return };
                self.push(format!("output {file} {}", u64::MAX), Some(Output));
                return self.push(format!("write h{} 10", self.steps.len() - 1), Some(Error));
            }
            4 => {
                let Some(input) = self.handle(Input) else { return };
                self.push("stderr".to_owned(), Some(Output));
                let length = FaultyOutput::MAX_WRITE_BYTES + 1;
                let from = self.steps.len() - 1;
                let step = match self.rng.below(3) {
                    0 => format!("write h{from} {length}"),
                    1 => format!("splice h{from} {input} {length}"),
                    _ => format!("blocking-zeroes h{from} {length}"),
                };
                return self.push(step, Some(Error));
            }
            _ => {}
        }
        let (name, on, makes) = self.pick(OPERATIONS);
        if name.starts_with("drop") && !self.one_in(3) {
            return;
        }
        let Some(handle) = self.handle(on) else { return };
        let length = self.pick(&LENGTHS);
        let short = length.min(70_000);
        let path = self.pick(&["a", "b", "c", ".", "none/x"]);
        let step = match name {
            "input" | "output" => format!("{name} {handle} {}", self.pick(&[0, 10, 4000, 1 << 40, u64::MAX])),
            "set-size" => format!("set-size {handle} {short}"),
            "pread" => format!("pread {handle} {length} {}", self.pick(&LENGTHS)),
            "pwrite" => format!("pwrite {handle} {short} {}", self.pick(&[0, 5, 6000])),
            "same" => {
                let Some(other) = self.handle(Descriptor) else { return };
                format!("same {handle} {other}")
            }
            "rename" => {
                let Some(other) = self.handle(Descriptor) else { return };
                format!("rename {handle} {path} {other} {}", self.pick(&["a", "b", "c"]))
            }
            "open" => format!("open {handle} {path} {} {}", self.rng.below(16), self.rng.below(4)),
            "write" | "blocking-write" => format!("{name} {handle} {short}"),
            "splice" | "blocking-splice" => {
                let Some(from) = self.handle(Input) else { return };
                format!("{name} {handle} {from} {length}")
            }
            "zeroes" | "blocking-zeroes" | "read" | "blocking-read" | "skip" | "blocking-skip" => {
                format!("{name} {handle} {length}")
            }
            _ => format!("{name} {handle}"),
        };
        self.push(step, makes.filter(|made| *made != Error));
        if name.starts_with("drop") {
            let number = handle.strip_prefix('h').and_then(|n| n.parse::<usize>().ok());
            if let Some(place) = number.and_then(|n| self.made.get_mut(n)) {
                *place = None;
            }
            // Uses the handle right after its drop, before another takes its number: the runtime
            // reuses it at once.
            if self.one_in(8) {
                let uses: Vec<_> = OPERATIONS.iter().filter(|(_, kind, _)| *kind == on).collect();
                let (name, ..) = self.pick(&uses);
                self.push(
                    match *name {
                        "same" | "splice" | "blocking-splice" => format!("{name} {handle} {handle} 1"),
                        "rename" => format!("rename h0 a {handle} b"),
                        "ready" | "block" => format!("poll h9 {handle}"),
                        _ => format!("{name} {handle} 1 1"),
                    },
                    None,
                );
            }
        }
    }

    fn poll(&mut self) {
        let count = match self.rng.below(20) {
            0 if self.one_in(4) => 0,
            1 => 300,
            _ => 1 + self.rng.below(5),
        };
        let mut list = Vec::new();
        // The first is ready, or invalid, so that nothing waits.
        if count > 0 {
            let Some(first) = self.handle(Pollable) else { return };
            list.push(first);
        }
        for _ in 1..count {
            let again = count > 5 && self.one_in(2);
            let kind = if self.one_in(2) { Slow } else { Pollable };
            let handle = if again { Some(self.pick(&list.clone())) } else { self.handle(kind) };
            list.extend(handle);
        }
        self.push(format!("poll {}", list.join(" ")).trim_end().to_owned(), None);
    }
}

/// The outcome of a script.
#[derive(Debug, PartialEq, Eq)]
struct Run {
    output: String,
    code: Option<i32>,
    left: Tree,
}

fn run(component: &Component, script: &str) -> (Run, Option<String>) {
    let store = Arc::new(MemoryStore::new());
    let stdin: Vec<u8> = (0..3000_u32).map(|n| (n % 253) as u8).collect();
    let program = Program::new(component).args(["handles", script]).stdin(stdin).stderr_fails();
    let output = program.store(store.clone()).run().unwrap();
    let left = Tree::of_store(&store).unwrap();
    (Run { output: output.stdout, code: output.code, left }, output.trap)
}

/// Returns true if two traps have the same cause: the same message except for numbers, or an
/// invalid handle.
fn same_cause(composed: &str, linked: &str) -> bool {
    let cause = |trap: &str| -> String {
        let words = trap.rsplit("Caused by:").next().unwrap_or_default();
        words.chars().filter(|c| !c.is_ascii_digit()).collect()
    };
    // `place` is the table's function that finds a handle's place.
    cause(composed) == cause(linked) || (composed.contains("handle index") && linked.contains("!place\n"))
}

fn prepared(way: Way) -> Component {
    engine::compile(engine::interruptible(), &way.component(guests::rust().unwrap()).unwrap()).unwrap()
}

#[test]
fn scripts_of_calls_do_the_same_composed_and_linked() {
    let (composed, linked) = (prepared(Way::Composed), prepared(Way::Linked));
    let only: Option<u64> = std::env::var("KVFS_HANDLES").ok().and_then(|seed| seed.parse().ok());
    let seeds = only.map_or(0..SCRIPTS, |seed| seed..seed + 1);
    let (mut ended, mut trapped) = (0, 0);
    for seed in seeds {
        let script = Script::from_seed(seed);
        let ((one, one_trap), (two, two_trap)) = (run(&composed, &script), run(&linked, &script));
        if one != two {
            let first = shortest(&script, &composed, &linked);
            panic!(
                "KVFS_HANDLES={seed}\n{first}\ncomposed: {one:#?}\n{one_trap:?}\nlinked: {two:#?}\n{two_trap:?}"
            );
        }
        if let (Some(one), Some(two)) = (&one_trap, &two_trap) {
            assert!(same_cause(one, two), "KVFS_HANDLES={seed}\ncomposed: {one}\nlinked: {two}");
        }
        match one.code {
            Some(code) => {
                assert_eq!(
                    code, 0,
                    "KVFS_HANDLES={seed}: the guest does not understand the script: {script}"
                );
                ended += 1;
            }
            None => trapped += 1,
        }
    }
    if only.is_none() {
        assert!(ended > SCRIPTS / 10 && trapped > SCRIPTS / 10, "{ended} ended, {trapped} trapped");
    }
}

/// Removes steps while the script still differs between the two ways. Steps keep their numbers.
fn shortest(script: &str, composed: &Component, linked: &Component) -> String {
    let mut steps: Vec<String> = script.split(';').map(str::to_owned).collect();
    let differs = |steps: &[String]| {
        let script = steps.join(";");
        run(composed, &script).0 != run(linked, &script).0
    };
    while steps.len() > 1 && differs(&steps[..steps.len() - 1]) {
        steps.pop();
    }
    for at in (0..steps.len()).rev() {
        let kept = std::mem::replace(&mut steps[at], "nothing".to_owned());
        if !differs(&steps) {
            steps[at] = kept;
        }
    }
    steps.join(";")
}

#[test]
fn bytes_outside_the_guests_memory_end_the_program_and_write_nothing() {
    let (composed, linked) = (prepared(Way::Composed), prepared(Way::Linked));
    let open = "root;open h0 a 1 3;pwrite h1 5000 0;sync h1;output h1 0";
    let untouched = run(&composed, open).0.left;
    for (from, length) in [
        (0_u32, 4_000_000_000_u64),
        (1024, u64::from(u32::MAX)),
        (0xffff_0000, 10),
        (0xffff_fff0, 16),
        (0xffff_fff0, 70_000),
        (0x8000_0000, 1),
    ] {
        for step in [
            format!("pwrite-from h1 {from} {length} 100"),
            format!("write-from h4 {from} {length}"),
            format!("blocking-write-from h4 {from} {length}"),
        ] {
            let script = format!("{open};{step}");
            let ((one, one_trap), (two, two_trap)) = (run(&composed, &script), run(&linked, &script));
            assert_eq!(one, two, "{step}");
            assert_eq!(one.code, None, "{step}: {one:?}");
            assert!(one_trap.is_some() && two_trap.is_some(), "{step}");
            assert_eq!(one.left, untouched, "{step}");
        }
    }
}
