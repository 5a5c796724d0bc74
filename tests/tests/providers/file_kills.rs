//! The provider `file` under the stock command: processes killed at random moments, suspended, and
//! started while another runs, over and over on one directory.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use kvfs_compose::{Compose, Link, Provider};
use kvfs_tests::{guests, stock};
use kvfs_trust::rng::Rng;
use kvfs_trust::shrink::seeds;

const CYCLES: u64 = 18;

/// Longer than a guest needs for anything, even on a busy machine.
const LONG: Duration = Duration::from_secs(120);

/// Checks the files that it finds, up to the last acknowledged number. Then it writes numbered
/// files, each by the safe way to replace a file, and prints the synced ones.
const PROGRAM: &str = "
import os, sys
def content(number):
    return b'%d\\n' % number * (1 + number * 7919 % 9000)
seen = []
for name in os.listdir('/'):
    if name.startswith('slot-'):
        with open('/' + name, 'rb') as file: data = file.read()
        seen.append(int(data.split(b'\\n')[0]))
        assert data == content(seen[-1]), (name, len(data))
last = max(seen, default=-1)
assert last >= int(sys.argv[1]), (last, sys.argv[1])
assert set(range(max(0, last - 18), last + 1)) <= set(seen), sorted(seen)
try:
    with open('/opened', 'w') as file: file.write(sys.argv[1])
    print('opened', last, flush=True)
    while True:
        last += 1
        fd = os.open('/new', os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.write(fd, content(last))
        os.rename('/new', '/slot-%d' % (last % 20))
        os.fsync(fd)
        os.close(fd)
        print('synced', last, flush=True)
except OSError as error:
    print('error', error.errno, flush=True)
    os._exit(7)
";

/// A running program and its output.
struct Running {
    child: Child,
    lines: Receiver<(String, i64)>,
    /// The last number that it reported as synced or found.
    acknowledged: i64,
    opened: bool,
}

impl Running {
    fn start(state: &Path, component: &Path, acknowledged: i64) -> Self {
        let mut command = stock::run().unwrap();
        command.arg(format!("--dir={}::/kvfs", state.display())).arg(component);
        command.args(["-c", PROGRAM, &acknowledged.to_string()]);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (said, lines) = channel();
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let (word, number) = line.split_once(' ').expect("a word and a number");
                let _ = said.send((word.to_owned(), number.parse().expect("a number")));
            }
        });
        Self { child, lines, acknowledged, opened: false }
    }

    /// Notes what it prints, until a word or the end of the time. Returns true if the word came.
    fn listen(&mut self, until: &str, limit: Duration) -> bool {
        let end = std::time::Instant::now() + limit;
        loop {
            match self.lines.recv_timeout(end.saturating_duration_since(std::time::Instant::now())) {
                Ok((word, number)) => {
                    match word.as_str() {
                        "opened" => (self.opened, self.acknowledged) = (true, number),
                        "synced" => self.acknowledged = number,
                        _ => {}
                    }
                    if word == until {
                        return true;
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return false,
            }
        }
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("kill").arg(signal).arg(self.child.id().to_string()).status().unwrap();
        assert!(status.success(), "{signal}");
    }

    /// Kills it, and returns the last number that it reported as synced.
    fn kill(mut self) -> i64 {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.listen("nothing", LONG);
        self.acknowledged
    }
}

#[test]
fn killed_suspended_or_replaced_at_any_moment_it_keeps_what_it_has_synced() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    std::fs::create_dir(&state).unwrap();
    let guest = std::fs::read(guests::python().unwrap()).unwrap();
    let linked = Compose::new(&guest)
        .provider(Provider::File { path: None, accept_loss: false })
        .link(Link::Core)
        .build()
        .unwrap();
    let component = dir.path().join("linked.wasm");
    std::fs::write(&component, linked.bytes).unwrap();

    let mut acknowledged = -1;
    let (mut replaced, mut opened) = (0, 0);
    // The first run compiles, so that later ones are killed while they run.
    let mut running = Running::start(&state, &component, acknowledged);
    assert!(running.listen("synced", LONG), "the first program syncs nothing");
    let seeds = seeds(CYCLES);
    let cycles = seeds.end - seeds.start;
    for seed in seeds {
        let mut random = Rng::new(seed);
        // Every other one is killed with the store open, the others at their start or while opening
        // it.
        if seed % 2 == 0 && !running.opened {
            assert!(running.listen("opened", LONG), "seed {seed}: the program does not open the store");
        }
        let _ = running.listen("nothing", Duration::from_micros(random.below(300_000)));
        opened += u64::from(running.opened);
        match seed % 3 {
            // Leaves a stale owner behind, perhaps one that was about to open the store.
            0 | 1 => acknowledged = running.kill(),
            _ => {
                // Suspended at any point, and resumed when a newer one owns the store.
                let is_suspended = random.below(2) == 0;
                if is_suspended {
                    running.signal("-STOP");
                }
                let mut newer = Running::start(&state, &component, running.acknowledged);
                assert!(
                    newer.listen("opened", LONG),
                    "seed {seed}: the newer program does not open the store"
                );
                let found = newer.acknowledged;
                running.signal("-CONT");
                let mut theirs = -1;
                if running.opened {
                    let told = running.listen("error", LONG);
                    assert!(told, "seed {seed}: the older program got no error");
                    assert!(
                        running.acknowledged <= found,
                        "seed {seed}: {} acknowledged, {found} found",
                        running.acknowledged
                    );
                    replaced += 1;
                    assert_eq!(running.child.wait().unwrap().code(), Some(7), "seed {seed}");
                } else {
                    // It had not opened the store yet, and may now be the newer owner.
                    theirs = running.kill();
                }
                acknowledged = newer.kill().max(theirs);
            }
        }
        running = Running::start(&state, &component, acknowledged);
    }
    assert!(running.listen("opened", LONG), "the store is not sound at the end");
    let written = running.kill();
    println!(
        "{cycles} cycles, {opened} killed with the store open, {replaced} replaced, {written} files synced"
    );
    assert!(cycles < CYCLES || replaced >= 2 && opened > cycles / 3, "{replaced} replaced, {opened} opened");
    assert!(written as u64 > cycles, "only {written} files were synced");
    let files = std::fs::read_dir(&state).unwrap().count();
    assert!(files < 24, "{files} files were left behind");
}
