//! What a distance to the store costs the file system.
//!
//! ```sh
//! cargo bench -p kvfs-host --features delayed --bench distance -- [STORE]…
//! ```
//!
//! Each STORE is a URL as for `kvfs_host::open_store`: `file:DIR`, or, with their features, a server's
//! (which should have its data in memory or on the disk that is to be measured). It must be empty; a store in
//! a new directory is measured if none is named. Everything is done natively by the engine, in mode
//! `close`, three times: with nothing, 1 ms and 10 ms added to each call by `delayed:`. Each reading
//! part opens the store and the volume anew, with nothing in memory. A store takes about half a minute.
//!
//! `kvfs run --store delayed:1ms+STORE` adds the same to a guest's store.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use kvfs::{Access, At, Clock, Descriptor, Follow, Mode, OpenFlags, Options, Timestamp, Volume};
use kvfs_host::{AnyStore, EngineStore, OpenOptions, SyncStore};

const DELAYS: [&str; 3] = ["0ms", "1ms", "10ms"];

const FILES: usize = 1000;
const FILES_A_DIRECTORY: usize = 100;
const FILE_BYTES: usize = 4 << 10;
/// A package of modules, as `asyncio` of CPython 3.14 is one.
const MODULES: usize = 33;
const MODULE_BYTES: usize = 20 << 10;
const LARGE_BYTES: u64 = 64 << 20;
const PIECE_BYTES: usize = 64 << 10;
const TRANSACTIONS: usize = 100;

struct SystemClock;

impl Clock for SystemClock {
    fn now(&mut self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp { seconds: since.as_secs().cast_signed(), nanoseconds: since.subsec_nanos() }
    }
}

/// An opened store with an opened volume.
struct Opened {
    store: AnyStore,
    volume: Volume,
    root: Descriptor,
}

impl Opened {
    fn new(url: &str, name: &str) -> Result<Self> {
        let store = OpenOptions::new().create(true).open(url)?;
        let options = Options { volume: name.to_owned(), mode: Mode::Close, ..Options::default() };
        let engine_store = Box::new(EngineStore(store.clone()));
        let mut volume = Volume::open(engine_store, Box::new(SystemClock), options)?;
        let root = volume.root()?;
        Ok(Self { store, volume, root })
    }

    fn close(mut self) -> Result<()> {
        self.volume.sync_all()?;
        drop(self.volume);
        Ok(self.store.close()?)
    }

    fn open(&mut self, path: &str, flags: OpenFlags, write: bool) -> Result<Descriptor> {
        let access = Access { read: true, write, ..Access::default() };
        Ok(self.volume.open_at(&self.root, path, Follow::Yes, flags, access)?)
    }

    fn write_file(&mut self, path: &str, bytes: &[u8]) -> Result<()> {
        let file = self.open(path, OpenFlags { create: true, ..OpenFlags::default() }, true)?;
        self.write_all(&file, 0, bytes)?;
        Ok(self.volume.close(file)?)
    }

    fn write_all(&mut self, file: &Descriptor, mut at: u64, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let written = self.volume.write(file, At::Offset(at), bytes)?;
            (at, bytes) = (at + written as u64, &bytes[written..]);
        }
        Ok(())
    }

    fn read_file(&mut self, path: &str) -> Result<u64> {
        let file = self.open(path, OpenFlags::default(), false)?;
        let (mut at, mut bytes) = (0, Vec::with_capacity(PIECE_BYTES));
        loop {
            bytes.clear();
            match self.volume.read(&file, at, PIECE_BYTES, &mut bytes)? {
                0 => break,
                read => at += read as u64,
            }
        }
        self.volume.close(file)?;
        Ok(at)
    }

    fn names(&mut self, path: &str) -> Result<Vec<String>> {
        let flags = OpenFlags { directory: true, ..OpenFlags::default() };
        let directory = self.volume.open_at(&self.root, path, Follow::Yes, flags, Access::default())?;
        let mut listing = self.volume.read_directory(&directory)?;
        let mut names = Vec::new();
        while let Some(entry) = self.volume.next_entry(&mut listing)? {
            names.push(entry.name.to_string());
        }
        self.volume.close_directory(listing)?;
        self.volume.close(directory)?;
        Ok(names)
    }
}

fn path(number: usize) -> String {
    format!("d{}/file-{number:04}", number / FILES_A_DIRECTORY)
}

fn unpack(opened: &mut Opened) -> Result<()> {
    for directory in 0..FILES / FILES_A_DIRECTORY {
        opened.volume.create_directory_at(&opened.root, &format!("d{directory}"))?;
    }
    (0..FILES).try_for_each(|number| opened.write_file(&path(number), &[number as u8; FILE_BYTES]))
}

/// Lists everything and asks for the attributes of all files, as `os.walk` with `os.stat` does.
fn walk(opened: &mut Opened) -> Result<()> {
    let mut found = 0;
    for directory in opened.names(".")? {
        for name in opened.names(&directory)? {
            opened.volume.stat_at(&opened.root, &format!("{directory}/{name}"), Follow::No)?;
            found += 1;
        }
    }
    if found == FILES { Ok(()) } else { bail!("found {found} files, not {FILES}") }
}

fn read_all(opened: &mut Opened) -> Result<()> {
    let bytes = (0..FILES).map(|number| opened.read_file(&path(number))).sum::<Result<u64>>()?;
    if bytes == (FILES * FILE_BYTES) as u64 { Ok(()) } else { bail!("read {bytes} bytes") }
}

fn write_package(opened: &mut Opened) -> Result<()> {
    opened.volume.create_directory_at(&opened.root, "lib")?;
    opened.volume.create_directory_at(&opened.root, "lib/package")?;
    (0..MODULES).try_for_each(|number| {
        opened.write_file(&format!("lib/package/module{number}.py"), &vec![b'x'; MODULE_BYTES])
    })
}

/// Finds each module as an interpreter does: lists the directory once, asks for the file, reads it.
fn import(opened: &mut Opened) -> Result<()> {
    opened.names("lib")?;
    opened.volume.stat_at(&opened.root, "lib/package", Follow::Yes)?;
    opened.names("lib/package")?;
    for number in 0..MODULES {
        let path = format!("lib/package/module{number}.py");
        opened.volume.stat_at(&opened.root, "lib/package", Follow::Yes)?;
        opened.volume.stat_at(&opened.root, &path, Follow::Yes)?;
        opened.read_file(&path)?;
    }
    Ok(())
}

/// Writes a journal, syncs it, writes a page, syncs it and removes the journal, as SQLite does.
fn transactions(opened: &mut Opened) -> Result<()> {
    let create = OpenFlags { create: true, ..OpenFlags::default() };
    let database = opened.open("database", create, true)?;
    for number in 0..TRANSACTIONS as u64 {
        let journal = opened.open("journal", create, true)?;
        opened.write_all(&journal, 0, &[1; 4096 + 512])?;
        opened.volume.sync(&journal)?;
        opened.write_all(&database, number % 16 * 4096, &[number as u8; 4096])?;
        opened.volume.sync(&database)?;
        opened.volume.close(journal)?;
        opened.volume.unlink_file_at(&opened.root, "journal")?;
    }
    Ok(opened.volume.close(database)?)
}

fn write_large(opened: &mut Opened) -> Result<()> {
    let file = opened.open("large", OpenFlags { create: true, ..OpenFlags::default() }, true)?;
    let piece = vec![7; PIECE_BYTES];
    for at in (0..LARGE_BYTES).step_by(PIECE_BYTES) {
        opened.write_all(&file, at, &piece)?;
    }
    opened.volume.close(file)?;
    Ok(opened.volume.sync_all()?)
}

fn read_large(opened: &mut Opened) -> Result<()> {
    let bytes = opened.read_file("large")?;
    if bytes == LARGE_BYTES { Ok(()) } else { bail!("read {bytes} bytes") }
}

type Work = fn(&mut Opened) -> Result<()>;

/// The volumes' names, and what is done in them one after another, each time opened anew.
const WORK: [(&str, &str, Work); 9] = [
    ("files", "unpack 1,000 files of 4 KiB", unpack),
    ("files", "list and stat them, cold", walk),
    ("files", "read them by name, cold", read_all),
    ("package", "write a package of 33 modules", write_package),
    ("package", "import it, cold", import),
    ("database", "100 transactions with two syncs each", transactions),
    ("large", "write 64 MiB and sync", write_large),
    ("large", "read them, cold", read_large),
    ("files", "stat one of the files, cold", |opened| {
        opened.volume.stat_at(&opened.root, &path(FILES / 2), Follow::Yes)?;
        Ok(())
    }),
];

fn measure(store: &str, delay: &str) -> Result<Vec<Duration>> {
    let url = format!("delayed:{delay}+{store}");
    let mut times = Vec::new();
    for (volume, what, work) in WORK {
        // One after the other, all delays use one store.
        let mut opened = Opened::new(&url, &format!("{volume}-{delay}"))?;
        let begin = Instant::now();
        work(&mut opened).with_context(|| what.to_owned())?;
        times.push(begin.elapsed());
        opened.close()?;
    }
    Ok(times)
}

fn main() -> Result<()> {
    // Cargo adds an argument of its own.
    let mut stores: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let directory = tempfile::tempdir()?;
    if stores.is_empty() {
        stores.push(format!("file:{}", directory.path().join("state").display()));
    }
    for store in stores {
        let opened = OpenOptions::new().create(true).open(&store)?;
        if !opened.scan(b"", b"", 1, 1)?.is_empty() {
            bail!("{}: it is not empty", store.split(':').next().unwrap_or_default());
        }
        opened.close()?;
        drop(opened);
        let kind = store.split(':').next().unwrap_or_default();
        println!(
            "\n| `{kind}`, ms | {} |\n|---|{}",
            DELAYS.map(|delay| format!("+{delay}")).join(" | "),
            "---|".repeat(DELAYS.len())
        );
        let columns = DELAYS.iter().map(|delay| measure(&store, delay)).collect::<Result<Vec<_>>>()?;
        for (row, (_, what, _)) in WORK.iter().enumerate() {
            let cells: Vec<_> =
                columns.iter().map(|times| format!("{:.1}", times[row].as_secs_f64() * 1000.0)).collect();
            println!("| {what} | {} |", cells.join(" | "));
        }
    }
    Ok(())
}
