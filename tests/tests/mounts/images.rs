//! Packed trees, read in place.

use super::{Steps, WAYS, large, shown, store, stored_bytes, tree};

#[test]
fn a_guest_reads_an_image_without_a_store_call() {
    let dir = tempfile::tempdir().unwrap();
    tree(dir.path());
    for link in WAYS {
        let steps = Steps::new(link, &["/=image:{}"], dir.path());
        let large = shown(&large());
        let expected = [
            (
                "ls .",
                "[DescriptorType::SymbolicLink absolute, DescriptorType::RegularFile gone, \
                 DescriptorType::RegularFile large, DescriptorType::Directory lib, \
                 DescriptorType::SymbolicLink link, DescriptorType::RegularFile top]",
            ),
            ("cat lib/sub/b", "\"two\""),
            ("cat link", "\"one\""),
            ("cat large", &large),
            ("read top", "\"three\""),
            ("names top", "2"),
            ("same top lib/second", "true"),
            ("readlink absolute", "/top"),
            ("cat absolute", "error not-permitted"),
            ("cat missing", "error no-entry"),
            ("sync lib/a", "ok"),
        ];
        steps.expect(&store(), &expected);
        let output = steps.run(&store(), &["ls .", "cat large", "cat lib/sub/b", "sync large"]);
        assert_eq!(output.calls.total(), 0, "{:?}", output.calls);
    }
}

#[test]
fn nothing_changes_an_image() {
    let dir = tempfile::tempdir().unwrap();
    tree(dir.path());
    for link in WAYS {
        let store = store();
        Steps::new(link, &["/=image:{}"], dir.path()).expect(
            &store,
            &[
                ("create new", "error read-only"),
                ("mkdir new", "error read-only"),
                ("write lib/a x", "error read-only"),
                ("truncate top", "error read-only"),
                ("open-to-write top", "error read-only"),
                ("rm gone", "error read-only"),
                ("rmdir lib/sub", "error read-only"),
                ("mv gone other", "error read-only"),
                ("ln gone other", "error read-only"),
                ("symlink gone other", "error read-only"),
                ("set-time top", "error read-only"),
                ("cat gone", "\"four\""),
            ],
        );
        assert_eq!(stored_bytes(&store), 0);
    }
}

#[test]
fn the_times_of_a_tree_are_those_of_its_image() {
    let dir = tempfile::tempdir().unwrap();
    tree(dir.path());
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_234_567_890);
    for path in ["lib/a", "lib/sub"] {
        std::fs::File::open(dir.path().join(path)).unwrap().set_modified(time).unwrap();
    }
    for link in WAYS {
        let steps = Steps::new(link, &["/pack=image:{}"], dir.path());
        steps.expect(&store(), &[("time pack/lib/a", "1234567890"), ("time pack/lib/sub", "1234567890")]);
    }
}
