//! PostgreSQL.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::tools::is_root;
use crate::{Server, answers, find_tool, run_to_end, wait_until};

/// A PostgreSQL server with a superuser `postgres`, who needs no password, and a database
/// `postgres`.
pub struct Postgres(Server);

impl Postgres {
    /// Starts a server with its usual settings.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server with settings of `postgresql.conf`: `("max_connections", "20")`.
    pub fn start_with(settings: &[(&str, &str)]) -> Self {
        let directory = tempfile::Builder::new().prefix("kvfs-postgres-").tempdir().expect("a directory");
        let owner = Owner::find();
        owner.give(directory.path());
        let mut initdb = Command::new(tool("initdb"));
        initdb.args(["--username=postgres", "--auth=trust", "--no-sync", "--no-locale", "--encoding=UTF8"]);
        initdb.arg("--pgdata").arg(directory.path().join("data")).current_dir(directory.path());
        run_to_end(owner.runs(&mut initdb));
        Self::serve(directory, owner, settings)
    }

    /// Starts a server that follows this one, and waits until it has everything. Settings as in
    /// [`Self::start_with`].
    ///
    /// # Panics
    /// If it does not follow within a minute.
    pub fn standby(&self, settings: &[(&str, &str)]) -> Self {
        let directory = tempfile::Builder::new().prefix("kvfs-postgres-").tempdir().expect("a directory");
        let owner = Owner::find();
        owner.give(directory.path());
        let mut copy = Command::new(tool("pg_basebackup"));
        copy.args(["-h", "127.0.0.1", "-p", &self.address().port().to_string(), "-U", "postgres"]);
        copy.args(["--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast", "--no-sync"]);
        copy.arg("--pgdata").arg(directory.path().join("data")).current_dir(directory.path());
        run_to_end(owner.runs(&mut copy));
        let standby = Self::serve(directory, owner, settings);
        let follows = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND \
                       replay_lsn = pg_current_wal_lsn()";
        wait_until("the standby follows", || self.sql("postgres", follows) != "0");
        standby
    }

    /// Makes a server that follows another one a primary, and waits until it is.
    pub fn promote(&self) {
        let promoted = self.sql("postgres", "SELECT pg_promote(true, 60)");
        assert_eq!(promoted, "t", "the standby was not promoted:\n{}", self.0.log());
    }

    fn serve(directory: TempDir, owner: Owner, settings: &[(&str, &str)]) -> Self {
        let settings: Vec<String> = settings.iter().map(|(name, value)| format!("{name}={value}")).collect();
        Self(Server::start(
            directory,
            move |port, directory| {
                let mut server = Command::new(tool("postgres"));
                server.arg("-D").arg(directory.join("data")).arg("-k").arg(directory);
                server.args(["-h", "127.0.0.1", "-p", &port.number().to_string()]);
                server.args(settings.iter().flat_map(|setting| ["-c", setting])).current_dir(directory);
                owner.runs(&mut server);
                server
            },
            accepts,
        ))
    }

    /// Makes an empty directory that the server may use, such as for a tablespace. It is removed with
    /// the server.
    pub fn own_directory(&self, name: &str) -> PathBuf {
        let directory = self.0.directory().join(name);
        std::fs::create_dir(&directory).expect("a directory");
        Owner::find().give(&directory);
        directory
    }

    /// Returns the server's process.
    pub fn server(&mut self) -> &mut Server {
        &mut self.0
    }

    /// Returns the address at which it serves.
    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// Returns the directory of its data.
    pub fn data(&self) -> PathBuf {
        self.0.directory().join("data")
    }

    /// Runs SQL in a database by `psql`, and returns what it prints without headings.
    ///
    /// # Panics
    /// If it fails.
    pub fn sql(&self, database: &str, sql: &str) -> String {
        let mut psql = Command::new(find_tool("psql", &[], "postgresql-client"));
        psql.args(["-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-U", "postgres"]);
        psql.args(["-p", &self.address().port().to_string(), "-d", database, "-c", sql]);
        run_to_end(&mut psql).trim_end().to_owned()
    }

    /// Lets clients encrypt their connections from now on, with this certificate and its key.
    pub fn encrypt(&mut self, certificate: &Path, key: &Path) {
        // The server wants to own its key, and nobody else to read it.
        let owner = Owner::find();
        for (file, name) in [(certificate, "server.crt"), (key, "server.key")] {
            let own = self.data().join(name);
            std::fs::copy(file, &own).expect("a copy");
            std::fs::set_permissions(&own, std::os::unix::fs::PermissionsExt::from_mode(0o600))
                .expect("rights");
            owner.give(&own);
        }
        self.sql("postgres", "ALTER SYSTEM SET ssl = on");
        self.0.restart();
    }

    /// Replaces the rules by which it lets clients in (`pg_hba.conf`), at once.
    pub fn let_in(&self, rules: &str) {
        // The file keeps its owner, and psql comes in by the socket of the directory.
        let rules = format!("local all postgres trust\n{rules}\n");
        std::fs::write(self.data().join("pg_hba.conf"), rules).expect("pg_hba.conf");
        let ask = |sql: &str| {
            let mut psql = Command::new(find_tool("psql", &[], "postgresql-client"));
            psql.args(["-X", "-q", "-A", "-t", "-U", "postgres", "-d", "postgres", "-c", sql]);
            psql.args(["-p", &self.address().port().to_string(), "-h"]).arg(self.0.directory());
            run_to_end(&mut psql)
        };
        // A new connection has the time from the process that lets clients in.
        let read = || ask("SELECT pg_conf_load_time()");
        let before = read();
        ask("SELECT pg_reload_conf()");
        wait_until("the rules are read", || read() != before);
    }
}

/// Returns the path of a tool of the newest PostgreSQL that is installed.
fn tool(name: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut directories: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    directories.sort();
    let directories: Vec<PathBuf> = directories.into_iter().rev().map(|(_, path)| path).collect();
    find_tool(name, &directories, "postgresql")
}

/// Returns whether the server lets clients in, or refuses this one for another reason than that it
/// has just started.
fn accepts(address: SocketAddr) -> bool {
    let mut startup = Vec::new();
    startup.extend_from_slice(&[0, 3, 0, 0]);
    startup.extend_from_slice(b"user\0postgres\0database\0postgres\0\0");
    let length = (startup.len() as u32 + 4).to_be_bytes();
    let answer = answers(address, &[&length[..], &startup].concat());
    let starting = answer.windows(5).any(|code| code == b"57P03");
    !answer.is_empty() && !starting
}

/// The user who runs the server: it refuses to be run by root.
#[derive(Clone, Copy)]
struct Owner(Option<(u32, u32)>);

impl Owner {
    fn find() -> Self {
        let number = |what| {
            let id = run_to_end(Command::new("id").args([what, "postgres"]));
            id.trim().parse().expect("the number of a user")
        };
        Self(is_root().then(|| (number("-u"), number("-g"))))
    }

    fn give(self, directory: &Path) {
        if let Self(Some((user, group))) = self {
            std::os::unix::fs::chown(directory, Some(user), Some(group)).expect("a new owner");
        }
    }

    fn runs(self, command: &mut Command) -> &mut Command {
        use std::os::unix::process::CommandExt;
        match self.0 {
            Some((user, group)) => command.uid(user).gid(group),
            None => command,
        }
    }
}
