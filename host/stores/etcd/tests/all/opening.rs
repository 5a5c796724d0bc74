//! Places that are not there or hold something else, users, and servers that cannot be used.

use crate::servers::{at, open, try_open};
use kvfs_contract::{Secret, StoreError};
use kvfs_etcd_store::{Config, OpenError};
use kvfs_store_rig::Calls;
use kvfs_test_servers::{Etcd, SOON};
use std::time::{Duration, Instant};

fn refusal(config: Config) -> OpenError {
    let begun = Instant::now();
    let error = match try_open(config) {
        Ok(_) => panic!("it was opened"),
        Err(error) => error,
    };
    let text = error.to_string();
    assert!(!text.contains("hunter2") && !text.contains('\n') && text.len() < 400, "{text}");
    assert!(begun.elapsed() < SOON, "{text}");
    error
}

#[test]
fn a_store_is_made_if_asked_to_and_nowhere_else() {
    let server = Etcd::start();
    let mut config = at(server.address(), "agents");
    config.create = false;
    assert!(matches!(refusal(config.clone()), OpenError::MissingStore));
    config.read_only = true;
    config.create = true;
    assert!(matches!(refusal(config.clone()), OpenError::MissingStore));
    assert_eq!(server.ctl(&["get", "", "--from-key", "--keys-only"]), "");
    let mut store = open(at(server.address(), "agents"));
    store.set(&[], &[(b"a", Some(b"1"))], true).unwrap();
    let mut reader = open(config);
    assert_eq!(reader.value_of(b"a").unwrap().as_deref(), Some(&b"1"[..]));
    assert_eq!(reader.set(&[], &[(b"a", None)], true), Err(StoreError::ReadOnly));
    // A key of others that only looks alike.
    server.ctl(&["put", "agents/and/more", "x"]);
    open(at(server.address(), "agents"));
}

#[test]
fn a_server_that_is_not_there_or_not_etcd_ends_opening() {
    let server = Etcd::start();
    let mut tls = Config::from_url(&format!("etcds://{}/agents", server.address())).unwrap();
    tls.patience = Duration::from_secs(1);
    let error = refusal(tls);
    assert!(matches!(error, OpenError::Store { source: StoreError::Unavailable(_) }), "{error:?}");
    let mut ca = Config::from_url(&format!("etcds://{}/agents", server.address())).unwrap();
    ca.ca_file = Some("/missing/ca.pem".into());
    assert!(refusal(ca).to_string().contains("/missing/ca.pem"));
    let mut gone = at("127.0.0.1:1".parse().unwrap(), "agents");
    gone.patience = Duration::from_secs(1);
    let error = refusal(gone);
    assert!(error.to_string().to_lowercase().contains("refused"), "{error}");
    // The second server of the URL is asked when the first is not there.
    let both = format!("etcd://127.0.0.1:1,{}/agents", server.address());
    let mut both = Config::from_url(&both).unwrap();
    both.create = true;
    let mut store = open(both);
    store.set(&[], &[(b"a", Some(b"1"))], true).unwrap();
}

#[test]
fn a_server_is_known_by_its_certificate() {
    let (server, ca) = Etcd::start_tls();
    let mut config = Config::from_url(&format!("etcds://{}/agents", server.address())).unwrap();
    config.create = true;
    config.patience = Duration::from_secs(5);
    // The system knows no such authority.
    let error = refusal(config.clone());
    assert!(error.to_string().contains("certificate"), "{error}");
    config.ca_file = Some(ca);
    let mut store = open(config);
    store.set(&[], &[(b"a", Some(b"1"))], true).unwrap();
    let mut plain = at(server.address(), "agents");
    plain.patience = Duration::from_secs(1);
    assert!(matches!(refusal(plain), OpenError::Store { .. }));
}

#[test]
fn a_server_that_takes_too_few_operations_is_refused() {
    let server = Etcd::start_with(&["--max-txn-ops", "100"]);
    let error = refusal(at(server.address(), "agents"));
    assert!(matches!(error, OpenError::Unsupported { .. }), "{error:?}");
    assert!(error.to_string().contains("--max-txn-ops"));
}

#[test]
fn users_need_the_right_password_and_rights() {
    let server = Etcd::start_with(&["--unsafe-no-fsync", "--auth-token-ttl", "1"]);
    let address = server.address();
    // A user where none is needed does no harm.
    let mut early = at(address, "agents");
    early.user = Some(("root".to_owned(), Secret::new("hunter2")));
    open(early);
    for arguments in [
        &["user", "add", "root:hunter2"][..],
        &["user", "grant-role", "root", "root"],
        &["role", "add", "agents"],
        &["role", "grant-permission", "agents", "--prefix=true", "readwrite", "agents"],
        &["user", "add", "agent:hunter2"],
        &["user", "grant-role", "agent", "agents"],
        &["auth", "enable"],
    ] {
        server.ctl(arguments);
    }
    let user = |prefix: &str, name: &str, password: &str| {
        let mut config = at(address, prefix);
        config.user = Some((name.to_owned(), Secret::new(password)));
        config
    };
    assert!(matches!(refusal(at(address, "agents")), OpenError::Refused { .. }));
    for (name, password) in [("agent", "wrong-hunter2"), ("nobody", "hunter2")] {
        let error = refusal(user("agents", name, password));
        assert!(matches!(error, OpenError::Refused { .. }), "{error:?}");
        assert!(error.to_string().contains("ETCDCTL_USER"));
    }
    let error = refusal(user("others", "agent", "hunter2"));
    assert!(matches!(error, OpenError::Refused { .. }), "{error:?}");
    let mut store = open(user("agents", "agent", "hunter2"));
    store.set(&[], &[(b"a", Some(b"1"))], true).unwrap();
    // The token ends when it is not used, and the store gets another.
    std::thread::sleep(Duration::from_secs(3));
    store.set(&[(b"a", Some(b"1"))], &[(b"a", Some(b"2"))], true).unwrap();
    server.ctl(&["--user", "root:hunter2", "role", "revoke-permission", "agents", "--prefix=true", "agents"]);
    assert_eq!(store.value_of(b"a"), Err(StoreError::AccessDenied));
    assert_eq!(store.set(&[], &[(b"a", None)], true), Err(StoreError::AccessDenied));
}
