//! The stock `wasmtime` command: a host that knows nothing of stores.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::time::Duration;

use anyhow::{Context, bail, ensure};

use crate::{set_up, target_dir};

/// Selects one of the commands that set-up installs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// The one that most tests use.
    Usual,
    /// The oldest prebuilt one.
    Oldest,
    /// The newest prebuilt one.
    Newest,
}

/// Returns the path of the usual command.
///
/// # Errors
///
/// As [`wasmtime_of`].
pub fn wasmtime() -> anyhow::Result<&'static Path> {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    if let Some(found) = FOUND.get() {
        return Ok(found);
    }
    let path = wasmtime_of(Version::Usual)?;
    Ok(FOUND.get_or_init(|| path))
}

/// Returns the path of a version's command.
///
/// # Errors
///
/// Set-up's own message; without the command it says to run `make setup`.
pub fn wasmtime_of(version: Version) -> anyhow::Result<PathBuf> {
    let found = set_up(match version {
        Version::Usual => &["--print-wasmtime"],
        Version::Oldest => &["--print-wasmtime", "oldest"],
        Version::Newest => &["--print-wasmtime", "newest"],
    })?;
    Ok(found.into())
}

/// Returns a command that runs Python with wasmtime's package for it.
///
/// # Errors
///
/// Set-up's own message; without the package it says to run `make setup`.
pub fn wasmtime_py() -> anyhow::Result<Command> {
    Ok(Command::new(set_up(&["--print-wasmtime-py"])?))
}

/// Returns `wasmtime run`, to which the caller adds options, the component and its arguments. Its
/// compiled code is kept with the tests' own files.
///
/// # Errors
///
/// As [`wasmtime_of`].
pub fn run() -> anyhow::Result<Command> {
    subcommand("run")
}

fn subcommand(name: &str) -> anyhow::Result<Command> {
    let mut command = Command::new(wasmtime()?);
    command.args([name, "-C"]).arg(format!("cache-config={}", cache_config()?.display()));
    command.env_remove("RUST_BACKTRACE");
    Ok(command)
}

/// `wasmtime serve` on 127.0.0.1. Dropping this value ends it.
pub struct Serving {
    process: Child,
    address: SocketAddr,
    shutdown: SocketAddr,
    /// Its standard error so far.
    said: Arc<Mutex<String>>,
}

impl Serving {
    /// Starts `wasmtime serve` on a component, at a free port, with further options.
    ///
    /// # Errors
    ///
    /// Its output, if it ended instead of listening.
    pub fn start(options: &[&str], component: &Path) -> anyhow::Result<Self> {
        let mut command = subcommand("serve")?;
        command.args(["--addr", "127.0.0.1:0", "--shutdown-addr", "127.0.0.1:0"]);
        command.args(options).arg(component);
        let mut process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let lines = BufReader::new(process.stderr.take().context("standard error is piped")?).lines();
        let said = Arc::new(Mutex::new(String::new()));
        let (listening, address) = mpsc::channel();
        let log = said.clone();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let shutdown = line.strip_prefix("Listening for shutdown on tcp://");
                if let Some(address) = shutdown.or(line.strip_prefix("Serving HTTP on http://")) {
                    // Nobody waits any more if the time was up.
                    let _ = listening.send(address.trim_end_matches('/').parse());
                }
                if let Ok(mut log) = log.lock() {
                    *log += &format!("{line}\n");
                }
            }
        });
        // It compiles before it listens. Its first line says how to end it.
        let nowhere = ([127, 0, 0, 1], 0).into();
        let mut serving = Self { process, address: nowhere, shutdown: nowhere, said };
        for found in [&mut serving.shutdown, &mut serving.address] {
            match address.recv_timeout(Duration::from_secs(120)) {
                Ok(address) => *found = address?,
                Err(_) => {
                    let said = serving.said.lock().map(|said| said.clone()).unwrap_or_default();
                    bail!("wasmtime serve does not listen:\n{said}");
                }
            }
        }
        Ok(serving)
    }

    /// Makes it end after all calls have ended.
    ///
    /// # Errors
    ///
    /// It is gone already, or did not end well.
    pub fn stop(mut self) -> anyhow::Result<()> {
        drop(TcpStream::connect(self.shutdown)?);
        let status = self.process.wait()?;
        ensure!(status.success(), "{status}:\n{}", self.said());
        Ok(())
    }

    /// Returns the address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns its standard error so far.
    pub fn said(&self) -> String {
        self.said.lock().map(|said| said.clone()).unwrap_or_default()
    }

    /// Sends a request, and returns the answer's status and body.
    ///
    /// # Errors
    ///
    /// No answer within a minute, or none in http.
    pub fn request(&self, method: &str, path: &str, body: &[u8]) -> anyhow::Result<(u16, Vec<u8>)> {
        let mut connection = TcpStream::connect(self.address)?;
        connection.set_read_timeout(Some(Duration::from_secs(60)))?;
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: test\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
        );
        connection.write_all(head.as_bytes())?;
        connection.write_all(body)?;
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer)?;
        parse_answer(&answer).with_context(|| {
            format!("{method} {path}: {:?}\n{}", String::from_utf8_lossy(&answer), self.said())
        })
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Parses an answer whose connection was closed after it.
fn parse_answer(answer: &[u8]) -> anyhow::Result<(u16, Vec<u8>)> {
    let end = answer.windows(4).position(|end| end == b"\r\n\r\n").context("no end of the head")?;
    let head = std::str::from_utf8(&answer[..end])?.to_ascii_lowercase();
    let status = head.split(' ').nth(1).context("no status")?.parse()?;
    let mut rest = &answer[end + 4..];
    if !head.contains("transfer-encoding: chunked") {
        return Ok((status, rest.to_vec()));
    }
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|end| end == b"\r\n").context("the last chunk is missing")?;
        let length = usize::from_str_radix(std::str::from_utf8(&rest[..line])?, 16)?;
        rest = &rest[line + 2..];
        if length == 0 {
            return Ok((status, body));
        }
        body.extend(rest.get(..length).context("a chunk breaks off")?);
        rest = rest.get(length + 2..).context("a chunk breaks off")?;
    }
}

fn cache_config() -> anyhow::Result<&'static Path> {
    static WRITTEN: OnceLock<PathBuf> = OnceLock::new();
    if let Some(written) = WRITTEN.get() {
        return Ok(written);
    }
    let dir = target_dir().join("kvfs-tests");
    std::fs::create_dir_all(&dir)?;
    let path = dir.join("wasmtime-cache.toml");
    // Tests run in several processes; each must find a complete file, always with the same content.
    let text = format!("[cache]\ndirectory = {:?}\n", dir.join("wasmtime-cache"));
    let new = tempfile::NamedTempFile::new_in(&dir)?;
    std::fs::write(new.path(), text)?;
    new.persist(&path)?;
    Ok(WRITTEN.get_or_init(|| path))
}
