//! `kvfs diff`: its forms, its exit codes, and what it cannot compare.

use super::volume::{done, open, write};
use super::{Noon, files, kvfs, workshop};
use kvfs::image::Image;
use kvfs::{Access, At, Follow, OpenFlags, Options, Volume};
use kvfs_compose::{FixedSource, fixed_mounts};
use kvfs_host::{AnyStore, EngineStore, open_store};
use std::path::Path;

/// A name that a terminal must not see, and that is no part of a line.
const ODD: &str = "o\x1b[2J\td\n\u{202e}d";

/// Returns the exit code, standard output and standard error.
fn diff(directory: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let output = kvfs(directory, &[&["diff", "--store", "file:s"], args].concat());
    let [stdout, stderr] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    (output.status.code(), stdout, stderr)
}

fn put(volume: &mut Volume, path: &str, bytes: &[u8]) {
    let root = volume.root().unwrap();
    let create = OpenFlags { create: true, truncate: true, ..OpenFlags::default() };
    let access = Access { write: true, ..Access::default() };
    let file = volume.open_at(&root, path, Follow::No, create, access).unwrap();
    volume.write(&file, At::Offset(0), bytes).unwrap();
    volume.close(file).unwrap();
    volume.close(root).unwrap();
}

/// Makes a volume, a snapshot `then` of it, and changes of every kind after it.
fn changed(path: &Path) {
    done(path, &["create", "--store", "file:s", "main"]);
    let change = |call: &dyn Fn(&mut Volume)| {
        let (store, volumes) = open(path, "file:s");
        let mut volume = volumes.open(Options::default()).unwrap();
        call(&mut volume);
        volume.sync_all().unwrap();
        drop(volume);
        store.close().unwrap();
    };
    change(&|volume| {
        let root = volume.root().unwrap();
        volume.create_directory_at(&root, "gone").unwrap();
        ["bytes", "linked", "old", "same"].iter().for_each(|name| put(volume, name, b"one"));
        volume.close(root).unwrap();
    });
    done(path, &["snapshot", "--store", "file:s", "main", "then"]);
    change(&|volume| {
        let root = volume.root().unwrap();
        put(volume, ODD, b"two");
        put(volume, "bytes", b"two");
        volume.link_at(&root, "linked", Follow::No, &root, "link").unwrap();
        volume.rename_at(&root, "old", &root, "new").unwrap();
        volume.remove_directory_at(&root, "gone").unwrap();
        volume.close(root).unwrap();
    });
}

#[test]
fn differences_are_lines_that_programs_and_people_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    changed(path);
    let (code, stdout, stderr) = diff(path, &["then", "main"]);
    assert!(code == Some(0) && stderr.is_empty(), "{stderr}");
    let escaped = r"/o\u{1b}[2J\td\n\u{202e}d";
    let lines =
        ["M\t/bytes", "D\t/gone", "A\t/link", "M\t/linked", "R\t/old\t/new", &format!("A\t{escaped}")];
    assert_eq!(stdout.lines().collect::<Vec<_>>(), lines);

    // A reader of -z finds names whole that have tabs and line ends.
    let (code, null_ended, _) = diff(path, &["-z", "--exit-code", "then", "main"]);
    assert_eq!(code, Some(1));
    let odd = format!("/{ODD}");
    let fields =
        ["M", "/bytes", "D", "/gone", "A", "/link", "M", "/linked", "R", "/old", "/new", "A", &odd, ""];
    assert_eq!(null_ended.split('\0').collect::<Vec<_>>(), fields);

    let (_, json, _) = diff(path, &["--json", "then", "main"]);
    let json: Vec<serde_json::Value> =
        json.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let paths: Vec<_> = json.iter().map(|line| line["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["/bytes", "/gone", "/link", "/linked", "/new", odd.as_str()]);
    assert_eq!(
        (&json[0]["change"], &json[0]["kind"], &json[0]["from"]),
        (&"modified".into(), &"file".into(), &().into())
    );
    assert!(json[0]["what"].as_array().unwrap().contains(&"bytes".into()), "{}", json[0]);
    assert_eq!((&json[1]["change"], &json[1]["kind"]), (&"removed".into(), &"directory".into()));
    assert_eq!(json[3]["what"], serde_json::json!(["links"]));
    assert_eq!((&json[4]["change"], &json[4]["from"]), (&"renamed".into(), &"/old".into()));

    let (code, stat, _) = diff(path, &["--stat", "then", "main"]);
    assert_eq!(code, Some(0));
    let stat: Vec<&str> = stat.lines().collect();
    assert_eq!(stat[..2], ["added: 2", "removed: 1"]);
    assert!(
        stat[2].starts_with("modified: 2 (bytes 1, ") && stat[2].ends_with(", links 1, kind 0)"),
        "{stat:?}"
    );
    assert!(stat[3].starts_with("renamed: 1 (bytes 0, ") && stat.len() == 4, "{stat:?}");
}

#[test]
fn exit_codes_are_those_of_diff() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    changed(path);
    for (args, expected) in [
        (&["then", "main"][..], 0),
        (&["--exit-code", "then", "main"], 1),
        (&["--exit-code", "--stat", "then", "main"], 1),
        (&["--exit-code", "--json", "main", "then"], 1),
        (&["--exit-code", "main", "main"], 0),
        (&["--exit-code", "then", "absent"], 2),
    ] {
        assert_eq!(diff(path, args).0, Some(expected), "{args:?}");
    }
    // A volume is as it is itself, and as a fork of it that nobody has changed.
    done(path, &["fork", "--store", "file:s", "main", "fork"]);
    for second in ["main", "fork"] {
        assert_eq!(diff(path, &["main", second]), (Some(0), String::new(), String::new()));
    }
}

#[test]
fn what_cannot_be_compared_is_one_line_and_changes_nothing() {
    let dir = workshop();
    let path = dir.path();
    changed(path);
    let before = files(path);
    let long = "x".repeat(256);
    let cases: [(&[&str], &str); 6] = [
        (&["mian", "then"], "no volume `mian`; did you mean `main`?"),
        (&["main", "them"], "no volume `them`; did you mean `then`?"),
        (&["main", "nothing-near"], "no volume `nothing-near`; `kvfs volume list`"),
        (&["main", &long], "1 to 255 bytes"),
        (&["--image", "missing.wasm", "main", "then"], "cannot read missing.wasm"),
        (&["--image", "script.wasm", "main", "thn"], "did you mean `then`?"),
    ];
    for (args, expected) in cases {
        for form in [&[][..], &["--json"], &["--stat"], &["-z"]] {
            let (code, stdout, stderr) = diff(path, &[form, args].concat());
            assert_eq!(
                (code, stdout.as_str(), stderr.lines().count()),
                (Some(2), "", 1),
                "{args:?}: {stderr}"
            );
            assert!(stderr.starts_with("kvfs: ") && stderr.contains(expected), "{args:?}: {stderr}");
            assert!(stderr.contains("; "), "{args:?} does not say what to do: {stderr}");
        }
    }
    for store in ["file:none", "redb:none.redb", "memory:"] {
        let output = kvfs(path, &["diff", "--store", store, "main", "then"]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("no such store"), "{output:?}");
    }
    assert_eq!(files(path), before);
}

/// Opens a volume of the store on the image of a component.
fn above(path: &Path, component: &str, name: &str) -> (AnyStore, Volume) {
    let component = std::fs::read(path.join(component)).unwrap();
    let FixedSource::Overlay { image, .. } = &fixed_mounts(&component)[0].source else {
        panic!("no overlay")
    };
    let image = Image::open(image.to_vec().leak()).unwrap();
    let store = open_store(&format!("file:{}/s", path.display())).unwrap();
    let options = Options { volume: name.to_owned(), ..Options::default() };
    let engine = Box::new(EngineStore(store.clone()));
    let volume = Volume::open_overlay(engine, Box::new(Noon), image, options).unwrap();
    (store, volume)
}

/// Composes components with packed trees, below the volumes `main` and `apart`.
pub(super) fn packed(path: &Path) {
    for (tree, mount) in [("tree", "/=overlay:tree"), ("other", "/=overlay:other:apart")] {
        std::fs::create_dir(path.join(tree)).unwrap();
        std::fs::write(path.join(tree).join("kept"), tree).unwrap();
        std::fs::write(path.join(tree).join("gone"), "x").unwrap();
        let component = format!("{tree}.wasm");
        let composed = kvfs(path, &["compose", "guest.wasm", "-o", &component, "--mount", mount]);
        assert!(composed.status.success(), "{composed:?}");
    }
}

/// Makes a volume of the store above the tree of a component, with a file of the tree removed.
pub(super) fn write_above(path: &Path, component: &str, name: &str) {
    let (store, mut volume) = above(path, component, name);
    let root = volume.root().unwrap();
    volume.unlink_file_at(&root, "gone").unwrap();
    volume.close(root).unwrap();
    put(&mut volume, "kept", b"mine");
    volume.sync_all().unwrap();
    drop(volume);
    store.close().unwrap();
}

#[test]
fn volumes_on_a_packed_tree_are_compared_above_it() {
    let dir = workshop();
    let path = dir.path();
    packed(path);
    write_above(path, "tree.wasm", "main");
    done(path, &["snapshot", "--store", "file:s", "main", "then"]);
    let (store, mut volume) = above(path, "tree.wasm", "main");
    put(&mut volume, "added", b"new");
    volume.sync_all().unwrap();
    drop(volume);
    store.close().unwrap();
    let image = ["--image", "tree.wasm"];
    let compare = |args: &[&str]| diff(path, &[&image[..], args].concat());
    // The component knows no volume `then`: the image is found by its digest.
    assert_eq!(compare(&["then", "main"]).1, "A\t/added\n");
    write_above(path, "other.wasm", "apart");
    done(path, &["create", "--store", "file:s", "plain"]);
    write(path, "file:s", "plain", b"x");
    for (args, expected) in [
        (&["then", "main"][..], "it was used with: --image COMPONENT"),
        (&["--image", "guest.wasm", "then", "main"], "no packed tree below volume `then`"),
        (&["--image", "tree.wasm", "main", "apart"], "`main` and `apart` lie on different images"),
        (&["--image", "tree.wasm", "plain", "main"], "`plain` and `main` lie on different images"),
    ] {
        let (code, stdout, stderr) = diff(path, args);
        assert_eq!((code, stdout.as_str(), stderr.lines().count()), (Some(2), "", 1), "{args:?}: {stderr}");
        assert!(stderr.contains(expected) && stderr.contains("; "), "{args:?}: {stderr}");
    }
    // Those on none are compared, whatever component is named.
    assert_eq!(compare(&["plain", "plain"]).0, Some(0));
}
