//! The options of `kvfs ls`.

use super::files::{done, text, told};
use super::kvfs;
use std::fs;

/// A directory with a store of a small tree.
fn scene() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    fs::create_dir_all(tree.join("in/sub/deep")).unwrap();
    fs::create_dir(tree.join("in/.git")).unwrap();
    for (name, size) in [("in/a", 3), ("in/.dot", 1), ("in/sub/deep/b", 2_000_000), ("in/.git/head", 0)] {
        fs::write(tree.join(name), vec![7; size]).unwrap();
    }
    std::os::unix::fs::symlink("sub", tree.join("in/link")).unwrap();
    done(dir.path(), &["import", "--store", "file:s", "tree"]);
    dir
}

#[test]
fn ls_takes_the_options_of_coreutils() {
    let dir = scene();
    let ls = |args: &[&str]| done(dir.path(), &[&["ls", "--store", "file:s"], args].concat());
    // Names with dots are shown in any case, as before there were these options.
    let names = ".dot\n.git\na\nlink\nsub\n";
    for args in [&["in"][..], &["-A", "in"], &["-1", "in"], &["-1A", "/in/"], &["--almost-all", "in"]] {
        assert_eq!(ls(args), names, "{args:?}");
    }
    assert_eq!(ls(&["-a", "in"]), format!(".\n..\n{names}"));
    assert_eq!(ls(&["-ar", "in"]), "sub\nlink\na\n.git\n.dot\n..\n.\n");
    assert_eq!(ls(&["-a"]), ".\n..\nin\n");
    assert_eq!(ls(&["-d", "-R", "-a", "in", "/in/sub"]), "/in/sub\nin\n");
    assert_eq!(
        ls(&["-R", "in"]),
        format!("in:\n{names}\nin/.git:\nhead\n\nin/sub:\ndeep\n\nin/sub/deep:\nb\n")
    );
    assert_eq!(ls(&["-aR", "in/sub"]), "in/sub:\n.\n..\ndeep\n\nin/sub/deep:\n.\n..\nb\n");
    assert_eq!(
        ls(&["-R", "-r", "in/a", "in/sub", "in/.git"]),
        "in/a\n\nin/sub:\ndeep\n\nin/sub/deep:\nb\n\nin/.git:\nhead\n"
    );
    assert!(ls(&["-R"]).starts_with("/:\nin\n\n/in:\n.dot\n"));
    // Directories that are below are in the order of the others.
    let lines = ls(&["-Rr", "in"]);
    let heads: Vec<_> = lines.lines().filter(|line| line.ends_with(':')).collect();
    assert_eq!(heads, ["in:", "in/sub:", "in/sub/deep:", "in/.git:"]);
    let long = ls(&["-lh", "in/sub/deep", "in/a"]);
    assert!(long.starts_with("- 1 3 B 20") && long.contains("\n- 1 1.91 MiB 20"), "{long}");
    let long = ls(&["-la", "in/sub"]);
    let lines: Vec<_> = long.lines().collect();
    assert!(lines.len() == 3 && lines[0].starts_with("d 3 1 ") && lines[0].ends_with(" ."), "{long}");
    assert!(lines[1].starts_with("d 4 5 ") && lines[1].ends_with(" .."), "{long}");
}

#[test]
fn ls_options_make_sense_with_json() {
    let dir = scene();
    let paths = |args: &[&str]| {
        let shown = done(dir.path(), &[&["ls", "--store", "file:s", "--json"], args].concat());
        let path = |line: &str| {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(value["size"].is_u64(), "{line}");
            value["path"].as_str().unwrap().to_owned()
        };
        shown.lines().map(path).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        paths(&["-Rh1", "in"]),
        "in/.dot in/.git in/a in/link in/sub in/.git/head in/sub/deep in/sub/deep/b"
    );
    assert_eq!(paths(&["-a", "in/sub"]), "in/sub/. in/sub/.. in/sub/deep");
    assert_eq!(paths(&["-d", "in/sub", "/"]), "/ in/sub");
}

#[test]
fn a_directory_that_cannot_be_listed_leaves_the_others() {
    let dir = scene();
    let output = kvfs(dir.path(), &["ls", "--store", "file:s", "-R", "missing", "in/sub"]);
    assert_eq!(text(&output), "in/sub:\ndeep\n\nin/sub/deep:\nb\n");
    assert_eq!((output.status.code(), told(&output).lines().count()), (Some(1), 1));
    for option in ["-h", "--human-readable"] {
        assert!(!done(dir.path(), &["ls", "--store", "file:s", option]).contains("Usage"), "{option}");
    }
    assert!(done(dir.path(), &["ls", "--help"]).contains("Unlike there, an entry of this very name"));
}
