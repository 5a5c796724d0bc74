//! etcd.

use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::{Port, Server, answers, find_tool, run_to_end};

/// An etcd server.
pub struct Etcd(Server);

impl Etcd {
    /// Starts a server that asks the disk to keep each change.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server that leaves its changes to the system, which is faster.
    pub fn start_unsynced() -> Self {
        Self::start_with(&["--unsafe-no-fsync"])
    }

    /// Starts a server with more arguments.
    pub fn start_with(arguments: &[&str]) -> Self {
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let start = move |port: &Port, directory: &std::path::Path| {
            let mut server = command(directory, &format!("http://{}", port.address()));
            // It has no peers, and listens for them at a port that nobody knows.
            server.args(["--listen-peer-urls", "http://127.0.0.1:0"]).args(&arguments);
            server
        };
        Self(Server::start(directory(), start, is_healthy))
    }

    /// Starts a server that speaks TLS alone. Returns it with the file of the authority that signed
    /// its certificate.
    pub fn start_tls() -> (Self, PathBuf) {
        let directory = directory();
        let path = |name: &str| directory.path().join(name).display().to_string();
        let openssl = |arguments: &[&[&str]]| {
            run_to_end(Command::new(find_tool("openssl", &[], "openssl")).args(arguments.concat()));
        };
        let new_key = ["-newkey", "rsa:2048", "-nodes", "-keyout"];
        let (ca, ca_key, key) = (path("ca.pem"), path("ca.key"), path("key.pem"));
        let (request, certificate, names) = (path("request"), path("cert.pem"), path("names"));
        std::fs::write(&names, "subjectAltName=IP:127.0.0.1").expect("a file");
        openssl(&[
            &["req", "-x509", "-days", "9", "-subj", "/CN=an authority"],
            &new_key,
            &[&ca_key, "-out", &ca],
        ]);
        openssl(&[&["req", "-subj", "/CN=a server"], &new_key, &[&key, "-out", &request]]);
        let authority = ["-CA", &ca[..], "-CAkey", &ca_key, "-CAcreateserial", "-extfile", &names];
        openssl(&[&["x509", "-req", "-days", "9", "-in", &request], &authority, &["-out", &certificate]]);
        let start = move |port: &Port, directory: &std::path::Path| {
            let mut server = command(directory, &format!("https://{}", port.address()));
            server.args(["--listen-peer-urls", "http://127.0.0.1:0", "--unsafe-no-fsync"]);
            server.args(["--cert-file", &certificate, "--key-file", &key]);
            server
        };
        let server = Server::start(directory, start, |address| TcpStream::connect(address).is_ok());
        (Self(server), ca.into())
    }

    /// Returns the server's process.
    pub fn server(&mut self) -> &mut Server {
        &mut self.0
    }

    /// Returns the address at which it serves.
    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// Runs a command by `etcdctl`, and returns what it prints.
    ///
    /// # Panics
    /// If the command fails.
    pub fn ctl(&self, arguments: &[&str]) -> String {
        let mut ctl = Command::new(find_tool("etcdctl", &[], "etcd-client"));
        ctl.env("ETCDCTL_API", "3").arg("--endpoints").arg(self.address().to_string());
        run_to_end(ctl.args(arguments))
    }
}

fn directory() -> TempDir {
    tempfile::Builder::new().prefix("kvfs-etcd-").tempdir().expect("a directory")
}

/// Begins the command of a server that has its clients at a URL.
fn command(directory: &std::path::Path, url: &str) -> Command {
    let mut server = Command::new(find_tool("etcd", &[], "etcd-server"));
    server.arg("--data-dir").arg(directory.join("data")).args(["--logger", "zap"]);
    server.args(["--listen-client-urls", url, "--advertise-client-urls", url]);
    server
}

fn is_healthy(address: SocketAddr) -> bool {
    let health = answers(address, b"GET /health HTTP/1.0\r\n\r\n");
    String::from_utf8_lossy(&health).contains("true")
}

/// Three etcd servers of one cluster.
pub struct EtcdCluster(Vec<Etcd>);

impl EtcdCluster {
    /// Starts three servers, which elect a leader.
    pub fn start() -> Self {
        let peers: Vec<Port> = (0..3).map(|_| Port::choose()).collect();
        let url = |port: &Port| format!("http://{}", port.address());
        let member = |(number, port): (usize, &Port)| format!("member{number}={}", url(port));
        let members: Vec<_> = peers.iter().enumerate().map(member).collect();
        let members = members.join(",");
        // Side by side: none answers before a second one runs.
        let starting: Vec<_> = peers
            .into_iter()
            .enumerate()
            .map(|(number, peer)| {
                let members = members.clone();
                std::thread::spawn(move || {
                    let start = move |port: &Port, directory: &std::path::Path| {
                        let mut server = command(directory, &url(port));
                        let peer = url(&peer);
                        server.args(["--name", &format!("member{number}"), "--unsafe-no-fsync"]);
                        server.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
                        server.args(["--initial-cluster", &members]);
                        server
                    };
                    Etcd(Server::start(directory(), start, is_healthy))
                })
            })
            .collect();
        Self(starting.into_iter().map(|starting| starting.join().expect("a server")).collect())
    }

    /// Returns the addresses of the servers.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.0.iter().map(Etcd::address).collect()
    }

    /// Kills the server that is the leader.
    ///
    /// # Panics
    /// If none says that it is.
    pub fn kill_leader(&mut self) {
        let is_leader = |server: &&mut Etcd| {
            let status = server.ctl(&["endpoint", "status", "--write-out=fields"]);
            let field = |name: &str| {
                status
                    .lines()
                    .find_map(|line| line.split_once(name))
                    .map(|(_, value)| value.trim().to_owned())
            };
            let leader = field("\"Leader\" :");
            leader.is_some() && leader == field("\"MemberID\" :")
        };
        self.0.iter_mut().find(is_leader).expect("a leader").server().kill();
    }
}
