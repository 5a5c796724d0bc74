//! Guests that make snapshots of their volumes, in the command.

use super::{kvfs, workshop};
use std::path::Path;
use std::process::Output;

/// A guest that makes the snapshot `s` of its root, and fails if it gets none.
fn keeper(version: &str) -> Vec<u8> {
    let wit = "package test:guest; world guest {
        import wasi:filesystem/preopens@WASI;
        import kvfs:volume/control@0.1.0;
        export wasi:cli/run@WASI;
    }";
    let module = r#"(module
        (import "wasi:filesystem/preopens@WASI" "get-directories" (func (param i32)))
        (import "kvfs:volume/control@0.1.0" "snapshot" (func $snapshot (param i32 i32 i32 i32 i32)))
        (memory (export "memory") 1)
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 4096)
        (data (i32.const 1024) "/s")
        (func (export "wasi:cli/run@WASI#run") (result i32)
          (call $snapshot (i32.const 1024) (i32.const 1) (i32.const 1025) (i32.const 1) (i32.const 2048))
          (i32.load8_u (i32.const 2048))))"#;
    kvfs_wit_guests::component(wit, version, module)
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[track_caller]
fn refused(directory: &Path, args: &[&str], parts: &[&str]) {
    let output = kvfs(directory, args);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{args:?}: {}", said(&output));
    assert_eq!(stderr.lines().count(), 1, "{args:?}: {stderr}");
    assert!(parts.iter().all(|part| stderr.contains(part)), "{args:?}: {stderr}");
}

#[test]
fn a_guest_makes_snapshots_if_it_may_and_the_host_sees_them() {
    let dir = workshop();
    let path = dir.path();
    std::fs::write(path.join("keeper.wasm"), keeper("0.2.9")).unwrap();
    let asks = ["kvfs:volume/control@0.1.0", "--allow-volume-control"];
    refused(path, &["compose", "keeper.wasm", "-o", "out.wasm"], &asks);
    refused(path, &["run", "--store", "file:state", "keeper.wasm"], &asks);
    let none = ["compose", "keeper.wasm", "-o", "out.wasm", "--allow-volume-control=0"];
    refused(path, &none, &["1 to 1024"]);
    assert!(!path.join("out.wasm").exists() && !path.join("state").exists());

    for (name, link) in [("composed.wasm", "component"), ("linked.wasm", "core")] {
        let args = ["compose", "keeper.wasm", "-o", name, "--link", link, "--allow-volume-control"];
        let output = kvfs(path, &args);
        assert!(output.status.success(), "{}", said(&output));
        let inspected = said(&kvfs(path, &["inspect", name]));
        let line = "volume control: the guest makes up to 64 snapshots and forks of each volume";
        assert!(inspected.lines().any(|found| found == line), "{inspected}");
        assert!(!inspected.contains("warning"), "{inspected}");

        let state = format!("file:{link}");
        let run = |more: &[&str]| kvfs(path, &[&["run", "--store", &state], more, &[name]].concat());
        let output = run(&[]);
        assert!(output.status.success(), "{}", said(&output));
        // The name is taken now, which the guest is told.
        let output = run(&[]);
        assert_eq!((output.status.code(), said(&output)), (Some(1), String::new()));
        let listed = said(&kvfs(path, &["volume", "list", "--store", &state]));
        let names: Vec<&str> = listed.lines().filter(|line| line.contains("main")).collect();
        assert!(names.len() == 2 && names.iter().any(|line| line.contains("main@s")), "{listed}");
        let args = ["run", "--store", &state, "--fork-of", "main", name];
        refused(path, &args, &["snapshots and forks", "kvfs volume fork"]);
        let args = ["run", "--store", &state, "--allow-volume-control", name];
        refused(path, &args, &["already composed", "--allow-volume-control"]);
    }
    let output = kvfs(path, &["run", "--store", "file:other", "--allow-volume-control=1", "keeper.wasm"]);
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn another_version_of_the_interface_is_no_interface_of_this_version() {
    let dir = workshop();
    let path = dir.path();
    let wit = "package test:guest; world guest { import wasi:filesystem/preopens@WASI; \
               import kvfs:volume/control; export wasi:cli/run@WASI; }
               package kvfs:volume { interface control { commit: func(); } }";
    std::fs::write(path.join("other.wasm"), kvfs_wit_guests::guest(wit, "0.2.9")).unwrap();
    refused(path, &["compose", "other.wasm", "-o", "out.wasm"], &["--allow-volume-control"]);
    let args = ["compose", "other.wasm", "-o", "out.wasm", "--allow-volume-control"];
    refused(path, &args, &["kvfs:volume/control", "kvfs:volume 0.1"]);
}
