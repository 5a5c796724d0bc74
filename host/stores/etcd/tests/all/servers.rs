//! Servers of etcd, and stores on them.

use kvfs_etcd_store::{Config, EtcdStore, OpenError};
use kvfs_store_rig::Blocking;
use kvfs_test_servers::{Port, Server, answers, find_tool, run_to_end};
use std::net::SocketAddr;
use std::process::Command;

/// A store and its runtime.
pub(crate) type Store = Blocking<EtcdStore>;

/// Starts a server with more arguments.
pub(crate) fn start(arguments: &[&str]) -> Server {
    let program = find_tool("etcd", &[], "etcd-server");
    let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
    let directory = tempfile::Builder::new().prefix("kvfs-etcd-").tempdir().unwrap();
    Server::start(
        directory,
        move |port, directory| {
            let url = format!("http://{}", port.address());
            let mut server = Command::new(&program);
            server.arg("--data-dir").arg(directory.join("data"));
            server.args(["--listen-client-urls", &url, "--advertise-client-urls", &url]);
            // It has no peers, and listens for them at a port that nobody knows.
            server.args(["--listen-peer-urls", "http://127.0.0.1:0", "--logger", "zap"]);
            server.args(&arguments);
            server
        },
        is_healthy,
    )
}

fn is_healthy(address: SocketAddr) -> bool {
    let health = answers(address, b"GET /health HTTP/1.0\r\n\r\n");
    String::from_utf8_lossy(&health).contains("true")
}

/// Runs `etcdctl` on a server.
pub(crate) fn ctl(address: SocketAddr, arguments: &[&str]) -> String {
    let program = find_tool("etcdctl", &[], "etcd-client");
    let mut ctl = Command::new(program);
    ctl.env("ETCDCTL_API", "3").arg("--endpoints").arg(address.to_string()).args(arguments);
    run_to_end(&mut ctl)
}

/// Returns the configuration of a store at an address, which is made if it is not there.
pub(crate) fn at(address: SocketAddr, prefix: &str) -> Config {
    let mut config = Config::from_url(&format!("etcd://{address}/{prefix}")).unwrap();
    config.create = true;
    config
}

/// Opens a store, or says why not.
pub(crate) fn try_open(config: Config) -> Result<Store, OpenError> {
    Blocking::open(EtcdStore::open(config))
}

/// Opens a store.
pub(crate) fn open(config: Config) -> Store {
    try_open(config).unwrap_or_else(|error| panic!("{error}"))
}

/// Three servers of one cluster.
pub(crate) struct Cluster(Vec<Server>);

impl Cluster {
    /// Starts three servers, which elect a leader.
    pub(crate) fn start() -> Self {
        let program = find_tool("etcd", &[], "etcd-server");
        // Held until the end, so that other tests choose other ports.
        let peers: Vec<Port> = (0..3).map(|_| Port::choose()).collect();
        let url = |port: &Port| format!("http://{}", port.address());
        let member = |(number, port): (usize, &Port)| format!("member{number}={}", url(port));
        let members: Vec<_> = peers.iter().enumerate().map(member).collect();
        let members = members.join(",");
        let starting: Vec<_> = peers
            .into_iter()
            .enumerate()
            .map(|(number, peer)| {
                let (program, members) = (program.clone(), members.clone());
                std::thread::spawn(move || {
                    let directory = tempfile::Builder::new().prefix("kvfs-etcd-").tempdir().unwrap();
                    let start = move |port: &Port, directory: &std::path::Path| {
                        let (client, peer) = (url(port), url(&peer));
                        let mut server = Command::new(&program);
                        server.arg("--data-dir").arg(directory.join("data"));
                        server.args(["--name", &format!("member{number}"), "--unsafe-no-fsync"]);
                        server.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
                        server.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
                        server.args(["--initial-cluster", &members, "--logger", "zap"]);
                        server
                    };
                    Server::start(directory, start, is_healthy)
                })
            })
            .collect();
        // None answers before a second one runs.
        Self(starting.into_iter().map(|starting| starting.join().unwrap()).collect())
    }

    /// Returns the configuration of a store on all servers.
    pub(crate) fn config(&self, prefix: &str) -> Config {
        let hosts: Vec<_> = self.0.iter().map(|server| server.address().to_string()).collect();
        let mut config = Config::from_url(&format!("etcd://{}/{prefix}", hosts.join(","))).unwrap();
        config.create = true;
        config
    }

    /// Kills the server that is the leader.
    pub(crate) fn kill_leader(&mut self) {
        let is_leader = |server: &&mut Server| {
            let status = ctl(server.address(), &["endpoint", "status", "--write-out=fields"]);
            let field = |name: &str| {
                status
                    .lines()
                    .find_map(|line| line.split_once(name))
                    .map(|(_, value)| value.trim().to_owned())
            };
            let leader = field("\"Leader\" :");
            leader.is_some() && leader == field("\"MemberID\" :")
        };
        self.0.iter_mut().find(is_leader).expect("a leader").kill();
    }
}
