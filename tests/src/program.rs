//! One run of a command component, from its arguments to its exit code.

use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use anyhow::bail;
use kvfs_buckets::Buckets;
use kvfs_host::{Calls, KvCtx, MemoryLimit, MemoryStore};
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Engine, Store};
use wasmtime_wasi::p2::bindings;
use wasmtime_wasi::p2::pipe::{MemoryInputPipe, MemoryOutputPipe};
use wasmtime_wasi::sockets::SocketAddrUse;
use wasmtime_wasi::{FsPerms, I32Exit, WasiCtxBuilder};
use wasmtime_wasi_http::WasiHttpCtx;

use crate::engine::{STACK_BYTES, TICK};
use crate::faulty::FaultyOutput;
use crate::session::{Session, State};

/// More than any test prints; a guest that prints more gets an error.
const OUTPUT_BYTES: usize = 16 << 20;

/// The guest's stack lies on its thread's stack, with the frames of the host functions that it
/// calls.
const THREAD_STACK_BYTES: usize = STACK_BYTES + (4 << 20);

/// The network that a guest may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// No network.
    None,
    /// Loopback only, through sockets; any address through http.
    Loopback,
}

/// A command component, with everything that one run of it is given.
#[derive(Clone)]
pub struct Program {
    engine: Engine,
    component: Component,
    args: Vec<String>,
    env: Vec<(String, String)>,
    stdin: Vec<u8>,
    stderr_fails: bool,
    network: Network,
    time_limit: Duration,
    max_memory_bytes: Option<usize>,
    files: Files,
    preopens: Vec<(PathBuf, String)>,
    calling: Calling,
    buckets: Buckets,
}

/// The origin of the guest's `/`.
#[derive(Clone)]
enum Files {
    None,
    HostDirectory(PathBuf),
    Store(Arc<dyn kvfs_host::Store>),
}

/// How an embedder calls the guest. The cost of wasmtime's own file system depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Calling {
    /// Synchronously, with file calls on the guest's own thread: wasmtime's fastest setting.
    SyncOnThread,
    /// Asynchronously under tokio, with file calls on threads for blocking work: wasmtime's default
    /// for embedders.
    Async,
}

/// The outcome of a run.
#[derive(Debug, Clone)]
pub struct Output {
    /// The exit code; `None` if the guest trapped or was stopped.
    pub code: Option<i32>,
    /// The reason for a missing code.
    pub trap: Option<String>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// The calls to its store, counted.
    pub calls: Calls,
    /// The time that instantiation took, with the linker ready.
    pub instantiation: Duration,
    /// The time from the program's start to its end.
    pub took: Duration,
    /// The peak of all memories and tables of the instance together.
    pub memory_bytes: usize,
}

impl Output {
    /// Returns standard output if the program ended with code 0.
    ///
    /// # Panics
    ///
    /// Panics with everything known about the run if it did not: this is for tests.
    #[track_caller]
    pub fn success(self) -> String {
        assert_eq!(self.code, Some(0), "the guest failed: {self:#?}");
        self.stdout
    }
}

impl Program {
    /// Makes a run of a component without files, network or environment. Its only argument is the
    /// program's own name.
    pub fn new(component: &Component) -> Self {
        Self {
            engine: component.engine().clone(),
            component: component.clone(),
            args: vec!["guest".into()],
            env: Vec::new(),
            stdin: Vec::new(),
            stderr_fails: false,
            network: Network::None,
            time_limit: Duration::from_secs(60),
            max_memory_bytes: None,
            files: Files::None,
            preopens: Vec::new(),
            calling: Calling::SyncOnThread,
            buckets: Buckets::default(),
        }
    }

    /// Adds arguments.
    pub fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Sets the content of standard input.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Makes standard error a [`FaultyOutput`], so that the host returns errors.
    pub fn stderr_fails(mut self) -> Self {
        self.stderr_fails = true;
        self
    }

    /// Lets the guest open connections.
    pub fn network(mut self, network: Network) -> Self {
        self.network = network;
        self
    }

    /// Sets the time after which the guest is stopped; one minute by default.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// Bounds the memory of the guest and its file system together, as `--max-memory` does; without
    /// a bound by default.
    pub fn max_memory(mut self, bytes: usize) -> Self {
        self.max_memory_bytes = Some(bytes);
        self
    }

    /// Gives the guest a directory of the host as `/`, through wasmtime's own file system.
    pub fn host_files(mut self, dir: impl AsRef<Path>) -> Self {
        self.files = Files::HostDirectory(dir.as_ref().to_owned());
        self
    }

    /// Preopens a directory of the host under a name, in addition to everything else.
    pub fn preopen(mut self, dir: impl AsRef<Path>, name: &str) -> Self {
        self.preopens.push((dir.as_ref().to_owned(), name.to_owned()));
        self
    }

    /// Gives a composed guest a key-value store for its `/`.
    pub fn store(mut self, store: Arc<dyn kvfs_host::Store>) -> Self {
        self.files = Files::Store(store);
        self
    }

    /// Gives the guest buckets of `wasi:keyvalue`; by default it gets empty ones of its own.
    pub fn buckets(mut self, buckets: Buckets) -> Self {
        self.buckets = buckets;
        self
    }

    /// Sets how the guest is called; [`Calling::SyncOnThread`] by default.
    pub fn calling(mut self, calling: Calling) -> Self {
        self.calling = calling;
        self
    }

    /// Runs the program to its end.
    ///
    /// # Errors
    ///
    /// The program could not be started, or hung in a call of the host beyond its time limit. A
    /// fault of the guest is in the output.
    pub fn run(&self) -> anyhow::Result<Output> {
        let (done, waiting) = mpsc::channel();
        let program = self.clone();
        // A thread of its own: a guest that sleeps in the host cannot be stopped, only abandoned.
        let thread = std::thread::Builder::new().stack_size(THREAD_STACK_BYTES);
        thread.spawn(move || {
            let result = program.run_here();
            // Before the caller learns of the end: it may want to open the same store again.
            drop(program);
            // Nobody waits any more if the time was up.
            let _ = done.send(result);
        })?;
        match waiting.recv_timeout(self.time_limit + Duration::from_secs(5)) {
            Ok(result) => result,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                bail!("the guest hangs in a host call: {:?}", self.args)
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => bail!("the guest's thread panicked"),
        }
    }

    fn run_here(&self) -> anyhow::Result<Output> {
        let stdout = MemoryOutputPipe::new(OUTPUT_BYTES);
        let stderr = MemoryOutputPipe::new(OUTPUT_BYTES);
        let mut store = self.instance_state(&stdout, &stderr)?;
        let Ended { result, instantiation, took } = match self.calling {
            Calling::SyncOnThread => self.call(&mut store)?,
            Calling::Async => {
                let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
                runtime.block_on(self.call_async(&mut store))?
            }
        };
        let (code, trap) = match result {
            Ok(Ok(())) => (Some(0), None),
            Ok(Err(())) => (Some(1), None),
            Err(error) => match error.downcast_ref::<I32Exit>() {
                Some(exit) => (Some(exit.0), None),
                None => (None, Some(format!("{error:?}"))),
            },
        };
        let text = |pipe: &MemoryOutputPipe| String::from_utf8_lossy(&pipe.contents()).into_owned();
        let (calls, memory_bytes) = (store.data().kv.calls(), store.data().memory.used_bytes());
        let (stdout, stderr) = (text(&stdout), text(&stderr));
        Ok(Output { code, trap, stdout, stderr, calls, instantiation, took, memory_bytes })
    }

    /// Instantiates the component, so that its exports can be called one by one, all within the
    /// time limit. Standard output and standard error are dropped.
    ///
    /// # Errors
    ///
    /// The component imports something that is missing, or traps when it starts.
    pub fn session(&self) -> anyhow::Result<Session> {
        let mut store =
            self.instance_state(&MemoryOutputPipe::new(OUTPUT_BYTES), &MemoryOutputPipe::new(OUTPUT_BYTES))?;
        let instance = self.linker()?.instantiate(&mut store, &self.component)?;
        Ok(Session { store, instance })
    }

    fn instance_state(
        &self,
        stdout: &MemoryOutputPipe,
        stderr: &MemoryOutputPipe,
    ) -> anyhow::Result<Store<State>> {
        let mut wasi = WasiCtxBuilder::new();
        wasi.stdin(MemoryInputPipe::new(self.stdin.clone())).stdout(stdout.clone()).stderr(stderr.clone());
        if self.stderr_fails {
            wasi.stderr(FaultyOutput);
        }
        let on_thread = self.calling == Calling::SyncOnThread;
        wasi.args(&self.args).envs(&self.env).allow_blocking_current_thread(on_thread);
        if self.network == Network::Loopback {
            wasi.socket_addr_check(|address, purpose| {
                // A socket's own end is bound to the unspecified address, unless the program says
                // otherwise.
                let own_end = matches!(purpose, SocketAddrUse::TcpBind | SocketAddrUse::UdpBind);
                let allowed = address.ip().is_loopback() || own_end && address.ip().is_unspecified();
                Box::pin(async move { allowed })
            });
            wasi.allow_tcp(true).allow_udp(true).allow_ip_name_lookup(true);
        }
        if let Files::HostDirectory(dir) = &self.files {
            // After the setting above, which the directory copies.
            wasi.preopened_dir(dir, "/", FsPerms::ReadWrite)?;
        }
        for (dir, name) in &self.preopens {
            wasi.preopened_dir(dir, name, FsPerms::ReadWrite)?;
        }
        let kv = match &self.files {
            Files::Store(store) => KvCtx::new(store.clone()),
            _ => KvCtx::new(MemoryStore::new()),
        };
        let state = State {
            wasi: wasi.build(),
            http: WasiHttpCtx::new(),
            table: ResourceTable::new(),
            kv,
            buckets: self.buckets.clone(),
            written: Vec::new(),
            memory: MemoryLimit::new(self.max_memory_bytes.unwrap_or(usize::MAX)),
        };

        let mut store = Store::new(&self.engine, state);
        store.limiter(|state| &mut state.memory);
        store.set_epoch_deadline((self.time_limit.as_millis() / TICK.as_millis()) as u64 + 1);
        Ok(store)
    }

    fn linker(&self) -> wasmtime::Result<Linker<State>> {
        let mut linker = Linker::new(&self.engine);
        wasmtime_wasi::p2::add_to_linker_sync(&mut linker)?;
        kvfs_host::add_to_linker(&mut linker)?;
        if self.network == Network::Loopback {
            wasmtime_wasi_http::p2::add_only_http_to_linker_sync(&mut linker)?;
            crate::carrier::add_to_linker(&mut linker)?;
        }
        kvfs_buckets::add_to_linker(&mut linker, State::buckets)?;
        Ok(linker)
    }

    fn call(&self, store: &mut Store<State>) -> wasmtime::Result<Ended> {
        let ready = bindings::sync::CommandPre::new(self.linker()?.instantiate_pre(&self.component)?)?;
        let start = Instant::now();
        let command = ready.instantiate(&mut *store)?;
        let instantiation = start.elapsed();
        let result = command.wasi_cli_run().call_run(store);
        Ok(Ended { result, instantiation, took: start.elapsed() - instantiation })
    }

    async fn call_async(&self, store: &mut Store<State>) -> wasmtime::Result<Ended> {
        let mut linker = Linker::new(&self.engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        kvfs_host::add_to_linker_async(&mut linker)?;
        if self.network == Network::Loopback {
            wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
        }
        kvfs_buckets::add_to_linker(&mut linker, State::buckets)?;
        let ready = bindings::CommandPre::new(linker.instantiate_pre(&self.component)?)?;
        let start = Instant::now();
        let command = ready.instantiate_async(&mut *store).await?;
        let instantiation = start.elapsed();
        let result = command.wasi_cli_run().call_run(store).await;
        Ok(Ended { result, instantiation, took: start.elapsed() - instantiation })
    }
}

struct Ended {
    result: wasmtime::Result<Result<(), ()>>,
    instantiation: Duration,
    took: Duration,
}
