//! Files of volumes that are changed without a guest: `mkdir`, `rm`, `mv` and `cp`.

use super::files::{done, told};
use super::kvfs;
use std::fs;
use std::path::Path;

pub(crate) const STORE: &str = "redb:s";

/// A directory with a store that has the volumes `main` and `other`, and in `main` the file `d/f`, the
/// link `l` to it and the file `g`.
pub(crate) fn scene() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    fs::create_dir_all(path.join("tree/d")).unwrap();
    fs::write(path.join("tree/d/f"), b"hello").unwrap();
    fs::write(path.join("tree/g"), b"good").unwrap();
    std::os::unix::fs::symlink("d/f", path.join("tree/l")).unwrap();
    run(path, &["import", "tree"]);
    done(path, &["volume", "create", "--store", STORE, "other"]);
    dir
}

fn with_store<'a>(args: &[&'a str]) -> Vec<&'a str> {
    [&args[..1], &["--store", STORE], &args[1..]].concat()
}

pub(crate) fn run(directory: &Path, args: &[&str]) -> String {
    done(directory, &with_store(args))
}

/// Runs what must fail, and returns the lines that it says.
pub(crate) fn fails(directory: &Path, args: &[&str]) -> Vec<String> {
    let output = kvfs(directory, &with_store(args));
    assert_eq!(output.status.code(), Some(1), "{args:?}: {}", told(&output));
    assert!(output.stdout.is_empty(), "{args:?}");
    let lines: Vec<String> = told(&output).lines().map(str::to_owned).collect();
    assert!(lines.iter().all(|line| line.starts_with("kvfs: ")), "{args:?}: {lines:?}");
    lines
}

/// All that is in a volume, with times.
pub(crate) fn all(directory: &Path, volume: &str) -> String {
    let found = run(directory, &["find", "--volume", volume, "--json"]);
    let mut lines: Vec<String> = found
        .lines()
        .map(|line| {
            let entry: serde_json::Value = serde_json::from_str(line).unwrap();
            ["path", "kind", "size", "links", "target", "modified"]
                .map(|key| entry[key].to_string())
                .join(" ")
        })
        .collect();
    lines.sort();
    lines.join("\n")
}

#[test]
fn mkdir_makes_directories_and_those_on_the_way() {
    let dir = scene();
    let path = dir.path();
    run(path, &["mkdir", "new", "/new/a"]);
    run(path, &["mkdir", "-p", "/new/b/c/", "new/a"]);
    assert_eq!(run(path, &["ls", "new", "new/b"]), "new:\na\nb\n\nnew/b:\nc\n");
    // Each path is tried.
    let lines = fails(path, &["mkdir", "new", "no/x", "made", "g/x"]);
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].contains("choose another name") && lines[1].contains("check the path"), "{lines:?}");
    assert!(fails(path, &["mkdir", "-p", "g/x"])[0].contains("not a directory"));
    assert!(fails(path, &["mkdir", "-p", "../x"])[0].contains("no path leaves its volume"));
    assert_eq!(run(path, &["ls", "/"]), "d\ng\nl\nmade\nnew\n");
    done(path, &["fsck", "--store", STORE]);
}

#[test]
fn rm_removes_files_and_with_r_trees_and_never_what_a_link_leads_to() {
    let dir = scene();
    let path = dir.path();
    assert!(fails(path, &["rm", "d"])[0].contains("remove it with -r"));
    assert!(fails(path, &["rm", "missing"])[0].contains("check the path"));
    for root in ["/", ".", "d/..", ""] {
        assert!(fails(path, &["rm", "-rf", root])[0].contains("name what is in it"), "{root}");
    }
    assert!(fails(path, &["rm", "-r", "g/"])[0].contains("not a directory"));
    assert!(fails(path, &["rm", "-rf", "../x"])[0].contains("no path leaves its volume"));
    run(path, &["rm", "-f", "missing", "g/x", "no/x"]);
    done(path, &["rm", "--store", STORE, "-f"]);
    // Without a path and -f, it is a mistake of usage.
    assert_eq!(kvfs(path, &["rm", "--store", STORE]).status.code(), Some(2));
    run(path, &["rm", "l"]);
    assert_eq!(run(path, &["cat", "d/f"]), "hello");
    // The others are removed.
    assert_eq!(fails(path, &["rm", "-r", "d", "missing", "g"]).len(), 1);
    assert_eq!(run(path, &["ls", "/"]), "");
    done(path, &["fsck", "--store", STORE]);
}

#[test]
fn mv_renames_moves_into_directories_and_loses_nothing() {
    let dir = scene();
    let path = dir.path();
    let before = all(path, "main");
    for (args, expected) in [
        (&["d", "d"][..], "into itself"),
        (&["d", "d/x"], "into itself"),
        (&["g", "./g"], "is the same"),
        (&["g", "missing/"], "there is no such directory; make it first"),
        (&["g/", "x"], "leave out the slash"),
        (&["l/", "x"], "leave out the slash"),
        (&["d", "g"], "not a directory"),
        (&["g", "d", "l"], "takes one only"),
        (&["g", "missing/x"], "check the path"),
        (&["/", "d/x"], "name what is in it"),
        (&["d/.", "x"], "name what is in it"),
        (&["g", "../x"], "no path leaves its volume"),
        (&["missing", "x"], "check the path"),
        (&["g", "ohter:/"], "did you mean `other`?"),
        (&["ohter:/x", "y"], "did you mean `other`?"),
    ] {
        let lines = fails(path, &[&["mv"], args].concat());
        assert!(lines[0].contains(expected), "{args:?}: {lines:?}");
        assert_eq!(all(path, "main"), before, "{args:?}");
    }
    run(path, &["mv", "g", "h"]);
    run(path, &["mkdir", "into"]);
    run(path, &["mv", "h", "/l", "into/"]);
    run(path, &["mv", "into", "d"]);
    assert_eq!(run(path, &["ls", "/", "d/into"]), "/:\nd\n\nd/into:\nh\nl\n");
    // A file takes the place of another one, a directory only that of an empty one.
    run(path, &["mv", "d/into/h", "d/f"]);
    assert_eq!(run(path, &["cat", "d/f"]), "good");
    run(path, &["mkdir", "-p", "e/into/x"]);
    assert!(fails(path, &["mv", "d/into", "e"])[0].contains("remove what is in it"));
    run(path, &["rm", "-r", "e/into/x"]);
    run(path, &["mv", "d/into", "e"]);
    assert_eq!(run(path, &["ls", "e/into"]), "l\n");
    // Two files of one name do not go into one directory.
    run(path, &["mkdir", "-p", "a", "b", "to"]);
    run(path, &["cp", "d/f", "a/f"]);
    run(path, &["mv", "d/f", "b/f"]);
    assert!(fails(path, &["mv", "a/f", "b/f", "to"])[0].contains("is not replaced"));
    assert_eq!(run(path, &["ls", "to", "b"]), "to:\nf\n\nb:\nf\n");
    done(path, &["fsck", "--store", STORE]);
}

#[test]
fn mv_of_a_name_onto_another_name_of_the_file_leaves_the_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    fs::create_dir(path.join("tree")).unwrap();
    fs::write(path.join("tree/a"), b"one").unwrap();
    fs::hard_link(path.join("tree/a"), path.join("tree/b")).unwrap();
    run(path, &["import", "tree"]);
    assert!(fails(path, &["mv", "a", ".//a"])[0].contains("is the same"));
    assert!(fails(path, &["cp", "a", "b"])[0].contains("the same file"));
    run(path, &["mv", "a", "b"]);
    assert_eq!(run(path, &["ls", "/"]), "b\n");
    assert_eq!(run(path, &["cat", "b"]), "one");
}

#[test]
fn trees_move_between_volumes_with_times_and_links() {
    let dir = scene();
    let path = dir.path();
    fs::hard_link(path.join("tree/g"), path.join("tree/d/h")).unwrap();
    run(path, &["rm", "-r", "d", "g", "l"]);
    run(path, &["import", "tree"]);
    let before = all(path, "main");
    run(path, &["cp", "-r", "main:/.", "other:/"]);
    assert_eq!(all(path, "other"), before);
    assert!(run(path, &["ls", "-l", "--volume", "other", "g"]).starts_with("- 2 4 "));
    // A directory that has something is not replaced, and nothing is lost.
    assert!(fails(path, &["mv", "main:/d", "other:/"])[0].contains("remove what is in it"));
    assert!(fails(path, &["mv", "main:/", "other:/"])[0].contains("name what is in it"));
    assert_eq!(all(path, "main"), before);
    run(path, &["rm", "-r", "--volume", "other", "d", "g", "l"]);
    run(path, &["mv", "--volume", "main", "d", "l", "/g", "other:/"]);
    assert_eq!(run(path, &["ls", "/"]), "");
    assert_eq!(run(path, &["cat", "--volume", "other", "d/f", "g", "l"]), "hellogoodhello");
    // Into the volume of --volume from another one, under another name.
    run(path, &["mv", "other:/d", "moved"]);
    assert_eq!(run(path, &["ls", "moved"]), "f\nh\n");
    done(path, &["fsck", "--store", STORE]);
}

#[test]
fn cp_copies_as_coreutils_does() {
    let dir = scene();
    let path = dir.path();
    let before = all(path, "main");
    for (args, expected) in [
        (&["d", "x"][..], "copy it with -r"),
        (&["g", "./g"], "the same file"),
        (&["d/f", "l"], "the same file"),
        (&["-r", "d", "d"], "into itself"),
        (&["-r", "d", "d/x"], "into itself"),
        (&["-r", "/", "d/x"], "into itself"),
        (&["-r", "d", "g"], "choose another name"),
        (&["g", "missing/"], "there is no such directory; make it first"),
        (&["g", "d", "l"], "takes one only"),
        (&["g", "missing/x"], "check the path"),
        (&["../x", "y"], "no path leaves its volume"),
        (&["g", "ohter:/"], "did you mean `other`?"),
    ] {
        let lines = fails(path, &[&["cp"], args].concat());
        assert!(lines[0].contains(expected), "{args:?}: {lines:?}");
        assert_eq!(all(path, "main"), before, "{args:?}");
    }
    // Without -r a link is followed, with -r it is copied.
    run(path, &["cp", "l", "followed"]);
    run(path, &["cp", "-r", "l", "kept"]);
    let long = run(path, &["ls", "-l", "followed", "kept"]);
    assert!(long.contains("- 1 5 ") && long.contains(" kept -> d/f"), "{long}");
    run(path, &["cp", "-r", "d", "copy"]);
    run(path, &["cp", "-r", "d", "copy"]);
    run(path, &["cp", "-r", "d/.", "/copy"]);
    assert_eq!(run(path, &["ls", "copy", "copy/d"]), "copy:\nd\nf\n\ncopy/d:\nf\n");
    // The time is that of the file.
    let time = |name: &str| run(path, &["ls", "-l", name]).split_once(" 20").unwrap().1[..17].to_owned();
    assert_eq!(time("copy/d/f"), time("d/f"));
    // What can be copied is.
    assert_eq!(fails(path, &["cp", "missing", "d", "g", "copy"]).len(), 2);
    assert_eq!(run(path, &["cat", "copy/g"]), "good");
    run(path, &["cp", "g", "copy/d/f"]);
    assert_eq!(run(path, &["cat", "copy/d/f", "d/f"]), "goodhello");
    done(path, &["fsck", "--store", STORE]);
}
