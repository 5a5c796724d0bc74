//! Two hosts on one volume of the engine, where the older one need not know at once.

use kvfs::{Access, At, Clock, Error, Follow, KvStore, OpenFlags, Options, Timestamp, Volume};

struct Noon;

impl Clock for Noon {
    fn now(&mut self) -> Timestamp {
        Timestamp { seconds: 43_200, nanoseconds: 0 }
    }
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
