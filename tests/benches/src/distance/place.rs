//! Where the files are: servers, and the ways to them.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use kvfs_test_servers::{Etcd, Postgres, Proxy, Redis, S3, Server, answers};
use tempfile::TempDir;

/// The argument by which this program becomes the S3 server.
pub(super) const S3_SERVER: &str = "s3-server";

/// The names of all places.
pub(super) const NAMES: [&str; 7] =
    ["postgres", "redis", "etcd", "slatedb-s3", "slatedb-directory", "http", "file"];

/// etcd's usual space is 2 GiB, with all versions of all keys in it.
const ETCD_SPACE: &str = "--quota-backend-bytes=8589934592";

/// The token of the store server. It serves this machine alone.
const TOKEN: &str = "a-token-for-benches-alone";

/// A place for files, with its server.
pub(super) struct Place {
    name: &'static str,
    server: Kept,
    proxy: Option<Proxy>,
    directory: TempDir,
}

/// What runs as long as the place is there.
enum Kept {
    Postgres(Postgres),
    Redis(Redis),
    Etcd(Etcd),
    S3(S3),
    Http(Server),
    Nothing,
}

impl Kept {
    fn address(&self) -> Option<SocketAddr> {
        Some(match self {
            Self::Postgres(server) => server.address(),
            Self::Redis(server) => server.address(),
            Self::Etcd(server) => server.address(),
            Self::S3(server) => server.address(),
            Self::Http(server) => server.address(),
            Self::Nothing => return None,
        })
    }
}

impl Place {
    /// Starts the server of a place. `kvfs` is the command that serves a store.
    ///
    /// # Errors
    /// There is no such place, or its tool is missing.
    pub(super) fn start(name: &str, kvfs: Option<&Path>) -> Result<Self> {
        let known = NAMES.into_iter().find(|known| *known == name);
        let name =
            known.with_context(|| format!("there is no store {name}; there are {}", NAMES.join(", ")))?;
        let directory = tempfile::Builder::new().prefix("kvfs-distance-").tempdir()?;
        let server = match name {
            "postgres" => Kept::Postgres(Postgres::start()),
            "redis" => Kept::Redis(Redis::start_durable()),
            "etcd" => Kept::Etcd(Etcd::start_with(&[ETCD_SPACE])),
            "slatedb-s3" => Kept::S3(S3::start(&[S3_SERVER])),
            "http" => {
                let kvfs = kvfs.context("the store `http` needs --kvfs FILE, the command that serves it")?;
                Kept::Http(store_server(kvfs)?)
            }
            _ => Kept::Nothing,
        };
        let proxy = server.address().map(Proxy::start);
        Ok(Self { name, server, proxy, directory })
    }

    /// Returns whether it can be measured at a distance.
    pub(super) fn is_behind_a_proxy(&self) -> bool {
        self.proxy.is_some()
    }

    /// Adds so much to each round trip.
    pub(super) fn set_delay(&self, delay: Duration) {
        if let Some(proxy) = &self.proxy {
            proxy.set_delay(delay / 2);
        }
    }

    /// Returns the URL of a store with this name, and the environment that opening it needs.
    pub(super) fn url(&self, part: &str) -> Result<(String, Vec<(&'static str, String)>)> {
        let address = self.proxy.as_ref().map(|proxy| proxy.address().to_string()).unwrap_or_default();
        let directory = self.directory.path().join(part);
        let mut environment = Vec::new();
        let url = match &self.server {
            Kept::Postgres(_) => {
                format!("postgres://postgres@{address}/postgres?table={part}&sslmode=disable")
            }
            Kept::Redis(_) => format!("redis://{address}/?prefix={part}"),
            Kept::Etcd(_) => format!("etcd://{address}/{part}"),
            Kept::S3(_) => {
                let proxy = self.proxy.as_ref().context("an S3 server is behind a proxy")?;
                environment.extend(S3::settings(proxy.address()));
                format!("slatedb:s3://bucket/{part}")
            }
            Kept::Http(server) => {
                let token = server.directory().join("token");
                environment.push(("KVFS_STORE_TOKEN_FILE", token.display().to_string()));
                format!("http://{address}")
            }
            Kept::Nothing if self.name == "file" => format!("file:{}", directory.display()),
            Kept::Nothing => format!("slatedb:file://{}", directory.display()),
        };
        Ok((url, environment))
    }
}

fn store_server(kvfs: &Path) -> Result<Server> {
    let kvfs = kvfs.canonicalize().with_context(|| kvfs.display().to_string())?;
    let directory = tempfile::Builder::new().prefix("kvfs-distance-").tempdir()?;
    let token = directory.path().join("token");
    std::fs::write(&token, format!("{TOKEN}\n"))?;
    #[cfg(unix)]
    std::fs::set_permissions(&token, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    let start = move |port: &kvfs_test_servers::Port, directory: &Path| {
        let mut server = Command::new(&kvfs);
        server.args(["store-server", "--listen", &port.address().to_string(), "--token-file"]);
        server.arg(directory.join("token")).arg("--store");
        server.arg(format!("file:{}", directory.join("state").display()));
        server
    };
    let answers = |address| answers(address, b"GET / HTTP/1.0\r\n\r\n").starts_with(b"HTTP/1");
    Ok(Server::start(directory, start, answers))
}
