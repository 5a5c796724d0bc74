//! What can be wrong when a store is opened: one line each, without a password.

use std::process::Command;
use std::time::Duration;

use kvfs_contract::{AsyncKvStore, KvStore, StoreError};
use kvfs_postgres_store::{Config, OpenError};
use kvfs_store_rig::Calls;
use kvfs_test_servers::{Postgres, run_to_end};

use crate::common::{Store, open_config, own_url, server};

fn open(url: &str, create: bool) -> Result<Store, OpenError> {
    let mut config = Config::from_url(url)?;
    config.create = create;
    open_config(config)
}

/// Returns the text of the error with which a server refuses a URL.
fn refused(url: &str, create: bool) -> String {
    refusal(url, open(url, create))
}

/// Returns the text of the error with which opening ends where nobody answers.
fn unanswered(url: &str) -> String {
    let mut config = Config::from_url(url).unwrap();
    config.patience = Duration::from_secs(2);
    refusal(url, open_config(config))
}

fn refusal(url: &str, opened: Result<Store, OpenError>) -> String {
    let text = match opened {
        Ok(_) => panic!("{url} was opened"),
        Err(error) => error.to_string(),
    };
    assert!(!text.contains('\n') && !text.contains("secret"), "{text}");
    println!("{text}");
    text
}

#[test]
fn what_is_missing_is_made_if_that_is_asked_for_and_else_named() {
    let at = server().address();
    let url = own_url(at);
    assert!(refused(&url, false).contains("--create"));
    drop(open(&url, true).unwrap());
    open(&url, false).unwrap();
    let database = format!("postgres://postgres@{at}/made%20here?table=some%20schema.a%27%22b");
    assert!(refused(&database, false).contains("--create"));
    let mut store = open(&database, true).unwrap();
    store.set(&[], &[(b"k", Some(b"v"))], true).unwrap();
    assert_eq!(open(&database, false).unwrap().value_of(b"k").unwrap().as_deref(), Some(&b"v"[..]));
    assert_eq!(server().sql("made here", "SELECT count(*) FROM \"some schema\".\"a'\"\"b\""), "1");
}

#[test]
fn a_store_that_is_opened_for_reading_only_changes_nothing() {
    let url = own_url(server().address());
    let read_only = |create| {
        let mut config = Config::from_url(&url).unwrap();
        (config.read_only, config.create) = (true, create);
        open_config(config)
    };
    assert!(matches!(read_only(true), Err(OpenError::NoTable { .. })));
    let mut store = open(&url, true).unwrap();
    store.set(&[], &[(b"k", Some(b"v"))], true).unwrap();
    store.wait(store.store.close()).unwrap();
    let mut reader = read_only(false).unwrap();
    assert_eq!(reader.value_of(b"k").unwrap().as_deref(), Some(&b"v"[..]));
    assert_eq!(reader.set(&[], &[(b"k", None)], true), Err(StoreError::ReadOnly));
    let table = url.rsplit_once('=').unwrap().1;
    assert_eq!(server().sql("postgres", &format!("SELECT count(*) FROM {table}_sessions")), "0");
}

#[test]
fn a_server_that_is_not_there_or_does_not_answer_is_named() {
    let text = unanswered("postgres://u:secret@127.0.0.1:1/d");
    assert!(text.contains("127.0.0.1:1") && text.contains("check the address"), "{text}");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = listener.local_addr().unwrap();
    let text = unanswered(&format!("postgres://u:secret@{silent}/d?sslmode=disable&connect_timeout=1"));
    assert!(text.contains(&silent.to_string()), "{text}");
    assert!(unanswered("postgres://u:secret@no-such-host.invalid/d").contains("no-such-host.invalid"));
}

#[test]
fn a_table_of_something_else_is_refused_and_left_as_it_is() {
    let at = server().address();
    server().sql(
        "postgres",
        "CREATE TABLE theirs (id int PRIMARY KEY); CREATE TABLE texts (key text, value text)",
    );
    for table in ["theirs", "texts"] {
        let text = refused(&format!("postgres://postgres:secret@{at}/postgres?table={table}"), true);
        assert!(text.contains(table) && text.contains("?table="), "{text}");
    }
    assert_eq!(server().sql("postgres", "SELECT count(*) FROM theirs"), "0");
}

#[test]
fn a_table_that_no_crash_leaves_is_not_called_durable() {
    let url = own_url(server().address());
    assert!(open(&url, true).unwrap().limits().unwrap().durable);
    let table = url.rsplit_once('=').unwrap().1;
    server().sql("postgres", &format!("ALTER TABLE {table} SET UNLOGGED"));
    assert!(!open(&url, true).unwrap().limits().unwrap().durable);
}

#[test]
fn users_without_rights_and_wrong_passwords_are_told() {
    let postgres = Postgres::start();
    let at = postgres.address();
    postgres.sql("postgres", "CREATE ROLE agent LOGIN PASSWORD 'right'");
    let theirs = format!("postgres://postgres@{at}/postgres");
    open(&theirs, true).unwrap();
    let hba = "host all postgres 127.0.0.1/32 trust\nhost all agent 127.0.0.1/32 scram-sha-256";
    postgres.let_in(hba);
    let url = |password: &str| format!("postgres://agent{password}@{at}/postgres?sslmode=disable");
    assert!(refused(&url(":secret"), false).contains("PGPASSWORD"));
    assert!(refused(&url(""), false).contains("PGPASSWORD"));
    assert!(refused(&url(":right"), false).contains("grant"));
    assert!(refused(&format!("{}&table=own", url(":right")), true).contains("grant"));
    postgres.sql("postgres", "GRANT SELECT ON kvfs TO agent; GRANT ALL ON kvfs_sessions TO agent");
    // An apply is refused as a whole, and the store goes on.
    let mut reader = open(&url(":right"), false).unwrap();
    assert_eq!(reader.set(&[], &[(b"k", Some(b"v"))], true), Err(StoreError::AccessDenied));
    assert_eq!(reader.value_of(b"k").unwrap(), None);
    postgres.sql("postgres", "GRANT ALL ON kvfs TO agent");
    reader.set(&[(b"k", None)], &[(b"k", Some(b"v"))], true).unwrap();
    assert!(refused(&format!("postgres://agent:right@{at}/no_such"), true).contains("grant"));
    postgres.sql("postgres", "ALTER DATABASE postgres SET default_transaction_read_only = on");
    assert!(refused(&theirs, false).contains("read"));
}

#[test]
fn tls_is_used_as_asked_for() {
    let certificates = tempfile::tempdir().unwrap();
    let file = |name: &str| certificates.path().join(name).display().to_string();
    for (name, subject) in [("server", "localhost"), ("other", "elsewhere")] {
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj"]);
        openssl.args([&format!("/CN={subject}"), "-addext", &format!("subjectAltName=DNS:{subject}")]);
        openssl.args(["-addext", "basicConstraints=CA:FALSE"]);
        openssl.args(["-keyout", &file(&format!("{name}.key")), "-out", &file(&format!("{name}.crt"))]);
        run_to_end(&mut openssl);
    }
    let mut postgres = Postgres::start();
    let port = postgres.address().port();
    let url = |host: &str, rest: &str| format!("postgres://postgres:secret@{host}:{port}/postgres?{rest}");
    drop(open(&url("localhost", ""), true).unwrap());
    assert!(refused(&url("localhost", "sslmode=require"), false).contains("sslmode"));
    postgres.encrypt(file("server.crt").as_ref(), file("server.key").as_ref());
    postgres.let_in("hostssl all all 127.0.0.1/32 trust");
    let own = format!("sslrootcert={}", file("server.crt"));
    drop(open(&url("localhost", ""), false).unwrap());
    drop(open(&url("localhost", &own), false).unwrap());
    assert!(refused(&url("localhost", "sslmode=disable"), false).contains("sslmode"));
    assert!(refused(&url("localhost", "sslmode=verify-full"), false).contains("sslrootcert"));
    assert!(refused(&url("127.0.0.1", &own), false).contains("certificate"));
    let others = format!("sslrootcert={}", file("other.crt"));
    assert!(refused(&url("localhost", &others), false).contains("certificate"));
    assert!(refused(&url("localhost", "sslrootcert=/no/such/file"), false).contains("/no/such/file"));
}
