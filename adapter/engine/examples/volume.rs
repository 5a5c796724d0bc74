//! The engine alone: a volume in a store in memory, written, read back, and opened again.
//!
//! ```sh
//! cargo run -p kvfs --example volume
//! ```

use kvfs::{
    Access, At, Clock, Error, Follow, MemoryStore, Mode, OpenFlags, Options, Timestamp, Volume, fsck,
};
use std::time::{SystemTime, UNIX_EPOCH};

/// The engine has no clock of its own.
struct SystemClock;

impl Clock for SystemClock {
    fn now(&mut self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp { seconds: since.as_secs().cast_signed(), nanoseconds: since.subsec_nanos() }
    }
}

/// Opens the volume `notes`, and makes it if the store has none of this name.
fn open(store: &MemoryStore) -> Result<Volume, Error> {
    let options = Options { volume: "notes".to_owned(), mode: Mode::Close, ..Options::default() };
    // Clones of a memory store share what is in it.
    Volume::open(Box::new(store.clone()), Box::new(SystemClock), options)
}

fn write(volume: &mut Volume, path: &str, text: &str) -> Result<(), Error> {
    let root = volume.root()?;
    let create = OpenFlags { create: true, truncate: true, ..OpenFlags::default() };
    let access = Access { write: true, ..Access::default() };
    let file = volume.open_at(&root, path, Follow::Yes, create, access)?;
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        let written = volume.write(&file, At::End, rest)?;
        rest = rest.get(written..).unwrap_or_default();
    }
    // In mode `close` the file is in the store when this returns.
    volume.close(file)?;
    volume.close(root)
}

fn read(volume: &mut Volume, path: &str) -> Result<String, Error> {
    let root = volume.root()?;
    let access = Access { read: true, ..Access::default() };
    let file = volume.open_at(&root, path, Follow::Yes, OpenFlags::default(), access)?;
    let mut bytes = Vec::new();
    while volume.read(&file, bytes.len() as u64, 64 << 10, &mut bytes)? > 0 {}
    volume.close(file)?;
    volume.close(root)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn list(volume: &mut Volume) -> Result<Vec<String>, Error> {
    let root = volume.root()?;
    let mut names = Vec::new();
    let mut listing = volume.read_directory(&root)?;
    while let Some(entry) = volume.next_entry(&mut listing)? {
        names.push(entry.name.to_string());
    }
    volume.close_directory(listing)?;
    volume.close(root)?;
    names.sort();
    Ok(names)
}

fn main() -> Result<(), Error> {
    let mut store = MemoryStore::default();

    let mut volume = open(&store)?;
    write(&mut volume, "monday", "rain\n")?;
    write(&mut volume, "tuesday", "sun\n")?;
    volume.sync_all()?;

    // Whoever opens the volume again becomes its one writer, and finds everything.
    let mut again = open(&store)?;
    assert_eq!(list(&mut again)?, ["monday", "tuesday"]);
    assert_eq!(read(&mut again, "monday")?, "rain\n");

    // The first opener is fenced off: it can store nothing any more, and is told so.
    assert_eq!(write(&mut volume, "wednesday", "snow\n"), Err(Error::Fenced));

    // A check reads the store itself, without a volume.
    again.sync_all()?;
    drop(again);
    let report = fsck(&mut store, "notes")?;
    assert!(report.is_clean(), "{:?}", report.findings);
    println!(
        "{} inodes, {} names, {} bytes of content",
        report.inodes, report.dentries, report.content_bytes
    );
    Ok(())
}

#[test]
fn a_volume_keeps_what_is_written_for_the_next_opener() {
    main().unwrap();
}
