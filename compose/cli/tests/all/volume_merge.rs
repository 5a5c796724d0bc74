//! `kvfs volume merge`, and guests whose forks are merged.

use super::volume::{MAKER, done, read, volume, write};
use super::{kvfs, workshop};
use std::io::Read;
use std::process::{Command, Stdio};

#[test]
fn a_fork_is_merged_whole_or_its_conflicts_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    for store in ["file:m", "redb:m.redb"] {
        let with = |args: &[&str]| -> Vec<String> {
            let args: Vec<&str> = [&args[..1], &["--store", store], &args[1..]].concat();
            args.into_iter().map(str::to_owned).collect()
        };
        let at = |args: &[&str]| {
            let args = with(args);
            volume(path, &args.iter().map(String::as_str).collect::<Vec<_>>())
        };
        let quiet = |args: &[&str]| {
            let output = at(args);
            assert!(output.status.success() && output.stderr.is_empty(), "{args:?}: {output:?}");
            String::from_utf8(output.stdout).unwrap()
        };
        quiet(&["create", "main"]);
        write(path, store, "main", b"one");
        quiet(&["fork", "main", "try"]);
        assert_eq!(quiet(&["merge", "-n", "try", "main"]), "would merge try into main: nothing to do\n");
        write(path, store, "try", b"two");
        assert_eq!(
            quiet(&["merge", "--dry-run", "try", "main"]),
            "would merge try into main: 0 added, 1 changed, 0 removed\n"
        );
        assert_eq!(read(path, store, "main", "file").unwrap(), b"one");
        assert_eq!(quiet(&["merge", "try", "main"]), "");
        assert_eq!(read(path, store, "main", "file").unwrap(), b"two");
        // Both change it.
        write(path, store, "main", b"here");
        write(path, store, "try", b"there");
        let output = at(&["merge", "try", "main"]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "both-changed\t/file\n");
        assert!(output.stderr.is_empty());
        let output = at(&["merge", "--json", "try", "main"]);
        let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(found["merged"], false);
        assert_eq!(found["conflicts"][0]["kind"], "both-changed");
        assert_eq!(read(path, store, "main", "file").unwrap(), b"here");
        quiet(&["merge", "--ours", "try", "main"]);
        assert_eq!(read(path, store, "main", "file").unwrap(), b"here");
        quiet(&["merge", "--theirs-at", "/file", "try", "main"]);
        assert_eq!(read(path, store, "main", "file").unwrap(), b"there");
        for volume in ["main", "try"] {
            let check = kvfs(path, &["fsck", "--store", store, "--volume", volume]);
            assert!(check.status.success(), "{check:?}");
        }
        quiet(&["create", "apart"]);
        quiet(&["snapshot", "main", "then"]);
        for (args, expected) in [
            (&["merge", "try", "apart"][..], "share no layer"),
            (&["merge", "main", "main"], "holds already"),
            (&["merge", "tri", "main"], "did you mean `try`?"),
            (&["merge", "try", "then"], "is frozen"),
            (&["merge", "--ours-at", "/x", "--theirs-at", "/x", "try", "main"], "leave one out"),
        ] {
            let output = at(args);
            let stderr = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(2), "{args:?}: {stderr}");
            assert!(stderr.contains(expected) && stderr.lines().count() == 1, "{args:?}: {stderr}");
            assert!(stderr.contains("; ") && output.stdout.is_empty(), "{args:?}: {stderr}");
        }
    }
}

#[test]
fn the_fork_of_a_run_is_merged_if_the_guest_ends_well() {
    let dir = workshop();
    let path = dir.path();
    std::fs::write(path.join("maker.wasm"), wat::parse_str(MAKER).unwrap()).unwrap();
    done(path, &["create", "--store", "file:s", "prepared"]);
    write(path, "file:s", "prepared", b"x");
    let run = || kvfs(path, &["run", "--store", "file:s", "--fork-of", "prepared", "--merge", "maker.wasm"]);
    let list = || done(path, &["list", "--store", "file:s"]);
    let merged = run();
    assert!(merged.status.success() && merged.stderr.is_empty(), "{merged:?}");
    assert_eq!(read(path, "file:s", "prepared", "made").unwrap(), b"made");
    assert_eq!(list().lines().count(), 1, "{}", list());
    // It is there by now, so the guest traps: its fork is kept, and told.
    let failed = run();
    assert_eq!(failed.status.code(), Some(134), "{failed:?}");
    let stderr = String::from_utf8(failed.stderr).unwrap();
    assert!(stderr.contains("not merged into `prepared`; they are in the volume `prepared.run-"), "{stderr}");
    assert_eq!(list().lines().count(), 2, "{}", list());
    let check = kvfs(path, &["fsck", "--store", "file:s"]);
    assert!(check.status.success(), "{check:?}");
}

/// As [`MAKER`], but it prints a byte, waits for the end of its input, and then writes over `file`.
fn waiting_writer() -> String {
    let waits = r#"(func (export "_start")
      (i32.store (i32.const 16) (i32.const 8))
      (i32.store (i32.const 20) (i32.const 1))
      (drop (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 64)))
      (i32.store (i32.const 24) (i32.const 96))
      (i32.store (i32.const 28) (i32.const 1))
      (drop (call $read (i32.const 0) (i32.const 24) (i32.const 1) (i32.const 64)))"#;
    let reads = r#"(import "wasi_snapshot_preview1" "fd_read"
      (func $read (param i32 i32 i32 i32) (result i32)))
    (memory"#;
    let truncates = "(i32.const 8) (i64.const 64)";
    MAKER
        .replace("\"made\"", "\"file\"")
        .replace("(i32.const 5) (i64.const 64)", truncates)
        .replace("(memory", reads)
        .replace("(func (export \"_start\")", waits)
}

#[test]
fn what_a_guest_and_others_have_both_changed_is_kept_beside_the_volume() {
    let dir = workshop();
    let path = dir.path();
    std::fs::write(path.join("waiter.wasm"), wat::parse_str(waiting_writer()).unwrap()).unwrap();
    done(path, &["create", "--store", "file:s", "prepared"]);
    write(path, "file:s", "prepared", b"before");
    let mut guest = Command::new(env!("CARGO_BIN_EXE_kvfs"))
        .args([
            "run",
            "--store",
            "file:s",
            "--fork-of",
            "prepared",
            "--keep",
            "kept",
            "--merge",
            "waiter.wasm",
        ])
        .current_dir(path)
        .env("XDG_CACHE_HOME", path.join("cache"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    guest.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    write(path, "file:s", "prepared", b"changed");
    drop(guest.stdin.take());
    let output = guest.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.starts_with("kvfs: nothing is merged into `prepared`: "), "{stderr}");
    assert!(
        stderr.contains("in the volume `kept`") && stderr.ends_with(":\n    both-changed  /file\n"),
        "{stderr}"
    );
    assert_eq!(read(path, "file:s", "prepared", "file").unwrap(), b"changed");
    assert_eq!(read(path, "file:s", "kept", "file").unwrap(), b"file");
    done(path, &["merge", "--store", "file:s", "--theirs", "kept", "prepared"]);
    assert_eq!(read(path, "file:s", "prepared", "file").unwrap(), b"file");
    let check = kvfs(path, &["fsck", "--store", "file:s"]);
    assert!(check.status.success(), "{check:?}");
}
