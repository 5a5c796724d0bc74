//! Files of volumes that lie on a packed tree.

use super::diff::{packed, write_above};
use super::files::done;
use super::files::told;
use super::{kvfs, workshop};
use std::fs;

const STORE: [&str; 2] = ["--store", "file:s"];
const IMAGE: [&str; 2] = ["--image", "tree.wasm"];

#[test]
fn files_on_a_packed_tree_are_worked_on_with_its_component() {
    let dir = workshop();
    let path = dir.path();
    packed(path);
    write_above(path, "tree.wasm", "main");
    let with = |args: &[&str]| done(path, &[&args[..1], &STORE, &IMAGE, &args[1..]].concat());
    assert_eq!(with(&["ls"]), "kept\n");
    assert_eq!(with(&["cat", "kept"]), "mine");
    with(&["put", "tree/gone", "put"]);
    with(&["cp", "put", "copy"]);
    with(&["mv", "copy", "moved"]);
    with(&["import", "--to", "in", "tree"]);
    assert_eq!(with(&["find", "/"]), "/\n/in\n/in/gone\n/in/kept\n/kept\n/moved\n/put\n");
    with(&["export", "out"]);
    assert_eq!(fs::read(path.join("out/moved")).unwrap(), b"x");
    // A volume that there is not is made on the tree, if the component has one below that name.
    with(&["rm", "-r", "in"]);
    let made = kvfs(path, &["import", "--store", "file:new", "--image", "tree.wasm", "--to", "in", "tree"]);
    assert!(made.status.success(), "{made:?}");
    assert_eq!(
        done(path, &["cat", "--store", "file:new", "--image", "tree.wasm", "gone", "in/kept"]),
        "xtree"
    );
    done(path, &["fsck", "--store", "file:s", "--image", "tree.wasm"]);
    // A fork lies on the same tree, and its files go to the volume that it came from.
    done(path, &["volume", "fork", "--store", "file:s", "main", "fork"]);
    done(path, &["volume", "create", "--store", "file:s", "plain"]);
    with(&["cp", "fork:/put", "main:/again"]);
    assert_eq!(with(&["cat", "again"]), "x");
    let before = with(&["find", "/"]);
    for (args, expected) in [
        (&["ls"][..], "name the component that it was used with: --image COMPONENT"),
        (&["rm", "put"], "name the component that it was used with: --image COMPONENT"),
        (&["import", "tree"], "name the component that it was used with: --image COMPONENT"),
        (&["cp", "fork:/put", "plain:/x"], "volume `fork` lies on a packed tree"),
        (&["ls", "--image", "tree.wasm", "--volume", "plain"], "leave --image out"),
        (&["put", "--image", "tree.wasm", "--volume", "plain", "tree/gone", "x"], "leave --image out"),
        (&["ls", "--image", "other.wasm"], "no packed tree below volume `main`"),
        (&["ls", "--image", "missing.wasm"], "cannot read missing.wasm"),
        (
            &["import", "--image", "other.wasm", "--volume", "new", "tree"],
            "no packed tree below volume `new`",
        ),
    ] {
        let output = kvfs(path, &[&args[..1], &STORE, &args[1..]].concat());
        let line = told(&output);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {line}");
        assert!(line.lines().count() == 1 && line.contains(expected), "{args:?}: {line}");
    }
    assert_eq!(with(&["find", "/"]), before);
}
