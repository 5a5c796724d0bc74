//! Files of volumes that are looked at without a guest: `find`, `tree`, `stat`, `du` and `df`.

use super::files::{done, text, told};
use super::kvfs;
use serde_json::Value;
use std::fs;
use std::path::Path;

const STORE: &str = "file:s";

/// A directory with a store that has a tree of every kind: `d/e/deep.txt` (5 bytes), `d/large.bin`
/// (100,000 bytes), `d/same.bin`, which is the same file, `holes` (1 GiB, of which some at the start) and
/// the link `l` to `d/e`.
fn scene() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    fs::create_dir_all(tree.join("d/e")).unwrap();
    fs::write(tree.join("d/e/deep.txt"), b"hello").unwrap();
    fs::write(tree.join("d/large.bin"), vec![1; 100_000]).unwrap();
    fs::hard_link(tree.join("d/large.bin"), tree.join("d/same.bin")).unwrap();
    fs::write(tree.join("holes"), vec![2; 10_000]).unwrap();
    fs::OpenOptions::new().write(true).open(tree.join("holes")).unwrap().set_len(1 << 30).unwrap();
    std::os::unix::fs::symlink("d/e", tree.join("l")).unwrap();
    run(dir.path(), &["import", "tree"]);
    dir
}

fn with_store<'a>(args: &[&'a str]) -> Vec<&'a str> {
    [&args[..1], &["--store", STORE], &args[1..]].concat()
}

fn run(directory: &Path, args: &[&str]) -> String {
    done(directory, &with_store(args))
}

/// The lines, sorted.
fn lines(directory: &Path, args: &[&str]) -> Vec<String> {
    let mut lines: Vec<String> = run(directory, args).lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

fn objects(directory: &Path, args: &[&str]) -> Vec<Value> {
    run(directory, args).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn find_takes_the_conditions_of_find() {
    let dir = scene();
    let path = dir.path();
    let all = ["/", "/d", "/d/e", "/d/e/deep.txt", "/d/large.bin", "/d/same.bin", "/holes", "/l"];
    assert_eq!(lines(path, &["find"]), all);
    assert_eq!(lines(path, &["find", "/"]), all);
    assert_eq!(lines(path, &["find", "d/e/", "l"]), ["d/e", "d/e/deep.txt", "l"]);
    for (args, expected) in [
        (&["-name", "*.bin"][..], &["/d/large.bin", "/d/same.bin"][..]),
        (&["-name", "d"], &["/d"]),
        (&["-iname", "DEEP*"], &["/d/e/deep.txt"]),
        (&["-type", "d"], &["/", "/d", "/d/e"]),
        (&["-type", "l,d", "-maxdepth", "1"], &["/", "/d", "/l"]),
        (&["-size", "5c"], &["/d/e/deep.txt"]),
        (&["-size", "+90k", "-name", "s*"], &["/d/same.bin"]),
        (&["-size", "+100M"], &["/holes"]),
        (&["-type", "f", "-size", "-2k"], &["/d/e/deep.txt"]),
        (&["--name", "nothing"], &[]),
    ] {
        assert_eq!(lines(path, &[&["find"], args].concat()), expected, "{args:?}");
    }
    // Newer: what was put there a second later.
    let earlier = fs::FileTimes::new().set_modified(std::time::SystemTime::UNIX_EPOCH);
    fs::write(path.join("old"), b"").unwrap();
    fs::File::options().write(true).open(path.join("old")).unwrap().set_times(earlier).unwrap();
    fs::create_dir(path.join("more")).unwrap();
    fs::rename(path.join("old"), path.join("more/old")).unwrap();
    run(path, &["import", "more", "--to", "more"]);
    assert!(lines(path, &["find", "-newer", "more/old"]).contains(&"/d/e/deep.txt".to_owned()));
    assert!(!lines(path, &["find", "-newer", "d/e/deep.txt"]).contains(&"/more/old".to_owned()));
    assert_eq!(run(path, &["find", "d/e", "-type", "f", "-print0"]), "d/e/deep.txt\0");
    let found = objects(path, &["find", "l", "--json"]);
    assert_eq!((&found[0]["path"], &found[0]["target"]), (&"l".into(), &"d/e".into()));
    // A condition that cannot be is a mistake of usage; the rest is found beside a path that there is not.
    for wrong in [&["-size", "5x"][..], &["-name", "[a"], &["-type", "p"], &["-maxdepth", "-1"]] {
        let output = kvfs(path, &with_store(&[&["find"], wrong].concat()));
        assert_eq!(output.status.code(), Some(2), "{wrong:?}: {}", told(&output));
    }
    let output = kvfs(path, &with_store(&["find", "missing", "d/e"]));
    assert_eq!((output.status.code(), text(&output).as_str()), (Some(1), "d/e\nd/e/deep.txt\n"));
    assert!(told(&output).contains("check the path"), "{}", told(&output));
}

#[test]
fn tree_shows_levels_sorted_by_name() {
    let dir = scene();
    let path = dir.path();
    assert_eq!(
        run(path, &["tree"]),
        "/
├── d
│   ├── e
│   │   └── deep.txt
│   ├── large.bin
│   └── same.bin
├── holes
└── l -> d/e

2 directories, 5 files
"
    );
    assert_eq!(
        run(path, &["tree", "-L", "1", "d", "l"]),
        "d\n├── e\n├── large.bin\n└── same.bin\nl\n└── deep.txt\n\n1 directory, 3 files\n"
    );
    let found = objects(path, &["tree", "--json", "d"]);
    let paths: Vec<&str> = found.iter().map(|entry| entry["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["d/e", "d/e/deep.txt", "d/large.bin", "d/same.bin"]);
    assert_eq!(kvfs(path, &with_store(&["tree", "-L", "0"])).status.code(), Some(2));
    let output = kvfs(path, &with_store(&["tree", "missing", "d/e"]));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output), "d/e\n└── deep.txt\n\n0 directories, 1 file\n");
    assert!(told(&output).contains("check the path"));
}

#[test]
fn stat_tells_everything_that_a_volume_knows() {
    let dir = scene();
    let path = dir.path();
    let shown = run(path, &["stat", "d/e/deep.txt"]);
    for expected in
        ["path: d/e/deep.txt\n", "kind: file\n", "bytes: 5\n", "links: 1\n", "inode: ", "modified: 20"]
    {
        assert!(shown.contains(expected), "{expected}: {shown}");
    }
    assert!(run(path, &["stat", "l"]).contains("kind: symlink\ntarget: d/e\nbytes: 3\n"));
    assert!(run(path, &["stat", "-L", "l"]).contains("kind: directory\nentries: 1\n"));
    assert!(run(path, &["stat", "holes"]).contains("bytes: 1073741824, without holes "));
    let found = objects(path, &["stat", "--json", "d/large.bin", "d/same.bin", "holes", "/"]);
    assert_eq!(found.len(), 4);
    assert_eq!(found[0]["inode"], found[1]["inode"]);
    assert_eq!((&found[0]["links"], &found[0]["data"]), (&2.into(), &100_000.into()));
    assert!((10_000..200_000).contains(&found[2]["data"].as_u64().unwrap()), "{:?}", found[2]);
    assert_eq!(found[3]["data"], Value::Null);
    let host = fs::metadata(path.join("tree/holes")).unwrap().modified().unwrap();
    let host = host.duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!(found[2]["modified"], serde_json::json!([host.as_secs(), host.subsec_nanos()]));
    let output = kvfs(path, &with_store(&["stat", "missing", "d"]));
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).starts_with("path: d\n") && told(&output).contains("check the path"));
}

#[test]
fn du_counts_data_once_and_df_what_a_volume_uses() {
    let dir = scene();
    let path = dir.path();
    let holes = objects(path, &["stat", "--json", "holes"])[0]["data"].as_u64().unwrap();
    // The link's target has three bytes.
    let whole = 5 + 100_000 + holes + 3;
    assert_eq!(run(path, &["du"]), format!("5\t/d/e\n100005\t/d\n{whole}\t/\n"));
    assert_eq!(run(path, &["du", "-s"]), format!("{whole}\t/\n"));
    assert_eq!(run(path, &["du", "-d", "1", "/"]), format!("100005\t/d\n{whole}\t/\n"));
    assert_eq!(
        run(path, &["du", "-s", "d/e", "d/large.bin", "d/same.bin"]),
        "5\td/e\n100000\td/large.bin\n0\td/same.bin\n"
    );
    assert_eq!(run(path, &["du", "-sh", "d"]), "97.66 KiB\td\n");
    let found = objects(path, &["du", "--json", "d"]);
    assert_eq!(found[1], serde_json::json!({ "path": "d", "bytes": 100_005, "files": 2 }));
    let output = kvfs(path, &with_store(&["du", "-s", "missing", "d"]));
    assert_eq!((output.status.code(), text(&output).as_str()), (Some(1), "100005\td\n"));

    let df = &objects(path, &["df", "--json"])[0];
    assert_eq!((&df["files"], &df["names"], &df["max_bytes"]), (&7.into(), &7.into(), &Value::Null));
    let used = df["bytes"].as_u64().unwrap();
    // Inodes and names are charged too.
    assert!((whole..whole + 2000).contains(&used), "{used} for {whole}");
    done(path, &["settings", "set", "--store", STORE, "--max-bytes", "1M", "--max-inodes", "7"]);
    let rows = run(path, &["df"]);
    let rows: Vec<Vec<&str>> = rows.lines().map(|row| row.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["used", "limit", "free", "use"]);
    let free = (1_048_576 - used).to_string();
    assert_eq!(rows[1][..4], ["bytes", &used.to_string(), "1048576", &free]);
    assert_eq!(rows[2], ["files", "7", "7", "0", "100%"]);
    assert_eq!(rows[3], ["names", "7", "-", "-", "-"]);
    assert!(run(path, &["df", "-h"]).contains("1.00 MiB"));
}

#[test]
fn looking_changes_nothing_and_mistakes_say_what_to_do() {
    let dir = scene();
    let path = dir.path();
    let before = super::files(&path.join("s"));
    for command in ["ls", "find", "tree", "stat", "du", "df"] {
        let more: &[&str] = if command == "stat" { &["/"] } else { &[] };
        run(path, &[&[command], more].concat());
        for (store, volume, expected) in [
            ("file:none", "main", "no such store"),
            ("file:tree", "main", "no such store"),
            ("dir:x", "main", "names no store"),
            (STORE, "mian", "did you mean `main`?"),
        ] {
            let output = kvfs(path, &[&[command, "--store", store, "--volume", volume], more].concat());
            let stderr = told(&output);
            assert!(output.status.code() == Some(1) && stderr.contains(expected), "{command}: {stderr}");
            assert_eq!((stderr.lines().count(), text(&output).as_str()), (1, ""), "{command}: {stderr}");
        }
        if command != "df" {
            let output = kvfs(path, &with_store(&[command, "../x"]));
            assert!(told(&output).contains("no path leaves its volume"), "{command}: {}", told(&output));
            assert_eq!(output.status.code(), Some(1), "{command}");
        }
        assert_eq!(kvfs(path, &with_store(&[command, "--nonsense"])).status.code(), Some(2));
        let help = text(&kvfs(path, &[command, "--help"]));
        assert!(help.contains(&format!("Examples:\n  kvfs {command} ")), "{help}");
    }
    assert_eq!(super::files(&path.join("s")), before);
}

#[test]
fn ls_sorts_and_takes_globs() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    let tree = path.join("tree");
    fs::create_dir_all(tree.join("sub")).unwrap();
    for (name, size, second) in
        [("a.txt", 3, 30), ("b.txt", 20, 10), ("c.bin", 100, 20), (".hidden.txt", 1, 5)]
    {
        fs::write(tree.join(name), vec![0; size]).unwrap();
        let times = fs::FileTimes::new()
            .set_modified(std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(second));
        fs::File::options().write(true).open(tree.join(name)).unwrap().set_times(times).unwrap();
    }
    fs::write(tree.join("sub/d.txt"), b"").unwrap();
    fs::write(tree.join("sub/[x].txt"), b"").unwrap();
    run(path, &["import", "tree", "--to", "in"]);
    for (args, expected) in [
        (&["in"][..], ".hidden.txt a.txt b.txt c.bin sub"),
        (&["-r", "in"], "sub c.bin b.txt a.txt .hidden.txt"),
        (&["-t", "in/*.txt", "in/c.bin"], "in/a.txt in/c.bin in/b.txt"),
        (&["-tr", "in/*.txt"], "in/b.txt in/a.txt"),
        (&["-S", "in/*.{txt,bin}"], "in/c.bin in/b.txt in/a.txt"),
        (&["/in/.*"], "/in/.hidden.txt"),
        (&["/*/*/d*"], "/in/sub/d.txt"),
        (&["-d", "in/s*", "in/a*"], "in/a.txt in/sub"),
        (&["in/sub/[x].txt"], "in/sub/[x].txt"),
        (&["in/a.txt", "in/sub", "in/c.bin"], "in/a.txt in/c.bin  in/sub: [x].txt d.txt"),
    ] {
        let output = kvfs(path, &with_store(&[&["ls"], args].concat()));
        let shown = text(&output).lines().collect::<Vec<_>>().join(" ");
        assert_eq!(shown, expected, "{args:?}: {}", told(&output));
    }
    let output = kvfs(path, &with_store(&["ls", "in/*/missing", "in/sub"]));
    assert_eq!((output.status.code(), text(&output).as_str()), (Some(1), "in/sub:\n[x].txt\nd.txt\n"));
    assert!(told(&output).contains("in/*/missing"), "{}", told(&output));
}

/// Runs a command at a terminal of so many columns, and returns what it shows there; `None` without script(1).
fn at_terminal(directory: &Path, columns: u32, variable: &str, args: &str) -> Option<String> {
    let command = format!("stty rows 24 cols {columns}; {variable} '{}' {args}", env!("CARGO_BIN_EXE_kvfs"));
    let output = std::process::Command::new("script")
        .args(["-qec", &command, "/dev/null"])
        .current_dir(directory)
        .env("TERM", "xterm")
        .env_remove("NO_COLOR")
        .env_remove("LS_COLORS")
        .stdin(std::process::Stdio::null())
        .output();
    match output {
        Ok(output) => Some(text(&output).replace('\r', "")),
        Err(_) => {
            eprintln!("skipped: there is no script(1) here");
            None
        }
    }
}

#[test]
fn ls_shows_columns_and_colours_on_a_terminal_only() {
    let dir = scene();
    let path = dir.path();
    run(path, &["mkdir", "e\x1b[2J"]);
    let Some(shown) = at_terminal(path, 20, "LS_COLORS=di=34:ln=36", "ls --store file:s /") else { return };
    assert!(shown.contains("\x1b[34md\x1b[0m") && shown.contains("\x1b[36ml\x1b[0m"), "{shown:?}");
    assert!(shown.contains("e\\u{1b}[2J") && !shown.contains("\x1b[2J"), "{shown:?}");
    let shown = at_terminal(path, 20, "NO_COLOR=1", "ls --store file:s d").unwrap_or_default();
    assert_eq!(shown, "e          same.bin\nlarge.bin\n");
    let shown = at_terminal(path, 20, "NO_COLOR=1", "ls --store file:s d/e d holes").unwrap_or_default();
    assert_eq!(shown, "holes\n\nd/e:\ndeep.txt\n\nd:\ne          same.bin\nlarge.bin\n");
    run(path, &["mkdir", "f", "f/a", "f/b", "f/c", "f/d"]);
    let shown = at_terminal(path, 20, "NO_COLOR=1", "ls --store file:s f").unwrap_or_default();
    assert_eq!(shown, "a  b  c  d\n");
    assert_eq!(run(path, &["ls", "f"]), "a\nb\nc\nd\n");
}

#[test]
fn long_work_shows_the_rate_and_the_time_that_remains_on_a_terminal_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    fs::create_dir_all(path.join("tree")).unwrap();
    for number in 0..8 {
        fs::write(path.join(format!("tree/{number}")), vec![number; 20_000_000]).unwrap();
    }
    for args in
        ["import --store file:s tree --to d", "export --store file:s out", "cp --store file:s -r d copy"]
    {
        let Some(shown) = at_terminal(path, 100, "", args) else { return };
        assert!(shown.contains("B/s, ") && shown.contains(" left"), "{args}: {shown:?}");
    }
    // Into a pipe, nothing is said.
    assert_eq!(run(path, &["cp", "-r", "copy", "again"]), "");
    let copied = run(path, &["du", "-s", "copy", "again"]);
    assert_eq!(copied, "160000000\tcopy\n160000000\tagain\n");
}

#[test]
fn an_import_of_an_archive_shows_its_bytes_and_the_time_that_remains_where_its_length_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    fs::create_dir_all(path.join("tree")).unwrap();
    let mut noise = 7_u64;
    for number in 0..4 {
        let words = std::iter::repeat_with(|| {
            noise ^= noise << 13;
            noise ^= noise >> 7;
            noise ^= noise << 17;
            noise.to_le_bytes()
        });
        let bytes: Vec<u8> = words.take(1 << 21).flatten().collect();
        fs::write(path.join(format!("tree/{number}")), bytes).unwrap();
    }
    for (name, kind) in [("t.tar", "-cf"), ("t.tar.gz", "-czf")] {
        let tar = std::process::Command::new("tar").args([kind, name, "tree"]).current_dir(path).status();
        assert!(tar.unwrap().success());
        let Some(shown) = at_terminal(path, 100, "", &format!("import --store file:{name}.s {name}")) else {
            return;
        };
        let total = format!("/{}", indicatif::HumanBytes(fs::metadata(path.join(name)).unwrap().len()));
        assert!(shown.contains("B/s, ") && shown.contains(" left"), "{name}: {shown:?}");
        assert!(shown.contains(&total), "{name}: {total} in {shown:?}");
    }
    // Nobody knows where standard input ends.
    let piped = format!("import --store file:piped.s - <{}", path.join("t.tar").display());
    let shown = at_terminal(path, 100, "", &piped).unwrap_or_default();
    assert!(shown.contains("entries, ") && shown.contains("B/s") && !shown.contains(" left"), "{shown:?}");
}
