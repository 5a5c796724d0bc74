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
    let mut open = || volume(open());
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

fn volume(store: impl KvStore + 'static) -> Volume {
    Volume::open(Box::new(store), Box::new(Noon), Options::default()).expect("opening the volume")
}

fn write(volume: &mut Volume, name: &str, content: &[u8]) -> Result<(), Error> {
    let root = volume.root()?;
    let create = OpenFlags { create: true, ..OpenFlags::default() };
    let access = Access { write: true, ..Access::default() };
    let file = volume.open_at(&root, name, Follow::Yes, create, access)?;
    volume.write(&file, At::End, content)?;
    volume.close(file)?;
    volume.close(root)
}

fn size(volume: &mut Volume, name: &str) -> u64 {
    let root = volume.root().expect("the root");
    let size = volume.stat_at(&root, name, Follow::Yes).expect(name).size;
    volume.close(root).expect("closing the root");
    size
}

/// Opens one volume from two hosts. The newer has it, the older is told at its next durable commit,
/// and nothing that was durable is lost. Each call of `open` is another host. Returns what the older
/// was told.
///
/// # Panics
/// If this does not hold.
pub fn the_newer_host_has_the_volume<S: KvStore + 'static>(mut open: impl FnMut() -> S) -> Error {
    let mut older = volume(open());
    write(&mut older, "a", &[1; 100_000]).expect("a file");
    older.sync_all().expect("all durable");
    let mut newer = volume(open());
    assert_eq!(size(&mut newer, "a"), 100_000);
    write(&mut newer, "a", b" and after").expect("a longer file");
    newer.sync_all().expect("all durable");
    let told = write(&mut older, "late", b"too late").and_then(|()| older.sync_all());
    let told = told.expect_err("the older host goes on");
    let again = write(&mut older, "late", b"too late").and_then(|()| older.sync_all());
    again.expect_err("the older host goes on later");
    write(&mut newer, "b", b"goes on").expect("another file");
    newer.sync_all().expect("all durable");
    let mut third = volume(open());
    assert_eq!((size(&mut third, "a"), size(&mut third, "b")), (100_010, 7));
    let root = third.root().expect("the root");
    third.stat_at(&root, "late", Follow::Yes).expect_err("what the older wrote too late");
    told
}
