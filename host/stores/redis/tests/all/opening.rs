//! What can be wrong when a store is opened: one line each, without a password.

use std::process::Command;
use std::time::Duration;

use kvfs_contract::{AsyncKvStore, KvStore, StoreError};
use kvfs_redis_store::Config;
use kvfs_store_rig::Calls;
use kvfs_test_servers::{Redis, run_to_end};

use crate::common::{make, open, open_within, own_url, server};

/// Returns the text of the error with which a server refuses a URL.
fn refused(url: &str) -> String {
    refused_within(url, Duration::from_secs(30))
}

/// Returns the text of the error with which opening ends where nobody answers.
fn unanswered(url: &str) -> String {
    refused_within(url, Duration::from_secs(1))
}

fn refused_within(url: &str, patience: Duration) -> String {
    let text = match open_within(url, patience) {
        Ok(_) => panic!("{url} was opened"),
        Err(error) => error.to_string(),
    };
    assert!(!text.contains('\n') && !text.contains("secret"), "{text}");
    println!("{text}");
    text
}

#[test]
fn a_server_that_is_not_there_or_does_not_answer_is_named() {
    assert!(unanswered("redis://:secret@127.0.0.1:1").contains("127.0.0.1:1"));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = listener.local_addr().unwrap().to_string();
    assert!(unanswered(&format!("redis://:secret@{silent}")).contains(&silent));
    assert!(unanswered("redis://:secret@no-such-host.invalid").contains("no-such-host.invalid"));
    assert!(refused(&format!("redis://{}/99", server().address())).contains("DB index"));
}

#[test]
fn wrong_passwords_and_users_without_rights_are_told() {
    let redis = Redis::start_with(&[("requirepass", "right")]);
    let at = redis.address();
    assert!(refused(&format!("redis://:secret@{at}")).contains("REDISCLI_AUTH"));
    assert!(refused(&format!("redis://{at}")).contains("REDISCLI_AUTH"));
    drop(make(&format!("redis://:right@{at}")));
    let acl = "ACL SETUSER agent on >word ~* +@all -eval -evalsha -script";
    redis
        .cli(&["-a", "right", "--no-auth-warning"].iter().copied().chain(acl.split(' ')).collect::<Vec<_>>());
    assert!(refused(&format!("redis://agent:word@{at}")).contains("ACL"));
}

#[test]
fn servers_that_would_drop_files_are_refused() {
    let redis = Redis::start_with(&[("maxmemory", "50mb"), ("maxmemory-policy", "allkeys-lru")]);
    assert!(refused(&own_url(redis.address())).contains("noeviction"));
    redis.cli(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    drop(make(&own_url(redis.address())));
}

#[test]
fn replicas_and_clusters_without_the_prefix_are_refused() {
    let primary = Redis::start();
    let (host, port) = ("127.0.0.1", primary.address().port().to_string());
    let replica = Redis::start_with(&[("replicaof", &format!("{host} {port}"))]);
    assert!(refused(&own_url(replica.address())).contains("primary"));
    let cluster = Redis::start_cluster();
    assert!(refused(&own_url(cluster.address())).contains("ClusterDown"));
    // One that has all slots has the prefix, too.
    cluster.take_all_slots();
    let mut store = make(&own_url(cluster.address()));
    store.set(&[(b"k", None)], &[(b"k", Some(b"v"))], true).unwrap();
    assert_eq!(store.entries(b"", b"").unwrap().len(), 1);
}

#[test]
fn other_data_is_left_as_it_is() {
    server().cli(&["SET", "{taken}:keys", "theirs"]);
    assert!(refused(&format!("redis://{}/?prefix=taken", server().address())).contains("?prefix="));
    assert_eq!(server().cli(&["GET", "{taken}:keys"]), "theirs");
}

#[test]
fn a_store_that_is_opened_for_reading_only_changes_nothing() {
    let url = own_url(server().address());
    let mut config = Config::from_url(&url).unwrap();
    (config.read_only, config.create) = (true, true);
    assert!(open(config).is_err_and(|error| error.to_string().contains("--create")));
    assert!(open(Config::from_url(&url).unwrap()).is_err_and(|error| error.to_string().contains("--create")));
    let mut store = make(&url);
    store.set(&[], &[(b"k", Some(b"v"))], true).unwrap();
    let prefix = url.rsplit_once('=').unwrap().1;
    let keys = || server().cli(&["KEYS", &format!("{{{prefix}}}:*")]).lines().count();
    assert_eq!(keys(), 4);
    let mut config = Config::from_url(&url).unwrap();
    config.read_only = true;
    let mut reader = open(config).unwrap();
    assert_eq!(reader.value_of(b"k").unwrap().as_deref(), Some(&b"v"[..]));
    assert_eq!(reader.set(&[], &[(b"k", None)], true), Err(StoreError::ReadOnly));
    assert_eq!(keys(), 4);
    store.wait(store.store.close()).unwrap();
    assert_eq!(keys(), 3);
    assert!(reader.limits().unwrap().durable);
}

#[test]
fn tls_is_checked() {
    let certificates = tempfile::tempdir().unwrap();
    let file = |name: &str| certificates.path().join(name).display().to_string();
    for name in ["localhost", "elsewhere"] {
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test"]);
        openssl.args([
            "-addext",
            &format!("subjectAltName=DNS:{name}"),
            "-addext",
            "basicConstraints=CA:FALSE",
        ]);
        openssl.args(["-keyout", &file(&format!("{name}.key")), "-out", &file(&format!("{name}.crt"))]);
        run_to_end(&mut openssl);
    }
    let redis = Redis::start_encrypted(&file("localhost.crt"), &file("localhost.key"));
    let port = redis.tls_port();
    let url = |host: &str, own: &str| format!("rediss://{host}:{port}/?cacert={}", file(own));
    drop(make(&url("localhost", "localhost.crt")));
    assert!(refused(&url("127.0.0.1", "localhost.crt")).contains("cacert"));
    assert!(refused(&url("localhost", "elsewhere.crt")).contains("cacert"));
    assert!(refused(&url("localhost", "no-such-file")).contains("no-such-file"));
    assert!(refused(&format!("rediss://localhost:{port}")).contains("cacert"));
    assert!(unanswered(&format!("redis://localhost:{port}")).contains("rediss:"));
}
