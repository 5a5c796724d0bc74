//! Stores whose server is full: a command that needs room says so in one line, with what to do at that
//! server. Nothing is lost that was acknowledged, and all goes on when there is room.

use super::distant::{SECRET, command, is_refusal};
use super::store_server::Server;
use super::workshop;
use kvfs_test_servers::{Etcd, Postgres, Redis, SmallDisk};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

/// Bytes of a file. No server's quota ends at a multiple of it.
const FILE_BYTES: usize = 700_000;

/// Puts after which a server must be full.
const MAX_PUTS: u64 = 100;

/// A guest that writes to a file of its own, and exits with the first error, if there is one.
const GROWER: &str = r#"(module
    (import "wasi_snapshot_preview1" "path_open"
      (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 32)
    (data (i32.const 8) "grown")
    (func $check (param $error i32) (if (local.get $error) (then (call $exit (local.get $error)))))
    (func (export "_start") (local $number i32)
      (call $check (call $open (i32.const 3) (i32.const 0) (i32.const 8) (i32.const 5)
        (i32.const 1) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 32)))
      (i32.store (i32.const 16) (i32.const 65536))
      (i32.store (i32.const 20) (i32.const 1000000))
      (loop $again
        (call $check (call $write (i32.load (i32.const 32)) (i32.const 16) (i32.const 1) (i32.const 64)))
        (local.set $number (i32.add (local.get $number) (i32.const 1)))
        (br_if $again (i32.lt_u (local.get $number) (i32.const 3))))))"#;

/// Bytes that no server can make smaller.
fn noise(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..FILE_BYTES / 8).flat_map(|_| next()).collect()
}

/// A store at a server that has little room.
struct Small<'a> {
    directory: &'a Path,
    variables: Vec<(&'static str, String)>,
    url: String,
    /// What a message tells to do at the server.
    told: &'a str,
    /// Acknowledged contents of files.
    kept: BTreeMap<String, u64>,
}

impl Small<'_> {
    fn run(&self, args: &[&str]) -> Output {
        let (command_name, more) = args.split_first().unwrap();
        let at = ["--store", &self.url];
        match *command_name {
            "volume" => {
                let (what, more) = more.split_first().unwrap();
                command(self.directory, &self.variables, &[&["volume", what][..], &at, more].concat())
            }
            _ => command(self.directory, &self.variables, &[&[*command_name][..], &at, more].concat()),
        }
    }

    fn done(&self, args: &[&str]) -> Vec<u8> {
        let output = self.run(args);
        assert!(output.status.success() && output.stderr.is_empty(), "{}: {args:?}: {output:?}", self.url);
        output.stdout
    }

    /// A command must fail for want of room.
    fn refused(&self, args: &[&str]) {
        let output = self.run(args);
        let expected = format!("the store is full; make room for it: {}", self.told);
        is_refusal(&output, 1, &format!("{args:?} {}", self.url), &expected);
    }

    /// Puts a file, and returns whether that was acknowledged.
    fn put(&mut self, name: &str, seed: u64) -> bool {
        std::fs::write(self.directory.join("new"), noise(seed)).unwrap();
        if !self.run(&["put", "new", name]).status.success() {
            return false;
        }
        self.kept.insert(name.to_owned(), seed);
        true
    }

    /// Everything that was acknowledged is there, and the store is sound.
    fn check(&self) {
        for (name, seed) in &self.kept {
            assert!(self.done(&["cat", name]) == noise(*seed), "{}: {name}", self.url);
        }
        self.done(&["fsck"]);
    }

    /// Fills the store by files of so many names, has room made, and goes on.
    fn fills(&mut self, names: u64, make_room: impl FnOnce()) {
        self.done(&["volume", "create", "main"]);
        let full = (0..MAX_PUTS).find(|number| !self.put(&format!("f{}", number % names), *number));
        assert!(full.is_some_and(|number| number > 5), "{}: {full:?}", self.url);
        self.refused(&["put", "new", "more"]);
        std::fs::create_dir_all(self.directory.join("tree")).unwrap();
        for number in 0..3 {
            std::fs::write(self.directory.join(format!("tree/t{number}")), noise(1000 + number)).unwrap();
        }
        let line = String::from_utf8(self.run(&["import", "tree"]).stderr).unwrap();
        assert!(line.ends_with(&format!("make room for it: {}\n", self.told)), "{line}");
        // A guest that cannot open its volume traps.
        let ran = self.run(&["run", "grower.wasm"]);
        let told = String::from_utf8_lossy(&ran.stderr);
        assert!(!ran.status.success() && !told.contains(SECRET), "{}: {ran:?}", self.url);
        let expected = format!("the store is full; make room for it: {}\n", self.told);
        assert!(told.contains(&expected), "{}: {told}", self.url);
        self.check();
        make_room();
        self.check();
        assert!(self.put("new", 2000), "{}: there is room", self.url);
        self.done(&["import", "tree"]);
        self.kept.extend((0..3).map(|number| (format!("t{number}"), 1000 + number)));
        self.done(&["rm", "f0"]);
        self.kept.remove("f0");
        self.done(&["run", "grower.wasm"]);
        self.check();
    }
}

fn small<'a>(directory: &'a Path, url: String, told: &'a str) -> Small<'a> {
    std::fs::write(directory.join("grower.wasm"), wat::parse_str(GROWER).unwrap()).unwrap();
    Small { directory, variables: Vec::new(), url, told, kept: BTreeMap::new() }
}

#[test]
fn a_redis_without_memory_is_told_and_goes_on_with_more() {
    let dir = workshop();
    let settings = [("requirepass", SECRET), ("appendonly", "yes"), ("maxmemory", "12mb")];
    let server = Redis::start_with(&settings);
    let url = format!("redis://:{SECRET}@{}", server.address());
    let told = "raise the server's maxmemory, or free some of its disk";
    small(dir.path(), url, told).fills(1000, || {
        let set = ["--no-auth-warning", "-a", SECRET, "CONFIG", "SET", "maxmemory", "100mb"];
        assert_eq!(server.cli(&set), "OK");
    });
}

/// No command can open a volume for writing then, not even to remove something: only the operator of the
/// server can help.
#[test]
fn an_etcd_without_space_is_told_and_goes_on_as_its_operator_is_told_to() {
    let dir = workshop();
    let server = Etcd::start_with(&["--unsafe-no-fsync", "--quota-backend-bytes", "16777216"]);
    let told = "compact and defragment the server, or raise its --quota-backend-bytes; then run `etcdctl alarm \
                disarm`";
    let store = || small(dir.path(), format!("etcd://{}/agents", server.address()), told);
    // Old values are what uses up the space.
    store().fills(3, || {
        let again = store();
        again.refused(&["rm", "f0"]);
        again.refused(&["volume", "rm", "main"]);
        again.refused(&["volume", "create", "other"]);
        let status = server.ctl(&["endpoint", "status", "--write-out=json"]);
        let revision = status.split_once("\"revision\":").unwrap().1.split([',', '}']).next().unwrap();
        server.ctl(&["compaction", "--physical", revision]);
        server.ctl(&["defrag"]);
        server.ctl(&["alarm", "disarm"]);
    });
}

#[test]
fn a_postgres_without_disk_is_told_and_goes_on_with_more() {
    let dir = workshop();
    let server = Postgres::start();
    let space = server.own_directory("small");
    let Some(disk) = SmallDisk::over(&space, 16 << 20) else { return };
    server.sql("postgres", &format!("CREATE TABLESPACE small LOCATION '{}'", space.display()));
    server.sql("postgres", "ALTER DATABASE postgres SET default_tablespace = small");
    let url = format!("postgres://postgres:{SECRET}@{}/postgres?sslmode=disable", server.address());
    let told = "free some of the server's disk, or VACUUM its tables";
    small(dir.path(), url, told).fills(1000, || disk.resize(100 << 20));
    drop(server);
    drop(disk);
}

/// On a small disk where this process may mount one.
#[test]
fn a_store_server_without_disk_is_told_and_goes_on_with_more() {
    let dir = workshop();
    let path = dir.path();
    let told = "free some of the disk on which `kvfs store-server` keeps its store";
    let token = vec![("KVFS_STORE_TOKEN_FILE", path.join("token").display().to_string())];
    // A limit on the size of files acts as a full disk.
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -f 20000; trap '' XFSZ; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_kvfs")]);
    let server = Server::start_by(limited, path, "redb:state.redb");
    let mut store = small(path, format!("http://{}", server.address), told);
    store.variables.clone_from(&token);
    let mut server = Some(server);
    let address = server.as_ref().unwrap().address.clone();
    store.fills(1000, || {
        server.take().unwrap().kill();
        let again = Command::new(env!("CARGO_BIN_EXE_kvfs"));
        server = Some(Server::start_at(again, path, "redb:state.redb", &address));
    });
    drop(server);

    std::fs::create_dir(path.join("state")).unwrap();
    let Some(disk) = SmallDisk::over(&path.join("state"), 24 << 20) else { return };
    let server = Server::start(path, "file:state");
    let mut store = small(path, format!("http://{}", server.address), told);
    store.variables = token;
    store.fills(1000, || disk.resize(100 << 20));
    drop(server);
    drop(disk);
}
