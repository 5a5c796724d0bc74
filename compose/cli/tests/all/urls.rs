//! URLs that name no store that can be opened: one line that says what to do, without a secret, at each
//! command that takes one.

use super::distant::{DOORS, SECRET, command, is_refusal, refused};
use super::store_server::write_token;
use super::volume::MAKER;
use super::workshop;

/// Commands that [`DOORS`] has not.
const MORE_DOORS: [(i32, &[&str]); 2] =
    [(1, &["check-store", "--store"]), (1, &["volume", "create", "main", "--store"])];

/// URLs with what a message says of each. The password has the secret in it.
const WRONG: [(&str, &str); 26] = [
    ("postgrse://me:hunter2@h/d", "names no store"),
    ("POSTGRES://me:hunter2@h/d", "names no store"),
    ("me:hunter2@postgres://h/d", "names no store"),
    ("me:hunter2@h", "names no store"),
    ("postgres//me:hunter2@h/d", "names no store"),
    ("postgres:me:hunter2@h/d", "write postgres://"),
    ("postgres:/me:hunter2@h/d", "write postgres://"),
    ("postgres://me:hunter2@h:99999/d", "write postgres://"),
    ("postgres://me:hunter2@h/d?colour=hunter2", "`colour`"),
    ("postgres://me:hunter2@x@127.0.0.1:1/d", "%40"),
    ("postgres://me:1@2?hunter2=x@h/d", "%3F"),
    ("redis://:hunter2@h:99999", "write redis://"),
    ("redis://:hunter2", "write redis://"),
    ("redis:hunter2@h", "write redis://"),
    ("redis:/:hunter2@h", "write redis://"),
    ("redis://:1?hunter2=x@h", "%3F"),
    ("redis://:hunter2@h/?colour=hunter2", "`colour`"),
    ("etcd://root:hunter2@h/p", "ETCDCTL_USER"),
    ("etcd:/root:hunter2@h/p", "etcd://"),
    ("etcd://127.0.0.1:99999/p", "65535"),
    ("slatedb:s3://key:hunter2@b/p", "AWS_*"),
    ("slatedb:s3:key:hunter2@b/p", "slatedb:s3://"),
    ("http://:hunter2@h:1", "KVFS_STORE_TOKEN_FILE"),
    ("http:/:hunter2@h:1", "KVFS_STORE_TOKEN_FILE"),
    ("delayed:1ms+redis:hunter2@h", "write redis://"),
    ("delayed:1ms+postgres://me:hunter2@h:x/d", "write postgres://"),
];

#[test]
fn a_url_that_names_no_store_is_told_without_its_secret() {
    let dir = workshop();
    let path = dir.path();
    std::fs::write(path.join("maker.wasm"), wat::parse_str(MAKER).unwrap()).unwrap();
    write_token(path, "a-token-of-some-length-0123456789");
    for (url, expected) in WRONG {
        refused(path, &[], url, expected);
        for (code, door) in DOORS.into_iter().chain(MORE_DOORS) {
            let output = command(path, &[], &[door, &[url]].concat());
            is_refusal(&output, code, &format!("{door:?} {url}"), expected);
            assert!(output.stdout.is_empty(), "{door:?} {url}: {output:?}");
        }
    }
    assert!(WRONG.iter().filter(|(url, _)| url.contains(SECRET)).count() > 20);
}

#[test]
fn credentials_that_the_environment_lacks_are_named() {
    let dir = workshop();
    let path = dir.path();
    std::fs::write(path.join("maker.wasm"), "no guest").unwrap();
    write_token(path, "a-token-of-some-length-0123456789");
    let nobody = "http://127.0.0.1:1".to_owned();
    let variables = [("AWS_METADATA_ENDPOINT", nobody), ("AWS_REGION", "eu-central-1".to_owned())];
    for (url, expected) in [
        ("slatedb:s3://bucket/path", "AWS_ACCESS_KEY_ID"),
        ("slatedb:az://container/path", "AZURE_STORAGE_ACCOUNT_NAME"),
        ("http://127.0.0.1:1", "KVFS_STORE_TOKEN_FILE"),
    ] {
        for (code, door) in DOORS {
            let args = [door, &[url]].concat();
            let mut unset = std::process::Command::new("env");
            for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AZURE_STORAGE_ACCOUNT_NAME"] {
                unset.args(["-u", name]);
            }
            unset.args(["-u", "KVFS_STORE_TOKEN_FILE", env!("CARGO_BIN_EXE_kvfs")]).args(&args);
            let output = unset.current_dir(path).envs(variables.clone()).output().unwrap();
            is_refusal(&output, code, &format!("{args:?}"), expected);
        }
    }
}
