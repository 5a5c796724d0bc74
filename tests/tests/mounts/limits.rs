//! Limits of a volume, given with its mount.

use std::sync::Arc;

use super::{Steps, WAYS, store, stored_bytes, tree};
use kvfs::Quota;
use kvfs_host::{EngineStore, MemoryStore};

/// The quota's charges, beside content and the bytes of names.
const INODE: usize = 128;
const NAME: usize = 64;

/// Runs steps that grow the volume until one is refused, and returns how many succeeded.
fn until_refused(steps: &Steps, store: &Arc<MemoryStore>, step: impl Fn(usize) -> String) -> usize {
    let all: Vec<String> = (0..600).map(step).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let output = steps.run(store, &all);
    assert_eq!(output.code, Some(0), "{output:#?}");
    let done = output.stdout.lines().take_while(|line| line.ends_with(": ok")).count();
    assert!(output.stdout.lines().skip(done).all(|line| line.ends_with(": error quota")), "{output:#?}");
    done
}

#[test]
fn a_volume_holds_what_its_mount_allows_and_no_more() {
    let dir = tempfile::tempdir().unwrap();
    tree(dir.path());
    for link in WAYS {
        let limited = &["/=kv,max-names=3", "/small=kv:small,max-inodes=3"];
        let steps = Steps::new(link, limited, dir.path());
        let store = store();
        steps.expect(
            &store,
            &[
                ("write small/a 1", "ok"),
                ("write small/b 2", "ok"),
                ("mkdir small/c", "error quota"),
                ("cat small/a", "\"1\""),
                ("rm small/a", "ok"),
                ("mkdir small/c", "ok"),
                // The mountpoint counts as a name of the outer volume.
                ("write a 1", "ok"),
                ("ln a b", "ok"),
                ("ln a c", "error quota"),
                ("write c 2", "error quota"),
                ("mv b c", "ok"),
                ("rm a", "ok"),
                ("mkdir d", "ok"),
            ],
        );
        // Another component has limits of its own: higher ones give more room.
        let more = Steps::new(link, &["/=kv,max-names=4", "/small=kv:small,max-inodes=4"], dir.path());
        more.expect(
            &store,
            &[
                ("mkdir small/d", "ok"),
                ("mkdir small/e", "error quota"),
                ("ln c e", "ok"),
                ("ln c f", "error quota"),
            ],
        );
        let none = Steps::new(link, &["/=kv", "/small=kv:small"], dir.path());
        none.expect(&store, &[("mkdir small/e", "ok"), ("ln c f", "ok")]);
    }
}

/// A mount with any limit lifted all that a tool had set.
#[test]
fn regression_of_what_was_set_for_a_volume_and_a_mounts_limits_the_smaller_counts() {
    let dir = tempfile::tempdir().unwrap();
    for link in WAYS {
        let store = store();
        let steps = |limits: &str| Steps::new(link, &[&format!("/=kv{limits}")], dir.path());
        steps("").expect(&store, &[("create a", "ok")]);
        let set = |names, file_bytes| {
            let mut volumes = EngineStore((*store).clone());
            kvfs::set_settings(&mut volumes, "main", &mut |settings| {
                settings.map(|mut settings| {
                    settings.quota = Quota { names, file_bytes, ..Quota::default() };
                    settings
                })
            })
            .unwrap();
        };
        set(Some(2), Some(5));
        let lower = ",max-names=9,max-inodes=9,max-file-bytes=3";
        steps(lower).expect(
            &store,
            &[("ln a b", "ok"), ("ln a c", "error quota"), ("resize a 4", "error file-too-large")],
        );
        let higher = ",max-names=9,max-file-bytes=1M";
        steps(higher).expect(
            &store,
            &[("ln a c", "error quota"), ("resize a 5", "ok"), ("resize a 6", "error file-too-large")],
        );
        set(None, None);
        steps(higher).expect(&store, &[("ln a c", "ok"), ("resize a 6", "ok")]);
    }
}

#[test]
fn bytes_over_the_limit_are_refused_and_what_was_there_stays() {
    let dir = tempfile::tempdir().unwrap();
    for link in WAYS {
        // The root, and two files with one-byte names and ten bytes in all.
        let bytes = 3 * INODE + 2 * (NAME + 1) + 10;
        let steps = Steps::new(link, &[&format!("/=kv,max-bytes={bytes}")], dir.path());
        steps.expect(
            &store(),
            &[
                ("write a 01234567", "ok"),
                ("write b 890", "error quota"),
                ("cat a", "\"01234567\""),
                ("write b 89", "ok"),
                ("mv b c", "ok"),
                ("mv c longer", "error quota"),
                ("ln a d", "error quota"),
                ("rm a", "ok"),
                ("write c 890", "ok"),
            ],
        );
    }
}

/// Names of one file were free: 65,000 of them let a volume of 1 MiB grow to 34 MB.
#[test]
fn regression_names_grow_a_volume_far_over_its_bytes() {
    const BYTES: usize = 128 << 10;
    let dir = tempfile::tempdir().unwrap();
    for link in WAYS {
        let steps = Steps::new(link, &["/=kv,max-bytes=128K"], dir.path());
        let name = |number: usize| format!("{number:04}-{}", "x".repeat(200));
        for (what, step) in [
            ("names", &(|number| format!("ln a {}", name(number))) as &dyn Fn(usize) -> String),
            ("empty files", &|number| format!("create {}", name(number))),
            ("directories", &|number| format!("mkdir {}", name(number))),
        ] {
            let store = store();
            steps.expect(&store, &[("create a", "ok")]);
            let done = until_refused(&steps, &store, step);
            let held = stored_bytes(&store);
            assert!(done > 100 && held < BYTES + 4096, "{done} {what}: the store holds {held} bytes");
        }
    }
}

#[test]
fn the_limits_of_a_volume_above_a_tree_do_not_count_the_tree() {
    let dir = tempfile::tempdir().unwrap();
    tree(dir.path());
    // The tree's largest file has 200,000 bytes, in seven extents of 32 KiB.
    const EXTENT: usize = 32 << 10;
    for link in WAYS {
        let bytes = 2 * EXTENT + 3 * INODE + NAME + "new".len() + 10;
        let limited = &[&*format!("/=overlay:{{}},max-bytes={bytes}")];
        let steps = Steps::new(link, limited, dir.path());
        let store = store();
        steps.expect(
            &store,
            &[
                // The first name copies the root up, and the first byte the file.
                ("write new 0123456789", "ok"),
                ("overwrite large 5 X", "ok"),
                ("overwrite large 9 X", "ok"),
                ("overwrite large 100000 X", "ok"),
                ("overwrite large 40000 X", "error quota"),
                ("overwrite new 0 9876", "ok"),
                ("write more 1", "error quota"),
            ],
        );
        assert!(stored_bytes(&store) < bytes + 4096, "{} bytes", stored_bytes(&store));
        // Another process continues. Removing names of the tree frees what was stored above them.
        steps.expect(
            &store,
            &[
                ("write more 1", "error quota"),
                ("overwrite large 40000 X", "error quota"),
                ("rm gone", "ok"),
                ("rm top", "ok"),
                ("write more 1", "error quota"),
                ("rm large", "ok"),
                ("write large 0123456789", "ok"),
                ("write gone again", "ok"),
                ("cat large", "\"0123456789\""),
            ],
        );
    }
}

#[test]
fn inodes_and_names_above_a_tree_count_when_made_or_changed() {
    let dir = tempfile::tempdir().unwrap();
    tree(dir.path());
    for link in WAYS {
        let store = store();
        let steps = Steps::new(link, &["/=overlay:{},max-names=2"], dir.path());
        steps.expect(
            &store,
            &[
                ("ln top one", "ok"),
                ("rm gone", "ok"),
                ("create gone", "ok"),
                ("ln top two", "error quota"),
                ("rm one", "ok"),
                ("mv lib/a lib/b", "ok"),
                ("mv lib/b lib/c", "ok"),
                ("mv lib/second lib/d", "error quota"),
            ],
        );
        let store = self::store();
        // The root, `lib` and one new inode.
        let steps = Steps::new(link, &["/=overlay:{},max-inodes=3"], dir.path());
        steps.expect(
            &store,
            &[
                ("create new", "ok"),
                ("rm lib/a", "ok"),
                ("create lib/a", "error quota"),
                ("overwrite large 5 X", "error quota"),
                ("rm new", "ok"),
                ("create lib/a", "ok"),
            ],
        );
    }
}
