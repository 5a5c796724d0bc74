//! The provider `file` under the stock command: snapshots that another process takes of a guest at
//! work.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kvfs::{Access, Follow, Mode, OpenFlags, Options, Volume};
use kvfs_compose::{Compose, Link, Provider};
use kvfs_host::{AnyStore, EngineStore, OpenOptions, Volumes, open_store};
use kvfs_tests::{guests, stock};

const SNAPSHOTS: u64 = 20;

/// Files that the guest keeps; it removes older ones.
const KEPT: u64 = 40;

/// Longer than a guest needs for anything, even on a busy machine.
const LONG: Duration = Duration::from_secs(120);

/// Writes numbered files while there is input, and removes those of long ago: after a snapshot they
/// are in a layer below. Each is complete before it gets its name, and has its name before its
/// line is in `log`. It keeps an open file that has no name any more, and checks it at the end.
const PROGRAM: &str = "
import os
def content(number):
    return b'%d\\n' % number * (1 + number * 7919 % 4000)
def write(path, flags, data):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | flags)
    assert os.write(fd, data) == len(data)
    return fd
held = os.open('/held', os.O_RDWR | os.O_CREAT)
os.unlink('/held')
number = 0
while os.read(0, 4096):
    number += 1
    fd = write('/new', os.O_TRUNC, content(number))
    if number % 10 == 0: os.fsync(fd)
    os.close(fd)
    os.rename('/new', '/%d.txt' % number)
    os.close(write('/log', os.O_APPEND, b'%08d\\n' % number))
    os.write(held, b'%08d\\n' % number)
    if number > 40: os.unlink('/%d.txt' % (number - 40))
    print(number, flush=True)
lines = b''.join(b'%08d\\n' % n for n in range(1, number + 1))
os.lseek(held, 0, 0)
assert os.read(held, len(lines) + 1) == lines, 'the open file'
with open('/log', 'rb') as log: assert log.read() == lines, 'the log'
for n in range(max(1, number - 39), number + 1):
    with open('/%d.txt' % n, 'rb') as file: assert file.read() == content(n), n
assert len(os.listdir('/')) == 1 + min(number, 40)
";

/// Returns what the guest writes into a file.
fn content(number: u64) -> Vec<u8> {
    format!("{number}\n").repeat(1 + (number * 7919 % 4000) as usize).into_bytes()
}

/// A guest that writes until its input ends.
struct Writing {
    child: Child,
    /// The greatest number that it printed.
    written: Arc<AtomicU64>,
    reader: JoinHandle<()>,
    is_stopped: Arc<AtomicU64>,
    feeder: JoinHandle<()>,
}

impl Writing {
    fn start(state: &Path, component: &Path) -> Self {
        let mut command = stock::run().unwrap();
        command.arg(format!("--dir={}::/kvfs", state.display())).arg(component);
        command.args(["-c", PROGRAM]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (written, is_stopped) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let seen = written.clone();
        let reader = std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                seen.store(line.parse().expect("a number"), Ordering::SeqCst);
            }
        });
        let (mut input, stop) = (child.stdin.take().unwrap(), is_stopped.clone());
        // The guest reads as much in each round as this writes at once, so it ends soon after it.
        let feeder = std::thread::spawn(move || {
            while stop.load(Ordering::SeqCst) == 0 && input.write_all(&[b'x'; 4096]).is_ok() {}
        });
        Self { child, written, reader, is_stopped, feeder }
    }

    fn written(&self) -> u64 {
        self.written.load(Ordering::SeqCst)
    }

    /// Waits until it has written this many more files.
    fn wait_for(&mut self, more: u64) {
        let (from, end) = (self.written(), Instant::now() + LONG);
        while self.written() < from + more {
            if let Some(status) = self.child.try_wait().unwrap() {
                let mut said = String::new();
                std::io::Read::read_to_string(&mut self.child.stderr.take().unwrap(), &mut said).unwrap();
                panic!("the guest ended after {} files: {status}, {said}", self.written());
            }
            assert!(Instant::now() < end, "the guest stands still at {}", self.written());
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Lets it end, and returns the number of its last file.
    fn end(self) -> u64 {
        self.is_stopped.store(1, Ordering::SeqCst);
        self.feeder.join().unwrap();
        let output = self.child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        self.reader.join().unwrap();
        self.written.load(Ordering::SeqCst)
    }
}

fn options(volume: &str) -> Options {
    Options { volume: volume.to_owned(), mode: Mode::Close, ..Options::default() }
}

/// Reads a whole file; `None` if there is none.
fn read(volume: &mut Volume, name: &str) -> Option<Vec<u8>> {
    let root = volume.root().unwrap();
    let access = Access { read: true, ..Access::default() };
    let file = match volume.open_at(&root, name, Follow::No, OpenFlags::default(), access) {
        Ok(file) => file,
        Err(kvfs::Error::NoEntry) => return None,
        Err(error) => panic!("{name}: {error}"),
    };
    let size = volume.stat(&file).unwrap().size;
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < size {
        volume.read(&file, bytes.len() as u64, size as usize, &mut bytes).unwrap();
    }
    volume.close(file).unwrap();
    volume.close(root).unwrap();
    Some(bytes)
}

/// Checks that a volume is clean and holds what the guest had written at some moment. Returns the
/// number of its last file then.
fn moment(store: &AnyStore, name: &str) -> u64 {
    let report = kvfs::fsck(&mut EngineStore(store.clone()), name).unwrap();
    assert!(report.is_clean(), "{name}: {:?}", report.findings);
    let mut volume = Volumes::new(store.clone()).open(options(name)).unwrap();
    let log = read(&mut volume, "log").unwrap_or_default();
    let last = log.len() as u64 / 9;
    let lines: String = (1..=last).map(|number| format!("{number:08}\n")).collect();
    assert!(log == lines.as_bytes(), "{name}: the log of {last} lines is torn");
    assert_eq!(read(&mut volume, "held"), None, "{name}");
    // Between two lines, the file of the next one may be there, and the oldest one still.
    let oldest = last.saturating_sub(KEPT);
    for number in oldest.saturating_sub(KEPT).max(1)..=last + 2 {
        let found = read(&mut volume, &format!("{number}.txt"));
        let is_expected = match &found {
            Some(bytes) => (oldest..=last + 1).contains(&number) && *bytes == content(number),
            None => number <= oldest || number > last,
        };
        assert!(is_expected, "{name}: {number}.txt of {last}: {:?}", found.map(|bytes| bytes.len()));
    }
    last
}

#[test]
fn snapshots_of_a_guest_at_work_are_states_of_a_moment_and_do_not_disturb_it() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    std::fs::create_dir(&state).unwrap();
    let guest = std::fs::read(guests::python().unwrap()).unwrap();
    let provider = Provider::File { path: None, accept_loss: false };
    let linked = Compose::new(&guest).provider(provider).link(Link::Core).build().unwrap();
    let component = dir.path().join("linked.wasm");
    std::fs::write(&component, linked.bytes).unwrap();
    let url = format!("file:{}", state.display());

    let mut guest = Writing::start(&state, &component);
    guest.wait_for(1);
    for round in 0..SNAPSHOTS {
        guest.wait_for(1 + round * 7 % 60);
        let name = format!("s{round}");
        let least = guest.written();
        // As `kvfs volume snapshot` does: the store is open no longer than it takes.
        let store = open_store(&url).unwrap();
        Volumes::new(store.clone()).snapshot("main", &name).unwrap();
        store.close().unwrap();
        drop(store);
        // Checked while the guest writes on, by one who only reads, and by another opener.
        let reader = OpenOptions::new().read_only(true).open(&url).unwrap();
        let report = kvfs::fsck(&mut EngineStore(reader), &name).unwrap();
        assert!(report.is_clean(), "{name}: {:?}", report.findings);
        let store = open_store(&url).unwrap();
        let last = moment(&store, &name);
        store.close().unwrap();
        assert!(last >= least, "{name}: {last} files, and {least} were written before");
    }
    guest.wait_for(100);
    let last = guest.end();

    let store = open_store(&url).unwrap();
    assert_eq!(moment(&store, "main"), last, "the guest has lost what it wrote");
    let volumes = Volumes::new(store.clone());
    let mut before = 0;
    for round in 0..SNAPSHOTS {
        let found = moment(&store, &format!("s{round}"));
        assert!(found >= before, "s{round}: {found}, after {before}");
        before = found;
    }
    let layers = kvfs::volumes::check_layers(&mut EngineStore(store.clone())).unwrap();
    assert!(layers.findings.is_empty(), "{:?}", layers.findings);
    assert_eq!(layers.volumes, 1 + SNAPSHOTS);
    for name in volumes.names().unwrap() {
        volumes.remove(&name).unwrap();
    }
    while !volumes.collect(1000).unwrap().done {}
    let layers = kvfs::volumes::check_layers(&mut EngineStore(store)).unwrap();
    assert_eq!((layers.volumes, layers.layers, layers.garbage), (0, 0, 0), "{:?}", layers.findings);
}
