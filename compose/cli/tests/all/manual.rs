//! Completions and manual pages: of every command, and taken by shells and by man.

use super::{files, kvfs};
use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// The commands that `--help` of a command lists.
fn commands(path: &[&str]) -> Vec<String> {
    let help = kvfs(Path::new("."), &[path, &["--help"]].concat());
    let help = String::from_utf8(help.stdout).unwrap();
    let list =
        help.split("Commands:\n").nth(1).and_then(|rest| rest.split("\n\n").next()).unwrap_or_default();
    let names = list.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names = names.filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

/// All commands, such as `volume list`.
fn all_commands() -> Vec<Vec<String>> {
    let mut all = Vec::new();
    for command in commands(&[]) {
        let inner = commands(&[&command]);
        all.extend(inner.into_iter().map(|inner| vec![command.clone(), inner]));
        all.push(vec![command]);
    }
    assert!(all.contains(&vec!["volume".to_owned(), "list".to_owned()]), "{all:?}");
    all
}

/// Gives a script to a program, or returns false if there is no such program here.
fn takes(program: &str, args: &[&str], script: &[u8]) -> bool {
    let child = Command::new(program).args(args).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let Ok(mut child) = child else {
        eprintln!("skipped: there is no {program} here");
        return false;
    };
    child.stdin.take().unwrap().write_all(script).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{program}: {output:?}");
    true
}

fn script(shell: &str) -> Vec<u8> {
    let output = kvfs(Path::new("."), &["completions", shell]);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    output.stdout
}

#[test]
fn every_shell_takes_its_script_which_knows_every_command() {
    let args = ["-n"];
    for (shell, args) in [("bash", &args[..]), ("zsh", &args), ("fish", &["--no-execute"])] {
        let script = script(shell);
        assert!(takes(shell, args, &script) || shell != "bash", "bash is needed");
        let text = String::from_utf8(script).unwrap();
        for command in all_commands() {
            assert!(text.contains(command.last().unwrap()), "{shell} does not know {command:?}");
        }
        for option in ["store", "unified", "max-bytes"] {
            assert!(text.contains(option), "{shell} does not know --{option}");
        }
    }
    for shell in ["elvish", "powershell"] {
        assert!(!script(shell).is_empty());
    }
}

#[test]
fn bash_completes_commands_options_and_their_values() {
    let complete = |words: &[&str]| {
        let list: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
        let (last, before) = (words[words.len() - 1], words[words.len() - 2]);
        let ask = format!(
            "\nCOMP_WORDS=({})\nCOMP_CWORD={}\n_kvfs kvfs '{last}' '{before}'\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"\n",
            list.join(" "),
            words.len() - 1
        );
        let script = [script("bash"), ask.into_bytes()].concat();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("ask"), script).unwrap();
        let output = Command::new("bash").arg("ask").current_dir(dir.path()).output().unwrap();
        let replies = String::from_utf8(output.stdout).unwrap();
        replies.lines().map(str::to_owned).collect::<BTreeSet<String>>()
    };
    let one = |reply: &str| BTreeSet::from([reply.to_owned()]);
    assert_eq!(complete(&["kvfs", "check"]), one("check-store"));
    assert_eq!(complete(&["kvfs", "volume", "snap"]), one("snapshot"));
    assert_eq!(complete(&["kvfs", "diff", "--pat"]), one("--patch"));
    assert!(complete(&["kvfs", "completions", ""]).is_superset(&one("fish")));
}

#[test]
fn every_command_has_a_page_that_man_takes() {
    let dir = tempfile::tempdir().unwrap();
    let output = kvfs(dir.path(), &["man", "made/man1"]);
    assert!(output.status.success() && output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
    let pages: BTreeSet<String> = files(&dir.path().join("made/man1")).into_iter().collect();
    let mut expected = BTreeSet::from(["kvfs.1".to_owned()]);
    expected.extend(all_commands().iter().map(|command| format!("kvfs-{}.1", command.join("-"))));
    let missing: Vec<_> = expected.difference(&pages).collect();
    assert!(missing.is_empty(), "no pages of {missing:?}");
    for page in &pages {
        let text = std::fs::read(dir.path().join("made/man1").join(page)).unwrap();
        assert!(text.windows(5).any(|part| part == b".SH N"), "{page} has no name");
        // groff tells of what it cannot typeset.
        takes("groff", &["-Kutf8", "-man", "-Tutf8", "-ww", "-z"], &text);
    }
    // A directory that cannot be made.
    std::fs::write(dir.path().join("file"), b"").unwrap();
    let output = kvfs(dir.path(), &["man", "file/man1"]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && stderr.contains("name another directory"), "{stderr}");
}

/// Lists all files below a directory.
fn tree(directory: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        match path.is_dir() {
            true => found.extend(tree(&path).into_iter().map(|inner| format!("{name}/{inner}"))),
            false => drop(found.insert(name)),
        }
    }
    found
}

#[test]
fn make_install_puts_everything_in_place_and_uninstall_removes_it() {
    let dir = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let make = |target: &str| {
        let output = Command::new("make")
            .args([target, "PREFIX=/opt/k v"])
            .arg(format!("DESTDIR={}", dir.path().display()))
            .arg(format!("KVFS={}", env!("CARGO_BIN_EXE_kvfs")))
            .env_remove("MAKEFLAGS")
            .current_dir(&root)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    let there = dir.path().join("opt/k v/share/man/man1");
    std::fs::create_dir_all(&there).unwrap();
    std::fs::write(there.join("other.1"), b"").unwrap();
    make("install");
    let found = tree(&dir.path().join("opt/k v"));
    for expected in [
        "bin/kvfs",
        "share/bash-completion/completions/kvfs",
        "share/fish/vendor_completions.d/kvfs.fish",
        "share/man/man1/kvfs-volume-list.1",
        "share/man/man1/kvfs.1",
        "share/zsh/site-functions/_kvfs",
    ] {
        assert!(found.contains(expected), "{expected}: {found:?}");
    }
    make("uninstall");
    assert_eq!(tree(dir.path()), BTreeSet::from(["opt/k v/share/man/man1/other.1".to_owned()]));
}
