//! The files of a volume, without a guest.

mod archives;
mod basics;
mod copies;
#[cfg(unix)]
mod names;
mod shared;
#[cfg(unix)]
mod trees;

use kvfs::{Clock, MemoryStore, Mode, Options, Timestamp, Volume};
use kvfs_files::{Files, Report};
use std::ops::ControlFlow;

struct Noon;

impl Clock for Noon {
    fn now(&mut self) -> Timestamp {
        Timestamp { seconds: 43_200, nanoseconds: 0 }
    }
}

fn open(store: &MemoryStore) -> Files {
    let options = Options { mode: Mode::Lazy, ..Options::default() };
    Files::new(Volume::open(Box::new(store.clone()), Box::new(Noon), options).unwrap()).unwrap()
}

fn files() -> Files {
    open(&MemoryStore::default())
}

fn quiet(_: &Report) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Everything below a path: each path with what it is, and its time of modification.
fn seen(files: &mut Files, path: &str) -> Vec<(String, String)> {
    let mut walk = files.walk(path, kvfs::Follow::No);
    let start = walk.path().trim_end_matches('/').len();
    let (mut seen, mut inodes) = (Vec::new(), Vec::new());
    while let Some(step) = walk.next(files).unwrap() {
        if step.leaves {
            continue;
        }
        let path = walk.path().to_owned();
        let what = match step.stat.kind {
            kvfs::Kind::Directory => "directory".to_owned(),
            kvfs::Kind::Symlink => format!("-> {}", files.read_link(&path).unwrap()),
            kvfs::Kind::File => {
                let bytes = files.read(&path, 64 << 20).unwrap();
                let sum = bytes.iter().fold(0_u64, |sum, byte| sum.wrapping_mul(31) + u64::from(*byte));
                format!("{} bytes, {sum:x}", bytes.len())
            }
        };
        inodes.push((path[start..].to_owned(), step.stat.ino));
        let time = step.stat.mtime;
        seen.push((path[start..].to_owned(), format!("{what} at {}.{:09}", time.seconds, time.nanoseconds)));
    }
    seen.sort();
    inodes.sort();
    for place in 0..seen.len() {
        let same: Vec<_> =
            inodes.iter().filter(|(_, ino)| *ino == inodes[place].1).map(|(path, _)| path.as_str()).collect();
        if same.len() > 1 {
            seen[place].1 += &format!(" = {}", same.join(" = "));
        }
    }
    seen
}
