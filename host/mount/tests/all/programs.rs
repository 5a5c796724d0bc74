//! Programs that people use on a mount. After each, the volume is remounted and compared.

use crate::harness::{Place, available, has, python, run};
use std::fs;
use std::path::Path;

/// Makes a tree with what a volume keeps: files of all sizes, links, holes, times.
fn make_tree(root: &Path) {
    python("tree.py", &["make"], root);
}

/// Fails unless both trees hold the same, with times.
fn compare(one: &Path, other: &Path) {
    python("tree.py", &["compare", one.to_str().unwrap(), other.to_str().unwrap()], one);
}

#[test]
fn tar_brings_a_tree_in_and_out() {
    if !available() || !has("tar") {
        return;
    }
    let place = Place::new();
    let (root, outside) = (place.mounted(), place.outside());
    fs::create_dir(outside.join("tree")).unwrap();
    make_tree(&outside.join("tree"));
    run("tar", &["-cf", "in.tar", "tree"], &outside);
    let served = place.mount("close");
    run("tar", &["-xf", outside.join("in.tar").to_str().unwrap()], &root);
    compare(&outside.join("tree"), &root.join("tree"));
    served.unmount();
    place.fsck();
    let served = place.mount("close");
    compare(&outside.join("tree"), &root.join("tree"));
    run("tar", &["-cf", outside.join("out.tar").to_str().unwrap(), "tree"], &root);
    run("rm", &["-r", "tree"], &root);
    assert_eq!(fs::read_dir(&root).unwrap().count(), 0);
    served.unmount();
    fs::create_dir(outside.join("back")).unwrap();
    run("tar", &["-xf", "../out.tar"], &outside.join("back"));
    compare(&outside.join("tree"), &outside.join("back/tree"));
    place.fsck();
}

#[test]
fn git_works_in_a_clone() {
    if !available() || !has("git") {
        return;
    }
    let place = Place::new();
    let (root, source) = (place.mounted(), place.outside().join("source"));
    fs::create_dir(&source).unwrap();
    let commit = |directory: &Path, message: &str| {
        let who = ["-c", "user.name=K", "-c", "user.email=k@example.org"];
        run("git", &[&who[..], &["add", "-A"]].concat(), directory);
        run("git", &[&who[..], &["commit", "-qm", message]].concat(), directory);
    };
    run("git", &["init", "-q", "-b", "main"], &source);
    for round in 0..5 {
        for number in 0..40 {
            let text = format!("line {round}\n").repeat(number * round + 1);
            let directory = source.join(format!("d{}", number % 7));
            fs::create_dir_all(&directory).unwrap();
            fs::write(directory.join(format!("f{number}")), text).unwrap();
        }
        commit(&source, &format!("Round {round}"));
    }
    let served = place.mount("close");
    run("git", &["clone", "-q", "--no-hardlinks", source.to_str().unwrap(), "clone"], &root);
    let clone = root.join("clone");
    assert_eq!(run("git", &["status", "--porcelain"], &clone), "");
    fs::write(clone.join("d1/f1"), "changed here\n").unwrap();
    commit(&clone, "Change on the mount");
    run("git", &["checkout", "-q", "HEAD~3"], &clone);
    run("git", &["checkout", "-q", "main"], &clone);
    run("git", &["gc", "-q", "--prune=now"], &clone);
    let head = run("git", &["rev-parse", "HEAD"], &clone);
    served.unmount();
    place.fsck();
    let served = place.mount("close");
    run("git", &["fsck", "--full", "--strict"], &clone);
    assert_eq!(run("git", &["rev-parse", "HEAD"], &clone), head);
    assert_eq!(run("git", &["status", "--porcelain"], &clone), "");
    run("git", &["pull", "-q", clone.to_str().unwrap(), "main"], &source);
    assert_eq!(fs::read(source.join("d1/f1")).unwrap(), b"changed here\n");
    served.unmount();
}

#[test]
fn rsync_copies_once_and_then_nothing() {
    if !available() || !has("rsync") {
        return;
    }
    let place = Place::new();
    let (root, tree) = (place.mounted(), place.outside().join("tree"));
    fs::create_dir(&tree).unwrap();
    make_tree(&tree);
    let from = format!("{}/", tree.display());
    let served = place.mount("close");
    run("rsync", &["-aH", &from, "copy"], &root);
    compare(&tree, &root.join("copy"));
    served.unmount();
    place.fsck();
    let served = place.mount("close");
    compare(&tree, &root.join("copy"));
    let again = run("rsync", &["-aH", "--out-format=%i %n", &from, "copy"], &root);
    // Permissions are not kept, so they are told as different; no bytes and no times are.
    let copied: Vec<&str> = again.lines().filter(|line| line.starts_with(['>', '<', 'c', 'h'])).collect();
    assert!(copied.is_empty(), "{copied:?}");
    let with_times = again.lines().filter(|line| line.split(' ').next().unwrap().contains('t'));
    assert_eq!(with_times.count(), 0, "{again}");
    fs::write(tree.join("small-0"), "changed").unwrap();
    fs::remove_file(tree.join("small-1")).unwrap();
    run("rsync", &["-aH", "--delete", &from, "copy"], &root);
    compare(&tree, &root.join("copy"));
    served.unmount();
    place.fsck();
}

#[test]
fn sqlite_keeps_a_database() {
    if !available() || !has("sqlite3") {
        return;
    }
    let place = Place::new();
    let root = place.mounted();
    for (mode, journal) in [("close", "delete"), ("lazy", "truncate"), ("close", "wal")] {
        let served = place.mount(mode);
        let database = format!("{mode}-{journal}.db");
        let mut script = format!(
            "pragma journal_mode={journal}; create table t(id integer primary key, text text, bytes blob);\n"
        );
        for number in 0..150 {
            script += "begin;\n";
            for row in 0..5 {
                script += &format!(
                    "insert into t(text, bytes) values('{number}-{row}', randomblob({}));\n",
                    row * 700
                );
            }
            script += if number % 10 == 9 { "rollback;\n" } else { "commit;\n" };
            script += &format!("delete from t where id % 170 = {number};\n");
        }
        fs::write(place.outside().join("script"), script).unwrap();
        let read = format!(".read {}", place.outside().join("script").display());
        run("sqlite3", &["-bail", &database, &read], &root);
        let count = run("sqlite3", &[&database, "select count(*), sum(length(bytes)) from t"], &root);
        served.unmount();
        place.fsck();
        let served = place.mount(mode);
        assert_eq!(run("sqlite3", &[&database, "pragma integrity_check"], &root).trim(), "ok");
        assert_eq!(run("sqlite3", &[&database, "select count(*), sum(length(bytes)) from t"], &root), count);
        assert!(count.split('|').next().unwrap().parse::<u32>().unwrap() > 100, "{count}");
        served.unmount();
    }
}
