//! Mounts, as guests see them: composed and linked, on stores of the host and in the stock
//! `wasmtime` command.

mod crossing;
mod host;
mod host_guarded;
mod images;
mod instance;
mod limits;
mod overlays;
mod python;
mod rights;
mod stock;

use std::path::Path;
use std::sync::Arc;

use kvfs_compose::{Compose, Composed, Link, Mount, Provider};
use kvfs_host::{MemoryStore, SyncStore};
use kvfs_tests::{Output, Program, engine, guests};
use wasmtime::component::Component;

/// Both ways to join a guest with the file system; mounts are the same in both.
const WAYS: [Link; 2] = [Link::Component, Link::Core];

/// Parses mounts as the command does, with `{}` for a directory.
fn mounts(texts: &[&str], dir: &Path) -> Vec<Mount> {
    let dir = dir.to_str().expect("a path in Unicode");
    texts.iter().map(|text| text.replace("{}", dir).parse().expect("a mount")).collect()
}

/// Joins a guest with the file system and mounts.
#[track_caller]
fn joined(guest: &[u8], link: Link, mounts: Vec<Mount>) -> Composed {
    joined_with(guest, link, mounts, Provider::Host)
}

/// Joins a guest with the file system, mounts and a provider.
#[track_caller]
fn joined_with(guest: &[u8], link: Link, mounts: Vec<Mount>, provider: Provider) -> Composed {
    let compose = Compose::new(guest).link(link).provider(provider);
    let composed = mounts.into_iter().fold(compose, Compose::mount).build();
    let composed = composed.expect("composing the guest with mounts");
    assert_eq!(composed.report.not_linked, None);
    composed
}

/// The guest that runs steps, with mounts.
struct Steps(Component);

impl Steps {
    #[track_caller]
    fn new(link: Link, texts: &[&str], dir: &Path) -> Self {
        let composed = joined(guests::rust().expect("the guests"), link, mounts(texts, dir));
        Self(engine::compile(engine::interruptible(), &composed.bytes).expect("compiling"))
    }

    fn program(&self, store: &Arc<MemoryStore>, steps: &[&str]) -> Program {
        Program::new(&self.0).store(store.clone()).args(["script"]).args(steps.iter().copied())
    }

    fn run(&self, store: &Arc<MemoryStore>, steps: &[&str]) -> Output {
        self.program(store, steps).run().expect("running the guest")
    }

    /// Runs steps and compares the outcome of each.
    #[track_caller]
    fn expect(&self, store: &Arc<MemoryStore>, expected: &[(&str, &str)]) {
        let steps: Vec<&str> = expected.iter().map(|(step, _)| *step).collect();
        let output = self.run(store, &steps);
        let expected: Vec<String> = expected.iter().map(|(step, seen)| format!("{step}: {seen}")).collect();
        let seen: Vec<&str> = output.stdout.lines().collect();
        assert_eq!(seen, expected, "{output:#?}");
        assert_eq!(output.code, Some(0), "{output:#?}");
    }
}

/// Makes a tree with files in several directories, one file of several extents, links, and a file
/// to remove.
fn tree(dir: &Path) {
    std::fs::create_dir_all(dir.join("lib/sub")).expect("directories");
    for (path, text) in [("lib/a", "one"), ("lib/sub/b", "two"), ("top", "three"), ("gone", "four")] {
        std::fs::write(dir.join(path), text).expect("a file");
    }
    std::fs::write(dir.join("large"), large()).expect("a file");
    std::os::unix::fs::symlink("lib/a", dir.join("link")).expect("a link");
    std::os::unix::fs::symlink("/top", dir.join("absolute")).expect("a link");
    std::fs::hard_link(dir.join("top"), dir.join("lib/second")).expect("a link");
}

/// Returns the content of several extents, each different from the others.
fn large() -> Vec<u8> {
    (0..50_000_u32).flat_map(u32::to_le_bytes).collect()
}

/// Returns the text that the guest prints for this many bytes: their number and their checksum.
fn shown(bytes: &[u8]) -> String {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325, step);
    format!("{} bytes, {hash:016x}", bytes.len())
}

fn store() -> Arc<MemoryStore> {
    Arc::new(MemoryStore::new())
}

/// Returns how many bytes of keys and values a store holds.
fn stored_bytes(store: &MemoryStore) -> usize {
    let entries = SyncStore::scan(store, b"", b"", u32::MAX, u32::MAX).expect("reading the store");
    entries.iter().map(|entry| entry.key.len() + entry.value.len()).sum()
}
