//! Limits of files and of an instance, as CPython sees them: what is over them is refused or takes
//! turns in memory, and what was there stays whole.

use super::{WAYS, mounts, store, stored_bytes};
use crate::python::{composed, linked};
use kvfs_compose::{ADAPTER, ADAPTER_WITH_AUDIT, Audit, AuditLevel, Compose, InstanceLimits, Link};
use kvfs_host::{Durability, Entry, Guard, Limits, MemoryStore, Mutation, StoreError, SyncStore};
use kvfs_tests::{Program, engine, guests};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use wasmtime::component::Component;

const LIMITED: &str = "
import errno, os

def refused(code, call, *arguments):
    try:
        result = call(*arguments)
    except OSError as error:
        assert error.errno == code, error
    else:
        raise AssertionError(f'{call.__name__} returned {result!r}')

# 30 descriptors over three mounts; the program itself holds some.
held = []
try:
    while len(held) < 40:
        held.append(os.open(['/f', '/a/f', '/b/f'][len(held) % 3], os.O_RDWR | os.O_CREAT))
except OSError as error:
    assert error.errno == errno.ENOMEM, error
assert 20 <= len(held) < 30, len(held)
for path in ['/f', '/a/f', '/b/f', '/new', '/a/new', '/b/new']:
    refused(errno.ENOMEM, os.open, path, os.O_RDWR | os.O_CREAT)
assert not os.path.exists('/a/new')
for file in held:
    os.close(file)

# More than may be cached, and far more than may wait: nothing fails.
for number in range(60):
    for mount in ['', '/a', '/b']:
        with open(f'{mount}/{number}', 'wb') as file:
            file.write(bytes([number]) * 10_000)
    with open('/a/large', 'ab') as file:
        file.write(bytes([number]) * 100_000)
for number in range(60):
    for mount in ['', '/a', '/b']:
        assert open(f'{mount}/{number}', 'rb').read() == bytes([number]) * 10_000
assert open('/a/large', 'rb').read() == b''.join(bytes([number]) * 100_000 for number in range(60))

# Files of the root have 10,240 bytes at most.
file = os.open('/file', os.O_RDWR | os.O_CREAT)
assert os.pwrite(file, b'x' * 20_000, 0) == 10_240
refused(errno.EFBIG, os.pwrite, file, b'x', 10_240)
refused(errno.EFBIG, os.ftruncate, file, 10_241)
os.close(file)
assert os.path.getsize('/file') == 10_240
";

/// Another component on the same store, without limits of its own.
const LATER: &str = "
import os
os.truncate('/file', 10_241)
print(os.path.getsize('/file'))
held = [os.open('/file', os.O_RDONLY) for _ in range(100)]
print(len(held))
";

/// Opens in a volume and in a directory of the host by turns.
const OF_THE_HOST: &str = "
import errno, os

def fill(paths):
    held = []
    try:
        while len(held) < 60:
            held.append(os.open(paths[len(held) % len(paths)], os.O_RDONLY))
    except OSError as error:
        assert error.errno == errno.ENOMEM, error
    return held

open('/f', 'w').close()
for paths in [['/h/f'], ['/f'], ['/f', '/h/f'], ['/h/f', '/f', '/f']]:
    held = fill(paths)
    assert 20 <= len(held) < 30, (paths, len(held))
    for path in ['/f', '/h/f']:
        try:
            os.open(path, os.O_RDONLY)
            raise AssertionError(f'{path} is one too many')
        except OSError as error:
            assert error.errno == errno.ENOMEM, error
    # One that is closed makes room in either.
    os.close(held.pop())
    held.append(os.open('/f', os.O_RDONLY))
    os.close(held.pop())
    held.append(os.open('/h/f', os.O_RDONLY))
    for file in held:
        os.close(file)
print(len(held))
";

#[test]
fn descriptors_of_the_host_count_in_the_sum() {
    let guest = std::fs::read(guests::python().unwrap()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("f"), "").unwrap();
    for link in WAYS {
        let limits = InstanceLimits::default().max_descriptors(30);
        let compose = Compose::new(&guest).link(link).instance_limits(limits);
        let mounts = mounts(&["/=kv", "/h=host:shared"], ".".as_ref());
        let composed = mounts.into_iter().fold(compose, Compose::mount).build().unwrap();
        let component = engine::compile(engine::interruptible(), &composed.bytes).unwrap();
        let program = Program::new(&component).store(store()).preopen(dir.path(), "shared");
        program.args(["-c", OF_THE_HOST]).run().unwrap().success();
    }
}

/// Reads a working set while pieces of 32 MiB pass through another mount.
const STREAM: &str = "
import os, sys

def read(path):
    with open(path, 'rb', 65_536) as file:
        while file.read(65_536):
            pass

with open('/set', 'wb') as file:
    file.write(bytes(5 << 20))
read('/set')
piece = bytes(1 << 20)
for turn in range(int(sys.argv[1])):
    with open('/s/stream', 'wb') as file:
        for _ in range(16):
            file.write(piece)
            os.stat('/set')
    with open('/s/stream', 'rb') as file:
        while file.read(1 << 20):
            os.stat('/set')
read('/set')
";

/// Counts the extents that are asked for of the volume `main`.
#[derive(Default)]
struct Counting {
    store: MemoryStore,
    extents: AtomicUsize,
}

impl SyncStore for Counting {
    fn limits(&self) -> Result<Limits, StoreError> {
        SyncStore::limits(&self.store)
    }

    fn get(&self, keys: &[&[u8]]) -> Result<Vec<Option<bytes::Bytes>>, StoreError> {
        let values = SyncStore::get(&self.store, keys)?;
        let is_extent = |(key, value): (&&[u8], &Option<bytes::Bytes>)| {
            key.get(1..5) == Some(b"main") && value.as_ref().is_some_and(|value| value.len() >= 16 << 10)
        };
        let extents = keys.iter().zip(&values).filter(|pair| is_extent(*pair)).count();
        self.extents.fetch_add(extents, Ordering::Relaxed);
        Ok(values)
    }

    fn scan(&self, start: &[u8], end: &[u8], entries: u32, bytes: u32) -> Result<Vec<Entry>, StoreError> {
        SyncStore::scan(&self.store, start, end, entries, bytes)
    }

    fn apply(
        &self,
        guards: &[Guard<'_>],
        mutations: &[Mutation<'_>],
        level: Durability,
    ) -> Result<(), StoreError> {
        SyncStore::apply(&self.store, guards, mutations, level)
    }
}

#[test]
fn what_streams_through_a_mount_with_a_ceiling_evicts_nothing_of_another_one() {
    let guest = std::fs::read(guests::python().unwrap()).unwrap();
    for (link, stream, turns, evicts) in [
        (Link::Component, "/s=kv:s,cache=1M", "1", false),
        (Link::Core, "/s=kv:s,cache=1M", "8", false),
        (Link::Core, "/s=kv:s", "1", true),
    ] {
        let limits = InstanceLimits::default().max_cached_bytes(32 << 20);
        let compose = Compose::new(&guest).link(link).instance_limits(limits);
        // The set fits what the stream leaves of the extents, a quarter of the cache, but no half.
        let mounts = mounts(&["/=kv", stream], ".".as_ref());
        let composed = mounts.into_iter().fold(compose, Compose::mount).build().unwrap();
        assert!(*kvfs_compose::recompose(&composed.bytes).unwrap().bytes == *composed.bytes);
        let component = engine::compile(engine::interruptible(), &composed.bytes).unwrap();
        let store = Arc::new(Counting::default());
        let program = Program::new(&component).store(store.clone());
        program.args(["-c", STREAM, turns]).run().unwrap().success();
        let read = store.extents.load(Ordering::Relaxed);
        assert_eq!(read > 0, evicts, "{stream}: {read} extents of the set were read again");
    }
}

fn joined(guest: &[u8], link: Link, limits: InstanceLimits) -> Component {
    let mounts = mounts(&["/=kv,max-file-bytes=10K", "/a=kv:a", "/b=kv:b"], ".".as_ref());
    let compose = Compose::new(guest).link(link).instance_limits(limits);
    let composed = mounts.into_iter().fold(compose, Compose::mount).build().unwrap();
    assert_eq!(composed.report.not_linked, None);
    // Whoever does not believe the file gets the same limits.
    let again = kvfs_compose::recompose(&composed.bytes).unwrap();
    assert!(*again.bytes == *composed.bytes);
    engine::compile(engine::interruptible(), &composed.bytes).unwrap()
}

#[test]
fn limits_of_files_and_of_an_instance_hold_over_all_mounts() {
    let guest = std::fs::read(guests::python().unwrap()).unwrap();
    let limits =
        InstanceLimits::default().max_descriptors(30).max_cached_bytes(1 << 20).max_dirty_bytes(64 << 10);
    for link in WAYS {
        let store = store();
        let limited = joined(&guest, link, limits);
        Program::new(&limited).store(store.clone()).args(["-c", LIMITED]).run().unwrap().success();
        let later = match link {
            Link::Core => linked::on(&store),
            _ => composed::on(&store),
        };
        assert_eq!(later.args(["-c", LATER]).run().unwrap().success(), "10241\n100\n");
    }
}

#[test]
fn nothing_works_with_an_adapter_that_cannot_keep_the_log_asked_for() {
    for link in WAYS {
        let run = |adapter: &'static [u8]| {
            let guest = guests::rust().unwrap();
            let audit = Audit::new(AuditLevel::Changes);
            let composed = Compose::new(guest).link(link).audit(audit).adapter(adapter).build().unwrap();
            let component = engine::compile(engine::interruptible(), &composed.bytes).unwrap();
            let store = store();
            let program = Program::new(&component).store(store.clone()).args(["bench", "operations", "1"]);
            (program.run().unwrap(), stored_bytes(&store))
        };
        let (output, _) = run(ADAPTER_WITH_AUDIT);
        assert_eq!(output.code, Some(0), "{}", output.stderr);
        let (output, bytes) = run(ADAPTER);
        assert_eq!((output.code, bytes), (Some(1), 0), "{}", output.stderr);
        assert!(output.stderr.contains("mkdir bench"), "{}", output.stderr);
    }
}
