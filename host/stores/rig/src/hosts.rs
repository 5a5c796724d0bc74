//! Two hosts with one volume of the engine.

use kvfs::{Access, At, Clock, Error, Follow, OpenFlags, Options, Timestamp, Volume};
use kvfs_contract::KvStore;

struct Noon;

impl Clock for Noon {
    fn now(&mut self) -> Timestamp {
        Timestamp { seconds: 43_200, nanoseconds: 0 }
    }
}

/// Lets hosts take one volume from each other again and again. Each call of `open` connects to the
/// same store as a host of its own.
///
/// # Panics
/// If an older one is not fenced, or if a file that one of them synced is gone.
pub fn the_newer_host_fences_the_older<S: KvStore + 'static>(mut open: impl FnMut() -> S) {
    const HOSTS: usize = 8;
    let mut open = || {
        let options = Options::default();
        Volume::open(Box::new(open()), Box::new(Noon), options).expect("opening the volume")
    };
    let create = OpenFlags { create: true, ..OpenFlags::default() };
    let write = Access { write: true, ..Access::default() };
    let mut older: Option<Volume> = None;
    for host in 0..HOSTS {
        let mut newer = open();
        let root = newer.root().expect("the root");
        for before in 0..host {
            let size = newer.stat_at(&root, &format!("file {before}"), Follow::Yes).map(|stat| stat.size);
            assert_eq!(size, Ok(70_000), "file {before}, seen by host {host}");
        }
        let file = newer.open_at(&root, &format!("file {host}"), Follow::Yes, create, write).expect("a file");
        newer.write(&file, At::End, &vec![host as u8; 70_000]).expect("writing");
        newer.sync(&file).expect("syncing");
        newer.close(file).expect("closing");
        newer.close(root).expect("closing");
        if let Some(mut older) = older.replace(newer) {
            let root = older.root().expect("the root");
            assert_eq!(older.create_directory_at(&root, "late"), Err(Error::Fenced), "host {host}");
        }
    }
    let mut last = open();
    let root = last.root().expect("the root");
    assert!(last.stat_at(&root, "late", Follow::Yes).is_err(), "nothing of the fenced ones is there");
    last.close(root).expect("closing");
}
