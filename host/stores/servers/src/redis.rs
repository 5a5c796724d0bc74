//! Redis, or Valkey.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use crate::tools::set_up_tool;
use crate::{Port, Server, answers, find_tool, run_to_end, wait_until};

/// A Redis server.
pub struct Redis {
    server: Server,
    tls_port: Option<Port>,
    // No other server takes it while this one lives.
    _bus_port: Option<Port>,
}

impl Redis {
    /// Starts a server that keeps everything in memory.
    pub fn start() -> Self {
        Self::start_with(&[("appendonly", "no")])
    }

    /// Starts a server that writes each command to its log, and asks the disk to keep it before it
    /// answers.
    pub fn start_durable() -> Self {
        Self::start_with(&[("appendonly", "yes"), ("appendfsync", "always")])
    }

    /// Starts a server that also has a port for encrypted connections, with this certificate and key.
    pub fn start_encrypted(certificate: &str, key: &str) -> Self {
        let port = Port::choose();
        let number = port.number().to_string();
        let settings = [
            ("tls-port", number.as_str()),
            ("tls-cert-file", certificate),
            ("tls-key-file", key),
            ("tls-ca-cert-file", certificate),
            ("tls-auth-clients", "no"),
        ];
        Self { tls_port: Some(port), ..Self::start_with(&settings) }
    }

    /// Starts a server in the mode of a cluster, which has no slots yet.
    pub fn start_cluster() -> Self {
        // Its own choice would be 10,000 above the other one, which may be another server's.
        let port = Port::choose();
        let number = port.number().to_string();
        let settings = [("cluster-enabled", "yes"), ("cluster-port", number.as_str())];
        Self { _bus_port: Some(port), ..Self::start_with(&settings) }
    }

    /// Gives a server that is a cluster by itself all slots, and waits until it answers for them.
    ///
    /// # Panics
    /// If it does not within a minute.
    pub fn take_all_slots(&self) {
        self.cli(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
        wait_until("the cluster is ready", || self.cli(&["CLUSTER", "INFO"]).contains("cluster_state:ok"));
    }

    /// Waits until the log has all that was changed, and the disk has the log.
    ///
    /// # Panics
    /// If that takes over a minute.
    pub fn wait_for_log(&self) {
        wait_until("the log is on disk", || {
            let info = self.cli(&["INFO", "persistence"]);
            let says = |line: &str| info.lines().any(|other| other.trim() == line);
            says("aof_buffer_length:0") && says("aof_pending_bio_fsync:0")
        });
    }

    /// Starts Valkey, which has `WAITAOF`, with settings of its configuration. It saves no snapshots.
    pub fn start_valkey(settings: &[(&str, &str)]) -> Self {
        Self::start_program(set_up_tool("--print-valkey"), settings)
    }

    /// Starts a server with settings of `redis.conf`. It saves no snapshots.
    pub fn start_with(settings: &[(&str, &str)]) -> Self {
        Self::start_program(find_tool("redis-server", &[], "redis-server"), settings)
    }

    fn start_program(program: PathBuf, settings: &[(&str, &str)]) -> Self {
        let directory = tempfile::Builder::new().prefix("kvfs-redis-").tempdir().expect("a directory");
        let settings: Vec<String> =
            settings.iter().flat_map(|(name, value)| [format!("--{name}"), (*value).to_owned()]).collect();
        let server = Server::start(
            directory,
            move |port, directory| {
                let mut server = Command::new(&program);
                server.args(["--port", &port.number().to_string(), "--bind", "127.0.0.1", "--save", ""]);
                server.arg("--dir").arg(directory).args(&settings);
                server
            },
            // One that wants a password answers too; one that reads its log is not ready.
            |address| {
                let answer = answers(address, b"PING\r\n");
                answer.starts_with(b"+PONG")
                    || answer.starts_with(b"-NOAUTH")
                    || answer.starts_with(b"-NOPERM")
            },
        );
        Self { server, tls_port: None, _bus_port: None }
    }

    /// Returns the number of the port for encrypted connections.
    ///
    /// # Panics
    /// If it has none.
    pub fn tls_port(&self) -> u16 {
        self.tls_port.as_ref().expect("a server with encryption").number()
    }

    /// Returns the server's process.
    pub fn server(&mut self) -> &mut Server {
        &mut self.server
    }

    /// Returns the address at which it serves.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Runs a command by `redis-cli`, and returns what it prints.
    ///
    /// # Panics
    /// If the command fails.
    pub fn cli(&self, arguments: &[&str]) -> String {
        let mut cli = Command::new(find_tool("redis-cli", &[], "redis-tools"));
        cli.args(["-e", "-h", "127.0.0.1", "-p", &self.address().port().to_string()]).args(arguments);
        run_to_end(&mut cli).trim_end().to_owned()
    }
}
