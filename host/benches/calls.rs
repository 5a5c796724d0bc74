//! Times the four calls of `kvfs:store` as a guest sees them: `cargo bench -p kvfs-host`.
//!
//! Prints µs per call over the memory store and the redb store, through the synchronous and the
//! asynchronous linker. Each number is the best of several runs: noise only ever adds time.

use std::time::{Duration, Instant};

use kvfs_host::{KvCtx, KvView, MemoryStore, RedbStore, Sealed, UserKey, add_to_linker, add_to_linker_async};
use wasmtime::component::{Component, Linker, TypedFunc};
use wasmtime::{Config, Engine, Store};

struct State {
    kv: KvCtx,
}

impl KvView for State {
    fn kv(&mut self) -> &mut KvCtx {
        &mut self.kv
    }
}

type Three = TypedFunc<(u32, u32, u32), (i32,)>;
type Six = TypedFunc<(u32, u32, u32, u32, u32, u32), (u32,)>;

struct Guest {
    store: Store<State>,
    get: Three,
    scan: Three,
    put: Six,
    is_async: bool,
}

impl Guest {
    fn new(kv: KvCtx, is_async: bool) -> wasmtime::Result<Self> {
        let engine = Engine::new(&Config::new())?;
        let component = Component::new(&engine, wat::parse_str(include_str!("../tests/all/guest.wat"))?)?;
        let mut linker = Linker::new(&engine);
        if is_async {
            add_to_linker_async(&mut linker)?
        } else {
            add_to_linker(&mut linker)?
        }
        let mut store = Store::new(&engine, State { kv });
        let instance = if is_async {
            wait(linker.instantiate_async(&mut store, &component))?
        } else {
            linker.instantiate(&mut store, &component)?
        };
        let get = instance.get_typed_func(&mut store, "get")?;
        let scan = instance.get_typed_func(&mut store, "scan")?;
        let put = instance.get_typed_func(&mut store, "put")?;
        Ok(Self { store, get, scan, put, is_async })
    }

    fn get(&mut self, times: u32, count: u32, number: u32) -> wasmtime::Result<i32> {
        let Self { store, get, .. } = self;
        let params = (times, count, number);
        Ok(if self.is_async { wait(get.call_async(store, params))? } else { get.call(store, params)? }.0)
    }

    fn scan(&mut self, times: u32, entries: u32) -> wasmtime::Result<i32> {
        let Self { store, scan, .. } = self;
        let params = (times, entries, u32::MAX);
        Ok(if self.is_async { wait(scan.call_async(store, params))? } else { scan.call(store, params)? }.0)
    }

    fn put(&mut self, times: u32, count: u32, number: u32, len: u32, level: u32) -> wasmtime::Result<u32> {
        let Self { store, put, .. } = self;
        let params = (times, count, number, len, 0, level);
        Ok(if self.is_async { wait(put.call_async(store, params))? } else { put.call(store, params)? }.0)
    }
}

fn wait<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}

/// Times several runs of `calls` calls and prints the best, in µs per call.
fn time(name: &str, calls: u32, mut run: impl FnMut(u32) -> wasmtime::Result<()>) -> wasmtime::Result<()> {
    run(calls / 10 + 1)?;
    let mut best = Duration::MAX;
    for _ in 0..7 {
        let start = Instant::now();
        run(calls)?;
        best = best.min(start.elapsed());
    }
    println!("  {name:<44} {:>9.3}", best.as_secs_f64() * 1e6 / f64::from(calls));
    Ok(())
}

fn check(holds: bool) -> wasmtime::Result<()> {
    wasmtime::ensure!(holds, "the guest received an unexpected answer");
    Ok(())
}

fn calls(title: &str, kv: KvCtx, is_async: bool, durable: bool) -> wasmtime::Result<()> {
    println!("{title}");
    let mut guest = Guest::new(kv, is_async)?;
    // 10,000 keys in the store, so that a lookup is not trivial.
    for i in 0..100 {
        check(guest.put(1, 100, 1_000 + i * 100, 50, 0)? == 0)?;
    }
    check(guest.put(1, 1, 20_000, 100, 0)? == 0)?;
    check(guest.put(1, 1, 20_001, 32 << 10, 1)? == 0)?;
    time("get of 1 key, 100 B", 20_000, |n| check(guest.get(n, 1, 20_000)? == 100))?;
    time("get of 1 absent key", 20_000, |n| check(guest.get(n, 1, 90_000)? == -1000))?;
    time("get of 8 keys, 50 B each", 10_000, |n| check(guest.get(n, 8, 5_000)? == 50))?;
    time("get of 1 key, 32 KiB", 5_000, |n| check(guest.get(n, 1, 20_001)? == 32 << 10))?;
    time("scan of 1000 entries, 50 B each", 100, |n| check(guest.scan(n, 1000)? == 1000))?;
    time("apply of 4 puts, 60 B each, buffered", 20_000, |n| check(guest.put(n, 4, 7_000, 60, 0)? == 0))?;
    time("apply of 1 put, 32 KiB, buffered", 5_000, |n| check(guest.put(n, 1, 20_001, 32 << 10, 0)? == 0))?;
    if durable {
        time("apply of 4 puts, 60 B each, durable", 50, |n| check(guest.put(n, 4, 7_000, 60, 1)? == 0))?;
    }
    Ok(())
}

fn bare(title: &str, store: impl kvfs_host::Store) -> wasmtime::Result<()> {
    println!("{title}");
    let key = [7; 20];
    let put = kvfs_host::Mutation::Put { key: &key, value: &[1; 100] };
    store.apply(&[], &[put], kvfs_host::Durability::Buffered).wait()?;
    time("get of 1 key, 100 B", 100_000, |n| {
        (0..n).try_for_each(|_| check(store.get(&[&key]).wait()?[0].is_some()))
    })
}

fn main() -> wasmtime::Result<()> {
    println!("µs per call");
    calls("memory store, synchronous linker", KvCtx::new(MemoryStore::new()), false, false)?;
    calls("memory store, asynchronous linker", KvCtx::new(MemoryStore::new()), true, false)?;
    bare("memory store, no guest", MemoryStore::new())?;
    let key = UserKey::from_key_file(vec![7; 32])?;
    let sealed = tokio::runtime::Builder::new_current_thread()
        .build()?
        .block_on(Sealed::open(MemoryStore::new(), &key))?;
    calls("sealed memory store, synchronous linker", KvCtx::new(sealed), false, false)?;
    let directory = tempfile::tempdir()?;
    let redb = RedbStore::open(directory.path().join("state.redb"))?;
    calls("redb store, synchronous linker", KvCtx::new(redb), false, true)
}
