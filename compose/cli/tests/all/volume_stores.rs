//! Volumes in layers, in stores that are full, copied, encrypted anew, or interrupted.

use super::diff::{packed, write_above};
use super::volume::{MAKER, done, open, write};
use super::{kvfs, workshop};
use kvfs::{Access, At, Follow, OpenFlags, Options};
use std::path::Path;
use std::process::{Command, Output, Stdio};

const STORES: [&str; 2] = ["file:s", "redb:r.redb"];

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Makes a store with `main` in several layers, and the snapshot `then` of it.
fn layered(path: &Path, store: &str) {
    done(path, &["create", "--store", store, "main"]);
    write(path, store, "main", b"one");
    done(path, &["snapshot", "--store", store, "main", "then"]);
    write(path, store, "main", &[2; 100_000]);
    done(path, &["fork", "--store", store, "main", "try"]);
    write(path, store, "main", b"three");
}

fn list(path: &Path, args: &[&str]) -> String {
    done(path, &[&["list", "--json"], args].concat())
}

fn is_sound(path: &Path, args: &[&str]) {
    let check = kvfs(path, &[&["fsck"], args].concat());
    assert!(check.status.success(), "{check:?}");
}

/// Runs the command on a disk where no file may grow.
#[cfg(unix)]
fn full(path: &Path, args: &[&str]) -> Output {
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -f 0; trap '' XFSZ; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_kvfs")]);
    command.args(args).current_dir(path).output().unwrap()
}

#[cfg(unix)]
#[test]
fn a_full_disk_leaves_volumes_as_they_were_and_says_so() {
    let commands: [&[&str]; 7] = [
        &["fork", "main", "new"],
        &["snapshot", "main", "new"],
        &["restore", "--force", "main", "then"],
        &["rename", "main", "new"],
        &["flatten", "main"],
        &["rm", "main"],
        &["gc"],
    ];
    for store in STORES {
        for command in commands {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path();
            layered(path, store);
            let before = list(path, &["--store", store]);
            let args = [&["volume", command[0], "--store", store], &command[1..]].concat();
            let refused = full(path, &args);
            let said = text(&refused);
            // What only gives room may have enough.
            let may_succeed = ["rm", "gc"].contains(&command[0]);
            assert!(!refused.status.success() || may_succeed, "{store} {command:?} was done on a full disk");
            if !refused.status.success() {
                assert_eq!(
                    (refused.status.code(), said.lines().count()),
                    (Some(1), 1),
                    "{command:?}: {said}"
                );
                let is_clear = ["full", "room", "space", "too large"].iter().any(|word| said.contains(word));
                assert!(is_clear && said.starts_with("kvfs: "), "{store} {command:?}: {said}");
                assert_eq!(list(path, &["--store", store]), before, "{store} {command:?}");
            }
            is_sound(path, &["--store", store]);
            if !refused.status.success() {
                // With room it is done.
                let again = kvfs(path, &args);
                assert!(again.status.success(), "{store} {command:?}: {again:?}");
                is_sound(path, &["--store", store]);
            }
        }
    }
}

#[test]
fn volumes_in_layers_are_copied_set_and_encrypted_anew_as_others_are() {
    let dir = workshop();
    let path = dir.path();
    let secret = |name: &str, byte: u8| {
        std::fs::write(path.join(name), [byte; 32]).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(path.join(name), std::fs::Permissions::from_mode(0o600)).unwrap();
        }
    };
    secret("key", 7);
    secret("other", 9);
    layered(path, "file:s");
    let run = |args: &[&str]| {
        let output = kvfs(path, args);
        assert!(output.status.success(), "{args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    // Settings of a fork are its own.
    let limits = ["--max-bytes", "5000000", "--max-file-bytes", "200000"];
    run(&[&["settings", "set", "--store", "file:s", "--volume", "try"], &limits[..]].concat());
    let before = list(path, &["--store", "file:s"]);
    assert_eq!(before.matches("\"max_bytes\":5000000").count(), 1, "{before}");
    let diff = |store: &[&str]| {
        let output = kvfs(path, &[&["diff"], store, &["then", "main"]].concat());
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(diff(&["--store", "file:s"]), "M\t/file\n");
    run(&["store", "copy", "file:s", "redb:sealed.redb", "--to-key-file", "key"]);
    run(&["rekey", "--store", "redb:sealed.redb", "--key-file", "key", "--new-key-file", "other"]);
    let sealed = ["--store", "redb:sealed.redb", "--key-file", "other"];
    assert_eq!(list(path, &sealed), before);
    assert_eq!(diff(&sealed), "M\t/file\n");
    is_sound(path, &sealed);
    done(path, &[&["flatten"], &sealed[..], &["try"]].concat());
    done(path, &[&["rm"], &sealed[..], &["then"]].concat());
    is_sound(path, &sealed);
    run(&["store", "copy", "redb:sealed.redb", "file:plain", "--key-file", "other", "--decrypt"]);
    is_sound(path, &["--store", "file:plain"]);
    assert_eq!(list(path, &["--store", "file:plain"]), list(path, &sealed));
}

/// Makes the volume `main` with many files.
fn many_files(path: &Path, store: &str) {
    let (store, volumes) = open(path, store);
    let options = Options { volume: "main".to_owned(), mode: kvfs::Mode::Lazy, ..Options::default() };
    let mut volume = volumes.open(options).unwrap();
    let root = volume.root().unwrap();
    let create = OpenFlags { create: true, ..OpenFlags::default() };
    for number in 0..30_000 {
        let access = Access { write: true, ..Access::default() };
        let file = volume.open_at(&root, &format!("f{number}"), Follow::No, create, access).unwrap();
        volume.write(&file, At::Offset(0), b"content").unwrap();
        volume.close(file).unwrap();
    }
    volume.sync_all().unwrap();
    drop(volume);
    store.close().unwrap();
}

/// Interrupted by Ctrl-C at any moment: the volume is there or not, and the rest is freed later.
#[cfg(unix)]
#[test]
fn an_interrupted_removal_goes_on_with_the_next_one() {
    const ROUNDS: u32 = 16;
    let made = tempfile::tempdir().unwrap();
    let store = ["--store", "file:s"];
    done(made.path(), &[&["create"], &store[..], &["kept"]].concat());
    write(made.path(), "file:s", "kept", b"kept");
    many_files(made.path(), "file:s");
    let copy = || {
        let dir = tempfile::tempdir().unwrap();
        let copied = Command::new("cp").arg("-R").arg(made.path().join(".")).arg(dir.path()).status();
        assert!(copied.unwrap().success());
        dir
    };
    let start = |path: &Path, args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kvfs"));
        command.args(["volume", args[0]]).args(store).args(&args[1..]).current_dir(path);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let has_garbage = |path: &Path| {
        let info = kvfs(path, &["store", "info", "file:s"]);
        let info = String::from_utf8(info.stdout).unwrap();
        info.lines().any(|line| line.starts_with("layers")) || !info.contains("of no volume: 0 keys")
    };
    let has_main = |path: &Path| done(path, &[&["list"], &store[..]].concat()).contains("main");
    let whole = {
        let dir = copy();
        let begun = std::time::Instant::now();
        assert!(start(dir.path(), &["rm", "main"]).wait().unwrap().success());
        begun.elapsed()
    };
    let mut halves = 0;
    for round in 1..=ROUNDS {
        let dir = copy();
        let path = dir.path();
        for args in [&["rm", "main"][..], &["gc"]] {
            let mut working = start(path, args);
            std::thread::sleep(whole * round / ROUNDS);
            let sent = Command::new("kill").arg("-INT").arg(working.id().to_string()).status().unwrap();
            assert!(sent.success() || sent.code() == Some(1), "{sent}");
            let code = working.wait().unwrap().code();
            assert!([Some(0), Some(130), None].contains(&code), "{args:?} ended with {code:?}");
            halves += usize::from(!has_main(path) && has_garbage(path));
            is_sound(path, &store);
        }
        let rest: &[&str] = if has_main(path) { &["rm", "main"] } else { &["gc"] };
        done(path, &[&rest[..1], &store[..], &rest[1..]].concat());
        assert!(!has_main(path) && !has_garbage(path), "round {round}");
        assert_eq!(done(path, &[&["list"], &store[..]].concat()).lines().count(), 1);
        is_sound(path, &store);
    }
    println!("{halves} interrupts came in the middle, of a removal of {whole:?}");
    assert!(halves > 0, "no interrupt came in the middle");
}

/// The README's lines about forks, as a shell runs them.
#[cfg(unix)]
#[test]
fn the_commands_of_the_readme_do_what_it_says() {
    let dir = workshop();
    let path = dir.path();
    std::fs::write(path.join("maker.wasm"), wat::parse_str(MAKER).unwrap()).unwrap();
    assert!(kvfs(path, &["compose", "maker.wasm", "-o", "python.kvfs.wasm"]).status.success());
    done(path, &["create", "--store", "file:state", "main"]);
    write(path, "file:state", "main", b"x");
    let readme = include_str!("../../../../README.md");
    let (_, section) = readme.split_once("## Forks and snapshots").unwrap();
    let (_, block) = section.split_once("```\n").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    let bin = Path::new(env!("CARGO_BIN_EXE_kvfs")).parent().unwrap();
    let search = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
    assert!(block.lines().count() > 5, "{block}");
    for line in block.lines() {
        let output =
            Command::new("sh").args(["-c", line]).env("PATH", &search).current_dir(path).output().unwrap();
        assert!(output.status.success(), "{line}: {output:?}");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        if line.starts_with("kvfs diff") && line.contains(" -p ") {
            let is_patch = said.starts_with("diff --git ") && said.contains("\n+made\n");
            assert!(is_patch, "{line}: {said}");
        } else if line.starts_with("kvfs diff") {
            assert_eq!(said, "A\t/made\n", "{line}");
        }
        if line.starts_with("kvfs volume list") {
            assert!(["main", "before", "tried"].iter().all(|name| said.contains(name)), "{said}");
        }
    }
    let left = done(path, &["list", "--store", "file:state"]);
    assert!(!left.contains("tried") && left.contains("prepared"), "{left}");
    is_sound(path, &["--store", "file:state"]);
}

/// A fork of a volume above a packed tree lies above the same tree.
#[test]
fn a_guest_on_a_fork_above_a_packed_tree_leaves_the_volume_as_it_is() {
    let dir = workshop();
    let path = dir.path();
    packed(path);
    write_above(path, "tree.wasm", "main");
    std::fs::write(path.join("maker.wasm"), wat::parse_str(MAKER).unwrap()).unwrap();
    let compose = ["compose", "maker.wasm", "-o", "above.wasm", "--mount", "/=overlay:tree"];
    assert!(kvfs(path, &compose).status.success());
    // A fork freezes the changes of a volume, which is then unchanged since.
    let volumes = || list(path, &["--store", "file:s"]).replace("\"unchanged\":true", "\"unchanged\":false");
    let before = volumes();
    let run = |args: &[&str]| {
        let output = kvfs(path, &[&["run", "--store", "file:s"], args, &["above.wasm"]].concat());
        assert!(output.status.success() && output.stderr.is_empty(), "{args:?}: {output:?}");
    };
    // The guest fails where it finds its own file.
    for _ in 0..2 {
        run(&["--fork-of", "main"]);
        assert_eq!(volumes(), before);
    }
    run(&["--fork-of", "main", "--keep", "result"]);
    let diff = kvfs(path, &["diff", "--store", "file:s", "--image", "tree.wasm", "main", "result"]);
    assert_eq!(String::from_utf8_lossy(&diff.stdout), "A\t/made\n", "{diff:?}");
    for name in ["main", "result"] {
        is_sound(path, &["--store", "file:s", "--volume", name, "--image", "above.wasm"]);
    }
    run(&["--fork-of", "main"]);
}
