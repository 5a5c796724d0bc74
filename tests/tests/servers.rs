//! `kvfs run` on stores that are on servers: what one process stores, the next one finds.

use std::os::unix::fs::PermissionsExt;
use std::process::Output;

use kvfs_test_servers::{Etcd, Postgres, Redis};
use kvfs_tests::guests;

use crate::providers::http::{Server, TOKEN};
use crate::python::composed::processes::kvfs;

#[test]
fn files_on_a_server_are_there_for_the_next_process() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("guests.wasm"), guests::rust().unwrap()).unwrap();
    let (postgres, redis, etcd) = (Postgres::start(), Redis::start_durable(), Etcd::start());
    let bucket = dir.path().join("bucket");
    for (url, is_made) in [
        (format!("postgres://postgres:secret@{}/volumes", postgres.address()), false),
        (format!("redis://{}/?prefix=volumes", redis.address()), false),
        (format!("etcd://{}/volumes", etcd.address()), false),
        // A directory is made, as with `file:`.
        (format!("slatedb:file://{}", bucket.display()), true),
    ] {
        let run = |options: &[&str], step: &str| -> Output {
            let mut command = kvfs();
            command.args(["run", "--store", &url]).args(options).current_dir(dir.path());
            command.args(["guests.wasm", "--", "script", step]).output().unwrap()
        };
        if !is_made {
            let missing = run(&[], "write kept text");
            let stderr = String::from_utf8_lossy(&missing.stderr);
            assert_eq!(missing.status.code(), Some(1), "{stderr}");
            assert!(stderr.contains("--create") && !stderr.contains("secret"), "{stderr}");
            assert_eq!(stderr.lines().count(), 1, "{stderr}");
        }
        let made = run(&["--create"], "write kept text");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let found = run(&[], "cat kept");
        let stdout = String::from_utf8_lossy(&found.stdout);
        assert!(found.status.success() && stdout.contains("text"), "{stdout}");
    }
}

#[test]
fn a_store_server_has_files_of_hosts_and_asks_each_for_its_token() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("guests.wasm"), guests::rust().unwrap()).unwrap();
    let server = Server::start(dir.path(), "127.0.0.1:0");
    let url = format!("http://{}", server.address);
    let token = dir.path().join("token");
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).unwrap();
    let call = |variables: &[(&str, &str)], arguments: &[&str]| -> Output {
        let mut command = kvfs();
        command.env_remove("KVFS_STORE_TOKEN").env_remove("KVFS_STORE_TOKEN_FILE");
        command.envs(variables.iter().copied()).args(arguments).current_dir(dir.path()).output().unwrap()
    };
    let run = |variables: &[(&str, &str)], step: &str| {
        call(variables, &["run", "--store", &url, "guests.wasm", "--", "script", step])
    };
    for (variables, part) in [
        (&[][..], "KVFS_STORE_TOKEN_FILE"),
        (&[("KVFS_STORE_TOKEN", "another-token-0123456789")], "refuses the token"),
        (&[("KVFS_STORE_TOKEN", "short")], "16 to 512"),
        (&[("KVFS_STORE_TOKEN_FILE", "no-such-file")], "no-such-file"),
    ] {
        let refused = run(variables, "write kept text");
        let stderr = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains(part) && !stderr.contains("another-token"), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
    let from_file = [("KVFS_STORE_TOKEN_FILE", "token")];
    let made = run(&from_file, "write kept text");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    // The end of the process has sent what it held, and the server had it before its kill.
    let server = server.killed_and_started_again(dir.path());
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).unwrap();
    let found = run(&[("KVFS_STORE_TOKEN", TOKEN)], "cat kept");
    let stdout = String::from_utf8_lossy(&found.stdout);
    assert!(found.status.success() && stdout.contains("text"), "{stdout}");
    for arguments in [&["fsck", "--store", &url][..], &["settings", "--store", &url]] {
        let looked = call(&from_file, arguments);
        assert!(looked.status.success(), "{}", String::from_utf8_lossy(&looked.stderr));
    }
    drop(server);
    let alone = run(&from_file, "cat kept");
    let stderr = String::from_utf8_lossy(&alone.stderr);
    assert!(stderr.contains("no store server answers at 127.0.0.1") && !stderr.contains(TOKEN), "{stderr}");
}

#[test]
fn a_store_server_passes_the_suite_of_stores() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), "127.0.0.1:0");
    let checked = kvfs()
        .args(["check-store", "--store", &format!("http://{}", server.address)])
        .env("KVFS_STORE_TOKEN", TOKEN)
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&checked.stdout);
    assert!(checked.status.success(), "{stdout}{}", String::from_utf8_lossy(&checked.stderr));
}
