//! Files of volumes without a guest: `import`, `export`, `ls`, `cat`, `put` and `get`.

use super::kvfs;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

pub(crate) fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn told(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

pub(crate) fn done(directory: &Path, args: &[&str]) -> String {
    let output = kvfs(directory, args);
    assert!(output.status.success(), "{args:?}: {}", told(&output));
    assert_eq!(told(&output), "", "{args:?}");
    text(&output)
}

fn tree() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("tree/d")).unwrap();
    fs::write(dir.path().join("tree/d/f"), b"hello").unwrap();
    fs::write(dir.path().join("tree/large"), vec![9; 2_000_000]).unwrap();
    dir
}

#[test]
fn trees_and_tars_go_in_and_come_out() {
    let dir = tree();
    let path = dir.path();
    let store = ["--store", "file:s"];
    let run = |args: &[&str]| done(path, &[&args[..1], &store, &args[1..]].concat());
    // Into a pipe, nothing is said.
    assert_eq!(run(&["import", "tree", "--to", "in"]), "");
    assert_eq!(run(&["ls", "/", "in"]), "/:\nin\n\nin:\nd\nlarge\n");
    assert_eq!(run(&["cat", "in/d/f", "/in/d/f"]), "hellohello");
    for name in ["out.tar", "out.tar.gz", "out.tar.zst"] {
        assert_eq!(run(&["export", name, "--from", "in"]), "");
        let report = run(&["import", name, "--volume", name, "--json"]);
        assert!(report.contains("\"files\":2"), "{report}");
        run(&["export", "--volume", name, &format!("{name}.d")]);
        assert_eq!(fs::read(path.join(format!("{name}.d/d/f"))).unwrap(), b"hello");
        assert!(fs::read(path.join(format!("{name}.d/large"))).unwrap() == vec![9; 2_000_000]);
    }
    let again = run(&["import", "tree", "--to", "in", "--json"]);
    assert!(again.contains("\"files\":0") && again.contains("\"unchanged\":2"), "{again}");
    let piped = kvfs(path, &[&["export"], &store[..], &["-", "--from", "in"]].concat());
    let mut import = Command::new(env!("CARGO_BIN_EXE_kvfs"))
        .args(["import", "--store", "file:s", "--volume", "piped", "-"])
        .current_dir(path)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut import.stdin.take().unwrap(), &piped.stdout).unwrap();
    assert!(import.wait().unwrap().success());
    assert_eq!(run(&["cat", "--volume", "piped", "d/f"]), "hello");
    done(path, &["fsck", "--store", "file:s"]);
}

#[test]
fn single_files_go_in_and_come_out() {
    let dir = tree();
    let path = dir.path();
    done(path, &["volume", "create", "--store", "redb:s", "main"]);
    done(path, &["put", "--store", "redb:s", "tree/d/f", "/renamed"]);
    done(path, &["put", "--store", "redb:s", "tree/large", "/"]);
    done(path, &["put", "-r", "--store", "redb:s", "tree", "/all"]);
    assert_eq!(done(path, &["ls", "--store", "redb:s"]), "all\nlarge\nrenamed\n");
    let long = done(path, &["ls", "-l", "--store", "redb:s"]);
    assert!(
        long.lines().nth(1).unwrap().starts_with("- 1 2000000 20") && long.ends_with(" renamed\n"),
        "{long}"
    );
    let json = done(path, &["ls", "--json", "--store", "redb:s", "renamed"]);
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&value["size"], &value["kind"]), (&5.into(), &"file".into()));
    done(path, &["get", "--store", "redb:s", "renamed", "got"]);
    assert_eq!(fs::read(path.join("got")).unwrap(), b"hello");
    done(path, &["get", "--store", "redb:s", "/all/d/f"]);
    assert_eq!(fs::read(path.join("f")).unwrap(), b"hello");
    done(path, &["get", "-r", "--store", "redb:s", "all", "back"]);
    assert_eq!(fs::read(path.join("back/d/f")).unwrap(), b"hello");
    assert_eq!(done(path, &["get", "--store", "redb:s", "renamed", "-"]), "hello");
}

#[test]
fn what_cannot_be_done_is_one_line_that_says_what_to_do_and_makes_nothing() {
    let dir = tree();
    let path = dir.path();
    done(path, &["import", "--store", "file:s", "tree"]);
    fs::write(path.join("cut.tar"), b"short").unwrap();
    let cases: &[(&[&str], &str)] = &[
        (&["ls", "--store", "file:none"], "no such store"),
        (&["ls", "--store", "file:tree"], "no such store"),
        (&["ls", "--store", "file:s", "--volume", "mian"], "did you mean `main`?"),
        (&["put", "--store", "file:s", "--volume", "other", "tree/large", "x"], "there is no volume `other`"),
        (&["put", "--store", "file:none", "tree/large", "x"], "no such store"),
        (&["put", "--store", "file:s", "missing", "x"], "check the path"),
        (&["put", "--store", "file:s", "tree", "x"], "-r"),
        (&["put", "--store", "file:s", "tree/large", "no/x"], "check the path"),
        (&["put", "--store", "file:s", "tree/large", "no/"], "there is no such directory; make it first"),
        (&["get", "--store", "file:s", "large", "no/"], "there is no such directory; make it first"),
        (&["cat", "--store", "file:s", "../x"], "no path leaves its volume"),
        (&["cat", "--store", "file:s", "d"], "is a directory"),
        (&["get", "--store", "file:s", "d"], "-r"),
        (&["get", "--store", "file:s", "nothing"], "check the path"),
        (&["import", "--store", "file:s", "nothing"], "check the path"),
        (&["import", "--store", "file:s", "cut.tar"], "is no tar"),
        (&["export", "--store", "file:s", "--from", "no", "out"], "check the path"),
    ];
    for (args, expected) in cases {
        let output = kvfs(path, args);
        let stderr = told(&output);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{args:?}: {stderr}");
        assert!(stderr.starts_with("kvfs: ") && stderr.contains(expected), "{args:?}: {stderr}");
    }
    assert!(!path.join("none").exists());
    assert_eq!(done(path, &["ls", "--store", "file:s"]), "d\nlarge\n");
}

#[test]
fn what_a_volume_cannot_hold_is_named_and_has_an_exit_code() {
    let dir = tree();
    let path = dir.path();
    assert!(Command::new("mkfifo").arg(path.join("tree/pipe")).status().unwrap().success());
    let output = kvfs(path, &["import", "--store", "file:s", "tree"]);
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(told(&output), "kvfs: left out: 1 pipes:\n    pipe\n");
    assert_eq!(done(path, &["ls", "--store", "file:s"]), "d\nlarge\n");
}

#[test]
fn names_that_are_not_utf8_are_told_counted_and_given_back() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let dir = tree();
    let path = dir.path();
    let odd = |name: &'static [u8]| OsStr::from_bytes(name);
    fs::write(path.join("tree").join(odd(b"caf\xe9")), b"coffee").unwrap();
    fs::write(path.join("tree/d").join(odd(b"\xff")), b"x").unwrap();
    std::os::unix::fs::symlink(odd(b"caf\xe9"), path.join("tree/link")).unwrap();
    let tar = Command::new("tar").args(["-cf", "t.tar", "-C", "tree", "."]).current_dir(path).status();
    assert!(tar.unwrap().success());
    for (from, volume) in [("tree", "a"), ("t.tar", "b")] {
        let output = kvfs(path, &["import", "--store", "file:s", "--volume", volume, "--json", from]);
        assert_eq!(output.status.code(), Some(0), "{}", told(&output));
        let mut lines: Vec<String> = told(&output).lines().map(str::to_owned).collect();
        let names: Vec<String> = lines.splice(1..3, []).collect();
        for name in [r"    caf\xe9 -> caf‛E9", r"    d/\xff -> d/‛FF"] {
            assert!(names.iter().any(|line| line == name), "{names:?}");
        }
        assert_eq!(
            lines,
            [
                "kvfs: held escaped: 2 names that are not UTF-8:",
                "kvfs: held escaped: 1 targets of symbolic links that are not UTF-8:",
                r"    link: caf\xe9 -> caf‛E9"
            ]
        );
        let report: serde_json::Value = serde_json::from_str(&text(&output)).unwrap();
        assert_eq!((&report["files"], &report["escaped"]), (&4.into(), &3.into()), "{report}");
        let lost = report["lost"].as_array().unwrap();
        assert_eq!((&lost[0]["count"], &lost[0]["left_out"]), (&2.into(), &false.into()), "{report}");
        let with = |args: &[&str]| {
            done(path, &[&args[..1], &["--store", "file:s", "--volume", volume], &args[1..]].concat())
        };
        assert_eq!(with(&["cat", "caf‛E9", "link"]), "coffeecoffee");
        with(&["export", &format!("out-{volume}")]);
        let out = path.join(format!("out-{volume}"));
        assert_eq!(fs::read(out.join(odd(b"caf\xe9"))).unwrap(), b"coffee");
        assert_eq!(fs::read(out.join("d").join(odd(b"\xff"))).unwrap(), b"x");
        assert_eq!(fs::read_link(out.join("link")).unwrap().as_os_str(), odd(b"caf\xe9"));
        // Single files, too.
        with(&["get", "caf‛E9"]);
        assert_eq!(fs::read(path.join(odd(b"caf\xe9"))).unwrap(), b"coffee");
        with(&["mkdir", "put"]);
        let put = Command::new(env!("CARGO_BIN_EXE_kvfs"))
            .args(["put", "--store", "file:s", "--volume", volume])
            .args([odd(b"caf\xe9"), OsStr::new("put")])
            .current_dir(path)
            .output()
            .unwrap();
        assert!(put.status.success() && put.stderr.is_empty(), "{put:?}");
        assert_eq!(with(&["cat", "put/caf‛E9"]), "coffee");
    }
}

#[test]
fn trees_by_put_and_get_tell_what_is_lost() {
    let dir = tree();
    let path = dir.path();
    assert!(Command::new("mkfifo").arg(path.join("tree/pipe")).status().unwrap().success());
    done(path, &["volume", "create", "--store", "file:s", "main"]);
    let output = kvfs(path, &["put", "-r", "--store", "file:s", "tree", "in"]);
    assert_eq!((output.status.code(), &*told(&output)), (Some(3), "kvfs: left out: 1 pipes:\n    pipe\n"));
    assert_eq!(done(path, &["ls", "--store", "file:s", "in"]), "d\nlarge\n");
}
