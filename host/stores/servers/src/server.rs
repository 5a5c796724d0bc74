//! A process that serves on a port.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::Port;
use crate::tools::kill_tree;

/// Longest wait for a server's first answer. It may have to replay its log on a busy machine.
const START: Duration = Duration::from_secs(60);

/// Makes the command that starts a server on a port, with a directory for its data.
type Start = Box<dyn Fn(&Port, &Path) -> Command + Send + Sync>;

/// Returns whether the server at an address answers.
type Ready = fn(SocketAddr) -> bool;

/// A server's process, its directory and its port. All end when it is dropped.
pub struct Server {
    start: Start,
    ready: Ready,
    port: Port,
    directory: TempDir,
    running: Option<Running>,
}

struct Running {
    process: Child,
    keeper: Keeper,
}

impl Server {
    /// Starts a server and waits until `ready` says that it answers. `start` makes the command; its
    /// output goes to a file `log` in the directory.
    ///
    /// # Panics
    /// If it does not answer. The message ends with what it printed.
    pub fn start(
        directory: TempDir,
        start: impl Fn(&Port, &Path) -> Command + Send + Sync + 'static,
        ready: Ready,
    ) -> Self {
        let mut server =
            Self { start: Box::new(start), ready, port: Port::choose(), directory, running: None };
        server.restart();
        server
    }

    /// Returns the address at which it serves.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Returns its directory.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Returns what it printed so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.log_path()).unwrap_or_default()).into_owned()
    }

    fn log_path(&self) -> std::path::PathBuf {
        self.directory().join("log")
    }

    /// Kills the server and its processes with `SIGKILL`. Nothing happens if it does not run.
    pub fn kill(&mut self) {
        let Some(Running { mut process, keeper }) = self.running.take() else { return };
        kill_tree(process.id());
        // Its number stays taken until it is waited for, so the keeper must go first.
        drop(keeper);
        process.wait().expect("the server's end");
    }

    /// Asks the server to end by a signal (`TERM`, `INT`) and waits until it has.
    pub fn stop(&mut self, signal: &str) {
        let Some(Running { mut process, keeper }) = self.running.take() else { return };
        crate::run_to_end(Command::new("kill").arg(format!("-{signal}")).arg(process.id().to_string()));
        process.wait().expect("the server's end");
        drop(keeper);
    }

    /// Sends the server's process a signal: `STOP` freezes it, `CONT` lets it go on.
    pub fn signal(&self, signal: &str) {
        let running = self.running.as_ref().expect("a running server");
        let pid = running.process.id().to_string();
        crate::run_to_end(Command::new("kill").arg(format!("-{signal}")).arg(pid));
    }

    /// Starts the server again, on the same data and port. Kills it before if it runs.
    ///
    /// # Panics
    /// If it does not answer. The message ends with what it printed.
    pub fn restart(&mut self) {
        self.kill();
        let log = File::options().create(true).append(true).open(self.log_path()).expect("a log file");
        let mut command = (self.start)(&self.port, self.directory.path());
        let output = || Stdio::from(log.try_clone().expect("another handle on the log"));
        command.stdin(Stdio::null()).stdout(output()).stderr(output());
        let process = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let keeper = Keeper::of(process.id(), self.directory.path());
        let running = self.running.insert(Running { process, keeper });
        let begun = Instant::now();
        let ended = loop {
            if let Some(status) = running.process.try_wait().expect("the server's state") {
                break format!("it ended: {status}");
            }
            if (self.ready)(self.port.address()) {
                return;
            }
            if begun.elapsed() > START {
                break "it does not answer".to_owned();
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        panic!("{command:?}: {ended}\n{}", self.log());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A shell that ends the server when the test's process is gone, however that ended.
struct Keeper {
    shell: Child,
    // The shell reads from it, and only the end of this process closes it.
    _alive: Option<ChildStdin>,
}

impl Keeper {
    fn of(pid: u32, directory: &Path) -> Self {
        // Ctrl-C is for the test; it must not end this shell first.
        let script = "trap '' INT TERM HUP
            cat >/dev/null
            kill -9 $(cat /proc/\"$1\"/task/\"$1\"/children) \"$1\"
            rm -rf \"$2\"";
        let mut command = Command::new("sh");
        command.args(["-c", script, "keeper", &pid.to_string()]).arg(directory);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut shell = command.spawn().expect("a shell");
        let alive = shell.stdin.take();
        Self { shell, _alive: alive }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        kill_tree(self.shell.id());
        let _ = self.shell.wait();
    }
}

/// Sends `question` to an address and returns the first bytes of the answer; nothing if there is
/// none within a second.
pub fn answers(address: SocketAddr, question: &[u8]) -> Vec<u8> {
    let second = Duration::from_secs(1);
    let ask = || -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect_timeout(&address, second)?;
        stream.set_read_timeout(Some(second))?;
        stream.write_all(question)?;
        let mut answer = vec![0; 512];
        let length = stream.read(&mut answer)?;
        answer.truncate(length);
        Ok(answer)
    };
    ask().unwrap_or_default()
}
