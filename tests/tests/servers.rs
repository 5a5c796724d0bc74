//! `kvfs run` on stores that are on servers: what one process stores, the next one finds.

use std::process::Output;

use kvfs_test_servers::{Etcd, Postgres, Redis};
use kvfs_tests::guests;

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
