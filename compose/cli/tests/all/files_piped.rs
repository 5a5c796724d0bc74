//! A closed pipe ends a command quietly.

use super::files::done;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// A directory with a store, whose files need more than a pipe holds.
fn scene() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    fs::create_dir_all(tree.join("d")).unwrap();
    fs::write(tree.join("large"), vec![7; 1 << 20]).unwrap();
    for number in 0..300 {
        fs::write(tree.join(format!("d/{number:03}{}", "n".repeat(200))), b"x\n").unwrap();
    }
    done(dir.path(), &["import", "--store", "file:s", "tree"]);
    done(dir.path(), &["volume", "create", "--store", "file:s", "empty"]);
    dir
}

/// Runs a command whose standard output nobody reads.
fn unread(directory: &Path, args: &[&str]) -> Output {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    Command::new(env!("CARGO_BIN_EXE_kvfs"))
        .args(args)
        .current_dir(directory)
        .stdout(writer)
        .stderr(Stdio::piped())
        .output()
        .unwrap()
}

#[test]
fn regression_a_closed_pipe_ends_each_command_quietly() {
    let dir = scene();
    let path = dir.path();
    for (args, code) in [
        (&["export", "-"][..], 0),
        (&["get", "large", "-"], 0),
        (&["get", "lar*", "-"], 0),
        (&["cat", "large", "d/*", "missing"], 0),
        (&["ls", "d"], 0),
        (&["ls", "-lR"], 0),
        (&["ls", "--json", "d"], 0),
        (&["tree"], 0),
        (&["find"], 0),
        (&["find", "-print0"], 0),
        (&["stat", "d/*"], 0),
        (&["du"], 0),
        (&["df"], 0),
        (&["import", "--json", "tree"], 0),
        (&["volume", "list"], 0),
        (&["fsck"], 0),
        (&["diff", "main", "empty"], 0),
        (&["diff", "-p", "--exit-code", "main", "empty"], 1),
    ] {
        let at = if args[0] == "volume" { 2 } else { 1 };
        let args = [&args[..at], &["--store", "file:s"], &args[at..]].concat();
        let output = unread(path, &args);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), &*told), (Some(code), ""), "{args:?}");
    }
    for args in [&["completions", "bash"][..], &["--help"], &["ls", "--help"], &["--version"]] {
        let output = unread(path, args);
        assert!(output.status.success() && output.stderr.is_empty(), "{args:?}: {output:?}");
    }
}

#[test]
fn what_failed_before_the_pipe_was_closed_stays_an_error() {
    let dir = scene();
    let output = unread(dir.path(), &["cat", "--store", "file:s", "missing", "large"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && told.lines().count() == 1, "{output:?}");
    // Another failure of standard output is one.
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_kvfs"))
        .args(["export", "--store", "file:s", "-"])
        .current_dir(dir.path())
        .stdout(full)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && told.contains("No space left"), "{output:?}");
}

#[test]
fn what_was_read_before_a_pipe_is_closed_is_whole() {
    let dir = scene();
    let script = format!("'{}' export --store file:s - | head -c 262", env!("CARGO_BIN_EXE_kvfs"));
    let output = Command::new("bash")
        .args(["-c", &format!("{script}; echo \"${{PIPESTATUS[0]}}\"")])
        .current_dir(dir.path())
        .output()
        .unwrap();
    assert!(output.stderr.is_empty(), "{output:?}");
    assert!(output.stdout.ends_with(b"0\n") && output.stdout.len() == 262 + 2, "{output:?}");
    assert_eq!(output.stdout.get(257..262), Some(&b"ustar"[..]));
}
