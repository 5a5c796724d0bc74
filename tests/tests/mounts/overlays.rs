//! A packed tree with a volume above it.

use std::fs;
use std::sync::Arc;

use super::{Steps, WAYS, large, shown, store, stored_bytes, tree};
use kvfs::image::Image;
use kvfs_compose::{FixedSource, fixed_mounts};
use kvfs_host::{EngineStore, MemoryStore};
use kvfs_tests::guests;

const FILE: &str = "DescriptorType::RegularFile";

#[test]
fn the_next_process_finds_what_one_changed_above_a_tree() {
    let dir = tempfile::tempdir().unwrap();
    tree(dir.path());
    for link in WAYS {
        let steps = Steps::new(link, &["/=overlay:{}"], dir.path());
        let store = store();
        steps.expect(
            &store,
            &[
                ("rm gone", "ok"),
                ("write lib/a ONE", "ok"),
                ("write new bytes", "ok"),
                ("mv lib/sub moved", "ok"),
                ("overwrite large 100000 XYZ", "ok"),
                ("mkdir lib/sub", "ok"),
                ("ln top lib/third", "ok"),
                (
                    "ls lib",
                    &format!("[{FILE} a, {FILE} second, DescriptorType::Directory sub, {FILE} third]"),
                ),
            ],
        );
        steps.expect(
            &store,
            &[
                ("cat gone", "error no-entry"),
                ("cat lib/a", "\"ONE\""),
                ("cat link", "\"ONE\""),
                ("cat new", "\"bytes\""),
                ("cat moved/b", "\"two\""),
                ("ls lib/sub", "[]"),
                ("size large", "200000"),
                ("names top", "3"),
                ("same top lib/third", "true"),
                ("cat lib/second", "\"three\""),
                ("create gone", "ok"),
                ("cat gone", "\"\""),
                ("rm top", "ok"),
                ("cat lib/second", "\"three\""),
            ],
        );
        steps
            .expect(&store, &[("cat gone", "\"\""), ("cat top", "error no-entry"), ("names lib/third", "2")]);
    }
}

#[test]
fn an_overwritten_piece_of_a_large_file_copies_that_piece() {
    let dir = tempfile::tempdir().unwrap();
    tree(dir.path());
    for link in WAYS {
        let steps = Steps::new(link, &["/=overlay:{}:up"], dir.path());
        let store = store();
        steps.expect(&store, &[("overwrite large 100000 XYZ", "ok"), ("size large", "200000")]);
        // One extent of 32 KiB and some records, for a file of 200,000 bytes.
        let stored = stored_bytes(&store);
        assert!((32 << 10..40 << 10).contains(&stored), "{stored} bytes");
        let mut expected = large();
        expected[100_000..100_003].copy_from_slice(b"XYZ");
        steps.expect(&store, &[("cat large", &shown(&expected))]);
    }
}

#[test]
fn reading_through_an_overlay_that_nobody_wrote_to_asks_the_store_once() {
    let dir = tempfile::tempdir().unwrap();
    tree(dir.path());
    for link in WAYS {
        let steps = Steps::new(link, &["/=overlay:{}"], dir.path());
        let store = store();
        let few = steps.run(&store, &["stat lib"]).calls;
        let many =
            steps.run(&store, &["ls .", "cat large", "cat lib/a", "cat lib/sub/b", "cat missing"]).calls;
        // Opening the volume takes these calls; reads take none.
        assert!(few.total() <= 6 && many.total() <= 6, "{few:?} {many:?}");
    }
}

#[test]
fn a_volume_above_another_tree_is_refused_and_both_are_named() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    tree(one.path());
    tree(other.path());
    fs::write(other.path().join("more"), "more").unwrap();
    for link in WAYS {
        let store = store();
        let first = Steps::new(link, &["/=overlay:{}"], one.path());
        first.expect(&store, &[("write new x", "ok")]);
        let second = Steps::new(link, &["/=overlay:{}"], other.path());
        second.expect(&store, &[("cat top", "error io"), ("write new y", "error io")]);
        let plain = Steps::new(link, &["/=kv"], one.path());
        plain.expect(&store, &[("ls .", "error io")]);
        // The refused mounts lost nothing.
        first.expect(&store, &[("cat new", "\"x\""), ("cat top", "\"three\"")]);

        let mount = format!("/=overlay:{}", other.path().display()).parse().unwrap();
        let composed = super::joined(guests::rust().unwrap(), link, vec![mount]);
        let mounts = fixed_mounts(&composed.bytes);
        let FixedSource::Overlay { image, volume } = &mounts[0].source else { panic!("{mounts:?}") };
        let image = Image::open(image.to_vec().leak()).unwrap();
        let error = kvfs::probe_overlay(&mut engine_store(&store), volume, &image).unwrap_err().to_string();
        for dir in [&one, &other] {
            let name = dir.path().file_name().unwrap().to_str().unwrap();
            assert!(error.contains(name), "{error}");
        }
    }
}

fn engine_store(store: &Arc<MemoryStore>) -> impl kvfs::KvStore {
    EngineStore(MemoryStore::clone(store))
}

#[test]
fn an_overlay_may_be_mounted_read_only() {
    let dir = tempfile::tempdir().unwrap();
    tree(dir.path());
    for link in WAYS {
        let store = store();
        Steps::new(link, &["/=overlay:{}"], dir.path()).expect(&store, &[("write lib/a mine", "ok")]);
        Steps::new(link, &["/=overlay:{},ro"], dir.path()).expect(
            &store,
            &[
                ("cat lib/a", "\"mine\""),
                ("cat top", "\"three\""),
                ("write lib/a x", "error read-only"),
                ("rm top", "error read-only"),
                ("mkdir x", "error read-only"),
            ],
        );
    }
}
