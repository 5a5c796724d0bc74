//! `cargo bench -p kvfs-bench --bench instances`: what an instance costs, as one of 1,000 in a
//! process with the pooling allocator.
//!
//! The Rust guest runs unchanged on a directory of the host, and linked and composed on a memory
//! store of its own. Each line has a name, the number of instances, and the nanoseconds, or the
//! bytes of resident memory, of all of them. `KVFS_INSTANCES` sets the number.

use std::time::Instant;

use anyhow::Context;
use kvfs_compose::Link;
use kvfs_host::{KvCtx, KvView, MemoryStore};
use kvfs_tests::{guests, pool};
use wasmtime::Store;
use wasmtime::component::{Linker, ResourceTable};
use wasmtime_wasi::p2::bindings::sync::{Command, CommandPre};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxView, WasiView};

/// The variable by which a process of its own measures each way.
const WAY: &str = "KVFS_INSTANCES_WAY";

/// Rounds of each measurement of time. The least counts.
const ROUNDS: usize = 3;

/// The steps of a program that touches a few files.
const STEPS: [&str; 6] = ["script", "write a some-bytes", "write b other-bytes", "cat a", "size b", "ls ."];

struct State {
    wasi: WasiCtx,
    table: ResourceTable,
    kv: KvCtx,
    output: MemoryOutputPipe,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl KvView for State {
    fn kv(&mut self) -> &mut KvCtx {
        &mut self.kv
    }
}

fn main() -> anyhow::Result<()> {
    let count = match std::env::var("KVFS_INSTANCES") {
        Ok(number) => number.parse()?,
        Err(_) => 1000,
    };
    if let Ok(way) = std::env::var(WAY) {
        return measure(&way, &component(&way)?, count);
    }
    for way in ["bare", "linked", "composed"] {
        // Compiled here, into the cache: memory that a compiler has given back would be used again.
        pool::compile(&component(way)?, count)?;
        let measured = std::process::Command::new(std::env::current_exe()?).env(WAY, way).status()?;
        anyhow::ensure!(measured.success(), "measuring {way}: {measured}");
    }
    Ok(())
}

fn component(way: &str) -> anyhow::Result<Vec<u8>> {
    let guest = guests::rust()?;
    match way {
        "bare" => Ok(guest.to_owned()),
        "linked" => guests::joined(guest, Link::Core),
        "composed" => guests::joined(guest, Link::Component),
        _ => anyhow::bail!("no such way: {way}"),
    }
}

fn measure(way: &str, component: &[u8], count: u32) -> anyhow::Result<()> {
    let (engine, component) = pool::compile(component, count)?;
    let mut linker = Linker::new(&engine);
    wasmtime_wasi::p2::add_to_linker_sync(&mut linker)?;
    kvfs_host::add_to_linker(&mut linker)?;
    let ready = CommandPre::new(linker.instantiate_pre(&component)?)?;
    let files = tempfile::tempdir()?;
    let state = |number: u32, args: &[&str]| -> anyhow::Result<State> {
        let output = MemoryOutputPipe::new(1 << 20);
        let mut wasi = WasiCtx::builder();
        wasi.arg("guest").args(args).stdout(output.clone()).stderr(output.clone());
        wasi.allow_blocking_current_thread(true);
        if way == "bare" {
            let own = files.path().join(number.to_string());
            std::fs::create_dir_all(&own)?;
            wasi.preopened_dir(&own, "/", FsPerms::ReadWrite)?;
        }
        let kv = KvCtx::new(MemoryStore::new());
        Ok(State { wasi: wasi.build(), table: ResourceTable::new(), kv, output })
    };
    let run = |store: &mut Store<State>, command: &Command| -> anyhow::Result<()> {
        let outcome = command.wasi_cli_run().call_run(&mut *store)?;
        let output = String::from_utf8_lossy(&store.data().output.contents()).into_owned();
        anyhow::ensure!(outcome.is_ok(), "the guest failed: {output}");
        Ok(())
    };

    // All at once.
    let before = resident_bytes()?;
    let mut all = Vec::new();
    for number in 0..count {
        let mut store = Store::new(&engine, state(number, &STEPS)?);
        let command = ready.instantiate(&mut store)?;
        all.push((store, command));
    }
    println!(
        "{way}, resident when instantiated, bytes\t{count}\t{}",
        resident_bytes()?.saturating_sub(before)
    );
    for (store, command) in &mut all {
        run(store, command)?;
    }
    println!(
        "{way}, resident after a few files, bytes\t{count}\t{}",
        resident_bytes()?.saturating_sub(before)
    );
    drop(all);

    // One after the other, as for requests: each takes the place in the pool that the last one left.
    for (what, args) in [("nothing", &["nothing"][..]), ("a few files", &STEPS)] {
        let (mut making, mut running) = (u128::MAX, u128::MAX);
        for _ in 0..ROUNDS {
            let (mut made, mut ran) = (0, 0);
            for _ in 0..count {
                let mut store = Store::new(&engine, state(count, args)?);
                let start = Instant::now();
                let command = ready.instantiate(&mut store)?;
                made += start.elapsed().as_nanos();
                let start = Instant::now();
                run(&mut store, &command)?;
                drop(store);
                ran += start.elapsed().as_nanos();
            }
            (making, running) = (making.min(made), running.min(ran));
        }
        if what == "nothing" {
            println!("{way}, instantiate\t{count}\t{making}");
        }
        println!("{way}, run {what} and drop\t{count}\t{running}");
    }
    Ok(())
}

/// Returns this process's resident memory.
fn resident_bytes() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status").context("reading /proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib << 10)
}
