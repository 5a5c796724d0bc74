//! Compares providers in the component with the same stores in the host.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kvfs_bucket_store::{Bucket, BucketError, BucketStore};
use kvfs_compose::{Compose, Link, Mode, Provider};
use kvfs_host::{FileStore, MemoryStore, Store};
use kvfs_provider_kit::native::Native;
use kvfs_tests::{Buckets, Program, engine};
use wasmtime::component::Component;

use crate::{Guest, OPERATIONS, measure};

/// A provider may take at most this many times as long as the same store in the host.
const SLOWEST: f64 = 2.0;

const LINKS: [(&str, Link); 2] = [("composed", Link::Component), ("linked", Link::Core)];

/// A store's name, and its provider in the component.
type Both = (&'static str, fn() -> Provider);

/// The stores that exist in both places.
const STORES: [Both; 3] = [
    ("memory", || Provider::Memory { size_bytes: None }),
    ("file", || Provider::File { path: Some("/".into()), accept_loss: false }),
    ("keyvalue", || Provider::Keyvalue { bucket: None }),
];

/// A store and a way to join, to be measured in the host and in the component.
struct Pair {
    link: Link,
    name: &'static str,
    inside: Component,
}

/// Measures the Rust guest with every provider and prints how they compare.
pub(crate) fn compare(guest: &Guest, rounds: usize, scratch: &Path) -> anyhow::Result<()> {
    let mut pairs = Vec::new();
    for (name, provider) in STORES {
        for (_, link) in LINKS {
            // One mode for all, whatever the provider's own default is.
            let compose = Compose::new(&guest.bytes).link(link).mode(Mode::Close);
            let inside = compose.provider(provider()).build()?;
            pairs.push(Pair { link, name, inside: engine::compile(engine::plain(), &inside.bytes)? });
        }
    }
    let times = measure(rounds, 2 * pairs.len(), |number| {
        let pair = &pairs[number / 2];
        let dir = tempfile::tempdir_in(scratch)?;
        let program = match number % 2 {
            0 => Program::new(guest.joined(pair.link)).store(in_the_host(pair.name, dir.path())?),
            _ => Program::new(&pair.inside).host_files(dir.path()).buckets(Buckets::default()),
        };
        Ok((program.time_limit(Duration::from_secs(300)).args(["bench"]), dir))
    })?;

    println!("\nraw WASI guest, µs per operation: in the host, in the component, ratio (at most {SLOWEST})");
    print!("{:<30}", "");
    for (name, _) in STORES {
        LINKS.iter().for_each(|(link, _)| print!("{:>24}", format!("{link}/{name}")));
    }
    println!();
    for row in &OPERATIONS {
        let Some(times) = times.get(row.name) else { continue };
        print!("{:<30}", row.name);
        for pair in times.chunks(2) {
            let [host, inside] = pair[..] else { continue };
            let ratio = inside / host;
            let mark = if ratio <= SLOWEST { ' ' } else { '!' };
            print!("{:>24}", format!("{host:.2} {inside:.2} {ratio:.2}{mark}"));
        }
        println!();
    }
    Ok(())
}

/// Opens the host's store that matches the provider of that name.
fn in_the_host(name: &str, dir: &Path) -> anyhow::Result<Arc<dyn Store>> {
    Ok(match name {
        "memory" => Arc::new(MemoryStore::new()),
        "file" => Arc::new(FileStore::open(dir.join("state"))?),
        _ => Arc::new(Native::new(BucketStore::open(Memory::default(), 1)?)),
    })
}

/// A bucket in memory.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<HashMap<String, Vec<u8>>>>);

impl Memory {
    fn with<T>(&self, ask: impl FnOnce(&mut HashMap<String, Vec<u8>>) -> T) -> Result<T, BucketError> {
        let mut values = self.0.lock().map_err(|_| BucketError::Failed("a thread panicked".into()))?;
        Ok(ask(&mut values))
    }
}

impl Bucket for Memory {
    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, BucketError> {
        self.with(|values| values.get(name).cloned())
    }

    fn set(&self, name: &str, value: &[u8]) -> Result<(), BucketError> {
        self.with(|values| drop(values.insert(name.into(), value.into())))
    }

    fn delete(&self, name: &str) -> Result<(), BucketError> {
        self.with(|values| drop(values.remove(name)))
    }
}
