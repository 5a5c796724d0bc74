//! The process to be killed: it works on a volume and reports its progress.

use super::open;
use kvfs::{Limits, Mode};
use kvfs_trust::guest::Guest;
use kvfs_trust::ops::{Op, Setup, random};
use kvfs_trust::rng::Rng;
use kvfs_trust::run::TestClock;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// The work of one process, as both sides know it.
pub(super) struct Work {
    pub(super) seed: u64,
    pub(super) start_seconds: i64,
    /// Operations to do before it only waits.
    pub(super) count: usize,
}

impl Work {
    /// Returns how to open the volume, and the numbers from which the operations are drawn.
    pub(super) fn plan(&self, limits: Limits) -> (Setup, Rng) {
        let mut rng = Rng::new(self.seed);
        let mut setup = Setup::random(&mut rng);
        setup.limits = limits;
        setup.scan_entries_max = u32::MAX;
        // The model counts exactly only if nothing waits to be removed, and a kill leaves much that
        // does.
        setup.quota = None;
        // Mode strict makes every commit wait for the disk.
        if setup.mode == Mode::Strict && !rng.chance(3) {
            setup.mode = Mode::Lazy;
        }
        (setup, rng)
    }

    pub(super) fn next_op(rng: &mut Rng) -> Op {
        // A process knows no number as the reference counts it.
        match std::iter::repeat_with(|| random(rng)).find(|op| !op.is_by_number()) {
            None | Some(Op::Reopen | Op::SetQuota { .. }) => Op::Sync,
            Some(op) => op,
        }
    }
}

/// A running process.
pub(super) struct Worker {
    child: Child,
    progress: Arc<(Mutex<Progress>, Condvar)>,
    reader: std::thread::JoinHandle<()>,
}

/// The acknowledged progress of a process.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Progress {
    pub(super) is_open: bool,
    /// Operations that have returned.
    pub(super) done: usize,
}

impl Worker {
    pub(super) fn start(path: &Path, work: &Work) -> Self {
        let name = "kill::worker::child_works_until_it_is_killed";
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--ignored", "--nocapture"])
            .env("KVFS_TEST_STORE", path)
            .env("KVFS_TEST_WORK", format!("{} {} {}", work.seed, work.start_seconds, work.count))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let progress = Arc::new((Mutex::new(Progress::default()), Condvar::new()));
        let (out, to) = (child.stdout.take().unwrap(), Arc::clone(&progress));
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                let mut progress = to.0.lock().unwrap();
                match line.strip_prefix("done ").and_then(|number| number.parse().ok()) {
                    Some(number) => progress.done = number,
                    None => progress.is_open |= line == "open",
                }
                to.1.notify_all();
            }
        });
        Self { child, progress, reader }
    }

    /// Waits until the volume is open.
    pub(super) fn wait_until_open(&self) {
        let (progress, changed) = &*self.progress;
        let waiting = progress.lock().unwrap();
        let limit = Duration::from_secs(30);
        let (guard, waited) =
            changed.wait_timeout_while(waiting, limit, |progress| !progress.is_open).unwrap();
        drop(guard);
        assert!(!waited.timed_out(), "the process does not open the volume");
    }

    /// Kills the process, and returns what it had reported.
    pub(super) fn kill(mut self) -> Progress {
        use std::os::unix::process::ExitStatusExt;
        self.child.kill().unwrap();
        let status = self.child.wait().unwrap();
        assert_eq!(status.signal(), Some(9), "the process ended by itself: {status}");
        self.reader.join().unwrap();
        *self.progress.0.lock().unwrap()
    }
}

#[test]
#[ignore = "run by the tests that kill it"]
fn child_works_until_it_is_killed() {
    let path = std::env::var_os("KVFS_TEST_STORE").expect("only another test runs this");
    let work = std::env::var("KVFS_TEST_WORK").unwrap();
    let numbers: Vec<u64> = work.split(' ').map(|number| number.parse().unwrap()).collect();
    let [seed, start_seconds, count] = numbers[..] else { panic!("{work}") };
    let work = Work { seed, start_seconds: start_seconds as i64, count: count as usize };

    let mut store = open(Path::new(&path));
    let (setup, mut rng) = work.plan(kvfs::KvStore::limits(&mut store).unwrap());
    let clock = TestClock::default();
    clock.0.set(work.start_seconds);
    let volume = kvfs::Volume::open(Box::new(store), Box::new(clock.clone()), setup.options()).unwrap();
    let mut guest = Guest::new(volume).unwrap();
    // Written straight to the pipe: bytes in a buffer would be lost with the process.
    let mut out = std::io::stdout().lock();
    out.write_all(b"\nopen\n").unwrap();
    out.flush().unwrap();
    for done in 1..=work.count {
        clock.0.set(work.start_seconds + done as i64);
        // Refusals are expected; the parent knows which.
        let _ = guest.act(&Work::next_op(&mut rng));
        out.write_all(format!("done {done}\n").as_bytes()).unwrap();
        out.flush().unwrap();
    }
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}
