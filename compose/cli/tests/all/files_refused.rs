//! Bad input of the commands on files of volumes: stores, volumes, paths and archives that will not do.

use super::files::{done, told};
use super::{kvfs, store_with_volume};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Each command that looks, and arguments behind the store that would do.
const LOOKS: [(&str, &[&str]); 9] = [
    ("ls", &["/"]),
    ("tree", &["/"]),
    ("cat", &["g"]),
    ("stat", &["g"]),
    ("du", &["/"]),
    ("df", &[]),
    ("find", &["/"]),
    ("get", &["g", "got"]),
    ("export", &["out"]),
];

/// Each that changes something.
const CHANGES: [(&str, &[&str]); 6] = [
    ("put", &["tree/g", "x"]),
    ("import", &["tree"]),
    ("mkdir", &["x"]),
    ("rm", &["g"]),
    ("mv", &["g", "x"]),
    ("cp", &["g", "x"]),
];

fn all() -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
    LOOKS.into_iter().chain(CHANGES)
}

/// A directory with a tree and a store with it.
fn scene() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("tree")).unwrap();
    fs::write(dir.path().join("tree/g"), b"good").unwrap();
    done(dir.path(), &["import", "--store", "redb:s", "tree"]);
    dir
}

/// Runs what must fail with one line that says what to do, and returns it.
fn refused(path: &Path, args: &[&str]) -> String {
    let output = kvfs(path, args);
    let line = told(&output);
    assert_eq!(output.status.code(), Some(1), "{args:?}: {line}");
    assert!(line.starts_with("kvfs: ") && line.lines().count() == 1, "{args:?}: {line}");
    assert!(line.contains("; ") || line.contains('?'), "{args:?} does not say what to do: {line}");
    line
}

#[test]
fn stores_and_volumes_that_will_not_do_are_told_by_every_command_and_left_alone() {
    let dir = scene();
    let path = dir.path();
    fs::write(path.join("text"), "no store at all\n".repeat(1000)).unwrap();
    store_with_volume(&path.join("new.redb"), |superblock| superblock[25] += 1);
    let before = super::files(path);
    for (command, more) in all() {
        let with = |store: &str, volume: &str| {
            refused(path, &[&[command, "--store", store, "--volume", volume], more].concat())
        };
        let line = with("redb:text", "main");
        assert!(line.contains("text is not a store"), "{command}: {line}");
        let line = with("redb:new.redb", "main");
        assert!(line.contains("newer version"), "{command}: {line}");
        let line = with("file:tree", "main");
        assert!(line.contains("tree"), "{command}: {line}");
        // An import makes the store and the volume.
        if command != "import" {
            for store in ["redb:none", "file:none"] {
                let line = with(store, "main");
                assert!(line.contains("no such store"), "{command}: {line}");
            }
            let line = with("redb:s", "mian");
            assert!(line.contains("did you mean `main`?"), "{command}: {line}");
            let line = with("redb:s", "quite-other");
            assert!(line.contains("kvfs volume list"), "{command}: {line}");
        }
        assert_eq!(super::files(path), before, "{command}");
    }
    assert_eq!(fs::read_to_string(path.join("text")).unwrap(), "no store at all\n".repeat(1000));
    assert_eq!(done(path, &["ls", "--store", "redb:s"]), "g\n");
}

#[test]
fn a_store_that_another_program_has_is_told_by_every_command() {
    let dir = scene();
    let path = dir.path();
    let held = kvfs_host::RedbStore::open(path.join("s")).unwrap();
    for (command, more) in all() {
        let line = refused(path, &[&[command, "--store", "redb:s"], more].concat());
        assert!(line.contains("s is open elsewhere; close the other program"), "{command}: {line}");
    }
    drop(held);
    assert_eq!(done(path, &["ls", "--store", "redb:s"]), "g\n");
}

#[test]
fn paths_that_lead_out_are_refused_by_every_command_that_takes_one() {
    let dir = scene();
    let path = dir.path();
    fs::write(path.join("f"), "outside").unwrap();
    for out in ["../f", "/../f", "g/../../f"] {
        for args in [
            &["ls", out][..],
            &["tree", out],
            &["cat", out],
            &["stat", out],
            &["du", out],
            &["find", out],
            &["get", out, "x"],
            &["export", "--from", out, "x"],
            &["put", "tree/g", out],
            &["put", "-r", "tree", out],
            &["import", "--to", out, "tree"],
            &["mkdir", out],
            &["mkdir", "-p", out],
            &["rm", out],
            &["rm", "-rf", out],
            &["mv", "g", out],
            &["mv", out, "x"],
            &["cp", "g", out],
            &["cp", "-r", out, "x"],
        ] {
            if args[..2] == ["rm", "-rf"] && out.starts_with('g') {
                // As rm(1), which takes it for nothing.
                continue;
            }
            let line = refused(path, &[&args[..1], &["--store", "redb:s"], &args[1..]].concat());
            let why = if out.starts_with('g') { "not a directory" } else { "leaves its volume" };
            assert!(line.contains(why) || line.contains("leaves its volume"), "{args:?}: {line}");
        }
    }
    assert_eq!(fs::read_to_string(path.join("f")).unwrap(), "outside");
    assert_eq!(done(path, &["find", "--store", "redb:s"]), "/\n/g\n");
}

#[test]
fn an_archive_that_is_cut_is_told_and_importing_the_whole_one_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    fs::create_dir(path.join("tree")).unwrap();
    let mut noise = 1_u64;
    for name in ["a", "b", "c"] {
        let bytes: Vec<u8> = std::iter::repeat_with(|| {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (noise >> 56) as u8
        })
        .take(400_000)
        .collect();
        fs::write(path.join("tree").join(name), bytes).unwrap();
    }
    done(path, &["import", "--store", "file:whole", "tree"]);
    for name in ["t.tar", "t.tar.gz", "t.tar.zst"] {
        done(path, &["export", "--store", "file:whole", name]);
        let whole = fs::read(path.join(name)).unwrap();
        fs::write(path.join("cut"), &whole[..whole.len() / 2]).unwrap();
        let store = format!("file:of-{name}");
        if name == "t.tar" {
            // After the last entry, before the blocks that end a tar.
            fs::write(path.join("endless"), &whole[..whole.len() - 1024]).unwrap();
            let line = refused(path, &["import", "--store", "file:endless.s", "endless"]);
            assert!(line.contains("ends after `c`, without the blocks that end a tar"), "{line}");
        }
        let line = told(&kvfs(path, &["import", "--store", &store, "cut"]));
        assert!(
            line.contains("cut") && line.contains("what was imported before that stays"),
            "{name}: {line}"
        );
        assert_eq!(line.lines().count(), 1, "{name}: {line}");
        assert_eq!(kvfs(path, &["import", "--store", &store, "cut"]).status.code(), Some(1), "{name}");
        // Whole files are there, and they are not written again.
        assert!(done(path, &["ls", "--store", &store]).starts_with("a\n"), "{name}");
        let report = done(path, &["import", "--store", &store, "--json", name]);
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        assert_eq!((&report["files"], &report["unchanged"]), (&2.into(), &1.into()), "{name}: {report}");
        done(path, &["export", "--store", &store, "back"]);
        for file in ["a", "b", "c"] {
            let back = fs::read(path.join("back").join(file)).unwrap();
            assert!(back == fs::read(path.join("tree").join(file)).unwrap(), "{name} {file}");
        }
        done(path, &["fsck", "--store", &store]);
        fs::remove_dir_all(path.join("back")).unwrap();
    }
}

#[test]
fn a_tar_of_nothing_is_imported_as_nothing_and_a_file_of_nothing_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    let made = Command::new("tar").args(["cf", "gnu", "-T", "/dev/null"]).current_dir(path).status().unwrap();
    assert!(made.success());
    fs::write(path.join("zeros"), [0; 1024]).unwrap();
    fs::write(path.join("nothing"), b"").unwrap();
    // A gzip, which is not of blocks, of each.
    for name in ["gnu", "nothing"] {
        let packed = Command::new("gzip").args(["-k", name]).current_dir(path).status().unwrap();
        assert!(packed.success());
    }
    done(path, &["volume", "create", "--store", "file:s", "main"]);
    done(path, &["mkdir", "--store", "file:s", "old"]);
    for name in ["gnu", "zeros", "gnu.gz"] {
        let report = done(path, &["import", "--store", "file:s", "--to", "in", "--json", name]);
        assert!(report.contains("\"files\":0") && report.contains("\"lost\":[]"), "{name}: {report}");
    }
    for name in ["nothing", "nothing.gz"] {
        let line = refused(path, &["import", "--store", "file:s", name]);
        assert!(line.contains("the archive is empty") && line.contains("check what made it"), "{line}");
    }
    // A disk may begin with zeros.
    fs::write(path.join("disk"), [[0; 1024], [1; 1024]].concat()).unwrap();
    let line = refused(path, &["import", "--store", "file:s", "disk"]);
    assert!(line.contains("is no tar: other bytes follow"), "{line}");
    fs::write(path.join("short"), [0; 100]).unwrap();
    assert!(refused(path, &["import", "--store", "file:s", "short"]).contains("is no tar"));
    assert_eq!(done(path, &["find", "--store", "file:s"]), "/\n/in\n/old\n");
}

/// By a limit of the volume, and by a disk that is full: there is no room in the middle of an import.
#[test]
fn an_import_without_room_keeps_what_it_did_and_goes_on_when_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    fs::create_dir(path.join("tree")).unwrap();
    for number in 0..40_u8 {
        fs::write(path.join(format!("tree/{number:02}")), vec![number; 100_000]).unwrap();
    }
    let whole = ["export", "--store", "redb:other", "t.tar"];
    done(path, &["import", "--store", "redb:other", "tree"]);
    done(path, &whole);
    for (number, from) in ["tree", "t.tar"].into_iter().enumerate() {
        let store = format!("redb:limited{number}");
        let limited = |most: &str| {
            done(path, &["settings", "set", "--store", &store, "--max-bytes", most]);
        };
        done(path, &["volume", "create", "--store", &store, "main"]);
        limited("2M");
        let line = refused(path, &["import", "--store", &store, from]);
        assert!(line.contains("make room"), "{line}");
        goes_on(path, &store, from, || limited("100M"));

        let store = format!("redb:disk{number}");
        // A limit on the size of files, of 512 bytes each, acts as a full disk.
        let script = "ulimit -f 4000; trap '' XFSZ; exec \"$0\" \"$@\"";
        let output = Command::new("sh")
            .args(["-c", script, env!("CARGO_BIN_EXE_kvfs"), "import", "--store", &store, from])
            .current_dir(path)
            .output()
            .unwrap();
        let line = told(&output);
        assert_eq!(output.status.code(), Some(1), "{store}: {line}");
        assert!(line.starts_with("kvfs: ") && line.lines().count() == 1, "{store}: {line}");
        goes_on(path, &store, from, || ());
    }
}

fn goes_on(path: &Path, store: &str, from: &str, make_room: impl FnOnce()) {
    done(path, &["fsck", "--store", store]);
    let kept: Vec<String> = done(path, &["ls", "--store", store]).lines().map(str::to_owned).collect();
    assert!(kept.len() < 40, "{store}: {kept:?}");
    make_room();
    let report = done(path, &["import", "--store", store, "--json", from]);
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let (files, unchanged) = (report["files"].as_u64().unwrap(), report["unchanged"].as_u64().unwrap());
    assert_eq!(files + unchanged, 40, "{store}: {report}");
    // The last one may be there in part.
    assert!(unchanged + 1 >= kept.len() as u64, "{store}: {report} after {kept:?}");
    for number in 0..40_u8 {
        let held = kvfs(path, &["cat", "--store", store, &format!("{number:02}")]).stdout;
        assert!(held == vec![number; 100_000], "{store}: {number}");
    }
    done(path, &["fsck", "--store", store]);
}

#[test]
fn a_put_without_room_leaves_the_old_file_and_no_part_of_the_new_one() {
    let dir = scene();
    let path = dir.path();
    fs::write(path.join("large"), vec![7; 600_000]).unwrap();
    done(path, &["settings", "set", "--store", "redb:s", "--max-bytes", "200K"]);
    for to in ["g", "/"] {
        fs::create_dir_all(path.join("named")).unwrap();
        fs::copy(path.join("large"), path.join("named/g")).unwrap();
        let line = refused(path, &["put", "--store", "redb:s", "named/g", to]);
        assert!(line.contains("make room"), "{line}");
        assert_eq!(done(path, &["cat", "--store", "redb:s", "g"]), "good");
        assert_eq!(done(path, &["find", "--store", "redb:s"]), "/\n/g\n");
    }
    done(path, &["fsck", "--store", "redb:s"]);
}

/// Who opens a volume for writing ends its writer. Who looks does not.
#[test]
fn a_writer_goes_on_while_every_command_that_looks_does_so() {
    use kvfs_host::{Volumes, open_store};
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    let store = open_store(&format!("file:{}/s", path.display())).unwrap();
    let volumes = Volumes::new(store.clone());
    volumes.create("main").unwrap();
    let mut writer = volumes.files(kvfs::Options::default()).unwrap();
    writer.write("g", b"good").unwrap();
    writer.sync().unwrap();
    for (number, (command, more)) in LOOKS.into_iter().enumerate() {
        done(path, &[&[command, "--store", "file:s"], more].concat());
        writer.write("g", format!("{number}").as_bytes()).unwrap();
        writer.sync().unwrap();
    }
    writer.close().unwrap();
    store.close().unwrap();
    // The last one came after the last look.
    assert_eq!(done(path, &["cat", "--store", "file:s", "g"]), "8");
}
