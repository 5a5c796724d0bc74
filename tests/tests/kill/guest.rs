//! A composed guest under the `kvfs` command, killed with its process: the file holds everything
//! that it reported as synced.

use super::{check_size, contents};
use crate::python::composed::processes::{composed, kvfs};
use crate::python::linked::processes::composed as linked;
use kvfs::{Access, Follow, Limits, OpenFlags, Options, Volume, fsck};
use kvfs_trust::rng::Rng;
use kvfs_trust::run::TestClock;
use kvfs_trust::shrink::seeds;
use kvfs_trust::store::{LARGE, Map, TestStore};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

const CYCLES: u64 = 10;
const SLOTS: u64 = 20;

/// Writes numbered files, each by the safe way to replace a file, and prints the finished ones.
const PROGRAM: &str = "
import os, sys
number = int(sys.argv[1])
while True:
    fd = os.open('/new', os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.write(fd, b'%d\\n' % number * (1 + number * 7919 % 9000))
    os.rename('/new', '/slot-%d' % (number % 20))
    os.fsync(fd)
    os.close(fd)
    print(number, flush=True)
    number += 1
";

fn content(number: u64) -> Vec<u8> {
    format!("{number}\n").repeat(1 + (number * 7919 % 9000) as usize).into_bytes()
}

#[test]
fn a_guest_killed_over_and_over_keeps_what_it_has_synced() {
    let dir = tempfile::tempdir().unwrap();
    let (dirs, store) =
        (["composed", "linked"].map(|name| dir.path().join(name)), dir.path().join("state.redb"));
    dirs.iter().for_each(|dir| std::fs::create_dir(dir).unwrap());
    // In turns, on one file: both ways to join a guest with the file system keep the same promises.
    let components = [composed(&dirs[0]), linked(&dirs[1])];
    let (mut next, mut largest_contents_bytes, mut synced) = (0, 0, 0);
    let seeds = seeds(CYCLES);
    let cycles = seeds.end - seeds.start;
    for seed in seeds {
        let acknowledged = run_and_kill(&components[(seed % 2) as usize], &store, next, seed);
        let map = contents(&store);
        check_size(&store, &map, &mut largest_contents_bytes);
        synced += acknowledged - next;
        next = check(&map, acknowledged).unwrap_or_else(|what| panic!("seed {seed}: {what}"));
    }
    println!("{cycles} kills, {synced} files synced, contents of up to {largest_contents_bytes} bytes");
    assert!(synced > cycles, "the guest makes no progress");
}

/// Returns the number after the last one that the guest acknowledged.
fn run_and_kill(component: &Path, store: &Path, first: u64, seed: u64) -> u64 {
    let mut child = kvfs()
        .args(["run", "--store", &format!("redb:{}", store.display())])
        .arg(component)
        .args(["--", "-c", PROGRAM, &first.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let out = child.stdout.take().unwrap();
    let (started, first_line) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        let mut next = first;
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            assert_eq!(line.parse(), Ok(next), "numbers must come in order");
            next += 1;
            let _ = started.send(());
        }
        next
    });
    first_line.recv_timeout(Duration::from_secs(120)).expect("the guest reports no synced file");
    std::thread::sleep(Duration::from_micros(Rng::new(seed).below(150_000)));
    child.kill().unwrap();
    let status = child.wait().unwrap();
    assert!(status.code().is_none(), "the process ended by itself: {status}");
    reader.join().unwrap()
}

/// Checks that every slot holds its last acknowledged file, or the one being written. Returns the
/// first number for the next process.
fn check(map: &Map, acknowledged: u64) -> Result<u64, String> {
    let limits = Limits { max_batch_bytes: 64 << 20, max_value_bytes: 4 << 20, ..LARGE };
    let store = TestStore::from_map(map.clone(), limits);
    let report = fsck(&mut store.clone(), kvfs::DEFAULT_VOLUME).map_err(|error| format!("{error:?}"))?;
    if let Some(finding) = report.findings.first() {
        return Err(format!("fsck: {finding}"));
    }
    let fail = |error: kvfs::Error| format!("reading: {error:?}");
    let mut volume =
        Volume::open(Box::new(store), Box::new(TestClock::default()), Options::default()).map_err(fail)?;
    let root = volume.root().map_err(fail)?;
    let mut next = acknowledged;
    for number in acknowledged.saturating_sub(SLOTS)..acknowledged {
        let name = format!("slot-{}", number % SLOTS);
        let file = volume.open_at(&root, &name, Follow::No, OpenFlags::default(), Access::default());
        let file = file.map_err(|error| format!("{name}, which should hold {number}: {error:?}"))?;
        let mut bytes = Vec::new();
        while volume.read(&file, bytes.len() as u64, 1 << 20, &mut bytes).map_err(fail)? > 0 {}
        volume.close(file).map_err(fail)?;
        // The file being written goes to the oldest slot.
        if number + SLOTS == acknowledged && bytes == content(acknowledged) {
            next = acknowledged + 1;
        } else if bytes != content(number) {
            return Err(format!("{name} holds {} bytes, not those of {number}", bytes.len()));
        }
    }
    Ok(next)
}
