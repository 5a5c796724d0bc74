//! Globs in paths of the commands on files of volumes.

use super::files::{done, text, told};
use super::files_changed::{STORE, fails, run};
use super::kvfs;
use std::fs;
use std::path::Path;

/// A directory with a store whose volumes `main` and `other` have the same tree.
fn scene() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    let tree = path.join("tree");
    for name in ["logs/old", "src", "out"] {
        fs::create_dir_all(tree.join(name)).unwrap();
    }
    for name in ["b.txt", "a.txt", ".hidden.txt", "c.log", "old/d.txt"] {
        fs::write(tree.join("logs").join(name), name).unwrap();
    }
    for name in ["a[1]", "a1", "*", "x.py", "y.py"] {
        fs::write(tree.join("src").join(name), name).unwrap();
    }
    std::os::unix::fs::symlink("logs", tree.join("link")).unwrap();
    for volume in ["main", "other"] {
        run(path, &["import", "--volume", volume, "tree"]);
    }
    dir
}

fn names(path: &Path, directory: &str) -> String {
    run(path, &["ls", directory]).lines().collect::<Vec<_>>().join(" ")
}

#[test]
fn rm_removes_what_matches_and_no_name_with_a_dot() {
    let dir = scene();
    let path = dir.path();
    run(path, &["rm", "logs/*.txt"]);
    assert_eq!(names(path, "logs"), ".hidden.txt c.log old");
    run(path, &["rm", "/lo*/.h*", "logs/[c-d]*"]);
    assert_eq!(names(path, "logs"), "old");
    // As a shell does, all are looked for before one is removed.
    assert_eq!(fails(path, &["rm", "src/?.py", "src/x*"]).len(), 1);
    assert_eq!(names(path, "src"), "* a1 a[1]");
    // A slash at the end means directories and links to such, and rm(1) removes no link by it.
    run(path, &["put", "tree/src/x.py", "lone"]);
    let lines = fails(path, &["rm", "-r", "l*/"]);
    assert!(lines.len() == 1 && lines[0].contains("link/"), "{lines:?}");
    assert_eq!(names(path, "/"), "link lone out src");
    run(path, &["rm", "-r", "*"]);
    assert_eq!(names(path, "/"), "");
    done(path, &["fsck", "--store", STORE]);
}

#[test]
fn what_matches_nothing_is_told_on_one_line_and_nothing_is_done() {
    let dir = scene();
    let path = dir.path();
    let before = run(path, &["find", "--json"]);
    for args in [
        &["rm", "logs/*.none"][..],
        &["rm", "none/*"],
        &["rm", "src/x.py/*"],
        &["rm", "-r", "src/*/"],
        &["rm", "logs/[a"],
        &["cp", "logs/*.none", "out"],
        &["mv", "other:/logs/*.none", "out"],
        &["get", "logs/*.none", "."],
        &["cat", "logs/*.none"],
        &["stat", "logs/*.none"],
        &["du", "logs/*.none"],
        &["find", "logs/*.none"],
        &["ls", "logs/*.none"],
    ] {
        let lines = fails(path, args);
        let glob = args.iter().find(|arg| arg.contains(['*', '['])).unwrap().trim_start_matches("other:");
        assert!(lines.len() == 1 && lines[0].contains("check the path"), "{args:?}: {lines:?}");
        assert!(lines[0].contains(glob), "{args:?}: {lines:?}");
    }
    run(path, &["rm", "-f", "logs/*.none", "src/x.py/*", "none/*"]);
    assert!(fails(path, &["rm", "-rf", "../*"])[0].contains("no path leaves its volume"));
    assert_eq!(run(path, &["find", "--json"]), before);
}

#[test]
fn an_entry_of_the_very_name_goes_first_and_a_backslash_makes_a_character_mean_itself() {
    let dir = scene();
    let path = dir.path();
    assert_eq!(run(path, &["cat", "src/a[1]"]), "a[1]");
    run(path, &["rm", "src/*"]);
    assert_eq!(names(path, "src"), "a1 a[1] x.py y.py");
    run(path, &["rm", "src/a[1]"]);
    assert_eq!(names(path, "src"), "a1 x.py y.py");
    // Now there is none.
    assert_eq!(run(path, &["cat", "src/a[1]"]), "a1");
    let other = ["--volume", "other"];
    let in_other = |args: &[&str]| run(path, &[&args[..1], &other, &args[1..]].concat());
    in_other(&["rm", r"src/\*", r"src/a\[1\]"]);
    assert_eq!(in_other(&["ls", "src"]), "a1\nx.py\ny.py\n");
    assert!(fails(path, &["rm", r"src/a\[1\]"])[0].contains("check the path"));
    assert_eq!(names(path, "src"), "a1 x.py y.py");
}

#[test]
fn a_literal_path_matches_nothing_but_itself() {
    let dir = scene();
    let path = dir.path();
    run(path, &["rm", "src/a[1]", r"src/\*"]);
    let before = run(path, &["find", "--json"]);
    for args in [
        &["rm", "src/a[1]"][..],
        &["rm", "-r", "*"],
        &["cp", "src/a[1]", "out"],
        &["mv", "src/*", "out"],
        &["get", "src/a[1]", "."],
        &["cat", "src/a[1]"],
        &["stat", "src/?1"],
        &["du", "src/{a1,x.py}"],
        &["find", "s*"],
        &["ls", "src/a[1]"],
    ] {
        let literal = [&args[..1], &["--literal"], &args[1..]].concat();
        let lines = fails(path, &literal);
        assert!(lines.len() == 1 && lines[0].contains("check the path"), "{args:?}: {lines:?}");
    }
    // As tree(1), it shows the path above the error.
    let shown = kvfs(path, &["tree", "--store", STORE, "--literal", "s*"]);
    assert!(!shown.status.success() && !text(&shown).contains("src"), "{shown:?}");
    assert_eq!(run(path, &["find", "--json"]), before);
    // A name that is there has all its characters, a backslash too.
    fs::write(path.join("odd"), "odd").unwrap();
    for name in ["a[1]", r"a\[1\]", "*"] {
        run(path, &["put", "odd", &format!("out/{name}")]);
        assert_eq!(run(path, &["cat", "--literal", &format!("out/{name}")]), "odd", "{name}");
        run(path, &["rm", "--literal", &format!("out/{name}")]);
        assert_eq!(names(path, "out"), "", "{name}");
    }
    run(path, &["cp", "--literal", "src/a1", "out/x[1]"]);
    run(path, &["mv", "--literal", "out/x[1]", "out/*"]);
    assert_eq!(names(path, "out"), "*");
}

#[test]
fn cp_and_mv_put_what_matches_into_a_directory() {
    let dir = scene();
    let path = dir.path();
    for command in ["cp", "mv"] {
        for to in ["new", "logs/c.log"] {
            assert!(fails(path, &[command, "src/*.py", to])[0].contains("takes one only"), "{command} {to}");
        }
    }
    run(path, &["cp", "src/*.py", "other:/logs/[ab].txt", "out"]);
    assert_eq!(names(path, "out"), "a.txt b.txt x.py y.py");
    // One match has a new name, as any other path.
    run(path, &["cp", "logs/c*", "renamed"]);
    assert_eq!(run(path, &["cat", "renamed"]), "c.log");
    assert!(
        fails(path, &["cp", "logs/*", "src"])[0].contains("logs/old: it is a directory; copy it with -r")
    );
    run(path, &["cp", "-r", "logs/o*", "src/y*", "out"]);
    assert_eq!(names(path, "out"), "a.txt b.txt old x.py y.py");
    // The destination has no globs.
    run(path, &["mv", "renamed", "o*t"]);
    assert_eq!(names(path, "/"), "link logs o*t out src");
    // The first one stays where two have one name.
    assert!(fails(path, &["mv", "{logs,src}/a*.txt", "src/a.txt", "out"]).len() == 2);
    run(path, &["mv", "other:/src/?.py", "logs/*.{txt,log}", "src"]);
    assert_eq!(names(path, "src"), "* a.txt a1 a[1] b.txt c.log x.py y.py");
    assert_eq!(names(path, "logs"), ".hidden.txt old");
    assert_eq!(run(path, &["ls", "--volume", "other", "src"]), "*\na1\na[1]\n");
    done(path, &["fsck", "--store", STORE]);
}

#[test]
fn get_puts_what_matches_into_a_directory() {
    let dir = scene();
    let path = dir.path();
    fs::create_dir(path.join("got")).unwrap();
    assert!(fails(path, &["get", "logs/*.txt", "missing"])[0].contains("takes one only"));
    assert!(fails(path, &["get", "logs/*.txt", "-"])[0].contains("`kvfs cat`"));
    assert!(fails(path, &["get", "*/?.txt", "got/a.txt"])[0].contains("takes one only"));
    run(path, &["get", "logs/*.txt", "got"]);
    assert_eq!(super::files(&path.join("got")), ["a.txt", "b.txt"]);
    // What can be copied is.
    let lines = fails(path, &["get", "logs/{c,o}*", "got"]);
    assert!(lines.len() == 1 && lines[0].contains("copy it with -r"), "{lines:?}");
    assert_eq!(fs::read(path.join("got/c.log")).unwrap(), b"c.log");
    run(path, &["get", "-r", "[ls]*[gc]*", "got"]);
    assert_eq!(super::files(&path.join("got/src")), ["*", "a1", "a[1]", "x.py", "y.py"]);
    assert_eq!(fs::read(path.join("got/logs/old/d.txt")).unwrap(), b"old/d.txt");
    // Two of one name.
    let lines = fails(path, &["get", "{link,logs}/a*", "got"]);
    assert!(lines.len() == 1 && lines[0].contains("got/a.txt was put there by this command"), "{lines:?}");
    // One has a new name, or goes to standard output; without a directory, they go here.
    run(path, &["get", "src/?.py", "got"]);
    run(path, &["get", "src/x*", "got/new"]);
    assert_eq!(fs::read(path.join("got/new")).unwrap(), b"x.py");
    assert_eq!(run(path, &["get", "src/x*", "-"]), "x.py");
    run(path, &["get", "src/*.py"]);
    assert_eq!(fs::read(path.join("y.py")).unwrap(), b"y.py");
}

#[test]
fn commands_that_look_take_globs_in_the_order_of_names() {
    let dir = scene();
    let path = dir.path();
    assert_eq!(run(path, &["cat", "logs/*.txt", "src/*.py"]), "a.txtb.txtx.pyy.py");
    assert_eq!(run(path, &["find", "/l*", "-name", "c*"]), "/logs/c.log\n");
    assert_eq!(run(path, &["du", "-s", "logs/[ab]*"]), "5\tlogs/a.txt\n5\tlogs/b.txt\n");
    assert!(run(path, &["tree", "logs/o*"]).starts_with("logs/old\n└── d.txt\n"));
    let shown = run(path, &["stat", "--json", "lo*/.hid*", "src/[xy]*"]);
    let paths: Vec<_> = shown.lines().map(|line| line.split("\"path\":\"").nth(1).unwrap()).collect();
    assert_eq!(paths.len(), 3, "{shown}");
    assert!(paths[0].starts_with("logs/.hidden.txt\"") && paths[2].starts_with("src/y.py\""), "{shown}");
    let output = kvfs(path, &["cat", "--store", STORE, "src/*.none", "src/x*"]);
    assert_eq!((output.status.code(), text(&output).as_str()), (Some(1), "x.py"), "{}", told(&output));
}
