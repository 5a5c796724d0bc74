//! The store over a server of S3's protocol that is killed, cut off, and asked with wrong
//! credentials.

use crate::objects::{Store, open, try_open};
use kvfs_contract::{AsyncKvStore, Durability, KvStore, StoreError};
use kvfs_slatedb_store::{Config, OpenError};
use kvfs_store_rig::Calls;
use kvfs_test_servers::{Direction, How, Proxy, S3, SOON, Server, run_to_end, wait_until};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

/// The server itself, in a process of its own.
#[test]
#[ignore = "a server, which other tests start"]
fn the_server() {
    S3::serve_if_asked();
}

/// Starts a server with an empty bucket `bucket`.
pub(crate) fn start() -> S3 {
    S3::start(&["--exact", "s3::the_server", "--ignored", "--nocapture"])
}

/// Returns the configuration of a store in the bucket, at an address.
pub(crate) fn at(address: SocketAddr, url: &str) -> Config {
    let config = Config::from_url(url).unwrap();
    let mut config =
        S3::settings(address).into_iter().fold(config, |config, (name, value)| config.set(name, value));
    config.create = true;
    config
}

const URL: &str = "slatedb:s3://bucket/agents";

pub(crate) fn refusal(config: Config) -> OpenError {
    let begun = Instant::now();
    let error = match try_open(config) {
        Ok(_) => panic!("it was opened"),
        Err(error) => error,
    };
    let text = error.to_string();
    assert!(!text.contains("not-for-anybody") && !text.contains('\n') && text.len() < 400, "{text}");
    assert!(begun.elapsed() < SOON, "{text}");
    error
}

#[test]
fn what_a_person_can_mend_is_said_in_a_line() {
    let server = start();
    let address = server.address();
    let error = refusal(at(address, URL).set("AWS_SECRET_ACCESS_KEY", "hunter2"));
    assert!(matches!(error, OpenError::Refused { .. }), "{error:?}");
    assert!(error.to_string().contains("SignatureDoesNotMatch"), "{error}");
    let error = refusal(at(address, URL).set("AWS_ACCESS_KEY_ID", "nobody"));
    assert!(matches!(error, OpenError::Refused { .. }), "{error:?}");
    let error = refusal(at(address, URL).set("AWS_COLOUR", "hunter2"));
    assert!(matches!(error, OpenError::Settings { .. }), "{error:?}");
    // A client of TLS meets a server without.
    let mut tls = at(address, URL).set("AWS_ENDPOINT", format!("https://{address}"));
    tls.patience = Duration::from_secs(2);
    let error = refusal(tls);
    assert!(matches!(error, OpenError::Tls { .. }), "{error:?}");
    assert!(error.to_string().contains(&format!("https://{address}: ")), "{error}");
    let mut plain = at(address, URL).set("AWS_ALLOW_HTTP", "false");
    plain.patience = Duration::from_secs(2);
    let error = refusal(plain);
    assert!(matches!(error, OpenError::Unencrypted), "{error:?}");
    let mut gone = at("127.0.0.1:1".parse().unwrap(), URL);
    gone.patience = Duration::from_secs(2);
    let error = refusal(gone);
    assert!(matches!(error, OpenError::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains("http://127.0.0.1:1: Connection refused"), "{error}");
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let mut make = Command::new("openssl");
    make.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=kvfs test"]);
    make.args(["-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=CA:FALSE"]);
    make.args(["-keyout", "key.pem", "-out", "cert.pem"]);
    run_to_end(make.current_dir(directory.path()));
    let server = Server::start(
        directory,
        |port, directory| {
            let mut server = Command::new("openssl");
            server.args(["s_server", "-www", "-key", "key.pem", "-cert", "cert.pem"]);
            server.args(["-accept", &format!("127.0.0.1:{}", port.number())]).current_dir(directory);
            server
        },
        |address| TcpStream::connect(address).is_ok(),
    );
    let endpoint = format!("https://localhost:{}", server.address().port());
    let error = refusal(at(server.address(), URL).set("AWS_ENDPOINT", &endpoint));
    assert!(matches!(error, OpenError::Tls { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains(&endpoint) && text.contains("invalid peer certificate"), "{text}");
}

#[test]
fn a_kill_of_the_server_loses_nothing_durable() {
    let mut server = start();
    let mut store = open(at(server.address(), URL));
    for number in 0..40u32 {
        let key = number.to_be_bytes();
        store.set(&[(&key, None)], &[(&key, Some(&[1; 3000]))], number % 3 == 0).unwrap();
        if number % 10 == 9 {
            server.server().restart();
        }
    }
    store.apply(&[], &[], Durability::Durable).unwrap();
    store.kill();
    server.server().restart();
    let mut store = open(at(server.address(), URL));
    assert_eq!(store.entries(b"", b"").unwrap().len(), 40);
    store.wait(store.store.close()).unwrap();
}

#[test]
fn the_newer_host_has_the_store_and_loses_nothing_durable() {
    let server = start();
    let mut older = open(at(server.address(), URL));
    for number in 0..10u32 {
        older.set(&[], &[(&number.to_be_bytes(), Some(b"older"))], true).unwrap();
    }
    let mut newer = open(at(server.address(), URL));
    let refused = older.set(&[], &[(b"late", Some(b""))], true);
    assert!(matches!(refused, Err(StoreError::UnknownOutcome | StoreError::AccessDenied)), "{refused:?}");
    assert_eq!(older.set(&[], &[(b"late", Some(b""))], true), Err(StoreError::AccessDenied));
    assert_eq!(newer.entries(b"", b"").unwrap().len(), 10);
    newer.set(&[], &[(b"newer", Some(b""))], true).unwrap();
}

/// Makes a durable apply through a proxy that cuts after so many bytes. Returns whether it was cut.
fn cut(server: &S3, store: &mut Store, proxy: &Proxy, number: u32, cut: (Direction, u64, How)) -> bool {
    let (direction, bytes, how) = cut;
    proxy.cut_after(direction, bytes, how);
    let key = number.to_be_bytes();
    // SlateDB repeats the put, and knows its own object if the first one was made.
    store.set(&[(&key, None)], &[(&key, Some(&[2; 500]))], true).unwrap();
    store.set(&[(&key, Some(&[2; 500]))], &[(b"last", Some(&key))], true).unwrap();
    assert!(server.address() != proxy.address());
    !proxy.cancel_cut()
}

#[test]
fn a_connection_cut_anywhere_in_a_put_loses_and_doubles_nothing() {
    let server = start();
    let proxy = Proxy::start(server.address());
    let mut store = open(at(proxy.address(), URL));
    let (mut number, mut cuts) = (0, 0);
    for direction in [Direction::Up, Direction::Down] {
        for bytes in [0, 1, 100, 300, 700, 1000, 1200, 1500] {
            for how in [How::Reset, How::Close] {
                cuts += u32::from(cut(&server, &mut store, &proxy, number, (direction, bytes, how)));
                number += 1;
            }
        }
    }
    assert!(cuts > 16, "{cuts} of {number} cut something");
    store.kill();
    let mut store = open(at(server.address(), URL));
    assert_eq!(store.entries(b"", b"").unwrap().len(), number as usize + 1);
}

#[test]
fn a_server_that_answers_nothing_ends_calls_and_goes_on_later() {
    let server = start();
    let proxy = Proxy::start(server.address());
    let mut config = at(proxy.address(), URL);
    config.patience = Duration::from_secs(3);
    let mut store = open(config);
    store.set(&[], &[(b"a", Some(b"1"))], true).unwrap();
    proxy.set_stalled(true);
    let begun = Instant::now();
    assert_eq!(store.set(&[], &[(b"a", Some(b"2"))], true), Err(StoreError::UnknownOutcome));
    assert!(begun.elapsed() < SOON);
    let barrier = store.apply(&[], &[], Durability::Durable);
    assert!(matches!(barrier, Err(StoreError::Unavailable(_))), "{barrier:?}");
    proxy.set_stalled(false);
    wait_until("the server is back", || store.apply(&[], &[], Durability::Durable).is_ok());
    store.kill();
    let mut store = open(at(server.address(), URL));
    assert_eq!(store.value_of(b"a").unwrap().as_deref(), Some(&b"2"[..]));
}
