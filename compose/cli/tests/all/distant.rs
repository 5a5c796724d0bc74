//! `kvfs run` on stores of real servers: what a person can mend is one line that says how, without a
//! secret, and what was stored is there for the next run.

use super::volume::MAKER;
use super::workshop;
use kvfs_test_servers::{Etcd, Postgres, Redis};
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

/// A word that stands for a password. No message may have it.
const SECRET: &str = "hunter2";

/// A guest that makes a file, and traps if it is there already.
fn prepared() -> TempDir {
    let dir = workshop();
    std::fs::write(dir.path().join("maker.wasm"), wat::parse_str(MAKER).unwrap()).unwrap();
    dir
}

fn run(directory: &Path, variables: &[(&'static str, String)], args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kvfs"))
        .arg("run")
        .args(args)
        .arg("maker.wasm")
        .current_dir(directory)
        .env("XDG_CACHE_HOME", directory.join("cache"))
        .env_remove("RUST_BACKTRACE")
        .envs(variables.iter().cloned())
        .output()
        .unwrap()
}

/// Runs the guest on a store that cannot be opened. The message must be one line and have `expected`.
fn refused(directory: &Path, variables: &[(&'static str, String)], url: &str, expected: &str) {
    let output = run(directory, variables, &["--store", url]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{url}: {told}");
    assert!(told.starts_with("kvfs: ") && told.lines().count() == 1, "{url}: {told}");
    assert!(told.contains(expected) && !told.contains(SECRET), "{url}: not {expected}: {told}");
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
    keeps(path, &[("REDISCLI_AUTH", "right".to_owned())], &format!("redis://{at}"));
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
    keeps(path, &[], &format!("etcd://{at}/agents"));
}
