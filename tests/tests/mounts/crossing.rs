//! Several mounts in one tree: paths that cross from one to another, and operations that cannot.

use super::{Steps, WAYS, store, tree};

const DIR: &str = "DescriptorType::Directory";
const FILE: &str = "DescriptorType::RegularFile";

/// An image at the root, and volumes in it and in each other.
const NESTED: [&str; 5] =
    ["/=image:{}", "/data=kv:data", "/data/in/side=kv:inner", "/lib/sub=kv:data,ro", "/up=overlay:{}:up"];

#[test]
fn mountpoints_are_directories_that_show() {
    let dir = tempfile::tempdir().unwrap();
    tree(dir.path());
    for link in WAYS {
        let steps = Steps::new(link, &NESTED, dir.path());
        let store = store();
        let root = format!(
            "[DescriptorType::SymbolicLink absolute, {DIR} data, {FILE} gone, {FILE} large, {DIR} lib, \
             DescriptorType::SymbolicLink link, {FILE} top, {DIR} up]"
        );
        steps.expect(
            &store,
            &[
                ("ls .", &root),
                ("ls data", &format!("[{DIR} in]")),
                ("ls data/in", &format!("[{DIR} side]")),
                ("ls data/in/side", "[]"),
                ("stat data", DIR),
                ("write data/in/side/f deep", "ok"),
                ("write data/f text", "ok"),
                // The same volume again, without the mounts inside it.
                ("cat lib/sub/f", "\"text\""),
                ("ls lib/sub/in/side", "[]"),
                ("write lib/sub/f x", "error read-only"),
                ("cat up/lib/sub/b", "\"two\""),
                ("write up/top changed", "ok"),
                ("cat top", "\"three\""),
                ("write top x", "error read-only"),
            ],
        );
        steps.expect(
            &store,
            &[
                ("cat data/in/side/f", "\"deep\""),
                ("cat data/in/side/../../f", "\"text\""),
                ("cat data/in/side/../../../top", "\"three\""),
                ("cat up/lib/../../data/f", "\"text\""),
                ("cat data/../../top", "error not-permitted"),
                ("cat up/top", "\"changed\""),
                ("in data", "ok"),
                ("cat ./in/../f", "\"text\""),
                ("cat ../top", "error not-permitted"),
                ("cat in/side/../../../top", "error not-permitted"),
                ("in in/side", "ok"),
                ("cat f", "\"deep\""),
                ("cat ../side/f", "error not-permitted"),
            ],
        );
    }
}

#[test]
fn links_lead_from_one_mount_to_another() {
    let dir = tempfile::tempdir().unwrap();
    tree(dir.path());
    for link in WAYS {
        let steps = Steps::new(link, &["/=kv", "/pack=image:{}", "/work=kv:work"], dir.path());
        steps.expect(
            &store(),
            &[
                ("symlink pack/top to-pack", "ok"),
                ("cat to-pack", "\"three\""),
                ("symlink ../pack/lib work/to-lib", "ok"),
                ("cat work/to-lib/a", "\"one\""),
                ("ls work/to-lib/sub", &format!("[{FILE} b]")),
                ("symlink ../work/to-lib/../../to-pack work/round", "ok"),
                ("cat work/round", "\"three\""),
                ("symlink ../work/loop work/loop", "ok"),
                ("cat work/loop", "error loop"),
            ],
        );
    }
}

#[test]
fn names_and_files_stay_in_their_mount() {
    let dir = tempfile::tempdir().unwrap();
    tree(dir.path());
    for link in WAYS {
        let steps = Steps::new(link, &["/=kv", "/pack=image:{}", "/work=kv:work"], dir.path());
        steps.expect(
            &store(),
            &[
                ("write f text", "ok"),
                ("mv f work/f", "error cross-device"),
                ("mv pack/top f2", "error cross-device"),
                ("ln f work/f", "error cross-device"),
                ("copy f work/f", "ok"),
                ("copy pack/large work/large", "ok"),
                ("size work/large", "200000"),
                ("splice pack/top work/spliced", "5 ok"),
                ("cat work/spliced", "\"three\""),
                ("rmdir work", "error busy"),
                ("mv work other", "error busy"),
                ("rmdir pack", "error busy"),
                ("rm work", "error is-directory"),
                ("mkdir work", "error exist"),
                ("create work", "error exist"),
                // Inode numbers repeat from volume to volume; the guest sees different ones.
                ("same-inode f work/f", "false"),
                ("same-inode f pack/top", "false"),
                ("same-inode work pack", "false"),
                ("same f work/f", "false"),
                ("same f f", "true"),
            ],
        );
    }
}

#[test]
fn a_volume_mounted_read_only_refuses_changes() {
    let dir = tempfile::tempdir().unwrap();
    for link in WAYS {
        let store = store();
        Steps::new(link, &["/=kv:v"], dir.path())
            .expect(&store, &[("write f text", "ok"), ("mkdir d", "ok")]);
        Steps::new(link, &["/=kv:v,ro", "/d/tmp=kv:tmp"], dir.path()).expect(
            &store,
            &[
                ("cat f", "\"text\""),
                ("write f x", "error read-only"),
                ("resize f 0", "error read-only"),
                ("create new", "error read-only"),
                ("mkdir new", "error read-only"),
                ("rmdir d", "error read-only"),
                ("mv f g", "error read-only"),
                ("ln f g", "error read-only"),
                ("rm f", "error read-only"),
                ("symlink f g", "error read-only"),
                ("set-time f", "error read-only"),
                ("write d/tmp/f x", "ok"),
                ("ls .", &format!("[{DIR} d, {FILE} f]")),
            ],
        );
    }
}

#[test]
fn a_root_without_a_mount_holds_only_mountpoints() {
    let dir = tempfile::tempdir().unwrap();
    for link in WAYS {
        Steps::new(link, &["/a/b=kv", "/c=kv:c"], dir.path()).expect(
            &store(),
            &[
                ("ls .", &format!("[{DIR} a, {DIR} c]")),
                ("ls a", &format!("[{DIR} b]")),
                ("create f", "error read-only"),
                ("mkdir a/d", "error read-only"),
                ("write a/b/f x", "ok"),
            ],
        );
    }
}
