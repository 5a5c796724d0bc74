//! `kvfs run` on stores of real servers: what a person can mend is one line that says how, without a
//! secret, and what was stored is there for the next run.

use super::store_server::write_token;
use super::volume::MAKER;
use super::workshop;
use kvfs_test_servers::{Etcd, Postgres, Proxy, Redis, S3};
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

/// A word that stands for a password. No message may have it.
pub(super) const SECRET: &str = "hunter2";

/// The right password of the server of S3's protocol.
const S3_SECRET: &str = "not-for-anybody";

/// A guest that makes a file, and traps if it is there already.
fn prepared() -> TempDir {
    let dir = workshop();
    std::fs::write(dir.path().join("maker.wasm"), wat::parse_str(MAKER).unwrap()).unwrap();
    write_token(dir.path(), "a-token-of-some-length-0123456789");
    dir
}

fn run(directory: &Path, variables: &[(&'static str, String)], args: &[&str]) -> Output {
    command(directory, variables, &[&["run"], args, &["maker.wasm"]].concat())
}

pub(super) fn command(directory: &Path, variables: &[(&'static str, String)], args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kvfs"))
        .args(args)
        .current_dir(directory)
        .env("XDG_CACHE_HOME", directory.join("cache"))
        .env_remove("RUST_BACKTRACE")
        .envs(variables.iter().cloned())
        .output()
        .unwrap()
}

/// Runs the guest on a store that cannot be opened. The message must be one line and have `expected`.
pub(super) fn refused(directory: &Path, variables: &[(&'static str, String)], url: &str, expected: &str) {
    is_refusal(&run(directory, variables, &["--store", url]), 1, url, expected);
}

pub(super) fn is_refusal(output: &Output, code: i32, what: &str, expected: &str) {
    let told = std::str::from_utf8(&output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{what}: {told}");
    assert!(told.starts_with("kvfs: ") && told.lines().count() == 1, "{what}: {told}");
    assert!(told.contains(expected) && !told.contains(SECRET), "{what}: not {expected}: {told}");
    assert!(!told.contains(S3_SECRET) && !told.contains("X-Amz"), "{what}: {told}");
    assert!(told.len() < 500, "{what}: {told}");
}

/// Runs commands on a server of an old version. The message names it, and the least one that does.
fn of_old_version(
    directory: &Path,
    variables: &[(&'static str, String)],
    url: &str,
    found: &str,
    least: &str,
) {
    refused(directory, variables, url, found);
    refused(directory, variables, url, least);
    for (code, door) in DOORS {
        let output = command(directory, variables, &[door, &[url]].concat());
        is_refusal(&output, code, &format!("{door:?} {url}"), least);
        is_refusal(&output, code, &format!("{door:?} {url}"), found);
    }
}

/// Runs the guest on a store that is made for it, and again: it finds its file.
fn keeps(directory: &Path, variables: &[(&'static str, String)], url: &str) {
    refused(directory, variables, url, "--create");
    let first = run(directory, variables, &["--store", url, "--create"]);
    assert!(first.status.success() && first.stderr.is_empty(), "{url}: {first:?}");
    let again = run(directory, variables, &["--store", url]);
    assert_eq!(again.status.code(), Some(134), "{url}: {again:?}");
}

#[test]
fn redis_is_opened_or_the_reason_is_said() {
    let dir = prepared();
    let path = dir.path();
    let durable = [("requirepass", "right"), ("appendonly", "yes"), ("appendfsync", "always")];
    let server = Redis::start_with(&durable);
    let at = server.address();
    refused(path, &[], &format!("redis://:{SECRET}@{at}"), "REDISCLI_AUTH");
    refused(path, &[], &format!("redis://:{SECRET}@{at}/99"), "REDISCLI_AUTH");
    refused(path, &[], &format!("redis://:right@{at}/?colour={SECRET}"), "colour");
    let evicting = Redis::start_with(&[("maxmemory", "50mb"), ("maxmemory-policy", "allkeys-lru")]);
    refused(path, &[], &format!("redis://{}", evicting.address()), "noeviction");
    let right = [("REDISCLI_AUTH", "right".to_owned())];
    let old = Proxy::start(at);
    old.rewrite("redis_version:7", "redis_version:6");
    of_old_version(path, &right, &format!("redis://{}", old.address()), "Redis 6", "use Redis 7.0 or newer");
    keeps(path, &right, &format!("redis://{at}"));
}

#[test]
fn postgres_is_opened_or_the_reason_is_said() {
    let dir = prepared();
    let path = dir.path();
    let server = Postgres::start();
    let at = server.address();
    server.sql("postgres", "CREATE ROLE agent LOGIN PASSWORD 'right'");
    server.let_in("host all postgres 127.0.0.1/32 trust\nhost all agent 127.0.0.1/32 scram-sha-256");
    let of_agent = format!("postgres://agent:{SECRET}@{at}/postgres?sslmode=disable");
    refused(path, &[], &of_agent, "PGPASSWORD");
    let encrypted = format!("postgres://postgres:{SECRET}@{at}/postgres?sslmode=require");
    refused(path, &[], &encrypted, "sslmode");
    refused(path, &[], &format!("postgres://postgres@{at}/missing?sslmode=disable"), "--create");
    let number = server.sql("postgres", "SHOW server_version_num");
    let old = Proxy::start(at);
    old.rewrite(&number, &format!("13{}", &number[2..]));
    old.rewrite(&format!("PostgreSQL {}", &number[..2]), "PostgreSQL 13");
    let old = format!("postgres://postgres:{SECRET}@{}/postgres?sslmode=disable", old.address());
    of_old_version(path, &[], &old, "PostgreSQL 13.", "use PostgreSQL 14 or newer");
    keeps(path, &[], &format!("postgres://postgres@{at}/postgres?sslmode=disable"));
}

#[test]
fn etcd_is_opened_or_the_reason_is_said() {
    let dir = prepared();
    let path = dir.path();
    let server = Etcd::start();
    let at = server.address();
    let missing = [("ETCDCTL_CACERT", "/missing/ca.pem".to_owned())];
    refused(path, &missing, &format!("etcds://{at}/agents"), "/missing/ca.pem");
    refused(path, &[], &format!("etcds://{at}/agents"), "etcd:// or etcds:// for TLS");
    let status = server.ctl(&["endpoint", "status"]);
    let found = status.split(", ").nth(2).unwrap();
    let older = format!("3.3{}", &found[3..]);
    let old = Proxy::start(at);
    old.rewrite(found, &older);
    let old = format!("etcd://{}/agents", old.address());
    of_old_version(path, &[], &old, &format!("etcd {older}"), "use 3.4 or newer");
    keeps(path, &[], &format!("etcd://{at}/agents"));
}

/// The server of S3's protocol, in a process of its own.
#[test]
#[ignore = "a server, which other tests start"]
fn the_server() {
    S3::serve_if_asked();
}

/// Commands that look at a store, or change what is in one, with their exit codes for a failure.
pub(super) const DOORS: [(i32, &[&str]); 9] = [
    (1, &["ls", "--store"]),
    (1, &["export", "out.tar", "--store"]),
    (1, &["put", "maker.wasm", "/maker.wasm", "--store"]),
    (1, &["volume", "list", "--store"]),
    (2, &["diff", "main", "other", "--store"]),
    (8, &["fsck", "--store"]),
    (1, &["settings", "--store"]),
    (1, &["store", "info"]),
    (1, &["store-server", "--token-file", "token", "--store"]),
];

#[test]
fn a_bucket_is_opened_or_the_reason_is_said() {
    const URL: &str = "slatedb:s3://bucket/agents";
    const NOBODYS: &str = "slatedb:s3://nobodys/agents";
    let dir = prepared();
    let path = dir.path();
    write_token(path, "0123456789abcdef");
    let server = S3::start(&["--exact", "distant::the_server", "--ignored", "--nocapture"]);
    let right = S3::settings(server.address());
    let with = |name: &str, value: &str| {
        let mut settings = right.clone();
        settings.iter_mut().filter(|(other, _)| *other == name).for_each(|(_, old)| *old = value.to_owned());
        settings
    };
    // Each is one line that names the store, for a guest and at each door.
    let (encrypted, nobody) = (format!("https://{}", server.address()), "http://127.0.0.1:1");
    for (settings, url, expected) in [
        (right.clone(), NOBODYS, "no such bucket; check its name, or make it with `kvfs run --create`"),
        (
            right.clone(),
            URL,
            "nothing is stored there; check the path, or make a store with `kvfs run --create`",
        ),
        (with("AWS_SECRET_ACCESS_KEY", SECRET), URL, "check the credentials in the environment"),
        (with("AWS_ACCESS_KEY_ID", "nobody"), URL, "check the credentials in the environment"),
        (with("AWS_ENDPOINT", nobody), URL, "check the endpoint in the environment and the network"),
        (with("AWS_ENDPOINT", &encrypted), URL, "check that the endpoint speaks TLS"),
        (with("AWS_ALLOW_HTTP", "false"), URL, "AWS_ALLOW_HTTP=true"),
    ] {
        refused(path, &settings, url, expected);
        for (code, door) in DOORS {
            let output = command(path, &settings, &[door, &[url]].concat());
            is_refusal(&output, code, &format!("{door:?} {url}"), expected);
        }
    }
    assert!(!path.join("out.tar").exists());
    // With --create both the bucket and the store are made, and the doors are open.
    keeps(path, &right, NOBODYS);
    keeps(path, &right, URL);
    for url in [NOBODYS, URL] {
        let listed = command(path, &right, &["ls", "--store", url]);
        assert!(String::from_utf8_lossy(&listed.stdout).contains("made"), "{listed:?}");
    }
    // `volume create` makes them too.
    let made = command(path, &right, &["volume", "create", "--store", "slatedb:s3://another/agents", "main"]);
    assert!(made.status.success(), "{made:?}");
}
